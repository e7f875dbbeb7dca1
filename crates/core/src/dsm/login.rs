//! How a session is opened, with whatever we are identified by, and how it moves to a new certificate.

use std::sync::Arc;
use std::time::Duration;

use dsma_api::{ApiError, AuthResponse, text};
use zeroize::{Zeroize, Zeroizing};

use super::session::Token;
use super::transport::Outgoing;
use super::{Dsm, Repeat};
use crate::Error;
use crate::clock::Moment;
use crate::identity::{Certified, Duty, Identity};

const LOGIN: &str = "/sys/v1/session/auth";
/// When a background task asks again where there is no certificate yet.
const NOT_YET: Duration = Duration::from_secs(30);
/// A background task has nobody waiting.
const NO_HURRY: Duration = Duration::MAX;

impl Dsm {
    /// Renews our certificate where it is time, with a fresh key: DSM has taken the new one before the old one goes. Blocks, for up to
    /// a minute: this is for a background task of a service; in the library callers do it. A failure is logged, and the old certificate
    /// serves on. Says after what time to ask again; `None` where our identity has no certificate.
    pub fn keep_certified(&self) -> Option<Duration> {
        let Identity::Certified(certified) = &self.identity else { return None };
        if let Some(duty) = certified.duty(NO_HURRY) {
            self.renew(&duty);
        }
        Some(certified.due_in().unwrap_or(NOT_YET))
    }

    /// The session's token; opens the session where there is none.
    pub(super) fn token(&self, within: Duration) -> Result<Arc<Token>, Error> {
        if let (Identity::Certified(certified), Some(patience)) = (&self.identity, self.renewal_patience)
            && let Some(duty) = certified.duty(patience)
        {
            self.renew(&duty);
        }
        self.session.token(|| self.accept(self.log_in(within)?))
    }

    /// Another session in the place of the one that is open.
    pub(crate) fn login_again(&self) -> Result<uuid::Uuid, Error> {
        let token = self.accept(self.log_in(self.retry_timeout)?)?;
        let app_id = token.app_id();
        self.session.replace(token);
        Ok(app_id)
    }

    /// The token of a session that DSM has opened.
    fn accept(&self, mut session: AuthResponse) -> Result<Token, Error> {
        let secret = &session.access_token;
        // It goes into a header: one that does not fit there would be refused by ourselves, again and again.
        let token = if !secret.is_empty() && secret.bytes().all(|byte| byte.is_ascii_graphic()) {
            Token::new(&session)
        } else {
            Err(self.bad_reply(LOGIN, "`access_token` is no bearer token"))
        };
        session.access_token.zeroize();
        token
    }

    fn log_in(&self, within: Duration) -> Result<AuthResponse, Error> {
        match &self.identity {
            Identity::Nobody => Err(ApiError::unauthorized(text::NO_CREDENTIALS).into()),
            Identity::ApiKey(key) => {
                let authorization = Zeroizing::new(format!("Basic {}", key.expose()));
                self.parse(LOGIN, &self.send(login(Some(&authorization)), Moment::now().after(within), Repeat::Always)?)
            }
            Identity::Certified(certified) => self.log_in_certified(certified, within),
        }
    }

    fn log_in_certified(&self, certified: &Certified, within: Duration) -> Result<AuthResponse, Error> {
        let certificate = certified.certificate()?;
        self.transport.present(&certificate).map_err(|reason| self.transport.unreachable(&reason))?;
        let authorization = certified.authorization();
        let reply = self.send(login(authorization.as_deref()), Moment::now().after(within), Repeat::Always)?;
        let answer = self.parse(LOGIN, &reply);
        if let Err(error) = &answer
            && error.status() == 401
        {
            certified.refused(&certificate, error);
        }
        answer
    }

    /// Renews within the time of this duty. A failure is logged; the old certificate serves on.
    fn renew(&self, duty: &Duty<'_>) {
        if let Err(error) = self.try_renewal(duty) {
            duty.failed(&error);
        }
    }

    fn try_renewal(&self, duty: &Duty<'_>) -> Result<(), Error> {
        let deadline = Moment::now().after(duty.within());
        let certificate = duty.certificate()?;
        let unreachable = |reason| self.transport.unreachable(&reason);
        let channel = self.transport.open(Some(Arc::clone(&certificate))).map_err(unreachable)?;
        let authorization = match &self.identity {
            Identity::Certified(certified) => certified.authorization(),
            _ => None,
        };
        let left = Moment::now().until(deadline);
        let reply = self.transport.exchange(&channel, login(authorization.as_deref()), left);
        let reply = reply.map_err(|failure| unreachable(failure.reason))?;
        let token = self.accept(self.parse(LOGIN, &reply)?)?;
        self.transport.switch(channel);
        duty.keep(certificate);
        self.session.replace(token);
        tracing::info!(target: "dsma::identity", "the certificate is renewed");
        Ok(())
    }
}

/// The request that opens a session.
const fn login(authorization: Option<&str>) -> Outgoing<'_> {
    Outgoing { method: "POST", path: LOGIN, authorization, body: None }
}
