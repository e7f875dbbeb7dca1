//! The session objects of a token: found by handle, seen by all its sessions, bounded in memory.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, RwLock};

use cryptoki_sys::CK_OBJECT_HANDLE;

use super::object::{Body, Object};
use crate::pkcs11::sync::{read, write};
use crate::pkcs11::{Error, Result};

/// A power of two, above the number of threads that make session objects at once.
const SHARDS: usize = 16;

/// Handles of all objects, never used twice (trap 32). 0 is the invalid handle.
static NEXT: AtomicU64 = AtomicU64::new(1);

/// A handle that no object ever had.
pub(in crate::pkcs11) fn next_handle() -> CK_OBJECT_HANDLE {
    NEXT.fetch_add(1, Relaxed)
}

/// Session objects by handle.
pub(in crate::pkcs11) struct Held {
    shards: [RwLock<HashMap<CK_OBJECT_HANDLE, Arc<Object>>>; SHARDS],
    bytes: AtomicUsize,
    limit: usize,
}

impl Held {
    /// No objects yet, and never more than `limit` bytes of them.
    pub(in crate::pkcs11) fn new(limit: usize) -> Self {
        Self { shards: Default::default(), bytes: AtomicUsize::new(0), limit }
    }

    /// The object with this handle.
    pub(in crate::pkcs11) fn get(&self, handle: CK_OBJECT_HANDLE) -> Option<Arc<Object>> {
        read(self.shard(handle)).get(&handle).cloned()
    }

    /// Adds an object under its handle, which is new.
    ///
    /// # Errors
    /// [`Error::DeviceMemory`] where the limit is reached.
    pub(in crate::pkcs11) fn put(&self, object: Arc<Object>) -> Result {
        self.take_room(&object)?;
        write(self.shard(object.handle)).insert(object.handle, object);
        Ok(())
    }

    /// Puts an object in the place of `old`. False where another thread changed that one meanwhile: then nothing has happened.
    ///
    /// # Errors
    /// [`Error::ObjectHandleInvalid`] where the object was destroyed meanwhile; [`Error::DeviceMemory`] as in [`Held::put`].
    pub(in crate::pkcs11) fn replace(&self, old: &Arc<Object>, new: Arc<Object>) -> Result<bool> {
        self.take_room(&new)?;
        let (gone, replaced) = match write(self.shard(old.handle)).get_mut(&old.handle) {
            Some(current) if Arc::ptr_eq(current, old) => (std::mem::replace(current, new), Ok(true)),
            Some(_) => (new, Ok(false)),
            None => (new, Err(Error::ObjectHandleInvalid)),
        };
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
        let removed = write(self.shard(handle)).remove(&handle)?;
        self.bytes.fetch_sub(size_of_object(&removed), Relaxed);
        Some(removed)
    }

    /// Every object that `condition` holds for, in the order of their handles.
    pub(in crate::pkcs11) fn select(&self, condition: impl Fn(&Object) -> bool) -> Vec<Arc<Object>> {
        let mut found: Vec<Arc<Object>> = self
            .shards
            .iter()
            .flat_map(|shard| read(shard).values().filter(|object| condition(object)).cloned().collect::<Vec<_>>())
            .collect();
        found.sort_unstable_by_key(|object| object.handle);
        found
    }

    fn shard(&self, handle: CK_OBJECT_HANDLE) -> &RwLock<HashMap<CK_OBJECT_HANDLE, Arc<Object>>> {
        &self.shards[handle as usize % SHARDS]
    }
}

fn size_of_object(object: &Object) -> usize {
    match &object.body {
        Body::Local(local) => size_of::<Object>() + local.memory_size(),
        Body::Dsm(_) => 0,
    }
}
