//! Answers that hold JSON or nothing, and what every answer gets: an `X-Request-ID`, and a line in the log.

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use dsma_crypto::random;
use serde::Serialize;
use serde_json::Value;

use crate::error::Error;

/// A success.
pub(crate) struct Reply {
    status: StatusCode,
    json: Option<Vec<u8>>,
    header: Option<(HeaderName, HeaderValue)>,
}

impl Reply {
    /// 200 with a document.
    pub(crate) fn ok<E: From<Error>>(document: &impl Serialize) -> Result<Self, E> {
        Self::json(StatusCode::OK, document)
    }

    /// 201 with a document.
    pub(crate) fn created<E: From<Error>>(document: &impl Serialize) -> Result<Self, E> {
        Self::json(StatusCode::CREATED, document)
    }

    /// 204: void operations.
    pub(crate) const fn nothing() -> Self {
        Self { status: StatusCode::NO_CONTENT, json: None, header: None }
    }

    /// The same answer with a header.
    pub(crate) fn with_header(self, name: HeaderName, value: HeaderValue) -> Self {
        Self { header: Some((name, value)), ..self }
    }

    /// Status and document, for an answer that carries this one.
    pub(crate) fn into_parts(self) -> (u16, Value) {
        let document = self.json.and_then(|json| serde_json::from_slice(&json).ok());
        (self.status.as_u16(), document.unwrap_or_default())
    }

    /// What goes over the wire.
    pub(crate) fn into_response(self) -> Response {
        let mut response = match self.json {
            None => with_status(self.status, Body::empty()),
            Some(json) => with_type(self.status, "application/json", Body::from(json)),
        };
        if let Some((name, value)) = self.header {
            response.headers_mut().insert(name, value);
        }
        response
    }

    fn json<E: From<Error>>(status: StatusCode, document: &impl Serialize) -> Result<Self, E> {
        let json = serde_json::to_vec(document).map_err(Error::Row)?;
        Ok(Self { status, json: Some(json), header: None })
    }
}

/// Gives a response its id and logs it. The query is not logged: it may name things.
pub(crate) async fn dress(request: Request, next: Next) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let mut response = next.run(request).await;
    let id = request_id();
    tracing::info!("{method} {path} {} X-Request-ID: {id}", response.status().as_u16());
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert("x-request-id", id);
    }
    response
}

/// A response with a body of this content type.
pub(crate) fn with_type(status: StatusCode, content_type: &'static str, body: Body) -> Response {
    let mut response = with_status(status, body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

fn with_status(status: StatusCode, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
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
