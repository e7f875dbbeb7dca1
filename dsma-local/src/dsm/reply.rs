//! Answers: JSON for success, plain text for refusals, `X-Request-ID` on both.

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{CONTENT_TYPE, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use dsma_api::ApiError;
use dsma_crypto::random;
use serde::Serialize;
use serde_json::Value;

use crate::error::Error;

/// A success.
pub(super) struct Reply {
    status: StatusCode,
    json: Option<Vec<u8>>,
}

impl Reply {
    /// 200 with a document.
    pub(super) fn ok(document: &impl Serialize) -> Result<Self, ApiError> {
        Self::json(StatusCode::OK, document)
    }

    /// 201 with a document: what every create and import answers.
    pub(super) fn created(document: &impl Serialize) -> Result<Self, ApiError> {
        Self::json(StatusCode::CREATED, document)
    }

    /// 204: void operations.
    pub(super) const fn nothing() -> Self {
        Self { status: StatusCode::NO_CONTENT, json: None }
    }

    /// Status and document, for an answer that carries this one.
    pub(super) fn into_parts(self) -> (u16, Value) {
        let document = self.json.and_then(|json| serde_json::from_slice(&json).ok());
        (self.status.as_u16(), document.unwrap_or_default())
    }

    fn json(status: StatusCode, document: &impl Serialize) -> Result<Self, ApiError> {
        let json = serde_json::to_vec(document).map_err(|error| ApiError::from(Error::Row(error)))?;
        Ok(Self { status, json: Some(json) })
    }
}

/// A store that fails is not the request's fault: 503, and the cause goes to the log, not to the client.
impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        tracing::error!("{error}");
        Self::new(503, "The store is not available; see the log of dsma-local")
    }
}

pub(super) fn respond(answer: Result<Reply, ApiError>) -> Response {
    match answer {
        Ok(Reply { status, json: None }) => with_status(status, Body::empty()),
        Ok(Reply { status, json: Some(json) }) => {
            let mut response = with_status(status, Body::from(json));
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            response
        }
        Err(error) => refusal(&error),
    }
}

pub(super) fn refusal(error: &ApiError) -> Response {
    let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = with_status(status, Body::from(error.message.clone().into_owned()));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    if status == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"dsma-local\""));
    }
    response
}

/// Gives a response its id and logs it. The query is not logged: it may name things.
pub(super) async fn dress(request: Request, next: Next) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let mut response = next.run(request).await;
    let id = request_id();
    tracing::info!("{method} {path} {} X-Request-ID: {id}", response.status().as_u16());
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert("x-request-id", id);
    }
    response
}

/// Eight letters and digits, such as `6HPoJiBn`.
fn request_id() -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789xy";
    let mut bytes = [0; 8];
    // It identifies, it protects nothing: without random bytes it is only less telling.
    let _ = random::fill(&mut bytes);
    bytes.iter().map(|byte| char::from(ALPHABET[usize::from(byte & 63)])).collect()
}

fn with_status(status: StatusCode, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
}
