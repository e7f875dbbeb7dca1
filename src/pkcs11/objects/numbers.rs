//! Keys from the numbers of a template (C_CreateObject), put into the encodings that the key parsers check.

use cryptoki_sys::*;
use dsma_core::Peer;
use dsma_crypto::{
    Curve, EcPublicKey, Ed25519PrivateKey, Ed25519PublicKey, Error as Crypto, MlDsaPrivateKey, MlDsaPublicKey, MlDsaSet, MlKemPrivateKey,
    MlKemPublicKey, MlKemSet, RsaPrivateKey, X25519PrivateKey, X25519PublicKey,
};
use zeroize::Zeroizing;

use super::key::{LocalKey, curve};
use super::template::Attributes;
use super::{KeyKind, der};
use crate::pkcs11::{Error, Result};

/// OBJECT IDENTIFIER id-ecPublicKey (RFC 5480).
const EC_PUBLIC_KEY: &[u8] = &[0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];

/// The key that a template of this class describes.
///
/// # Errors
/// [`Error::TemplateIncomplete`] where a number is missing, [`Error::AttributeValueInvalid`] where one is no such number,
/// [`Error::TemplateInconsistent`] where they do not belong together, [`Error::CurveNotSupported`].
pub(super) fn key(class: CK_OBJECT_CLASS, key_type: CK_KEY_TYPE, template: &Attributes) -> Result<LocalKey> {
    match class {
        CKO_SECRET_KEY => LocalKey::secret(key_type, required(template, CKA_VALUE)?).map_err(|error| match error {
            Error::KeySizeRange => Error::AttributeValueInvalid,
            error => error,
        }),
        CKO_PRIVATE_KEY => private(key_type, template),
        _ => public(key_type, template),
    }
}

fn private(key_type: CK_KEY_TYPE, template: &Attributes) -> Result<LocalKey> {
    let der = match key_type {
        CKK_RSA => rsa_private(template)?,
        CKK_EC => {
            let curve = named_curve(key_type, template)?;
            ec_private(curve, required(template, CKA_VALUE)?)?
        }
        CKK_EC_EDWARDS | CKK_EC_MONTGOMERY => {
            named_curve(key_type, template)?;
            let value = required(template, CKA_VALUE)?.try_into().map_err(|_| Error::AttributeValueInvalid)?;
            match key_type {
                CKK_EC_EDWARDS => Ed25519PrivateKey::from_seed(value).to_pkcs8_der(),
                _ => X25519PrivateKey::from_bytes(value).to_pkcs8_der(),
            }
        }
        CKK_ML_DSA => ml_dsa_private(template)?,
        CKK_ML_KEM => ml_kem_private(template)?,
        _ => return Err(Error::AttributeValueInvalid),
    };
    LocalKey::private(key_type, &der).map_err(|error| match (key_type, error) {
        // Each number was one; together they are no key.
        (CKK_RSA, Error::AttributeValueInvalid) => Error::TemplateInconsistent,
        (_, error) => error,
    })
}

fn public(key_type: CK_KEY_TYPE, template: &Attributes) -> Result<LocalKey> {
    let spki = match key_type {
        CKK_RSA => {
            let numbers = [CKA_MODULUS, CKA_PUBLIC_EXPONENT].map(|kind| required(template, kind).map(der::integer));
            let [modulus, exponent] = numbers;
            der::sequence(&[&modulus?, &exponent?]).to_vec()
        }
        CKK_EC => {
            let curve = named_curve(key_type, template)?;
            ec_public(curve, point_on(curve, required(template, CKA_EC_POINT)?))
        }
        CKK_EC_EDWARDS | CKK_EC_MONTGOMERY => {
            named_curve(key_type, template)?;
            let point = point_of(SHORT_POINT, required(template, CKA_EC_POINT)?).try_into().map_err(|_| Error::AttributeValueInvalid)?;
            match key_type {
                CKK_EC_EDWARDS => Ed25519PublicKey::from_bytes(point).to_spki_der(),
                _ => X25519PublicKey::from_bytes(point).to_spki_der(),
            }
        }
        CKK_ML_DSA => {
            let key = MlDsaPublicKey::from_bytes(ml_dsa_set(template)?, required(template, CKA_VALUE)?);
            key.map_err(|_| Error::AttributeValueInvalid)?.to_spki_der()
        }
        CKK_ML_KEM => {
            let key = MlKemPublicKey::from_bytes(ml_kem_set(template)?, required(template, CKA_VALUE)?);
            key.map_err(|_| Error::AttributeValueInvalid)?.to_spki_der()
        }
        _ => return Err(Error::AttributeValueInvalid),
    };
    LocalKey::public(key_type, &spki)
}

/// PKCS #1's RSAPrivateKey. The standard asks for modulus and exponents alone (section 6.1.3): the primes follow from them.
fn rsa_private(template: &Attributes) -> Result<Zeroizing<Vec<u8>>> {
    let modulus = required(template, CKA_MODULUS)?;
    let [public, private] = [CKA_PUBLIC_EXPONENT, CKA_PRIVATE_EXPONENT].map(|kind| required(template, kind));
    let (public, private) = (public?, private?);
    let rest = [CKA_PRIME_1, CKA_PRIME_2, CKA_EXPONENT_1, CKA_EXPONENT_2, CKA_COEFFICIENT].map(|kind| template.get(kind));
    if rest.iter().any(Option::is_none) {
        return rsa_without_primes([modulus, public, private], [rest[0], rest[1]]);
    }
    let numbers = [Some(&[][..]), Some(modulus), Some(public), Some(private)].into_iter().chain(rest).flatten().map(der::integer);
    let numbers: Vec<_> = numbers.collect();
    let elements: Vec<&[u8]> = numbers.iter().map(|number| number.as_slice()).collect();
    Ok(der::sequence(&elements))
}

/// The same where numbers are missing; a prime that is there must be one of those that are found.
fn rsa_without_primes([modulus, public, private]: [&[u8]; 3], primes: [Option<&[u8]>; 2]) -> Result<Zeroizing<Vec<u8>>> {
    let [modulus, public, private] = [modulus, public, private].map(der::without_zeros);
    let key = RsaPrivateKey::from_exponents(modulus, public, private).map_err(|error| match error {
        Crypto::Unsupported => {
            tracing::warn!(
                "the primes of an RSA key are found for public exponents from 65537 on alone: give CKA_PRIME_1 to CKA_COEFFICIENT"
            );
            Error::TemplateIncomplete
        }
        _ => Error::TemplateInconsistent,
    })?;
    let der = key.to_pkcs1_der();
    let found = der::read_sequence(&der).and_then(|numbers| Some([*numbers.get(4)?, *numbers.get(5)?])).ok_or(Error::GeneralError)?;
    if primes.into_iter().flatten().any(|prime| !found.contains(&der::without_zeros(prime))) {
        return Err(Error::TemplateInconsistent);
    }
    Ok(der)
}

/// SEC1's ECPrivateKey without the public key, which the parser computes.
fn ec_private(curve: Curve, value: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
    let (digits, len) = (der::without_zeros(value), curve.coordinate_len());
    let zeros = len.checked_sub(digits.len()).ok_or(Error::AttributeValueInvalid)?;
    let mut scalar = Zeroizing::new(vec![0; len]);
    scalar[zeros..].copy_from_slice(digits);
    let params = der::tagged(0xa0, curve.oid_der());
    Ok(der::sequence(&[&der::integer(&[1]), &der::octet_string(&scalar), &params]))
}

/// SubjectPublicKeyInfo (RFC 5480).
fn ec_public(curve: Curve, point: &[u8]) -> Vec<u8> {
    let algorithm = der::sequence(&[EC_PUBLIC_KEY, curve.oid_der()]);
    der::sequence(&[&algorithm, &der::bit_string(point)]).to_vec()
}

/// Bytes of a point on Curve25519.
const SHORT_POINT: usize = 32;

/// CKA_EC_POINT: DER on Weierstrass curves, raw bytes on the others by version 3 of the standard, and either in the field (trap 27). What
/// is as long as the point is the point: it may look like DER by its first bytes.
fn point_of(len: usize, value: &[u8]) -> &[u8] {
    if value.len() == len { value } else { der::read_octet_string(value).unwrap_or(value) }
}

/// The same on a Weierstrass curve, of an uncompressed point.
fn point_on(curve: Curve, value: &[u8]) -> &[u8] {
    point_of(1 + 2 * curve.coordinate_len(), value)
}

/// The public key of an agreement's other side, from its point in either form, for a key of this kind.
pub(in crate::pkcs11) fn peer(kind: KeyKind, value: &[u8]) -> Option<Peer> {
    match kind {
        KeyKind::Ec(curve) => EcPublicKey::from_spki_der(&ec_public(curve, point_on(curve, value))).ok().map(Peer::Ec),
        KeyKind::X25519 => point_of(SHORT_POINT, value).try_into().ok().map(|point| Peer::X25519(X25519PublicKey::from_bytes(point))),
        _ => None,
    }
}

/// PKCS #8 from the seed where it is there, else from the expanded key.
fn ml_dsa_private(template: &Attributes) -> Result<Zeroizing<Vec<u8>>> {
    let set = ml_dsa_set(template)?;
    let key = match template.get(CKA_SEED).filter(|seed| !seed.is_empty()) {
        Some(seed) => MlDsaPrivateKey::from_seed(set, seed.try_into().map_err(|_| Error::AttributeValueInvalid)?),
        None => MlDsaPrivateKey::from_expanded(set, required(template, CKA_VALUE)?),
    };
    key.and_then(|key| key.to_pkcs8_der()).map_err(|_| Error::AttributeValueInvalid)
}

fn ml_kem_private(template: &Attributes) -> Result<Zeroizing<Vec<u8>>> {
    let set = ml_kem_set(template)?;
    let key = match template.get(CKA_SEED).filter(|seed| !seed.is_empty()) {
        Some(seed) => MlKemPrivateKey::from_seed(set, seed.try_into().map_err(|_| Error::AttributeValueInvalid)?),
        None => MlKemPrivateKey::from_expanded(set, required(template, CKA_VALUE)?),
    };
    key.and_then(|key| key.to_pkcs8_der()).map_err(|_| Error::AttributeValueInvalid)
}

/// The curve of CKA_EC_PARAMS; P-256 stands for those without a choice.
fn named_curve(key_type: CK_KEY_TYPE, template: &Attributes) -> Result<Curve> {
    match curve(key_type, required(template, CKA_EC_PARAMS)?) {
        Some(KeyKind::Ec(curve)) => Ok(curve),
        Some(_) => Ok(Curve::P256),
        None => Err(Error::CurveNotSupported),
    }
}

/// CKA_PARAMETER_SET of a template for ML-DSA.
pub(in crate::pkcs11) fn ml_dsa_set(template: &Attributes) -> Result<MlDsaSet> {
    match template.number(CKA_PARAMETER_SET).ok_or(Error::TemplateIncomplete)? {
        CKP_ML_DSA_44 => Ok(MlDsaSet::MlDsa44),
        CKP_ML_DSA_65 => Ok(MlDsaSet::MlDsa65),
        CKP_ML_DSA_87 => Ok(MlDsaSet::MlDsa87),
        _ => Err(Error::AttributeValueInvalid),
    }
}

/// CKA_PARAMETER_SET of a template for ML-KEM.
pub(in crate::pkcs11) fn ml_kem_set(template: &Attributes) -> Result<MlKemSet> {
    match template.number(CKA_PARAMETER_SET).ok_or(Error::TemplateIncomplete)? {
        CKP_ML_KEM_512 => Ok(MlKemSet::MlKem512),
        CKP_ML_KEM_768 => Ok(MlKemSet::MlKem768),
        CKP_ML_KEM_1024 => Ok(MlKemSet::MlKem1024),
        _ => Err(Error::AttributeValueInvalid),
    }
}

fn required(template: &Attributes, kind: CK_ATTRIBUTE_TYPE) -> Result<&[u8]> {
    template.get(kind).ok_or(Error::TemplateIncomplete)
}
