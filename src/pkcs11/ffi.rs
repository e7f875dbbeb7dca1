//! The only unsafe room of the PKCS#11 front: pointers of a C caller become types here, and nowhere else.
//!
//! Every type holds raw pointers and hands out references only inside one method call, so that input and output may be the same
//! memory (trap 6). Structures are read and written unaligned. What the types cannot check is the C caller's contract: a pointer is
//! NULL or valid for the length that comes with it, for the duration of the call.
#![allow(unsafe_code)]

mod buffers;
mod derivation;
mod functions;
mod init_args;
mod interfaces;
mod mechanism;
mod message;
mod sp800_108;
mod template;
mod vendor;
mod wrapping;

pub(super) use buffers::{Fill, Input, List, Output, Place, Room};
pub(super) use derivation::HkdfSalt;
pub(super) use functions::NEWEST;
pub(super) use init_args::InitArgs;
pub(super) use mechanism::{Mechanism, OaepParams};
pub(super) use message::{MessageParameter, MessageParams};
pub(super) use sp800_108::{FurtherKey, KdfField};
pub(super) use template::{Attribute, Template, is_array};
pub(super) use vendor::{BatchItem, CacheStats};
pub(super) use wrapping::AeadWrap;

use super::{Error, Result};

/// Reads a structure that a caller passed by pointer.
///
/// # Safety
/// `pointer` is NULL or readable for a `T`.
unsafe fn read<T: Copy>(pointer: *const T) -> Result<T> {
    if pointer.is_null() {
        return Err(Error::ArgumentsBad);
    }
    // SAFETY: not NULL, hence readable by this function's contract; alignment is not assumed.
    Ok(unsafe { pointer.read_unaligned() })
}

/// A length that can exist, as `usize`.
fn length(len: cryptoki_sys::CK_ULONG) -> Result<usize> {
    usize::try_from(len).ok().filter(|len| isize::try_from(*len).is_ok()).ok_or(Error::ArgumentsBad)
}
