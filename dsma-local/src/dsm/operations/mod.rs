//! `/crypto/v1/{encrypt,decrypt,sign,verify,digest}`: the modern spelling, the path spelling, and batches of one operation.

mod batch;
mod carried;
mod cipher;
mod derive;
mod digest;
mod encapsulate;
mod mac;
mod ml_dsa;
mod modes;
mod params;
mod parts;
mod signature;
mod stream;
mod wrap;

use dsma_api::{ApiError, KeyOperation, SobjectDescriptor};
use dsma_crypto::Error;

pub(super) use self::batch::{batch_decrypt, batch_encrypt, batch_mac, batch_mac_verify, batch_sign, batch_verify};
pub(super) use self::carried::batch;
pub(super) use self::cipher::{decrypt, encrypt};
pub(super) use self::derive::{agree, derive, transform};
pub(super) use self::digest::digest;
pub(super) use self::encapsulate::{decapsulate, encapsulate};
pub(super) use self::mac::{mac, mac_verify};
pub(super) use self::modes::hash;
pub(super) use self::parts::{decrypt_final, decrypt_init, decrypt_update, encrypt_final, encrypt_init, encrypt_update};
pub(super) use self::signature::{sign, verify};
pub(super) use self::stream::{stream_decrypt, stream_encrypt};
pub(super) use self::wrap::{unwrap_key, wrap_key};
use super::authentication::Caller;
use super::call::Call;
use super::sobjects::line;
use crate::store::{ActionType, SobjectRow};

/// The key that the request means: the path's, or the body's.
fn descriptor(call: &Call, in_body: Option<SobjectDescriptor>) -> Result<SobjectDescriptor, ApiError> {
    let kid = if call.path().starts_with("/crypto/v1/keys/") { call.path_id()? } else { None };
    match kid {
        Some(kid) => Ok(SobjectDescriptor::Kid(kid)),
        None => in_body.ok_or_else(|| ApiError::bad_request("Missing field `key`")),
    }
}

/// Logs a use of the key, unless it is one of high volume.
fn log(call: &Call, caller: &Caller, verb: &str, row: &SobjectRow) -> Result<(), ApiError> {
    if row.sobject.key_ops.contains(KeyOperation::HighVolume) {
        return Ok(());
    }
    Ok(call.store().audit_soon(line(call, caller, ActionType::CryptoOperation, verb, row))?)
}

/// What an operation that failed says. The caller's input is at fault in all cases but the last.
fn refused(error: Error) -> ApiError {
    match error {
        Error::Internal => {
            tracing::error!("an operation failed: {error}");
            ApiError::new(500, "Internal error")
        }
        Error::Authentication => ApiError::bad_request(dsma_api::text::DECRYPT_FAILED),
        Error::IvLength => ApiError::bad_request("Invalid IV length"),
        Error::TagLength => ApiError::bad_request("Invalid tag length"),
        Error::InputLength => ApiError::bad_request("Invalid input length"),
        Error::TooLong => ApiError::bad_request("Input is too long for this key and mode"),
        Error::Unsupported => ApiError::bad_request("This mode is not possible with this key"),
        other => ApiError::bad_request(format!("Operation failed: {other}")),
    }
}
