//! The library's random generator, which is seeded by the operating system and notices forks.

use crate::Error;

use super::check;

/// Fills the whole slice with random bytes.
pub(crate) fn fill(out: &mut [u8]) -> Result<(), Error> {
    // SAFETY: pointer and length are one slice's.
    check(unsafe { aws_lc_sys::RAND_bytes(out.as_mut_ptr(), out.len()) }, Error::Internal)
}
