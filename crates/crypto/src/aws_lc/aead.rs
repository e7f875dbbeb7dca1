//! AES-GCM and ChaCha20-Poly1305 with a prepared key: the hot path. No allocation and no key schedule per call.

use aws_lc_sys as sys;

use super::buffers::{Buffers, InPlace};
use super::owned::Owned;
use super::{check, clear_errors};
use crate::Error;

/// Length of the tag on this path.
pub(crate) const TAG_LEN: usize = 16;
/// Length of the IV on this path.
pub(crate) const IV_LEN: usize = 12;
/// What GCM may encrypt under one IV: 2^32 - 2 blocks (NIST SP 800-38D, 5.2.1.1). ChaCha20-Poly1305 could do four times as much.
const MAX_LEN: u64 = (1 << 36) - 32;

/// A key prepared for authenticated encryption with a 12-byte IV and a 16-byte tag.
pub(crate) struct AeadContext(Owned<sys::EVP_AEAD_CTX>);

// SAFETY: the context is not bound to a thread, and aead.h lists both algorithms among the AEADs whose seal and open may run concurrently on
// one context (they take it as const).
unsafe impl Send for AeadContext {}
// SAFETY: as above.
unsafe impl Sync for AeadContext {}

impl AeadContext {
    /// Prepares an AES key of 16, 24 or 32 bytes for GCM.
    pub(crate) fn aes_gcm(key: &[u8]) -> Result<Self, Error> {
        // SAFETY: these take nothing and return pointers to constants.
        let algorithm = unsafe {
            match key.len() {
                16 => sys::EVP_aead_aes_128_gcm(),
                24 => sys::EVP_aead_aes_192_gcm(),
                32 => sys::EVP_aead_aes_256_gcm(),
                _ => return Err(Error::KeySize),
            }
        };
        // SAFETY: the algorithm takes keys of this length.
        unsafe { Self::new(algorithm, key) }
    }

    /// Prepares a key for ChaCha20-Poly1305.
    pub(crate) fn chacha20_poly1305(key: &[u8; 32]) -> Result<Self, Error> {
        // SAFETY: the algorithm is a constant and takes keys of this length.
        unsafe { Self::new(sys::EVP_aead_chacha20_poly1305(), key) }
    }

    /// # Safety
    /// `algorithm` takes keys of this length, IVs of [`IV_LEN`] and tags of [`TAG_LEN`].
    unsafe fn new(algorithm: *const sys::EVP_AEAD, key: &[u8]) -> Result<Self, Error> {
        // SAFETY: the key's pointer and length are one slice's and fit (caller's promise), and the library copies it.
        unsafe { Owned::new(sys::EVP_AEAD_CTX_new(algorithm, key.as_ptr(), key.len(), TAG_LEN), Error::Internal).map(Self) }
    }

    /// Encrypts; output as long as the input.
    pub(crate) fn seal(&self, iv: &[u8; IV_LEN], aad: &[u8], mut data: Buffers<'_>, tag: &mut [u8; TAG_LEN]) -> Result<usize, Error> {
        let len = data.input_len();
        check_len(len)?;
        let ready = data.prepare(len, InPlace::Borne)?;
        let mut tag_len = 0;
        // SAFETY: input is readable and output writable for `len` bytes, and they are equal or disjoint (`prepare`); IV, additional data
        // and tag are live slices of the lengths given; the context was initialised in `new`. No extra input.
        let outcome = unsafe {
            sys::EVP_AEAD_CTX_seal_scatter(
                self.0.as_ptr(),
                ready.output,
                tag.as_mut_ptr(),
                &mut tag_len,
                tag.len(),
                iv.as_ptr(),
                iv.len(),
                ready.input,
                len,
                std::ptr::null(),
                0,
                aad.as_ptr(),
                aad.len(),
            )
        };
        check(outcome, Error::Internal)?;
        Ok(len)
    }

    /// Decrypts; on a wrong tag the library zeroes the output.
    pub(crate) fn open(&self, iv: &[u8; IV_LEN], aad: &[u8], mut data: Buffers<'_>, tag: &[u8; TAG_LEN]) -> Result<usize, Error> {
        let len = data.input_len();
        check_len(len)?;
        let ready = data.prepare(len, InPlace::Borne)?;
        // SAFETY: as in `seal`; the tag is only read.
        let outcome = unsafe {
            sys::EVP_AEAD_CTX_open_gather(
                self.0.as_ptr(),
                ready.output,
                iv.as_ptr(),
                iv.len(),
                ready.input,
                len,
                tag.as_ptr(),
                tag.len(),
                aad.as_ptr(),
                aad.len(),
            )
        };
        if outcome != 1 {
            clear_errors();
            return Err(Error::Authentication);
        }
        Ok(len)
    }
}

fn check_len(len: usize) -> Result<(), Error> {
    if u64::try_from(len).is_ok_and(|len| len <= MAX_LEN) { Ok(()) } else { Err(Error::TooLong) }
}
