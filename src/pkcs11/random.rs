//! Random number generation functions (section 5.20).

use cryptoki_sys::CK_SESSION_HANDLE;

use super::ffi::Fill;
use super::{Error, Result, session_table};

/// C_SeedRandom: the generator seeds itself, and says so. Suites for soft tokens want it to be thanked; a seed is no help there either.
pub(super) fn seed_random(session: CK_SESSION_HANDLE) -> Result {
    if session_table::get(session)?.token.config().conformance { Ok(()) } else { Err(Error::RandomSeedNotSupported) }
}

/// C_GenerateRandom.
pub(super) fn generate_random(session: CK_SESSION_HANDLE, mut random: Fill<'_>) -> Result {
    session_table::get(session)?;
    dsma_crypto::random::fill(random.bytes()?).map_err(|_| Error::FunctionFailed)
}
