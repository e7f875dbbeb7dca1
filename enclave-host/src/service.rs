//! What the routes share.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use dsma_core::Accelerator;

use crate::callers::Callers;
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
    /// Whether Bearer callers are served locally too.
    pub(crate) bearer: bool,
    /// False where CACHE_TTL is 0: everything is passed through.
    pub(crate) caching: bool,
    /// Whether our own identity has logged in to DSM since the start.
    pub(crate) connected: AtomicBool,
}
