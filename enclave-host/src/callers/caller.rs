//! What we know of one caller, and for how long: its permissions by group, and the keys that DSM lets it use.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dsma_api::{Operation, Permissions, SobjectDescriptor};
use dsma_core::Moment;
use lru::LruCache;
use parking_lot::Mutex;
use uuid::Uuid;

use super::LOCAL_OPERATIONS;
use super::registry::Era;

/// Most grants remembered for one caller; what is forgotten is asked again.
const GRANTS: NonZeroUsize = NonZeroUsize::new(4096).unwrap();

/// What DSM tells of a caller.
pub(crate) enum Rights {
    /// Its permissions, by group.
    Told(BTreeMap<Uuid, Permissions>),
    /// Nothing: what DSM does for it says what it may do.
    Untold,
}

/// A caller whom DSM has confirmed.
pub(crate) struct Caller {
    rights: Rights,
    lifetime: Duration,
    until: Moment,
    renew_at: Moment,
    renewing: AtomicBool,
    grants: Arc<Grants>,
}

impl Caller {
    /// `lifetime` runs from now.
    pub(super) fn new(rights: Rights, lifetime: Duration, grants: Arc<Grants>) -> Self {
        let now = Moment::now();
        // In the second half of its life it is confirmed anew in the background, which also keeps its session from idling away in DSM.
        Self { rights, lifetime, until: now.after(lifetime), renew_at: now.after(lifetime / 2), renewing: AtomicBool::new(false), grants }
    }

    pub(super) const fn rights(&self) -> &Rights {
        &self.rights
    }

    pub(super) const fn grants(&self) -> &Arc<Grants> {
        &self.grants
    }

    pub(super) fn is_over(&self, now: Moment) -> bool {
        self.until <= now
    }

    /// True for one asker once the time has come.
    pub(super) fn must_renew(&self, now: Moment) -> bool {
        self.renew_at <= now && !self.renewing.swap(true, Ordering::Relaxed)
    }

    /// The permissions in a sobject's group, for [`dsma_api::authorize`]. Where DSM tells none, a grant stands for all of them.
    pub(crate) fn permissions(&self, group: Option<Uuid>) -> Option<Permissions> {
        match &self.rights {
            Rights::Told(by_group) => group.and_then(|group| by_group.get(&group).copied()),
            Rights::Untold => Some(Permissions::all()),
        }
    }

    /// The kid that `key` means to this caller, if it is known to be allowed this operation.
    pub(super) fn granted(&self, key: &SobjectDescriptor, operation: Operation, era: Era) -> Option<Uuid> {
        self.grants.find(key, operation, era)
    }

    /// `era` is that in which DSM was asked.
    pub(super) fn grant(&self, key: &SobjectDescriptor, kid: Uuid, operation: Operation, era: Era) {
        let until = Moment::now().after(self.lifetime);
        self.grants.0.lock().put((key.clone(), operation), Grant { kid, until, names: era.names });
    }

    /// Drops the grants for this key by its kid.
    pub(super) fn forget_key(&self, kid: Uuid) {
        let mut grants = self.grants.0.lock();
        for operation in LOCAL_OPERATIONS {
            grants.pop(&(SobjectDescriptor::Kid(kid), operation));
        }
    }
}

/// What a caller was found to be allowed. Survives the caller's renewal.
pub(super) struct Grants(Mutex<LruCache<(SobjectDescriptor, Operation), Grant>>);

struct Grant {
    kid: Uuid,
    until: Moment,
    /// [`Era::names`] of the question. A kid means the same key in all of them.
    names: u64,
}

impl Default for Grants {
    fn default() -> Self {
        Self(Mutex::new(LruCache::sparse(GRANTS)))
    }
}

impl Grants {
    fn find(&self, key: &SobjectDescriptor, operation: Operation, era: Era) -> Option<Uuid> {
        let mut grants = self.0.lock();
        let key = (key.clone(), operation);
        let grant = grants.get(&key)?;
        let is_right = matches!(key.0, SobjectDescriptor::Kid(_)) || grant.names == era.names;
        if grant.until <= Moment::now() || !is_right {
            grants.pop(&key);
            return None;
        }
        Some(grant.kid)
    }
}

#[cfg(test)]
mod tests {
    use super::super::registry::Registry;
    use super::*;

    #[test]
    fn a_grant_is_for_one_key_and_one_operation_and_ends() {
        let (kid, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let (name, era) = (SobjectDescriptor::Name("payroll".into()), Registry::default().era());
        let caller = Caller::new(Rights::Untold, Duration::from_secs(60), Arc::default());
        caller.grant(&name, kid, Operation::Encrypt, era);
        assert_eq!(caller.granted(&name, Operation::Encrypt, era), Some(kid));
        assert_eq!(caller.granted(&name, Operation::Decrypt, era), None);
        assert_eq!(caller.granted(&SobjectDescriptor::Kid(other), Operation::Encrypt, era), None);

        let over = Caller::new(Rights::Untold, Duration::ZERO, Arc::default());
        over.grant(&name, kid, Operation::Encrypt, era);
        assert_eq!(over.granted(&name, Operation::Encrypt, era), None);
        assert!(over.is_over(Moment::now()));
    }

    #[test]
    fn told_rights_show_no_other_group() {
        let group = Uuid::from_u128(1);
        let caller = Caller::new(Rights::Told(BTreeMap::from([(group, Permissions::CLASSIC)])), Duration::from_secs(60), Arc::default());
        assert_eq!(caller.permissions(Some(group)), Some(Permissions::CLASSIC));
        assert_eq!(caller.permissions(Some(Uuid::from_u128(2))), None);
        assert_eq!(caller.permissions(None), None);
    }

    #[test]
    fn one_asker_renews() {
        let caller = Caller::new(Rights::Untold, Duration::ZERO, Arc::default());
        assert!(caller.must_renew(Moment::now()));
        assert!(!caller.must_renew(Moment::now()));
    }
}
