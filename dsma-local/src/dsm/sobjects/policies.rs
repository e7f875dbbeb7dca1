//! What the policies of a sobject's group say to it: when it is made or changed, and when it is used.

use dsma_api::{ApiError, LegacyKeyPolicy, Operation, Sobject, SobjectRequest};
use serde_json::Value;
use uuid::Uuid;

use crate::store::{SobjectRow, Store};

/// Members of a request for what this DSM does not have: types, and stores behind it.
const UNSUPPORTED: &[&str] = &[
    "aria",
    "bip32",
    "bls",
    "des",
    "dsa",
    "eckcdsa",
    "external",
    "google_access_reason_policy",
    "kcdsa",
    "lms",
    "seed",
    "slip10",
    "virtual_key_info",
    "xmss",
];
/// Settings of a cipher that would have to be followed by each operation.
const CIPHER_SETTINGS: &[&str] = &["cipher_mode", "random_iv", "iv_length", "tag_length"];

/// Refuses a request with settings that this DSM does not follow: none of them is passed over in silence.
///
/// # Errors
/// 400 that names the setting.
pub(super) fn supported(request: &SobjectRequest) -> Result<(), ApiError> {
    let refuse = |name: &str| Err(ApiError::bad_request(format!("Field `{name}` is not supported by this version: leave it out")));
    let given = |value: Option<&Value>| value.is_some_and(|value| !value.is_null());
    if let Some(name) = UNSUPPORTED.iter().find(|name| given(request.others.get(**name))) {
        return refuse(name);
    }
    for (parent, settings) in [("aes", request.aes.as_ref()), ("des3", request.others.get("des3"))] {
        if let Some(name) = CIPHER_SETTINGS.iter().find(|name| given(settings.and_then(|settings| settings.get(**name)))) {
            return refuse(&format!("{parent}.{name}"));
        }
    }
    let switched = |name: &str, to: bool| request.others.get(name).and_then(Value::as_bool) == Some(to);
    for (name, to) in [("allow_sign_hash", false), ("allow_credential_use", true)] {
        if switched(name, to) {
            return refuse(name);
        }
    }
    Ok(())
}

/// Lets a new or changed sobject into its group, where the group's policies allow it.
///
/// # Errors
/// 403 that says which policy, and what of the sobject does not comply.
pub(super) fn admit(store: &Store, group_id: Uuid, sobject: &Sobject) -> Result<(), ApiError> {
    let policies = store.group_policies(group_id)?;
    let cryptographic = policies.cryptographic_policy.and_then(|policy| policy.violation(sobject));
    let metadata = || policies.key_metadata_policy.and_then(|policy| policy.violation(sobject));
    match cryptographic.or_else(metadata) {
        Some(violation) => Err(ApiError::forbidden(violation)),
        None => Ok(()),
    }
}

/// Whether the sobject complies with its group's policies.
pub(super) fn complies(store: &Store, group_id: Uuid, sobject: &Sobject) -> Result<bool, ApiError> {
    match admit(store, group_id, sobject) {
        Ok(()) => Ok(true),
        Err(error) if error.status == 403 => Ok(false),
        Err(error) => Err(error),
    }
}

/// Lets a sobject be used that was there before its group's policies, where these allow it.
///
/// # Errors
/// As [`admit`].
pub(super) fn may_use(store: &Store, row: &SobjectRow, operation: Operation) -> Result<(), ApiError> {
    if matches!(operation, Operation::Info | Operation::Manage) {
        return Ok(());
    }
    let policies = store.group_policies(row.group_id)?;
    let refused = |legacy: LegacyKeyPolicy| !legacy.allows(operation);
    let cryptographic = policies.cryptographic_policy.filter(|policy| refused(policy.legacy_policy.unwrap_or_default()));
    let metadata = policies.key_metadata_policy.filter(|policy| refused(policy.legacy_objects));
    let violation = cryptographic.and_then(|policy| policy.violation(&row.sobject));
    match violation.or_else(|| metadata.and_then(|policy| policy.violation(&row.sobject))) {
        Some(violation) => Err(ApiError::forbidden(format!("{violation}; it was made before, and may not do this any more"))),
        None => Ok(()),
    }
}
