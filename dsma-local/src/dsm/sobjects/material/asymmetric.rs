//! Key pairs: RSA and EC. The value is PKCS #1 and SEC1.

use dsma_api::{ApiError, EllipticCurve, ObjectType, SobjectRequest};
use dsma_crypto::{Curve, EcPrivateKey, EcPublicKey, RsaPrivateKey, RsaPublicKey};
use zeroize::Zeroizing;

use super::{Material, internal, invalid, no_size};

const RSA_SIZES: std::ops::RangeInclusive<u32> = 1024..=8192;
const DEFAULT_EXPONENT: u32 = 65537;

/// DSM's names of the curves that this version serves, with the bits of their fields.
const CURVES: &[(EllipticCurve, Curve, u32)] = &[
    (EllipticCurve::NistP256, Curve::P256, 256),
    (EllipticCurve::NistP384, Curve::P384, 384),
    (EllipticCurve::NistP521, Curve::P521, 521),
    (EllipticCurve::SecP256K1, Curve::K256, 256),
];

pub(super) fn generate_rsa(request: &SobjectRequest) -> Result<Material, ApiError> {
    let options = request.rsa.as_ref();
    let bits = request.key_size.or_else(|| options.and_then(|rsa| rsa.key_size)).ok_or_else(no_size)?;
    if !RSA_SIZES.contains(&bits) || bits % 8 != 0 {
        return Err(ApiError::bad_request("Invalid key_size for RSA: 1024 to 8192 bits, whole bytes"));
    }
    let exponent = request.pub_exponent.or_else(|| options.and_then(|rsa| rsa.public_exponent)).unwrap_or(DEFAULT_EXPONENT);
    if exponent < 3 || exponent.is_multiple_of(2) {
        return Err(ApiError::bad_request("Invalid public exponent: odd, and at least 3"));
    }
    rsa_private(&RsaPrivateKey::generate(bits, exponent).map_err(|error| invalid("RSA parameters", error))?)
}

pub(super) fn generate_ec(request: &SobjectRequest) -> Result<Material, ApiError> {
    let curve = request.elliptic_curve.ok_or_else(|| ApiError::bad_request("Missing field `elliptic_curve`"))?;
    let (_, curve, _) = CURVES.iter().find(|(name, ..)| *name == curve).ok_or_else(no_curve)?;
    ec_private(&EcPrivateKey::generate(*curve).map_err(internal)?)
}

/// PKCS #1 or PKCS #8, or a public key alone.
pub(super) fn import_rsa(value: &[u8]) -> Result<Material, ApiError> {
    match RsaPrivateKey::from_der(value) {
        Ok(key) => rsa_private(&key),
        Err(_) => rsa_public(&RsaPublicKey::from_der(value).map_err(|error| invalid("RSA key", error))?, None),
    }
}

/// SEC1 or PKCS #8, or a public key alone.
pub(super) fn import_ec(value: &[u8]) -> Result<Material, ApiError> {
    match EcPrivateKey::from_der(value) {
        Ok(key) => ec_private(&key),
        Err(_) => ec_public(&EcPublicKey::from_spki_der(value).map_err(|error| invalid("EC key", error))?, None),
    }
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

fn no_curve() -> ApiError {
    ApiError::bad_request("This elliptic_curve is not supported by this version: NistP256, NistP384, NistP521 and SecP256K1 are")
}
