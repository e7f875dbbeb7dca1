//! What an approval request looks like to somebody: reviewers see what they approve, and nobody but the requester a secret in it.
//!
//! The OpenAPI says of the body that it is any JSON, and nothing of who sees what. The store seals requests for the keys, plaintexts and
//! passwords in them; what an auditor or an approver reads must not give away what the store keeps.

use dsma_api::ApprovalRequest;
use serde_json::{Map, Value};

use crate::dsm::authentication::Caller;

/// Members that hold a secret in the requests of this DSM, at whatever depth: batches nest.
const SECRET: &[&str] = &["component", "current_password", "new_password", "password", "plain", "secret", "user_password", "value"];
/// What stands in their place. It is base64 too, for clients that read the body as the operation's request.
const REDACTED: &str = "redacted";

/// The request as `caller` may see it.
pub(super) fn to(caller: &Caller, mut request: ApprovalRequest) -> ApprovalRequest {
    if request.requester != caller.principal()
        && let Some(body) = &mut request.body
    {
        redact(body);
    }
    request
}

fn redact(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(redact),
        Value::Object(members) => {
            let public = is_certificate(members);
            for (name, member) in members {
                match member {
                    // Under such a name an object is no secret itself: a cryptographic policy has options for the type `secret`.
                    Value::String(_) | Value::Number(_) | Value::Array(_) if SECRET.contains(&name.as_str()) && !public => {
                        *member = REDACTED.into();
                    }
                    _ => redact(member),
                }
            }
        }
        _ => {}
    }
}

/// Whether this describes a certificate: its value is what reviewers judge by, and secret from nobody.
fn is_certificate(members: &Map<String, Value>) -> bool {
    members.get("obj_type").and_then(Value::as_str) == Some("CERTIFICATE")
}
