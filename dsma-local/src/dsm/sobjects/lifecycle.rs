//! `activate`, `revoke`, `destroy`, and `DELETE`.

use dsma_api::{ApiError, KeyFacts, Operation, Permission, RevocationReason, SobjectDescriptor, SobjectState, Time, text};

use super::access::{authorize_change, find};
use super::{line, name_taken};
use crate::dsm::authentication::Caller;
use crate::dsm::call::Call;
use crate::dsm::reply::Reply;
use crate::store::{ActionType, SobjectRow};

/// Reasons for a revocation (`RevocationReasonCode` in the OpenAPI).
const REASONS: &[&str] =
    &["Unspecified", "KeyCompromise", "CACompromise", "AffiliationChanged", "Superseded", "CessationOfOperation", "PrivilegeWithdrawn"];

/// `POST /crypto/v1/keys/{id}/activate`.
pub(crate) fn activate(call: &Call) -> Result<Reply, ApiError> {
    let caller = call.caller()?;
    change(call, &caller, Permission::ActivateSobjects, "Activated", |row| make_active(row, Time::now()))
}

/// `POST /crypto/v1/keys/{id}/revoke`: a compromise makes it `Compromised`, every other reason `Deactivated`.
pub(crate) fn revoke(call: &Call) -> Result<Reply, ApiError> {
    let caller = call.caller()?;
    let reason: RevocationReason = call.json()?;
    if !REASONS.contains(&reason.code.as_str()) {
        return Err(ApiError::bad_request(format!("Unknown revocation reason `{}`", reason.code)));
    }
    change(call, &caller, Permission::RevokeSobjects, "Revoked", |row| {
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
    })
}

/// `POST /crypto/v1/keys/{id}/destroy`: the material is gone, the description stays.
pub(crate) fn destroy(call: &Call) -> Result<Reply, ApiError> {
    let caller = call.caller()?;
    change(call, &caller, Permission::DestroySobjects, "Destroyed", |row| {
        if row.sobject.state == SobjectState::Destroyed {
            return Err(ApiError::bad_request(text::DESTROYED));
        }
        row.destroy_material();
        row.sobject.state = SobjectState::Destroyed;
        row.sobject.destruction_date = Some(Time::now());
        Ok(())
    })
}

/// `DELETE /crypto/v1/keys/{id}`.
pub(crate) fn delete(call: &Call) -> Result<Reply, ApiError> {
    let caller = call.caller()?;
    let row = find(call, &caller, &SobjectDescriptor::Kid(call.id()?), Operation::Info)?;
    authorize_change(&caller, &row, Permission::DeleteSobjects)?;
    if !call.store().delete_sobject(row.kid, line(call, &caller, ActionType::Administrative, "Deleted", &row))? {
        return Err(ApiError::not_found(text::NO_SOBJECT));
    }
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

fn change(
    call: &Call,
    caller: &Caller,
    permission: Permission,
    verb: &str,
    change: impl FnOnce(&mut SobjectRow) -> Result<(), ApiError>,
) -> Result<Reply, ApiError> {
    let kid = call.id()?;
    let changed = call.store().update_sobject(
        kid,
        |row| {
            authorize_change(caller, row, permission)?;
            change(row)?;
            Ok(line(call, caller, ActionType::Administrative, verb, row))
        },
        name_taken,
    )?;
    changed.map(|_| Reply::nothing()).ok_or_else(|| ApiError::not_found(text::NO_SOBJECT))
}
