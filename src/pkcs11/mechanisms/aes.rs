//! AES: ECB, CBC, CTR, CFB, OFB, GCM, CCM, and key wrap.

use cryptoki_sys::*;

use super::params::{CipherSpec, Iv, OwnedParams};
use super::{Error, Mechanism, Result, parameter};

/// The IVs of RFC 3394 and RFC 5649, which a caller may name: no other is possible.
const WRAP_IV: [u8; 8] = [0xa6; 8];
const PADDED_WRAP_IV: [u8; 4] = [0xa6, 0x59, 0x59, 0xa6];

/// The longest IV of GCM; the primitive hashes it.
pub(in crate::pkcs11) const LONGEST_IV: usize = 1 << 16;

pub(super) fn cipher(kind: CK_MECHANISM_TYPE, mechanism: Mechanism<'_>) -> Result<CipherSpec> {
    Ok(CipherSpec::untagged(match kind {
        CKM_AES_ECB => {
            mechanism.no_param()?;
            OwnedParams::AesEcb
        }
        CKM_AES_CBC => OwnedParams::AesCbc { iv: mechanism.iv()?, padding: false },
        CKM_AES_CBC_PAD => OwnedParams::AesCbc { iv: mechanism.iv()?, padding: true },
        CKM_AES_CFB128 => OwnedParams::AesCfb { iv: mechanism.iv()? },
        CKM_AES_CFB8 => OwnedParams::AesCfb8 { iv: mechanism.iv()? },
        CKM_AES_CFB1 => OwnedParams::AesCfb1 { iv: mechanism.iv()? },
        CKM_AES_OFB => OwnedParams::AesOfb { iv: mechanism.iv()? },
        CKM_AES_CTR => return ctr(mechanism),
        CKM_AES_GCM => return gcm(mechanism),
        CKM_AES_CCM => return ccm(mechanism),
        CKM_AES_KEY_WRAP => {
            optional_iv(mechanism, WRAP_IV)?;
            OwnedParams::AesKw
        }
        CKM_AES_KEY_WRAP_KWP => {
            optional_iv(mechanism, PADDED_WRAP_IV)?;
            OwnedParams::AesKwp
        }
        _ => return Err(Error::MechanismInvalid),
    }))
}

/// A counter of fewer bits than the block must not run over: key stream would come twice. So much data is refused.
fn ctr(mechanism: Mechanism<'_>) -> Result<CipherSpec> {
    let ctr = mechanism.ctr()?;
    let most = match ctr.ulCounterBits {
        128 => usize::MAX,
        bits @ 1..=127 => {
            let counter = u128::from_be_bytes(ctr.cb) & ((1 << bits) - 1);
            let blocks = (1_u128 << bits) - counter;
            usize::try_from(blocks.saturating_mul(16)).unwrap_or(usize::MAX)
        }
        _ => return Err(Error::MechanismParamInvalid),
    };
    Ok(CipherSpec { most, ..CipherSpec::untagged(OwnedParams::AesCtr { iv: ctr.cb }) })
}

/// Tags of 32 to 128 bits in whole bytes (SP 800-38D has no shorter ones); IVs of any length that a caller
/// may mean: version 2.40 of the standard stops at 256 bytes, version 3 nowhere.
fn gcm(mechanism: Mechanism<'_>) -> Result<CipherSpec> {
    let gcm = mechanism.gcm()?;
    let iv = gcm.iv.bytes().map_err(|_| Error::MechanismParamInvalid)?;
    gcm_of(iv, parameter(&gcm.aad)?, gcm.tag_bits)
}

pub(super) fn gcm_of(iv: &[u8], aad: Box<[u8]>, tag_bits: CK_ULONG) -> Result<CipherSpec> {
    if !matches!(tag_bits, 32..=128) || !tag_bits.is_multiple_of(8) || !(1..=LONGEST_IV).contains(&iv.len()) {
        return Err(Error::MechanismParamInvalid);
    }
    let params = OwnedParams::AesGcm { iv: Iv::new(iv), aad };
    Ok(CipherSpec { tag_len: (tag_bits / 8) as usize, ..CipherSpec::untagged(params) })
}

fn ccm(mechanism: Mechanism<'_>) -> Result<CipherSpec> {
    let ccm = mechanism.ccm()?;
    let nonce = ccm.nonce.bytes().map_err(|_| Error::MechanismParamInvalid)?;
    let announced = usize::try_from(ccm.data_len).map_err(|_| Error::MechanismParamInvalid)?;
    ccm_of(nonce, parameter(&ccm.aad)?, ccm.tag_len, Some(announced))
}

/// Nonces of 7 to 13 bytes, tags of 4 to 16 in even number (SP 800-38C).
pub(super) fn ccm_of(nonce: &[u8], aad: Box<[u8]>, tag_len: CK_ULONG, announced: Option<usize>) -> Result<CipherSpec> {
    if !(7..=13).contains(&nonce.len()) || !matches!(tag_len, 4..=16) || !tag_len.is_multiple_of(2) {
        return Err(Error::MechanismParamInvalid);
    }
    let params = OwnedParams::AesCcm { iv: Iv::new(nonce), aad, announced };
    Ok(CipherSpec { tag_len: tag_len as usize, ..CipherSpec::untagged(params) })
}

/// No parameter, or the one IV that there is.
fn optional_iv<const N: usize>(mechanism: Mechanism<'_>, only: [u8; N]) -> Result {
    if mechanism.no_param().is_ok() || mechanism.iv::<N>()? == only { Ok(()) } else { Err(Error::MechanismParamInvalid) }
}
