//! One request, as a handler sees it, and the way from hyper to a blocking handler.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::response::Response;
use rustls_pki_types::CertificateDer;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::Ccm;
use super::refusal::{Code, Refusal};
use crate::http::body;
use crate::http::query::Query;
use crate::http::reply::Reply;
use crate::serve::Peer;

/// The prefixes under which everything is served: the classic one, and that of newer deployments.
pub(crate) const PREFIXES: [&str; 2] = ["/v1", "/api/v1/confidential_computing"];

/// What a handler is: blocking, and without a panic of its own.
pub(crate) type Handler = fn(&Call) -> Result<Reply, Refusal>;

/// One request.
pub(crate) struct Call {
    pub(crate) ccm: Arc<Ccm>,
    pub(crate) query: Query,
    pub(crate) headers: HeaderMap,
    /// What follows the prefix: `/zones/{id}/token`.
    path: String,
    certificates: Arc<[CertificateDer<'static>]>,
    body: Bytes,
}

type Answer = Pin<Box<dyn Future<Output = Response> + Send>>;

/// Makes an axum handler of a blocking one.
pub(crate) fn serve(handler: Handler) -> impl Fn(State<Arc<Ccm>>, Request) -> Answer + Clone + Send + Sync + 'static {
    move |State(ccm), request| {
        Box::pin(async move {
            match Call::read(ccm, request).await {
                Ok(call) => respond(run(Arc::new(call), handler).await),
                Err(refusal) => refusal.into_response(),
            }
        })
    }
}

/// Runs a handler where it may block.
///
/// # Errors
/// The handler's; 500 where it panics: that must not take the service down, nor leave the client without an answer.
pub(crate) async fn run<T: Send + 'static>(call: Arc<Call>, handler: fn(&Call) -> Result<T, Refusal>) -> Result<T, Refusal> {
    tokio::task::spawn_blocking(move || handler(&call)).await.unwrap_or_else(|error| {
        tracing::error!("a handler failed: {error}");
        Err(Refusal::new(Code::InternalServerError, "Internal error; see the log of dsma-local"))
    })
}

pub(crate) fn respond(answer: Result<Reply, Refusal>) -> Response {
    answer.map_or_else(Refusal::into_response, Reply::into_response)
}

impl Call {
    /// Reads the whole request.
    pub(crate) async fn read(ccm: Arc<Ccm>, request: Request) -> Result<Self, Refusal> {
        let (parts, body) = request.into_parts();
        let body = body::read(&parts.headers, body).await?;
        let path = parts.uri.path();
        let path = PREFIXES.iter().find_map(|prefix| path.strip_prefix(prefix)).unwrap_or(path).to_owned();
        let query = Query::parse(parts.uri.query().unwrap_or_default());
        let certificates = parts.extensions.get::<Peer>().map(|peer| Arc::clone(&peer.certificates)).unwrap_or_default();
        Ok(Self { ccm, query, headers: parts.headers, path, certificates, body })
    }

    /// A header's value, where it is text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The certificate that the client presented, and whose key it holds.
    pub(crate) fn client_certificate(&self) -> Option<&CertificateDer<'static>> {
        self.certificates.first()
    }

    /// The id in the path of a thing of its own: `/zones/{id}`, `/tasks/status/{id}`.
    pub(crate) fn id(&self) -> Result<Uuid, Refusal> {
        self.ids().next().unwrap_or_else(|| Err(invalid_path()))
    }

    /// All ids in the path: of its segments those that no endpoint has as a word.
    pub(crate) fn ids(&self) -> impl Iterator<Item = Result<Uuid, Refusal>> {
        let segments = self.path.split('/').skip(2);
        segments.filter(|segment| !is_word(segment)).map(|segment| Uuid::parse_str(segment).map_err(|_| invalid_path()))
    }

    /// The body, a JSON object, whatever `Content-Type` says.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, Refusal> {
        Ok(body::parse(&self.body, b'{')?)
    }

    /// The body, a JSON object, or the default where there is none, or `null`.
    pub(crate) fn json_or_default<T: DeserializeOwned + Default>(&self) -> Result<T, Refusal> {
        if matches!(self.body.trim_ascii(), b"" | b"null") { Ok(T::default()) } else { self.json() }
    }

    /// A query parameter with a form of its own.
    pub(crate) fn parameter<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>, Refusal> {
        self.query.parsed(name).map_err(|error| Refusal::new(Code::InvalidQueryParameter, error.message))
    }
}

/// The words that stand in paths after the first segment.
fn is_word(segment: &str) -> bool {
    const WORDS: [&str; 13] = [
        "accounts",
        "auth",
        "certificate",
        "certificate-details",
        "certificates",
        "deactivate",
        "deployments",
        "node",
        "rotate",
        "select_account",
        "session",
        "status",
        "token",
    ];
    WORDS.contains(&segment)
}

fn invalid_path() -> Refusal {
    Refusal::new(Code::InvalidPathParameter, "Invalid id in the path: a UUID is expected")
}
