//! CKM_ML_DSA and CKM_HASH_ML_DSA_SHAx (FIPS 204), with or without a context. Signatures are hedged.

use cryptoki_sys::{CK_MECHANISM_TYPE, CKH_HEDGE_PREFERRED, CKH_HEDGE_REQUIRED, CKM_ML_DSA};
use dsma_crypto::MlDsaSet;

use super::params::{Scheme, SignatureSpec};
use super::{Error, Mechanism, Result, digest};

/// The longest context.
const LONGEST_CONTEXT: usize = 255;

pub(super) fn signature(kind: CK_MECHANISM_TYPE, mechanism: Mechanism<'_>, set: MlDsaSet) -> Result<SignatureSpec> {
    let hash = digest::of_ml_dsa(kind);
    if hash.is_none() && kind != CKM_ML_DSA {
        return Err(Error::MechanismInvalid);
    }
    let mut context = Box::default();
    if mechanism.no_param().is_err() {
        let given = mechanism.sign_context()?;
        let bytes = given.context.bytes().map_err(|_| Error::MechanismParamInvalid)?;
        if bytes.len() > LONGEST_CONTEXT || !matches!(given.hedge, CKH_HEDGE_PREFERRED | CKH_HEDGE_REQUIRED) {
            return Err(Error::MechanismParamInvalid);
        }
        context = bytes.into();
    }
    Ok(SignatureSpec { scheme: Scheme::MlDsa { hash, context }, hash, digest_len: None, signature_len: set.signature_len() })
}
