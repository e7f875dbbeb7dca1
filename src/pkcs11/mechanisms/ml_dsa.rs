//! CKM_ML_DSA, CKM_HASH_ML_DSA and CKM_HASH_ML_DSA_SHAx (FIPS 204), with or without a context. Signatures are hedged unless the caller wants
//! them deterministic.

use cryptoki_sys::{CK_MECHANISM_TYPE, CKH_DETERMINISTIC_REQUIRED, CKH_HEDGE_PREFERRED, CKH_HEDGE_REQUIRED, CKM_HASH_ML_DSA, CKM_ML_DSA};
use dsma_crypto::MlDsaSet;
use dsma_crypto::digest::Hash;

use super::params::{Scheme, SignatureSpec};
use super::{Error, Mechanism, Result, digest};

/// The longest context.
const LONGEST_CONTEXT: usize = 255;

pub(super) fn signature(kind: CK_MECHANISM_TYPE, mechanism: Mechanism<'_>, set: MlDsaSet, signing: bool) -> Result<SignatureSpec> {
    // The caller of CKM_HASH_ML_DSA gives the digest; in the mechanisms that name a hash it is made here.
    let (given, prehash, hash) = match kind {
        CKM_HASH_ML_DSA => {
            let (given, hash) = mechanism.hash_sign_context()?;
            (Some(given), Some(digest::of_digest(hash).ok_or(Error::MechanismParamInvalid)?), None)
        }
        kind => {
            let hash = digest::of_ml_dsa(kind);
            if hash.is_none() && kind != CKM_ML_DSA {
                return Err(Error::MechanismInvalid);
            }
            (mechanism.no_param().err().map(|_| mechanism.sign_context()).transpose()?, hash, hash)
        }
    };
    let (mut context, mut deterministic) = (Box::default(), false);
    if let Some(given) = given {
        let bytes = given.context.bytes().map_err(|_| Error::MechanismParamInvalid)?;
        deterministic = given.hedge == CKH_DETERMINISTIC_REQUIRED;
        // To a verification it is all the same.
        let known = deterministic || !signing || matches!(given.hedge, CKH_HEDGE_PREFERRED | CKH_HEDGE_REQUIRED);
        if bytes.len() > LONGEST_CONTEXT || !known {
            return Err(Error::MechanismParamInvalid);
        }
        context = bytes.into();
    }
    let scheme = Scheme::MlDsa { hash: prehash, context, deterministic };
    let digest_len = prehash.filter(|_| hash.is_none()).map(Hash::len);
    Ok(SignatureSpec { scheme, hash, digest_len, signature_len: set.signature_len() })
}
