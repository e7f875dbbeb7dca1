//! Secret keys: AES and HMAC. The value is raw.

use dsma_api::{ApiError, ObjectType, SobjectRequest};
use dsma_crypto::{AesKey, Buffers, CipherParams, Key, random};
use zeroize::Zeroizing;

use super::{Material, bits, internal, invalid, no_size};

const AES_SIZES: &[u32] = &[128, 192, 256];
/// The limits that Fortanix publishes.
const HMAC_SIZES: std::ops::RangeInclusive<u32> = 112..=8192;

pub(super) fn generate_aes(request: &SobjectRequest) -> Result<Material, ApiError> {
    let bits = request.key_size.ok_or_else(no_size)?;
    if !AES_SIZES.contains(&bits) {
        return Err(ApiError::bad_request("Invalid key_size for AES: 128, 192 or 256 bits"));
    }
    aes(random_bytes(bits)?)
}

pub(super) fn generate_hmac(request: &SobjectRequest) -> Result<Material, ApiError> {
    let bits = request.key_size.ok_or_else(no_size)?;
    if !HMAC_SIZES.contains(&bits) || bits % 8 != 0 {
        return Err(ApiError::bad_request("Invalid key_size for HMAC: 112 to 8192 bits, whole bytes"));
    }
    hmac(random_bytes(bits)?)
}

pub(super) fn aes(value: Zeroizing<Vec<u8>>) -> Result<Material, ApiError> {
    if !AES_SIZES.contains(&bits(&value)) {
        return Err(ApiError::bad_request("Invalid AES key: 16, 24 or 32 bytes"));
    }
    let key = Key::Aes(AesKey::from_bytes(&value).map_err(|error| invalid("AES key", error))?);
    // The usual check value: the first three bytes of the encrypted zero block.
    let mut block = [0; 16];
    key.encrypt(&CipherParams::AesEcb, Buffers::in_place(&mut block), &mut []).map_err(internal)?;
    let kcv = format!("{:02X}{:02X}{:02X}", block[0], block[1], block[2]);
    Ok(Material { kcv: Some(kcv), ..raw(ObjectType::Aes, value) })
}

pub(super) fn hmac(value: Zeroizing<Vec<u8>>) -> Result<Material, ApiError> {
    if !HMAC_SIZES.contains(&bits(&value)) {
        return Err(ApiError::bad_request("Invalid HMAC key: 14 to 1024 bytes"));
    }
    Ok(raw(ObjectType::Hmac, value))
}

/// Material whose value is all there is.
pub(super) fn raw(obj_type: ObjectType, value: Zeroizing<Vec<u8>>) -> Material {
    Material { obj_type, key_size: bits(&value), curve: None, public_exponent: None, value: Some(value), pub_key: None, kcv: None }
}

fn random_bytes(bits: u32) -> Result<Zeroizing<Vec<u8>>, ApiError> {
    let mut value = Zeroizing::new(vec![0; bits as usize / 8]);
    random::fill(&mut value).map_err(internal)?;
    Ok(value)
}
