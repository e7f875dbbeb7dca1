//! Random bytes: keys, IVs, salts.

use crate::{Error, aws_lc};

/// Fills `out` with bytes from the cryptographic generator. It fails only where the operating system gives no entropy.
pub fn fill(out: &mut [u8]) -> Result<(), Error> {
    aws_lc::fill(out)
}
