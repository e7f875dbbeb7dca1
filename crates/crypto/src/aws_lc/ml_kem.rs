//! ML-KEM on keys in the library's general form.

use std::ffi::c_int;
use std::ptr;

use aws_lc_sys as sys;
use zeroize::Zeroizing;

use super::check;
use super::owned::Owned;
use super::pq::PqKey;
use crate::{Error, MlKemSet};

impl PqKey {
    /// A key pair from its 64-byte seed.
    pub(crate) fn ml_kem_from_seed(set: MlKemSet, seed: &[u8; 64]) -> Result<Self, Error> {
        let (mut key, mut len) = (ptr::null_mut(), seed.len());
        // SAFETY: the context is null or ours; the seed's length is passed with its pointer; the key that comes out is ours.
        unsafe {
            let context = Owned::new(sys::EVP_PKEY_CTX_new_id(sys::EVP_PKEY_KEM, ptr::null_mut()), Error::Internal)?;
            check(sys::EVP_PKEY_CTX_kem_set_params(context.as_ptr(), nid(set)), Error::Internal)?;
            check(sys::EVP_PKEY_keygen_init(context.as_ptr()), Error::Internal)?;
            check(sys::EVP_PKEY_keygen_deterministic(context.as_ptr(), &mut key, seed.as_ptr(), &mut len), Error::Internal)?;
            Self::new(key)
        }
    }

    /// A key pair from both its halves as FIPS 203 writes them, which must be one pair.
    pub(crate) fn ml_kem_pair(set: MlKemSet, public: &[u8], private: &[u8]) -> Result<Self, Error> {
        // SAFETY: each pointer is passed with its slice's length, and the bytes are copied; the result is null or ours.
        let key =
            unsafe { Self::new(sys::EVP_PKEY_kem_new_raw_key(nid(set), public.as_ptr(), public.len(), private.as_ptr(), private.len()))? };
        // SAFETY: reads a valid key that nobody else has yet.
        check(unsafe { sys::EVP_PKEY_kem_check_key(key.as_ptr()) }, Error::Malformed)?;
        Ok(key)
    }

    /// A public key as FIPS 203 writes it.
    pub(crate) fn ml_kem_public(set: MlKemSet, public: &[u8]) -> Result<Self, Error> {
        // SAFETY: pointer and length are one slice's, which is copied; the result is null or ours.
        unsafe { Self::new(sys::EVP_PKEY_kem_new_raw_public_key(nid(set), public.as_ptr(), public.len())) }
    }

    /// FIPS 203's check of an encapsulation key (7.2): each coefficient is reduced.
    pub(crate) fn ml_kem_check_public(&self) -> Result<(), Error> {
        let context = self.context()?;
        // SAFETY: reads a valid key.
        check(unsafe { sys::EVP_PKEY_public_check(context.as_ptr()) }, Error::Malformed)
    }

    /// The parameter set, where this is an ML-KEM key.
    pub(crate) fn ml_kem_set(&self) -> Option<MlKemSet> {
        if self.id() != sys::EVP_PKEY_KEM {
            return None;
        }
        // SAFETY: reads a valid key of this kind.
        let found = unsafe { sys::EVP_PKEY_kem_get_type(self.as_ptr()) };
        [MlKemSet::MlKem512, MlKemSet::MlKem768, MlKemSet::MlKem1024].into_iter().find(|set| nid(*set) == found)
    }

    /// A fresh shared secret and its encapsulation, for which `ciphertext` has the length.
    pub(crate) fn ml_kem_encapsulate(&self, ciphertext: &mut [u8]) -> Result<Zeroizing<[u8; 32]>, Error> {
        let context = self.context()?;
        let mut secret = Zeroizing::new([0; 32]);
        let (mut len, mut secret_len) = (ciphertext.len(), secret.len());
        // SAFETY: both outputs' lengths are passed with their pointers, and the library refuses what is too short.
        let outcome =
            unsafe { sys::EVP_PKEY_encapsulate(context.as_ptr(), ciphertext.as_mut_ptr(), &mut len, secret.as_mut_ptr(), &mut secret_len) };
        check(outcome, Error::Internal)?;
        Ok(secret)
    }

    /// As `ml_kem_encapsulate`, with the random bytes given: for published vectors.
    #[cfg(test)]
    pub(crate) fn ml_kem_encapsulate_with(&self, ciphertext: &mut [u8], random: &[u8; 32]) -> Result<Zeroizing<[u8; 32]>, Error> {
        let context = self.context()?;
        let mut secret = Zeroizing::new([0; 32]);
        let (mut len, mut secret_len, mut random_len) = (ciphertext.len(), secret.len(), random.len());
        let (out, secret_out) = (ciphertext.as_mut_ptr(), secret.as_mut_ptr());
        // SAFETY: as in `ml_kem_encapsulate`; the random bytes' length is passed with their pointer.
        let outcome = unsafe {
            let (random, len) = (random.as_ptr(), &mut len);
            sys::EVP_PKEY_encapsulate_deterministic(context.as_ptr(), out, len, secret_out, &mut secret_len, random, &mut random_len)
        };
        check(outcome, Error::Internal)?;
        Ok(secret)
    }

    /// The shared secret of an encapsulation. A forged one of the right length gives another secret, as the standard wants.
    pub(crate) fn ml_kem_decapsulate(&self, ciphertext: &[u8]) -> Result<Zeroizing<[u8; 32]>, Error> {
        let context = self.context()?;
        let mut secret = Zeroizing::new([0; 32]);
        let mut secret_len = secret.len();
        // SAFETY: the output's length is passed with its pointer, the ciphertext is a live slice.
        let outcome = unsafe {
            sys::EVP_PKEY_decapsulate(context.as_ptr(), secret.as_mut_ptr(), &mut secret_len, ciphertext.as_ptr(), ciphertext.len())
        };
        check(outcome, Error::InputLength)?;
        Ok(secret)
    }
}

/// The library's number of a parameter set.
fn nid(set: MlKemSet) -> c_int {
    match set {
        MlKemSet::MlKem512 => sys::NID_MLKEM512,
        MlKemSet::MlKem768 => sys::NID_MLKEM768,
        MlKemSet::MlKem1024 => sys::NID_MLKEM1024,
    }
}
