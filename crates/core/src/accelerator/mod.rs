//! The accelerator: resolve the key, check the grant, run locally or forward.

mod answers;
mod forward;
mod keys;
mod lead;
mod listing;
mod mac;
mod manage;
mod ml_dsa;
mod objects;
mod operations;
mod parts;
mod policy;
mod secrets;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use uuid::Uuid;

pub use self::keys::{KeyFrom, dsm_wraps};
pub use self::lead::{Lead, Resolution};
pub use self::listing::Sobjects;
use self::objects::Objects;
pub use self::objects::{Change, Snapshot};
pub use self::parts::{Parts, dsm_takes_parts};
pub use self::policy::{allows_cipher, allows_signature};
pub use self::secrets::Peer;
use crate::cache::KeyCache;
use crate::{CachedKey, Config, Dsm, Error, KeyRef};

/// Where material comes from, and where descriptions do.
const EXPORT: &str = "crypto/v1/keys/export";
const INFO: &str = "crypto/v1/keys/info";

/// The engine under one credential. Cheap to clone; all clones share one cache and one session.
#[derive(Clone, Debug)]
pub struct Accelerator(Arc<Inner>);

/// Counters since the accelerator was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Exports asked of DSM, refreshes included.
    pub exports: u64,
    /// Cache hits.
    pub hits: u64,
    /// Operations sent to DSM.
    pub forwards: u64,
    /// Operations that an expired or expiring key served because DSM could not be reached.
    pub served_in_outage: u64,
    /// Keys in the cache.
    pub cached_keys: u64,
}

impl Accelerator {
    /// Takes the configuration and reads the CA file. Does not touch the network: a DSM that is down is an error of the first
    /// operation, not of this.
    ///
    /// # Errors
    /// [`Error::Config`] for a CA file that cannot be read.
    pub fn open(config: Config) -> Result<Self, Error> {
        Ok(Self(Arc::new(Inner {
            dsm: Dsm::new(&config)?,
            cache: KeyCache::new(&config),
            objects: Objects::default(),
            exports: AtomicU64::new(0),
            forwards: AtomicU64::new(0),
            outages: AtomicU64::new(0),
            config,
        })))
    }

    /// Opens the session with DSM, or uses the one that is open, and says which app it stands for.
    ///
    /// # Errors
    /// 401 for a credential that DSM does not take, or [`Error::Unreachable`].
    pub fn login(&self) -> Result<Uuid, Error> {
        self.0.dsm.login()
    }

    /// Opens another session with DSM in the place of the one that is open: whoever is let in now has a credential that DSM still takes.
    ///
    /// # Errors
    /// As [`Accelerator::login`]; the open session serves on.
    pub fn login_again(&self) -> Result<Uuid, Error> {
        self.0.dsm.login_again()
    }

    /// What the cache knows of a key; never blocks.
    #[must_use]
    pub fn resolve(&self, key: &KeyRef) -> Resolution {
        self.0.resolve(key)
    }

    /// The key, fetched on this thread or awaited where another caller is fetching it.
    ///
    /// # Errors
    /// DSM's refusal, or [`Error::Unreachable`].
    pub fn key(&self, key: &KeyRef) -> Result<Arc<CachedKey>, Error> {
        match self.resolve(key) {
            Resolution::Hit(key) => Ok(key),
            // A refresh that DSM does not answer gives the old key back.
            Resolution::Stale(_, lead) | Resolution::Lead(lead) => lead.run(),
            Resolution::Wait(flight) => flight.wait(),
            Resolution::Refused(error) => Err(error),
        }
    }

    /// A sobject with its material, asked of DSM now: it neither comes from the cache nor goes there. For a front's own keys, such as
    /// the one of its TLS.
    ///
    /// # Errors
    /// DSM's refusal, or [`Error::Unreachable`].
    pub fn export(&self, kid: Uuid) -> Result<dsma_api::Sobject, Error> {
        let key = KeyRef::Kid(kid);
        let sobject = self.0.dsm.export(&key, self.0.config.retry_timeout)?;
        self.0.checked(EXPORT, &key, &sobject)?;
        // What cannot be parsed is no key, or one that the caller knows better.
        if let Some(member) = CachedKey::from_export(kid, sobject.clone()).ok().and_then(|key| key.contradiction()) {
            return Err(self.0.dsm.bad_reply(EXPORT, &format!("`value` of key {kid} is not what `{member}` tells")));
        }
        Ok(sobject)
    }

    /// Drops these keys from the cache, or all; says how many there were. A running operation keeps the key that it has.
    pub fn clear(&self, kids: Option<&[Uuid]>) -> usize {
        self.0.cache.clear(kids)
    }

    /// Whether any key in the cache would serve, were DSM not there.
    #[must_use]
    pub fn has_usable_keys(&self) -> bool {
        self.0.cache.has_usable()
    }

    /// Counters.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats {
            exports: self.0.exports.load(Relaxed),
            hits: self.0.cache.hits(),
            forwards: self.0.forwards.load(Relaxed),
            served_in_outage: self.0.outages.load(Relaxed),
            cached_keys: self.0.cache.len() as u64,
        }
    }

    /// The settings.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.0.config
    }

    /// The REST client, for what the engine does not do itself.
    #[must_use]
    pub fn dsm(&self) -> &Dsm {
        &self.0.dsm
    }
}

#[derive(Debug)]
pub(crate) struct Inner {
    config: Config,
    dsm: Dsm,
    cache: KeyCache,
    objects: Objects,
    exports: AtomicU64,
    forwards: AtomicU64,
    outages: AtomicU64,
}

impl Inner {
    pub(crate) fn resolve(self: &Arc<Self>, key: &KeyRef) -> Resolution {
        Resolution::new(self, self.cache.look_up(key))
    }

    /// The one export. Where DSM does not allow it, its description tells how the key may be used through DSM. `old` is what the cache
    /// had.
    pub(crate) fn fetch(&self, key: &KeyRef, within: Duration, old: Option<&CachedKey>) -> Result<Arc<CachedKey>, Error> {
        let (path, fetched) = self.export_or_describe(key, within)?;
        if let Some(old) = old {
            self.checked_same(path, old.sobject(), fetched.sobject())?;
        }
        Ok(fetched)
    }

    fn export_or_describe(&self, key: &KeyRef, within: Duration) -> Result<(&'static str, Arc<CachedKey>), Error> {
        let describe = || Ok((INFO, self.describe(key, within)?));
        if self.config.cache_ttl.is_zero() {
            return describe();
        }
        self.exports.fetch_add(1, Relaxed);
        match self.dsm.export(key, within) {
            Ok(sobject) => {
                let kid = self.checked(EXPORT, key, &sobject)?;
                let key = CachedKey::from_export(kid, sobject);
                let key = key.map_err(|error| self.dsm.bad_reply(EXPORT, &format!("`value` of key {kid}: {error}")))?;
                if let Some(member) = key.contradiction() {
                    return Err(self.dsm.bad_reply(EXPORT, &format!("`value` of key {kid} is not what `{member}` tells")));
                }
                if !key.has_check_value() {
                    // Which of the two is right is for DSM to say: it does the work.
                    tracing::warn!(target: "dsma::cache", "{EXPORT}: `value` of key {kid} is not what `kcv` tells; the key is used in DSM alone");
                    return describe();
                }
                Ok((EXPORT, Arc::new(key)))
            }
            Err(Error::Api(refusal)) if matches!(refusal.status, 400 | 403) => describe(),
            // What the policy leaves free, DSM does; the rest is explained when it is asked for.
            Err(Error::Approval { .. }) => describe(),
            Err(error) => Err(error),
        }
    }

    /// The key that bears `name` now.
    pub(crate) fn kid_of(&self, name: &str) -> Result<Uuid, Error> {
        let key = KeyRef::Name(name.to_owned());
        let sobject = self.dsm.info(&key, self.config.retry_timeout)?;
        self.checked(INFO, &key, &sobject)
    }

    pub(crate) fn served_in_outage(&self, error: &Error) {
        self.outages.fetch_add(1, Relaxed);
        tracing::warn!(target: "dsma::cache", "serving an older copy of a key: {error}");
    }

    pub(crate) const fn cache(&self) -> &KeyCache {
        &self.cache
    }

    pub(crate) const fn config(&self) -> &Config {
        &self.config
    }

    fn describe(&self, key: &KeyRef, within: Duration) -> Result<Arc<CachedKey>, Error> {
        let sobject = self.dsm.info(key, within)?;
        let kid = self.checked(INFO, key, &sobject)?;
        Ok(Arc::new(CachedKey::remote(kid, sobject)))
    }
}
