//! `/sys/v1/session`: tokens, and how they end.

use dsma_api::{ApiError, AuthResponse, Principal, text};
use serde::Deserialize;
use uuid::Uuid;

use super::authentication::{Entity, Login, by_app_name, by_certificate, by_password, no_member};
use super::call::Call;
use super::reply::Reply;
use crate::store::{ActionType, Member};

/// Who calls, by session: an app, or a user in the account that the session has selected.
pub(super) type Sessions = crate::sessions::Sessions<Principal>;

/// `POST /sys/v1/session/auth`: opens a session for the credential in the header, in the body, or of the connection.
pub(super) fn auth(call: &Call) -> Result<Reply, ApiError> {
    let login = if call.authorization().is_some() { call.login()? } else { in_body(call)? };
    if login.token.is_some() {
        return Err(ApiError::unauthorized(text::BAD_CREDENTIALS));
    }
    check_binding(call)?;
    open(call, &login.entity)
}

/// `bind_to` lets another app of the account use the token. Tokens are no connection's own here: whoever holds one may use it, so
/// nothing is left to do but to look at the wish.
fn check_binding(call: &Call) -> Result<(), ApiError> {
    #[derive(Default, Deserialize)]
    struct Request {
        token_type: Option<String>,
        bind_to: Option<BindTo>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum BindTo {
        App(Uuid),
    }
    let request: Request = call.json_or_default()?;
    if let Some(other) = request.token_type.filter(|kind| kind != "Bearer") {
        return Err(ApiError::bad_request(format!("token_type `{other}` is not supported by this version: it gives Bearer tokens")));
    }
    match request.bind_to {
        Some(BindTo::App(app_id)) if call.store().app(app_id)?.is_none() => {
            Err(ApiError::bad_request("bind_to names no app of this account"))
        }
        _ => Ok(()),
    }
}

/// `POST /sys/v1/session/auth/discover`: everybody has a password here. It does not tell who exists.
pub(super) fn discover(call: &Call) -> Result<Reply, ApiError> {
    #[derive(Default, Deserialize)]
    struct Request {
        #[serde(rename = "user_email")]
        _user_email: Option<String>,
    }
    call.json_or_default::<Request>()?;
    Reply::ok(&serde_json::json!([{ "method": "password" }]))
}

/// `POST /sys/v1/session/reauth`: a second session for the caller of this one.
pub(super) fn reauth(call: &Call) -> Result<Reply, ApiError> {
    open(call, &call.login()?.entity)
}

/// `POST /sys/v1/session/refresh`: every call does what this one does.
pub(super) fn refresh(call: &Call) -> Result<Reply, ApiError> {
    in_session(call)?;
    Ok(Reply::nothing())
}

/// `POST /sys/v1/session/terminate`: the token is dead at once.
pub(super) fn terminate(call: &Call) -> Result<Reply, ApiError> {
    let (entity, token) = in_session(call)?;
    call.dsm.sessions.terminate(&token);
    log(call, &entity, "Logged out")?;
    Ok(Reply::nothing())
}

/// `POST /sys/v1/session/select_account`: for users; apps have one account, but some clients call it all the same.
pub(super) fn select_account(call: &Call) -> Result<Reply, ApiError> {
    #[derive(Deserialize)]
    struct Request {
        acct_id: Uuid,
    }
    let (entity, token) = in_session(call)?;
    if let Entity::User(user) = entity {
        let Request { acct_id } = call.json()?;
        let member = call.dsm.store.in_account(acct_id).member(user.user_id)?;
        member.filter(Member::is_active).ok_or_else(no_member)?;
        call.dsm.sessions.select(&token, acct_id);
    }
    Reply::ok(&serde_json::json!({ "cookie": null }))
}

/// The credential that the body holds, by its `method`; where it holds none, the connection's certificate.
fn in_body(call: &Call) -> Result<Login, ApiError> {
    /// No `Debug`: it holds a secret.
    #[derive(Default, Deserialize)]
    struct Request {
        method: Option<String>,
        email: Option<String>,
        acct_id: Option<Uuid>,
        name: Option<String>,
        password: Option<String>,
    }
    let request: Request = call.json_or_default()?;
    let missing = |name| ApiError::bad_request(format!("Missing field `{name}`"));
    let password = || request.password.as_deref().ok_or_else(|| missing("password"));
    let login = match request.method.as_deref() {
        None if !call.peer.certificates.is_empty() => by_certificate(call)?,
        None => return Err(ApiError::unauthorized(text::NO_CREDENTIALS)),
        Some("password") => by_password(&call.dsm, request.email.as_deref().ok_or_else(|| missing("email"))?, password()?)?,
        Some("auth-by-app-name") => {
            let acct_id = request.acct_id.ok_or_else(|| missing("acct_id"))?;
            by_app_name(&call.dsm, acct_id, request.name.as_deref().ok_or_else(|| missing("name"))?, password()?)?
        }
        Some(_) => return Err(ApiError::bad_request("This method of authentication is not supported by this version")),
    };
    call.admit(&login.entity)?;
    if let Entity::App(row) = &login.entity {
        call.enter(row.app.acct_id);
    }
    Ok(login)
}

fn open(call: &Call, entity: &Entity) -> Result<Reply, ApiError> {
    let sessions = &call.dsm.sessions;
    let access_token = sessions.open(entity.principal())?;
    let how = if call.peer.certificates.is_empty() { "Authenticated" } else { "Authenticated, with a client certificate," };
    log(call, entity, how)?;
    Reply::ok(&AuthResponse { token_type: "Bearer".into(), expires_in: sessions.idle().as_secs(), access_token, entity_id: entity.id() })
}

fn in_session(call: &Call) -> Result<(Entity, String), ApiError> {
    let login = call.login()?;
    let token = login.token.ok_or_else(|| ApiError::unauthorized(text::NO_SESSION))?;
    Ok((login.entity, token))
}

fn log(call: &Call, entity: &Entity, verb: &str) -> Result<(), ApiError> {
    let line = call.audit(ActionType::Auth, entity.principal(), entity.id(), format!("{verb} {}", entity.name()));
    Ok(call.store().audit_soon(line)?)
}
