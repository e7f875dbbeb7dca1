//! The objects that a listing of sobjects shows, found by handle, CKA_ID and CKA_LABEL without the network.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use cryptoki_sys::{CK_OBJECT_HANDLE, CKO_CERTIFICATE};
use dsma_api::Sobject;
use dsma_core::{Accelerator, Moment, Snapshot};
use uuid::Uuid;

use super::objects::{Body, DsmObject, Made, Object, Part, next_handle};

/// Objects of one listing.
#[derive(Default)]
pub(super) struct Index {
    snapshot: Option<Arc<Snapshot>>,
    objects: Vec<Arc<Object>>,
    by_handle: HashMap<CK_OBJECT_HANDLE, usize>,
    by_id: HashMap<Box<[u8]>, Vec<usize>>,
    by_label: HashMap<Box<[u8]>, Vec<usize>>,
}

impl Index {
    /// Indexes a listing; objects that were known keep their handles.
    pub(super) fn build(snapshot: Arc<Snapshot>, engine: &Accelerator, handles: &mut Handles) -> Self {
        let mut index = Self::default();
        for sobject in &snapshot.sobjects {
            for object in objects_of(sobject, snapshot.taken_at(), engine, handles) {
                index.add(object);
            }
        }
        if engine.config().generate_certs {
            index.add_certificates(handles);
        }
        index.snapshot = Some(snapshot);
        index
    }

    /// Certificates for the private keys that have none with their CKA_ID.
    fn add_certificates(&mut self, handles: &mut Handles) {
        let alone = |index: &Self, key: &Object| match &key.body {
            Body::Dsm(key) if key.part == Part::Private => index.with_id(key.id()).all(|other| other.class() != CKO_CERTIFICATE),
            _ => false,
        };
        for position in 0..self.objects.len() {
            let Some(key) = self.objects.get(position).filter(|key| alone(self, key)) else { continue };
            let Body::Dsm(key) = &key.body else { continue };
            let Some(made) = handles.certificate(key.kid, key.label()) else { continue };
            let Some(certificate) = key.certificate(made) else { continue };
            self.add(Object { handle: handles.of(certificate.kid, certificate.part), body: Body::Dsm(certificate) });
        }
    }

    fn add(&mut self, object: Object) {
        let Body::Dsm(shown) = &object.body else { return };
        let position = self.objects.len();
        self.by_handle.insert(object.handle, position);
        self.by_id.entry(shown.id().into()).or_default().push(position);
        self.by_label.entry(shown.label().as_bytes().into()).or_default().push(position);
        self.objects.push(Arc::new(object));
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
        self.objects.get(*self.by_handle.get(&handle)?)
    }

    /// Objects with this CKA_ID.
    pub(super) fn with_id(&self, id: &[u8]) -> impl Iterator<Item = &Arc<Object>> {
        self.by_id.get(id).into_iter().flatten().filter_map(|position| self.objects.get(*position))
    }

    /// Objects with this CKA_LABEL.
    pub(super) fn with_label(&self, label: &[u8]) -> impl Iterator<Item = &Arc<Object>> {
        self.by_label.get(label).into_iter().flatten().filter_map(|position| self.objects.get(*position))
    }

    /// All objects.
    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<Object>> {
        self.objects.iter()
    }
}

/// Handles of objects, and certificates that were made for them, kept over listings.
#[derive(Default)]
pub(super) struct Handles {
    handles: HashMap<(Uuid, Part), CK_OBJECT_HANDLE>,
    /// With the label that each is made for; `None` for one that was destroyed, which does not come back in this process.
    certificates: HashMap<Uuid, Option<(Box<str>, Made)>>,
    /// Public halves that a caller knew when it destroyed the private half, and with it the sobject.
    widowed: HashSet<CK_OBJECT_HANDLE>,
}

impl Handles {
    pub(super) fn of(&mut self, kid: Uuid, part: Part) -> CK_OBJECT_HANDLE {
        *self.handles.entry((kid, part)).or_insert_with(next_handle)
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

    /// The sobject was destroyed through its private half: its public half went with it.
    pub(super) fn widow(&mut self, kid: Uuid) {
        self.widowed.extend(self.handles.remove(&(kid, Part::Public)));
    }

    /// Whether this was such a public half. Asked once: then it is forgotten.
    pub(super) fn bury(&mut self, handle: CK_OBJECT_HANDLE) -> bool {
        self.widowed.remove(&handle)
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
    }
}
