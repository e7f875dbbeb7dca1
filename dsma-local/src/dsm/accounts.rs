//! `/sys/v1/accounts`. A user makes accounts and manages them; an app sees its own.

use std::collections::BTreeMap;

use dsma_api::{Account, AccountRequest, Act, ApiError, UserRole};
use serde::Serialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::authentication::Entity;
use super::call::Call;
use super::client_configs;
use super::groups::valid_name;
use super::paging::{ACCOUNTS, Paging};
use super::reply::Reply;
use crate::store::{ActionType, Member};

/// Members of a request that only say what this DSM does anyhow, or that describe the account to people.
const WITHOUT_EFFECT: &[&str] = &["country", "organization", "phone", "notification_pref", "custom_logo", "subscription", "purpose"];

/// `GET /sys/v1/accounts`: those of the user, or the app's.
pub(super) fn list(call: &Call) -> Result<Reply, ApiError> {
    let accounts = visible(call)?.into_keys().map(|acct_id| call.dsm.store.any_account(acct_id));
    let accounts: Vec<Account> = accounts.filter_map(Result::transpose).collect::<Result<_, _>>()?;
    let paging = Paging::read(&call.query, &ACCOUNTS)?;
    paging.cut(accounts.into_iter().map(Shown::from).collect(), |shown| (shown.account.acct_id, &shown.account.name))
}

/// `GET /sys/v1/accounts/{id}`.
pub(super) fn show(call: &Call) -> Result<Reply, ApiError> {
    let acct_id = call.id()?;
    if !visible(call)?.contains_key(&acct_id) {
        return Err(no_account());
    }
    Reply::ok(&Shown::from(call.dsm.store.any_account(acct_id)?.ok_or_else(no_account)?))
}

/// `GET /sys/v1/accounts/{id}/usage`: the operations of a time, as the audit log has them; those with keys of high volume are not in it.
pub(super) fn usage(call: &Call) -> Result<Reply, ApiError> {
    let acct_id = call.id()?;
    if !visible(call)?.contains_key(&acct_id) {
        return Err(no_account());
    }
    let (from, to) = (call.query.parsed("range_from")?, call.query.parsed("range_to")?);
    Reply::ok(&json!({"num_operations": call.dsm.store.in_account(acct_id).count_operations(from, to)?}))
}

/// `POST /sys/v1/accounts`: the user who makes it administers it.
pub(super) fn create(call: &Call) -> Result<Reply, ApiError> {
    let Entity::User(user) = call.login()?.entity else {
        return Err(ApiError::forbidden("Only a user may make an account"));
    };
    let request: AccountRequest = call.json()?;
    let mut account = Account::new(Uuid::new_v4(), valid_name(request.name.clone())?);
    apply(&mut account, request)?;
    let principal = dsma_api::Principal::User(user.user_id);
    let line = call.audit(ActionType::Administrative, principal, account.acct_id, format!("Created account \"{}\"", account.name));
    let audit = crate::store::Audit { acct_id: account.acct_id, ..line };
    call.dsm.store.insert_account(&account, user.user_id, &Member::new(UserRole::Administrator, false), audit)?;
    Reply::created(&Shown::from(account))
}

/// `PATCH /sys/v1/accounts/{id}`: the caller's own account.
pub(super) fn update(call: &Call) -> Result<Reply, ApiError> {
    let caller = call.caller()?;
    if call.id()? != call.store().acct_id() {
        return Err(no_account());
    }
    caller.need_admin()?;
    let request: AccountRequest = call.json()?;
    let account = call.store().update_account(|account| {
        apply(account, request)?;
        let message = format!("Updated account \"{}\"", account.name);
        Ok::<_, ApiError>(call.audit(ActionType::Administrative, caller.principal(), account.acct_id, message))
    })?;
    Reply::ok(&Shown::from(account))
}

/// `DELETE /sys/v1/accounts/{id}`: the caller's own account, once it holds no sobject and no group with an approval policy.
pub(super) fn delete(call: &Call) -> Result<Reply, ApiError> {
    let caller = call.caller()?;
    if call.id()? != call.store().acct_id() {
        return Err(no_account());
    }
    caller.need_admin()?;
    for (group_id, _) in call.store().approval_policies()? {
        caller.gate.pass(group_id, Act::Policy)?;
    }
    let account = call.store().account()?;
    let message = format!("Deleted account \"{}\"", account.name);
    if !call.store().delete_account(call.audit(ActionType::Administrative, caller.principal(), account.acct_id, message))? {
        return Err(ApiError::conflict(
            "Account is not empty, or it came with this DSM: delete its sobjects first; the account that came with it stays",
        ));
    }
    Ok(Reply::nothing())
}

/// The accounts that the caller may enter; an app's role there is of no interest.
fn visible(call: &Call) -> Result<BTreeMap<Uuid, Option<Member>>, ApiError> {
    Ok(match call.login()?.entity {
        Entity::App(row) => BTreeMap::from([(row.app.acct_id, None)]),
        Entity::User(user) => {
            let memberships = call.dsm.store.memberships(user.user_id)?.into_iter().filter(|(_, member)| member.is_active());
            memberships.map(|(acct_id, member)| (acct_id, Some(member))).collect()
        }
    })
}

fn apply(account: &mut Account, request: AccountRequest) -> Result<(), ApiError> {
    if let Some(name) = request.others.iter().find(|(name, value)| !value.is_null() && !WITHOUT_EFFECT.contains(&name.as_str())) {
        return Err(ApiError::bad_request(format!("Field `{}` of an account is not supported by this version", name.0)));
    }
    if request.enabled == Some(false) {
        return Err(ApiError::bad_request("An account of this DSM cannot be disabled: disable its apps and users"));
    }
    if request.approval_request_expiry == Some(0) {
        return Err(ApiError::bad_request("Invalid approval_request_expiry: a number of seconds is expected"));
    }
    if let Some(given) = request.client_configurations {
        client_configs::apply(&mut account.client_configurations, given)?;
    }
    if request.name.is_some() {
        account.name = valid_name(request.name)?;
    }
    account.description = request.description.or_else(|| account.description.take());
    account.custom_metadata = request.custom_metadata.or_else(|| account.custom_metadata.take());
    account.approval_request_expiry = request.approval_request_expiry.or(account.approval_request_expiry);
    Ok(())
}

fn no_account() -> ApiError {
    ApiError::not_found("Account does not exist")
}

/// [`Account`] with the members that the OpenAPI requires, for features that this DSM does not have.
#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    account: Account,
    logging_configs: Map<String, Value>,
    mark_key_disable_when_deactivated: bool,
    purpose: Value,
    original_purpose: Value,
    subscription: Value,
    /// This and the next are not in the OpenAPI: the published command line shows them.
    state: &'static str,
    auth_type: &'static str,
}

impl From<Account> for Shown {
    fn from(account: Account) -> Self {
        let standard = || json!({"$type": "Standard"});
        let state = if account.enabled { "Activated" } else { "Disabled" };
        Self {
            account,
            logging_configs: Map::new(),
            mark_key_disable_when_deactivated: false,
            purpose: standard(),
            original_purpose: standard(),
            // The one form that the document and the crate `sdkms` 0.5.1 both take: to the crate the others are bare names or need a date.
            subscription: json!({"custom": {}}),
            state,
            auth_type: "Fortanix",
        }
    }
}
