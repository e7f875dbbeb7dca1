//! The callers that DSM has confirmed, the sessions that we saw opened, and those that we saw end. Bounded, in memory only.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use dsma_core::Moment;
use lru::LruCache;
use parking_lot::{Mutex, MutexGuard};
use uuid::Uuid;

use super::caller::Caller;
use super::credential::CredentialId;

const SHARDS: usize = 16;
/// Most entries of each kind in a shard: about 16,000 callers in all.
const PER_SHARD: NonZeroUsize = NonZeroUsize::new(1024).unwrap();

/// A session that was opened through us: whose it is, and how long it lives when idle.
#[derive(Clone, Copy)]
pub(super) struct Issued {
    pub(super) entity: Uuid,
    pub(super) idle: Duration,
}

/// Sharded, because every request looks here once.
pub(super) struct Registry {
    shards: [Mutex<Shard>; SHARDS],
    /// How often everything was forgotten. What was asked before must not be remembered after.
    clears: AtomicU64,
}

struct Shard {
    callers: LruCache<CredentialId, Arc<Caller>>,
    issued: LruCache<CredentialId, Issued>,
    /// Tokens never live again. An answer that was on its way when its session ended must not bring one back.
    ended: LruCache<CredentialId, ()>,
}

impl Default for Registry {
    fn default() -> Self {
        let shards = std::array::from_fn(|_| {
            let (callers, issued, ended) = (LruCache::sparse(PER_SHARD), LruCache::sparse(PER_SHARD), LruCache::sparse(PER_SHARD));
            Mutex::new(Shard { callers, issued, ended })
        });
        Self { shards, clears: AtomicU64::new(0) }
    }
}

impl Registry {
    pub(super) fn caller(&self, id: &CredentialId, now: Moment) -> Option<Arc<Caller>> {
        let mut shard = self.shard(id);
        let caller = shard.callers.get(id)?;
        if caller.is_over(now) {
            shard.callers.pop(id);
            return None;
        }
        Some(Arc::clone(caller))
    }

    /// To be read before DSM is asked, for [`Registry::remember`].
    pub(super) fn clears(&self) -> u64 {
        self.clears.load(SeqCst)
    }

    /// Remembers a confirmed caller, unless its session has ended or everything was forgotten since `clears` was read.
    pub(super) fn remember(&self, id: CredentialId, caller: Arc<Caller>, clears: u64) {
        let mut shard = self.shard(&id);
        if !shard.ended.contains(&id) && self.clears() == clears {
            shard.callers.put(id, caller);
        }
    }

    pub(super) fn issued(&self, id: &CredentialId) -> Option<Issued> {
        self.shard(id).issued.get(id).copied()
    }

    pub(super) fn issue(&self, id: CredentialId, issued: Issued) {
        self.shard(&id).issued.put(id, issued);
    }

    /// What we knew of this caller holds no more.
    pub(super) fn forget(&self, id: &CredentialId) {
        self.shard(id).callers.pop(id);
    }

    /// The session is over for good.
    pub(super) fn end(&self, id: CredentialId) {
        let mut shard = self.shard(&id);
        shard.callers.pop(&id);
        shard.issued.pop(&id);
        shard.ended.put(id, ());
    }

    /// Forgets every caller, though not whose session is whose.
    pub(super) fn clear(&self) {
        // Before the shards are emptied: whoever adds later sees it.
        self.clears.fetch_add(1, SeqCst);
        for shard in &self.shards {
            shard.lock().callers.clear();
        }
    }

    fn shard(&self, id: &CredentialId) -> MutexGuard<'_, Shard> {
        self.shards[usize::from(id.shard_bits()) % SHARDS].lock()
    }
}

#[cfg(test)]
mod tests {
    use super::super::caller::Rights;
    use super::super::credential::Hasher;
    use super::*;

    fn caller(lifetime: u64) -> Arc<Caller> {
        Arc::new(Caller::new(Rights::Untold, Duration::from_secs(lifetime), Arc::default()))
    }

    #[test]
    fn an_ended_session_stays_ended() {
        let registry = Registry::default();
        let id = Hasher::new().unwrap().bearer("token").unwrap().id();
        registry.issue(id, Issued { entity: Uuid::nil(), idle: Duration::from_secs(600) });
        registry.remember(id, caller(60), 0);
        assert!(registry.caller(&id, Moment::now()).is_some());
        registry.end(id);
        assert!(registry.caller(&id, Moment::now()).is_none() && registry.issued(&id).is_none());
        // An answer that was on its way.
        registry.remember(id, caller(60), 0);
        assert!(registry.caller(&id, Moment::now()).is_none());
    }

    #[test]
    fn callers_end_with_their_lifetime() {
        let registry = Registry::default();
        let id = Hasher::new().unwrap().bearer("token").unwrap().id();
        registry.remember(id, caller(0), 0);
        assert!(registry.caller(&id, Moment::now()).is_none());
    }

    #[test]
    fn what_was_asked_before_a_clear_is_not_remembered_after_it() {
        let registry = Registry::default();
        let id = Hasher::new().unwrap().bearer("token").unwrap().id();
        let clears = registry.clears();
        registry.clear();
        registry.remember(id, caller(60), clears);
        assert!(registry.caller(&id, Moment::now()).is_none());
        registry.remember(id, caller(60), registry.clears());
        assert!(registry.caller(&id, Moment::now()).is_some());
    }
}
