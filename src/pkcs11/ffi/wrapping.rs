//! Parameters of C_WrapKey and C_UnwrapKey in which the token makes the IV.

use cryptoki_sys::*;

use super::{Fill, Input, Mechanism, Result};

/// `CK_GCM_WRAP_PARAMS` and `CK_CCM_WRAP_PARAMS`.
pub(in crate::pkcs11) struct AeadWrap<'a> {
    /// Read, or written where the token makes it.
    pub(in crate::pkcs11) iv: Fill<'a>,
    /// The leading bits that stay as the caller gave them where the token makes the IV.
    pub(in crate::pkcs11) fixed_bits: CK_ULONG,
    /// Who makes the IV (`CKG_`).
    pub(in crate::pkcs11) generator: CK_GENERATOR_FUNCTION,
    pub(in crate::pkcs11) aad: Input<'a>,
    pub(in crate::pkcs11) tag_bits: CK_ULONG,
}

impl<'a> Mechanism<'a> {
    /// For `CKM_AES_GCM` around a key.
    ///
    /// # Errors
    /// [`super::Error::MechanismParamInvalid`] for any other length, which that of `CK_GCM_PARAMS` is.
    pub(in crate::pkcs11) fn gcm_wrap(&self) -> Result<AeadWrap<'a>> {
        let given: CK_GCM_WRAP_PARAMS = self.param()?;
        // SAFETY: by `new`'s contract the structure is the standard's, so its pointers are NULL or valid for their lengths.
        let (iv, aad) = unsafe { (Fill::new(given.pIv, given.ulIvLen), Input::new(given.pAAD, given.ulAADLen)) };
        Ok(AeadWrap { iv, fixed_bits: given.ulIvFixedBits, generator: given.ivGenerator, aad, tag_bits: given.ulTagBits })
    }

    /// For `CKM_AES_CCM` around a key, whose length is its own: the one in the structure does not count.
    ///
    /// # Errors
    /// [`super::Error::MechanismParamInvalid`] for any other length, which that of `CK_CCM_PARAMS` is.
    pub(in crate::pkcs11) fn ccm_wrap(&self) -> Result<AeadWrap<'a>> {
        let given: CK_CCM_WRAP_PARAMS = self.param()?;
        // SAFETY: by `new`'s contract the structure is the standard's, so its pointers are NULL or valid for their lengths.
        let (iv, aad) = unsafe { (Fill::new(given.pNonce, given.ulNonceLen), Input::new(given.pAAD, given.ulAADLen)) };
        let tag_bits = given.ulMACLen.saturating_mul(8);
        Ok(AeadWrap { iv, fixed_bits: given.ulNonceFixedBits, generator: given.nonceGenerator, aad, tag_bits })
    }
}
