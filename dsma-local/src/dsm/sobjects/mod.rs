//! `/crypto/v1/keys`: security objects, without their use in operations.
//!
//! [`access`] finds a sobject and asks `dsma_api::authorize`, for every endpoint; [`material`] knows the types.

mod access;
mod create;
mod key_ops;
mod lifecycle;
mod listing;
mod material;
mod update;

use dsma_api::{ApiError, Operation, SecretBlob, Sobject, SobjectDescriptor, Time};

pub(super) use self::access::{Opened, open};
pub(super) use self::create::{generate, import};
pub(super) use self::lifecycle::{activate, delete, destroy, revoke};
pub(super) use self::listing::list;
pub(super) use self::update::update;
use super::authentication::Caller;
use super::call::Call;
use super::reply::Reply;
use crate::store::{ActionType, Audit, SobjectRow};
use access::find;

/// `GET /crypto/v1/keys/{id}`.
pub(super) fn show(call: &Call) -> Result<Reply, ApiError> {
    let caller = call.caller()?;
    describe(call, &caller, &SobjectDescriptor::Kid(call.id()?))
}

/// `POST /crypto/v1/keys/info`: the same by descriptor.
pub(super) fn info(call: &Call) -> Result<Reply, ApiError> {
    let caller = call.caller()?;
    describe(call, &caller, &call.json()?)
}

/// `POST /crypto/v1/keys/export`: the description with the key material.
pub(super) fn export(call: &Call) -> Result<Reply, ApiError> {
    let caller = call.caller()?;
    reveal(call, &caller, &call.json()?)
}

/// `GET /crypto/v1/keys/{id}/export`: as older clients spell it.
pub(super) fn export_by_path(call: &Call) -> Result<Reply, ApiError> {
    let caller = call.caller()?;
    reveal(call, &caller, &SobjectDescriptor::Kid(call.id()?))
}

fn describe(call: &Call, caller: &Caller, descriptor: &SobjectDescriptor) -> Result<Reply, ApiError> {
    if call.query.flag("show_value") || call.query.get("view") == Some("value") {
        return reveal(call, caller, descriptor);
    }
    let row = find(call, caller, descriptor, Operation::Info)?;
    let value = if material::is_public(row.sobject.obj_type) { call.store().material(&row)? } else { None };
    Reply::ok(&Sobject { value: value.map(SecretBlob), ..shown(row.sobject) })
}

fn reveal(call: &Call, caller: &Caller, descriptor: &SobjectDescriptor) -> Result<Reply, ApiError> {
    let row = find(call, caller, descriptor, Operation::Export)?;
    let material = call.store().material(&row)?;
    // The line is on the disk before the key leaves.
    call.store().audit_now(line(call, caller, ActionType::CryptoOperation, "Exported", &row))?;
    Reply::ok(&Sobject { value: material.map(SecretBlob), ..shown(row.sobject) })
}

/// What a client sees: the state that the dates make of it now.
fn shown(mut sobject: Sobject) -> Sobject {
    sobject.state = dsma_api::KeyFacts::from(&sobject).state_at(Time::now());
    sobject
}

/// A line of the audit log about this sobject: `verb` begins it.
pub(super) fn line(call: &Call, caller: &Caller, action_type: ActionType, verb: &str, row: &SobjectRow) -> Audit {
    let name = row.sobject.name.as_deref().unwrap_or_default();
    let line = call.audit(action_type, caller.principal(), row.kid, format!("{verb} sobject \"{name}\""));
    Audit { group_id: Some(row.group_id), ..line }
}

fn name_taken() -> ApiError {
    ApiError::conflict("Sobject with this name already exists")
}
