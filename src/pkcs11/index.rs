//! The objects that a listing of sobjects shows, found by handle, CKA_ID and CKA_LABEL without the network.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

use cryptoki_sys::*;
use dsma_api::{EllipticCurve, KeyFacts, ObjectType, Operation, Permissions, Sobject, SobjectState, Time, authorize};
use dsma_core::{Accelerator, KeyRef, Snapshot};
use dsma_crypto::{Curve, EcPublicKey, Key, RsaPublicKey};
use uuid::Uuid;

use super::error::During;
use super::{Error, Result};

/// Metadata of a sobject that sets its CKA_LABEL.
const LABEL: &str = "pkcs11_label";
/// Metadata of a sobject that sets its CKA_ID, in base64.
const ID: &str = "pkcs11_id";

/// Which object of a sobject: one for a secret key, two for a key pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Half {
    /// All of a secret key.
    Secret,
    /// The private key of a pair.
    Private,
    /// The public key of a pair.
    Public,
}

/// The kinds of keys that this library shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyKind {
    /// CKK_AES.
    Aes,
    /// CKK_RSA.
    Rsa,
    /// CKK_EC.
    Ec(Curve),
    /// CKK_DES3 and CKK_GENERIC_SECRET: shown, without a mechanism of their own yet.
    Other(CK_KEY_TYPE),
}

/// One object of the token.
pub(super) struct Object {
    pub(super) handle: CK_OBJECT_HANDLE,
    pub(super) half: Half,
    pub(super) kind: KeyKind,
    pub(super) kid: Uuid,
    pub(super) sobject: Arc<Sobject>,
    pub(super) id: Box<[u8]>,
    /// Parsed when first asked for: a token may hold thousands of keys of which one is used.
    public: OnceLock<Option<PublicKey>>,
    engine: Accelerator,
}

/// The public half of a pair, parsed, with its numbers in the standard's form.
pub(super) struct PublicKey {
    pub(super) key: Key,
    pub(super) numbers: PublicNumbers,
}

/// What the attributes of public keys show.
pub(super) enum PublicNumbers {
    /// CKA_MODULUS, CKA_PUBLIC_EXPONENT and CKA_MODULUS_BITS.
    Rsa { modulus: Vec<u8>, exponent: Vec<u8>, bits: CK_ULONG },
    /// CKA_EC_POINT: the point in a DER OCTET STRING (trap 27).
    Ec { point: Vec<u8> },
}

impl Object {
    /// Whether it is seen only by a user who is logged in.
    pub(super) fn is_private(&self) -> bool {
        self.half != Half::Public
    }

    /// CKA_LABEL.
    pub(super) fn label(&self) -> &str {
        metadata(&self.sobject, LABEL).or(self.sobject.name.as_deref()).unwrap_or_default()
    }

    /// The engine that knows the key.
    pub(super) const fn engine(&self) -> &Accelerator {
        &self.engine
    }

    /// Names the key to the engine.
    pub(super) const fn key_ref(&self) -> KeyRef {
        KeyRef::Kid(self.kid)
    }

    /// The public half; none for a secret key, or where DSM does not show it.
    pub(super) fn public(&self) -> Option<&PublicKey> {
        self.public.get_or_init(|| PublicKey::parse(self.kind, self.sobject.pub_key.as_ref()?.as_ref())).as_ref()
    }

    /// The public half to work with: needs no export and no network. `None` where the engine has to decide, because `policy`, the key's
    /// own on paddings, is not known to allow the use, or because there is no usable public key.
    ///
    /// # Errors
    /// Key operations, state or dates forbid `operation`.
    pub(super) fn usable_public(&self, operation: Operation, policy: impl FnOnce(&Sobject) -> bool) -> Result<Option<&Key>> {
        if self.half != Half::Public {
            return Ok(None);
        }
        authorize(operation, Some(Permissions::all()), &KeyFacts::from(&*self.sobject), Time::now())
            .map_err(|refusal| Error::from_engine(&refusal.into(), During::Protect))?;
        Ok(self.public().filter(|_| policy(&self.sobject)).map(|public| &public.key))
    }

    /// Length of an RSA key's modulus in bytes.
    pub(super) fn modulus_len(&self) -> usize {
        match self.public().map(|public| &public.numbers) {
            Some(PublicNumbers::Rsa { modulus, .. }) => modulus.len(),
            _ => self.sobject.key_size.map_or(0, |bits| bits.div_ceil(8) as usize),
        }
    }
}

impl PublicKey {
    fn parse(kind: KeyKind, spki: &[u8]) -> Option<Self> {
        let parsed = match kind {
            KeyKind::Rsa => RsaPublicKey::from_der(spki).map(|key| Self {
                numbers: PublicNumbers::Rsa { modulus: key.modulus(), exponent: key.public_exponent(), bits: CK_ULONG::from(key.bits()) },
                key: Key::RsaPublic(key),
            }),
            KeyKind::Ec(_) => EcPublicKey::from_spki_der(spki)
                .map(|key| Self { numbers: PublicNumbers::Ec { point: octet_string(&key.point()) }, key: Key::EcPublic(key) }),
            KeyKind::Aes | KeyKind::Other(_) => return None,
        };
        parsed.inspect_err(|error| tracing::warn!("a public key from DSM cannot be used: {error}")).ok()
    }
}

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
            for object in objects_of(sobject, engine, handles) {
                let position = index.objects.len();
                index.by_handle.insert(object.handle, position);
                index.by_id.entry(object.id.clone()).or_default().push(position);
                index.by_label.entry(object.label().as_bytes().into()).or_default().push(position);
                index.objects.push(Arc::new(object));
            }
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

/// Handles of objects, kept over listings. Never used twice (trap 32).
#[derive(Default)]
pub(super) struct Handles(HashMap<(Uuid, Half), CK_OBJECT_HANDLE>);

impl Handles {
    fn of(&mut self, kid: Uuid, half: Half) -> CK_OBJECT_HANDLE {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        *self.0.entry((kid, half)).or_insert_with(|| NEXT.fetch_add(1, Relaxed))
    }

    /// Handles of private objects do not live beyond a logout (trap 20).
    pub(super) fn forget_private(&mut self) {
        self.0.retain(|(_, half), _| *half == Half::Public);
    }
}

/// The objects that a sobject shows: none for what this library has no use for, and for what has no material any more.
fn objects_of(sobject: &Arc<Sobject>, engine: &Accelerator, handles: &mut Handles) -> Vec<Object> {
    let (Some(kid), Some(kind)) = (sobject.kid, kind_of(sobject)) else { return Vec::new() };
    if matches!(sobject.state, SobjectState::Destroyed | SobjectState::Deleted) {
        return Vec::new();
    }
    let halves: &[Half] = match kind {
        KeyKind::Aes | KeyKind::Other(_) => &[Half::Secret],
        KeyKind::Rsa | KeyKind::Ec(_) if sobject.public_only => &[Half::Public],
        KeyKind::Rsa | KeyKind::Ec(_) => &[Half::Private, Half::Public],
    };
    let id = metadata(sobject, ID).and_then(decoded_id).unwrap_or_else(|| kid.as_bytes()[..].into());
    let object = |half| Object {
        handle: handles.of(kid, half),
        half,
        kind,
        kid,
        sobject: Arc::clone(sobject),
        id: id.clone(),
        public: OnceLock::new(),
        engine: engine.clone(),
    };
    halves.iter().copied().map(object).collect()
}

fn kind_of(sobject: &Sobject) -> Option<KeyKind> {
    Some(match sobject.obj_type {
        ObjectType::Aes => KeyKind::Aes,
        ObjectType::Des3 => KeyKind::Other(CKK_DES3),
        ObjectType::Hmac => KeyKind::Other(CKK_GENERIC_SECRET),
        ObjectType::Rsa => KeyKind::Rsa,
        ObjectType::Ec => KeyKind::Ec(match sobject.elliptic_curve? {
            EllipticCurve::NistP256 => Curve::P256,
            EllipticCurve::NistP384 => Curve::P384,
            EllipticCurve::NistP521 => Curve::P521,
            EllipticCurve::SecP256K1 => Curve::K256,
            _ => return None,
        }),
        _ => return None,
    })
}

fn metadata<'a>(sobject: &'a Sobject, key: &str) -> Option<&'a str> {
    sobject.custom_metadata.as_ref()?.get(key).map(String::as_str)
}

/// An id that is not base64, or empty, is as good as none: searches by id could not name it.
fn decoded_id(text: &str) -> Option<Box<[u8]>> {
    base64_simd::STANDARD.decode_to_vec(text).ok().filter(|id| !id.is_empty()).map(Vec::into_boxed_slice)
}

/// DER of an OCTET STRING of at most 65535 bytes.
fn octet_string(content: &[u8]) -> Vec<u8> {
    let mut der = vec![0x04];
    match content.len() {
        len @ 0..=0x7f => der.push(len as u8),
        len @ 0x80..=0xff => der.extend([0x81, len as u8]),
        len => der.extend([0x82, (len >> 8) as u8, len as u8]),
    }
    der.extend(content);
    der
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octet_strings_take_the_short_and_the_long_length() {
        assert_eq!(octet_string(&[7; 65])[..3], [4, 65, 7]);
        assert_eq!(octet_string(&[7; 133])[..4], [4, 0x81, 133, 7]);
        assert_eq!(octet_string(&[7; 300])[..5], [4, 0x82, 1, 44, 7]);
    }

    #[test]
    fn handles_outlive_listings_but_private_ones_not_a_logout() {
        let (mut handles, kid) = (Handles::default(), Uuid::nil());
        let (private, public) = (handles.of(kid, Half::Private), handles.of(kid, Half::Public));
        assert_ne!(private, public);
        assert_eq!(handles.of(kid, Half::Private), private);
        handles.forget_private();
        assert_eq!(handles.of(kid, Half::Public), public);
        assert!(handles.of(kid, Half::Private) > public);
    }
}
