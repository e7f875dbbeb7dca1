//! Post-quantum keys in the library's general form: parsing, writing, their parameter sets.

use std::ffi::c_int;
use std::ptr;

use aws_lc_sys as sys;
use zeroize::Zeroizing;

use super::owned::Owned;
use super::{check, der};
use crate::Error;

/// An ML-DSA or ML-KEM key, private or public.
pub(crate) struct PqKey(Owned<sys::EVP_PKEY>);

// SAFETY: the object is not bound to a thread; evp.h: it may be used concurrently by non-mutating functions, which is all that is called
// after it was made (operations go through a context of their own that takes a counted reference).
unsafe impl Send for PqKey {}
// SAFETY: as above.
unsafe impl Sync for PqKey {}

impl PqKey {
    /// From PKCS#8 with a seed or an expanded key (RFC 9881, RFC 9935).
    pub(crate) fn from_pkcs8_der(encoded: &[u8]) -> Result<Self, Error> {
        // SAFETY: `parse` hands a valid reader over for the length of the call.
        der::parse(encoded, |cbs| unsafe { sys::EVP_parse_private_key(cbs) }).map(Self)
    }

    /// From SubjectPublicKeyInfo.
    pub(crate) fn from_spki_der(encoded: &[u8]) -> Result<Self, Error> {
        // SAFETY: `parse` hands a valid reader over for the length of the call.
        der::parse(encoded, |cbs| unsafe { sys::EVP_parse_public_key(cbs) }).map(Self)
    }

    /// PKCS#8 with the seed.
    pub(crate) fn to_pkcs8_der(&self) -> Result<Zeroizing<Vec<u8>>, Error> {
        // SAFETY: the builder is valid during the call, the key is only read.
        der::marshal(|cbb| unsafe { sys::EVP_marshal_private_key(cbb, self.as_ptr()) })
    }

    /// SubjectPublicKeyInfo.
    pub(crate) fn to_spki_der(&self) -> Result<Vec<u8>, Error> {
        // SAFETY: the builder is valid during the call, the key is only read.
        der::marshal(|cbb| unsafe { sys::EVP_marshal_public_key(cbb, self.as_ptr()) }).map(|mut der| std::mem::take(&mut *der))
    }

    /// The public key as its standard writes it.
    pub(crate) fn raw_public(&self) -> Result<Vec<u8>, Error> {
        let public = self.raw(|key, out, len| {
            // SAFETY: the output is null (only the length is asked for) or writable for the length passed; the key is only read.
            unsafe { sys::EVP_PKEY_get_raw_public_key(key, out, len) }
        });
        public.map(|mut public| std::mem::take(&mut *public))
    }

    /// The private key as its standard writes it, expanded.
    pub(crate) fn raw_private(&self) -> Result<Zeroizing<Vec<u8>>, Error> {
        self.raw(|key, out, len| {
            // SAFETY: as in `raw_public`.
            unsafe { sys::EVP_PKEY_get_raw_private_key(key, out, len) }
        })
    }

    pub(super) fn as_ptr(&self) -> *mut sys::EVP_PKEY {
        self.0.as_ptr()
    }

    /// # Safety
    /// `key` is null, or valid and owned by nobody else.
    pub(super) unsafe fn new(key: *mut sys::EVP_PKEY) -> Result<Self, Error> {
        // SAFETY: the caller's promise.
        unsafe { Owned::new(key, Error::Malformed) }.map(Self)
    }

    /// The library's number of the kind of key.
    pub(super) fn id(&self) -> c_int {
        // SAFETY: reads a valid key.
        unsafe { sys::EVP_PKEY_id(self.as_ptr()) }
    }

    /// A context for an operation with this key.
    pub(super) fn context(&self) -> Result<Owned<sys::EVP_PKEY_CTX>, Error> {
        // SAFETY: takes a reference of its own on the key (the count is atomic); the result is null or ours. No engine.
        unsafe { Owned::new(sys::EVP_PKEY_CTX_new(self.as_ptr(), ptr::null_mut()), Error::Internal) }
    }

    fn raw(&self, read: impl Fn(*const sys::EVP_PKEY, *mut u8, *mut usize) -> c_int) -> Result<Zeroizing<Vec<u8>>, Error> {
        let mut len = 0;
        check(read(self.as_ptr(), ptr::null_mut(), &mut len), Error::Malformed)?;
        let mut bytes = Zeroizing::new(vec![0; len]);
        check(read(self.as_ptr(), bytes.as_mut_ptr(), &mut len), Error::Malformed)?;
        bytes.truncate(len);
        Ok(bytes)
    }
}
