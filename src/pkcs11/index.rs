//! The objects that a listing of sobjects shows, found by handle, CKA_ID, CKA_LABEL, class and key type without the network.

mod shards;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use cryptoki_sys::{CK_KEY_TYPE, CK_OBJECT_CLASS, CK_OBJECT_HANDLE, CKO_CERTIFICATE, CKO_PRIVATE_KEY};
use dsma_api::Sobject;
use dsma_core::{Accelerator, Change, Moment, Snapshot};
use uuid::Uuid;

use self::shards::{Keys, Shards};
use super::objects::{Body, DsmObject, Made, Object, Part, next_handle};

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
    /// By CKA_CLASS and CKA_KEY_TYPE, of which there are a few. A copy shares the kinds that are not changed in it.
    by_kind: Vec<(Kind, Arc<Shards<Arc<Object>>>)>,
}

/// CKA_CLASS, and CKA_KEY_TYPE of what is a key.
type Kind = (CK_OBJECT_CLASS, Option<CK_KEY_TYPE>);

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

    /// Whether it is over no listing yet.
    pub(super) const fn is_unset(&self) -> bool {
        self.snapshot.is_none()
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

    /// Objects of this class and key type, as far as they are given, in the order of their handles.
    pub(super) fn of_kind(&self, class: Option<CK_OBJECT_CLASS>, key_type: Option<CK_KEY_TYPE>) -> impl Iterator<Item = &Arc<Object>> {
        let is_it = move |kind: &Kind| class.is_none_or(|class| kind.0 == class) && (key_type.is_none() || kind.1 == key_type);
        in_order(self.by_kind.iter().filter(move |(kind, _)| is_it(kind)).flat_map(|(_, objects)| objects.iter()))
    }

    /// All objects, in the order of their handles.
    fn all(&self) -> impl Iterator<Item = &Arc<Object>> {
        in_order(self.objects.iter())
    }

    fn found<'i>(&'i self, handles: &'i [(u64, CK_OBJECT_HANDLE)]) -> impl Iterator<Item = &'i Arc<Object>> {
        handles.iter().filter_map(|(_, handle)| self.object(*handle))
    }

    fn add(&mut self, object: Object) {
        let object = Arc::new(object);
        let Body::Dsm(shown) = &object.body else { return };
        self.by_kid.add(shown.kid.as_bytes(), object.handle);
        self.by_id.add(shown.id(), object.handle);
        self.by_label.add(shown.label().as_bytes(), object.handle);
        self.kind_mut(kind_of(shown)).add(object.handle, Arc::clone(&object));
        self.objects.add(object.handle, object);
    }

    fn remove(&mut self, object: &Object) {
        let Body::Dsm(shown) = &object.body else { return };
        self.by_kid.remove(shown.kid.as_bytes(), object.handle);
        self.by_id.remove(shown.id(), object.handle);
        self.by_label.remove(shown.label().as_bytes(), object.handle);
        self.kind_mut(kind_of(shown)).remove(object.handle, |_| true);
        self.objects.remove(object.handle, |_| true);
    }

    fn kind_mut(&mut self, kind: Kind) -> &mut Shards<Arc<Object>> {
        let place = self.by_kind.iter().position(|(known, _)| *known == kind).unwrap_or_else(|| {
            self.by_kind.push((kind, Arc::default()));
            self.by_kind.len() - 1
        });
        Arc::make_mut(&mut self.by_kind[place].1)
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

fn kind_of(object: &DsmObject) -> Kind {
    (object.class(), object.kind.map(|kind| object.secret_type(kind)))
}

fn in_order<'i>(objects: impl Iterator<Item = &'i (u64, Arc<Object>)>) -> impl Iterator<Item = &'i Arc<Object>> {
    let mut objects: Vec<_> = objects.collect();
    objects.sort_unstable_by_key(|(handle, _)| *handle);
    objects.into_iter().map(|(_, object)| object)
}

/// CKA_ID of a token object.
fn id_of(object: &Object) -> Option<&[u8]> {
    match &object.body {
        Body::Dsm(shown) => Some(shown.id()),
        Body::Local(_) => None,
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
    use cryptoki_sys::{CKK_AES, CKK_GENERIC_SECRET, CKO_DATA, CKO_SECRET_KEY};

    use super::*;

    const LABELS: u128 = 1000;

    fn sobject(kid: u128, obj_type: &str, label: &str) -> Arc<Sobject> {
        let json = serde_json::json!({
            "kid": Uuid::from_u128(kid), "name": format!("name {kid}"), "acct_id": Uuid::nil(), "obj_type": obj_type, "key_size": 256,
            "key_ops": [], "enabled": true, "origin": "FortanixHSM", "public_only": false, "creator": {"user": Uuid::nil()},
            "created_at": "20200315T012345Z", "custom_metadata": {"pkcs11_label": label},
        });
        Arc::new(serde_json::from_value(json).unwrap())
    }

    #[test]
    fn what_is_changed_moves_in_every_index_and_what_is_gone_leaves_them() {
        let config = dsma_core::Config { identity: dsma_core::Identity::AtLogin, ..dsma_core::Config::default() };
        let (engine, now, mut handles) = (Accelerator::open(config).unwrap(), Moment::now(), Handles::default());
        let mut index = Index::default();
        let mut apply = |index: &mut Index, change| index.apply(&change, now, &engine, &mut handles);
        for kid in 0..LABELS {
            apply(&mut index, Change::Kept(sobject(kid, "AES", "old")));
        }
        let before = index.clone();
        apply(&mut index, Change::Kept(sobject(7, "AES", "new")));
        apply(&mut index, Change::Kept(sobject(LABELS, "HMAC", "new")));
        apply(&mut index, Change::Kept(sobject(LABELS + 1, "OPAQUE", "new")));
        apply(&mut index, Change::Gone(Uuid::from_u128(8)));
        let count = |index: &Index, label: &str| index.with_label(label.as_bytes()).count();
        assert_eq!((count(&index, "old"), count(&index, "new"), count(&before, "old"), count(&before, "new")), (998, 3, 1000, 0));
        let kinds = |index: &Index| {
            [(Some(CKO_SECRET_KEY), None), (Some(CKO_SECRET_KEY), Some(CKK_AES)), (None, Some(CKK_GENERIC_SECRET)), (Some(CKO_DATA), None)]
                .map(|(class, key_type)| index.of_kind(class, key_type).count())
        };
        // A search looks at the objects of its kind alone.
        assert_eq!((kinds(&index), kinds(&before)), ([1000, 999, 1, 1], [1000, 1000, 0, 0]));
        assert_eq!(index.of_kind(Some(CKO_DATA), Some(CKK_AES)).count(), 0);
        let of_all: Vec<_> = index.of_kind(None, None).map(|object| object.handle).collect();
        assert!(of_all.is_sorted() && of_all.len() == 1001);
        for kid in 0..=LABELS + 1 {
            apply(&mut index, Change::Gone(Uuid::from_u128(kid)));
        }
        assert_eq!((index.all().count(), kinds(&index)), (0, [0; 4]));
    }

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
