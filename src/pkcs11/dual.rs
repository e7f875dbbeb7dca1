//! Dual-function cryptographic functions (section 5.19): two operations of a session fed at once.
//!
//! Each is the update of a cipher that shows the plaintext to the other operation as it passes. Where a decryption holds its plaintext back
//! to the end, or padding does, what C_DecryptFinal gives is for the caller to pass on, as the standard says.

use cryptoki_sys::CK_SESSION_HANDLE;

use super::encryption;
use super::ffi::{Input, Output};
use super::operation::Taken;
use super::{Error, Result, session_table};

/// C_DigestEncryptUpdate.
pub(super) fn digest_encrypt_update(session: CK_SESSION_HANDLE, part: Input<'_>, encrypted: Output<'_>) -> Result {
    let session = session_table::get(session)?;
    let mut digest = session.digest.take()?;
    let result = encryption::update(&session.encrypt, &part, encrypted, |plain| digest.get()?.add(plain));
    settle(digest, result)
}

/// C_DecryptDigestUpdate.
pub(super) fn decrypt_digest_update(session: CK_SESSION_HANDLE, encrypted: Input<'_>, part: Output<'_>) -> Result {
    let session = session_table::get(session)?;
    let mut digest = session.digest.take()?;
    let result = encryption::update(&session.decrypt, &encrypted, part, |plain| digest.get()?.add(plain));
    settle(digest, result)
}

/// C_SignEncryptUpdate.
pub(super) fn sign_encrypt_update(session: CK_SESSION_HANDLE, part: Input<'_>, encrypted: Output<'_>) -> Result {
    let session = session_table::get(session)?;
    let mut sign = session.sign.take()?;
    let result = encryption::update(&session.encrypt, &part, encrypted, |plain| sign.get()?.add(plain));
    settle(sign, result)
}

/// C_DecryptVerifyUpdate.
pub(super) fn decrypt_verify_update(session: CK_SESSION_HANDLE, encrypted: Input<'_>, part: Output<'_>) -> Result {
    let session = session_table::get(session)?;
    let mut verify = session.verify.take()?;
    let result = encryption::update(&session.decrypt, &encrypted, part, |plain| verify.get()?.add(plain));
    settle(verify, result)
}

/// The other operation goes on unless this call failed; where there is no cipher operation, nothing has happened to it.
fn settle<T>(other: Taken<'_, T>, result: Result) -> Result {
    if matches!(result, Ok(()) | Err(Error::BufferTooSmall | Error::OperationNotInitialized)) {
        other.keep();
    }
    result
}
