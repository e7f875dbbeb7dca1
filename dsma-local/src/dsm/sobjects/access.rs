//! The way to a sobject: by descriptor, through `authorize`.

use dsma_api::{
    Act, ApiError, KeyFacts, KeyOperation, Operation, Permission, Permissions, Sobject, SobjectDescriptor, Time, authorize, text,
};
use dsma_crypto::Key;
use uuid::Uuid;

use super::{inline, line, material, name_taken, policies, transient};
use crate::dsm::authentication::Caller;
use crate::dsm::call::Call;
use crate::dsm::groups::no_group;
use crate::store::{ActionType, SobjectRow, Sobjects};

/// A sobject that the caller may use, with its key parsed.
pub(crate) struct Opened {
    pub(crate) row: SobjectRow,
    pub(crate) key: Key,
}

/// The sobject, stored or transient, where `authorize` lets this caller do `operation` with it.
pub(crate) fn find(call: &Call, caller: &Caller, descriptor: &SobjectDescriptor, operation: Operation) -> Result<SobjectRow, ApiError> {
    let row = look_up(call, caller, descriptor)?;
    authorize(operation, permissions(caller, descriptor, &row), &KeyFacts::from(&row.sobject), Time::now())?;
    policies::may_use(call.store(), &row, operation)?;
    caller.gate.pass(row.group_id, Act::Use(operation))?;
    Ok(row)
}

/// The sobject and its key, for an operation.
pub(crate) fn open(call: &Call, caller: &Caller, descriptor: &SobjectDescriptor, operation: Operation) -> Result<Opened, ApiError> {
    with_key(call, find(call, caller, descriptor, operation)?)
}

/// The sobject and its key, to decrypt a token: MASKDECRYPT is enough. Tells whether the caller has no more than that, so that it sees
/// masked text only.
pub(crate) fn open_token(call: &Call, caller: &Caller, descriptor: &SobjectDescriptor) -> Result<(Opened, bool), ApiError> {
    let row = look_up(call, caller, descriptor)?;
    let held = permissions(caller, descriptor, &row);
    let masked_only = held.is_some_and(|held| held.contains(Permission::MaskDecrypt) && !held.contains(Permission::Decrypt));
    let held = held.map(|held| if masked_only { held.with(Permission::Decrypt) } else { held });
    authorize(Operation::Decrypt, held, &KeyFacts::from(&row.sobject), Time::now())?;
    policies::may_use(call.store(), &row, Operation::Decrypt)?;
    caller.gate.pass(row.group_id, Act::Use(Operation::Decrypt))?;
    Ok((with_key(call, row)?, masked_only))
}

/// What the caller may do with a sobject: by its group, or, with a key that it brings itself, whatever uses one.
fn permissions(caller: &Caller, descriptor: &SobjectDescriptor, row: &SobjectRow) -> Option<Permissions> {
    match descriptor {
        SobjectDescriptor::Inline(_) => Some(inline::PERMISSIONS),
        _ => caller.permissions(row.group_id),
    }
}

/// Changes a stored sobject in one transaction, by virtue of `permission`, and logs that it was `verb`.
pub(super) fn change(
    call: &Call,
    caller: &Caller,
    kid: Uuid,
    (permission, verb): (Permission, &str),
    change: impl FnOnce(&Sobjects<'_>, &mut SobjectRow) -> Result<(), ApiError>,
) -> Result<SobjectRow, ApiError> {
    change_in_parts(call, caller, kid, verb, |_| vec![permission], change)
}

/// As [`change`], for a change that takes several permissions, which depend on the sobject as it is.
pub(super) fn change_in_parts(
    call: &Call,
    caller: &Caller,
    kid: Uuid,
    verb: &str,
    permissions: impl FnOnce(&Sobject) -> Vec<Permission>,
    change: impl FnOnce(&Sobjects<'_>, &mut SobjectRow) -> Result<(), ApiError>,
) -> Result<SobjectRow, ApiError> {
    call.store().change_sobjects(|sobjects| {
        let mut row = sobjects.find(&SobjectDescriptor::Kid(kid))?.ok_or_else(no_sobject)?;
        for permission in permissions(&row.sobject) {
            authorize_change(caller, &row, permission)?;
        }
        change(sobjects, &mut row)?;
        if !sobjects.replace(&row)? {
            return Err(name_taken());
        }
        let audit = line(call, caller, ActionType::Administrative, verb, &row);
        Ok((row, audit))
    })
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
    if !facts.key_ops.contains(KeyOperation::AppManageable) && caller.is_app() && !caller.is_admin() {
        return Err(ApiError::forbidden("Sobject does not allow operation APPMANAGEABLE"));
    }
    caller.gate.pass(row.group_id, Act::Change(newer))
}

/// Whether the caller may put sobjects into the group.
pub(super) fn authorize_creation(caller: &Caller, group_id: Uuid) -> Result<(), ApiError> {
    let held: Permissions = caller.permissions(group_id).ok_or_else(no_group)?;
    if !held.contains(Permission::Manage) && !held.contains(Permission::CreateSobjects) {
        return Err(ApiError::forbidden(text::NO_PERMISSION));
    }
    caller.gate.pass(group_id, Act::Change(Permission::CreateSobjects))
}

fn look_up(call: &Call, caller: &Caller, descriptor: &SobjectDescriptor) -> Result<SobjectRow, ApiError> {
    match descriptor {
        SobjectDescriptor::TransientKey(key) => transient::open(call, caller, key),
        SobjectDescriptor::Inline(key) => inline::row(call, caller, key),
        stored => call.store().sobject(stored)?.ok_or_else(no_sobject),
    }
}

/// The key of a sobject that [`find`] gave.
pub(crate) fn with_key(call: &Call, row: SobjectRow) -> Result<Opened, ApiError> {
    let value = call.store().material(&row)?;
    let key = material::parse(&row.sobject, value.as_ref().map(|value| value.as_slice()))?;
    Ok(Opened { row, key })
}

/// 404: there is none, or none that the caller may see.
pub(super) fn no_sobject() -> ApiError {
    ApiError::not_found(text::NO_SOBJECT)
}
