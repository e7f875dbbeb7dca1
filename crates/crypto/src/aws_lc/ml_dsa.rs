//! ML-DSA on keys in the library's general form.

use std::ffi::c_int;
use std::ptr;

use aws_lc_sys as sys;

use super::owned::Owned;
use super::pq::PqKey;
use super::{check, holds};
use crate::{Error, MlDsaSet};

impl PqKey {
    /// A key pair from its 32-byte seed, or from the expanded private key.
    pub(crate) fn ml_dsa_private(set: MlDsaSet, private: &[u8]) -> Result<Self, Error> {
        // SAFETY: pointer and length are one slice's, which is copied; the result is null or ours.
        unsafe { Self::new(sys::EVP_PKEY_pqdsa_new_raw_private_key(nid(set), private.as_ptr(), private.len())) }
    }

    /// A public key as FIPS 204 writes it.
    pub(crate) fn ml_dsa_public(set: MlDsaSet, public: &[u8]) -> Result<Self, Error> {
        // SAFETY: pointer and length are one slice's, which is copied; the result is null or ours.
        unsafe { Self::new(sys::EVP_PKEY_pqdsa_new_raw_public_key(nid(set), public.as_ptr(), public.len())) }
    }

    /// The parameter set, where this is an ML-DSA key.
    pub(crate) fn ml_dsa_set(&self) -> Option<MlDsaSet> {
        if self.id() != sys::EVP_PKEY_PQDSA {
            return None;
        }
        // SAFETY: reads a valid key of this kind.
        let found = unsafe { sys::EVP_PKEY_pqdsa_get_type(self.as_ptr()) };
        [MlDsaSet::MlDsa44, MlDsaSet::MlDsa65, MlDsaSet::MlDsa87].into_iter().find(|set| nid(*set) == found)
    }

    /// Signs a message, hedged with fresh random bytes. The context has at most 255 bytes.
    pub(crate) fn ml_dsa_sign(&self, message: &[u8], context: &[u8], signature: &mut [u8]) -> Result<(), Error> {
        let session = Session::new(self, context, sys::EVP_DigestSignInit)?;
        let mut len = signature.len();
        // SAFETY: the output's length is passed with its pointer, the message is a live slice; the session is set up for signing.
        let outcome = unsafe { sys::EVP_DigestSign(session.0.as_ptr(), signature.as_mut_ptr(), &mut len, message.as_ptr(), message.len()) };
        check(c_int::from(outcome == 1 && len == signature.len()), Error::Internal)
    }

    pub(crate) fn ml_dsa_verify(&self, message: &[u8], context: &[u8], signature: &[u8]) -> Result<bool, Error> {
        let session = Session::new(self, context, sys::EVP_DigestVerifyInit)?;
        // SAFETY: both are live slices and only read; the session is set up for verifying.
        Ok(holds(unsafe {
            sys::EVP_DigestVerify(session.0.as_ptr(), signature.as_ptr(), signature.len(), message.as_ptr(), message.len())
        }))
    }

    /// Signs what FIPS 204 calls mu, the message's representative, which holds the context already.
    pub(crate) fn ml_dsa_sign_mu(&self, mu: &[u8; 64], signature: &mut [u8]) -> Result<(), Error> {
        let context = self.context()?;
        let mut len = signature.len();
        // SAFETY: the context is fresh; the output's length is passed with its pointer, and so is the array's.
        let outcome = unsafe {
            check(sys::EVP_PKEY_sign_init(context.as_ptr()), Error::Internal)?;
            sys::EVP_PKEY_sign(context.as_ptr(), signature.as_mut_ptr(), &mut len, mu.as_ptr(), mu.len())
        };
        check(c_int::from(outcome == 1 && len == signature.len()), Error::Internal)
    }

    pub(crate) fn ml_dsa_verify_mu(&self, mu: &[u8; 64], signature: &[u8]) -> Result<bool, Error> {
        let context = self.context()?;
        // SAFETY: the context is fresh; both are live slices and only read.
        Ok(holds(unsafe {
            check(sys::EVP_PKEY_verify_init(context.as_ptr()), Error::Internal)?;
            sys::EVP_PKEY_verify(context.as_ptr(), signature.as_ptr(), signature.len(), mu.as_ptr(), mu.len())
        }))
    }
}

type Initialise = unsafe extern "C" fn(
    *mut sys::EVP_MD_CTX,
    *mut *mut sys::EVP_PKEY_CTX,
    *const sys::EVP_MD,
    *mut sys::ENGINE,
    *mut sys::EVP_PKEY,
) -> c_int;

/// One signature being made or checked.
struct Session(Owned<sys::EVP_MD_CTX>);

impl Session {
    fn new(key: &PqKey, context: &[u8], initialise: Initialise) -> Result<Self, Error> {
        // SAFETY: takes nothing, returns null or a context that is ours.
        let session = unsafe { Owned::new(sys::EVP_MD_CTX_new(), Error::Internal)? };
        let mut inner = ptr::null_mut();
        // SAFETY: the session is fresh and takes a counted reference on the key; the scheme hashes by itself, so there is no digest; no
        // engine. The inner context belongs to the session; the signature's context is copied.
        unsafe {
            check(initialise(session.as_ptr(), &mut inner, ptr::null(), ptr::null_mut(), key.as_ptr()), Error::Internal)?;
            check(sys::EVP_PKEY_CTX_set_signature_context(inner, context.as_ptr(), context.len()), Error::InputLength)?;
        }
        Ok(Self(session))
    }
}

/// The library's number of a parameter set.
fn nid(set: MlDsaSet) -> c_int {
    match set {
        MlDsaSet::MlDsa44 => sys::NID_MLDSA44,
        MlDsaSet::MlDsa65 => sys::NID_MLDSA65,
        MlDsaSet::MlDsa87 => sys::NID_MLDSA87,
    }
}
