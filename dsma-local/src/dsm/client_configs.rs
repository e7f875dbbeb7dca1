//! `client_configurations` of accounts, groups and apps: what DSM's clients are told to use.

use dsma_api::ApiError;
use serde_json::{Map, Value};

use super::call::Call;
use super::caller::Who;
use super::reply::Reply;

/// The parts that the OpenAPI knows, one for each kind of client.
const PARTS: &[&str] = &["common", "pkcs11", "kmip", "tep"];

/// `GET /sys/v1/apps/client_configs`: what the calling app is told to use. Its own settings go before those of its groups, and these
/// before the account's; of two groups that differ, the default group's hold, else the later one's by name.
pub(super) fn show(call: &Call) -> Result<Reply, ApiError> {
    let caller = call.caller()?;
    let mut merged = call.store().account()?.client_configurations;
    let mut groups = call.store().groups()?;
    groups.retain(|group| caller.groups().any(|id| id == group.group_id));
    groups.sort_by_key(|group| Some(group.group_id) == caller.default_group());
    groups.into_iter().for_each(|group| merge(&mut merged, group.client_configurations));
    if let Who::App(row) = caller.who {
        merge(&mut merged, row.app.client_configurations);
    }
    Reply::ok(&merged)
}

/// Puts `above` over `below`, setting by setting.
fn merge(below: &mut Map<String, Value>, above: Map<String, Value>) {
    for (name, value) in above {
        match (below.get_mut(&name), value) {
            (Some(Value::Object(kept)), Value::Object(settings)) => kept.extend(settings),
            (_, value) => {
                below.insert(name, value);
            }
        }
    }
}

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
