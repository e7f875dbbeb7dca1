//! CKM_SHAx_HMAC, CKM_AES_CMAC, CKM_DES3_CMAC, and their `_GENERAL` forms, whose code is the beginning of the whole one.

use cryptoki_sys::*;
use dsma_crypto::MacScheme;

use super::params::{Scheme, SignatureSpec};
use super::{Error, Mechanism, Result, digest};

pub(super) fn signature(kind: CK_MECHANISM_TYPE, mechanism: Mechanism<'_>) -> Result<SignatureSpec> {
    let hmac = |hash| (MacScheme::Hmac { hash }, dsma_crypto::digest::Hash::len(hash));
    let (scheme, whole, general) = match kind {
        CKM_AES_CMAC => (MacScheme::Cmac, 16, false),
        CKM_AES_CMAC_GENERAL => (MacScheme::Cmac, 16, true),
        CKM_DES3_CMAC => (MacScheme::Cmac, 8, false),
        CKM_DES3_CMAC_GENERAL => (MacScheme::Cmac, 8, true),
        _ => match (digest::of_hmac(kind).map(hmac), digest::of_hmac_general(kind).map(hmac)) {
            (Some((scheme, whole)), _) => (scheme, whole, false),
            (_, Some((scheme, whole))) => (scheme, whole, true),
            _ => return Err(Error::MechanismInvalid),
        },
    };
    let signature_len = if general {
        mechanism.number().ok().filter(|len| (1..=whole).contains(len)).ok_or(Error::MechanismParamInvalid)?
    } else {
        mechanism.no_param()?;
        whole
    };
    Ok(SignatureSpec { scheme: Scheme::Mac(scheme), hash: None, digest_len: None, signature_len })
}
