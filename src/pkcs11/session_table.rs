//! From session handles to sessions: a sharded table, so that calls on different sessions do not meet.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, LazyLock, RwLock};

use cryptoki_sys::CK_SESSION_HANDLE;

use super::sessions::Session;
use super::sync::{read, write};
use super::{Error, Result};

/// A power of two, well above the number of cores.
const SHARDS: usize = 64;

type Shard = RwLock<HashMap<CK_SESSION_HANDLE, Arc<Session>, BuildHasherDefault<Identity>>>;

static TABLE: LazyLock<[Shard; SHARDS]> = LazyLock::new(|| std::array::from_fn(|_| RwLock::default()));

/// Grows only, over C_Finalize too: a stale handle never means another session (trap 32). 0 is the invalid handle.
static NEXT: AtomicU64 = AtomicU64::new(1);

/// Adds the session that `make` returns for its handle.
pub(super) fn add(make: impl FnOnce(CK_SESSION_HANDLE) -> Session) -> CK_SESSION_HANDLE {
    let handle = NEXT.fetch_add(1, Relaxed);
    let session = Arc::new(make(handle));
    write(shard(handle)).insert(handle, session);
    handle
}

/// The session with this handle.
///
/// # Errors
/// [`Error::SessionHandleInvalid`].
pub(super) fn get(handle: CK_SESSION_HANDLE) -> Result<Arc<Session>> {
    read(shard(handle)).get(&handle).cloned().ok_or(Error::SessionHandleInvalid)
}

/// Takes the session out.
///
/// # Errors
/// As [`get`].
pub(super) fn remove(handle: CK_SESSION_HANDLE) -> Result<Arc<Session>> {
    let removed = write(shard(handle)).remove(&handle);
    removed.ok_or(Error::SessionHandleInvalid)
}

/// Every session that `condition` holds for.
pub(super) fn select(condition: impl Fn(&Session) -> bool) -> Vec<Arc<Session>> {
    TABLE.iter().flat_map(|shard| read(shard).values().filter(|session| condition(session)).cloned().collect::<Vec<_>>()).collect()
}

/// Forgets all sessions.
pub(super) fn clear() {
    for shard in &*TABLE {
        let sessions = std::mem::take(&mut *write(shard));
        drop(sessions);
    }
}

fn shard(handle: CK_SESSION_HANDLE) -> &'static Shard {
    &TABLE[handle as usize % SHARDS]
}

/// Handles are counted up: no need to hash them.
#[derive(Default)]
struct Identity(u64);

impl Hasher for Identity {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0 << 8 | u64::from(*byte);
        }
    }

    fn write_u64(&mut self, value: u64) {
        // The table takes its position from the low bits and its tag from the high ones; the low six are the shard.
        self.0 = value.rotate_right(6).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
