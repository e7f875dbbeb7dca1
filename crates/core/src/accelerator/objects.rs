//! All sobjects that our credential sees, as of a moment: what PKCS#11 searches without the network.

use std::sync::Arc;
use std::time::Duration;

use dsma_api::Sobject;
use parking_lot::Mutex;
use uuid::Uuid;

use super::Accelerator;
use super::listing::Sobjects;
use crate::clock::Moment;
use crate::dsm::Pages;
use crate::flight::Promise;
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

/// A listing that was begun, and that nobody went on with for so long, begins anew: it would tell of the past.
const WALK_REST: Duration = Duration::from_secs(60);

/// Most changes that are made beside a listing that was begun, before it begins anew.
const MOST_MEANWHILE: usize = 1 << 16;

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
    /// A listing that was begun by callers who did not have the time to end it.
    walk: Option<Walk>,
    /// What was changed since the listing was begun that is under way, or is left: it may not show it.
    meanwhile: Vec<Change>,
}

/// A listing that is being taken.
#[derive(Debug)]
struct Walk {
    pages: Pages,
    began: Moment,
    /// When the last page was read.
    rested: Moment,
}

/// What a caller that wants a listing has to do.
enum Boarding {
    Ready(Arc<Snapshot>),
    Wait(Flight<Arc<Snapshot>>),
    /// Take it. With a snapshot that may serve, there is a limit to that.
    Lead(Promise<Arc<Snapshot>>, Walk, Option<Arc<Snapshot>>),
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
        self.listing(max_age, false)
    }

    /// The same, but where there is an older listing nobody waits for long. One caller takes the new one, page by page: after the
    /// configuration's `refresh_wait` it leaves the other pages to the next, and has the older listing like all who come meanwhile.
    ///
    /// # Errors
    /// As [`Accelerator::sobjects`].
    pub fn sobjects_or_older(&self, max_age: Duration) -> Result<Arc<Snapshot>, Error> {
        self.listing(max_age, true)
    }

    fn listing(&self, max_age: Duration, older_serves: bool) -> Result<Arc<Snapshot>, Error> {
        loop {
            let (promise, walk, old) = match self.0.objects.board(max_age, older_serves) {
                Boarding::Ready(snapshot) => return Ok(snapshot),
                Boarding::Lead(promise, walk, old) => (promise, walk, old),
                Boarding::Wait(flight) => match flight.wait() {
                    // By somebody whom an older one serves.
                    Err(Error::Abandoned) => continue,
                    answer => return answer,
                },
            };
            let landing = Landing(&self.0.objects);
            let answer = self.walk(walk, max_age, old.as_deref());
            drop(landing);
            return match (answer, old) {
                (Ok(Some(snapshot)), _) => {
                    promise.fulfil(Ok(Arc::clone(&snapshot)));
                    Ok(snapshot)
                }
                // Those who wait have more patience; this listing has our changes of meanwhile.
                (Ok(None), old) => self.cached_sobjects().or(old).ok_or(Error::Abandoned),
                (Err(error), Some(_)) => Err(error),
                (Err(error), None) => {
                    promise.fulfil(Err(error.clone()));
                    Err(error)
                }
            };
        }
    }

    /// Reads pages to the end, or until an old listing has to serve: then `None`.
    fn walk(&self, mut walk: Walk, max_age: Duration, old: Option<&Snapshot>) -> Result<Option<Arc<Snapshot>>, Error> {
        let config = &self.0.config;
        let deadline = old.map(|_| Moment::now().after(config.refresh_wait));
        // A DSM that never answers as fast as that is waited for, too, once the old listing is old indeed.
        let patience = match old {
            Some(old) if old.age() <= max_age.saturating_mul(2) => config.refresh_wait,
            _ => config.retry_timeout,
        };
        while !self.0.dsm.list(&mut walk.pages, patience)? {
            walk.rested = Moment::now();
            if deadline.is_some_and(|deadline| deadline <= walk.rested) {
                self.0.objects.0.lock().walk = Some(walk);
                return Ok(None);
            }
        }
        let mut sobjects = Sobjects::new(walk.pages.sobjects);
        let mut state = self.0.objects.0.lock();
        state.meanwhile.drain(..).for_each(|change| change.apply(&mut sobjects));
        let version = state.current.as_ref().map_or(1, |snapshot| snapshot.version + 1);
        let snapshot = Arc::new(Snapshot { version, sobjects, changes: Vec::new(), taken_at: walk.began });
        state.current = Some(Arc::clone(&snapshot));
        Ok(Some(snapshot))
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
        if state.flight.is_some() || state.walk.is_some() {
            state.meanwhile.push(change);
        }
        if state.meanwhile.len() > MOST_MEANWHILE && state.flight.is_none() {
            (state.walk, state.meanwhile) = (None, Vec::new());
        }
    }

    /// The last listing, however old; never the network.
    #[must_use]
    pub fn cached_sobjects(&self) -> Option<Arc<Snapshot>> {
        self.0.objects.current()
    }
}

impl Objects {
    fn board(&self, max_age: Duration, older_serves: bool) -> Boarding {
        let mut state = self.0.lock();
        let old = match &state.current {
            Some(snapshot) if snapshot.age() <= max_age => return Boarding::Ready(Arc::clone(snapshot)),
            current => current.clone().filter(|_| older_serves),
        };
        if let Some((generation, flight)) = &state.flight
            && *generation == gate::generation()
        {
            return old.map_or_else(|| Boarding::Wait(flight.clone()), Boarding::Ready);
        }
        let (promise, flight) = Flight::start();
        state.flight = Some((gate::generation(), flight));
        let now = Moment::now();
        let begun = state.walk.take().filter(|walk| old.is_some() && walk.rested.until(now) <= WALK_REST);
        let walk = begun.unwrap_or_else(|| {
            state.meanwhile.clear();
            Walk { pages: Pages::default(), began: now, rested: now }
        });
        Boarding::Lead(promise, walk, old)
    }
}

/// Ends the listing under way, also when it panics.
struct Landing<'a>(&'a Objects);

impl Drop for Landing<'_> {
    fn drop(&mut self) {
        self.0.0.lock().flight = None;
    }
}
