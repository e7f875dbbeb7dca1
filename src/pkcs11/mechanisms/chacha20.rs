//! CKM_CHACHA20_POLY1305 (RFC 8439), with nonces of 12 bytes.

use cryptoki_sys::{CK_MECHANISM_TYPE, CKM_CHACHA20_POLY1305};

use super::params::{CipherSpec, OwnedParams};
use super::{Error, Mechanism, Result, parameter};

pub(super) fn cipher(kind: CK_MECHANISM_TYPE, mechanism: Mechanism<'_>) -> Result<CipherSpec> {
    if kind != CKM_CHACHA20_POLY1305 {
        return Err(Error::MechanismInvalid);
    }
    let given = mechanism.chacha20_poly1305()?;
    let nonce = given.nonce.bytes().map_err(|_| Error::MechanismParamInvalid)?;
    let nonce = nonce.try_into().map_err(|_| Error::MechanismParamInvalid)?;
    let aad = parameter(&given.aad)?;
    Ok(CipherSpec { tag_len: 16, ..CipherSpec::untagged(OwnedParams::ChaCha20Poly1305 { nonce, aad }) })
}
