//! The callers that DSM has confirmed, the sessions that we saw opened, and those that we saw end. Bounded, in memory only.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use lru::LruCache;
use parking_lot::{Mutex, MutexGuard};
use uuid::Uuid;

use super::caller::Caller;
use super::credential::CredentialId;
use crate::clock::Moment;

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
pub(super) struct Registry([Mutex<Shard>; SHARDS]);

struct Shard {
    callers: LruCache<CredentialId, Arc<Caller>>,
    issued: LruCache<CredentialId, Issued>,
    /// Tokens never live again. An answer that was on its way when its session ended must not bring one back.
    ended: LruCache<CredentialId, ()>,
}

impl Default for Registry {
    fn default() -> Self {
        Self(std::array::from_fn(|_| {
            let (callers, issued, ended) = (LruCache::sparse(PER_SHARD), LruCache::sparse(PER_SHARD), LruCache::sparse(PER_SHARD));
            Mutex::new(Shard { callers, issued, ended })
        }))
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

    /// Remembers a confirmed caller, unless its session has ended meanwhile.
    pub(super) fn remember(&self, id: CredentialId, caller: Arc<Caller>) {
        let mut shard = self.shard(&id);
        if !shard.ended.contains(&id) {
            shard.callers.put(id, caller);
        }
    }

    /// The caller, or `new` from now on: grants that come at the same time must meet in one place.
    pub(super) fn caller_or(&self, id: CredentialId, new: &Arc<Caller>) -> Arc<Caller> {
        let mut shard = self.shard(&id);
        if shard.ended.contains(&id) {
            return Arc::clone(new);
        }
        Arc::clone(shard.callers.get_or_insert(id, || Arc::clone(new)))
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
        for shard in &self.0 {
            shard.lock().callers.clear();
        }
    }

    fn shard(&self, id: &CredentialId) -> MutexGuard<'_, Shard> {
        self.0[usize::from(id.shard_bits()) % SHARDS].lock()
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
        registry.remember(id, caller(60));
        assert!(registry.caller(&id, Moment::now()).is_some());
        registry.end(id);
        assert!(registry.caller(&id, Moment::now()).is_none() && registry.issued(&id).is_none());
        // An answer that was on its way.
        registry.remember(id, caller(60));
        let _unregistered = registry.caller_or(id, &caller(60));
        assert!(registry.caller(&id, Moment::now()).is_none());
    }

    #[test]
    fn callers_end_with_their_lifetime() {
        let registry = Registry::default();
        let id = Hasher::new().unwrap().bearer("token").unwrap().id();
        registry.remember(id, caller(0));
        assert!(registry.caller(&id, Moment::now()).is_none());
    }
}
