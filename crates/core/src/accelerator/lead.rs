//! What a caller is told of a key, and the one fetch of it.

use std::sync::Arc;
use std::time::Duration;

use super::Inner;
use crate::cache::{KeyCache, Lookup, Order};
use crate::{CachedKey, Error, KeyFlight, KeyRef};

/// What the cache knows of a key.
#[derive(Debug)]
pub enum Resolution {
    /// Ready to use.
    Hit(Arc<CachedKey>),
    /// Ready to use, in the last fifth of its life: this one caller is asked to run the refresh, before or after its own work.
    Stale(Arc<CachedKey>, Lead),
    /// Unknown: this caller fetches, by [`Lead::run`], while the others wait.
    Lead(Lead),
    /// Another caller is fetching.
    Wait(KeyFlight),
    /// DSM refused a moment ago.
    Refused(Error),
}

/// The duty to fetch a key: run it, and all who wait get the answer. Dropping it answers [`Error::Abandoned`].
#[derive(Debug)]
pub struct Lead {
    engine: Arc<Inner>,
    order: Option<Order>,
}

impl Resolution {
    pub(super) fn new(engine: &Arc<Inner>, found: Lookup) -> Self {
        let lead = |order| Lead { engine: Arc::clone(engine), order: Some(order) };
        match found {
            Lookup::Hit(key) => Self::Hit(key),
            Lookup::Stale(key, order) => Self::Stale(key, lead(order)),
            Lookup::Miss(order) => Self::Lead(lead(order)),
            Lookup::Wait(flight) => Self::Wait(flight),
            Lookup::Refused(error) => Self::Refused(error),
        }
    }
}

impl Lead {
    /// A wait for the answer, for others or for an async caller that runs the lead elsewhere.
    #[must_use]
    pub fn flight(&self) -> KeyFlight {
        // The order is taken by `run` and `drop` only, which consume the lead.
        self.order.as_ref().map_or_else(|| crate::Flight::start().1, |order| order.promise.flight())
    }

    /// Fetches on this thread: one export, and where that is refused, one look at the description.
    ///
    /// # Errors
    /// DSM's refusal, or [`Error::Unreachable`] where no older copy may serve.
    pub fn run(mut self) -> Result<Arc<CachedKey>, Error> {
        let Some(order) = self.order.take() else { return Err(Error::Abandoned) };
        let cache = self.engine.cache();
        let landing = Landing { cache, key: &order.key };
        let answer = match &order.key {
            KeyRef::Kid(_) => self.engine.fetch(&order.key, self.patience(order.old.is_some()), order.old.as_deref()),
            KeyRef::Name(name) => self.follow(name, &order),
        };
        let answer = match (answer, &order.old) {
            (Ok(key), _) => {
                if matches!(order.key, KeyRef::Kid(_)) {
                    cache.keep(&order, &key);
                }
                Ok(key)
            }
            // The cache gave `old` out, so it is within its life or its grace.
            (Err(error), Some(old)) if error.is_outage() => {
                self.engine.served_in_outage(&error);
                Ok(Arc::clone(old))
            }
            (Err(error), _) => {
                if !error.is_outage() {
                    cache.refuse(&order.key, &error);
                }
                Err(error)
            }
        };
        drop(landing);
        order.promise.fulfil(answer.clone());
        answer
    }

    /// A name is looked up first, so that a key that is asked for by name and by kid at once is exported once.
    fn follow(&self, name: &str, order: &Order) -> Result<Arc<CachedKey>, Error> {
        let kid = self.engine.kid_of(name)?;
        self.engine.cache().keep_name(order, kid);
        match self.engine.resolve(&KeyRef::Kid(kid)) {
            Resolution::Hit(key) => Ok(key),
            Resolution::Lead(lead) | Resolution::Stale(_, lead) => lead.run(),
            Resolution::Wait(flight) => flight.wait(),
            Resolution::Refused(error) => Err(error),
        }
    }

    /// With something to fall back on, a caller waits for DSM no longer than for a normal export.
    fn patience(&self, fallback: bool) -> Duration {
        let config = self.engine.config();
        if fallback { config.refresh_wait } else { config.retry_timeout }
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        if let Some(order) = &self.order {
            self.engine.cache().land(&order.key);
        }
    }
}

/// Ends the flight also when the fetch panics.
struct Landing<'a> {
    cache: &'a KeyCache,
    key: &'a KeyRef,
}

impl Drop for Landing<'_> {
    fn drop(&mut self) {
        self.cache.land(self.key);
    }
}
