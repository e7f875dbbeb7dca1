//! The REST client of DSM: blocking, on the caller's thread, without a thread of its own.

mod approval;
mod breaker;
mod endpoints;
mod login;
mod session;
mod tls;
mod transport;

use std::sync::Arc;
use std::time::Duration;

use dsma_api::{ApiError, text};
use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use self::approval::Approvals;
use self::breaker::{Breaker, Round};
pub(crate) use self::endpoints::Pages;
use self::session::Session;
use self::transport::{Failure, Outgoing, Transport};
use crate::clock::Moment;
use crate::identity::Identity;
use crate::net::pause;
use crate::wiped::WipedBuffer;
use crate::{Config, Error};

/// Largest request that is sent. DSM does not publish its own limit; its documents send to the stream interface who has more than
/// 512 KiB of data, which are 683 KiB in base64. What is clearly beyond would be sent for nothing: DSM cuts such a connection, and that
/// looks like an outage.
const REQUEST_LIMIT: usize = 1 << 20;

/// Most data of one request that DSM takes, in bytes: in base64, with room for the other members of the request.
pub const MOST_FORWARDED: usize = (REQUEST_LIMIT - (4 << 10)) / 4 * 3;

/// A connection to DSM under one credential.
///
/// It opens its session on the first request and again whenever DSM answers 401. Every request has a finite timeout; while DSM
/// cannot be reached it is repeated, with growing pauses that all callers share, until the time that it was given is over.
#[derive(Debug)]
pub struct Dsm {
    transport: Transport,
    identity: Identity,
    session: Session,
    breaker: Breaker,
    approvals: Approvals,
    retry_timeout: Duration,
    /// How long a caller may wait for a renewal of our certificate; `None` where callers do not renew it.
    renewal_patience: Option<Duration>,
}

/// When a request is sent again because its answer did not come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Repeat {
    /// It may be done twice.
    Always,
    /// Only where it cannot have been done: a second time makes a second thing.
    Undone,
}

/// DSM's answer.
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Body; it may hold key material, so it is overwritten on drop.
    pub body: Zeroizing<Vec<u8>>,
    /// DSM's name for the exchange (`X-Request-ID`).
    pub request_id: Option<String>,
}

impl std::fmt::Debug for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reply").field("status", &self.status).field("request_id", &self.request_id).finish_non_exhaustive()
    }
}

impl Dsm {
    /// Reads the CA file; does not touch the network.
    pub(crate) fn new(config: &Config) -> Result<Self, Error> {
        Ok(Self {
            transport: Transport::new(config)?,
            identity: Identity::new(&config.identity),
            session: Session::default(),
            breaker: Breaker::default(),
            approvals: Approvals::default(),
            retry_timeout: config.retry_timeout,
            renewal_patience: config.renew_inline.then_some(config.refresh_wait),
        })
    }

    /// `https://host[:port]`.
    #[must_use]
    pub fn endpoint(&self) -> &Arc<str> {
        self.transport.endpoint()
    }

    /// Whether DSM could not be reached when it was asked the last few times. Never the network.
    #[must_use]
    pub fn is_down(&self) -> bool {
        self.breaker.is_down()
    }

    /// Asks DSM once whether it is there, without a session, and remembers what comes of it; not within the pause after a failure. May
    /// take as long as a call is repeated.
    pub fn ask(&self) {
        if let Ok(round) = self.breaker.admit() {
            let health = Outgoing { method: "GET", path: "/sys/v1/health", authorization: None, body: None };
            let _remembered = self.attempt(round, health, self.retry_timeout);
        }
    }

    /// [`Self::ask`] where DSM's last answer is missing.
    pub fn ask_after_failure(&self) {
        if self.breaker.has_failed() {
            self.ask();
        }
    }

    /// Sends one request in our session; `path` begins with a slash. May be sent more than once when DSM cannot be reached.
    ///
    /// # Errors
    /// [`Error::Unreachable`] or a failed login. A refusal of the request itself is a [`Reply`].
    pub fn request(&self, method: &str, path: &str, body: Option<&impl Serialize>) -> Result<Reply, Error> {
        self.request_within(method, path, body, self.retry_timeout, Repeat::Always)
    }

    /// [`Self::request`] with an answer in JSON; no answer at all reads as `null`.
    ///
    /// # Errors
    /// As [`Self::request`]; [`Error::Api`] for DSM's refusal, [`Error::BadReply`] for an answer that is no `T`.
    pub fn request_json<T: DeserializeOwned>(&self, method: &str, path: &str, body: Option<&impl Serialize>) -> Result<T, Error> {
        self.call(method, path, body, self.retry_timeout)
    }

    /// The app that our credential stands for; opens the session if there is none.
    pub(crate) fn login(&self) -> Result<uuid::Uuid, Error> {
        Ok(self.token(self.retry_timeout)?.app_id())
    }

    /// [`Self::request`], with a body and an answer in JSON; a refusal is an error.
    fn call<T: DeserializeOwned>(&self, method: &str, path: &str, body: Option<&impl Serialize>, within: Duration) -> Result<T, Error> {
        let reply = self.request_within(method, path, body, within, Repeat::Always)?;
        self.parse(path, &reply)
    }

    /// [`Self::call`] for what makes something new: it is not sent again once it may have been done.
    fn make<T: DeserializeOwned>(&self, method: &str, path: &str, body: &impl Serialize, within: Duration) -> Result<T, Error> {
        let reply = self.request_within(method, path, Some(body), within, Repeat::Undone)?;
        self.parse(path, &reply)
    }

    fn request_within(
        &self,
        method: &str,
        path: &str,
        body: Option<&impl Serialize>,
        within: Duration,
        repeat: Repeat,
    ) -> Result<Reply, Error> {
        let body = match body {
            Some(body) => {
                let mut json = WipedBuffer::default();
                serde_json::to_writer(&mut json, body).map_err(|_| self.bad_reply(path, "the request does not serialise"))?;
                if json.len() > REQUEST_LIMIT {
                    return Err(too_large(&format!("{} bytes, where {REQUEST_LIMIT} are sent at most", json.len())));
                }
                Some(json.into_bytes())
            }
            None => None,
        };
        let mut renewed = false;
        loop {
            let token = self.token(within)?;
            // Counted from here: the first session of an enclave waits for its certificate.
            let deadline = Moment::now().after(within);
            let authorization = Zeroizing::new(format!("Bearer {}", token.expose()));
            let body = body.as_ref().map(|body| body.as_slice());
            let outgoing = Outgoing { method, path, authorization: Some(&authorization), body };
            let reply = self.send(outgoing, deadline, repeat)?;
            if reply.status != 401 || renewed {
                return Ok(reply);
            }
            self.session.forget(&token);
            renewed = true;
        }
    }

    /// Repeats while DSM cannot be reached and `deadline` has not passed. A pause takes no more than half of the time that is left: an
    /// attempt that began with next to none would fail for that reason alone, and make the next pause longer.
    fn send(&self, outgoing: Outgoing<'_>, deadline: Moment, repeat: Repeat) -> Result<Reply, Error> {
        loop {
            let left = Moment::now().until(deadline);
            let round = match self.breaker.admit() {
                Ok(round) => round,
                Err(wait) if wait > left / 2 => return Err(self.transport.unreachable(&self.breaker.last_reason())),
                Err(wait) => {
                    pause(wait);
                    continue;
                }
            };
            let (Failure { reason, may_be_done, .. }, wait) = match self.attempt(round, outgoing, left) {
                Ok(reply) => return Ok(reply),
                Err((failure, _)) if failure.too_long => return Err(self.bad_reply(outgoing.path, &failure.reason)),
                Err(failed) => failed,
            };
            if may_be_done && repeat == Repeat::Undone {
                let reason = format!("its answer was lost ({reason}), so what was asked may have been done: look before you ask again");
                return Err(self.transport.unreachable(&reason.into()));
            }
            if wait > Moment::now().until(deadline) / 2 {
                return Err(self.transport.unreachable(&reason));
            }
        }
    }

    /// One exchange, and what it says about whether DSM is there; after a failure, for how long nobody should try.
    fn attempt(&self, round: Round, outgoing: Outgoing<'_>, within: Duration) -> Result<Reply, (Failure, Duration)> {
        let exchange = |channel| self.transport.exchange(&channel, outgoing, within);
        let failure = match self.transport.channel().map_err(Failure::unsent).and_then(exchange) {
            Ok(reply) if !matches!(reply.status, 429 | 502..=504) => {
                self.breaker.succeeded();
                return Ok(reply);
            }
            // A gateway whose own server did not answer it; the others have not begun.
            Ok(reply) => Failure {
                reason: format!("status {}", reply.status).into(),
                may_be_done: matches!(reply.status, 502 | 504),
                too_long: false,
            },
            // It is there, and would say as much the next time.
            Err(failure) if failure.too_long => {
                self.breaker.succeeded();
                return Err((failure, Duration::ZERO));
            }
            Err(failure) => failure,
        };
        let wait = self.breaker.failed(round, &failure.reason);
        tracing::warn!(target: "dsma::dsm", "DSM at {} cannot be reached: {}. Connection will retry in: {} millis", self.endpoint(), failure.reason, wait.as_millis());
        Err((failure, wait))
    }

    fn parse<T: DeserializeOwned>(&self, path: &str, reply: &Reply) -> Result<T, Error> {
        if !(200..300).contains(&reply.status) {
            return Err(Error::Api(refusal(reply)));
        }
        // An empty body is how DSM says "nothing".
        let json: &[u8] = if reply.body.is_empty() { b"null" } else { &reply.body };
        serde_json::from_slice(json).map_err(|error| self.bad_reply(path, &unreadable::<T>(json, &error)))
    }

    /// A reply to a request for this path that cannot be used. `problem` names the member, and holds nothing of its content.
    pub(crate) fn bad_reply(&self, path: &str, problem: &str) -> Error {
        let path = path.split('?').next().unwrap_or_default().trim_start_matches('/');
        Error::BadReply { endpoint: Arc::clone(self.endpoint()), reason: format!("{path}: {problem}").into() }
    }
}

/// Which member of a document is not as it should be. The parser's message may quote the document, so only the place is told.
fn unreadable<T: DeserializeOwned>(json: &[u8], error: &serde_json::Error) -> String {
    let place = format!("line {} column {}", error.line(), error.column());
    // Read once more, slowly: the parser itself does not know where it is.
    let path = match serde_path_to_error::deserialize::<_, T>(&mut serde_json::Deserializer::from_slice(json)) {
        Err(error) => error.path().to_string(),
        Ok(_) => String::new(),
    };
    let path: String = path.chars().filter(|c| !c.is_control()).take(100).collect();
    match (path.as_str(), missing(error)) {
        ("" | ".", Some(member)) => format!("`{member}` is missing"),
        (path, Some(member)) => format!("`{path}.{member}` is missing"),
        ("" | ".", None) if error.is_data() => format!("not the JSON that was expected, at {place}"),
        ("" | ".", None) => format!("not JSON, at {place}"),
        (path, None) => format!("`{path}` is not what was expected, at {place}"),
    }
}

/// The member that a document lacks: one of our own names, in the words of serde.
fn missing(error: &serde_json::Error) -> Option<String> {
    Some(error.to_string().strip_prefix("missing field `")?.split_once('`')?.0.to_owned())
}

/// Refuses so much data before it is copied and encoded, where one request cannot take it.
///
/// # Errors
/// 413, as DSM would say it.
pub(crate) fn check_forwarded(data_len: usize) -> Result<(), Error> {
    if data_len > MOST_FORWARDED {
        return Err(too_large(&format!("{data_len} bytes of data, where one request takes {MOST_FORWARDED}")));
    }
    Ok(())
}

fn too_large(why: &str) -> Error {
    Error::Api(ApiError::new(413, format!("{}: {why}; give less at once", text::TOO_LARGE)))
}

/// DSM's refusal. Its text comes from outside: it is kept short and printable.
fn refusal(reply: &Reply) -> ApiError {
    let body = String::from_utf8_lossy(&reply.body);
    let message: String = body.chars().filter(|c| !c.is_control()).take(500).collect();
    match (reply.status, message.trim()) {
        (401, "") => ApiError::unauthorized(text::NO_SESSION),
        (status, "") => ApiError::new(status, format!("DSM answered status {status} without a text")),
        (status, message) => ApiError::new(status, message.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use dsma_api::{EncryptResponse, Sobject};

    use super::*;

    #[test]
    fn a_member_is_named_and_never_shown() {
        let said = |json: &str| unreadable::<EncryptResponse>(json.as_bytes(), &serde_json::from_str::<EncryptResponse>(json).unwrap_err());
        for (json, start) in [
            (r#"{"iv": "AAAA"}"#, "`cipher` is missing"),
            (r#"{"cipher": "s3cret!"}"#, "`cipher` is not what was expected, at line 1"),
            (r#"{"cipher": {"s3cret": 1}}"#, "`cipher` is not what was expected, at line 1"),
            (r#""s3cret""#, "not the JSON that was expected, at line 1"),
            ("<s3cret>", "not JSON, at line 1"),
            ("", "not JSON, at line 1"),
        ] {
            let said = said(json);
            assert!(said.starts_with(start) && !said.contains("s3cret"), "{json}: {said}");
        }
        let page = r#"[{"acct_id": "s3cret"}]"#;
        let error = serde_json::from_str::<Vec<Sobject>>(page).unwrap_err();
        let said = unreadable::<Vec<Sobject>>(page.as_bytes(), &error);
        assert!(said.starts_with("`[0].acct_id` is not what was expected") && !said.contains("s3cret"), "{said}");
    }
}
