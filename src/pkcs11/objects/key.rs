//! A key in this process, parsed: of a session object, or the public half of a sobject.

use cryptoki_sys::*;
use dsma_core::PointEncoding;
use dsma_crypto::{
    AesKey, ChaCha20Key, Curve, Des3Key, EcPrivateKey, EcPublicKey, Ed25519PrivateKey, Ed25519PublicKey, Error as Crypto, HmacKey, Key,
    MlDsaPrivateKey, MlDsaPublicKey, MlKemPrivateKey, MlKemPublicKey, RsaPrivateKey, RsaPublicKey, X25519PrivateKey, X25519PublicKey,
};
use zeroize::Zeroizing;

use super::KeyKind;
use crate::pkcs11::{Error, Result, der};

/// OBJECT IDENTIFIER of Ed25519 (RFC 8410), as CKA_EC_PARAMS.
pub(in crate::pkcs11) const ED25519_PARAMS: &[u8] = &[0x06, 0x03, 0x2b, 0x65, 0x70];
/// OBJECT IDENTIFIER of X25519.
pub(in crate::pkcs11) const X25519_PARAMS: &[u8] = &[0x06, 0x03, 0x2b, 0x65, 0x6e];

/// Bytes of the longest RSA modulus: 8192 bits.
const LONGEST_MODULUS: usize = 1024;

/// Key material with its parsed form. It shows nothing of its content; the memory is overwritten when it is dropped.
pub(in crate::pkcs11) struct LocalKey {
    kind: KeyKind,
    prepared: Prepared,
    /// The bytes of a secret key.
    secret: Option<Zeroizing<Vec<u8>>>,
}

/// The parsed form.
#[allow(clippy::large_enum_variant, reason = "most keys are of the large kind")]
pub(in crate::pkcs11) enum Prepared {
    /// AES, triple DES, HMAC, RSA, EC, Ed25519; private or public. A generic secret is an HMAC key.
    Key(Key),
    /// For agreement.
    X25519(X25519PrivateKey),
    /// The peer's.
    X25519Public(X25519PublicKey),
    /// For signatures.
    MlDsa(MlDsaPrivateKey),
    /// For their verification.
    MlDsaPublic(MlDsaPublicKey),
    /// For decapsulation.
    MlKem(MlKemPrivateKey),
    /// For encapsulation.
    MlKemPublic(MlKemPublicKey),
}

impl LocalKey {
    /// A secret key of this type.
    ///
    /// # Errors
    /// [`Error::KeySizeRange`] where the length does not fit, [`Error::TemplateInconsistent`] for a type that is no secret key's here.
    pub(in crate::pkcs11) fn secret(key_type: CK_KEY_TYPE, bytes: &[u8]) -> Result<Self> {
        let (kind, key) = match key_type {
            CKK_AES => (KeyKind::Aes, AesKey::from_bytes(bytes).map(Key::Aes)),
            CKK_DES2 if bytes.len() != 16 => return Err(Error::KeySizeRange),
            CKK_DES3 if bytes.len() != 24 => return Err(Error::KeySizeRange),
            CKK_DES2 | CKK_DES3 => (KeyKind::Des3, Des3Key::from_bytes(bytes).map(Key::Des3)),
            CKK_CHACHA20 => (KeyKind::ChaCha20, ChaCha20Key::from_bytes(bytes).map(Key::ChaCha20)),
            _ if is_secret_type(key_type) => (KeyKind::Secret(key_type), HmacKey::from_bytes(bytes).map(Key::Hmac)),
            _ => return Err(Error::TemplateInconsistent),
        };
        let key = key.map_err(|_| Error::KeySizeRange)?;
        Ok(Self { kind, prepared: Prepared::Key(key), secret: Some(Zeroizing::new(bytes.to_vec())) })
    }

    /// A private key of this type from PKCS #8 (PKCS #1 and SEC1 will do).
    ///
    /// # Errors
    /// [`Error::AttributeValueInvalid`] where it is no such key.
    pub(in crate::pkcs11) fn private(key_type: CK_KEY_TYPE, der: &[u8]) -> Result<Self> {
        let (kind, prepared) = match key_type {
            CKK_RSA => (KeyKind::Rsa, RsaPrivateKey::from_der(der).map(|key| Prepared::Key(Key::Rsa(key)))),
            CKK_EC => {
                let key = EcPrivateKey::from_der(der).map_err(refused)?;
                (KeyKind::Ec(key.curve()), Ok(Prepared::Key(Key::Ec(key))))
            }
            CKK_EC_EDWARDS => (KeyKind::Ed25519, Ed25519PrivateKey::from_der(der).map(|key| Prepared::Key(Key::Ed25519(key)))),
            CKK_EC_MONTGOMERY => (KeyKind::X25519, X25519PrivateKey::from_der(der).map(Prepared::X25519)),
            CKK_ML_DSA => {
                let key = MlDsaPrivateKey::from_der(der).map_err(refused)?;
                (KeyKind::MlDsa(key.set()), Ok(Prepared::MlDsa(key)))
            }
            CKK_ML_KEM => {
                let key = MlKemPrivateKey::from_der(der).map_err(refused)?;
                (KeyKind::MlKem(key.set()), Ok(Prepared::MlKem(key)))
            }
            _ => return Err(Error::TemplateInconsistent),
        };
        Self { kind, prepared: prepared.map_err(refused)?, secret: None }.of_fair_size()
    }

    /// A public key of this type from SubjectPublicKeyInfo.
    ///
    /// # Errors
    /// As [`LocalKey::private`].
    pub(in crate::pkcs11) fn public(key_type: CK_KEY_TYPE, spki: &[u8]) -> Result<Self> {
        let (kind, prepared) = match key_type {
            CKK_RSA => (KeyKind::Rsa, RsaPublicKey::from_der(spki).map(|key| Prepared::Key(Key::RsaPublic(key)))),
            CKK_EC => {
                let key = EcPublicKey::from_spki_der(spki).map_err(refused)?;
                (KeyKind::Ec(key.curve()), Ok(Prepared::Key(Key::EcPublic(key))))
            }
            CKK_EC_EDWARDS => (KeyKind::Ed25519, Ed25519PublicKey::from_spki_der(spki).map(|key| Prepared::Key(Key::Ed25519Public(key)))),
            CKK_EC_MONTGOMERY => (KeyKind::X25519, X25519PublicKey::from_spki_der(spki).map(Prepared::X25519Public)),
            CKK_ML_DSA => {
                let key = MlDsaPublicKey::from_spki_der(spki).map_err(refused)?;
                (KeyKind::MlDsa(key.set()), Ok(Prepared::MlDsaPublic(key)))
            }
            CKK_ML_KEM => {
                let key = MlKemPublicKey::from_spki_der(spki).map_err(refused)?;
                (KeyKind::MlKem(key.set()), Ok(Prepared::MlKemPublic(key)))
            }
            _ => return Err(Error::TemplateInconsistent),
        };
        Self { kind, prepared: prepared.map_err(refused)?, secret: None }.of_fair_size()
    }

    /// The public half of a private key.
    ///
    /// # Errors
    /// [`Error::TemplateInconsistent`] for a secret key.
    pub(in crate::pkcs11) fn to_public(&self) -> Result<Self> {
        Self::public(self.kind.key_type(), &self.spki().ok_or(Error::TemplateInconsistent)?)
    }

    /// The kind of key.
    pub(in crate::pkcs11) const fn kind(&self) -> KeyKind {
        self.kind
    }

    /// The parsed form.
    pub(in crate::pkcs11) const fn prepared(&self) -> &Prepared {
        &self.prepared
    }

    /// The key for encryption, signatures and authentication codes.
    ///
    /// # Errors
    /// [`Error::KeyTypeInconsistent`] for X25519, ML-DSA and ML-KEM: see [`LocalKey::prepared`].
    pub(in crate::pkcs11) const fn key(&self) -> Result<&Key> {
        match &self.prepared {
            Prepared::Key(key) => Ok(key),
            _ => Err(Error::KeyTypeInconsistent),
        }
    }

    /// The bytes of a secret key, whether CKA_VALUE shows them or not.
    pub(in crate::pkcs11) fn secret_bytes(&self) -> Option<&[u8]> {
        self.secret.as_deref().map(Vec::as_slice)
    }

    /// A private key as PKCS #8.
    ///
    /// # Errors
    /// [`Error::KeyTypeInconsistent`] for a key that is not private.
    pub(in crate::pkcs11) fn pkcs8(&self) -> Result<Zeroizing<Vec<u8>>> {
        match &self.prepared {
            Prepared::Key(Key::Rsa(key)) => key.to_pkcs8_der(),
            Prepared::Key(Key::Ec(key)) => key.to_pkcs8_der(),
            Prepared::Key(Key::Ed25519(key)) => Ok(key.to_pkcs8_der()),
            Prepared::X25519(key) => Ok(key.to_pkcs8_der()),
            Prepared::MlDsa(key) => key.to_pkcs8_der(),
            Prepared::MlKem(key) => key.to_pkcs8_der(),
            _ => return Err(Error::KeyTypeInconsistent),
        }
        .map_err(|_| Error::FunctionFailed)
    }

    /// SubjectPublicKeyInfo of a key pair, from either half.
    pub(in crate::pkcs11) fn spki(&self) -> Option<Vec<u8>> {
        Some(match &self.prepared {
            Prepared::Key(key) => match key.public()? {
                Key::RsaPublic(key) => key.to_spki_der(),
                Key::EcPublic(key) => key.to_spki_der(),
                Key::Ed25519Public(key) => key.to_spki_der(),
                _ => return None,
            },
            Prepared::X25519(key) => key.public().to_spki_der(),
            Prepared::X25519Public(key) => key.to_spki_der(),
            Prepared::MlDsa(key) => key.public().to_spki_der(),
            Prepared::MlDsaPublic(key) => key.to_spki_der(),
            Prepared::MlKem(key) => key.public().to_spki_der(),
            Prepared::MlKemPublic(key) => key.to_spki_der(),
        })
    }

    /// Length of an RSA modulus in bytes; 0 for other keys.
    pub(in crate::pkcs11) fn modulus_len(&self) -> usize {
        match &self.prepared {
            Prepared::Key(Key::Rsa(key)) => key.modulus_len(),
            Prepared::Key(Key::RsaPublic(key)) => key.modulus_len(),
            _ => 0,
        }
    }

    /// What C_GetMechanismInfo says of RSA, and what a signature has room for.
    fn of_fair_size(self) -> Result<Self> {
        if self.modulus_len() > LONGEST_MODULUS { Err(Error::KeySizeRange) } else { Ok(self) }
    }

    /// Estimate of the memory that it takes, in bytes.
    pub(in crate::pkcs11) fn memory_size(&self) -> usize {
        let prepared = match &self.prepared {
            Prepared::Key(key) => key.memory_size(),
            // Expanded lattice keys have a few thousand bytes.
            Prepared::MlDsa(_) | Prepared::MlKem(_) => 16 << 10,
            _ => 4 << 10,
        };
        size_of::<Self>() + prepared + self.secret.as_ref().map_or(0, |secret| secret.len())
    }

    /// A public number in the standard's form (traps 27 and 28): from a private key too, because OpenSSL's pkcs11-provider and libp11
    /// look for them there.
    pub(in crate::pkcs11) fn public_number(&self, kind: CK_ATTRIBUTE_TYPE) -> Option<Vec<u8>> {
        match (kind, self.kind) {
            (CKA_EC_PARAMS, KeyKind::Ec(curve)) => return Some(curve.oid_der().to_vec()),
            (CKA_EC_PARAMS, KeyKind::Ed25519) => return Some(ED25519_PARAMS.to_vec()),
            (CKA_EC_PARAMS, KeyKind::X25519) => return Some(X25519_PARAMS.to_vec()),
            (CKA_PARAMETER_SET, kind) => return parameter_set(kind).map(|set| set.to_ne_bytes().to_vec()),
            (CKA_PUBLIC_KEY_INFO, _) => return self.spki(),
            _ => {}
        }
        match &self.prepared {
            Prepared::Key(key) => match (kind, key.public()?) {
                (CKA_MODULUS, Key::RsaPublic(key)) => Some(key.modulus()),
                (CKA_PUBLIC_EXPONENT, Key::RsaPublic(key)) => Some(key.public_exponent()),
                (CKA_MODULUS_BITS, Key::RsaPublic(key)) => Some(CK_ULONG::from(key.bits()).to_ne_bytes().to_vec()),
                (CKA_EC_POINT, Key::EcPublic(key)) => Some(der::octet_string(&key.point()).to_vec()),
                (CKA_EC_POINT, Key::Ed25519Public(key)) => Some(key.as_bytes().to_vec()),
                _ => None,
            },
            Prepared::X25519(key) if kind == CKA_EC_POINT => Some(key.public().as_bytes().to_vec()),
            Prepared::X25519Public(key) if kind == CKA_EC_POINT => Some(key.as_bytes().to_vec()),
            Prepared::MlDsaPublic(key) if kind == CKA_VALUE => key.to_bytes().ok(),
            Prepared::MlKemPublic(key) if kind == CKA_VALUE => key.to_bytes().ok(),
            _ => None,
        }
    }

    /// The same as a token with this setting shows it.
    pub(in crate::pkcs11) fn shown_number(&self, kind: CK_ATTRIBUTE_TYPE, points: PointEncoding) -> Option<Vec<u8>> {
        let number = self.public_number(kind)?;
        let is_short = matches!(self.kind, KeyKind::Ed25519 | KeyKind::X25519);
        Some(if kind == CKA_EC_POINT && is_short && points == PointEncoding::Der { der::octet_string(&number).to_vec() } else { number })
    }

    /// A secret number in the standard's form: for a key that may be read, and for nobody else.
    pub(in crate::pkcs11) fn secret_number(&self, kind: CK_ATTRIBUTE_TYPE) -> Option<Zeroizing<Vec<u8>>> {
        let owned = |bytes: &[u8]| Zeroizing::new(bytes.to_vec());
        match (&self.prepared, kind) {
            (_, CKA_VALUE) if self.secret.is_some() => self.secret.clone(),
            (Prepared::Key(Key::Rsa(key)), _) => {
                // PKCS #1: version, n, e, d, p, q, d mod p-1, d mod q-1, 1/q mod p.
                let position = match kind {
                    CKA_PRIVATE_EXPONENT => 3,
                    CKA_PRIME_1 => 4,
                    CKA_PRIME_2 => 5,
                    CKA_EXPONENT_1 => 6,
                    CKA_EXPONENT_2 => 7,
                    CKA_COEFFICIENT => 8,
                    _ => return None,
                };
                der::read_sequence(&key.to_pkcs1_der())?.get(position).map(|number| owned(number))
            }
            (Prepared::Key(Key::Ec(key)), CKA_VALUE) => der::read_sequence(&key.to_sec1_der())?.get(1).map(|number| owned(number)),
            (Prepared::Key(Key::Ed25519(key)), CKA_VALUE) => key.to_pkcs8_der().last_chunk::<32>().map(|seed| owned(seed)),
            (Prepared::X25519(key), CKA_VALUE) => key.to_pkcs8_der().last_chunk::<32>().map(|seed| owned(seed)),
            (Prepared::MlDsa(key), CKA_VALUE) => key.to_expanded().ok(),
            (Prepared::MlDsa(key), CKA_SEED) => seed(&key.to_pkcs8_der().ok()?, 32),
            (Prepared::MlKem(key), CKA_VALUE) => key.to_expanded().ok(),
            (Prepared::MlKem(key), CKA_SEED) => seed(&key.to_pkcs8_der().ok()?, 64),
            _ => None,
        }
    }
}

/// CKA_PARAMETER_SET of a lattice key.
pub(in crate::pkcs11) const fn parameter_set(kind: KeyKind) -> Option<CK_ULONG> {
    use dsma_crypto::{MlDsaSet, MlKemSet};
    Some(match kind {
        KeyKind::MlDsa(MlDsaSet::MlDsa44) => CKP_ML_DSA_44,
        KeyKind::MlDsa(MlDsaSet::MlDsa65) => CKP_ML_DSA_65,
        KeyKind::MlDsa(MlDsaSet::MlDsa87) => CKP_ML_DSA_87,
        KeyKind::MlKem(MlKemSet::MlKem512) => CKP_ML_KEM_512,
        KeyKind::MlKem(MlKemSet::MlKem768) => CKP_ML_KEM_768,
        KeyKind::MlKem(MlKemSet::MlKem1024) => CKP_ML_KEM_1024,
        _ => return None,
    })
}

/// The curve of CKA_EC_PARAMS: a named one, by its OBJECT IDENTIFIER or, on Curve25519, by the name that the standard's version 2.40
/// gave it.
pub(in crate::pkcs11) fn curve(key_type: CK_KEY_TYPE, params: &[u8]) -> Option<KeyKind> {
    match key_type {
        CKK_EC => [Curve::P256, Curve::P384, Curve::P521, Curve::K256].into_iter().find(|curve| curve.oid_der() == params).map(KeyKind::Ec),
        CKK_EC_EDWARDS if params == ED25519_PARAMS || params == b"\x13\x0cedwards25519" => Some(KeyKind::Ed25519),
        CKK_EC_MONTGOMERY if params == X25519_PARAMS || params == b"\x13\x0acurve25519" => Some(KeyKind::X25519),
        _ => None,
    }
}

/// Types of secret keys whose material is any bytes.
pub(in crate::pkcs11) const fn is_secret_type(key_type: CK_KEY_TYPE) -> bool {
    matches!(
        key_type,
        CKK_GENERIC_SECRET
            | CKK_HKDF
            | CKK_SHA_1_HMAC
            | CKK_SHA224_HMAC
            | CKK_SHA256_HMAC
            | CKK_SHA384_HMAC
            | CKK_SHA512_HMAC
            | CKK_SHA3_224_HMAC
            | CKK_SHA3_256_HMAC
            | CKK_SHA3_384_HMAC
            | CKK_SHA3_512_HMAC
    )
}

/// PKCS #8 with a seed alone ends with it and has 22 bytes before.
fn seed(pkcs8: &[u8], len: usize) -> Option<Zeroizing<Vec<u8>>> {
    (pkcs8.len() == len + 22).then(|| Zeroizing::new(pkcs8[22..].to_vec()))
}

fn refused(error: Crypto) -> Error {
    match error {
        Crypto::Unsupported => Error::CurveNotSupported,
        _ => Error::AttributeValueInvalid,
    }
}
