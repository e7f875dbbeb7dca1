//! How material may leave: `export`, and the policies that narrow it.

use dsma_api::{
    ApiError, EffectiveKeyPolicy, ExportPolicy, KeyOperations, Operation, Permissions, SecretBlob, Sobject, SobjectDescriptor,
    SobjectExportPolicy, WrappingKeys,
};

use super::access::find;
use super::{line, shown};
use crate::dsm::authentication::Caller;
use crate::dsm::call::Call;
use crate::dsm::reply::Reply;
use crate::store::{ActionType, SobjectRow};

/// `POST /crypto/v1/keys/export`: the description with the key material.
pub(crate) fn export(call: &Call) -> Result<Reply, ApiError> {
    let caller = call.caller()?;
    reveal(call, &caller, &call.json()?)
}

/// `GET /crypto/v1/keys/{id}/export`: as older clients spell it.
pub(crate) fn export_by_path(call: &Call) -> Result<Reply, ApiError> {
    let caller = call.caller()?;
    reveal(call, &caller, &SobjectDescriptor::Kid(call.id()?))
}

pub(super) fn reveal(call: &Call, caller: &Caller, descriptor: &SobjectDescriptor) -> Result<Reply, ApiError> {
    let row = find(call, caller, descriptor, Operation::Export)?;
    check_clear(call, &row)?;
    let material = call.store().material(&row)?;
    // The line is on the disk before the key leaves.
    call.store().audit_now(line(call, caller, ActionType::CryptoOperation, "Exported", &row))?;
    Reply::ok(&Sobject { value: material.map(SecretBlob), ..shown(row.sobject) })
}

/// Refuses what leaves DSM in the clear where the sobject's policy, or its group's, wants it wrapped.
pub(super) fn check_clear(call: &Call, row: &SobjectRow) -> Result<(), ApiError> {
    if matches!(policy(&row.sobject), ExportPolicy::Wrapped { .. }) {
        return Err(ApiError::forbidden("The export policy of the sobject does not allow export in the clear"));
    }
    if matches!(call.store().group_policies(row.group_id)?.export_policy, Some(ExportPolicy::Wrapped { .. })) {
        return Err(ApiError::forbidden("The export policy of the group does not allow export in the clear"));
    }
    Ok(())
}

/// Refuses to wrap a sobject by a key that its policy, or its group's, does not name.
pub(crate) fn check_wrapping(call: &Call, subject: &SobjectRow, by: &Sobject) -> Result<(), ApiError> {
    let named = |key: &SobjectDescriptor| match key {
        SobjectDescriptor::Kid(kid) => Some(*kid) == by.kid,
        SobjectDescriptor::Name(name) => Some(name) == by.name.as_ref(),
        _ => false,
    };
    let group = call.store().group_policies(subject.group_id)?.export_policy;
    for (whose, policy) in [("sobject", Some(policy(&subject.sobject))), ("group", group)] {
        match policy {
            Some(ExportPolicy::Wrapped { by: WrappingKeys::Only { keys } }) if !keys.iter().any(named) => {
                return Err(ApiError::forbidden(format!("The export policy of the {whose} does not allow this wrapping key")));
            }
            _ => {}
        }
    }
    Ok(())
}

/// A change of policy: one that does not allow weakening can only become stricter.
pub(super) fn check_change(current: Option<&SobjectExportPolicy>, new: &SobjectExportPolicy) -> Result<(), ApiError> {
    let Some(current) = current.filter(|current| !current.allow_weakening) else {
        return Ok(());
    };
    let narrower = match (&current.policy, &new.policy) {
        (ExportPolicy::Unrestricted, _) => true,
        (ExportPolicy::Wrapped { by: WrappingKeys::Any }, ExportPolicy::Wrapped { .. }) => true,
        (ExportPolicy::Wrapped { by: WrappingKeys::Only { keys } }, ExportPolicy::Wrapped { by: WrappingKeys::Only { keys: fewer } }) => {
            fewer.iter().all(|key| keys.contains(key))
        }
        _ => false,
    };
    if !narrower || new.allow_weakening {
        return Err(ApiError::forbidden("The export policy of the sobject cannot be weakened"));
    }
    Ok(())
}

/// What the caller may do, permissions and policies taken together.
pub(super) fn effective(sobject: &Sobject, permissions: Permissions) -> EffectiveKeyPolicy {
    let allowed =
        |op: &dsma_api::KeyOperation| dsma_api::Permission::from_name(op.name()).is_none_or(|needed| permissions.contains(needed));
    let key_ops = sobject.key_ops.iter().filter(allowed).collect::<KeyOperations>();
    EffectiveKeyPolicy { key_ops, export_policy: Some(policy(sobject)) }
}

fn policy(sobject: &Sobject) -> ExportPolicy {
    sobject.export_policy.as_ref().map_or(ExportPolicy::Unrestricted, |policy| policy.policy.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_become_stricter_only() {
        let fixed = |policy| SobjectExportPolicy { policy, allow_weakening: false };
        let only = |names: &[&str]| {
            let keys = names.iter().map(|name| SobjectDescriptor::Name((*name).into())).collect();
            fixed(ExportPolicy::Wrapped { by: WrappingKeys::Only { keys } })
        };
        let any = || fixed(ExportPolicy::Wrapped { by: WrappingKeys::Any });
        let free = || fixed(ExportPolicy::Unrestricted);
        let loose = SobjectExportPolicy { allow_weakening: true, ..any() };
        for (current, new, allowed) in [
            (None, free(), true),
            (Some(free()), any(), true),
            (Some(any()), free(), false),
            (Some(any()), only(&["a"]), true),
            (Some(only(&["a", "b"])), only(&["b"]), true),
            (Some(only(&["a"])), only(&["a", "b"]), false),
            (Some(only(&["a"])), any(), false),
            (Some(any()), loose.clone(), false),
            (Some(loose), free(), true),
        ] {
            assert_eq!(check_change(current.as_ref(), &new).is_ok(), allowed, "{current:?} {new:?}");
        }
    }
}
