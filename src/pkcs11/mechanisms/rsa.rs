//! RSA: PKCS #1 v1.5, PSS and OAEP.

use cryptoki_sys::*;
use dsma_crypto::SignatureScheme;

use super::params::{CipherSpec, OwnedParams, SignatureSpec};
use super::{Error, Mechanism, Result, digest};

pub(super) fn signature(kind: CK_MECHANISM_TYPE, mechanism: Mechanism<'_>, modulus_len: usize) -> Result<SignatureSpec> {
    if kind == CKM_RSA_PKCS {
        mechanism.no_param()?;
        return Ok(SignatureSpec { scheme: SignatureScheme::RsaPkcs1Raw, hash: None, digest_len: None, signature_len: modulus_len });
    }
    if let Some(hash) = digest::of_rsa_pkcs(kind) {
        mechanism.no_param()?;
        let scheme = SignatureScheme::RsaPkcs1 { hash };
        return Ok(SignatureSpec { scheme, hash: Some(hash), digest_len: None, signature_len: modulus_len });
    }
    pss(kind, mechanism, modulus_len)
}

/// The hash in the parameter must be the mechanism's, and the salt must fit (RFC 8017, 9.1.1).
fn pss(kind: CK_MECHANISM_TYPE, mechanism: Mechanism<'_>, modulus_len: usize) -> Result<SignatureSpec> {
    let params = mechanism.pss()?;
    let hash = digest::of_digest(params.hashAlg).ok_or(Error::MechanismParamInvalid)?;
    let mgf1 = digest::of_mgf(params.mgf).ok_or(Error::MechanismParamInvalid)?;
    let salt_len = usize::try_from(params.sLen).map_err(|_| Error::MechanismParamInvalid)?;
    if salt_len > modulus_len.saturating_sub(hash.len() + 2) {
        return Err(Error::MechanismParamInvalid);
    }
    let applied = match kind {
        CKM_RSA_PKCS_PSS => None,
        _ => Some(digest::of_rsa_pss(kind).ok_or(Error::MechanismInvalid)?),
    };
    if applied.is_some_and(|applied| applied != hash) {
        return Err(Error::MechanismParamInvalid);
    }
    let scheme = SignatureScheme::RsaPss { hash, mgf1, salt_len };
    Ok(SignatureSpec { scheme, hash: applied, digest_len: Some(hash.len()), signature_len: modulus_len })
}

pub(super) fn cipher(kind: CK_MECHANISM_TYPE, mechanism: Mechanism<'_>, modulus_len: usize) -> Result<CipherSpec> {
    match kind {
        CKM_RSA_PKCS => {
            mechanism.no_param()?;
            Ok(CipherSpec { params: OwnedParams::RsaPkcs1 { modulus_len }, tag_len: 0 })
        }
        CKM_RSA_PKCS_OAEP => {
            let oaep = mechanism.oaep()?;
            let hash = digest::of_digest(oaep.hash).ok_or(Error::MechanismParamInvalid)?;
            let mgf1 = digest::of_mgf(oaep.mgf).ok_or(Error::MechanismParamInvalid)?;
            let label = oaep.label.bytes().map_err(|_| Error::MechanismParamInvalid)?;
            // Without a source the label is empty; many callers leave `source` 0 then.
            if oaep.source != CKZ_DATA_SPECIFIED && !(oaep.source == 0 && label.is_empty()) {
                return Err(Error::MechanismParamInvalid);
            }
            Ok(CipherSpec { params: OwnedParams::RsaOaep { hash, mgf1, label: label.into(), modulus_len }, tag_len: 0 })
        }
        _ => Err(Error::MechanismInvalid),
    }
}
