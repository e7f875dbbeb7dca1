//! Our session with DSM: one token for all callers, opened by one of them.

use std::sync::Arc;

use dsma_api::AuthResponse;
use parking_lot::Mutex;
use uuid::Uuid;

use crate::{Error, Flight, SecretBytes, gate};

#[derive(Debug, Default)]
pub(super) struct Session {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    token: Option<Arc<Token>>,
    /// A login under way, with the fork generation whose thread makes it.
    login: Option<(u64, Flight<Arc<Token>>)>,
}

/// A bearer token.
#[derive(Debug)]
pub(super) struct Token {
    secret: SecretBytes,
    app_id: Uuid,
}

impl Token {
    pub(super) const fn app_id(&self) -> Uuid {
        self.app_id
    }

    pub(super) fn expose(&self) -> &str {
        std::str::from_utf8(self.secret.as_ref()).unwrap_or_default()
    }
}

impl Session {
    /// The token. Where there is none, one caller runs `login` and the others wait for it; no lock is held meanwhile.
    pub(super) fn token(&self, login: impl FnOnce() -> Result<Token, Error>) -> Result<Arc<Token>, Error> {
        let promise = {
            let mut state = self.state.lock();
            if let Some(token) = &state.token {
                return Ok(Arc::clone(token));
            }
            match &state.login {
                Some((generation, flight)) if *generation == gate::generation() => {
                    let flight = flight.clone();
                    drop(state);
                    return flight.wait();
                }
                _ => {
                    let (promise, flight) = Flight::start();
                    state.login = Some((gate::generation(), flight));
                    promise
                }
            }
        };
        let _landing = Landing(self);
        let answer = login().map(Arc::new);
        if let Ok(token) = &answer {
            self.state.lock().token = Some(Arc::clone(token));
        }
        promise.fulfil(answer.clone());
        answer
    }

    /// A session that was opened elsewhere serves from now on. Who uses the old one may go on.
    pub(super) fn replace(&self, token: Token) {
        self.state.lock().token = Some(Arc::new(token));
    }

    /// DSM does not know `token` any more.
    pub(super) fn forget(&self, token: &Arc<Token>) {
        let mut state = self.state.lock();
        // Another caller may have logged in again already.
        if state.token.as_ref().is_some_and(|current| Arc::ptr_eq(current, token)) {
            state.token = None;
        }
    }
}

/// Ends the login under way, also when it panics.
struct Landing<'a>(&'a Session);

impl Drop for Landing<'_> {
    fn drop(&mut self) {
        self.0.state.lock().login = None;
    }
}

impl Token {
    pub(super) fn new(session: &AuthResponse) -> Result<Self, Error> {
        let secret = SecretBytes::new(session.access_token.as_bytes())
            .map_err(|_| Error::Unsupported { what: "opening a session without memory for its token" })?;
        Ok(Self { secret, app_id: session.entity_id })
    }
}
