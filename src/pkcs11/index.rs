//! The objects that a listing of sobjects shows, found by handle, CKA_ID and CKA_LABEL without the network.

use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use cryptoki_sys::{CK_OBJECT_HANDLE, CKO_CERTIFICATE, CKO_PRIVATE_KEY};
use dsma_api::Sobject;
use dsma_core::{Accelerator, Change, Moment, Snapshot};
use uuid::Uuid;

use super::objects::{Body, DsmObject, Made, Object, Part, next_handle};

/// About as many as a shard has entries where there are a hundred thousand.
const SHARDS: usize = 256;

/// Public halves remembered: more than a program destroys before it comes to the second halves.
const MOST_WIDOWED: usize = 1 << 16;

/// Objects of one listing. A copy shares what is not changed in it, so that a change costs about as much as the square root of their number.
#[derive(Clone, Default)]
pub(super) struct Index {
    snapshot: Option<Arc<Snapshot>>,
    objects: Shards<Arc<Object>>,
    by_kid: Keys,
    by_id: Keys,
    by_label: Keys,
}

impl Index {
    /// Indexes a listing; objects that were known keep their handles.
    fn build(snapshot: Arc<Snapshot>, engine: &Accelerator, handles: &mut Handles) -> Self {
        let mut index = Self::default();
        for sobject in snapshot.sobjects.iter() {
            for object in objects_of(sobject, snapshot.taken_at(), engine, handles) {
                index.add(object);
            }
        }
        if engine.config().generate_certs {
            let keys: Vec<Arc<Object>> = index.all().cloned().collect();
            for id in keys.iter().filter(|key| key.class() == CKO_PRIVATE_KEY).filter_map(|key| id_of(key)) {
                index.certify(id, handles);
            }
        }
        handles.keep(&index, &snapshot);
        index.snapshot = Some(snapshot);
        index
    }

    /// The index over a later listing of the same engine.
    pub(super) fn follow(&self, snapshot: Arc<Snapshot>, engine: &Accelerator, handles: &mut Handles) -> Self {
        let Some(changes) = self.snapshot.as_ref().and_then(|own| snapshot.since(own.version)) else {
            return Self::build(snapshot, engine, handles);
        };
        let mut index = self.clone();
        for change in changes {
            index.apply(change, snapshot.taken_at(), engine, handles);
        }
        index.snapshot = Some(snapshot);
        index
    }

    /// The same listing with the handles of now.
    pub(super) fn rebuild(&self, engine: &Accelerator, handles: &mut Handles) -> Self {
        self.snapshot.as_ref().map_or_else(Self::default, |snapshot| Self::build(Arc::clone(snapshot), engine, handles))
    }

    /// Whether this is the index over `snapshot`.
    pub(super) fn is_over(&self, snapshot: &Arc<Snapshot>) -> bool {
        self.snapshot.as_ref().is_some_and(|own| Arc::ptr_eq(own, snapshot))
    }

    /// Whether a later listing than `snapshot` has been indexed.
    pub(super) fn is_newer_than(&self, snapshot: &Snapshot) -> bool {
        self.snapshot.as_ref().is_some_and(|own| own.version >= snapshot.version)
    }

    /// The object with this handle.
    pub(super) fn object(&self, handle: CK_OBJECT_HANDLE) -> Option<&Arc<Object>> {
        self.objects.get(handle).first().map(|(_, object)| object)
    }

    /// Objects with this CKA_ID.
    pub(super) fn with_id(&self, id: &[u8]) -> impl Iterator<Item = &Arc<Object>> {
        self.found(self.by_id.get(id)).filter(move |object| id_of(object) == Some(id))
    }

    /// Objects with this CKA_LABEL.
    pub(super) fn with_label(&self, label: &[u8]) -> impl Iterator<Item = &Arc<Object>> {
        let has = move |object: &Object| matches!(&object.body, Body::Dsm(shown) if shown.label().as_bytes() == label);
        self.found(self.by_label.get(label)).filter(move |object| has(object))
    }

    /// All objects, in the order of their handles.
    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<Object>> {
        let mut all: Vec<_> = self.objects.iter().collect();
        all.sort_unstable_by_key(|(handle, _)| *handle);
        all.into_iter().map(|(_, object)| object)
    }

    fn found<'i>(&'i self, handles: &'i [(u64, CK_OBJECT_HANDLE)]) -> impl Iterator<Item = &'i Arc<Object>> {
        handles.iter().filter_map(|(_, handle)| self.object(*handle))
    }

    fn add(&mut self, object: Object) {
        let Body::Dsm(shown) = &object.body else { return };
        self.by_kid.add(shown.kid.as_bytes(), object.handle);
        self.by_id.add(shown.id(), object.handle);
        self.by_label.add(shown.label().as_bytes(), object.handle);
        self.objects.add(object.handle, Arc::new(object));
    }

    fn remove(&mut self, object: &Object) {
        let Body::Dsm(shown) = &object.body else { return };
        self.by_kid.remove(shown.kid.as_bytes(), object.handle);
        self.by_id.remove(shown.id(), object.handle);
        self.by_label.remove(shown.label().as_bytes(), object.handle);
        self.objects.remove(object.handle, |_| true);
    }

    fn apply(&mut self, change: &Change, told_at: Moment, engine: &Accelerator, handles: &mut Handles) {
        let kid = match change {
            Change::Kept(sobject) => sobject.kid,
            Change::Gone(kid) => Some(*kid),
        };
        let Some(kid) = kid else { return };
        let is_its = |object: &&Arc<Object>| matches!(&object.body, Body::Dsm(shown) if shown.kid == kid);
        let old: Vec<Arc<Object>> = self.found(self.by_kid.get(kid.as_bytes())).filter(is_its).cloned().collect();
        let mut ids: Vec<Box<[u8]>> = old.iter().filter_map(|object| id_of(object)).map(Box::from).collect();
        old.iter().for_each(|object| self.remove(object));
        match change {
            Change::Kept(sobject) => {
                for object in objects_of(sobject, told_at, engine, handles) {
                    ids.extend(id_of(&object).map(Box::from));
                    self.add(object);
                }
            }
            Change::Gone(_) => handles.forget(kid),
        }
        if engine.config().generate_certs {
            ids.iter().for_each(|id| self.certify(id, handles));
        }
    }

    /// Shows a certificate with the private keys of this CKA_ID where the token has none, and none of ours where it has.
    fn certify(&mut self, id: &[u8], handles: &mut Handles) {
        let mut objects: Vec<Arc<Object>> = self.with_id(id).cloned().collect();
        let is_ours = |object: &Object| matches!(&object.body, Body::Dsm(shown) if shown.part == Part::Generated);
        objects.iter().filter(|object| is_ours(object)).for_each(|object| self.remove(object));
        objects.retain(|object| !is_ours(object));
        if objects.iter().any(|object| object.class() == CKO_CERTIFICATE) {
            return;
        }
        objects.sort_unstable_by_key(|object| object.handle);
        let certificate = objects.iter().find_map(|object| match &object.body {
            Body::Dsm(key) if key.part == Part::Private => key.certificate(handles.certificate(key.kid, key.label())?),
            _ => None,
        });
        if let Some(certificate) = certificate {
            self.add(Object { handle: handles.of(certificate.kid, certificate.part), body: Body::Dsm(certificate) });
        }
    }
}

/// CKA_ID of a token object.
fn id_of(object: &Object) -> Option<&[u8]> {
    match &object.body {
        Body::Dsm(shown) => Some(shown.id()),
        Body::Local(_) => None,
    }
}

/// Entries by number, in shards of their own: a copy shares them until one is changed.
#[derive(Clone)]
struct Shards<T>([Arc<Vec<(u64, T)>>; SHARDS]);

impl<T> Default for Shards<T> {
    fn default() -> Self {
        let empty = Arc::default();
        Self(std::array::from_fn(|_| Arc::clone(&empty)))
    }
}

impl<T: Clone> Shards<T> {
    fn get(&self, key: u64) -> &[(u64, T)] {
        let shard = &self.0[key as usize % SHARDS];
        let from = shard.partition_point(|(known, _)| *known < key);
        let count = shard[from..].iter().take_while(|(known, _)| *known == key).count();
        &shard[from..from + count]
    }

    fn iter(&self) -> impl Iterator<Item = &(u64, T)> {
        self.0.iter().flat_map(|shard| shard.iter())
    }

    fn add(&mut self, key: u64, value: T) {
        let shard = Arc::make_mut(&mut self.0[key as usize % SHARDS]);
        let place = shard.partition_point(|(known, _)| *known <= key);
        shard.insert(place, (key, value));
    }

    fn remove(&mut self, key: u64, is_it: impl Fn(&T) -> bool) {
        let shard = Arc::make_mut(&mut self.0[key as usize % SHARDS]);
        shard.retain(|(known, value)| *known != key || !is_it(value));
    }
}

/// Handles by the hash of what they are looked up by: whoever looks has to compare.
#[derive(Clone, Default)]
struct Keys {
    handles: Shards<CK_OBJECT_HANDLE>,
    /// Random, so that nobody can choose labels of one hash.
    hasher: RandomState,
}

impl Keys {
    fn get(&self, key: &[u8]) -> &[(u64, CK_OBJECT_HANDLE)] {
        self.handles.get(self.hasher.hash_one(key))
    }

    fn add(&mut self, key: &[u8], handle: CK_OBJECT_HANDLE) {
        self.handles.add(self.hasher.hash_one(key), handle);
    }

    fn remove(&mut self, key: &[u8], handle: CK_OBJECT_HANDLE) {
        self.handles.remove(self.hasher.hash_one(key), |known| *known == handle);
    }
}

/// Handles of objects, and certificates that were made for them, kept over listings.
#[derive(Default)]
pub(super) struct Handles {
    handles: HashMap<(Uuid, Part), CK_OBJECT_HANDLE>,
    /// With the label that each is made for; `None` for one that was destroyed, which does not come back in this process.
    certificates: HashMap<Uuid, Option<(Box<str>, Made)>>,
    /// Public halves that a caller knew when it destroyed the private half, and with it the sobject. The oldest has the lowest handle.
    widowed: BTreeSet<CK_OBJECT_HANDLE>,
}

impl Handles {
    pub(super) fn of(&mut self, kid: Uuid, part: Part) -> CK_OBJECT_HANDLE {
        *self.handles.entry((kid, part)).or_insert_with(next_handle)
    }

    /// The handle that an object has.
    pub(super) fn known(&self, kid: Uuid, part: Part) -> Option<CK_OBJECT_HANDLE> {
        self.handles.get(&(kid, part)).copied()
    }

    /// The sobject is gone.
    fn forget(&mut self, kid: Uuid) {
        for part in Part::ALL {
            self.handles.remove(&(kid, part));
        }
        self.certificates.remove(&kid);
    }

    /// The certificate of this key under this label, made or to be made.
    fn certificate(&mut self, kid: Uuid, label: &str) -> Option<Made> {
        let (known, made) = self.certificates.entry(kid).or_insert_with(|| Some((label.into(), Made::default()))).as_mut()?;
        if **known != *label {
            (*known, *made) = (label.into(), Made::default());
        }
        Some(Arc::clone(made))
    }

    /// Shows no certificate for this key any more.
    pub(super) fn forget_certificate(&mut self, kid: Uuid) {
        self.certificates.insert(kid, None);
    }

    /// The sobject was destroyed through its private half: this public half went with it.
    pub(super) fn widow(&mut self, public: CK_OBJECT_HANDLE) {
        self.widowed.insert(public);
        if self.widowed.len() > MOST_WIDOWED {
            self.widowed.pop_first();
        }
    }

    /// Whether this was such a public half. Asked once: then it is forgotten.
    pub(super) fn bury(&mut self, handle: CK_OBJECT_HANDLE) -> bool {
        self.widowed.remove(&handle)
    }

    /// Forgets what a new listing does not show any more.
    fn keep(&mut self, index: &Index, snapshot: &Snapshot) {
        self.handles.retain(|_, handle| index.object(*handle).is_some());
        self.certificates.retain(|kid, _| snapshot.sobjects.get(*kid).is_some());
    }

    /// Handles of private objects do not live beyond a logout (trap 20).
    pub(super) fn forget_private(&mut self, index: &Index) {
        for object in index.all().filter(|object| object.is_private()) {
            if let Body::Dsm(sobject) = &object.body {
                self.handles.remove(&(sobject.kid, sobject.part));
            }
        }
    }
}

/// The objects that a sobject shows, with their handles.
fn objects_of<'s>(
    sobject: &'s Arc<Sobject>,
    told_at: Moment,
    engine: &'s Accelerator,
    handles: &'s mut Handles,
) -> impl Iterator<Item = Object> + 's {
    DsmObject::of(sobject, told_at, engine).map(|object| Object { handle: handles.of(object.kid, object.part), body: Body::Dsm(object) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handles_outlive_listings() {
        let (mut handles, kid) = (Handles::default(), Uuid::nil());
        let (private, public) = (handles.of(kid, Part::Private), handles.of(kid, Part::Public));
        assert_ne!(private, public);
        assert_eq!(handles.of(kid, Part::Private), private);
        handles.certificate(kid, "label");
        handles.forget(kid);
        assert!(handles.handles.is_empty() && handles.certificates.is_empty(), "but not the sobject");
    }

    #[test]
    fn a_public_half_without_its_sobject_is_buried_once() {
        let mut handles = Handles::default();
        let most = MOST_WIDOWED as CK_OBJECT_HANDLE;
        (0..=most).for_each(|public| handles.widow(public));
        assert_eq!([0, 1, 1, most].map(|public| handles.bury(public)), [false, true, false, true], "the oldest made room");
    }
}
