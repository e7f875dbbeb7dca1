//! AES: ECB, CBC, CTR and GCM.

use cryptoki_sys::*;

use super::params::{CipherSpec, Iv, OwnedParams};
use super::{Error, Mechanism, Result};

pub(super) fn cipher(kind: CK_MECHANISM_TYPE, mechanism: Mechanism<'_>) -> Result<CipherSpec> {
    let untagged = |params| Ok(CipherSpec { params, tag_len: 0 });
    match kind {
        CKM_AES_ECB => {
            mechanism.no_param()?;
            untagged(OwnedParams::AesEcb)
        }
        CKM_AES_CBC => untagged(OwnedParams::AesCbc { iv: mechanism.iv()?, padding: false }),
        CKM_AES_CBC_PAD => untagged(OwnedParams::AesCbc { iv: mechanism.iv()?, padding: true }),
        CKM_AES_CTR => {
            let ctr = mechanism.ctr()?;
            // A counter of fewer bits would wrap elsewhere; everybody asks for all of them.
            if ctr.ulCounterBits == 128 { untagged(OwnedParams::AesCtr { iv: ctr.cb }) } else { Err(Error::MechanismParamInvalid) }
        }
        CKM_AES_GCM => gcm(mechanism),
        _ => Err(Error::MechanismInvalid),
    }
}

/// Tags of 32 to 128 bits in whole bytes (SP 800-38D has no shorter ones); IVs of 1 to 256 bytes, as the standard's range is.
fn gcm(mechanism: Mechanism<'_>) -> Result<CipherSpec> {
    let gcm = mechanism.gcm()?;
    if !matches!(gcm.tag_bits, 32..=128) || gcm.tag_bits % 8 != 0 {
        return Err(Error::MechanismParamInvalid);
    }
    let iv = gcm.iv.bytes().map_err(|_| Error::MechanismParamInvalid)?;
    if !(1..=256).contains(&iv.len()) {
        return Err(Error::MechanismParamInvalid);
    }
    let aad = gcm.aad.bytes().map_err(|_| Error::MechanismParamInvalid)?;
    Ok(CipherSpec { params: OwnedParams::AesGcm { iv: Iv::new(iv), aad: aad.into() }, tag_len: (gcm.tag_bits / 8) as usize })
}
