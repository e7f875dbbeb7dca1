//! `approve`, `deny`, `challenge` and `result` of an approval request.

use dsma_api::{ApiError, ApprovableResult, Approval, ApprovalStatus, ApproveRequest, Approver, DenyRequest, Principal, Reviewer, Time};
use uuid::Uuid;

use super::{components, find, line, no_request, shown, subjects};
use crate::dsm::authentication::{Caller, by_password};
use crate::dsm::call::{Acting, Call};
use crate::dsm::caller::Who;
use crate::dsm::quorum::approver;
use crate::dsm::reply::Reply;
use crate::store::ApprovalRow;

/// `POST /sys/v1/approval_requests/{id}/approve`.
pub(crate) fn approve(call: &Call) -> Result<Reply, ApiError> {
    let caller = call.caller()?;
    let request: ApproveRequest = call.json_or_default()?;
    let reviewer = reviewer(&caller, &find(call, &caller)?)?;
    if request.u2f.is_some() || request.fido2_auth_request.is_some() {
        return Err(no_second_factor());
    }
    let with_password = check_password(call, &caller, &reviewer, request.password.as_deref())?;
    change(call, &caller, "Approved", |row| {
        components::add(call, row, &reviewer, request.body.as_ref())?;
        row.approvals.retain(|given| given.approver != reviewer.approver);
        row.approvals.push(Approval { approver: reviewer.approver, with_password });
        row.request.approvers = row.approvals.iter().map(|given| given.approver).collect();
        if subjects::enough(call.store(), &row.groups, &row.approvals)? && components::complete(row) {
            row.request.status = ApprovalStatus::Approved;
        }
        Ok(())
    })
}

/// `POST /sys/v1/approval_requests/{id}/deny`: one denial is enough.
pub(crate) fn deny(call: &Call) -> Result<Reply, ApiError> {
    let caller = call.caller()?;
    let request: DenyRequest = call.json_or_default()?;
    let reviewer = reviewer(&caller, &find(call, &caller)?)?;
    change(call, &caller, "Denied", |row| {
        row.request.status = ApprovalStatus::Denied;
        row.request.denier = Some(reviewer.approver);
        row.request.denial_reason = request.reason.clone();
        Ok(())
    })
}

/// `POST /sys/v1/approval_requests/{id}/challenge`: nobody here has a second factor to be challenged.
pub(crate) fn challenge(call: &Call) -> Result<Reply, ApiError> {
    let caller = call.caller()?;
    find(call, &caller)?;
    Err(no_second_factor())
}

/// `POST /sys/v1/approval_requests/{id}/result`: carries out what was approved, as the requester, once.
pub(crate) fn result(call: &Call) -> Result<Reply, ApiError> {
    let caller = call.caller()?;
    let row = find(call, &caller)?;
    if components::path_of(&row) == components::EXPORT {
        return components::hand_out(call, &caller, row);
    }
    if row.request.requester != caller.principal() {
        return Err(ApiError::forbidden("Only the requester may have the result of an approval request"));
    }
    let id = row.request.request_id;
    let mut taken = Vec::new();
    // Marked before it runs: of two who ask at the same time, one gets it.
    let row = call.store().update_approval(id, |row| {
        may_run(row)?;
        row.request.result_viewed = true;
        taken = std::mem::take(&mut row.components);
        Ok::<_, ApiError>(line(call, &caller, "Fetched result of", &row.request))
    })?;
    let row = ApprovalRow { components: taken, ..row.ok_or_else(no_request)? };
    let result = run(call, &row);
    if result.status >= 400 {
        call.store().update_approval(id, |row| {
            row.request.status = ApprovalStatus::Failed;
            Ok::<_, ApiError>(line(call, &caller, "Failed", &row.request))
        })?;
    }
    Reply::ok(&result)
}

/// Whether the result may be fetched now.
pub(super) fn may_run(row: &ApprovalRow) -> Result<(), ApiError> {
    match row.request.status {
        ApprovalStatus::Pending => Err(ApiError::bad_request("Approval request is pending")),
        ApprovalStatus::Denied => Err(ApiError::bad_request("Approval request was denied")),
        _ if row.request.result_viewed => Err(ApiError::bad_request("The result of this approval request was fetched already")),
        ApprovalStatus::Failed => Err(ApiError::bad_request("Approval request has failed: make another one")),
        _ => not_expired(row),
    }
}

/// The operation's answer, whatever it is.
fn run(call: &Call, row: &ApprovalRow) -> ApprovableResult {
    let request = &row.request;
    let path = request.operation.split('?').next().unwrap_or_default();
    let acting = Acting { principal: request.requester, acct_id: request.acct_id, approvals: row.approvals.clone() };
    let mut body = request.body.clone();
    let pinned = body.as_mut().map_or(Ok(()), |body| subjects::pin(call.store(), &request.subjects, path, body));
    let answer = pinned.and_then(|()| match call.dsm.endpoints.find(&request.method, path) {
        Some(_) if path == components::IMPORT => {
            components::put_together(&call.carry(&request.operation, body.as_ref(), Some(acting)), &row.components)
        }
        Some(handler) => handler(&call.carry(&request.operation, body.as_ref(), Some(acting))),
        None => Err(ApiError::not_found("No such endpoint")),
    });
    match answer {
        Ok(reply) => {
            let (status, body) = reply.into_parts();
            ApprovableResult { status, body }
        }
        Err(error) => ApprovableResult { status: error.status, body: error.message.into_owned().into() },
    }
}

/// Changes a request that is pending.
fn change(
    call: &Call,
    caller: &Caller,
    verb: &str,
    change: impl FnOnce(&mut ApprovalRow) -> Result<(), ApiError>,
) -> Result<Reply, ApiError> {
    let id: Uuid = call.id()?;
    let row = call.store().update_approval(id, |row| {
        if row.request.status != ApprovalStatus::Pending {
            return Err(ApiError::bad_request("Approval request is not pending"));
        }
        not_expired(row)?;
        change(row)?;
        Ok(line(call, caller, verb, &row.request))
    })?;
    Reply::ok(&shown::to(caller, row.ok_or_else(no_request)?.request))
}

fn not_expired(row: &ApprovalRow) -> Result<(), ApiError> {
    if row.request.expiry <= Time::now() { Err(ApiError::bad_request("Approval request has expired")) } else { Ok(()) }
}

/// The caller as a reviewer of this request.
fn reviewer(caller: &Caller, row: &ApprovalRow) -> Result<Reviewer, ApiError> {
    let principal: Principal = caller.principal();
    let me: Option<Approver> = approver(principal);
    let reviewer = row.request.reviewers.iter().find(|reviewer| Some(reviewer.approver) == me);
    reviewer.copied().ok_or_else(|| ApiError::forbidden("Only a reviewer may approve or deny this request"))
}

/// Whether the right password was given.
///
/// # Errors
/// 403 where it is required and missing, and where it is wrong: 401 would make clients log in anew.
fn check_password(call: &Call, caller: &Caller, reviewer: &Reviewer, password: Option<&str>) -> Result<bool, ApiError> {
    match (&caller.who, password) {
        (_, None) if reviewer.requires_password => Err(ApiError::forbidden("This approval requires the password")),
        (_, None) => Ok(false),
        (Who::App(_), Some(_)) => Err(ApiError::bad_request("Field `password` is for users: apps approve without one")),
        (Who::User(user, _), Some(password)) => {
            by_password(&call.dsm, &user.user_email, password)
                .map_err(|error| if error.status == 401 { ApiError::forbidden("The password is wrong") } else { error })?;
            Ok(true)
        }
    }
}

fn no_second_factor() -> ApiError {
    ApiError::bad_request("Users of this DSM have no second factor, and no approval asks for one")
}
