//! `/sys/v1/users`. Anybody signs up; in an account a user is a member with a role, and with roles in groups.
//!
//! This DSM sends no mail: addresses are taken as they are, and a lost password cannot be recovered.

mod membership;

use dsma_api::{ApiError, Approver, Principal, SignupRequest, Time, User, UserRequest};
use serde::Deserialize;
use uuid::Uuid;

pub(super) use self::membership::{accounts, invite, leave, process_invite, resend_invite};
use super::authentication::{Entity, by_password};
use super::call::Call;
use super::groups::check_line;
use super::paging::{Paging, USERS};
use super::passwords;
use super::quorum::not_an_approver;
use super::reply::Reply;
use crate::store::{ActionType, Audit, Member};

/// `POST /sys/v1/users`, for anybody.
pub(super) fn signup(call: &Call) -> Result<Reply, ApiError> {
    let request: SignupRequest = call.json()?;
    check_names(request.first_name.as_deref(), request.last_name.as_deref())?;
    let user = User {
        user_id: Uuid::new_v4(),
        user_email: valid_email(&request.user_email)?,
        first_name: request.first_name,
        last_name: request.last_name,
        description: None,
        created_at: Some(Time::now()),
        account_role: Vec::new(),
        groups: Default::default(),
        has_password: true,
        has_account: false,
        u2f_devices: Vec::new(),
        mfa_devices: Vec::new(),
    };
    let password = passwords::hash(&request.user_password)?;
    if !call.store().insert_user(&user, &password, line(call, Principal::UnregisteredUser, "Signed up", &user))? {
        return Err(ApiError::conflict("User with this address already exists"));
    }
    Reply::created(&user)
}

/// `GET /sys/v1/users`: the members of the account.
pub(super) fn list(call: &Call) -> Result<Reply, ApiError> {
    let caller = call.caller()?;
    if caller.is_app() {
        caller.need_admin()?;
    }
    let group_id = call.query.parsed::<Uuid>("group_id")?;
    if call.query.parsed::<Uuid>("acct_id")?.is_some_and(|acct_id| acct_id != call.store().acct_id()) {
        return Err(ApiError::forbidden("acct_id is not the account that the session has selected"));
    }
    let paging = Paging::read(&call.query, &USERS)?;
    let members = call.store().members()?.into_iter().filter(|(_, member)| group_id.is_none_or(|id| member.groups.contains_key(&id)));
    paging.cut(members.map(|(user, member)| shown(user, Some(&member))).collect(), |user: &User| (user.user_id, &user.user_email))
}

/// `GET /sys/v1/users/{id}`: oneself, and the members of the account.
pub(super) fn show(call: &Call) -> Result<Reply, ApiError> {
    let login = call.login()?;
    let user_id = call.id()?;
    let user = match login.entity {
        Entity::User(user) if user.user_id == user_id => user,
        _ => {
            let caller = call.caller()?;
            if caller.is_app() {
                caller.need_admin()?;
            }
            call.store().member(user_id)?.and(call.store().user(user_id)?).ok_or_else(no_user)?
        }
    };
    Reply::ok(&shown(user, call.store().member(user_id)?.as_ref()))
}

/// `PATCH /sys/v1/users/{id}`: oneself what describes one, administrators what a member may do.
pub(super) fn update(call: &Call) -> Result<Reply, ApiError> {
    let user_id = call.id()?;
    let request: UserRequest = call.json()?;
    check_names(request.first_name.as_deref(), request.last_name.as_deref())?;
    let described = request.first_name.is_some() || request.last_name.is_some() || request.description.is_some();
    // Before anything is changed: a refused request has changed nothing.
    if described && call.login()?.entity.principal() != Principal::User(user_id) {
        return Err(ApiError::forbidden("Only the user may change first_name, last_name and description"));
    }
    let mut member = None;
    if membership::concerned(&request) {
        member = Some(membership::change(call, user_id, &request)?);
    }
    let user = if described {
        call.store().update_user(user_id, |user| {
            user.first_name = request.first_name.or_else(|| user.first_name.take());
            user.last_name = request.last_name.or_else(|| user.last_name.take());
            user.description = request.description.or_else(|| user.description.take());
            line(call, Principal::User(user_id), "Updated", user)
        })?
    } else {
        call.dsm.store.user(user_id)?
    };
    let user = user.ok_or_else(no_user)?;
    if member.is_none() {
        // Nothing of an account was changed, so that only the user gets here, or somebody who asked for nothing.
        return show(call);
    }
    Reply::ok(&shown(user, member.as_ref()))
}

/// `DELETE /sys/v1/users`: the caller ends being a user.
pub(super) fn delete(call: &Call) -> Result<Reply, ApiError> {
    let user = person(call)?;
    let allowed = || {
        for (acct_id, _) in call.dsm.store.memberships(user.user_id)? {
            not_an_approver(&call.dsm.store.in_account(acct_id), Approver::User(user.user_id))?;
            membership::not_the_last(&call.dsm.store.in_account(acct_id), user.user_id)?;
        }
        Ok::<_, ApiError>(())
    };
    call.dsm.store.delete_user(user.user_id, line(call, Principal::User(user.user_id), "Deleted", &user), allowed)?;
    call.dsm.sessions.terminate_all(Principal::User(user.user_id));
    Ok(Reply::nothing())
}

/// `POST /sys/v1/users/change_password`: for the user alone; every session of the old password ends.
pub(super) fn change_password(call: &Call) -> Result<Reply, ApiError> {
    #[derive(Deserialize)]
    struct Request {
        current_password: String,
        new_password: String,
    }
    let user = person(call)?;
    let request: Request = call.json()?;
    by_password(&call.dsm, &user.user_email, &request.current_password)
        .map_err(|error| if error.status == 401 { ApiError::forbidden("The current password is wrong") } else { error })?;
    let password = passwords::hash(&request.new_password)?;
    let line = line(call, Principal::User(user.user_id), "Changed password of", &user);
    call.dsm.store.set_password(user.user_id, &password, line)?;
    call.dsm.sessions.terminate_all(Principal::User(user.user_id));
    Ok(Reply::nothing())
}

/// The user who calls.
fn person(call: &Call) -> Result<User, ApiError> {
    match call.login()?.entity {
        Entity::User(user) => Ok(user),
        Entity::App(_) => Err(ApiError::forbidden("Only a user may do this")),
    }
}

/// A user as seen from an account.
fn shown(user: User, member: Option<&Member>) -> User {
    User {
        account_role: member.map(Member::flags).unwrap_or_default(),
        groups: member.map(|member| member.groups.clone()).unwrap_or_default(),
        has_account: member.is_some(),
        ..user
    }
}

fn check_names(first: Option<&str>, last: Option<&str>) -> Result<(), ApiError> {
    first.map_or(Ok(()), |name| check_line("first_name", name))?;
    last.map_or(Ok(()), |name| check_line("last_name", name))
}

/// An address in lower case. A colon would end it in `Basic` credentials.
fn valid_email(email: &str) -> Result<String, ApiError> {
    let email = email.trim().to_lowercase();
    let valid = email.len() <= 254
        && email.split_once('@').is_some_and(|(name, host)| !name.is_empty() && !host.is_empty() && !host.contains('@'))
        && !email.chars().any(|c| c.is_whitespace() || c.is_control() || c == ':');
    if valid { Ok(email) } else { Err(ApiError::bad_request("Invalid user_email: an e-mail address is expected")) }
}

fn no_user() -> ApiError {
    ApiError::not_found("User does not exist")
}

fn line(call: &Call, actor: Principal, verb: &str, user: &User) -> Audit {
    call.audit(ActionType::Administrative, actor, user.user_id, format!("{verb} user \"{}\"", user.user_email))
}
