//! CKM_EDDSA: Ed25519 (RFC 8032), not over a digest and without context.

use cryptoki_sys::CK_FALSE;
use dsma_crypto::SignatureScheme;

use super::params::{Scheme, SignatureSpec};
use super::{Error, Mechanism, Result};

pub(super) fn signature(mechanism: Mechanism<'_>) -> Result<SignatureSpec> {
    if mechanism.no_param().is_err() {
        let given = mechanism.eddsa()?;
        if given.over_digest != CK_FALSE || given.context.len().map_err(|_| Error::MechanismParamInvalid)? != 0 {
            return Err(Error::MechanismParamInvalid);
        }
    }
    Ok(SignatureSpec { scheme: Scheme::Signature(SignatureScheme::EdDsa), hash: None, digest_len: None, signature_len: 64 })
}
