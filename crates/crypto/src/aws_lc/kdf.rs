//! HKDF, PBKDF2, and the one-step KDF of NIST SP 800-56C.

use aws_lc_sys as sys;
use zeroize::Zeroizing;

use super::{MAX_MAC, check, hash};
use crate::Error;
use crate::digest::Hash;

/// HKDF's extract and expand in one; fills the output, which has at most 255 times the hash's length.
pub(crate) fn hkdf(hash: Hash, secret: &[u8], salt: &[u8], info: &[u8], out: &mut [u8]) -> Result<(), Error> {
    let digest = hash::message_digest(hash)?;
    let (out, out_len) = (out.as_mut_ptr(), out.len());
    // SAFETY: each pointer (never null) is passed with the length of its slice; the digest is a constant.
    let outcome =
        unsafe { sys::HKDF(out, out_len, digest, secret.as_ptr(), secret.len(), salt.as_ptr(), salt.len(), info.as_ptr(), info.len()) };
    check(outcome, Error::Unsupported)
}

/// HKDF's extract.
pub(crate) fn hkdf_extract(hash: Hash, secret: &[u8], salt: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
    let digest = hash::message_digest(hash)?;
    let mut key = Zeroizing::new(vec![0; MAX_MAC]);
    let mut len = 0;
    // SAFETY: the output holds the longest digest; the other pointers (never null) are passed with the lengths of their slices.
    let outcome =
        unsafe { sys::HKDF_extract(key.as_mut_ptr(), &mut len, digest, secret.as_ptr(), secret.len(), salt.as_ptr(), salt.len()) };
    check(outcome, Error::Unsupported)?;
    key.truncate(len);
    Ok(key)
}

/// HKDF's expand; fills the output, which has at most 255 times the hash's length.
pub(crate) fn hkdf_expand(hash: Hash, key: &[u8], info: &[u8], out: &mut [u8]) -> Result<(), Error> {
    let digest = hash::message_digest(hash)?;
    // SAFETY: each pointer (never null) is passed with the length of its slice; the digest is a constant.
    let outcome = unsafe { sys::HKDF_expand(out.as_mut_ptr(), out.len(), digest, key.as_ptr(), key.len(), info.as_ptr(), info.len()) };
    check(outcome, Error::Unsupported)
}

/// PBKDF2 with HMAC; fills the output.
pub(crate) fn pbkdf2(hash: Hash, password: &[u8], salt: &[u8], iterations: u32, out: &mut [u8]) -> Result<(), Error> {
    let digest = hash::message_digest(hash)?;
    let (out, out_len) = (out.as_mut_ptr(), out.len());
    // SAFETY: each pointer (never null) is passed with the length of its slice; the digest is a constant.
    let outcome = unsafe {
        let password_bytes = password.as_ptr().cast();
        sys::PKCS5_PBKDF2_HMAC(password_bytes, password.len(), salt.as_ptr(), salt.len(), iterations, digest, out_len, out)
    };
    check(outcome, Error::Unsupported)
}

/// NIST SP 800-56C, 4.1, over a hash; fills the output.
pub(crate) fn single_step(hash: Hash, secret: &[u8], other_info: &[u8], out: &mut [u8]) -> Result<(), Error> {
    let digest = hash::message_digest(hash)?;
    let (out, out_len) = (out.as_mut_ptr(), out.len());
    // SAFETY: each pointer (never null) is passed with the length of its slice; the digest is a constant.
    let outcome = unsafe { sys::SSKDF_digest(out, out_len, digest, secret.as_ptr(), secret.len(), other_info.as_ptr(), other_info.len()) };
    check(outcome, Error::Unsupported)
}
