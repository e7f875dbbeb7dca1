//! CKM_DSMA_FF1: tokens of texts, in the format that the key has in DSM. Declared in `include/dsma_pkcs11.h`.

use cryptoki_sys::CK_ULONG;

use super::params::{CipherSpec, OwnedParams};
use super::{Error, Mechanism, Result};

/// `CKF_DSMA_MASKED`: a decryption shows `*` for what the format masks.
const MASKED: CK_ULONG = 1;

pub(super) fn cipher(mechanism: Mechanism<'_>) -> Result<CipherSpec> {
    let flags = if mechanism.no_param().is_ok() { 0 } else { mechanism.number().map_err(|_| Error::MechanismParamInvalid)? as CK_ULONG };
    if flags & !MASKED != 0 {
        return Err(Error::MechanismParamInvalid);
    }
    Ok(CipherSpec::untagged(OwnedParams::Tokens { masked: flags & MASKED != 0 }))
}
