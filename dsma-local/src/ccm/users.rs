//! `/v1/user` and `/v1/users`: people, and their roles in an account.

use dsma_api::Time;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::call::Call;
use super::listing;
use super::model::{Member, MemberStatus, Role, User};
use super::refusal::{Code, Refusal};
use crate::http::reply::Reply;
use crate::passwords;
use crate::store::Records;

/// `GET /v1/user`: whoever is logged in.
pub(crate) fn logged_in(call: &Call) -> Result<Reply, Refusal> {
    let login = call.login()?;
    let member = match login.selected {
        Some(acct_id) => call.ccm.store.records(|records| membership(records, acct_id, login.user.user_id))?,
        None => None,
    };
    Reply::ok(&shown(&login.user, member.as_ref()))
}

/// `GET /v1/users`: everybody in the account.
pub(crate) fn list(call: &Call) -> Result<Reply, Refusal> {
    let acct_id = call.caller(Role::Reader)?.acct_id();
    let users = call.ccm.store.records(|records| {
        let mut users = Vec::new();
        for member in records.all::<Member>(acct_id)? {
            users.extend(records.get::<User>(member.user_id)?.map(|user| shown(&user, Some(&member))));
        }
        Ok::<_, Refusal>(users)
    })?;
    listing::page(call, users, &["user_email", "first_name", "last_name"])
}

/// `POST /v1/users`: anybody signs up. An address that was invited gets its password so.
pub(crate) fn sign_up(call: &Call) -> Result<Reply, Refusal> {
    #[derive(Deserialize)]
    struct Request {
        user_email: String,
        user_password: String,
        first_name: Option<String>,
        last_name: Option<String>,
    }
    let request: Request = call.json()?;
    let email = valid_email(&request.user_email)?;
    let hash = passwords::hash(&Zeroizing::new(request.user_password))
        .map_err(|error| if error.status == 400 { Refusal::invalid(error.message) } else { error.into() })?;
    let user = call.ccm.store.change_records(|records| {
        let user = match records.find::<User>(&email)? {
            Some(user) if records.secret::<User>(user.user_id)?.is_some() => {
                return Err(Refusal::new(Code::UserAlreadyExists, "A user with this address exists already"));
            }
            Some(invited) => {
                let user = User { first_name: request.first_name, last_name: request.last_name, ..invited };
                records.update(&user)?;
                user
            }
            None => add(records, email, request.first_name, request.last_name)?,
        };
        records.set_secret::<User>(user.user_id, hash.as_bytes())?;
        Ok(user)
    })?;
    Reply::created(&shown(&user, None))
}

/// `POST /v1/users/invite`: into the account, with roles. The user accepts with `process_invite`.
pub(crate) fn invite(call: &Call) -> Result<Reply, Refusal> {
    #[derive(Deserialize)]
    struct Request {
        user_email: String,
        roles: Vec<Role>,
        first_name: Option<String>,
        last_name: Option<String>,
    }
    let acct_id = call.caller(Role::Manager)?.acct_id();
    let request: Request = call.json()?;
    let email = valid_email(&request.user_email)?;
    let roles = valid_roles(request.roles)?;
    let (user, member) = call.ccm.store.change_records(|records| {
        let user = match records.find::<User>(&email)? {
            Some(user) => user,
            None => add(records, email, request.first_name, request.last_name)?,
        };
        let member = Member { roles, status: MemberStatus::Pending, ..Member::new(acct_id, user.user_id, Role::Reader) };
        if !records.insert(&member)? {
            return Err(Refusal::new(Code::UserAlreadyExists, "This user is a member of the account already"));
        }
        Ok((user, member))
    })?;
    Reply::created(&shown(&user, Some(&member)))
}

/// `POST /v1/users/process_invite`: accepts and rejects invitations, by account.
pub(crate) fn process_invite(call: &Call) -> Result<Reply, Refusal> {
    #[derive(Deserialize)]
    struct Request {
        #[serde(default)]
        accepts: Vec<Uuid>,
        #[serde(default)]
        rejects: Vec<Uuid>,
    }
    let user = call.login()?.user;
    let Request { accepts, rejects } = call.json()?;
    call.ccm.store.change_records(|records| {
        for (acct_id, accepted) in accepts.iter().map(|id| (*id, true)).chain(rejects.iter().map(|id| (*id, false))) {
            let member = membership(records, acct_id, user.user_id)?.filter(|member| member.status == MemberStatus::Pending);
            let member = member.ok_or_else(|| Refusal::new(Code::NotFound, format!("You are not invited to account {acct_id}")))?;
            if accepted {
                records.update(&Member { status: MemberStatus::Active, ..member })?;
            } else {
                records.delete::<Member>(member.id)?;
            }
        }
        Ok::<_, Refusal>(())
    })?;
    Ok(Reply::nothing())
}

/// `GET /v1/users/{user-id}`: oneself, or a member of the selected account.
pub(crate) fn show(call: &Call) -> Result<Reply, Refusal> {
    let user_id = call.id()?;
    if call.login()?.user.user_id == user_id {
        return logged_in(call);
    }
    let acct_id = call.caller(Role::Reader)?.acct_id();
    let (user, member) = call.ccm.store.records(|records| member_and_user(records, acct_id, user_id))?;
    Reply::ok(&shown(&user, Some(&member)))
}

/// `PATCH /v1/users/{user-id}`: one's own names; a manager changes roles and status of the account's members.
pub(crate) fn update(call: &Call) -> Result<Reply, Refusal> {
    #[derive(Deserialize)]
    struct Request {
        first_name: Option<String>,
        last_name: Option<String>,
        roles: Option<Vec<Role>>,
        user_account_status: Option<MemberStatus>,
    }
    let (me, user_id) = (call.login()?.user.user_id, call.id()?);
    let request: Request = call.json()?;
    let names = request.first_name.is_some() || request.last_name.is_some();
    if names && me != user_id {
        return Err(Refusal::new(Code::Forbidden, "Users change their own names: leave out first_name and last_name"));
    }
    let membership = request.roles.is_some() || request.user_account_status.is_some();
    let managed = if membership || me != user_id { Some(call.caller(Role::Manager)?.acct_id()) } else { None };
    let roles = request.roles.map(valid_roles).transpose()?;
    let changed = call.ccm.store.change_records(|records| {
        let mut user = records.get::<User>(user_id)?.ok_or_else(|| Refusal::not_found("User"))?;
        if names {
            user.first_name = request.first_name.or(user.first_name);
            user.last_name = request.last_name.or(user.last_name);
            records.update(&user)?;
        }
        let Some(acct_id) = managed else {
            return Ok(None);
        };
        let (_, mut member) = member_and_user(records, acct_id, user_id)?;
        member.roles = roles.unwrap_or(member.roles);
        member.status = request.user_account_status.unwrap_or(member.status);
        records.update(&member)?;
        need_manager(records, acct_id)?;
        Ok::<_, Refusal>(Some((user, member)))
    })?;
    match changed {
        Some((user, member)) => Reply::ok(&shown(&user, Some(&member))),
        None => logged_in(call),
    }
}

/// `DELETE /v1/users/{user-id}`: oneself, everywhere.
pub(crate) fn delete(call: &Call) -> Result<Reply, Refusal> {
    let user_id = call.login()?.user.user_id;
    if call.id()? != user_id {
        return Err(Refusal::new(Code::Forbidden, "Users delete themselves; a manager removes them from the account instead"));
    }
    call.ccm.store.change_records(|records| {
        for member in records.everywhere::<Member>()?.into_iter().filter(|member| member.user_id == user_id) {
            records.delete::<Member>(member.id)?;
            need_manager(records, member.acct_id)?;
        }
        records.delete::<User>(user_id)?;
        Ok::<_, Refusal>(())
    })?;
    call.ccm.sessions.terminate_all(user_id);
    Ok(Reply::nothing())
}

/// `GET /v1/users/{user-id}/accounts`: one's own roles, by account.
pub(crate) fn accounts(call: &Call) -> Result<Reply, Refusal> {
    let user_id = call.login()?.user.user_id;
    if call.id()? != user_id {
        return Err(Refusal::new(Code::Forbidden, "Users see their own accounts only"));
    }
    let members = call.ccm.store.records(|records| records.everywhere::<Member>())?;
    let mine = members.into_iter().filter(|member| member.user_id == user_id);
    let accounts: Map<String, Value> =
        mine.map(|member| (member.acct_id.to_string(), json!({ "roles": member.roles, "status": member.status }))).collect();
    Reply::ok(&accounts)
}

/// `DELETE /v1/users/{user-id}/accounts`: out of the selected account; oneself, or by a manager.
pub(crate) fn leave(call: &Call) -> Result<Reply, Refusal> {
    let (login, user_id) = (call.login()?, call.id()?);
    let least = if login.user.user_id == user_id { Role::Reader } else { Role::Manager };
    let acct_id = call.caller(least)?.acct_id();
    call.ccm.store.change_records(|records| {
        let (_, member) = member_and_user(records, acct_id, user_id)?;
        records.delete::<Member>(member.id)?;
        need_manager(records, acct_id)
    })?;
    Ok(Reply::nothing())
}

fn add(records: &Records<'_>, email: String, first_name: Option<String>, last_name: Option<String>) -> Result<User, Refusal> {
    let user =
        User { user_id: Uuid::new_v4(), user_email: email, first_name, last_name, created_at: Time::now().0, last_logged_in_at: None };
    records.insert(&user)?;
    Ok(user)
}

fn membership(records: &Records<'_>, acct_id: Uuid, user_id: Uuid) -> Result<Option<Member>, Refusal> {
    Ok(records.find::<Member>(&Member::key_of(acct_id, user_id))?)
}

fn member_and_user(records: &Records<'_>, acct_id: Uuid, user_id: Uuid) -> Result<(User, Member), Refusal> {
    let found = records.get::<User>(user_id)?.zip(membership(records, acct_id, user_id)?);
    found.ok_or_else(|| Refusal::not_found("User"))
}

/// Refuses a change that leaves an account without an active manager.
fn need_manager(records: &Records<'_>, acct_id: Uuid) -> Result<(), Refusal> {
    let manages = |member: &Member| member.status == MemberStatus::Active && member.may(Role::Manager);
    if records.all::<Member>(acct_id)?.iter().any(manages) {
        return Ok(());
    }
    Err(Refusal::new(Code::InvalidState, "The account would have no manager: give somebody else the role MANAGER, or delete the account"))
}

fn shown(user: &User, member: Option<&Member>) -> Value {
    let mut shown = json!({
        "user_id": user.user_id,
        "user_email": user.user_email,
        "created_at": user.created_at,
        "email_verified": true,
        "status": "ACTIVE",
        "accepted_latest_terms_and_conditions": true,
    });
    let optional = [
        ("first_name", json!(user.first_name)),
        ("last_name", json!(user.last_name)),
        ("last_logged_in_at", json!(user.last_logged_in_at)),
    ];
    for (name, value) in optional.into_iter().filter(|(_, value)| !value.is_null()) {
        shown[name] = value;
    }
    if let Some(member) = member {
        (shown["roles"], shown["user_account_status"]) = (json!(member.roles), json!(member.status));
    }
    shown
}

fn valid_roles(roles: Vec<Role>) -> Result<Vec<Role>, Refusal> {
    if roles.is_empty() { Err(Refusal::invalid("Invalid roles: at least one of READER, WRITER, MANAGER is expected")) } else { Ok(roles) }
}

fn valid_email(email: &str) -> Result<String, Refusal> {
    let parts = email.split_once('@').filter(|(name, domain)| !name.is_empty() && !domain.is_empty());
    // A colon would end the name in `Authorization: Basic`.
    if parts.is_none() || email.len() > 254 || email.contains(|c: char| c.is_control() || c.is_whitespace() || c == ':') {
        return Err(Refusal::invalid("Invalid user_email: an address such as name@example.com is expected"));
    }
    Ok(email.to_lowercase())
}
