//! The way to a sobject: by descriptor, through `authorize`.

use dsma_api::{Act, ApiError, KeyFacts, KeyOperation, Operation, Permission, SobjectDescriptor, Time, authorize, text};
use dsma_crypto::Key;

use super::material;
use crate::dsm::authentication::Caller;
use crate::dsm::call::Call;
use crate::store::SobjectRow;

/// A sobject that the caller may use, with its key parsed.
pub(crate) struct Opened {
    pub(crate) row: SobjectRow,
    pub(crate) key: Key,
}

/// The sobject, where `authorize` lets this caller do `operation` with it.
pub(super) fn find(call: &Call, caller: &Caller, descriptor: &SobjectDescriptor, operation: Operation) -> Result<SobjectRow, ApiError> {
    if matches!(descriptor, SobjectDescriptor::TransientKey(_)) {
        return Err(ApiError::bad_request("Transient keys are not supported by this version"));
    }
    let row = call.store().sobject(descriptor)?.ok_or_else(|| ApiError::not_found(text::NO_SOBJECT))?;
    authorize(operation, caller.permissions(row.group_id), &KeyFacts::from(&row.sobject), Time::now())?;
    caller.gate.pass(row.group_id, Act::Use(operation))?;
    Ok(row)
}

/// The sobject and its key, for an operation.
pub(crate) fn open(call: &Call, caller: &Caller, descriptor: &SobjectDescriptor, operation: Operation) -> Result<Opened, ApiError> {
    let row = find(call, caller, descriptor, operation)?;
    let value = call.store().material(&row)?;
    let key = material::parse(&row.sobject, value.as_ref().map(|value| value.as_slice()))?;
    Ok(Opened { row, key })
}

/// Whether the caller may change the sobject. The older permission MANAGE covers each newer one, here `newer`.
///
/// # Errors
/// As `authorize`; 403 where the sobject is not manageable by apps, except for an app with role admin.
pub(super) fn authorize_change(caller: &Caller, row: &SobjectRow, newer: Permission) -> Result<(), ApiError> {
    let facts = KeyFacts::from(&row.sobject);
    let permissions = caller.permissions(row.group_id);
    let permissions = permissions.map(|held| if held.contains(newer) { held.with(Permission::Manage) } else { held });
    authorize(Operation::Manage, permissions, &facts, Time::now())?;
    if !facts.key_ops.contains(KeyOperation::AppManageable) && !caller.is_admin() {
        return Err(ApiError::forbidden("Sobject does not allow operation APPMANAGEABLE"));
    }
    caller.gate.pass(row.group_id, Act::Change(newer))
}
