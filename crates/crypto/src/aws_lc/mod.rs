//! The crate's one room with `unsafe`: owners for aws-lc's objects, and functions on them that are safe to call.
//!
//! Rules of the room. Every object of the library has one owner ([`owned::Owned`]) that frees it. A slice becomes a pointer and a
//! length in the same expression that passes both on. Buffers of the caller travel as [`Buffers`], never as `&` and `&mut` of the same
//! memory. A failure empties the thread's error queue, because it would otherwise grow, and could be taken for somebody else's failure.
//!
//! Threads: aws-lc says (openssl/rsa.h, ec_key.h, aead.h, evp.h) that an object may be used concurrently by functions that do not
//! mutate it. These are the functions which take a const pointer, and, expressly, RSA's encrypt, decrypt, sign and verify: blinding and the
//! Montgomery contexts are guarded by a lock in the object. No function here mutates an object after its owner has been given away,
//! except through `&mut`.

mod aead;
mod buffers;
mod ccm;
mod cipher;
mod curve25519;
mod der;
mod ec;
mod hash;
mod kdf;
mod keywrap;
mod mac;
mod ml_dsa;
mod ml_kem;
mod owned;
mod pq;
mod random;
mod rsa;
mod signature;

pub use buffers::Buffers;

pub(crate) use aead::AeadContext;
pub(crate) use ccm::{ccm_open, ccm_seal};
pub(crate) use cipher::{CipherContext, Direction, MAX_BLOCK};
pub(crate) use curve25519::{
    ed25519_expand, ed25519_sign, ed25519_verify, ed25519ctx_sign, ed25519ctx_verify, ed25519ph_sign, ed25519ph_verify, private_from_der,
    public_from_der, x25519, x25519_public,
};
pub(crate) use ec::{EcKey, MAX_SIGNATURE};
pub(crate) use hash::{HashState, shake256};
pub(crate) use kdf::{hkdf, hkdf_expand, hkdf_extract, pbkdf2, single_step};
pub(crate) use keywrap::{WRAP_OVERHEAD, unwrap, unwrap_padded, wrap, wrap_padded};
pub(crate) use mac::{CmacContext, HmacContext, MAX_MAC};
pub(crate) use pq::PqKey;
pub(crate) use random::fill;
pub(crate) use rsa::{MAX_MODULUS, Padding, RsaKey};
pub(crate) use signature::{to_der, to_fixed};

use crate::Error;

/// Turns the library's "1 is success" into a `Result`, and empties the error queue on failure.
fn check(outcome: std::ffi::c_int, error: Error) -> Result<(), Error> {
    if outcome == 1 {
        return Ok(());
    }
    clear_errors();
    Err(error)
}

/// The library's verdict on a signature; a "no" leaves errors behind.
fn holds(outcome: std::ffi::c_int) -> bool {
    check(outcome, Error::Authentication).is_ok()
}

/// Empties this thread's error queue.
fn clear_errors() {
    // SAFETY: takes nothing and touches only thread-local state of the library.
    unsafe { aws_lc_sys::ERR_clear_error() };
}
