//! Keys in parts: an approved export gives each custodian one part, an approved import takes one from each.
//!
//! Source: the descriptions of `/crypto/v1/keys/components/*` in the OpenAPI. Both go through an approval request only, in a group that has
//! an approval policy and a custodian policy. Nobody but DSM ever sees two parts.

use dsma_api::{
    ApiError, ApprovalStatus, Approver, ExportComponentsRequest, ExportComponentsResponse, ImportComponentsRequest, Reviewer,
    SobjectComponent, text,
};
use dsma_api::{Approval, CustodianComponent};
use serde::de::DeserializeOwned;
use serde_json::Value;
use uuid::Uuid;

use super::review::may_run;
use super::{line, no_request};
use crate::dsm::authentication::Caller;
use crate::dsm::call::{Acting, Call};
use crate::dsm::quorum::approver;
use crate::dsm::reply::Reply;
use crate::dsm::sobjects::{check_component, join_components, split_components};
use crate::store::ApprovalRow;

/// The two operations.
pub(super) const EXPORT: &str = "/crypto/v1/keys/components/export";
pub(super) const IMPORT: &str = "/crypto/v1/keys/components/import";
/// Custodians of one key.
const MANY: usize = 64;

/// `POST /crypto/v1/keys/components/*`: nobody gets a part without an approval request.
pub(crate) fn directly(call: &Call) -> Result<Reply, ApiError> {
    call.caller()?;
    Err(ApiError::forbidden(text::NEEDS_APPROVAL))
}

/// The path of a request's operation.
pub(super) fn path_of(row: &ApprovalRow) -> &str {
    row.request.operation.split('?').next().unwrap_or_default()
}

/// The custodians whom a request for a key in parts names; nobody for any other request.
///
/// # Errors
/// 400 for a body that is malformed or asks for what this DSM cannot do, and for custodians whom the group's policy does not accept.
pub(super) fn custodians(call: &Call, path: &str, body: Option<&Value>, groups: &[Uuid]) -> Result<Vec<Approver>, ApiError> {
    let (custodians, unsupported) = match path {
        EXPORT => {
            let request: ExportComponentsRequest = read(body)?;
            (request.custodians, [("wrap_key_params", request.wrap_key_params.is_some()), ("components", false), ("auth_config", false)])
        }
        IMPORT => {
            let request: ImportComponentsRequest = read(body)?;
            if request.key.value.is_some() {
                return Err(ApiError::bad_request("Field `value` is not for an import by components: each custodian brings a part"));
            }
            let components = request.components.is_some_and(|components| !components.is_empty());
            let wrapped = ("unwrap_key_params", request.unwrap_key_params.is_some());
            (request.custodians, [wrapped, ("components", components), ("auth_config", demands(request.auth_config.as_ref()))])
        }
        _ => return Ok(Vec::new()),
    };
    if let Some((name, _)) = unsupported.iter().find(|(_, given)| *given) {
        return Err(ApiError::bad_request(format!("Field `{name}` is not supported by this version: leave it out")));
    }
    let twice = custodians.iter().enumerate().any(|(at, custodian)| custodians[..at].contains(custodian));
    if custodians.len() < 2 || custodians.len() > MANY || twice {
        return Err(ApiError::bad_request(format!("Invalid custodians: 2 to {MANY} different ones are expected")));
    }
    for group_id in groups {
        let policy = call.store().group_policies(*group_id)?.custodian_policy;
        let policy = policy.ok_or_else(|| ApiError::bad_request("The group has no custodian policy: set its `custodian_policy` first"))?;
        let named = dsma_api::approvers(&policy);
        let given: Vec<Approval> = custodians.iter().map(|approver| Approval { approver: *approver, with_password: true }).collect();
        if !custodians.iter().all(|custodian| named.contains(custodian)) || !dsma_api::satisfied(&policy, &given) {
            return Err(ApiError::bad_request("Invalid custodians: they are not those that the group's custodian policy asks for"));
        }
    }
    Ok(custodians)
}

/// Lets custodians review a request, where the approval policy does not name them anyhow.
pub(super) fn invite(reviewers: &mut Vec<Reviewer>, custodians: &[Approver]) {
    for custodian in custodians {
        if !reviewers.iter().any(|reviewer| reviewer.approver == *custodian) {
            reviewers.push(Reviewer { approver: *custodian, requires_password: false, requires_2fa: false });
        }
    }
}

/// Takes the part that a custodian approves an import with.
///
/// # Errors
/// 400 where it is missing or wrong, and where nobody has asked for one.
pub(super) fn add(call: &Call, row: &mut ApprovalRow, reviewer: &Reviewer, body: Option<&Value>) -> Result<(), ApiError> {
    let custodian = reviewer.approver;
    let wanted = path_of(row) == IMPORT && row.custodians.contains(&custodian);
    let Some(body) = body.filter(|body| !body.is_null()) else {
        return if wanted { Err(ApiError::bad_request("Missing field `body`: a custodian approves with its `component`")) } else { Ok(()) };
    };
    if !wanted {
        return Err(ApiError::bad_request("Field `body` is for custodians who approve an import by components"));
    }
    let part: CustodianComponent = read(Some(body))?;
    let request: ImportComponentsRequest = read(row.request.body.as_ref())?;
    let length = row.components.iter().find(|known| known.custodian != custodian).map(|known| known.component.as_ref().len());
    if length.is_some_and(|length| length != part.component.as_ref().len()) {
        return Err(ApiError::bad_request("Invalid component: all parts of a key have the same length"));
    }
    check_component(&request, &part)?;
    row.components.retain(|known| known.custodian != custodian);
    row.components.push(SobjectComponent { component: part.component, component_kcv: part.component_kcv, custodian });
    tracing::debug!("part {} of {} is there, for {}", row.components.len(), row.custodians.len(), call.path());
    Ok(())
}

/// Whether every part is there that has to be.
pub(super) fn complete(row: &ApprovalRow) -> bool {
    path_of(row) != IMPORT || row.components.len() == row.custodians.len()
}

/// `POST /sys/v1/approval_requests/{id}/result` of an export: the part of the custodian who asks, once. The key is split when the first
/// one asks, with the requester's rights of that moment.
pub(super) fn hand_out(call: &Call, caller: &Caller, row: ApprovalRow) -> Result<Reply, ApiError> {
    let me = approver(caller.principal()).filter(|me| row.custodians.contains(me));
    let me = me.ok_or_else(|| ApiError::forbidden("Only a custodian may have the result of this request, and only the own part"))?;
    may_fetch(&row, &me)?;
    let split = is_whole(&row).then(|| split_for(call, &row));
    let (mut mine, mut failed) = (None, None);
    let row = call.store().update_approval(row.request.request_id, |row| {
        may_fetch(row, &me)?;
        // Of two splits at the same time the first one holds, whatever came of the other.
        match split.filter(|_| is_whole(row)) {
            Some(Ok(split)) => (row.components, row.key_kcv, row.key_kcv_cmac) = (split.components, split.key_kcv, split.key_kcv_cmac),
            Some(Err(error)) if is_final(&error) => {
                row.request.status = ApprovalStatus::Failed;
                failed = Some(error);
                return Ok(line(call, caller, "Failed", &row.request));
            }
            Some(Err(passing)) => return Err(passing),
            None => {}
        }
        mine = row.components.iter().find(|part| part.custodian == me).cloned();
        row.components.retain(|part| part.custodian != me);
        row.fetched.push(me);
        row.request.result_viewed = row.fetched.len() == row.custodians.len();
        Ok::<_, ApiError>(line(call, caller, "Fetched a part by", &row.request))
    })?;
    if let Some(error) = failed {
        return Reply::ok(&dsma_api::ApprovableResult { status: error.status, body: error.message.into_owned().into() });
    }
    let (row, mine) = row.zip(mine).ok_or_else(no_request)?;
    let ExportComponentsRequest { description, .. } = read(row.request.body.as_ref())?;
    let part = ExportComponentsResponse { components: vec![mine], key_kcv: row.key_kcv, key_kcv_cmac: row.key_kcv_cmac, description };
    let body = serde_json::to_value(&part).map_err(crate::error::Error::Row)?;
    Reply::ok(&dsma_api::ApprovableResult { status: 200, body })
}

fn may_fetch(row: &ApprovalRow, me: &Approver) -> Result<(), ApiError> {
    may_run(row)?;
    if row.fetched.contains(me) {
        return Err(ApiError::bad_request("This custodian has fetched its part already"));
    }
    Ok(())
}

/// Whether nobody has asked for a part of the key yet.
fn is_whole(row: &ApprovalRow) -> bool {
    row.components.is_empty() && row.fetched.is_empty()
}

/// Whether it would be the same the next time: a failure of this DSM's own passes.
const fn is_final(error: &ApiError) -> bool {
    error.status < 500
}

/// Splits the key of an export, as the requester.
fn split_for(call: &Call, row: &ApprovalRow) -> Result<ExportComponentsResponse, ApiError> {
    let request = &row.request;
    let mut body = request.body.clone().unwrap_or_default();
    super::subjects::pin(call.store(), &request.subjects, EXPORT, &mut body)?;
    let acting = Acting { principal: request.requester, acct_id: request.acct_id, approvals: row.approvals.clone() };
    split_components(&call.carry(&request.operation, Some(&body), Some(acting)), &row.custodians)
}

/// Makes the key of an import, as the requester, when all parts are there.
pub(super) fn put_together(carried: &Call, parts: &[SobjectComponent]) -> Result<Reply, ApiError> {
    join_components(carried, parts)
}

fn demands(auth_config: Option<&Value>) -> bool {
    let on = |name: &str| auth_config.and_then(|config| config.get(name)).and_then(Value::as_bool) == Some(true);
    on("require_password") || on("require_2fa")
}

fn read<T: DeserializeOwned>(body: Option<&Value>) -> Result<T, ApiError> {
    let invalid = |error| ApiError::bad_request(format!("Invalid body of the operation: {error}"));
    serde_json::from_value(body.cloned().unwrap_or_default()).map_err(invalid)
}
