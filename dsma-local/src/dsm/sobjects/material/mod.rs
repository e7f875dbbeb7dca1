//! The types of sobjects: how their material is made, imported, stored and parsed.
//!
//! `value` is raw for symmetric keys and opaque types, PKCS #1 for RSA, SEC1 with curve and public key for EC (PKCS #8 of RFC 8410 for
//! Ed25519 and X25519, of RFC 9881 and 9935 for ML-DSA and ML-KEM), X.509 for certificates; public keys are SubjectPublicKeyInfo.

mod asymmetric;
mod curves;
mod lattice;
mod opaque;
mod symmetric;

use dsma_api::{ApiError, EllipticCurve, KcvMethod, MlDsaOptions, MlKemOptions, ObjectType, Sobject, SobjectRequest};
use dsma_crypto::{Error, Key, RsaPrivateKey, RsaPublicKey};
use zeroize::Zeroizing;

pub(super) use self::symmetric::check_value;

/// Material of a new sobject.
pub(super) struct Material {
    pub(super) obj_type: ObjectType,
    /// Bits: of the key, the modulus, the curve's field; of the value where it is no key. Lattices have parameter sets instead.
    pub(super) key_size: Option<u32>,
    pub(super) curve: Option<EllipticCurve>,
    pub(super) mldsa: Option<MlDsaOptions>,
    pub(super) mlkem: Option<MlKemOptions>,
    /// RSA only.
    pub(super) public_exponent: Option<u32>,
    /// As exported; `None` for a public key.
    pub(super) value: Option<Zeroizing<Vec<u8>>>,
    /// SubjectPublicKeyInfo of asymmetric types and certificates.
    pub(super) pub_key: Option<Vec<u8>>,
    /// Check value of symmetric types, upper-case hex.
    pub(super) kcv: Option<String>,
}

impl Material {
    /// Material of a type, to be filled in.
    const fn new(obj_type: ObjectType) -> Self {
        let (curve, mldsa, mlkem) = (None, None, None);
        Self { obj_type, key_size: None, curve, mldsa, mlkem, public_exponent: None, value: None, pub_key: None, kcv: None }
    }

    /// Whether nothing of it is secret: a public key, or a certificate.
    pub(super) fn is_public(&self) -> bool {
        self.value.is_none() || self.obj_type == ObjectType::Certificate
    }

    /// Whether [`generate`] makes this type.
    pub(super) const fn can_be_generated(&self) -> bool {
        !matches!(self.obj_type, ObjectType::Secret | ObjectType::Opaque | ObjectType::Certificate)
    }
}

/// Makes new material as the request describes it.
pub(super) fn generate(request: &SobjectRequest) -> Result<Material, ApiError> {
    match obj_type(request)? {
        obj_type @ (ObjectType::Aes | ObjectType::Des3 | ObjectType::Hmac) => symmetric::generate(obj_type, request.key_size),
        ObjectType::Rsa => asymmetric::generate(request),
        ObjectType::Ec => curves::generate(request.elliptic_curve),
        ObjectType::Mldsa => lattice::generate_ml_dsa(request.mldsa),
        ObjectType::Mlkem => lattice::generate_ml_kem(request.mlkem),
        ObjectType::Secret | ObjectType::Opaque | ObjectType::Certificate => {
            Err(ApiError::bad_request("Sobjects of this obj_type cannot be generated, only imported"))
        }
        _ => Err(no_type()),
    }
}

/// Takes the request's `value`: raw, PKCS #1, SEC1, PKCS #8, X.509, or a public key.
pub(super) fn import(request: &SobjectRequest) -> Result<Material, ApiError> {
    let value = request.value.as_ref().ok_or_else(|| ApiError::bad_request("Missing field `value`"))?.as_ref();
    let material = match obj_type(request)? {
        obj_type @ (ObjectType::Aes | ObjectType::Des3 | ObjectType::Hmac) => symmetric::import(obj_type, Zeroizing::new(value.to_vec())),
        ObjectType::Rsa => asymmetric::import(value),
        ObjectType::Ec => curves::import(value),
        ObjectType::Mldsa => lattice::import_ml_dsa(value),
        ObjectType::Mlkem => lattice::import_ml_kem(value),
        obj_type @ (ObjectType::Secret | ObjectType::Opaque) => opaque::data(obj_type, value),
        ObjectType::Certificate => opaque::certificate(value),
        _ => Err(no_type()),
    }?;
    if request.key_size.is_some() && request.key_size != material.key_size {
        return Err(ApiError::bad_request("key_size does not match the value"));
    }
    if request.elliptic_curve.is_some() && request.elliptic_curve != material.curve {
        return Err(ApiError::bad_request("elliptic_curve does not match the value"));
    }
    if request.mldsa.is_some() && request.mldsa != material.mldsa || request.mlkem.is_some() && request.mlkem != material.mlkem {
        return Err(ApiError::bad_request("param_set does not match the value"));
    }
    if let Some(kcv) = &request.kcv {
        let methods = if kcv.len() == 10 { KcvMethod::Cmac } else { KcvMethod::Encrypt };
        if !check_value(material.obj_type, value, methods)?.eq_ignore_ascii_case(kcv) {
            return Err(ApiError::bad_request("kcv does not match the value"));
        }
    }
    Ok(material)
}

/// The key of a stored sobject; `value` is `None` for a public key.
pub(super) fn parse(sobject: &Sobject, value: Option<&[u8]>) -> Result<Key, ApiError> {
    let key = match (sobject.obj_type, value, &sobject.pub_key) {
        (ObjectType::Aes | ObjectType::Des3 | ObjectType::Hmac, Some(value), _) => symmetric::parse(sobject.obj_type, value),
        (ObjectType::Rsa, Some(value), _) => RsaPrivateKey::from_der(value).map(Key::Rsa),
        (ObjectType::Rsa, None, Some(spki)) => RsaPublicKey::from_der(&spki.0).map(Key::RsaPublic),
        (ObjectType::Ec, value, Some(spki)) => return curves::parse(sobject.elliptic_curve, value, &spki.0),
        _ => return Err(no_operation()),
    };
    key.map_err(internal)
}

/// Whether the value is no secret: everybody who sees the sobject sees it.
pub(super) const fn is_public(obj_type: ObjectType) -> bool {
    matches!(obj_type, ObjectType::Opaque | ObjectType::Certificate)
}

fn obj_type(request: &SobjectRequest) -> Result<ObjectType, ApiError> {
    request.obj_type.ok_or_else(|| ApiError::bad_request("Missing field `obj_type`"))
}

/// Bits of a value.
fn bits(value: &[u8]) -> u32 {
    u32::try_from(value.len() * 8).unwrap_or(u32::MAX)
}

fn no_type() -> ApiError {
    ApiError::bad_request(
        "This obj_type is not supported by this version: AES, DES3, HMAC, RSA, EC, MLDSA, MLKEM, SECRET, OPAQUE and CERTIFICATE are",
    )
}

fn no_operation() -> ApiError {
    ApiError::bad_request("This operation is not possible with this type of sobject")
}

fn no_size() -> ApiError {
    ApiError::bad_request("Missing field `key_size`")
}

/// The caller's bytes are at fault.
fn invalid(what: &str, error: Error) -> ApiError {
    ApiError::bad_request(format!("Invalid {what}: {error}"))
}

/// Ours are.
fn internal(error: Error) -> ApiError {
    tracing::error!("a key of the store cannot be used: {error}");
    ApiError::new(500, "Internal error")
}
