//! Keys from secrets: HKDF (RFC 5869) and PBKDF2 (RFC 8018, 5.2).

use crate::digest::Hash;
use crate::{Error, aws_lc};

/// Fills `out` with HKDF's output: extract with `salt` (an empty one is as good as zeros), then expand with `info`.
///
/// # Errors
/// [`Error::TooLong`] where more than 255 times the hash's length is asked for, [`Error::Unsupported`] for a hash without HMAC.
pub fn hkdf(hash: Hash, secret: &[u8], salt: &[u8], info: &[u8], out: &mut [u8]) -> Result<(), Error> {
    if out.len() > 255 * hash.len() {
        return Err(Error::TooLong);
    }
    aws_lc::hkdf(hash, secret, salt, info, out)
}

/// Fills `out` from a password with PBKDF2 over HMAC.
///
/// # Errors
/// [`Error::Unsupported`] for no iterations, and for a hash without HMAC.
pub fn pbkdf2(hash: Hash, password: &[u8], salt: &[u8], iterations: u32, out: &mut [u8]) -> Result<(), Error> {
    if iterations == 0 {
        return Err(Error::Unsupported);
    }
    aws_lc::pbkdf2(hash, password, salt, iterations, out)
}
