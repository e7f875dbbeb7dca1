//! Policies of a group on its sobjects, as a request gives them: cryptographic, export, metadata, custodians.

use dsma_api::{
    ApiError, CryptographicPolicy, DurationConstraint, GroupPolicies, GroupRequest, KeyMetadataPolicy, QuorumPolicy, approvers,
};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::quorum::exists;
use crate::store::Store;

/// Members of a request for what this DSM does not have: other key stores behind it, and an undo.
const UNSUPPORTED: &[&str] = &[
    "add_hmg",
    "mod_hmg",
    "del_hmg",
    "auto_scan",
    "google_access_reason_policy",
    "hmg_redundancy",
    "hmg_segregation",
    "hmg_sync",
    "key_history_policy",
    "wrapping_key_name",
];

/// Whether a request changes one of these policies.
pub(super) const fn concerned(request: &GroupRequest) -> bool {
    request.custodian_policy.is_some()
        || request.cryptographic_policy.is_some()
        || request.export_policy.is_some()
        || request.key_metadata_policy.is_some()
}

/// The policies that a request makes of these. What is not given stays; the word `"remove"` takes a policy away.
///
/// # Errors
/// 400 for a policy that is malformed, or asks for what this DSM does not follow.
pub(super) fn read(store: &Store, kept: GroupPolicies, request: &GroupRequest) -> Result<GroupPolicies, ApiError> {
    if let Some(name) = UNSUPPORTED.iter().find(|name| request.others.get(**name).is_some_and(|value| !value.is_null())) {
        return Err(ApiError::bad_request(format!("Field `{name}` of a group is not supported by this version: leave it out")));
    }
    Ok(GroupPolicies {
        custodian_policy: given("custodian_policy", request.custodian_policy.as_ref(), kept.custodian_policy, |policy: &QuorumPolicy| {
            policy.check().map_err(|problem| problem.replace("approval policy", "custodian_policy"))?;
            let known = approvers(policy).into_iter().all(|custodian| exists(store, custodian).unwrap_or(false));
            if known { Ok(()) } else { Err("it names somebody whom this account does not have".into()) }
        })?,
        cryptographic_policy: given(
            "cryptographic_policy",
            request.cryptographic_policy.as_ref(),
            kept.cryptographic_policy,
            cryptographic,
        )?,
        export_policy: request.export_policy.clone().or(kept.export_policy),
        key_metadata_policy: given("key_metadata_policy", request.key_metadata_policy.as_ref(), kept.key_metadata_policy, metadata)?,
    })
}

fn given<T: DeserializeOwned>(
    name: &str,
    given: Option<&Value>,
    kept: Option<T>,
    check: impl FnOnce(&T) -> Result<(), String>,
) -> Result<Option<T>, ApiError> {
    let invalid = |problem: String| ApiError::bad_request(format!("Invalid {name}: {problem}"));
    match given {
        None => Ok(kept),
        Some(Value::String(word)) if word == "remove" => Ok(None),
        Some(value) => {
            let policy = serde_json::from_value(value.clone()).map_err(|error| invalid(error.to_string()))?;
            check(&policy).map_err(invalid)?;
            Ok(Some(policy))
        }
    }
}

fn cryptographic(policy: &CryptographicPolicy) -> Result<(), String> {
    let sizes = [("aes", &policy.aes), ("des3", &policy.des3)];
    for (name, others) in sizes.into_iter().filter_map(|(name, policy)| Some((name, &policy.as_ref()?.others))) {
        if let Some((member, _)) = others.iter().find(|(_, value)| !value.is_null() && **value != Value::Bool(false)) {
            return Err(format!("`{name}.{member}` is not supported by this version: leave it out"));
        }
    }
    Ok(())
}

fn metadata(policy: &KeyMetadataPolicy) -> Result<(), String> {
    let items = policy.for_obj_type.values().chain([&policy.base]);
    let mut dates = items.flat_map(|item| [&item.activation_date, &item.deactivation_date]).flatten();
    let defaults = |constraint: &DurationConstraint| matches!(constraint, DurationConstraint::Required { allowed_values: Some(bounds) } if bounds.default.is_some());
    if dates.any(defaults) {
        return Err("a `default` of a date is not supported by this version: requests name their dates".into());
    }
    Ok(())
}
