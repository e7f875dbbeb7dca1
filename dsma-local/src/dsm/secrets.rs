//! The secrets of apps, which are the halves of API keys that nobody may guess.

use std::ops::RangeInclusive;

use base64_simd::STANDARD;
use dsma_api::ApiError;
use serde_json::Value;
use uuid::Uuid;
use zeroize::Zeroizing;

pub(super) use crate::secrets::{DEFAULT_SIZE, make_secret};

/// Shorter secrets could be guessed, longer ones do not fit in a header.
const SIZES: RangeInclusive<u32> = 16..=512;

/// The API key: base64 of `app_id:secret`.
pub(super) fn api_key(app_id: Uuid, secret: &[u8]) -> String {
    STANDARD.encode_to_string([format!("{app_id}:").as_bytes(), secret].concat())
}

/// `{"secret":"text"}`, `{"secret":{"size":64}}`, or nothing.
pub(super) fn new_secret(credential: Option<&Value>, size: Option<u32>) -> Result<Zeroizing<String>, ApiError> {
    let generate = |size: u32| {
        if !SIZES.contains(&size) {
            let (least, most) = (SIZES.start(), SIZES.end());
            return Err(ApiError::bad_request(format!("Invalid secret_size: {least} to {most} bytes")));
        }
        Ok(make_secret(size)?)
    };
    let default = size.unwrap_or(DEFAULT_SIZE);
    let Some(credential) = credential else {
        return generate(default);
    };
    match credential.get("secret") {
        Some(Value::String(secret)) if secret.is_empty() => Err(ApiError::bad_request("Invalid credential: the secret is empty")),
        Some(Value::String(secret)) => Ok(Zeroizing::new(secret.clone())),
        Some(Value::Object(wish)) => match wish.get("size").filter(|size| !size.is_null()) {
            None => generate(default),
            Some(size) => {
                let size = size.as_u64().and_then(|size| u32::try_from(size).ok());
                generate(size.ok_or_else(|| ApiError::bad_request("Invalid size of the secret: a number of bytes is expected"))?)
            }
        },
        _ => Err(ApiError::bad_request("Unsupported credential: this version knows `secret`, `certificate` and `trustedca`")),
    }
}
