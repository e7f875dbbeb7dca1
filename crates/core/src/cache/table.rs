//! The map behind the cache: sharded, bounded by count and bytes, with second-chance eviction.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use parking_lot::RwLock;
use uuid::Uuid;

use super::CachedKey;
use crate::clock::Moment;

/// What [`Table::find`] found.
#[derive(Debug)]
pub(super) enum Found {
    Fresh(Arc<CachedKey>),
    /// In the last fifth of its life; this caller was chosen to refresh it.
    Refresh(Arc<CachedKey>),
    /// Past its life, kept for use while DSM cannot be reached.
    Expired(Arc<CachedKey>),
    Nothing,
}

#[derive(Debug)]
pub(super) struct Table {
    shards: [Shard; SHARDS],
    most_keys: usize,
    most_bytes: usize,
    keys: AtomicUsize,
    bytes: AtomicUsize,
    /// The shard where the next eviction begins.
    hand: AtomicUsize,
}

impl Table {
    pub(super) fn new(most_keys: usize, most_bytes: usize) -> Self {
        Self {
            shards: std::array::from_fn(|_| Shard::default()),
            most_keys,
            most_bytes,
            keys: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            hand: AtomicUsize::new(0),
        }
    }

    pub(super) fn find(&self, kid: Uuid, now: Moment) -> Found {
        let shard = self.shard(kid);
        let entries = shard.entries.read();
        let Some(entry) = entries.get(&kid) else { return Found::Nothing };
        let key = Arc::clone(&entry.key);
        if now >= entry.gone_at {
            return Found::Nothing;
        }
        if now >= entry.expires_at {
            return Found::Expired(key);
        }
        shard.hits.fetch_add(1, Relaxed);
        if !entry.used.load(Relaxed) {
            entry.used.store(true, Relaxed);
        }
        let refresh_at = entry.refresh_at.load(Relaxed);
        if now.0 >= refresh_at {
            // Whoever moves the mark refreshes; the next try comes at half of what is left.
            let next = now.0 + ((entry.expires_at.0 - now.0) / 2).max(1);
            if entry.refresh_at.compare_exchange(refresh_at, next, Relaxed, Relaxed).is_ok() {
                return Found::Refresh(key);
            }
        }
        Found::Fresh(key)
    }

    /// A key within its life, without counting as a use.
    pub(super) fn peek(&self, kid: Uuid, now: Moment) -> Option<Arc<CachedKey>> {
        self.shard(kid).entries.read().get(&kid).filter(|entry| now < entry.expires_at).map(|entry| Arc::clone(&entry.key))
    }

    pub(super) fn insert(&self, key: Arc<CachedKey>, now: Moment, life: Duration, grace: Duration) {
        let expires_at = now.after(life);
        let entry = Entry {
            bytes: key.memory_size(),
            expires_at,
            gone_at: expires_at.after(grace),
            refresh_at: AtomicU64::new(now.after(life.mul_f64(0.8)).0),
            used: AtomicBool::new(true),
            key,
        };
        let kid = entry.key.kid();
        self.keys.fetch_add(1, Relaxed);
        self.bytes.fetch_add(entry.bytes, Relaxed);
        let old = self.shard(kid).entries.write().insert(kid, entry);
        self.forget(old);
        self.evict(kid, now);
    }

    pub(super) fn remove(&self, kid: Uuid) -> bool {
        let old = self.shard(kid).entries.write().remove(&kid);
        let found = old.is_some();
        self.forget(old);
        found
    }

    pub(super) fn clear(&self) -> usize {
        let mut count = 0;
        for shard in &self.shards {
            let entries = std::mem::take(&mut *shard.entries.write());
            count += entries.len();
            entries.into_values().for_each(|entry| self.forget(Some(entry)));
        }
        count
    }

    pub(super) fn has_usable(&self, now: Moment) -> bool {
        self.shards.iter().any(|shard| shard.entries.read().values().any(|entry| now < entry.gone_at && entry.key.local().is_some()))
    }

    pub(super) fn len(&self) -> usize {
        self.keys.load(Relaxed)
    }

    pub(super) fn hits(&self) -> u64 {
        self.shards.iter().map(|shard| shard.hits.load(Relaxed)).sum()
    }

    /// Second chance: an entry that was used since the hand last passed stays once more. `newest` is spared, so that a key larger
    /// than the bound still serves the operation that asked for it.
    fn evict(&self, newest: Uuid, now: Moment) {
        for _ in 0..2 * SHARDS {
            if self.keys.load(Relaxed) <= self.most_keys && self.bytes.load(Relaxed) <= self.most_bytes {
                return;
            }
            let shard = &self.shards[self.hand.fetch_add(1, Relaxed) % SHARDS];
            let mut gone = Vec::new();
            {
                let mut entries = shard.entries.write();
                let mut over_keys = self.keys.load(Relaxed).saturating_sub(self.most_keys);
                let mut over_bytes = self.bytes.load(Relaxed).saturating_sub(self.most_bytes);
                let victims: Vec<Uuid> = entries
                    .iter()
                    .filter(|(kid, entry)| **kid != newest && (now >= entry.gone_at || !entry.used.swap(false, Relaxed)))
                    .map(|(kid, _)| *kid)
                    .collect();
                for kid in victims {
                    if over_keys == 0 && over_bytes == 0 {
                        break;
                    }
                    if let Some(entry) = entries.remove(&kid) {
                        over_keys = over_keys.saturating_sub(1);
                        over_bytes = over_bytes.saturating_sub(entry.bytes);
                        gone.push(entry);
                    }
                }
            }
            gone.into_iter().for_each(|entry| self.forget(Some(entry)));
        }
    }

    /// Counts an entry out. Its key is zeroized when the last running operation lets go, outside the shard's lock.
    fn forget(&self, entry: Option<Entry>) {
        if let Some(entry) = entry {
            self.keys.fetch_sub(1, Relaxed);
            self.bytes.fetch_sub(entry.bytes, Relaxed);
        }
    }

    fn shard(&self, kid: Uuid) -> &Shard {
        &self.shards[kid.as_u128() as usize % SHARDS]
    }
}

const SHARDS: usize = 16;

/// On cache lines of its own, so that threads with different keys do not slow each other down.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Shard {
    entries: RwLock<HashMap<Uuid, Entry, BuildHasherDefault<KidHasher>>>,
    hits: AtomicU64,
}

#[derive(Debug)]
struct Entry {
    key: Arc<CachedKey>,
    bytes: usize,
    expires_at: Moment,
    /// End of grace: from here on the entry does not exist.
    gone_at: Moment,
    refresh_at: AtomicU64,
    used: AtomicBool,
}

/// Key ids are made by DSM at random, and only keys that DSM exported are in the map: nobody can choose colliding ones.
#[derive(Default)]
struct KidHasher(u64);

impl Hasher for KidHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.0 = (self.0 ^ u64::from_le_bytes(word)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        }
    }
}

#[cfg(test)]
mod tests;
