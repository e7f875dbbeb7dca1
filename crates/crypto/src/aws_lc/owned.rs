//! One owner for each object that the library allocates.

use std::ptr::NonNull;

use aws_lc_sys as sys;

use super::clear_errors;
use crate::Error;

/// A type of the library with its destructor.
///
/// # Safety
/// `release` frees an object of this type that nobody else will free.
pub(super) unsafe trait Release {
    /// Frees the object.
    ///
    /// # Safety
    /// `object` came from the library, is owned by the caller, and is not used again.
    unsafe fn release(object: *mut Self);
}

/// Owns one object (or one reference, for counted objects) and releases it on drop.
pub(super) struct Owned<T: Release>(NonNull<T>);

impl<T: Release> Owned<T> {
    /// Takes what a constructor of the library returned; null is a failure of that constructor and becomes `error`.
    ///
    /// # Safety
    /// `object` is null, or valid and owned by nobody else.
    pub(super) unsafe fn new(object: *mut T, error: Error) -> Result<Self, Error> {
        NonNull::new(object).map(Self).ok_or_else(|| {
            clear_errors();
            error
        })
    }

    /// The pointer for a call into the library, valid as long as the owner lives.
    pub(super) fn as_ptr(&self) -> *mut T {
        self.0.as_ptr()
    }

    /// Gives the object up, to a function that takes it over.
    pub(super) fn into_raw(self) -> *mut T {
        let object = self.0.as_ptr();
        std::mem::forget(self);
        object
    }
}

impl<T: Release> Drop for Owned<T> {
    fn drop(&mut self) {
        // SAFETY: the pointer came into `new` as owned and valid, and this is the one place that frees it.
        unsafe { T::release(self.0.as_ptr()) }
    }
}

macro_rules! release {
    ($($object:ty => $free:path),+ $(,)?) => {$(
        // SAFETY: the library's own destructor for this very type.
        unsafe impl Release for $object {
            unsafe fn release(object: *mut Self) {
                // SAFETY: the caller's promise is the destructor's requirement. It overwrites secrets, as all of aws-lc's do.
                unsafe { $free(object) }
            }
        }
    )+};
}

release! {
    sys::EVP_AEAD_CTX => sys::EVP_AEAD_CTX_free,
    sys::CMAC_CTX => sys::CMAC_CTX_free,
    sys::HMAC_CTX => sys::HMAC_CTX_free,
    sys::EVP_CIPHER_CTX => sys::EVP_CIPHER_CTX_free,
    sys::EVP_MD_CTX => sys::EVP_MD_CTX_free,
    sys::EVP_PKEY => sys::EVP_PKEY_free,
    sys::EVP_PKEY_CTX => sys::EVP_PKEY_CTX_free,
    sys::RSA => sys::RSA_free,
    sys::EC_KEY => sys::EC_KEY_free,
    sys::ECDSA_SIG => sys::ECDSA_SIG_free,
    sys::BIGNUM => sys::BN_free,
}
