//! `/sys/v1/groups`. Members see a group; apps with role admin manage all of them.

use dsma_api::{Act, ApiError, Group, GroupApprovalPolicy, GroupPolicies, GroupRequest, Time, UserRole};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::authentication::Caller;
use super::call::Call;
use super::caller::{GROUP_ADMINISTRATOR, Who};
use super::paging::{GROUPS, Paging, filter};
use super::quorum::{read_policy, warn_without_people};
use super::reply::Reply;
use super::{client_configs, group_policies};
use crate::store::{ActionType, Audit, Fields};

/// `GET /sys/v1/groups`: the caller's groups, by name.
pub(super) fn list(call: &Call) -> Result<Reply, ApiError> {
    let caller = call.caller()?;
    let paging = Paging::read(&call.query, &GROUPS)?;
    let mut groups = match filter(&call.query, Fields::Groups)? {
        Some(condition) => call.store().groups_where(&condition)?,
        None => call.store().groups()?,
    };
    groups.retain(|group| caller.permissions(group.group_id).is_some());
    paging.cut(groups, |group| (group.group_id, &group.name))
}

/// `GET /sys/v1/groups/{id}`.
pub(super) fn show(call: &Call) -> Result<Reply, ApiError> {
    let caller = call.caller()?;
    Reply::ok(&visible(call, &caller)?)
}

/// `POST /sys/v1/groups`.
pub(super) fn create(call: &Call) -> Result<Reply, ApiError> {
    let caller = call.caller()?;
    let member = may_create(&caller)?;
    let request: GroupRequest = call.json()?;
    let mut client_configurations = Map::new();
    client_configs::apply(&mut client_configurations, request.client_configurations.clone().unwrap_or_default())?;
    let group = Group {
        acct_id: call.store().acct_id(),
        group_id: Uuid::new_v4(),
        name: valid_name(request.name.clone())?,
        description: request.description.clone(),
        creator: caller.principal(),
        created_at: Time::now(),
        approval_policy: policy(call, request.approval_policy.as_ref())?,
        policies: group_policies::read(call.store(), GroupPolicies::default(), &request)?,
        custom_metadata: request.custom_metadata,
        client_configurations,
    };
    let administrator = member.map(|user_id| (user_id, GROUP_ADMINISTRATOR));
    if !call.store().insert_group(&group, administrator, audit(call, &caller, "Created", &group))? {
        return Err(name_taken());
    }
    warn_without_people(&group);
    Reply::created(&group)
}

/// `PATCH /sys/v1/groups/{id}`.
pub(super) fn update(call: &Call) -> Result<Reply, ApiError> {
    let caller = call.caller()?;
    let group_id = visible(call, &caller)?.group_id;
    caller.need_group_admin(group_id)?;
    let request: GroupRequest = call.json()?;
    let with_policy = request.approval_policy.is_some();
    let change = |group: &mut Group| {
        apply(call, &caller, group, request)?;
        Ok(audit(call, &caller, "Updated", group))
    };
    let group = call.store().update_group(group_id, change, name_taken)?.ok_or_else(no_group)?;
    if with_policy {
        warn_without_people(&group);
    }
    Reply::ok(&group)
}

/// Changes what the request gives. It sees the group as it is within the transaction, so that no two clients overwrite each other's
/// changes: an approval policy would be lost that way.
fn apply(call: &Call, caller: &Caller, group: &mut Group, request: GroupRequest) -> Result<(), ApiError> {
    if group_policies::concerned(&request) {
        caller.gate.pass(group.group_id, Act::Policy)?;
    }
    group.policies = group_policies::read(call.store(), std::mem::take(&mut group.policies), &request)?;
    group.custom_metadata = request.custom_metadata.or_else(|| group.custom_metadata.take());
    if request.name.is_some() {
        group.name = valid_name(request.name)?;
    }
    group.description = request.description.or_else(|| group.description.take());
    client_configs::apply(&mut group.client_configurations, request.client_configurations.unwrap_or_default())?;
    if request.approval_policy.is_some() {
        // Removed or weakened, a policy protects nothing.
        caller.gate.pass(group.group_id, Act::Policy)?;
        group.approval_policy = policy(call, request.approval_policy.as_ref())?;
    }
    Ok(())
}

/// `DELETE /sys/v1/groups/{id}`: a group that still holds sobjects stays.
pub(super) fn delete(call: &Call) -> Result<Reply, ApiError> {
    let caller = call.caller()?;
    let group = visible(call, &caller)?;
    caller.need_group_admin(group.group_id)?;
    let allowed = || caller.gate.pass(group.group_id, Act::Policy);
    if !call.store().delete_group(group.group_id, audit(call, &caller, "Deleted", &group), allowed)? {
        return Err(ApiError::conflict("Group is not empty: delete or move its sobjects first"));
    }
    Ok(Reply::nothing())
}

/// The group that the path names, where the caller may see it.
fn visible(call: &Call, caller: &Caller) -> Result<Group, ApiError> {
    let group_id = call.id()?;
    caller.permissions(group_id).and(call.store().group(group_id)?).ok_or_else(no_group)
}

/// Whoever manages the account makes groups, and so do its ordinary members: these administer what they make.
fn may_create(caller: &Caller) -> Result<Option<Uuid>, ApiError> {
    match &caller.who {
        Who::User(user, member) if member.role() == UserRole::Member => Ok(Some(user.user_id)),
        _ => caller.need_admin().map(|()| None),
    }
}

/// The policy that a request gives; none where it says `"remove"`.
fn policy(call: &Call, given: Option<&Value>) -> Result<Option<GroupApprovalPolicy>, ApiError> {
    let given = given.filter(|given| given.as_str() != Some("remove"));
    given.map(|given| read_policy(call.store(), given)).transpose()
}

/// A name as the OpenAPI wants it.
pub(super) fn valid_name(name: Option<String>) -> Result<String, ApiError> {
    let name = name.ok_or_else(|| ApiError::bad_request("Missing field `name`"))?;
    check_line("name", &name)?;
    Ok(name)
}

/// What the OpenAPI wants of all names: one line, not blank, at most 4096 characters.
pub(super) fn check_line(member: &str, text: &str) -> Result<(), ApiError> {
    if text.trim().is_empty() || text.contains('\n') || text.chars().count() > 4096 {
        return Err(ApiError::bad_request(format!("Invalid {member}: one line of 1 to 4096 characters, not blank, is expected")));
    }
    Ok(())
}

pub(super) fn no_group() -> ApiError {
    ApiError::not_found("Group does not exist")
}

fn name_taken() -> ApiError {
    ApiError::conflict("Group with this name already exists")
}

fn audit(call: &Call, caller: &Caller, verb: &str, group: &Group) -> Audit {
    let message = format!("{verb} group \"{}\"", group.name);
    let line = call.audit(ActionType::Administrative, caller.principal(), group.group_id, message);
    Audit { group_id: Some(group.group_id), ..line }
}
