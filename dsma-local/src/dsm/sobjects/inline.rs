//! Keys that a request brings along: `{"inline":{"value":..,"obj_type":".."}}`. They are used once, and belong to no group.

use dsma_api::{ApiError, InlineKey, ObjectOrigin, Permission, Permissions, Sobject, SobjectRequest};

use super::create::build;
use super::{key_ops, material};
use crate::dsm::authentication::Caller;
use crate::dsm::call::Call;
use crate::store::SobjectRow;

/// Whoever has the key may do with it whatever needs one. It has no way out, for it has not come in.
pub(super) const PERMISSIONS: Permissions =
    Permissions::all().without(Permission::Export).without(Permission::Manage).without(Permission::MaskDecrypt);

/// The key as a sobject that is not stored, with every operation of its type.
///
/// # Errors
/// 403 for users, who use no keys; 400 for what is no key.
pub(super) fn row(call: &Call, caller: &Caller, key: &InlineKey) -> Result<SobjectRow, ApiError> {
    if !caller.is_app() {
        return Err(ApiError::forbidden("Users use no keys: an app may"));
    }
    let request = || SobjectRequest { obj_type: Some(key.obj_type), value: Some(key.value.clone()), ..SobjectRequest::default() };
    let material = material::import(&request())?;
    let ops = key_ops::initial(None, &material, false)?;
    let described = SobjectRequest::default();
    let sobject = build(caller.principal(), call.store().acct_id(), described, &material, ops, ObjectOrigin::External)?;
    let sobject = Sobject { public_only: material.is_public(), ..sobject };
    Ok(SobjectRow::new(sobject, material.value))
}
