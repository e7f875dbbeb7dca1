//! AES-CCM: one call for the whole message, whose length goes into the first block.

use std::ffi::c_int;
use std::ptr;

use aws_lc_sys as sys;

use super::buffers::{Buffers, InPlace, Prepared};
use super::check;
use super::cipher::Direction;
use super::owned::Owned;
use crate::Error;

/// Lengths of nonces, in bytes.
const NONCE: std::ops::RangeInclusive<usize> = 7..=13;

/// Encrypts; output as long as the input. The tag has an even length of 4 to 16 bytes.
pub(crate) fn ccm_seal(key: &[u8], nonce: &[u8], aad: &[u8], mut data: Buffers<'_>, tag: &mut [u8]) -> Result<usize, Error> {
    let tag_len = tag_len(tag)?;
    let len = data.input_len();
    let call = Call::new(key, nonce, Direction::Encrypt, tag_len, ptr::null_mut(), len)?;
    let ready = data.prepare(len, InPlace::Borne)?;
    call.run(aad, &ready, Error::Internal)?;
    // SAFETY: the tag is writable for the length passed.
    let outcome = unsafe { sys::EVP_CIPHER_CTX_ctrl(call.context.as_ptr(), sys::EVP_CTRL_AEAD_GET_TAG, tag_len, tag.as_mut_ptr().cast()) };
    check(outcome, Error::Internal)?;
    Ok(len)
}

/// Decrypts; on a wrong tag the library zeroes the output.
pub(crate) fn ccm_open(key: &[u8], nonce: &[u8], aad: &[u8], mut data: Buffers<'_>, tag: &[u8]) -> Result<usize, Error> {
    let len = data.input_len();
    // The library reads through this pointer although its type does not say so.
    let call = Call::new(key, nonce, Direction::Decrypt, tag_len(tag)?, tag.as_ptr().cast_mut(), len)?;
    let ready = data.prepare(len, InPlace::Borne)?;
    call.run(aad, &ready, Error::Authentication)?;
    Ok(len)
}

/// A context with key, nonce, tag and the message's length set.
struct Call {
    context: Owned<sys::EVP_CIPHER_CTX>,
    len: c_int,
}

impl Call {
    /// `tag` is null, or readable for `tag_len` bytes during the call.
    fn new(key: &[u8], nonce: &[u8], direction: Direction, tag_len: c_int, tag: *mut u8, len: usize) -> Result<Self, Error> {
        if !NONCE.contains(&nonce.len()) {
            return Err(Error::IvLength);
        }
        // The bytes that the nonce leaves in its block hold the length (NIST SP 800-38C, appendix A.1).
        let too_long = u32::try_from(8 * (15 - nonce.len())).is_ok_and(|bits| (len as u64).checked_shr(bits).unwrap_or(0) != 0);
        let len = c_int::try_from(len).ok().filter(|_| !too_long).ok_or(Error::TooLong)?;
        let nonce_len = c_int::try_from(nonce.len()).map_err(|_| Error::IvLength)?;
        let (none, encrypt) = (ptr::null_mut(), c_int::from(direction == Direction::Encrypt));
        // SAFETY: the context is fresh, the algorithm a constant that takes a key of this length (null only out of memory, which the
        // first call refuses). Key and nonce are read within the calls, the nonce in the length just set. The tag's pointer fits its length
        // (callers above). Null for both buffers announces the length.
        unsafe {
            let algorithm = match key.len() {
                16 => sys::EVP_aes_128_ccm(),
                24 => sys::EVP_aes_192_ccm(),
                32 => sys::EVP_aes_256_ccm(),
                _ => return Err(Error::KeySize),
            };
            let context = Owned::new(sys::EVP_CIPHER_CTX_new(), Error::Internal)?;
            let raw = context.as_ptr();
            check(sys::EVP_CipherInit_ex(raw, algorithm, none, ptr::null(), ptr::null(), encrypt), Error::Internal)?;
            check(sys::EVP_CIPHER_CTX_ctrl(raw, sys::EVP_CTRL_AEAD_SET_IVLEN, nonce_len, ptr::null_mut()), Error::IvLength)?;
            check(sys::EVP_CIPHER_CTX_ctrl(raw, sys::EVP_CTRL_AEAD_SET_TAG, tag_len, tag.cast()), Error::TagLength)?;
            check(sys::EVP_CipherInit_ex(raw, ptr::null(), none, key.as_ptr(), nonce.as_ptr(), encrypt), Error::Internal)?;
            let mut ignored = 0;
            check(sys::EVP_CipherUpdate(raw, ptr::null_mut(), &mut ignored, ptr::null(), len), Error::TooLong)?;
            Ok(Self { context, len })
        }
    }

    /// Processes additional data and the message, which has the announced length in both buffers.
    fn run(&self, aad: &[u8], message: &Prepared, failure: Error) -> Result<(), Error> {
        let (raw, mut ignored) = (self.context.as_ptr(), 0);
        if !aad.is_empty() {
            let aad_len = c_int::try_from(aad.len()).map_err(|_| Error::TooLong)?;
            // SAFETY: a null output marks additional data; pointer and length are one slice's.
            check(unsafe { sys::EVP_CipherUpdate(raw, ptr::null_mut(), &mut ignored, aad.as_ptr(), aad_len) }, Error::TooLong)?;
        }
        // SAFETY: input is readable and output writable for `len` bytes, and they are equal or disjoint (`prepare`). The pointers are never
        // null, so that an empty message is authenticated too.
        check(unsafe { sys::EVP_CipherUpdate(raw, message.output, &mut ignored, message.input, self.len) }, failure)
    }
}

fn tag_len(tag: &[u8]) -> Result<c_int, Error> {
    let good = (4..=16).contains(&tag.len()) && tag.len().is_multiple_of(2);
    c_int::try_from(tag.len()).ok().filter(|_| good).ok_or(Error::TagLength)
}
