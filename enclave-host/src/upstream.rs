//! DSM as callers see it through us: an asynchronous client that presents the caller's own credential and never ours.
//!
//! It relays whole exchanges ([`Upstream::forward`]) and asks small questions in a caller's name ([`Upstream::ask`]). Our own session
//! lives in the engine, on connections of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::header::{AUTHORIZATION, CONNECTION, CONTENT_TYPE, HOST, HeaderName, TE, TRAILER, TRANSFER_ENCODING, UPGRADE};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, Version, request};
use hyper::body::{Bytes, Incoming};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::body::{self, Body, full};
use crate::callers::Credential;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Until the head of DSM's answer to a question of ours.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// Until the head of its reply to a caller's request, whose body may have any length, and which may do much: batches, plugins, what was
/// approved.
const REPLY_TIMEOUT: Duration = Duration::from_secs(600);
/// Shorter than what servers and load balancers usually keep, so that a connection seldom dies under a request.
const IDLE_TIMEOUT: Duration = Duration::from_secs(50);
/// Largest answer to a question of ours: an app or a sobject, never material.
const ANSWER_LIMIT: usize = 1 << 20;

/// Headers that belong to one connection (RFC 9110, section 7.6.1, and its predecessors).
const HOP_BY_HOP: [HeaderName; 8] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("proxy-authorization"),
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// DSM did not answer. The text says why, for the log.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum Unreachable {
    /// It may have got the request and done it.
    #[error("{0}")]
    Lost(Arc<str>),
    /// No connection to it came about.
    #[error("{0}")]
    Unconnected(Arc<str>),
    /// It was not asked.
    #[error("too many requests wait for it already")]
    Crowded,
}

/// DSM's answer to a question.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    /// Overwritten when it is dropped: it may be a token.
    pub(crate) body: Bytes,
}

/// The client. One for all callers: plain keep-alive binds no credential to a connection.
pub(crate) struct Upstream {
    client: Client<HttpsConnector<HttpConnector>, Body>,
    authority: Authority,
    endpoint: String,
    reachable: AtomicBool,
    /// Places for the requests that wait for DSM.
    waiting: Semaphore,
}

impl Upstream {
    /// `endpoint` is `https://host[:port]`, as [`crate::config`] has checked it. At most `waiting` requests wait for DSM at a time.
    pub(crate) fn new(endpoint: &str, authority: Authority, tls: rustls::ClientConfig, waiting: usize) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
        let connector = HttpsConnectorBuilder::new().with_tls_config(tls).https_only().enable_all_versions().wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            .build(connector);
        Self { client, authority, endpoint: endpoint.to_owned(), reachable: AtomicBool::new(true), waiting: Semaphore::new(waiting) }
    }

    /// Whether the last exchange came to an answer.
    pub(crate) fn is_reachable(&self) -> bool {
        self.reachable.load(Ordering::Relaxed)
    }

    /// A place for a request that is about to wait for DSM, in whatever way. A DSM that does not answer takes these, and leaves the rest
    /// of the service's places to what is served from the cache.
    pub(crate) fn place(&self) -> Result<SemaphorePermit<'_>, Unreachable> {
        self.waiting.try_acquire().map_err(|_| Unreachable::Crowded)
    }

    /// Sends a caller's request on as it is, without what belongs to the connection, and relays the answer likewise.
    pub(crate) async fn forward(&self, head: &request::Parts, body: Body) -> Result<Response<Incoming>, Unreachable> {
        let mut request = Request::new(body);
        *request.method_mut() = head.method.clone();
        *request.uri_mut() = self.uri(head.uri.path_and_query().cloned());
        *request.headers_mut() = head.headers.clone();
        strip_hop_by_hop(request.headers_mut());
        // Ours answers the client's `Expect` itself; `Host` follows from the URI.
        request.headers_mut().remove(http::header::EXPECT);
        request.headers_mut().remove(HOST);
        if let Some(credential) = request.headers_mut().get_mut(AUTHORIZATION) {
            // Out of HTTP/2's compression table, which all callers share.
            credential.set_sensitive(true);
        }
        let mut response = self.exchange(request, REPLY_TIMEOUT).await?;
        strip_hop_by_hop(response.headers_mut());
        *response.version_mut() = Version::default();
        Ok(response)
    }

    /// Asks DSM something in the caller's name. `path` begins with a slash.
    pub(crate) async fn ask(
        &self,
        method: Method,
        path: &str,
        credential: &Credential,
        body: Option<Bytes>,
    ) -> Result<Answer, Unreachable> {
        let mut request = Request::new(full(body.clone().unwrap_or_default()));
        *request.method_mut() = method;
        *request.uri_mut() = self.uri(path.parse().ok());
        request.headers_mut().insert(AUTHORIZATION, credential.header().clone());
        if body.is_some() {
            request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        let response = self.exchange(request, ANSWER_TIMEOUT).await?;
        let (head, body) = response.into_parts();
        match body::read(&head.headers, body, ANSWER_LIMIT).await {
            Ok(body) => Ok(Answer { status: head.status, body }),
            Err(error) => Err(self.lost(&error)),
        }
    }

    async fn exchange(&self, request: Request<Body>, patience: Duration) -> Result<Response<Incoming>, Unreachable> {
        let path = request.uri().path().trim_start_matches('/');
        tracing::info!(target: "dsma::dsm", "OUTBOUND REQ {} {path}", request.method());
        let response = match tokio::time::timeout(patience, self.client.request(request)).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) if error.is_connect() => return Err(Unreachable::Unconnected(self.note_loss(&error))),
            Ok(Err(error)) => return Err(self.lost(&error)),
            Err(_) => return Err(self.lost(&TooSlow)),
        };
        let id = response.headers().get("x-request-id").and_then(|id| id.to_str().ok()).unwrap_or("-");
        tracing::info!(target: "dsma::dsm", "INBOUND RESP X-Request-ID: {id} Status: {}", response.status());
        if !self.reachable.swap(true, Ordering::Relaxed) {
            tracing::info!(target: "dsma", "DSM at {:?} answers again", self.endpoint);
        }
        Ok(response)
    }

    fn uri(&self, path: Option<PathAndQuery>) -> Uri {
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(Scheme::HTTPS);
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = Some(path.unwrap_or_else(|| PathAndQuery::from_static("/")));
        // All three parts are there, which is all that can go wrong.
        Uri::from_parts(parts).unwrap_or_default()
    }

    fn lost(&self, error: &dyn std::error::Error) -> Unreachable {
        Unreachable::Lost(self.note_loss(error))
    }

    /// Why there is no answer.
    fn note_loss(&self, error: &dyn std::error::Error) -> Arc<str> {
        let reason = innermost(error);
        if self.reachable.swap(false, Ordering::Relaxed) {
            let endpoint = &self.endpoint;
            tracing::warn!(target: "dsma", "DSM at {endpoint:?} cannot be reached: {reason}; check FORTANIX_API_ENDPOINT, FORTANIX_CA_FILE and the network");
        }
        reason.into()
    }
}

/// The cause that a person can act on; the outer layers say "client error".
fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string().replace(['\n', '\r'], " ")
}

#[derive(Debug, thiserror::Error)]
#[error("no answer in time")]
struct TooSlow;

fn strip_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_belongs_to_the_connection_stays_there() {
        let mut headers = HeaderMap::new();
        for (name, value) in
            [("connection", "close, X-Private"), ("x-private", "1"), ("te", "trailers"), ("authorization", "Basic x"), ("keep-alive", "5")]
        {
            headers.insert(name, HeaderValue::from_static(value));
        }
        strip_hop_by_hop(&mut headers);
        assert_eq!(headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["authorization"]);
    }
}
