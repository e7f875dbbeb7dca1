//! Secret keys: AES, DES3 and HMAC. The value is raw.

use dsma_api::{ApiError, KcvMethod, ObjectType};
use dsma_crypto::{AesKey, Buffers, CipherParams, Des3Key, Error, HmacKey, Key, MacScheme, random};
use zeroize::Zeroizing;

use super::{Material, bits, internal, invalid, no_size};

/// Sizes in bits, as Fortanix publishes them, with the bytes of the value. DES3 does not count its parity bits.
fn value_len(obj_type: ObjectType, bits: u32) -> Result<usize, ApiError> {
    match (obj_type, bits) {
        (ObjectType::Aes, 128 | 192 | 256) => Ok(bits as usize / 8),
        (ObjectType::Aes, _) => Err(ApiError::bad_request("Invalid key_size for AES: 128, 192 or 256 bits")),
        (ObjectType::Des3, 112) => Ok(16),
        (ObjectType::Des3, 168) => Ok(24),
        (ObjectType::Des3, _) => Err(ApiError::bad_request("Invalid key_size for DES3: 112 or 168 bits")),
        (_, 112..=8192) if bits.is_multiple_of(8) => Ok(bits as usize / 8),
        _ => Err(ApiError::bad_request("Invalid key_size for HMAC: 112 to 8192 bits, whole bytes")),
    }
}

pub(super) fn generate(obj_type: ObjectType, bits: Option<u32>) -> Result<Material, ApiError> {
    let mut value = Zeroizing::new(vec![0; value_len(obj_type, bits.ok_or_else(no_size)?)?]);
    random::fill(&mut value).map_err(internal)?;
    if obj_type == ObjectType::Des3 {
        value.iter_mut().for_each(|byte| *byte = odd_parity(*byte));
    }
    import(obj_type, value)
}

pub(super) fn import(obj_type: ObjectType, value: Zeroizing<Vec<u8>>) -> Result<Material, ApiError> {
    let size = match (obj_type, value.len()) {
        (ObjectType::Aes, 16 | 24 | 32) => bits(&value),
        (ObjectType::Aes, _) => return Err(ApiError::bad_request("Invalid AES key: 16, 24 or 32 bytes")),
        (ObjectType::Des3, 16) => 112,
        (ObjectType::Des3, 24) => 168,
        (ObjectType::Des3, _) => return Err(ApiError::bad_request("Invalid DES3 key: 16 or 24 bytes")),
        (_, 14..=1024) => bits(&value),
        _ => return Err(ApiError::bad_request("Invalid HMAC key: 14 to 1024 bytes")),
    };
    let kcv = if obj_type == ObjectType::Hmac { None } else { Some(check_value(obj_type, &value, KcvMethod::Encrypt)?) };
    Ok(Material { key_size: Some(size), kcv, ..raw(obj_type, value) })
}

pub(super) fn parse(obj_type: ObjectType, value: &[u8]) -> Result<Key, Error> {
    match obj_type {
        ObjectType::Aes => AesKey::from_bytes(value).map(Key::Aes),
        ObjectType::Des3 => Des3Key::from_bytes(value).map(Key::Des3),
        _ => HmacKey::from_bytes(value).map(Key::Hmac),
    }
}

/// The check value of a block cipher's key, upper-case hex: three bytes of the encrypted zero block, or five of its CMAC.
///
/// # Errors
/// 400 for other types, and for what is no key.
pub(in super::super) fn check_value(obj_type: ObjectType, value: &[u8], method: KcvMethod) -> Result<String, ApiError> {
    let (mode, block_len) = match obj_type {
        ObjectType::Aes => (CipherParams::AesEcb, 16),
        ObjectType::Des3 => (CipherParams::Des3Ecb, 8),
        _ => return Err(ApiError::bad_request("Only AES and DES3 keys have a key check value")),
    };
    let key = parse(obj_type, value).map_err(|error| invalid("key", error))?;
    let mut block = [0; 16];
    let block = &mut block[..block_len];
    Ok(match method {
        KcvMethod::Encrypt => {
            key.encrypt(&mode, Buffers::in_place(block), &mut []).map_err(internal)?;
            hex(&block[..3])
        }
        KcvMethod::Cmac if obj_type == ObjectType::Des3 && value.len() != 24 => {
            return Err(ApiError::bad_request("The CMAC check value is for AES and for DES3 keys of 168 bits"));
        }
        KcvMethod::Cmac => hex(&key.mac(&MacScheme::Cmac, block).map_err(internal)?.as_ref()[..5]),
    })
}

/// Material whose value is all there is.
pub(super) fn raw(obj_type: ObjectType, value: Zeroizing<Vec<u8>>) -> Material {
    Material { key_size: Some(bits(&value)), value: Some(value), ..Material::new(obj_type) }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

/// The lowest bit makes the number of ones odd (NIST SP 800-67, section 2).
const fn odd_parity(byte: u8) -> u8 {
    byte & 0xfe | (byte >> 1).count_ones().is_multiple_of(2) as u8
}
