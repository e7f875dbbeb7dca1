//! `/v1/accounts`.

use dsma_api::Time;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::call::Call;
use super::model::{Account, Member, MemberStatus, NodeEnrollment, Role, User, Zone};
use super::refusal::{Code, Refusal};
use crate::http::reply::Reply;
use crate::store::Records;

/// What creation and change may say. Other members of the OpenAPI, which configure other ways to log in, are refused where they are given.
#[derive(Deserialize)]
struct Request {
    name: Option<String>,
    custom_logo: Option<String>,
    node_enrollment: Option<NodeEnrollment>,
    default_group_id: Option<Uuid>,
    component: Option<String>,
    auth_configs: Option<Value>,
    add_auth_configs: Option<Value>,
    mod_auth_configs: Option<Value>,
    del_auth_configs: Option<Value>,
}

/// `GET /v1/accounts`: the accounts of the logged-in user.
pub(crate) fn list(call: &Call) -> Result<Reply, Refusal> {
    let user = call.login()?.user;
    let items = call.ccm.store.records(|records| {
        let mut items = Vec::new();
        for account in records.all::<Account>(Uuid::nil())? {
            if let Some(member) = member(records, &account, &user)? {
                items.push(shown(&account, &member));
            }
        }
        Ok::<_, Refusal>(items)
    })?;
    Reply::ok(&json!({ "items": items }))
}

/// `POST /v1/accounts`: whoever makes an account manages it. It gets a zone.
pub(crate) fn create(call: &Call) -> Result<Reply, Refusal> {
    let user = call.login()?.user;
    let request: Request = call.json()?;
    refuse_unsupported(&request)?;
    let account = Account {
        acct_id: Uuid::new_v4(),
        name: valid_name(request.name)?,
        created_at: Time::now().0,
        node_enrollment: request.node_enrollment.unwrap_or_default(),
        default_group_id: None,
        custom_logo: request.custom_logo,
    };
    let member = Member::new(account.acct_id, user.user_id, Role::Manager);
    call.ccm.store.change_records(|records| {
        records.insert(&account)?;
        records.insert(&member)?;
        Zone::create(records, account.acct_id, "Default zone")
    })?;
    if account.is_insecure() {
        tracing::warn!("CCM: account {} is INSECURE: it trusts the emulated NSM of this machine", account.acct_id);
    }
    Reply::ok(&shown(&account, &member))
}

/// `GET /v1/accounts/{account-id}`.
pub(crate) fn show(call: &Call) -> Result<Reply, Refusal> {
    let user = call.login()?.user;
    let account = call.member_of(&user, call.id()?, Role::Reader)?;
    answer(call, &account, &user)
}

/// `PATCH /v1/accounts/{account-id}`. Whether the account is marked insecure is settled when it is made.
pub(crate) fn update(call: &Call) -> Result<Reply, Refusal> {
    let user = call.login()?.user;
    let acct_id = call.member_of(&user, call.id()?, Role::Manager)?.acct_id;
    let request: Request = call.json()?;
    refuse_unsupported(&request)?;
    if request.node_enrollment.is_some() {
        return Err(Refusal::invalid("node_enrollment cannot be changed: make another account"));
    }
    let name = request.name.map(|name| valid_name(Some(name))).transpose()?;
    let account = call.ccm.store.change_records(|records| {
        let mut account = records.get::<Account>(acct_id)?.ok_or_else(|| Refusal::not_found("Account"))?;
        account.name = name.unwrap_or(account.name);
        account.custom_logo = request.custom_logo.or(account.custom_logo);
        account.default_group_id = request.default_group_id.or(account.default_group_id);
        records.update(&account)?;
        Ok::<_, Refusal>(account)
    })?;
    answer(call, &account, &user)
}

/// `DELETE /v1/accounts/{account-id}`: with everything in it.
pub(crate) fn delete(call: &Call) -> Result<Reply, Refusal> {
    let user = call.login()?.user;
    let account = call.member_of(&user, call.id()?, Role::Manager)?;
    call.ccm.store.change_records(|records| {
        records.delete_account(account.acct_id)?;
        records.delete::<Account>(account.acct_id)
    })?;
    tracing::info!("CCM: {} deleted account {} ({})", user.user_email, account.acct_id, account.name);
    Ok(Reply::nothing())
}

fn answer(call: &Call, account: &Account, user: &User) -> Result<Reply, Refusal> {
    let member = call.ccm.store.records(|records| member(records, account, user))?;
    Reply::ok(&member.map(|member| shown(account, &member)))
}

fn member(records: &Records<'_>, account: &Account, user: &User) -> Result<Option<Member>, Refusal> {
    Ok(records.find::<Member>(&Member::key_of(account.acct_id, user.user_id))?)
}

/// The account as one of its members sees it.
fn shown(account: &Account, member: &Member) -> Value {
    let mut shown = json!({
        "acct_id": account.acct_id,
        "name": account.name,
        "created_at": account.created_at,
        "roles": member.roles,
        "status": member.status,
        "auth_configs": {},
        "node_enrollment": account.node_enrollment,
        "component": "DEFAULT",
        "account_status": "Active",
    });
    if member.status == MemberStatus::Active {
        if let Some(group_id) = account.default_group_id {
            shown["default_group_id"] = json!(group_id);
        }
        if let Some(logo) = &account.custom_logo {
            shown["custom_logo"] = json!(logo);
        }
    }
    shown
}

fn refuse_unsupported(request: &Request) -> Result<(), Refusal> {
    let other = request.component.as_deref().is_some_and(|component| component != "DEFAULT");
    let logins = [&request.auth_configs, &request.add_auth_configs, &request.mod_auth_configs, &request.del_auth_configs];
    let empty = |value: &Value| value.as_object().is_some_and(serde_json::Map::is_empty) || value.as_array().is_some_and(Vec::is_empty);
    if other || logins.into_iter().flatten().any(|value| !empty(value)) {
        return Err(Refusal::new(Code::FeatureNotSupported, "This version has accounts of component DEFAULT, with login by password"));
    }
    Ok(())
}

/// A name of one line, not blank, at most 256 characters.
pub(crate) fn valid_name(name: Option<String>) -> Result<String, Refusal> {
    let name = name.ok_or_else(|| Refusal::new(Code::MissingRequiredParameter, "Missing field `name`"))?;
    if name.trim().is_empty() || name.contains(char::is_control) || name.chars().count() > 256 {
        return Err(Refusal::new(Code::InvalidName, "Invalid name: one line of 1 to 256 characters, not blank, is expected"));
    }
    Ok(name)
}
