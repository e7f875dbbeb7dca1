//! What the routes share.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use dsma_core::Accelerator;
use hyper::body::{Body as _, Incoming};
use tokio::sync::{Semaphore, SemaphorePermit};
use uuid::Uuid;

use crate::callers::Callers;
use crate::tls::ManagedTls;
use crate::upstream::Upstream;
use crate::workers::Workers;

/// The running service. One for all connections.
pub(crate) struct Service {
    /// The engine under our own identity: it exports, and it alone.
    pub(crate) accelerator: Accelerator,
    /// DSM in the callers' names.
    pub(crate) upstream: Arc<Upstream>,
    pub(crate) callers: Arc<Callers>,
    pub(crate) workers: Workers,
    /// The TLS key in DSM, where the service has one.
    pub(crate) tls: Option<Arc<ManagedTls>>,
    /// Whether Bearer callers are served locally too.
    pub(crate) bearer: bool,
    /// False where CACHE_TTL is 0: everything is passed through.
    pub(crate) caching: bool,
    /// Whether our own identity has logged in to DSM since the start.
    pub(crate) connected: AtomicBool,
    /// Memory for bodies, in KiB.
    pub(crate) body_memory: Semaphore,
}

impl Service {
    /// Memory for the bodies that are read at the same time, in KiB.
    pub(crate) const BODY_MEMORY: usize = 256 << 10;

    /// Forgets these keys, or all, and what callers may do: whoever clears wants DSM's present word on both. Says how many keys there
    /// were.
    pub(crate) fn clear(&self, kids: Option<&[Uuid]>) -> usize {
        let cleared = self.accelerator.clear(kids);
        self.callers.clear();
        cleared
    }

    /// Room for a body of which at most `limit` bytes are read. `None` where too much is taken already.
    pub(crate) fn room_for(&self, body: &Incoming, limit: usize) -> Option<SemaphorePermit<'_>> {
        let limit = limit as u64;
        let kib = body.size_hint().upper().map_or(limit, |length| length.min(limit)).div_ceil(1024);
        self.body_memory.try_acquire_many(u32::try_from(kib).ok()?).ok()
    }
}
