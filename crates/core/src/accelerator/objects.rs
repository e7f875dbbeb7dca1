//! All sobjects that our credential sees, as of a moment: what PKCS#11 searches without the network.

use std::sync::Arc;
use std::time::Duration;

use dsma_api::Sobject;
use parking_lot::Mutex;
use uuid::Uuid;

use super::Accelerator;
use super::listing::Sobjects;
use crate::clock::Moment;
use crate::{Error, Flight, gate};

/// A listing.
#[derive(Debug)]
pub struct Snapshot {
    /// Grows with every listing: an index built over one version serves until the next.
    pub version: u64,
    /// The sobjects, by kid.
    pub sobjects: Sobjects,
    /// The changes that made this version, and the ones before it, of the listing that was taken last: the latest is the last.
    changes: Vec<Change>,
    taken_at: Moment,
}

/// Most changes that a snapshot remembers.
const MOST_CHANGES: usize = 64;

impl Snapshot {
    /// When the listing was taken. What was changed since is in it, too.
    #[must_use]
    pub const fn taken_at(&self) -> Moment {
        self.taken_at
    }

    /// Time since the listing was taken.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.taken_at.until(Moment::now())
    }

    /// What made this version of that one; `None` where nobody knows, because DSM was asked in between or too much happened.
    #[must_use]
    pub fn since(&self, version: u64) -> Option<&[Change]> {
        let count = usize::try_from(self.version.checked_sub(version)?).ok()?;
        self.changes.get(self.changes.len().checked_sub(count)?..)
    }
}

#[derive(Debug, Default)]
pub(super) struct Objects(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    current: Option<Arc<Snapshot>>,
    /// A listing under way, with the fork generation whose thread makes it.
    flight: Option<(u64, Flight<Arc<Snapshot>>)>,
    /// What was changed while a listing is under way: it may not show it.
    meanwhile: Vec<Change>,
}

/// A change that this engine made in DSM.
#[derive(Clone, Debug)]
pub enum Change {
    /// Made or changed.
    Kept(Arc<Sobject>),
    /// Deleted.
    Gone(Uuid),
}

impl Objects {
    /// The last listing.
    pub(super) fn current(&self) -> Option<Arc<Snapshot>> {
        self.0.lock().current.clone()
    }
}

impl Change {
    fn apply(&self, sobjects: &mut Sobjects) {
        match self {
            Self::Kept(sobject) => sobjects.put(Arc::clone(sobject)),
            Self::Gone(kid) => sobjects.remove(*kid),
        }
    }
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
            state.meanwhile.clear();
            (promise, state.current.as_ref().map_or(1, |snapshot| snapshot.version + 1))
        };
        let _landing = Landing(objects);
        let answer = self.0.dsm.list().map(|sobjects| {
            let mut sobjects = Sobjects::new(sobjects);
            let mut state = objects.0.lock();
            state.meanwhile.drain(..).for_each(|change| change.apply(&mut sobjects));
            // Changes made new versions of the old listing meanwhile.
            let version = version.max(state.current.as_ref().map_or(0, |snapshot| snapshot.version + 1));
            let snapshot = Arc::new(Snapshot { version, sobjects, changes: Vec::new(), taken_at: Moment::now() });
            state.current = Some(Arc::clone(&snapshot));
            snapshot
        });
        promise.fulfil(answer.clone());
        answer
    }

    /// Puts a change of ours into the listing, so that it is seen at once.
    pub(super) fn note(&self, change: Change) {
        let mut state = self.0.objects.0.lock();
        if let Some(current) = &state.current {
            let mut sobjects = current.sobjects.clone();
            change.apply(&mut sobjects);
            let known = current.changes.len().saturating_sub(MOST_CHANGES - 1);
            let changes = current.changes[known..].iter().chain([&change]).cloned().collect();
            let (version, taken_at) = (current.version + 1, current.taken_at);
            state.current = Some(Arc::new(Snapshot { version, sobjects, changes, taken_at }));
        }
        if state.flight.is_some() {
            state.meanwhile.push(change);
        }
    }

    /// The last listing, however old; never the network.
    #[must_use]
    pub fn cached_sobjects(&self) -> Option<Arc<Snapshot>> {
        self.0.objects.current()
    }
}

/// Ends the listing under way, also when it panics.
struct Landing<'a>(&'a Objects);

impl Drop for Landing<'_> {
    fn drop(&mut self) {
        self.0.0.lock().flight = None;
    }
}
