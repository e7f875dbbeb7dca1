//! An object as every chapter sees it: a class, attributes, and for keys where the key is.

use cryptoki_sys::*;
use dsma_crypto::{Curve, MlDsaSet, MlKemSet};

use super::dsm::DsmObject;
use super::key::LocalKey;
use super::local::LocalObject;
use super::template::Attributes;
use crate::pkcs11::attributes::{Answer, Value};
use crate::pkcs11::{Error, Result};

/// The kinds of keys that this library knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pkcs11) enum KeyKind {
    /// CKK_AES.
    Aes,
    /// CKK_CHACHA20.
    ChaCha20,
    /// CKK_DES3, and CKK_DES2 where the key has 16 bytes.
    Des3,
    /// Bytes that no cipher of this library takes as they are: CKK_GENERIC_SECRET, CKK_SHA256_HMAC and its kin, CKK_HKDF.
    Secret(CK_KEY_TYPE),
    /// CKK_RSA.
    Rsa,
    /// CKK_EC.
    Ec(Curve),
    /// CKK_EC_EDWARDS.
    Ed25519,
    /// CKK_EC_MONTGOMERY.
    X25519,
    /// CKK_ML_DSA.
    MlDsa(MlDsaSet),
    /// CKK_ML_KEM.
    MlKem(MlKemSet),
}

impl KeyKind {
    /// CKA_KEY_TYPE. A triple DES key of two keys says CKK_DES2 itself.
    pub(in crate::pkcs11) const fn key_type(self) -> CK_KEY_TYPE {
        match self {
            Self::Aes => CKK_AES,
            Self::ChaCha20 => CKK_CHACHA20,
            Self::Des3 => CKK_DES3,
            Self::Secret(key_type) => key_type,
            Self::Rsa => CKK_RSA,
            Self::Ec(_) => CKK_EC,
            Self::Ed25519 => CKK_EC_EDWARDS,
            Self::X25519 => CKK_EC_MONTGOMERY,
            Self::MlDsa(_) => CKK_ML_DSA,
            Self::MlKem(_) => CKK_ML_KEM,
        }
    }

    /// Whether such a key is one secret, not a pair.
    pub(in crate::pkcs11) const fn is_secret(self) -> bool {
        matches!(self, Self::Aes | Self::ChaCha20 | Self::Des3 | Self::Secret(_))
    }
}

/// One object: shown by a sobject, or made in this process for a session.
pub(in crate::pkcs11) struct Object {
    pub(in crate::pkcs11) handle: CK_OBJECT_HANDLE,
    pub(in crate::pkcs11) body: Body,
}

/// Where an object lives.
pub(in crate::pkcs11) enum Body {
    /// In DSM.
    Dsm(DsmObject),
    /// In this process.
    Local(Box<LocalObject>),
}

/// Where the key of an object is: what a chapter that uses keys matches on. The usage attributes were checked before.
#[derive(Clone, Copy)]
pub(in crate::pkcs11) enum KeySource<'o> {
    /// A sobject: the engine works with it here where it may be exported, and forwards where not. DSM's policies hold.
    Dsm(&'o DsmObject),
    /// Key material of this process.
    Local(&'o LocalKey),
}

impl Object {
    /// CKA_CLASS.
    pub(in crate::pkcs11) fn class(&self) -> CK_OBJECT_CLASS {
        match &self.body {
            Body::Dsm(object) => object.class(),
            Body::Local(object) => object.class(),
        }
    }

    /// The kind of key; `None` for what is no key.
    pub(in crate::pkcs11) fn kind(&self) -> Option<KeyKind> {
        match &self.body {
            Body::Dsm(object) => object.kind,
            Body::Local(object) => object.key().map(LocalKey::kind),
        }
    }

    /// CKA_VALUE_LEN; `None` for what is no secret key.
    pub(in crate::pkcs11) fn value_len(&self) -> Option<usize> {
        match &self.body {
            Body::Dsm(object) => object.value_len(),
            Body::Local(object) => object.key().and_then(LocalKey::secret_bytes).map(<[u8]>::len),
        }
    }

    /// Where the key is.
    ///
    /// # Errors
    /// [`Error::KeyHandleInvalid`] for what is no key.
    pub(in crate::pkcs11) fn source(&self) -> Result<KeySource<'_>> {
        match &self.body {
            Body::Dsm(object) if object.kind.is_some() => Ok(KeySource::Dsm(object)),
            Body::Dsm(_) => Err(Error::KeyHandleInvalid),
            Body::Local(object) => object.key().map(KeySource::Local).ok_or(Error::KeyHandleInvalid),
        }
    }

    /// Whether it is in DSM (CKA_TOKEN).
    pub(in crate::pkcs11) const fn is_token(&self) -> bool {
        matches!(self.body, Body::Dsm(_))
    }

    /// Whether it is seen only by a user who is logged in (CKA_PRIVATE).
    pub(in crate::pkcs11) fn is_private(&self) -> bool {
        match &self.body {
            Body::Dsm(object) => object.is_private(),
            Body::Local(object) => object.is_private(),
        }
    }

    /// Any attribute.
    pub(in crate::pkcs11) fn attribute(&self, kind: CK_ATTRIBUTE_TYPE) -> Answer<'_> {
        match &self.body {
            Body::Dsm(object) => object.attribute(kind),
            Body::Local(object) => object.attribute(kind),
        }
    }

    /// Gets from DSM what CKA_VALUE shows, where it may be read.
    ///
    /// # Errors
    /// What DSM says.
    pub(in crate::pkcs11) fn fetch(&self) -> Result {
        match &self.body {
            Body::Dsm(object) => object.fetch_for(CKA_VALUE),
            Body::Local(_) => Ok(()),
        }
    }

    /// Whether the attribute is there and true.
    pub(in crate::pkcs11) fn is_true(&self, kind: CK_ATTRIBUTE_TYPE) -> bool {
        matches!(self.attribute(kind), Answer::Value(Value::Flag(CK_TRUE)))
    }

    /// Whether CKA_ALLOWED_MECHANISMS, where it is there, names the mechanism (trap 24).
    pub(in crate::pkcs11) fn allows_mechanism(&self, mechanism: CK_MECHANISM_TYPE) -> bool {
        self.said().is_none_or(|said| said.allows_mechanism(mechanism))
    }

    /// Whether each use of the key needs its user's PIN (CKA_ALWAYS_AUTHENTICATE).
    pub(in crate::pkcs11) fn asks_each_time(&self) -> bool {
        self.class() == CKO_PRIVATE_KEY && self.said().is_some_and(|said| said.flag(CKA_ALWAYS_AUTHENTICATE) == Some(true))
    }

    /// Attributes in an attribute: CKA_WRAP_TEMPLATE and its kin. `None` where nobody set them.
    pub(in crate::pkcs11) fn template(&self, kind: CK_ATTRIBUTE_TYPE) -> Option<Attributes> {
        self.said()?.template(kind)
    }

    /// Whether it has all these attributes, with these values.
    pub(in crate::pkcs11) fn has_all(&self, wanted: &Attributes) -> bool {
        let has = |kind, value: &[u8]| matches!(self.attribute(kind), Answer::Value(own) if own.as_bytes() == value);
        wanted.iter().all(|(kind, value)| has(kind, value))
    }

    /// What somebody said of it, beside what its key tells.
    fn said(&self) -> Option<&Attributes> {
        match &self.body {
            Body::Dsm(object) => object.extra(),
            Body::Local(object) => Some(object.attributes()),
        }
    }

    /// SubjectPublicKeyInfo of a key pair, from either half, where it is known.
    pub(in crate::pkcs11) fn spki(&self) -> Option<Vec<u8>> {
        match &self.body {
            Body::Dsm(object) => object.public().and_then(LocalKey::spki),
            Body::Local(object) => object.key().and_then(LocalKey::spki),
        }
    }

    /// Length of an RSA key's modulus in bytes; 0 for other keys.
    pub(in crate::pkcs11) fn modulus_len(&self) -> usize {
        match &self.body {
            Body::Dsm(object) => object.modulus_len(),
            Body::Local(object) => object.key().map_or(0, LocalKey::modulus_len),
        }
    }
}
