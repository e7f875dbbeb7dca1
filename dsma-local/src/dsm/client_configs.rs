//! `client_configurations` of accounts, groups and apps: what DSM's clients are told to use.

use dsma_api::ApiError;
use serde_json::{Map, Value};

/// The parts that the OpenAPI knows, one for each kind of client.
const PARTS: &[&str] = &["common", "pkcs11", "kmip", "tep"];

/// Replaces each part that is given; the word `"remove"` takes it away.
///
/// # Errors
/// 400 for an unknown part, or one that is no object.
pub(super) fn apply(kept: &mut Map<String, Value>, given: Map<String, Value>) -> Result<(), ApiError> {
    for (part, value) in given {
        if !PARTS.contains(&part.as_str()) {
            return Err(ApiError::bad_request(format!("Invalid client_configurations: unknown part `{part}`")));
        }
        match value {
            Value::Null => {}
            Value::String(word) if word == "remove" => {
                kept.remove(&part);
            }
            Value::Object(_) => {
                kept.insert(part, value);
            }
            _ => {
                return Err(ApiError::bad_request(format!("Invalid client_configurations: `{part}` is an object, or the word \"remove\"")));
            }
        }
    }
    Ok(())
}
