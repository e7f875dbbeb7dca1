//! CKM_ECDSA and CKM_ECDSA_SHAx. Signatures are r and s side by side, of fixed length (trap 28).

use cryptoki_sys::{CK_MECHANISM_TYPE, CKM_ECDSA};
use dsma_crypto::{Curve, Encoding, SignatureScheme};

use super::params::{Scheme, SignatureSpec};
use super::{Error, Mechanism, Result, digest};

pub(super) fn signature(kind: CK_MECHANISM_TYPE, mechanism: Mechanism<'_>, curve: Curve) -> Result<SignatureSpec> {
    mechanism.no_param()?;
    let hash = digest::of_ecdsa(kind);
    if hash.is_none() && kind != CKM_ECDSA {
        return Err(Error::MechanismInvalid);
    }
    let scheme = Scheme::Signature(SignatureScheme::Ecdsa { hash, encoding: Encoding::Fixed });
    Ok(SignatureSpec { scheme, hash, digest_len: None, signature_len: 2 * curve.coordinate_len() })
}
