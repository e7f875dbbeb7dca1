//! The types of sobjects: how their material is made, imported, stored and parsed.
//!
//! `value` is raw for AES, PKCS #1 for RSA, SEC1 with curve and public key for EC; public keys are SubjectPublicKeyInfo.

use dsma_api::{ApiError, EllipticCurve, ObjectType, Sobject, SobjectRequest};
use dsma_crypto::{AesKey, Buffers, CipherParams, Curve, EcPrivateKey, EcPublicKey, Error, Key, RsaPrivateKey, RsaPublicKey, random};
use zeroize::Zeroizing;

/// Material of a new sobject.
pub(super) struct Material {
    pub(super) obj_type: ObjectType,
    /// Bits: of the key, the modulus, the curve's field.
    pub(super) key_size: u32,
    pub(super) curve: Option<EllipticCurve>,
    /// RSA only.
    pub(super) public_exponent: Option<u32>,
    /// As exported; `None` for a public key.
    pub(super) value: Option<Zeroizing<Vec<u8>>>,
    /// SubjectPublicKeyInfo of asymmetric types.
    pub(super) pub_key: Option<Vec<u8>>,
    /// Check value of symmetric types, upper-case hex.
    pub(super) kcv: Option<String>,
}

const AES_SIZES: &[u32] = &[128, 192, 256];
const RSA_SIZES: std::ops::RangeInclusive<u32> = 1024..=8192;
const DEFAULT_EXPONENT: u32 = 65537;

/// DSM's names of the curves that this version serves, with the bits of their fields.
const CURVES: &[(EllipticCurve, Curve, u32)] = &[
    (EllipticCurve::NistP256, Curve::P256, 256),
    (EllipticCurve::NistP384, Curve::P384, 384),
    (EllipticCurve::NistP521, Curve::P521, 521),
    (EllipticCurve::SecP256K1, Curve::K256, 256),
];

/// Makes new material as the request describes it.
pub(super) fn generate(request: &SobjectRequest) -> Result<Material, ApiError> {
    match obj_type(request)? {
        ObjectType::Aes => {
            let bits = request.key_size.ok_or_else(|| ApiError::bad_request("Missing field `key_size`"))?;
            if !AES_SIZES.contains(&bits) {
                return Err(ApiError::bad_request("Invalid key_size for AES: 128, 192 or 256 bits"));
            }
            let mut value = Zeroizing::new(vec![0; bits as usize / 8]);
            random::fill(&mut value).map_err(internal)?;
            aes(value)
        }
        ObjectType::Rsa => {
            let options = request.rsa.as_ref();
            let bits = request.key_size.or_else(|| options.and_then(|rsa| rsa.key_size));
            let bits = bits.ok_or_else(|| ApiError::bad_request("Missing field `key_size`"))?;
            if !RSA_SIZES.contains(&bits) || bits % 8 != 0 {
                return Err(ApiError::bad_request("Invalid key_size for RSA: 1024 to 8192 bits, whole bytes"));
            }
            let exponent = request.pub_exponent.or_else(|| options.and_then(|rsa| rsa.public_exponent)).unwrap_or(DEFAULT_EXPONENT);
            if exponent < 3 || exponent.is_multiple_of(2) {
                return Err(ApiError::bad_request("Invalid public exponent: odd, and at least 3"));
            }
            rsa_private(&RsaPrivateKey::generate(bits, exponent).map_err(|error| invalid("RSA parameters", error))?)
        }
        ObjectType::Ec => {
            let curve = request.elliptic_curve.ok_or_else(|| ApiError::bad_request("Missing field `elliptic_curve`"))?;
            let (_, curve, _) = CURVES.iter().find(|(name, ..)| *name == curve).ok_or_else(no_curve)?;
            ec_private(&EcPrivateKey::generate(*curve).map_err(internal)?)
        }
        _ => Err(no_type()),
    }
}

/// Takes the request's `value`: raw, PKCS #1, SEC1, PKCS #8, or a public key.
pub(super) fn import(request: &SobjectRequest) -> Result<Material, ApiError> {
    let value = request.value.as_ref().ok_or_else(|| ApiError::bad_request("Missing field `value`"))?.as_ref();
    let material = match obj_type(request)? {
        ObjectType::Aes => aes(Zeroizing::new(value.to_vec())),
        ObjectType::Rsa => match RsaPrivateKey::from_der(value) {
            Ok(key) => rsa_private(&key),
            Err(_) => rsa_public(&RsaPublicKey::from_der(value).map_err(|error| invalid("RSA key", error))?, None),
        },
        ObjectType::Ec => match EcPrivateKey::from_der(value) {
            Ok(key) => ec_private(&key),
            Err(_) => ec_public(&EcPublicKey::from_spki_der(value).map_err(|error| invalid("EC key", error))?, None),
        },
        _ => Err(no_type()),
    }?;
    if request.key_size.is_some_and(|bits| bits != material.key_size) {
        return Err(ApiError::bad_request("key_size does not match the value"));
    }
    if request.elliptic_curve.is_some() && request.elliptic_curve != material.curve {
        return Err(ApiError::bad_request("elliptic_curve does not match the value"));
    }
    Ok(material)
}

/// The key of a stored sobject; `value` is `None` for a public key.
pub(super) fn parse(sobject: &Sobject, value: Option<&[u8]>) -> Result<Key, ApiError> {
    let key = match (sobject.obj_type, value, &sobject.pub_key) {
        (ObjectType::Aes, Some(value), _) => AesKey::from_bytes(value).map(Key::Aes),
        (ObjectType::Rsa, Some(value), _) => RsaPrivateKey::from_der(value).map(Key::Rsa),
        (ObjectType::Rsa, None, Some(spki)) => RsaPublicKey::from_der(&spki.0).map(Key::RsaPublic),
        (ObjectType::Ec, Some(value), _) => EcPrivateKey::from_der(value).map(Key::Ec),
        (ObjectType::Ec, None, Some(spki)) => EcPublicKey::from_spki_der(&spki.0).map(Key::EcPublic),
        _ => Err(Error::Unsupported),
    };
    key.map_err(internal)
}

fn obj_type(request: &SobjectRequest) -> Result<ObjectType, ApiError> {
    request.obj_type.ok_or_else(|| ApiError::bad_request("Missing field `obj_type`"))
}

fn aes(value: Zeroizing<Vec<u8>>) -> Result<Material, ApiError> {
    let bits = u32::try_from(value.len() * 8).unwrap_or(u32::MAX);
    if !AES_SIZES.contains(&bits) {
        return Err(ApiError::bad_request("Invalid AES key: 16, 24 or 32 bytes"));
    }
    let key = Key::Aes(AesKey::from_bytes(&value).map_err(|error| invalid("AES key", error))?);
    // The usual check value: the first three bytes of the encrypted zero block.
    let mut block = [0; 16];
    key.encrypt(&CipherParams::AesEcb, Buffers::in_place(&mut block), &mut []).map_err(internal)?;
    let kcv = format!("{:02X}{:02X}{:02X}", block[0], block[1], block[2]);
    Ok(Material {
        obj_type: ObjectType::Aes,
        key_size: bits,
        curve: None,
        public_exponent: None,
        value: Some(value),
        pub_key: None,
        kcv: Some(kcv),
    })
}

fn rsa_private(key: &RsaPrivateKey) -> Result<Material, ApiError> {
    rsa_public(&key.public(), Some(key.to_pkcs1_der()))
}

fn rsa_public(key: &RsaPublicKey, value: Option<Zeroizing<Vec<u8>>>) -> Result<Material, ApiError> {
    if !RSA_SIZES.contains(&key.bits()) {
        return Err(ApiError::bad_request("Invalid RSA key: a modulus of 1024 to 8192 bits is expected"));
    }
    let exponent = key.public_exponent().iter().fold(0, |exponent: u64, byte| exponent << 8 | u64::from(*byte));
    Ok(Material {
        obj_type: ObjectType::Rsa,
        key_size: key.bits(),
        curve: None,
        public_exponent: u32::try_from(exponent).ok(),
        value,
        pub_key: Some(key.to_spki_der()),
        kcv: None,
    })
}

fn ec_private(key: &EcPrivateKey) -> Result<Material, ApiError> {
    ec_public(&key.public(), Some(key.to_sec1_der()))
}

fn ec_public(key: &EcPublicKey, value: Option<Zeroizing<Vec<u8>>>) -> Result<Material, ApiError> {
    let (name, _, bits) = CURVES.iter().find(|(_, curve, _)| *curve == key.curve()).ok_or_else(no_curve)?;
    Ok(Material {
        obj_type: ObjectType::Ec,
        key_size: *bits,
        curve: Some(*name),
        public_exponent: None,
        value,
        pub_key: Some(key.to_spki_der()),
        kcv: None,
    })
}

fn no_type() -> ApiError {
    ApiError::bad_request("This obj_type is not supported by this version: AES, RSA and EC are")
}

fn no_curve() -> ApiError {
    ApiError::bad_request("This elliptic_curve is not supported by this version: NistP256, NistP384, NistP521 and SecP256K1 are")
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
