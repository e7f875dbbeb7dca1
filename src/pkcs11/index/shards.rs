//! Maps of which a changed copy shares what did not change.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use cryptoki_sys::CK_OBJECT_HANDLE;

/// About as many as a shard has entries where there are a hundred thousand.
const SHARDS: usize = 256;

/// Entries by number, in shards of their own: a copy shares them until one is changed.
#[derive(Clone)]
pub(super) struct Shards<T>([Arc<Vec<(u64, T)>>; SHARDS]);

impl<T> Default for Shards<T> {
    fn default() -> Self {
        let empty = Arc::default();
        Self(std::array::from_fn(|_| Arc::clone(&empty)))
    }
}

impl<T: Clone> Shards<T> {
    pub(super) fn get(&self, key: u64) -> &[(u64, T)] {
        let shard = &self.0[key as usize % SHARDS];
        let from = shard.partition_point(|(known, _)| *known < key);
        let count = shard[from..].iter().take_while(|(known, _)| *known == key).count();
        &shard[from..from + count]
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &(u64, T)> {
        self.0.iter().flat_map(|shard| shard.iter())
    }

    pub(super) fn add(&mut self, key: u64, value: T) {
        let shard = Arc::make_mut(&mut self.0[key as usize % SHARDS]);
        let place = shard.partition_point(|(known, _)| *known <= key);
        shard.insert(place, (key, value));
    }

    pub(super) fn remove(&mut self, key: u64, is_it: impl Fn(&T) -> bool) {
        let shard = Arc::make_mut(&mut self.0[key as usize % SHARDS]);
        shard.retain(|(known, value)| *known != key || !is_it(value));
    }
}

/// Handles by the hash of what they are looked up by: whoever looks has to compare.
#[derive(Clone, Default)]
pub(super) struct Keys {
    handles: Shards<CK_OBJECT_HANDLE>,
    /// Random, so that nobody can choose labels of one hash.
    hasher: RandomState,
}

impl Keys {
    pub(super) fn get(&self, key: &[u8]) -> &[(u64, CK_OBJECT_HANDLE)] {
        self.handles.get(self.hasher.hash_one(key))
    }

    pub(super) fn add(&mut self, key: &[u8], handle: CK_OBJECT_HANDLE) {
        self.handles.add(self.hasher.hash_one(key), handle);
    }

    pub(super) fn remove(&mut self, key: &[u8], handle: CK_OBJECT_HANDLE) {
        self.handles.remove(self.hasher.hash_one(key), |known| *known == handle);
    }
}
