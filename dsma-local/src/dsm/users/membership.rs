//! Invitations, roles, and their end.

use std::collections::BTreeMap;

use dsma_api::{ApiError, AppRole, Approver, UserRequest, UserRole};
use serde::Deserialize;
use uuid::Uuid;

use super::{line, no_user, person, shown, valid_email};
use crate::dsm::call::Call;
use crate::dsm::caller::GROUP_ADMINISTRATOR;
use crate::dsm::groups::no_group;
use crate::dsm::quorum::not_an_approver;
use crate::dsm::reply::Reply;
use crate::store::{Member, Store};

/// Roles of a user in a group.
const GROUP_ROLES: &[&str] = &[GROUP_ADMINISTRATOR, "GROUPAUDITOR"];
/// States that clients send along with the role; only `enable` changes the state.
const FLAGS: &[&str] = &["STATEENABLED", "PENDINGINVITE"];

/// `POST /sys/v1/users/invite`: a user who has signed up becomes a member, once the invitation is accepted.
pub(crate) fn invite(call: &Call) -> Result<Reply, ApiError> {
    let caller = call.caller()?;
    caller.need_admin()?;
    let request: UserRequest = call.json()?;
    let email = request.user_email.as_deref().ok_or_else(|| ApiError::bad_request("Missing field `user_email`"))?;
    let known = call.store().user_by_email(&valid_email(email)?)?;
    let (user, _) =
        known.ok_or_else(|| ApiError::not_found("No user has this address: the user signs up first (this DSM sends no mail)"))?;
    let role = request.account_role.as_deref().map(role).transpose()?.unwrap_or(UserRole::Member);
    let mut member = Member::new(role, true);
    groups(call, &mut member, &request)?;
    if !call.store().insert_member(user.user_id, &member, line(call, caller.principal(), "Invited", &user))? {
        return Err(ApiError::conflict("User is a member of this account already, or invited"));
    }
    Reply::created(&shown(user, Some(&member)))
}

/// `POST /sys/v1/users/{id}/resend_invite`: the invitation stands, and the user sees it; there is no mail to send again.
pub(crate) fn resend_invite(call: &Call) -> Result<Reply, ApiError> {
    call.caller()?.need_admin()?;
    match call.store().member(call.id()?)? {
        Some(member) if member.pending => Ok(Reply::nothing()),
        Some(_) => Err(ApiError::bad_request("User is a member already: there is no invitation to send again")),
        None => Err(no_user()),
    }
}

/// `POST /sys/v1/users/process_invite`.
pub(crate) fn process_invite(call: &Call) -> Result<Reply, ApiError> {
    #[derive(Default, Deserialize)]
    struct Request {
        #[serde(default)]
        accepts: Vec<Uuid>,
        #[serde(default)]
        rejects: Vec<Uuid>,
    }
    let user = person(call)?;
    let me = dsma_api::Principal::User(user.user_id);
    let request: Request = call.json()?;
    let no_invitation = || ApiError::not_found("No such invitation");
    let pending = |acct_id: Uuid| -> Result<Store, ApiError> {
        let store = call.dsm.store.in_account(acct_id);
        let member = store.member(user.user_id)?.filter(|member| member.pending);
        member.map(|_| store).ok_or_else(no_invitation)
    };
    // All of them are looked up before the first is answered.
    let accepts = request.accepts.into_iter().map(pending).collect::<Result<Vec<_>, _>>()?;
    let rejects = request.rejects.into_iter().map(pending).collect::<Result<Vec<_>, _>>()?;
    for store in accepts {
        let audit = crate::store::Audit { acct_id: store.acct_id(), ..line(call, me, "Joined", &user) };
        store.update_member(user.user_id, |member| {
            member.pending = false;
            Ok::<_, ApiError>(audit)
        })?;
    }
    for store in rejects {
        let audit = crate::store::Audit { acct_id: store.acct_id(), ..line(call, me, "Rejected invitation of", &user) };
        store.delete_member(user.user_id, audit, || Ok::<_, ApiError>(()))?;
    }
    Ok(Reply::nothing())
}

/// `GET /sys/v1/users/accounts`: role and state by account.
pub(crate) fn accounts(call: &Call) -> Result<Reply, ApiError> {
    let memberships = call.dsm.store.memberships(person(call)?.user_id)?;
    Reply::ok(&memberships.into_iter().map(|(acct_id, member)| (acct_id, member.flags())).collect::<BTreeMap<_, _>>())
}

/// `DELETE /sys/v1/users/{id}/accounts`: ends a membership in the caller's account.
pub(crate) fn leave(call: &Call) -> Result<Reply, ApiError> {
    let caller = call.caller()?;
    let user_id = call.id()?;
    if caller.id() != user_id {
        caller.need_admin()?;
    }
    let user = call.store().member(user_id)?.and(call.store().user(user_id)?).ok_or_else(no_user)?;
    let allowed = || {
        not_an_approver(call.store(), Approver::User(user_id))?;
        not_the_last(call.store(), user_id)
    };
    call.store().delete_member(user_id, line(call, caller.principal(), "Removed", &user), allowed)?;
    Ok(Reply::nothing())
}

/// Whether a request is about a membership.
pub(super) fn concerned(request: &UserRequest) -> bool {
    request.account_role.is_some()
        || request.enable.is_some()
        || [&request.add_groups, &request.mod_groups, &request.del_groups].into_iter().any(Option::is_some)
}

/// Changes roles and state of a member of the caller's account.
pub(super) fn change(call: &Call, user_id: Uuid, request: &UserRequest) -> Result<Member, ApiError> {
    let caller = call.caller()?;
    caller.need_admin()?;
    let user = call.store().member(user_id)?.and(call.store().user(user_id)?).ok_or_else(no_user)?;
    let role = request.account_role.as_deref().map(role).transpose()?;
    let changed = call.store().update_member(user_id, |member| {
        if request.enable == Some(false) || role.is_some_and(|role| role != UserRole::Administrator) {
            not_the_last(call.store(), user_id)?;
        }
        if let Some(role) = role {
            member.set_role(role);
        }
        member.enabled = request.enable.unwrap_or(member.enabled);
        groups(call, member, request)?;
        Ok::<_, ApiError>(line(call, caller.principal(), "Changed roles of", &user))
    })?;
    changed.ok_or_else(no_user)
}

/// Refuses to take the account's last administrator away: nobody could manage it any more.
pub(super) fn not_the_last(store: &Store, user_id: Uuid) -> Result<(), ApiError> {
    let manages = |member: &Member| member.is_active() && member.role() == UserRole::Administrator;
    if !store.member(user_id)?.is_some_and(|member| manages(&member)) {
        return Ok(());
    }
    let another_user = store.members()?.iter().any(|(user, member)| user.user_id != user_id && manages(member));
    if another_user || store.apps()?.iter().any(|row| row.app.enabled && row.app.role == AppRole::Admin) {
        return Ok(());
    }
    Err(ApiError::conflict("This is the account's last administrator: make another one first"))
}

/// The one role among the names; states may stand beside it.
fn role(names: &[String]) -> Result<UserRole, ApiError> {
    let invalid =
        || ApiError::bad_request("Invalid account_role: one of ACCOUNTADMINISTRATOR, ACCOUNTMEMBER and ACCOUNTAUDITOR is expected");
    let mut roles = names.iter().filter(|name| !FLAGS.contains(&name.as_str())).map(|name| UserRole::from_name(name));
    match (roles.next(), roles.next()) {
        (Some(Some(role)), None) => Ok(role),
        _ => Err(invalid()),
    }
}

/// Applies `del_groups`, `add_groups` and `mod_groups`.
fn groups(call: &Call, member: &mut Member, request: &UserRequest) -> Result<(), ApiError> {
    for group_id in request.del_groups.iter().flat_map(BTreeMap::keys) {
        member.groups.remove(group_id);
    }
    for (group_id, roles) in [&request.add_groups, &request.mod_groups].into_iter().flatten().flatten() {
        call.store().group(*group_id)?.ok_or_else(no_group)?;
        if roles.is_empty() || roles.iter().any(|role| !GROUP_ROLES.contains(&role.as_str())) {
            return Err(ApiError::bad_request("Invalid role in a group: GROUPADMINISTRATOR or GROUPAUDITOR is expected"));
        }
        member.groups.insert(*group_id, roles.clone());
    }
    Ok(())
}
