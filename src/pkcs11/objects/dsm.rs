//! An object that a sobject of DSM shows.

use std::sync::{Arc, OnceLock};

use cryptoki_sys::*;
use dsma_api::{EllipticCurve, KeyFacts, ObjectType, Operation, Permissions, Sobject, SobjectState, Time, authorize};
use dsma_core::{Accelerator, KeyRef};
use dsma_crypto::Curve;
use uuid::Uuid;

use super::key::LocalKey;
use super::{KeyKind, lattice};
use crate::pkcs11::error::During;
use crate::pkcs11::{Error, Result};

/// Metadata of a sobject that sets its CKA_LABEL.
const LABEL: &str = "pkcs11_label";
/// Metadata of a sobject that sets its CKA_ID, in base64.
const ID: &str = "pkcs11_id";

/// Which object of a sobject: one for a secret key, two for a key pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::pkcs11) enum Part {
    /// All of a secret key.
    Secret,
    /// The private key of a pair.
    Private,
    /// The public key of a pair.
    Public,
}

/// One object of a sobject.
pub(in crate::pkcs11) struct DsmObject {
    pub(in crate::pkcs11) part: Part,
    /// The kind of key; `None` for what is no key.
    pub(in crate::pkcs11) kind: Option<KeyKind>,
    pub(in crate::pkcs11) kid: Uuid,
    pub(in crate::pkcs11) sobject: Arc<Sobject>,
    id: Box<[u8]>,
    /// Parsed when first asked for: a token may hold thousands of keys of which one is used.
    public: OnceLock<Option<LocalKey>>,
    engine: Accelerator,
}

impl DsmObject {
    /// The objects that a sobject shows: none for what this library has no use for, and for what has no material any more.
    pub(in crate::pkcs11) fn of<'s>(sobject: &'s Arc<Sobject>, engine: &'s Accelerator) -> impl Iterator<Item = Self> + use<'s> {
        let known = sobject.kid.zip(kind_of(sobject)).filter(|_| !matches!(sobject.state, SobjectState::Destroyed | SobjectState::Deleted));
        let parts: &[Part] = match known {
            None => &[],
            Some((_, kind)) if kind.is_secret() => &[Part::Secret],
            Some(_) if sobject.public_only => &[Part::Public],
            Some(_) => &[Part::Private, Part::Public],
        };
        parts.iter().zip(known.into_iter().cycle()).map(move |(part, (kid, kind))| Self {
            part: *part,
            kind: Some(kind),
            kid,
            sobject: Arc::clone(sobject),
            id: metadata(sobject, ID).and_then(decoded_id).unwrap_or_else(|| kid.as_bytes()[..].into()),
            public: OnceLock::new(),
            engine: engine.clone(),
        })
    }

    /// CKA_CLASS.
    pub(in crate::pkcs11) const fn class(&self) -> CK_OBJECT_CLASS {
        match self.part {
            Part::Secret => CKO_SECRET_KEY,
            Part::Private => CKO_PRIVATE_KEY,
            Part::Public => CKO_PUBLIC_KEY,
        }
    }

    /// Whether it is seen only by a user who is logged in.
    pub(in crate::pkcs11) fn is_private(&self) -> bool {
        self.part != Part::Public
    }

    /// CKA_LABEL.
    pub(in crate::pkcs11) fn label(&self) -> &str {
        metadata(&self.sobject, LABEL).or(self.sobject.name.as_deref()).unwrap_or_default()
    }

    /// CKA_ID.
    pub(in crate::pkcs11) fn id(&self) -> &[u8] {
        &self.id
    }

    /// What the object's description takes in bytes, roughly; DSM's own storage is not to be known.
    pub(super) fn size(&self) -> usize {
        let public = self.sobject.pub_key.as_ref().map_or(0, |spki| spki.as_ref().len());
        let key = self.sobject.key_size.map_or(0, |bits| bits as usize / 8);
        self.label().len() + self.id.len() + public + key
    }

    /// The engine that knows the key.
    pub(in crate::pkcs11) const fn engine(&self) -> &Accelerator {
        &self.engine
    }

    /// Names the key to the engine.
    pub(in crate::pkcs11) const fn key_ref(&self) -> KeyRef {
        KeyRef::Kid(self.kid)
    }

    /// The public half; none for a secret key, or where DSM does not show it.
    pub(in crate::pkcs11) fn public(&self) -> Option<&LocalKey> {
        let parse = || {
            let spki = self.sobject.pub_key.as_ref()?;
            let parsed = LocalKey::public(self.kind.filter(|kind| !kind.is_secret())?.key_type(), spki.as_ref());
            parsed.inspect_err(|error| tracing::warn!(code = error.code(), "a public key from DSM cannot be used")).ok()
        };
        self.public.get_or_init(parse).as_ref()
    }

    /// The public half to work with: needs no export and no network. `None` where the engine has to decide, because `policy`, the key's
    /// own on paddings, is not known to allow the use, or because there is no usable public key.
    ///
    /// # Errors
    /// Key operations, state or dates forbid `operation`.
    pub(in crate::pkcs11) fn usable_public(
        &self,
        operation: Operation,
        policy: impl FnOnce(&Sobject) -> bool,
    ) -> Result<Option<&LocalKey>> {
        if self.part != Part::Public {
            return Ok(None);
        }
        authorize(operation, Some(Permissions::all()), &KeyFacts::from(&*self.sobject), Time::now())
            .map_err(|refusal| Error::from_engine(&refusal.into(), During::Protect))?;
        Ok(self.public().filter(|_| policy(&self.sobject)))
    }

    /// Length of an RSA key's modulus in bytes.
    pub(in crate::pkcs11) fn modulus_len(&self) -> usize {
        match self.public().map(LocalKey::modulus_len) {
            Some(len) if len != 0 => len,
            _ => self.sobject.key_size.map_or(0, |bits| bits.div_ceil(8) as usize),
        }
    }
}

fn kind_of(sobject: &Sobject) -> Option<KeyKind> {
    Some(match sobject.obj_type {
        ObjectType::Aes => KeyKind::Aes,
        ObjectType::Des3 => KeyKind::Des3,
        ObjectType::Hmac => KeyKind::Secret(CKK_GENERIC_SECRET),
        ObjectType::Rsa => KeyKind::Rsa,
        ObjectType::Mldsa => KeyKind::MlDsa(lattice::ml_dsa(sobject.mldsa?.param_set)),
        ObjectType::Mlkem => KeyKind::MlKem(lattice::ml_kem(sobject.mlkem?.param_set)),
        ObjectType::Ec => match sobject.elliptic_curve? {
            EllipticCurve::NistP256 => KeyKind::Ec(Curve::P256),
            EllipticCurve::NistP384 => KeyKind::Ec(Curve::P384),
            EllipticCurve::NistP521 => KeyKind::Ec(Curve::P521),
            EllipticCurve::SecP256K1 => KeyKind::Ec(Curve::K256),
            EllipticCurve::Ed25519 => KeyKind::Ed25519,
            EllipticCurve::X25519 => KeyKind::X25519,
            _ => return None,
        },
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
