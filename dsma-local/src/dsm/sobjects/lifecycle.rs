//! `activate`, `revoke`, `destroy`, `DELETE`, and the removal of a private key.

use dsma_api::{ApiError, KeyFacts, ObjectType, Permission, RevocationReason, SobjectDescriptor, SobjectState, Time, text};

use super::access::{authorize_change, change, no_sobject};
use super::{key_ops, line, links};
use crate::dsm::call::Call;
use crate::dsm::reply::Reply;
use crate::store::{ActionType, SobjectRow};

/// Reasons for a revocation (`RevocationReasonCode` in the OpenAPI).
const REASONS: &[&str] =
    &["Unspecified", "KeyCompromise", "CACompromise", "AffiliationChanged", "Superseded", "CessationOfOperation", "PrivilegeWithdrawn"];

/// `POST /crypto/v1/keys/{id}/activate`.
pub(crate) fn activate(call: &Call) -> Result<Reply, ApiError> {
    let caller = call.caller()?;
    change(call, &caller, call.id()?, (Permission::ActivateSobjects, "Activated"), |_, row| make_active(row, Time::now()))?;
    Ok(Reply::nothing())
}

/// `POST /crypto/v1/keys/{id}/revoke`: a compromise makes it `Compromised`, every other reason `Deactivated`.
pub(crate) fn revoke(call: &Call) -> Result<Reply, ApiError> {
    let caller = call.caller()?;
    let reason: RevocationReason = call.json()?;
    if !REASONS.contains(&reason.code.as_str()) {
        return Err(ApiError::bad_request(format!("Unknown revocation reason `{}`", reason.code)));
    }
    change(call, &caller, call.id()?, (Permission::RevokeSobjects, "Revoked"), |_, row| {
        let now = Time::now();
        let sobject = &mut row.sobject;
        if matches!(sobject.state, SobjectState::Destroyed | SobjectState::Deleted) {
            return Err(ApiError::bad_request(text::DESTROYED));
        }
        if matches!(reason.code.as_str(), "KeyCompromise" | "CACompromise") {
            sobject.state = SobjectState::Compromised;
            sobject.compromise_date = Some(reason.compromise_occurance_date.unwrap_or(now));
        } else if sobject.state == SobjectState::Compromised {
            return Err(ApiError::bad_request(text::COMPROMISED));
        } else {
            sobject.state = SobjectState::Deactivated;
        }
        sobject.deactivation_date = Some(sobject.deactivation_date.map_or(now, |end| Time(end.0.min(now.0))));
        sobject.revocation_reason = Some(reason);
        Ok(())
    })?;
    Ok(Reply::nothing())
}

/// `POST /crypto/v1/keys/{id}/destroy`: the material is gone, the description stays.
pub(crate) fn destroy(call: &Call) -> Result<Reply, ApiError> {
    let caller = call.caller()?;
    change(call, &caller, call.id()?, (Permission::DestroySobjects, "Destroyed"), |_, row| {
        if row.sobject.state == SobjectState::Destroyed {
            return Err(ApiError::bad_request(text::DESTROYED));
        }
        row.destroy_material();
        row.sobject.state = SobjectState::Destroyed;
        row.sobject.destruction_date = Some(Time::now());
        row.sobject.scheduled_rotation = None;
        Ok(())
    })?;
    Ok(Reply::nothing())
}

/// `DELETE /crypto/v1/keys/{id}/private`: the public half stays.
pub(crate) fn remove_private(call: &Call) -> Result<Reply, ApiError> {
    let caller = call.caller()?;
    change(call, &caller, call.id()?, (Permission::DeleteKeyMaterial, "Removed the private key of"), |_, row| {
        let sobject = &mut row.sobject;
        if sobject.pub_key.is_none() || sobject.public_only || sobject.obj_type == ObjectType::Certificate {
            return Err(ApiError::bad_request("Sobject has no private key"));
        }
        if sobject.state == SobjectState::Destroyed {
            return Err(ApiError::bad_request(text::DESTROYED));
        }
        sobject.public_only = true;
        sobject.key_ops = sobject.key_ops.intersection(key_ops::PUBLIC);
        sobject.rotation_policy = None;
        sobject.scheduled_rotation = None;
        row.destroy_material();
        Ok(())
    })?;
    Ok(Reply::nothing())
}

/// `DELETE /crypto/v1/keys/{id}`.
pub(crate) fn delete(call: &Call) -> Result<Reply, ApiError> {
    let caller = call.caller()?;
    let kid = call.id()?;
    call.store().change_sobjects(|sobjects| {
        let row = sobjects.find(&SobjectDescriptor::Kid(kid))?.ok_or_else(no_sobject)?;
        authorize_change(&caller, &row, Permission::DeleteSobjects)?;
        links::forget(sobjects, &row)?;
        sobjects.delete(kid)?;
        Ok::<_, ApiError>(((), line(call, &caller, ActionType::Administrative, "Deleted", &row)))
    })?;
    Ok(Reply::nothing())
}

/// Ends `PreActive` now; nothing to do for a sobject that is active.
pub(super) fn make_active(row: &mut SobjectRow, now: Time) -> Result<(), ApiError> {
    match KeyFacts::from(&row.sobject).state_at(now) {
        SobjectState::PreActive => {
            row.sobject.state = SobjectState::Active;
            row.sobject.activation_date = Some(now);
            Ok(())
        }
        SobjectState::Active => Ok(()),
        SobjectState::Deactivated => Err(ApiError::bad_request(text::DEACTIVATED)),
        SobjectState::Compromised => Err(ApiError::bad_request(text::COMPROMISED)),
        SobjectState::Destroyed | SobjectState::Deleted | SobjectState::Other => Err(ApiError::bad_request(text::DESTROYED)),
    }
}
