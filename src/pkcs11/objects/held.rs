//! The session objects of a token: found by handle and by what searches name, seen by all its sessions, bounded in memory.

use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, RwLock};

use cryptoki_sys::{CK_ATTRIBUTE_TYPE, CK_OBJECT_HANDLE, CKA_CLASS, CKA_ID, CKA_KEY_TYPE, CKA_LABEL};

use super::object::{Body, Object};
use crate::pkcs11::attributes::Answer;
use crate::pkcs11::sync::{read, write};
use crate::pkcs11::{Error, Result};

/// A power of two, above the number of threads that make session objects at once.
const SHARDS: usize = 16;

/// The attributes that objects are found by: the most telling first.
pub(in crate::pkcs11) const TELLING: [CK_ATTRIBUTE_TYPE; 4] = [CKA_ID, CKA_LABEL, CKA_KEY_TYPE, CKA_CLASS];

/// Handles of all objects, never used twice (trap 32). 0 is the invalid handle.
static NEXT: AtomicU64 = AtomicU64::new(1);

/// A handle that no object ever had.
pub(in crate::pkcs11) fn next_handle() -> CK_OBJECT_HANDLE {
    NEXT.fetch_add(1, Relaxed)
}

/// Session objects by handle.
pub(in crate::pkcs11) struct Held {
    shards: [RwLock<Shard>; SHARDS],
    /// Random, so that nobody can choose labels of one hash.
    hasher: RandomState,
    bytes: AtomicUsize,
    limit: usize,
}

#[derive(Default)]
struct Shard {
    objects: HashMap<CK_OBJECT_HANDLE, Arc<Object>>,
    /// The hash of each telling attribute with its value, and whose it is.
    telling: BTreeSet<(u64, CK_OBJECT_HANDLE)>,
}

impl Held {
    /// No objects yet, and never more than `limit` bytes of them.
    pub(in crate::pkcs11) fn new(limit: usize) -> Self {
        Self { shards: Default::default(), hasher: RandomState::new(), bytes: AtomicUsize::new(0), limit }
    }

    /// The object with this handle.
    pub(in crate::pkcs11) fn get(&self, handle: CK_OBJECT_HANDLE) -> Option<Arc<Object>> {
        read(self.shard(handle)).objects.get(&handle).cloned()
    }

    /// Adds an object under its handle, which is new.
    ///
    /// # Errors
    /// [`Error::DeviceMemory`] where the limit is reached.
    pub(in crate::pkcs11) fn put(&self, object: Arc<Object>) -> Result {
        self.take_room(&object)?;
        let told = self.told(&object);
        let mut shard = write(self.shard(object.handle));
        shard.telling.extend(told);
        shard.objects.insert(object.handle, object);
        Ok(())
    }

    /// Puts an object in the place of `old`. False where another thread changed that one meanwhile: then nothing has happened.
    ///
    /// # Errors
    /// [`Error::ObjectHandleInvalid`] where the object was destroyed meanwhile; [`Error::DeviceMemory`] as in [`Held::put`].
    pub(in crate::pkcs11) fn replace(&self, old: &Arc<Object>, new: Arc<Object>) -> Result<bool> {
        self.take_room(&new)?;
        let (told, told_now) = (self.told(old), self.told(&new));
        let mut shard = write(self.shard(old.handle));
        let (gone, replaced) = match shard.objects.get_mut(&old.handle) {
            Some(current) if Arc::ptr_eq(current, old) => {
                let gone = std::mem::replace(current, new);
                shard.forget(told);
                shard.telling.extend(told_now);
                (gone, Ok(true))
            }
            Some(_) => (new, Ok(false)),
            None => (new, Err(Error::ObjectHandleInvalid)),
        };
        drop(shard);
        self.bytes.fetch_sub(size_of_object(&gone), Relaxed);
        replaced
    }

    /// Counted first, so that two threads cannot both have the last bytes.
    fn take_room(&self, object: &Object) -> Result {
        let size = size_of_object(object);
        if self.bytes.fetch_add(size, Relaxed) + size > self.limit {
            self.bytes.fetch_sub(size, Relaxed);
            return Err(Error::DeviceMemory);
        }
        Ok(())
    }

    /// Takes an object away. Running operations keep what they have.
    pub(in crate::pkcs11) fn remove(&self, handle: CK_OBJECT_HANDLE) -> Option<Arc<Object>> {
        let mut shard = write(self.shard(handle));
        let removed = shard.objects.remove(&handle)?;
        shard.forget(self.told(&removed));
        drop(shard);
        self.bytes.fetch_sub(size_of_object(&removed), Relaxed);
        Some(removed)
    }

    /// Every object that `condition` holds for, in the order of their handles.
    pub(in crate::pkcs11) fn select(&self, condition: impl Fn(&Object) -> bool) -> Vec<Arc<Object>> {
        let mut found: Vec<Arc<Object>> = self
            .shards
            .iter()
            .flat_map(|shard| read(shard).objects.values().filter(|object| condition(object)).cloned().collect::<Vec<_>>())
            .collect();
        found.sort_unstable_by_key(|object| object.handle);
        found
    }

    /// The same among those that have one of the [`TELLING`] attributes with this value, and perhaps a few others: without a look at
    /// the rest.
    pub(in crate::pkcs11) fn select_by(
        &self,
        kind: CK_ATTRIBUTE_TYPE,
        value: &[u8],
        condition: impl Fn(&Object) -> bool,
    ) -> Vec<Arc<Object>> {
        let hash = self.hash(kind, value);
        let mut found = Vec::new();
        for shard in &self.shards {
            let shard = read(shard);
            let handles = shard.telling.range((hash, 0)..=(hash, CK_OBJECT_HANDLE::MAX));
            let objects = handles.filter_map(|(_, handle)| shard.objects.get(handle));
            found.extend(objects.filter(|object| condition(object)).cloned());
        }
        found.sort_unstable_by_key(|object| object.handle);
        found
    }

    fn shard(&self, handle: CK_OBJECT_HANDLE) -> &RwLock<Shard> {
        &self.shards[handle as usize % SHARDS]
    }

    /// What a search may find the object by. It never changes, as the object does not.
    fn told(&self, object: &Object) -> Vec<(u64, CK_OBJECT_HANDLE)> {
        let told = TELLING.iter().filter_map(|kind| match object.attribute(*kind) {
            Answer::Value(value) => Some((self.hash(*kind, value.as_bytes()), object.handle)),
            _ => None,
        });
        told.collect()
    }

    fn hash(&self, kind: CK_ATTRIBUTE_TYPE, value: &[u8]) -> u64 {
        self.hasher.hash_one((kind, value))
    }
}

impl Shard {
    fn forget(&mut self, told: Vec<(u64, CK_OBJECT_HANDLE)>) {
        for entry in told {
            self.telling.remove(&entry);
        }
    }
}

fn size_of_object(object: &Object) -> usize {
    match &object.body {
        Body::Local(local) => size_of::<Object>() + local.memory_size() + TELLING.len() * size_of::<(u64, CK_OBJECT_HANDLE)>(),
        Body::Dsm(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use cryptoki_sys::{CKO_DATA, CKO_PROFILE};
    use dsma_core::PointEncoding;

    use super::super::local::LocalObject;
    use super::super::template::Attributes;
    use super::*;

    fn data(handle: CK_OBJECT_HANDLE, label: &str) -> Arc<Object> {
        let mut attributes = Attributes::default();
        attributes.set_number(CKA_CLASS, CKO_DATA);
        attributes.set(CKA_LABEL, label.as_bytes());
        let local = LocalObject::new(1, CKO_DATA, attributes, None, PointEncoding::default());
        Arc::new(Object { handle, body: Body::Local(Box::new(local)) })
    }

    /// The objects found, and how many were looked at.
    fn by(held: &Held, kind: CK_ATTRIBUTE_TYPE, value: &[u8]) -> (Vec<CK_OBJECT_HANDLE>, usize) {
        let looked_at = Cell::new(0);
        let found = held.select_by(kind, value, |_| {
            looked_at.set(looked_at.get() + 1);
            true
        });
        (found.iter().map(|object| object.handle).collect(), looked_at.get())
    }

    #[test]
    fn a_search_looks_at_what_has_the_value_alone() {
        let held = Held::new(usize::MAX);
        for handle in 1..=6000 {
            held.put(data(handle, &format!("label {}", handle / 2))).unwrap();
        }
        assert_eq!(by(&held, CKA_LABEL, b"label 500"), (vec![1000, 1001], 2));
        assert_eq!(by(&held, CKA_LABEL, b"label"), (vec![], 0));
        assert_eq!(by(&held, CKA_CLASS, &CKO_PROFILE.to_ne_bytes()), (vec![], 0));
        let (all, _) = by(&held, CKA_CLASS, &CKO_DATA.to_ne_bytes());
        assert_eq!(all, (1..=6000).collect::<Vec<_>>());
    }

    #[test]
    fn what_is_changed_moves_and_what_is_destroyed_leaves() {
        let held = Held::new(usize::MAX);
        let (old, new) = (data(1, "old"), data(1, "new"));
        held.put(Arc::clone(&old)).unwrap();
        held.put(data(2, "old")).unwrap();
        assert_eq!(held.replace(&old, Arc::clone(&new)), Ok(true));
        assert_eq!((by(&held, CKA_LABEL, b"old").0, by(&held, CKA_LABEL, b"new").0), (vec![2], vec![1]));
        // Somebody was faster: nothing moves.
        assert_eq!(held.replace(&old, data(1, "late")), Ok(false));
        assert_eq!((by(&held, CKA_LABEL, b"new").0, by(&held, CKA_LABEL, b"late").0), (vec![1], vec![]));
        assert!(held.remove(1).is_some() && held.remove(2).is_some());
        assert_eq!(held.replace(&new, data(1, "dead")), Err(Error::ObjectHandleInvalid));
        assert!(held.shards.iter().all(|shard| read(shard).telling.is_empty()));
        assert_eq!(held.bytes.load(Relaxed), 0);
    }
}
