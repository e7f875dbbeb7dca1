//! `/sys/v1/session`: tokens, and how they end.
//!
//! Sessions live in memory: a restart ends them, and clients log in again on 401. Only hashes of tokens are kept.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use dsma_api::{ApiError, AuthResponse, Principal, text};
use dsma_crypto::digest::Hash;
use parking_lot::Mutex;
use serde::Deserialize;
use uuid::Uuid;

use super::authentication::{Entity, Login, by_app_name, by_certificate, by_password, no_member};
use super::call::Call;
use super::reply::Reply;
use super::secrets::{DEFAULT_SIZE, make_secret};
use crate::store::{ActionType, Member};

/// The open sessions.
pub(super) struct Sessions {
    idle: Duration,
    open: Mutex<HashMap<[u8; 32], Session>>,
}

struct Session {
    /// An app or a user.
    principal: Principal,
    /// The account that a user has selected.
    acct_id: Option<Uuid>,
    last_used: Instant,
}

impl Sessions {
    pub(super) fn new(idle: Duration) -> Self {
        Self { idle, open: Mutex::default() }
    }

    /// Opens a session and returns its token.
    fn open(&self, principal: Principal) -> Result<String, ApiError> {
        let token = make_secret(DEFAULT_SIZE)?;
        self.open.lock().insert(hash(&token), Session { principal, acct_id: None, last_used: Instant::now() });
        Ok(token.to_string())
    }

    /// Whose token it is, and in which account; the idle time begins anew. `None` for a token that is unknown or has ended.
    pub(super) fn touch(&self, token: &str) -> Option<(Principal, Option<Uuid>)> {
        let mut open = self.open.lock();
        let session = open.get_mut(&hash(token)).filter(|session| session.last_used.elapsed() < self.idle)?;
        session.last_used = Instant::now();
        Some((session.principal, session.acct_id))
    }

    fn select(&self, token: &str, acct_id: Uuid) {
        if let Some(session) = self.open.lock().get_mut(&hash(token)) {
            session.acct_id = Some(acct_id);
        }
    }

    fn terminate(&self, token: &str) {
        self.open.lock().remove(&hash(token));
    }

    /// Ends all sessions of an app or a user: it was disabled or deleted, or its credential is another one now.
    pub(super) fn terminate_all(&self, principal: Principal) {
        self.open.lock().retain(|_, session| session.principal != principal);
    }

    /// Forgets sessions whose idle time is over.
    pub(super) fn sweep(&self) {
        self.open.lock().retain(|_, session| session.last_used.elapsed() < self.idle);
    }
}

fn hash(token: &str) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(Hash::Sha256.digest(token.as_bytes()).as_ref());
    hash
}

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
    Reply::ok(&AuthResponse { token_type: "Bearer".into(), expires_in: sessions.idle.as_secs(), access_token, entity_id: entity.id() })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_ends_by_idleness_termination_and_with_its_app() {
        let sessions = Sessions::new(Duration::from_secs(600));
        let (alice, bob) = (Principal::App(Uuid::from_u128(1)), Principal::User(Uuid::from_u128(1)));
        let (first, second, third) = (sessions.open(alice).unwrap(), sessions.open(alice).unwrap(), sessions.open(bob).unwrap());
        assert_eq!(sessions.touch(&first), Some((alice, None)));
        assert_eq!(sessions.touch("nonsense"), None);
        sessions.terminate(&first);
        assert_eq!(sessions.touch(&first), None);
        sessions.terminate_all(alice);
        assert_eq!(sessions.touch(&second), None);
        let account = Uuid::from_u128(3);
        sessions.select(&third, account);
        assert_eq!(sessions.touch(&third), Some((bob, Some(account))));

        let impatient = Sessions::new(Duration::ZERO);
        let token = impatient.open(bob).unwrap();
        assert_eq!(impatient.touch(&token), None);
        impatient.sweep();
        assert!(impatient.open.lock().is_empty());
    }
}
