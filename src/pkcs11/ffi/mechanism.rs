//! Mechanisms and their parameter structures.

use std::marker::PhantomData;

use cryptoki_sys::*;

use super::{Error, Input, MessageParameter, Result, length, read};

/// `CK_MECHANISM`, or NULL, which cancels an operation since 3.0 (trap 7).
#[derive(Clone, Copy)]
pub(in crate::pkcs11) struct Mechanism<'a> {
    mechanism: *const CK_MECHANISM,
    call: PhantomData<&'a CK_MECHANISM>,
}

/// The parts of `CK_GCM_PARAMS` that count: `ulIvBits` is garbage in many callers (trap 26).
pub(in crate::pkcs11) struct GcmParams<'a> {
    pub(in crate::pkcs11) iv: Input<'a>,
    pub(in crate::pkcs11) aad: Input<'a>,
    pub(in crate::pkcs11) tag_bits: CK_ULONG,
}

/// `CK_CCM_PARAMS`.
pub(in crate::pkcs11) struct CcmParams<'a> {
    /// Length of the data.
    pub(in crate::pkcs11) data_len: CK_ULONG,
    pub(in crate::pkcs11) nonce: Input<'a>,
    pub(in crate::pkcs11) aad: Input<'a>,
    /// In bytes.
    pub(in crate::pkcs11) tag_len: CK_ULONG,
}

/// `CK_SALSA20_CHACHA20_POLY1305_PARAMS`.
pub(in crate::pkcs11) struct ChaCha20Poly1305Params<'a> {
    pub(in crate::pkcs11) nonce: Input<'a>,
    pub(in crate::pkcs11) aad: Input<'a>,
}

/// `CK_EDDSA_PARAMS`.
pub(in crate::pkcs11) struct EddsaParams<'a> {
    /// `phFlag`.
    pub(in crate::pkcs11) over_digest: CK_BBOOL,
    pub(in crate::pkcs11) context: Input<'a>,
}

/// `CK_SIGN_ADDITIONAL_CONTEXT` and `CK_HASH_SIGN_ADDITIONAL_CONTEXT`.
pub(in crate::pkcs11) struct SignContext<'a> {
    pub(in crate::pkcs11) hedge: CK_HEDGE_TYPE,
    pub(in crate::pkcs11) context: Input<'a>,
}

/// `CK_RSA_PKCS_OAEP_PARAMS`.
pub(in crate::pkcs11) struct OaepParams<'a> {
    pub(in crate::pkcs11) hash: CK_MECHANISM_TYPE,
    pub(in crate::pkcs11) mgf: CK_RSA_PKCS_MGF_TYPE,
    pub(in crate::pkcs11) source: CK_RSA_PKCS_OAEP_SOURCE_TYPE,
    pub(in crate::pkcs11) label: Input<'a>,
}

impl OaepParams<'_> {
    /// # Safety
    /// The label's pointer is NULL or valid for its length, as long as the value lives.
    pub(super) const unsafe fn new(oaep: &CK_RSA_PKCS_OAEP_PARAMS) -> Self {
        // SAFETY: the caller's promise.
        let label = unsafe { Input::new(oaep.pSourceData.cast::<CK_BYTE>(), oaep.ulSourceDataLen) };
        Self { hash: oaep.hashAlg, mgf: oaep.mgf, source: oaep.source, label }
    }
}

impl<'a> Mechanism<'a> {
    /// # Safety
    /// `mechanism` is NULL or valid, with a parameter that is NULL or valid for its length and holds the structure that the
    /// standard gives to the mechanism, as long as the value lives.
    pub(super) const unsafe fn new(mechanism: *const CK_MECHANISM) -> Self {
        Self { mechanism, call: PhantomData }
    }

    /// Whether the caller passed NULL.
    pub(in crate::pkcs11) const fn is_null(&self) -> bool {
        self.mechanism.is_null()
    }

    /// Its type.
    ///
    /// # Errors
    /// [`Error::ArgumentsBad`] for NULL.
    pub(in crate::pkcs11) fn kind(&self) -> Result<CK_MECHANISM_TYPE> {
        Ok(self.read()?.mechanism)
    }

    /// For a mechanism without parameter.
    ///
    /// # Errors
    /// [`Error::MechanismParamInvalid`] if there is one. A length of 0 beside a pointer is seen in the field, and harmless.
    pub(in crate::pkcs11) fn no_param(&self) -> Result {
        if self.read()?.ulParameterLen == 0 { Ok(()) } else { Err(Error::MechanismParamInvalid) }
    }

    /// For a mechanism whose parameter is a `CK_ULONG`: a length.
    ///
    /// # Errors
    /// [`Error::MechanismParamInvalid`] for any other length of it, [`Error::ArgumentsBad`] for a number that no length can be.
    pub(in crate::pkcs11) fn number(&self) -> Result<usize> {
        length(self.param()?)
    }

    /// For a mechanism whose parameter is an IV of one length.
    ///
    /// # Errors
    /// [`Error::MechanismParamInvalid`] for any other length.
    pub(in crate::pkcs11) fn iv<const N: usize>(&self) -> Result<[u8; N]> {
        self.param()
    }

    /// For `CKM_AES_CTR`.
    ///
    /// # Errors
    /// [`Error::MechanismParamInvalid`] for any other length.
    pub(in crate::pkcs11) fn ctr(&self) -> Result<CK_AES_CTR_PARAMS> {
        self.param()
    }

    /// For `CKM_RSA_PKCS_PSS` and its kin.
    ///
    /// # Errors
    /// [`Error::MechanismParamInvalid`] for any other length.
    pub(in crate::pkcs11) fn pss(&self) -> Result<CK_RSA_PKCS_PSS_PARAMS> {
        self.param()
    }

    /// For `CKM_AES_GCM`.
    ///
    /// # Errors
    /// [`Error::MechanismParamInvalid`] for any other length.
    pub(in crate::pkcs11) fn gcm(&self) -> Result<GcmParams<'a>> {
        /// The structure of version 2.20 amendments, still sent by old clients: without `ulIvBits`.
        #[repr(C)]
        #[derive(Clone, Copy)]
        struct Old {
            iv: *mut CK_BYTE,
            iv_len: CK_ULONG,
            aad: *mut CK_BYTE,
            aad_len: CK_ULONG,
            tag_bits: CK_ULONG,
        }
        let (iv, iv_len, aad, aad_len, tag_bits) = match self.param::<CK_GCM_PARAMS>() {
            Ok(gcm) => (gcm.pIv, gcm.ulIvLen, gcm.pAAD, gcm.ulAADLen, gcm.ulTagBits),
            Err(_) => {
                let gcm: Old = self.param()?;
                (gcm.iv, gcm.iv_len, gcm.aad, gcm.aad_len, gcm.tag_bits)
            }
        };
        // SAFETY: by `new`'s contract the structure is the standard's, so its pointers are NULL or valid for their lengths.
        Ok(unsafe { GcmParams { iv: Input::new(iv, iv_len), aad: Input::new(aad, aad_len), tag_bits } })
    }

    /// For `CKM_AES_CCM`.
    ///
    /// # Errors
    /// [`Error::MechanismParamInvalid`] for any other length.
    pub(in crate::pkcs11) fn ccm(&self) -> Result<CcmParams<'a>> {
        let ccm: CK_CCM_PARAMS = self.param()?;
        // SAFETY: by `new`'s contract the structure is the standard's, so its pointers are NULL or valid for their lengths.
        let (nonce, aad) = unsafe { (Input::new(ccm.pNonce, ccm.ulNonceLen), Input::new(ccm.pAAD, ccm.ulAADLen)) };
        Ok(CcmParams { data_len: ccm.ulDataLen, nonce, aad, tag_len: ccm.ulMACLen })
    }

    /// For `CKM_CHACHA20_POLY1305`.
    ///
    /// # Errors
    /// [`Error::MechanismParamInvalid`] for any other length.
    pub(in crate::pkcs11) fn chacha20_poly1305(&self) -> Result<ChaCha20Poly1305Params<'a>> {
        let given: CK_SALSA20_CHACHA20_POLY1305_PARAMS = self.param()?;
        // SAFETY: by `new`'s contract the structure is the standard's, so its pointers are NULL or valid for their lengths.
        let (nonce, aad) = unsafe { (Input::new(given.pNonce, given.ulNonceLen), Input::new(given.pAAD, given.ulAADLen)) };
        Ok(ChaCha20Poly1305Params { nonce, aad })
    }

    /// For `CKM_EDDSA`.
    ///
    /// # Errors
    /// [`Error::MechanismParamInvalid`] for any other length.
    pub(in crate::pkcs11) fn eddsa(&self) -> Result<EddsaParams<'a>> {
        let given: CK_EDDSA_PARAMS = self.param()?;
        // SAFETY: by `new`'s contract the structure is the standard's, so its pointer is NULL or valid for its length.
        let context = unsafe { Input::new(given.pContextData, given.ulContextDataLen) };
        Ok(EddsaParams { over_digest: given.phFlag, context })
    }

    /// For `CKM_ML_DSA` and its kin.
    ///
    /// # Errors
    /// [`Error::MechanismParamInvalid`] for any other length.
    pub(in crate::pkcs11) fn sign_context(&self) -> Result<SignContext<'a>> {
        let given: CK_SIGN_ADDITIONAL_CONTEXT = self.param()?;
        // SAFETY: by `new`'s contract the structure is the standard's, so its pointer is NULL or valid for its length.
        let context = unsafe { Input::new(given.pContext, given.ulContextLen) };
        Ok(SignContext { hedge: given.hedgeVariant, context })
    }

    /// For `CKM_HASH_ML_DSA`, with the hash that the digest is of.
    ///
    /// # Errors
    /// [`Error::MechanismParamInvalid`] for any other length.
    pub(in crate::pkcs11) fn hash_sign_context(&self) -> Result<(SignContext<'a>, CK_MECHANISM_TYPE)> {
        let given: CK_HASH_SIGN_ADDITIONAL_CONTEXT = self.param()?;
        // SAFETY: by `new`'s contract the structure is the standard's, so its pointer is NULL or valid for its length.
        let context = unsafe { Input::new(given.pContext, given.ulContextLen) };
        Ok((SignContext { hedge: given.hedgeVariant, context }, given.hash))
    }

    /// For `CKM_RSA_PKCS_OAEP`.
    ///
    /// # Errors
    /// [`Error::MechanismParamInvalid`] for any other length.
    pub(in crate::pkcs11) fn oaep(&self) -> Result<OaepParams<'a>> {
        let oaep: CK_RSA_PKCS_OAEP_PARAMS = self.param()?;
        // SAFETY: by `new`'s contract the structure is the standard's.
        Ok(unsafe { OaepParams::new(&oaep) })
    }

    /// The parameter of a mechanism that is used as for a message: in authenticated wrapping.
    ///
    /// # Errors
    /// [`Error::ArgumentsBad`] for NULL in the mechanism's place.
    pub(in crate::pkcs11) fn message(&self) -> Result<MessageParameter<'a>> {
        let mechanism = self.read()?;
        // SAFETY: by `new`'s contract the parameter is NULL or valid for its length, and the structure that the standard gives to the
        // mechanism, which in such a function is that of a message.
        Ok(unsafe { MessageParameter::new(mechanism.pParameter, mechanism.ulParameterLen) })
    }

    fn read(&self) -> Result<CK_MECHANISM> {
        // SAFETY: by `new`'s contract the pointer is NULL or readable.
        unsafe { read(self.mechanism) }
    }

    /// The parameter as a `T`, which is made of integers and pointers, so that any bytes are one.
    pub(super) fn param<T: Copy>(&self) -> Result<T> {
        let mechanism = self.read()?;
        if mechanism.pParameter.is_null() || mechanism.ulParameterLen != size_of::<T>() as CK_ULONG {
            return Err(Error::MechanismParamInvalid);
        }
        // SAFETY: the parameter is readable for its length, which is that of a `T`; every bit pattern is a valid `T`.
        unsafe { read(mechanism.pParameter.cast()) }
    }
}
