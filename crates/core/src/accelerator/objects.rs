//! All sobjects that our credential sees, as of a moment: what PKCS#11 searches without the network.

use std::sync::Arc;
use std::time::Duration;

use dsma_api::Sobject;
use parking_lot::Mutex;

use super::Accelerator;
use crate::clock::Moment;
use crate::{Error, Flight, gate};

/// A listing.
#[derive(Debug)]
pub struct Snapshot {
    /// Grows with every listing: an index built over one version serves until the next.
    pub version: u64,
    /// The sobjects, by kid.
    pub sobjects: Vec<Arc<Sobject>>,
    taken_at: Moment,
}

impl Snapshot {
    /// Time since the listing was taken.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.taken_at.until(Moment::now())
    }
}

#[derive(Debug, Default)]
pub(super) struct Objects(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    current: Option<Arc<Snapshot>>,
    /// A listing under way, with the fork generation whose thread makes it.
    flight: Option<(u64, Flight<Arc<Snapshot>>)>,
}

impl Accelerator {
    /// The listing, taken anew where the last one is older than `max_age`. One caller lists; the others wait for it.
    ///
    /// # Errors
    /// DSM's refusal, or [`Error::Unreachable`].
    pub fn sobjects(&self, max_age: Duration) -> Result<Arc<Snapshot>, Error> {
        let objects = &self.0.objects;
        let (promise, version) = {
            let mut state = objects.0.lock();
            if let Some(snapshot) = &state.current
                && snapshot.age() <= max_age
            {
                return Ok(Arc::clone(snapshot));
            }
            if let Some((generation, flight)) = &state.flight
                && *generation == gate::generation()
            {
                let flight = flight.clone();
                drop(state);
                return flight.wait();
            }
            let (promise, flight) = Flight::start();
            state.flight = Some((gate::generation(), flight));
            (promise, state.current.as_ref().map_or(1, |snapshot| snapshot.version + 1))
        };
        let _landing = Landing(objects);
        let answer = self.0.dsm.list().map(|sobjects| {
            Arc::new(Snapshot { version, sobjects: sobjects.into_iter().map(Arc::new).collect(), taken_at: Moment::now() })
        });
        if let Ok(snapshot) = &answer {
            objects.0.lock().current = Some(Arc::clone(snapshot));
        }
        promise.fulfil(answer.clone());
        answer
    }

    /// The last listing, however old; never the network.
    #[must_use]
    pub fn cached_sobjects(&self) -> Option<Arc<Snapshot>> {
        self.0.objects.0.lock().current.clone()
    }
}

/// Ends the listing under way, also when it panics.
struct Landing<'a>(&'a Objects);

impl Drop for Landing<'_> {
    fn drop(&mut self) {
        self.0.0.lock().flight = None;
    }
}
