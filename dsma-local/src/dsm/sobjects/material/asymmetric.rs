//! RSA. The value is PKCS #1.

use dsma_api::{ApiError, ObjectType, SobjectRequest};
use dsma_crypto::{RsaPrivateKey, RsaPublicKey};
use zeroize::Zeroizing;

use super::{Material, invalid, no_size};

const SIZES: std::ops::RangeInclusive<u32> = 1024..=8192;
const DEFAULT_EXPONENT: u32 = 65537;

pub(super) fn generate(request: &SobjectRequest) -> Result<Material, ApiError> {
    let options = request.rsa.as_ref();
    let bits = request.key_size.or_else(|| options.and_then(|rsa| rsa.key_size)).ok_or_else(no_size)?;
    if !SIZES.contains(&bits) || bits % 8 != 0 {
        return Err(ApiError::bad_request("Invalid key_size for RSA: 1024 to 8192 bits, whole bytes"));
    }
    let exponent = request.pub_exponent.or_else(|| options.and_then(|rsa| rsa.public_exponent)).unwrap_or(DEFAULT_EXPONENT);
    if exponent < 3 || exponent.is_multiple_of(2) {
        return Err(ApiError::bad_request("Invalid public exponent: odd, and at least 3"));
    }
    private(&RsaPrivateKey::generate(bits, exponent).map_err(|error| invalid("RSA parameters", error))?)
}

/// PKCS #1 or PKCS #8, or a public key alone.
pub(super) fn import(value: &[u8]) -> Result<Material, ApiError> {
    match RsaPrivateKey::from_der(value) {
        Ok(key) => private(&key),
        Err(_) => public(&RsaPublicKey::from_der(value).map_err(|error| invalid("RSA key", error))?, None),
    }
}

fn private(key: &RsaPrivateKey) -> Result<Material, ApiError> {
    public(&key.public(), Some(key.to_pkcs1_der()))
}

fn public(key: &RsaPublicKey, value: Option<Zeroizing<Vec<u8>>>) -> Result<Material, ApiError> {
    if !SIZES.contains(&key.bits()) {
        return Err(ApiError::bad_request("Invalid RSA key: a modulus of 1024 to 8192 bits is expected"));
    }
    let exponent = key.public_exponent().iter().fold(0, |exponent: u64, byte| exponent << 8 | u64::from(*byte));
    Ok(Material {
        key_size: Some(key.bits()),
        public_exponent: u32::try_from(exponent).ok(),
        value,
        pub_key: Some(key.to_spki_der()),
        ..Material::new(ObjectType::Rsa)
    })
}
