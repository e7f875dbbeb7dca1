//! RSA: PKCS #1 v1.5, PSS, OAEP, and without padding (X.509).

use cryptoki_sys::*;
use dsma_crypto::SignatureScheme;

use super::super::ffi::OaepParams;
use super::params::{CipherSpec, OwnedParams, Scheme, SignatureSpec};
use super::{Error, Mechanism, Result, digest, parameter};

pub(super) fn signature(kind: CK_MECHANISM_TYPE, mechanism: Mechanism<'_>, modulus_len: usize) -> Result<SignatureSpec> {
    let (scheme, hash) = match kind {
        CKM_RSA_PKCS => (SignatureScheme::RsaPkcs1Raw, None),
        CKM_RSA_X_509 => (SignatureScheme::RsaRaw, None),
        _ => match digest::of_rsa_pkcs(kind) {
            Some(hash) => (SignatureScheme::RsaPkcs1 { hash }, Some(hash)),
            None => return pss(kind, mechanism, modulus_len),
        },
    };
    mechanism.no_param()?;
    Ok(SignatureSpec { scheme: Scheme::Signature(scheme), hash, digest_len: None, signature_len: modulus_len })
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
    let scheme = Scheme::Signature(SignatureScheme::RsaPss { hash, mgf1, salt_len });
    Ok(SignatureSpec { scheme, hash: applied, digest_len: Some(hash.len()), signature_len: modulus_len })
}

pub(super) fn cipher(kind: CK_MECHANISM_TYPE, mechanism: Mechanism<'_>, modulus_len: usize) -> Result<CipherSpec> {
    match kind {
        CKM_RSA_PKCS => {
            mechanism.no_param()?;
            Ok(CipherSpec::untagged(OwnedParams::RsaPkcs1 { modulus_len }))
        }
        CKM_RSA_X_509 => {
            mechanism.no_param()?;
            Ok(CipherSpec::untagged(OwnedParams::RsaRaw { modulus_len }))
        }
        CKM_RSA_PKCS_OAEP => oaep(&mechanism.oaep()?, modulus_len),
        _ => Err(Error::MechanismInvalid),
    }
}

pub(super) fn oaep(given: &OaepParams<'_>, modulus_len: usize) -> Result<CipherSpec> {
    let hash = digest::of_digest(given.hash).ok_or(Error::MechanismParamInvalid)?;
    let mgf1 = digest::of_mgf(given.mgf).ok_or(Error::MechanismParamInvalid)?;
    let label = parameter(&given.label)?;
    // Without a source the label is empty; many callers leave `source` 0 then.
    if given.source != CKZ_DATA_SPECIFIED && !(given.source == 0 && label.is_empty()) {
        return Err(Error::MechanismParamInvalid);
    }
    Ok(CipherSpec::untagged(OwnedParams::RsaOaep { hash, mgf1, label, modulus_len }))
}
