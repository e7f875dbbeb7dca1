//! HMAC and CMAC in parts.

use std::ffi::c_uint;
use std::ptr;

use aws_lc_sys as sys;

use super::owned::Owned;
use super::{check, hash};
use crate::Error;
use crate::digest::Hash;

/// Length of the longest code, HMAC-SHA-512's.
pub(crate) const MAX_MAC: usize = 64;

/// A running HMAC with its own copy of the key.
pub(crate) struct HmacContext(Owned<sys::HMAC_CTX>);

// SAFETY: the context is plain heap data, bound to no thread; it is only used through `&mut`.
unsafe impl Send for HmacContext {}
// SAFETY: `&HmacContext` gives access to nothing.
unsafe impl Sync for HmacContext {}

impl HmacContext {
    /// Starts; hashes for which the library has no HMAC are `Unsupported`.
    pub(crate) fn new(hash: Hash, key: &[u8]) -> Result<Self, Error> {
        // SAFETY: takes nothing, returns null or a context that is ours.
        let context = unsafe { Owned::new(sys::HMAC_CTX_new(), Error::Internal)? };
        let digest = hash::message_digest(hash)?;
        // SAFETY: the context is fresh, the digest a constant; the key's pointer (never null) and length are one slice's. No engine.
        let outcome = unsafe { sys::HMAC_Init_ex(context.as_ptr(), key.as_ptr().cast(), key.len(), digest, ptr::null_mut()) };
        check(outcome, Error::Unsupported)?;
        Ok(Self(context))
    }

    pub(crate) fn update(&mut self, data: &[u8]) -> Result<(), Error> {
        // SAFETY: the context is initialised; pointer and length are one slice's.
        check(unsafe { sys::HMAC_Update(self.0.as_ptr(), data.as_ptr(), data.len()) }, Error::Internal)
    }

    /// Writes the code to the start of `out` and returns its length.
    pub(crate) fn finish(&mut self, out: &mut [u8; MAX_MAC]) -> Result<usize, Error> {
        let mut len: c_uint = 0;
        // SAFETY: the context is initialised; the library writes at most the longest digest's length, which is the array's.
        check(unsafe { sys::HMAC_Final(self.0.as_ptr(), out.as_mut_ptr(), &mut len) }, Error::Internal)?;
        Ok(len as usize)
    }
}

/// A running CMAC with its own copy of the key.
pub(crate) struct CmacContext(Owned<sys::CMAC_CTX>);

// SAFETY: the context is plain heap data, bound to no thread; it is only used through `&mut`.
unsafe impl Send for CmacContext {}
// SAFETY: `&CmacContext` gives access to nothing.
unsafe impl Sync for CmacContext {}

impl CmacContext {
    /// Starts with an AES key of 16, 24 or 32 bytes.
    pub(crate) fn aes(key: &[u8]) -> Result<Self, Error> {
        // SAFETY: these take nothing and return pointers to constants (null only out of memory, which `new` refuses).
        let cipher = unsafe {
            match key.len() {
                16 => sys::EVP_aes_128_cbc(),
                24 => sys::EVP_aes_192_cbc(),
                32 => sys::EVP_aes_256_cbc(),
                _ => return Err(Error::KeySize),
            }
        };
        // SAFETY: the cipher takes keys of this length.
        unsafe { Self::new(cipher, key) }
    }

    /// Starts with the three keys of triple DES, 24 bytes.
    pub(crate) fn des3(key: &[u8; 24]) -> Result<Self, Error> {
        // SAFETY: the cipher is a constant and takes keys of this length.
        unsafe { Self::new(sys::EVP_des_ede3_cbc(), key) }
    }

    /// # Safety
    /// `cipher` is null or takes a key of this length.
    unsafe fn new(cipher: *const sys::EVP_CIPHER, key: &[u8]) -> Result<Self, Error> {
        if cipher.is_null() {
            return Err(Error::Internal);
        }
        // SAFETY: the context is null or ours; the key's pointer and length are one slice's and fit the cipher (caller's promise).
        unsafe {
            let context = Owned::new(sys::CMAC_CTX_new(), Error::Internal)?;
            let outcome = sys::CMAC_Init(context.as_ptr(), key.as_ptr().cast(), key.len(), cipher, ptr::null_mut());
            check(outcome, Error::Internal)?;
            Ok(Self(context))
        }
    }

    pub(crate) fn update(&mut self, data: &[u8]) -> Result<(), Error> {
        // SAFETY: the context is initialised; pointer and length are one slice's.
        check(unsafe { sys::CMAC_Update(self.0.as_ptr(), data.as_ptr(), data.len()) }, Error::Internal)
    }

    /// Writes the code to the start of `out` and returns its length, the cipher's block.
    pub(crate) fn finish(&mut self, out: &mut [u8; MAX_MAC]) -> Result<usize, Error> {
        let mut len = out.len();
        // SAFETY: the context is initialised; the library writes one block of the cipher, at most 16 bytes.
        check(unsafe { sys::CMAC_Final(self.0.as_ptr(), out.as_mut_ptr(), &mut len) }, Error::Internal)?;
        Ok(len)
    }
}
