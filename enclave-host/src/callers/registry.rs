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

/// What DSM's answers hold for: what was asked in one era must not be remembered in the next.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Era {
    /// How often everything was forgotten.
    clears: u64,
    /// How often names may have come to mean other keys.
    pub(super) names: u64,
}

/// Sharded, because every request looks here once.
pub(super) struct Registry {
    shards: [Mutex<Shard>; SHARDS],
    clears: AtomicU64,
    names: AtomicU64,
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
        Self { shards, clears: AtomicU64::default(), names: AtomicU64::default() }
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

    /// To be read before DSM is asked, for [`Registry::remember`] and for grants.
    pub(super) fn era(&self) -> Era {
        Era { clears: self.clears.load(SeqCst), names: self.names.load(SeqCst) }
    }

    /// Remembers a confirmed caller, unless its session has ended or everything was forgotten since `era` was read.
    pub(super) fn remember(&self, id: CredentialId, caller: Arc<Caller>, era: Era) {
        let mut shard = self.shard(&id);
        if !shard.ended.contains(&id) && self.clears.load(SeqCst) == era.clears {
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

    /// Forgets what names mean, and who may use these keys. Callers stay, with their grants for other keys.
    pub(super) fn clear_keys(&self, kids: &[Uuid]) {
        self.names.fetch_add(1, SeqCst);
        if kids.is_empty() {
            return;
        }
        for shard in &self.shards {
            for (_, caller) in &shard.lock().callers {
                kids.iter().for_each(|kid| caller.forget_key(*kid));
            }
        }
    }

    fn shard(&self, id: &CredentialId) -> MutexGuard<'_, Shard> {
        self.shards[usize::from(id.shard_bits()) % SHARDS].lock()
    }
}

#[cfg(test)]
mod tests {
    use dsma_api::{Operation, SobjectDescriptor};

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
        registry.remember(id, caller(60), registry.era());
        assert!(registry.caller(&id, Moment::now()).is_some());
        registry.end(id);
        assert!(registry.caller(&id, Moment::now()).is_none() && registry.issued(&id).is_none());
        // An answer that was on its way.
        registry.remember(id, caller(60), registry.era());
        assert!(registry.caller(&id, Moment::now()).is_none());
    }

    #[test]
    fn callers_end_with_their_lifetime() {
        let registry = Registry::default();
        let id = Hasher::new().unwrap().bearer("token").unwrap().id();
        registry.remember(id, caller(0), registry.era());
        assert!(registry.caller(&id, Moment::now()).is_none());
    }

    #[test]
    fn what_was_asked_before_a_clear_is_not_remembered_after_it() {
        let registry = Registry::default();
        let id = Hasher::new().unwrap().bearer("token").unwrap().id();
        let era = registry.era();
        registry.clear();
        registry.remember(id, caller(60), era);
        assert!(registry.caller(&id, Moment::now()).is_none());
        registry.remember(id, caller(60), registry.era());
        assert!(registry.caller(&id, Moment::now()).is_some());
    }

    #[test]
    fn keys_that_change_cost_their_own_grants_and_those_by_name() {
        let registry = Registry::default();
        let id = Hasher::new().unwrap().bearer("token").unwrap().id();
        let before = registry.era();
        registry.remember(id, caller(60), before);
        let (changed, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let keys = [SobjectDescriptor::Kid(changed), SobjectDescriptor::Kid(other), SobjectDescriptor::Name("payroll".into())];
        let caller = registry.caller(&id, Moment::now()).unwrap();
        for (key, kid) in keys.iter().zip([changed, other, other]) {
            caller.grant(key, kid, Operation::Sign, before);
        }
        let granted = || keys.each_ref().map(|key| caller.granted(key, Operation::Sign, registry.era()));
        assert_eq!(granted(), [Some(changed), Some(other), Some(other)]);
        registry.clear_keys(&[changed]);
        assert_eq!(granted(), [None, Some(other), None]);
        assert!(registry.caller(&id, Moment::now()).is_some());
        // An answer that was on its way.
        caller.grant(&keys[2], changed, Operation::Sign, before);
        assert_eq!(granted()[2], None);
    }
}
