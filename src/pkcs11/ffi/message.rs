//! Parameters of one message: where its IV comes from and goes to, and its tag.

use std::ffi::c_void;
use std::marker::PhantomData;

use cryptoki_sys::*;

use super::{Error, Fill, Result, read};

/// A parameter structure of C_EncryptMessage and its kin.
#[derive(Clone, Copy)]
pub(in crate::pkcs11) struct MessageParameter<'a> {
    parameter: *mut c_void,
    len: CK_ULONG,
    call: PhantomData<&'a mut [u8]>,
}

/// What the structures of all mechanisms have in common.
pub(in crate::pkcs11) struct MessageParams<'a> {
    /// Read, or written where the token makes it.
    pub(in crate::pkcs11) iv: Fill<'a>,
    /// The leading bits that stay as the caller gave them where the token makes the IV.
    pub(in crate::pkcs11) fixed_bits: CK_ULONG,
    /// Who makes the IV (`CKG_`).
    pub(in crate::pkcs11) generator: CK_GENERATOR_FUNCTION,
    /// Written by an encryption, read by a decryption; unset until the call that ends the message.
    pub(in crate::pkcs11) tag: Fill<'a>,
    /// Length of the tag, which is good for no mechanism where these are no whole bytes.
    pub(in crate::pkcs11) tag_bits: CK_ULONG,
    /// Length of the data, where the mechanism must know it.
    pub(in crate::pkcs11) announced: Option<CK_ULONG>,
}

impl<'a> MessageParameter<'a> {
    /// # Safety
    /// `parameter` is NULL or valid for its length and holds the structure that the standard gives to the operation's mechanism, as long
    /// as the value lives.
    pub(super) const unsafe fn new(parameter: *mut c_void, len: CK_ULONG) -> Self {
        Self { parameter, len, call: PhantomData }
    }

    /// `CK_GCM_MESSAGE_PARAMS`.
    ///
    /// # Errors
    /// [`Error::MechanismParamInvalid`] for any other length.
    pub(in crate::pkcs11) fn gcm(&self) -> Result<MessageParams<'a>> {
        let given: CK_GCM_MESSAGE_PARAMS = self.read()?;
        // SAFETY: by `new`'s contract the structure is the standard's, so its pointers are NULL or valid for their lengths.
        let (iv, tag) = unsafe { (Fill::new(given.pIv, given.ulIvLen), Fill::new(given.pTag, given.ulTagBits / 8)) };
        let (fixed_bits, generator) = (given.ulIvFixedBits, given.ivGenerator);
        Ok(MessageParams { iv, fixed_bits, generator, tag, tag_bits: given.ulTagBits, announced: None })
    }

    /// `CK_CCM_MESSAGE_PARAMS`.
    ///
    /// # Errors
    /// [`Error::MechanismParamInvalid`] for any other length.
    pub(in crate::pkcs11) fn ccm(&self) -> Result<MessageParams<'a>> {
        let given: CK_CCM_MESSAGE_PARAMS = self.read()?;
        // SAFETY: by `new`'s contract the structure is the standard's, so its pointers are NULL or valid for their lengths.
        let (iv, tag) = unsafe { (Fill::new(given.pNonce, given.ulNonceLen), Fill::new(given.pMAC, given.ulMACLen)) };
        let (fixed_bits, generator) = (given.ulNonceFixedBits, given.nonceGenerator);
        let (tag_bits, announced) = (given.ulMACLen.saturating_mul(8), Some(given.ulDataLen));
        Ok(MessageParams { iv, fixed_bits, generator, tag, tag_bits, announced })
    }

    /// `CK_SALSA20_CHACHA20_POLY1305_MSG_PARAMS`: the nonce is the caller's, the tag has 16 bytes.
    ///
    /// # Errors
    /// [`Error::MechanismParamInvalid`] for any other length.
    pub(in crate::pkcs11) fn chacha20_poly1305(&self) -> Result<MessageParams<'a>> {
        let given: CK_SALSA20_CHACHA20_POLY1305_MSG_PARAMS = self.read()?;
        // SAFETY: by `new`'s contract the structure is the standard's, so its pointers are NULL or valid for their lengths.
        let (iv, tag) = unsafe { (Fill::new(given.pNonce, given.ulNonceLen), Fill::new(given.pTag, 16)) };
        Ok(MessageParams { iv, fixed_bits: 0, generator: CKG_NO_GENERATE, tag, tag_bits: 128, announced: None })
    }

    fn read<T: Copy>(&self) -> Result<T> {
        if self.parameter.is_null() || self.len != size_of::<T>() as CK_ULONG {
            return Err(Error::MechanismParamInvalid);
        }
        // SAFETY: readable for its length, which is that of a `T`; every bit pattern is a valid `T`, made of integers and pointers.
        unsafe { read(self.parameter.cast()) }
    }
}
