//! `/sys/v1/session`: tokens, and how they end.
//!
//! Sessions live in memory: a restart ends them, and clients log in again on 401. Only hashes of tokens are kept.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use dsma_api::{ApiError, AuthResponse, text};
use dsma_crypto::digest::Hash;
use parking_lot::Mutex;
use uuid::Uuid;

use super::authentication::Caller;
use super::call::Call;
use super::reply::Reply;
use super::secrets::{DEFAULT_SIZE, make_secret};
use crate::store::ActionType;

/// The open sessions.
pub(super) struct Sessions {
    idle: Duration,
    open: Mutex<HashMap<[u8; 32], Session>>,
}

struct Session {
    app_id: Uuid,
    last_used: Instant,
}

impl Sessions {
    pub(super) fn new(idle: Duration) -> Self {
        Self { idle, open: Mutex::default() }
    }

    /// Opens a session and returns its token.
    fn open(&self, app_id: Uuid) -> Result<String, ApiError> {
        let token = make_secret(DEFAULT_SIZE)?;
        self.open.lock().insert(hash(&token), Session { app_id, last_used: Instant::now() });
        Ok(token.to_string())
    }

    /// Whose token it is; the idle time begins anew. `None` for a token that is unknown or has ended.
    pub(super) fn touch(&self, token: &str) -> Option<Uuid> {
        let mut open = self.open.lock();
        let session = open.get_mut(&hash(token)).filter(|session| session.last_used.elapsed() < self.idle)?;
        session.last_used = Instant::now();
        Some(session.app_id)
    }

    fn terminate(&self, token: &str) {
        self.open.lock().remove(&hash(token));
    }

    /// Ends all sessions of an app: it was disabled or deleted, or its secret is another one now.
    pub(super) fn terminate_app(&self, app_id: Uuid) {
        self.open.lock().retain(|_, session| session.app_id != app_id);
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

/// `POST /sys/v1/session/auth`: opens a session for the credential in the header.
pub(super) fn auth(call: &Call) -> Result<Reply, ApiError> {
    let caller = call.caller()?;
    if caller.token.is_some() {
        return Err(ApiError::unauthorized(text::BAD_CREDENTIALS));
    }
    open(call, &caller)
}

/// `POST /sys/v1/session/reauth`: a second session for the caller of this one.
pub(super) fn reauth(call: &Call) -> Result<Reply, ApiError> {
    let caller = call.caller()?;
    open(call, &caller)
}

/// `POST /sys/v1/session/refresh`: every call does what this one does.
pub(super) fn refresh(call: &Call) -> Result<Reply, ApiError> {
    in_session(call)?;
    Ok(Reply::nothing())
}

/// `POST /sys/v1/session/terminate`: the token is dead at once.
pub(super) fn terminate(call: &Call) -> Result<Reply, ApiError> {
    let (caller, token) = in_session(call)?;
    call.dsm.sessions.terminate(&token);
    log(call, &caller, "Logged out")?;
    Ok(Reply::nothing())
}

/// `POST /sys/v1/session/select_account`: for users; apps have one account, but some clients call it all the same.
pub(super) fn select_account(call: &Call) -> Result<Reply, ApiError> {
    in_session(call)?;
    Reply::ok(&serde_json::json!({ "cookie": null }))
}

fn open(call: &Call, caller: &Caller) -> Result<Reply, ApiError> {
    let sessions = &call.dsm.sessions;
    let access_token = sessions.open(caller.id())?;
    log(call, caller, "Authenticated")?;
    Reply::ok(&AuthResponse { token_type: "Bearer".into(), expires_in: sessions.idle.as_secs(), access_token, entity_id: caller.id() })
}

fn in_session(call: &Call) -> Result<(Caller, String), ApiError> {
    let mut caller = call.caller()?;
    let token = caller.token.take().ok_or_else(|| ApiError::unauthorized(text::NO_SESSION))?;
    Ok((caller, token))
}

fn log(call: &Call, caller: &Caller, verb: &str) -> Result<(), ApiError> {
    let message = format!("{verb} app \"{}\"", caller.row.app.name);
    Ok(call.store().audit_soon(call.audit(ActionType::Auth, caller.principal(), caller.id(), message))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_ends_by_idleness_termination_and_with_its_app() {
        let sessions = Sessions::new(Duration::from_secs(600));
        let (alice, bob) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let (first, second, third) = (sessions.open(alice).unwrap(), sessions.open(alice).unwrap(), sessions.open(bob).unwrap());
        assert_eq!(sessions.touch(&first), Some(alice));
        assert_eq!(sessions.touch("nonsense"), None);
        sessions.terminate(&first);
        assert_eq!(sessions.touch(&first), None);
        sessions.terminate_app(alice);
        assert_eq!(sessions.touch(&second), None);
        assert_eq!(sessions.touch(&third), Some(bob));

        let impatient = Sessions::new(Duration::ZERO);
        let token = impatient.open(bob).unwrap();
        assert_eq!(impatient.touch(&token), None);
        impatient.sweep();
        assert!(impatient.open.lock().is_empty());
    }
}
