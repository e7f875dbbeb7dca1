//! CKM_EDDSA: Ed25519, Ed25519ctx and Ed25519ph (RFC 8032, 5.1). The last two are done here alone: DSM has the first.

use cryptoki_sys::CK_FALSE;
use dsma_crypto::SignatureScheme;
use dsma_crypto::digest::Hash;

use super::params::{Scheme, SignatureSpec};
use super::{Error, Mechanism, Result};

/// The longest context.
const LONGEST_CONTEXT: usize = 255;

/// Without parameter it is Ed25519. So it is with a parameter that says nothing: RFC 8032 wants a context in Ed25519ctx, and some callers
/// always pass the structure.
pub(super) fn signature(mechanism: Mechanism<'_>) -> Result<SignatureSpec> {
    let (mut scheme, mut hash) = (Scheme::Signature(SignatureScheme::EdDsa), None);
    if mechanism.no_param().is_err() {
        let given = mechanism.eddsa()?;
        let context = given.context.bytes().map_err(|_| Error::MechanismParamInvalid)?;
        if context.len() > LONGEST_CONTEXT {
            return Err(Error::MechanismParamInvalid);
        }
        hash = (given.over_digest != CK_FALSE).then_some(Hash::Sha512);
        if hash.is_some() || !context.is_empty() {
            scheme = Scheme::EdDsaWithContext { context: context.into() };
        }
    }
    Ok(SignatureSpec { scheme, hash, digest_len: None, signature_len: 64 })
}
