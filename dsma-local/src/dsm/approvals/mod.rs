//! `/sys/v1/approval_requests`: who wants something done asks, reviewers approve or deny, and the requester fetches the result.
//!
//! Approved means: the approvals satisfy the policies of all groups that the operation acts upon. The operation itself runs when its
//! requester asks for the result, once, with the requester's rights of that moment; the gate then looks at the same approvals again.

mod components;
mod review;
mod shown;
mod subjects;

use dsma_api::{ApiError, ApprovalRequest, ApprovalRequestRequest, ApprovalStatus, Time};
use uuid::Uuid;

pub(super) use self::components::directly as components_directly;
pub(super) use self::review::{approve, challenge, deny, result};
use self::subjects::Acted;
use super::authentication::Caller;
use super::call::Call;
use super::quorum::approver;
use super::reply::Reply;
use crate::store::{ActionType, ApprovalRow, Audit};

/// Seconds after which a request expires, where the account says nothing else: 30 days.
const DEFAULT_EXPIRY: u32 = 30 * 24 * 60 * 60;

/// What no approval is for: sessions and approvals themselves.
const NOT_FOR_APPROVAL: &[&str] = &["/sys/v1/session", "/sys/v1/approval_requests", "/sys/v1/health", "/sys/v1/version"];

/// `POST /sys/v1/approval_requests`.
pub(super) fn create(call: &Call) -> Result<Reply, ApiError> {
    let caller = call.caller()?;
    let request: ApprovalRequestRequest = call.json()?;
    let method = request.method.unwrap_or_else(|| "POST".into()).to_uppercase();
    let operation = request.operation.ok_or_else(|| ApiError::bad_request("Missing field `operation`"))?;
    // Clients send it with a leading slash and without.
    let operation = format!("/{}", operation.trim_start_matches('/'));
    let path = operation.split('?').next().unwrap_or_default();
    let possible = !NOT_FOR_APPROVAL.iter().any(|prefix| path.starts_with(prefix));
    if !possible || call.dsm.endpoints.find(&method, path).is_none() {
        return Err(ApiError::bad_request("Invalid operation: no endpoint that can be approved has this method and path"));
    }
    let Acted { subjects, groups } = Acted::find(call, &caller, path, request.body.as_ref())?;
    if path == components::IMPORT && groups.is_empty() {
        return Err(ApiError::bad_request("Missing field `group_id` in `key`: the group whose custodians bring the parts"));
    }
    let mut reviewers = subjects::reviewers(call.store(), &groups)?;
    if reviewers.is_empty() {
        return Err(ApiError::bad_request("This operation does not require approval: no approval policy covers what it acts upon"));
    }
    let custodians = components::custodians(call, path, request.body.as_ref(), &groups)?;
    if path == components::IMPORT {
        // They approve with their part.
        components::invite(&mut reviewers, &custodians);
    }
    let account = call.store().account()?;
    let now = Time::now();
    let request = ApprovalRequest {
        acct_id: call.store().acct_id(),
        request_id: Uuid::new_v4(),
        requester: caller.principal(),
        created_at: now,
        expiry: Time(now.0 + i64::from(account.approval_request_expiry.unwrap_or(DEFAULT_EXPIRY))),
        method,
        operation,
        body: request.body,
        description: request.description,
        status: ApprovalStatus::Pending,
        approvers: Vec::new(),
        denier: None,
        denial_reason: None,
        reviewers,
        subjects,
        result_viewed: false,
    };
    let (approvals, components, fetched) = (Vec::new(), Vec::new(), Vec::new());
    let row = ApprovalRow { request, groups, approvals, custodians, components, fetched, key_kcv: None, key_kcv_cmac: None };
    call.store().insert_approval(&row, line(call, &caller, "Created", &row.request))?;
    Reply::created(&row.request)
}

/// `GET /sys/v1/approval_requests`, by time: those that the caller made or may review; all of them for whoever sees the whole account.
pub(super) fn list(call: &Call) -> Result<Reply, ApiError> {
    let caller = call.caller()?;
    let query = &call.query;
    let [requester, reviewer, subject] = ["requester", "reviewer", "subject"].map(|name| query.parsed::<Uuid>(name));
    let (requester, reviewer, subject) = (requester?, reviewer?, subject?);
    let status = query.get("status").map(status).transpose()?;
    let visible = call.store().approvals()?.into_iter().filter(|row| visible(&caller, row));
    let mut requests: Vec<ApprovalRequest> = visible.map(|row| shown::to(&caller, row.request)).collect();
    requests.retain(|request| {
        requester.is_none_or(|id| [dsma_api::Principal::App(id), dsma_api::Principal::User(id)].contains(&request.requester))
            && reviewer.is_none_or(|id| {
                let both = [dsma_api::Approver::App(id), dsma_api::Approver::User(id)];
                request.reviewers.iter().any(|reviewer| both.contains(&reviewer.approver))
            })
            && subject.is_none_or(|id| request.subjects.iter().any(|subject| subject.id() == id))
            && status.is_none_or(|status| request.status == status)
    });
    Reply::ok(&requests)
}

/// `GET /sys/v1/approval_requests/{id}`.
pub(super) fn show(call: &Call) -> Result<Reply, ApiError> {
    let caller = call.caller()?;
    Reply::ok(&shown::to(&caller, find(call, &caller)?.request))
}

/// `DELETE /sys/v1/approval_requests/{id}`: for the requester, and for whoever manages the account.
pub(super) fn delete(call: &Call) -> Result<Reply, ApiError> {
    let caller = call.caller()?;
    let request = find(call, &caller)?.request;
    if request.requester != caller.principal() {
        caller.need_admin()?;
    }
    if !call.store().delete_approval(request.request_id, line(call, &caller, "Deleted", &request))? {
        return Err(no_request());
    }
    Ok(Reply::nothing())
}

/// The request that the path names, where the caller may see it.
fn find(call: &Call, caller: &Caller) -> Result<ApprovalRow, ApiError> {
    call.store().approval(call.id()?)?.filter(|row| visible(caller, row)).ok_or_else(no_request)
}

fn visible(caller: &Caller, row: &ApprovalRow) -> bool {
    let concerned =
        |me| row.custodians.contains(&me) || row.request.reviewers.iter().any(|reviewer: &dsma_api::Reviewer| reviewer.approver == me);
    caller.sees_all() || row.request.requester == caller.principal() || approver(caller.principal()).is_some_and(concerned)
}

fn status(name: &str) -> Result<ApprovalStatus, ApiError> {
    serde_json::from_value(name.to_uppercase().into()).map_err(|_| ApiError::bad_request("Invalid value of query parameter status"))
}

fn no_request() -> ApiError {
    ApiError::not_found("Approval request does not exist")
}

fn line(call: &Call, caller: &Caller, verb: &str, request: &ApprovalRequest) -> Audit {
    let message = format!("{verb} approval request for {} {}", request.method, request.operation.split('?').next().unwrap_or_default());
    call.audit(ActionType::Administrative, caller.principal(), request.request_id, message)
}
