//! What DSM is asked for: type, parameters and value of a new sobject.

use cryptoki_sys::*;
use dsma_api::{
    EllipticCurve, MlDsaOptions, MlDsaParamSet, MlKemOptions, MlKemParamSet, ObjectType, RsaOptions, SecretBlob, SobjectRequest,
};
use dsma_crypto::{Curve, MlDsaSet, MlKemSet};
use serde_json::json;

use super::super::KeyKind;
use super::super::key::LocalKey;
use super::super::template::Attributes;
use crate::pkcs11::{Error, Result};

/// The shortest and the longest HMAC key that DSM keeps. It has no type for other secrets that would be good for anything: those of its
/// type SECRET are data, which nothing works with.
const HMAC_LEN: std::ops::RangeInclusive<usize> = 14..=1024;

/// What DSM keeps for data whose value is empty: it keeps nothing that is. The metadata says what the value really is.
const EMPTY: &[u8] = &[0];

/// A secret of a length that DSM has no keys of, as test suites make them: conformance mode keeps it in a SECRET, from which keys are
/// derived and which does nothing else.
pub(super) fn of_odd_secret(bytes: &[u8]) -> SobjectRequest {
    SobjectRequest { obj_type: Some(ObjectType::Secret), value: Some(SecretBlob::from(bytes.to_vec())), ..SobjectRequest::default() }
}

/// Type and value of a key.
pub(super) fn of_key(key: &LocalKey) -> Result<SobjectRequest> {
    let mut request = of_kind(key.kind(), key.secret_bytes().map(<[u8]>::len))?;
    // The value tells them.
    (request.key_size, request.elliptic_curve) = (None, None);
    let value = match key.secret_bytes() {
        Some(bytes) => bytes.to_vec(),
        None => match key.pkcs8() {
            Ok(pkcs8) => pkcs8.to_vec(),
            Err(_) => key.spki().ok_or(Error::GeneralError)?,
        },
    };
    request.value = Some(SecretBlob::from(value));
    Ok(request)
}

/// Type and parameters of a key that DSM makes; `len` is that of a secret key in bytes.
///
/// # Errors
/// [`Error::KeySizeRange`] for a secret of a length that DSM does not keep; [`Error::TemplateInconsistent`] for a key that it has no type
/// for.
pub(in crate::pkcs11::objects) fn of_kind(kind: KeyKind, len: Option<usize>) -> Result<SobjectRequest> {
    let bits = || u32::try_from(len.unwrap_or_default() * 8).map_err(|_| Error::KeySizeRange);
    let request = SobjectRequest::default();
    Ok(match kind {
        KeyKind::Aes => SobjectRequest { obj_type: Some(ObjectType::Aes), key_size: Some(bits()?), ..request },
        KeyKind::Des3 => SobjectRequest { obj_type: Some(ObjectType::Des3), key_size: Some(bits()? / 8 * 7), ..request },
        KeyKind::Secret(_) if len.is_some_and(|len| HMAC_LEN.contains(&len)) => {
            SobjectRequest { obj_type: Some(ObjectType::Hmac), key_size: Some(bits()?), ..request }
        }
        KeyKind::Secret(_) => return Err(Error::KeySizeRange),
        KeyKind::ChaCha20 => return Err(Error::TemplateInconsistent),
        KeyKind::Rsa => {
            let rsa = RsaOptions { encryption_policy: vec![json!({})], signature_policy: vec![json!({})], ..RsaOptions::default() };
            SobjectRequest { obj_type: Some(ObjectType::Rsa), rsa: Some(rsa), ..request }
        }
        KeyKind::Ec(curve) => curve_of(match curve {
            Curve::P256 => EllipticCurve::NistP256,
            Curve::P384 => EllipticCurve::NistP384,
            Curve::P521 => EllipticCurve::NistP521,
            Curve::K256 => EllipticCurve::SecP256K1,
        }),
        KeyKind::Ed25519 => curve_of(EllipticCurve::Ed25519),
        KeyKind::X25519 => curve_of(EllipticCurve::X25519),
        KeyKind::MlDsa(set) => {
            let param_set = match set {
                MlDsaSet::MlDsa44 => MlDsaParamSet::MlDsa44,
                MlDsaSet::MlDsa65 => MlDsaParamSet::MlDsa65,
                MlDsaSet::MlDsa87 => MlDsaParamSet::MlDsa87,
            };
            SobjectRequest { obj_type: Some(ObjectType::Mldsa), mldsa: Some(MlDsaOptions { param_set }), ..request }
        }
        KeyKind::MlKem(set) => {
            let param_set = match set {
                MlKemSet::MlKem512 => MlKemParamSet::MlKem512,
                MlKemSet::MlKem768 => MlKemParamSet::MlKem768,
                MlKemSet::MlKem1024 => MlKemParamSet::MlKem1024,
            };
            SobjectRequest { obj_type: Some(ObjectType::Mlkem), mlkem: Some(MlKemOptions { param_set }), ..request }
        }
    })
}

fn curve_of(curve: EllipticCurve) -> SobjectRequest {
    SobjectRequest { obj_type: Some(ObjectType::Ec), elliptic_curve: Some(curve), ..SobjectRequest::default() }
}

/// A certificate, or data: what is private is a SECRET, whose value only an export shows.
pub(super) fn of_content(class: CK_OBJECT_CLASS, attributes: &Attributes) -> Result<SobjectRequest> {
    let private = attributes.flag(CKA_PRIVATE) == Some(true);
    let obj_type = match class {
        CKO_CERTIFICATE => ObjectType::Certificate,
        _ if private => ObjectType::Secret,
        _ => ObjectType::Opaque,
    };
    let value = match attributes.get(CKA_VALUE) {
        Some(value) if !value.is_empty() => value,
        _ if class == CKO_DATA => EMPTY,
        _ => return Err(Error::TemplateIncomplete),
    };
    Ok(SobjectRequest { obj_type: Some(obj_type), value: Some(SecretBlob::from(value.to_vec())), ..SobjectRequest::default() })
}
