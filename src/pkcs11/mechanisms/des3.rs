//! Triple DES: ECB and CBC.

use cryptoki_sys::*;

use super::params::{CipherSpec, OwnedParams};
use super::{Error, Mechanism, Result};

pub(super) fn cipher(kind: CK_MECHANISM_TYPE, mechanism: Mechanism<'_>) -> Result<CipherSpec> {
    Ok(CipherSpec::untagged(match kind {
        CKM_DES3_ECB => {
            mechanism.no_param()?;
            OwnedParams::Des3Ecb
        }
        CKM_DES3_CBC => OwnedParams::Des3Cbc { iv: mechanism.iv()?, padding: false },
        CKM_DES3_CBC_PAD => OwnedParams::Des3Cbc { iv: mechanism.iv()?, padding: true },
        _ => return Err(Error::MechanismInvalid),
    }))
}
