//! `/sys/v1/apps`. An app may read itself; apps with role admin manage all of them.

use std::collections::BTreeMap;

use dsma_api::{
    ApiError, App, AppGroups, AppRequest, AppRole, Approver, CredentialResponse, IpAddressPolicy, PreviousCredential, Principal, Time,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::authentication::Caller;
use super::call::Call;
use super::credentials::SECRET;
use super::groups::{no_group, valid_name};
use super::paging::{APPS, Paging, filter};
use super::permissions::memberships;
use super::quorum::not_an_approver;
use super::reply::Reply;
use super::{addresses, client_configs, credentials};
use crate::store::{ActionType, AppRow, Audit, Fields};

/// `GET /sys/v1/apps`.
pub(super) fn list(call: &Call) -> Result<Reply, ApiError> {
    call.caller()?.need_sight()?;
    let group_id = call.query.parsed::<Uuid>("group_id")?;
    let role = match call.query.get("role") {
        None => None,
        Some("admin") => Some(AppRole::Admin),
        Some("crypto") => Some(AppRole::Crypto),
        Some(_) => return Err(ApiError::bad_request("Invalid role: admin or crypto")),
    };
    let paging = Paging::read(&call.query, &APPS)?;
    let mut rows = match filter(&call.query, Fields::Apps)? {
        Some(condition) => call.store().apps_where(&condition)?,
        None => call.store().apps()?,
    };
    rows.retain(|row| group_id.is_none_or(|id| row.groups.contains_key(&id)) && role.is_none_or(|role| row.app.role == role));
    paging.cut(rows.into_iter().map(|row| shown(call, row)).collect(), |shown: &Shown| (shown.app.app_id, &shown.app.name))
}

/// `GET /sys/v1/apps/{id}`.
pub(super) fn show(call: &Call) -> Result<Reply, ApiError> {
    let caller = call.caller()?;
    let app_id = call.id()?;
    if app_id != caller.id() {
        caller.need_sight()?;
    }
    Reply::ok(&shown(call, call.store().app(app_id)?.ok_or_else(no_app)?))
}

/// `POST /sys/v1/apps`: the API key is read with [`credential`].
pub(super) fn create(call: &Call) -> Result<Reply, ApiError> {
    let caller = call.caller()?;
    caller.need_admin()?;
    let request: AppRequest = call.json()?;
    let credential = credentials::given(request.credential.as_ref(), request.secret_size)?;
    let app = App {
        acct_id: call.store().acct_id(),
        app_id: Uuid::new_v4(),
        app_type: request.app_type.clone().unwrap_or_else(|| "default".into()),
        name: valid_name(request.name.clone())?,
        description: request.description.clone(),
        creator: caller.principal(),
        created_at: Time::now(),
        lastused_at: None,
        enabled: request.enabled.unwrap_or(true),
        default_group: None,
        groups: AppGroups::Ids(Vec::new()),
        auth_type: Some(credential.auth_type.into()),
        cert_not_after: credential.not_after,
        role: request.role.unwrap_or_default(),
        ip_address_policy: IpAddressPolicy::AllowAll,
        client_configurations: Map::new(),
    };
    let mut row = AppRow { app, groups: BTreeMap::new() };
    apply_groups(call, &mut row, &request)?;
    apply_settings(&mut row.app, &request)?;
    let audit = audit(call, &caller, "Created", &row.app);
    if !call.store().insert_app(&row, &credential.bytes, audit)? {
        return Err(name_taken());
    }
    Reply::created(&shown(call, row))
}

/// `PATCH /sys/v1/apps/{id}`: absent members stay as they are.
pub(super) fn update(call: &Call) -> Result<Reply, ApiError> {
    let caller = call.caller()?;
    caller.need_admin()?;
    let app_id = call.id()?;
    let request: AppRequest = call.json()?;
    let credential = request.credential.as_ref().map(|given| credentials::given(Some(given), request.secret_size)).transpose()?;
    if credential.is_some() {
        caller.gate.pass_as(Approver::App(app_id))?;
    }
    let name = request.name.clone().map(|name| valid_name(Some(name))).transpose()?;
    let until = until(request.credential_migration_period);
    let change = |row: &mut AppRow| {
        apply_groups(call, row, &request)?;
        apply_settings(&mut row.app, &request)?;
        let app = &mut row.app;
        app.name = name.unwrap_or_else(|| std::mem::take(&mut app.name));
        app.description = request.description.clone().or_else(|| app.description.take());
        app.app_type = request.app_type.clone().unwrap_or_else(|| std::mem::take(&mut app.app_type));
        app.enabled = request.enabled.unwrap_or(app.enabled);
        app.role = request.role.unwrap_or(app.role);
        if let Some(credential) = &credential {
            if until.is_some() && (app.auth_type.as_deref(), credential.auth_type) != (Some(SECRET), SECRET) {
                return Err(ApiError::bad_request("credential_migration_period is for secrets"));
            }
            app.auth_type = Some(credential.auth_type.into());
            app.cert_not_after = credential.not_after;
        }
        let verb = if credential.is_some() { "Updated, with its credential," } else { "Updated" };
        Ok(audit(call, &caller, verb, app))
    };
    let new = credential.as_ref().map(|credential| (credential.bytes.as_slice(), until));
    let row = call.store().update_app(app_id, new, change, name_taken)?.ok_or_else(no_app)?;
    if credential.is_some() && until.is_none() || !row.app.enabled {
        call.dsm.sessions.terminate_all(Principal::App(app_id));
    }
    Reply::ok(&shown(call, row))
}

/// `DELETE /sys/v1/apps/{id}`.
pub(super) fn delete(call: &Call) -> Result<Reply, ApiError> {
    let caller = call.caller()?;
    caller.need_admin()?;
    let row = call.store().app(call.id()?)?.ok_or_else(no_app)?;
    let allowed = || not_an_approver(call.store(), Approver::App(row.app.app_id));
    if !call.store().delete_app(row.app.app_id, audit(call, &caller, "Deleted", &row.app), allowed)? {
        return Err(no_app());
    }
    call.dsm.sessions.terminate_all(Principal::App(row.app.app_id));
    Ok(Reply::nothing())
}

/// `GET /sys/v1/apps/{id}/credential`.
pub(super) fn credential(call: &Call) -> Result<Reply, ApiError> {
    let caller = call.caller()?;
    caller.need_admin()?;
    let row = call.store().app(call.id()?)?.ok_or_else(no_app)?;
    caller.gate.pass_as(Approver::App(row.app.app_id))?;
    let secret = call.store().app_secret(row.app.app_id)?.ok_or_else(no_app)?;
    call.store().audit_now(audit(call, &caller, "Read credential of", &row.app))?;
    let show = |bytes: &[u8]| credentials::shown(row.app.auth_type.as_deref(), bytes);
    let previous = call.store().previous_secret(row.app.app_id, Time::now())?;
    let previous = previous.map(|old| show(&old.bytes).map(|credential| PreviousCredential { credential, valid_until: old.until }));
    let credential = show(&secret)?;
    Reply::ok(&CredentialResponse { app_id: row.app.app_id, credential, previous_credential: previous.transpose()? })
}

/// `POST /sys/v1/apps/{id}/reset_secret`: a new secret. The old one and its sessions end at once, or hold for the migration period.
pub(super) fn reset_secret(call: &Call) -> Result<Reply, ApiError> {
    #[derive(Default, Deserialize)]
    struct Request {
        secret_size: Option<u32>,
        credential_migration_period: Option<u32>,
    }
    let caller = call.caller()?;
    caller.need_admin()?;
    let app_id = call.store().app(call.id()?)?.ok_or_else(no_app)?.app.app_id;
    caller.gate.pass_as(Approver::App(app_id))?;
    let request: Request = call.json_or_default()?;
    let secret = credentials::given(None, request.secret_size)?;
    let until = until(request.credential_migration_period);
    let change = |row: &mut AppRow| {
        if row.app.auth_type.as_deref() != Some(SECRET) {
            return Err(ApiError::bad_request("App has no secret: it authenticates with a certificate"));
        }
        Ok(audit(call, &caller, "Changed credential of", &row.app))
    };
    let row = call.store().update_app(app_id, Some((&secret.bytes, until)), change, name_taken)?.ok_or_else(no_app)?;
    if until.is_none() {
        call.dsm.sessions.terminate_all(Principal::App(app_id));
    }
    Reply::ok(&shown(call, row))
}

/// The end of a migration period of so many seconds; a period of none is no period.
fn until(seconds: Option<u32>) -> Option<Time> {
    seconds.filter(|seconds| *seconds > 0).map(|seconds| Time(Time::now().0 + i64::from(seconds)))
}

/// Applies `del_groups`, `add_groups`, `mod_groups` and `default_group`, and checks the outcome.
fn apply_groups(call: &Call, row: &mut AppRow, request: &AppRequest) -> Result<(), ApiError> {
    for group_id in request.del_groups.iter().flatten() {
        row.groups.remove(group_id);
    }
    for (group_id, permissions) in request.add_groups.as_ref().map(memberships).transpose()?.into_iter().flatten() {
        call.store().group(group_id)?.ok_or_else(no_group)?;
        row.groups.insert(group_id, permissions);
    }
    for (group_id, permissions) in request.mod_groups.as_ref().map(memberships).transpose()?.into_iter().flatten() {
        *row.groups.get_mut(&group_id).ok_or_else(|| ApiError::bad_request("App is not a member of a group in mod_groups"))? = permissions;
    }
    if let Some(default_group) = request.default_group {
        if !row.groups.contains_key(&default_group) {
            return Err(ApiError::bad_request("App is not a member of its default group"));
        }
        row.app.default_group = Some(default_group);
    }
    row.app.default_group = row.app.default_group.filter(|id| row.groups.contains_key(id));
    Ok(())
}

/// Applies `ip_address_policy` and `client_configurations`.
fn apply_settings(app: &mut App, request: &AppRequest) -> Result<(), ApiError> {
    if let Some(policy) = &request.ip_address_policy {
        addresses::check(policy)?;
        app.ip_address_policy = policy.clone();
    }
    client_configs::apply(&mut app.client_configurations, request.client_configurations.clone().unwrap_or_default())
}

/// [`App`] with the members that the OpenAPI requires, for features that this version does not have: the time of the last operation
/// by kind, and the access rules of older accounts.
#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    app: App,
    last_operations: Map<String, Value>,
    legacy_access: bool,
}

/// The app as the query wants it. Permissions that classic clients do not know make their parsers fail: they are shown only where
/// there are any.
fn shown(call: &Call, row: AppRow) -> Shown {
    let groups = if call.query.flag("group_permissions") {
        AppGroups::Permissions(row.groups)
    } else {
        AppGroups::Ids(row.groups.into_keys().collect())
    };
    Shown { app: App { groups, ..row.app }, last_operations: Map::new(), legacy_access: false }
}

fn no_app() -> ApiError {
    ApiError::not_found("App does not exist")
}

fn name_taken() -> ApiError {
    ApiError::conflict("App with this name already exists")
}

fn audit(call: &Call, caller: &Caller, verb: &str, app: &App) -> Audit {
    call.audit(ActionType::Administrative, caller.principal(), app.app_id, format!("{verb} app \"{}\"", app.name))
}
