//! The key cache: what is exported once serves until its time is over.
//!
//! A hit takes a shared lock on one of sixteen maps, tests the expiry in the entry and sets a used bit. Nothing here touches the
//! network: a caller that must fetch gets an [`Order`] and carries it out outside all locks.

mod consistency;
mod entry;
mod names;
mod table;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use parking_lot::Mutex;
use uuid::Uuid;

pub use self::entry::CachedKey;
pub(crate) use self::entry::Tokens;
use self::names::Recent;
use self::table::{Found, Table};
use crate::clock::Moment;
use crate::flight::Promise;
use crate::{Config, Error, Flight, KeyFlight, gate};

/// Names a key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum KeyRef {
    /// By key id: never changes.
    Kid(Uuid),
    /// By name: moves to a new key when the key is rotated.
    Name(String),
}

impl From<Uuid> for KeyRef {
    fn from(kid: Uuid) -> Self {
        Self::Kid(kid)
    }
}

/// What the cache knows of a key.
#[derive(Debug)]
pub(crate) enum Lookup {
    Hit(Arc<CachedKey>),
    /// In the last fifth of its life; this caller was chosen to refresh it.
    Stale(Arc<CachedKey>, Order),
    /// This caller was chosen to fetch it.
    Miss(Order),
    Wait(KeyFlight),
    Refused(Error),
}

/// The order to fetch a key, given to one caller. Its flight is under way until [`KeyCache::land`].
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) key: KeyRef,
    /// What the cache has: it serves on where DSM cannot be reached and policy lets it.
    pub(crate) old: Option<Arc<CachedKey>>,
    pub(crate) promise: Promise<Arc<CachedKey>>,
    began: Clears,
}

/// How often a key was cleared: by itself, and with all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Clears {
    own: u64,
    all: u64,
}

/// How long a refusal is believed. Short, because a key may be made right after somebody looked for it.
const REFUSAL_LIFE: Duration = Duration::from_secs(2);
/// How long "not exportable" is believed at most.
const REMOTE_LIFE: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(crate) struct KeyCache {
    table: Table,
    names: Mutex<Recent<String, Uuid>>,
    refusals: Mutex<Recent<KeyRef, Error>>,
    /// Fetches under way, with the fork generation whose thread makes each.
    flights: Mutex<HashMap<KeyRef, (u64, KeyFlight)>>,
    ttl: Duration,
    /// Zero unless `availability` is set.
    grace: Duration,
    /// Raised by every clear of all keys, so that a fetch that began before it does not put its result back.
    clears: AtomicU64,
    /// The same for clears of some, by a part of the kid: those of a few others count too.
    clears_by_kid: [AtomicU64; KID_PARTS],
    /// Raised by every clear, for names: which kid a name will mean is not known when its look-up begins.
    name_clears: AtomicU64,
}

const KID_PARTS: usize = 64;

impl KeyCache {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            table: Table::new(config.cache_max_keys, config.cache_max_bytes),
            names: Mutex::new(Recent::new(config.cache_max_keys)),
            refusals: Mutex::new(Recent::new(1024)),
            flights: Mutex::default(),
            ttl: config.cache_ttl,
            grace: if config.availability { config.availability_grace } else { Duration::ZERO },
            clears: AtomicU64::new(0),
            clears_by_kid: [const { AtomicU64::new(0) }; KID_PARTS],
            name_clears: AtomicU64::new(0),
        }
    }

    /// Looks `key` up; where it must be fetched, one caller is told to.
    pub(crate) fn look_up(&self, key: &KeyRef) -> Lookup {
        let now = Moment::now();
        let kid = match key {
            KeyRef::Kid(kid) => Some(*kid),
            KeyRef::Name(name) => self.names.lock().get(name, now),
        };
        let found = kid.map_or(Found::Nothing, |kid| self.table.find(kid, now));
        match found {
            Found::Fresh(hit) => Lookup::Hit(hit),
            Found::Refresh(hit) => match self.take_off(&KeyRef::Kid(hit.kid()), now, Some(Arc::clone(&hit))) {
                Lookup::Miss(order) => Lookup::Stale(hit, order),
                _ => Lookup::Hit(hit),
            },
            Found::Expired(hit) => self.take_off(&KeyRef::Kid(hit.kid()), now, Some(hit)),
            Found::Nothing => match kid {
                Some(kid) => self.take_off(&KeyRef::Kid(kid), now, None),
                None => self.take_off(key, now, None),
            },
        }
    }

    fn take_off(&self, key: &KeyRef, now: Moment, old: Option<Arc<CachedKey>>) -> Lookup {
        if let Some(refusal) = self.refusals.lock().get(key, now) {
            return Lookup::Refused(refusal);
        }
        let mut flights = self.flights.lock();
        if let Some((generation, flight)) = flights.get(key)
            && *generation == gate::generation()
        {
            return Lookup::Wait(flight.clone());
        }
        // Somebody may have landed between the look-up and this lock.
        if let KeyRef::Kid(kid) = key
            && let Some(hit) = self.table.peek(*kid, now)
            && old.as_ref().is_none_or(|old| !Arc::ptr_eq(old, &hit))
        {
            return Lookup::Hit(hit);
        }
        let (promise, flight) = Flight::start();
        flights.insert(key.clone(), (gate::generation(), flight));
        drop(flights);
        let began = match key {
            KeyRef::Kid(kid) => self.clears_of(*kid),
            KeyRef::Name(_) => Clears { own: self.name_clears.load(SeqCst), all: 0 },
        };
        Lookup::Miss(Order { key: key.clone(), old, promise, began })
    }

    /// Ends the flight of `key`; called before its answer is given, so that nobody waits for a flight that nobody flies.
    pub(crate) fn land(&self, key: &KeyRef) {
        self.flights.lock().remove(key);
    }

    /// Keeps a fetched key, unless it was cleared since its fetch began.
    pub(crate) fn keep(&self, order: &Order, key: &Arc<CachedKey>) {
        let life = if key.local().is_some() { self.ttl } else { self.ttl.min(REMOTE_LIFE) };
        if life.is_zero() {
            return;
        }
        self.table.insert(Arc::clone(key), Moment::now(), life, self.grace);
        // After it is there: a clear either finds it in the table or has raised its number by now.
        if self.clears_of(key.kid()) != order.began {
            self.table.remove(key.kid());
        }
    }

    /// Remembers that the name that was asked for means `kid`, unless something was cleared since.
    pub(crate) fn keep_name(&self, order: &Order, kid: Uuid) {
        let KeyRef::Name(name) = &order.key else { return };
        if self.ttl.is_zero() {
            return;
        }
        let mut names = self.names.lock();
        // A clear raises the number before it takes this lock.
        if self.name_clears.load(SeqCst) == order.began.own {
            names.put(name.to_owned(), kid, Moment::now().after(self.ttl));
        }
    }

    /// Drops the key, and remembers the refusal for a moment.
    pub(crate) fn refuse(&self, key: &KeyRef, refusal: &Error) {
        if let KeyRef::Kid(kid) = key {
            self.table.remove(*kid);
        }
        self.refusals.lock().put(key.clone(), refusal.clone(), Moment::now().after(REFUSAL_LIFE));
    }

    /// Drops these keys, or all; says how many there were.
    pub(crate) fn clear(&self, kids: Option<&[Uuid]>) -> usize {
        self.name_clears.fetch_add(1, SeqCst);
        self.refusals.lock().clear();
        match kids {
            Some(kids) => {
                for kid in kids {
                    self.part(*kid).fetch_add(1, SeqCst);
                }
                self.names.lock().retain(|kid| !kids.contains(kid));
                kids.iter().filter(|kid| self.table.remove(**kid)).count()
            }
            None => {
                self.clears.fetch_add(1, SeqCst);
                self.names.lock().clear();
                self.table.clear()
            }
        }
    }

    fn clears_of(&self, kid: Uuid) -> Clears {
        Clears { own: self.part(kid).load(SeqCst), all: self.clears.load(SeqCst) }
    }

    fn part(&self, kid: Uuid) -> &AtomicU64 {
        &self.clears_by_kid[kid.as_u128() as usize % KID_PARTS]
    }

    pub(crate) fn hits(&self) -> u64 {
        self.table.hits()
    }

    /// Whether there is a key within its life, or beyond it within the grace of an outage.
    pub(crate) fn has_usable(&self) -> bool {
        self.table.has_usable(Moment::now())
    }

    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }
}

#[cfg(test)]
mod tests;
