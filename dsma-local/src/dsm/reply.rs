//! DSM's answers: JSON for success, plain text for refusals.

use axum::body::Body;
use axum::http::header::WWW_AUTHENTICATE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use dsma_api::ApiError;

use crate::error::Error;
pub(super) use crate::http::reply::Reply;
use crate::http::reply::with_type;

/// A store that fails is not the request's fault: 503, and the cause goes to the log, not to the client.
impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        tracing::error!("{error}");
        Self::new(503, "The store is not available; see the log of dsma-local")
    }
}

pub(super) fn respond(answer: Result<Reply, ApiError>) -> Response {
    answer.map_or_else(|error| refusal(&error), Reply::into_response)
}

pub(super) fn refusal(error: &ApiError) -> Response {
    let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = with_type(status, "text/plain; charset=utf-8", Body::from(error.message.clone().into_owned()));
    if status == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"dsma-local\""));
    }
    response
}
