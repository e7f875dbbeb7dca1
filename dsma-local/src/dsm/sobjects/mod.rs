//! `/crypto/v1/keys`: security objects, without their use in operations.
//!
//! [`access`] finds a sobject, stored or transient, and asks `dsma_api::authorize`, for every endpoint; [`material`] knows the types.

mod access;
mod checks;
mod components;
mod copy;
mod create;
mod export;
mod inline;
mod key_ops;
mod lifecycle;
mod links;
mod listing;
mod material;
mod policies;
mod publish;
mod rotate;
mod rotation;
mod transient;
mod update;

use dsma_api::{ApiError, Operation, SecretBlob, Sobject, SobjectDescriptor, Time};

pub(super) use self::access::{Opened, find, open, open_token, with_key};
pub(super) use self::checks::{digest, kcv, verify_kcv};
pub(super) use self::components::{check_component, join_components, split_components};
pub(super) use self::copy::copy;
pub(super) use self::create::{Source, generate, import, keep, readable};
pub(super) use self::export::{check_wrapping, export, export_by_path};
pub(crate) use self::key_ops::exportable;
pub(super) use self::lifecycle::{activate, delete, destroy, remove_private, revoke};
pub(super) use self::listing::list;
pub(super) use self::publish::public_key;
pub(super) use self::rotate::{rekey, replace};
pub(super) use self::rotation::run_due;
pub(super) use self::transient::persist;
pub(super) use self::update::update;
use super::authentication::Caller;
use super::call::Call;
use super::reply::Reply;
use crate::store::{ActionType, Audit, SobjectRow};

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

/// `POST /crypto/v1/keys/key_attestation`: the statement needs a key that Fortanix certifies.
pub(super) fn key_attestation(call: &Call) -> Result<Reply, ApiError> {
    call.caller()?;
    Err(ApiError::bad_request("Key attestation is not possible here: dsma-local runs outside of Fortanix' hardware"))
}

/// Endpoints for keys that live in somebody else's key store.
pub(super) fn no_external_key(call: &Call) -> Result<Reply, ApiError> {
    call.caller()?;
    Err(ApiError::bad_request("This operation is for keys in external key stores, which dsma-local does not have"))
}

fn describe(call: &Call, caller: &Caller, descriptor: &SobjectDescriptor) -> Result<Reply, ApiError> {
    let row = find(call, caller, descriptor, Operation::Info)?;
    let value = if material::is_public(row.sobject.obj_type) {
        call.store().material(&row)?
    } else if call.query.flag("show_value") || call.query.get("view") == Some("value") {
        return export::reveal(call, caller, descriptor);
    } else {
        None
    };
    let permissions = caller.permissions(row.group_id).filter(|_| call.query.flag("show_effective_export_policy"));
    let effective_key_policy = permissions.map(|permissions| export::effective(&row.sobject, permissions));
    Reply::ok(&Sobject { value: value.map(SecretBlob), effective_key_policy, ..shown(row.sobject) })
}

/// What a client sees: the state that the dates make of it now.
fn shown(mut sobject: Sobject) -> Sobject {
    sobject.state = dsma_api::KeyFacts::from(&sobject).state_at(Time::now());
    sobject
}

/// A line of the audit log about this sobject: `verb` begins it.
pub(super) fn line(call: &Call, caller: &Caller, action_type: ActionType, verb: &str, row: &SobjectRow) -> Audit {
    let unnamed = if row.kid.is_nil() { "(not stored)" } else { "" };
    let name = row.sobject.name.as_deref().unwrap_or(unnamed);
    let line = call.audit(action_type, caller.principal(), row.kid, format!("{verb} sobject \"{name}\""));
    Audit { group_id: Some(row.group_id), ..line }
}

fn name_taken() -> ApiError {
    ApiError::conflict("Sobject with this name already exists")
}
