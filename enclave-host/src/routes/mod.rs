//! Which request goes where.

mod availability;
mod clear;
mod crypto;
mod passthrough;
mod sessions;
mod tls;

use std::sync::Arc;

use dsma_api::Operation;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, request};
use hyper::body::{Bytes, Incoming};
use tokio::sync::SemaphorePermit;
use uuid::Uuid;

use crate::body::{self, Body, BodyError, text};
use crate::request_id;
use crate::service::Service;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Answers one request. Every answer carries an `X-Request-ID`: DSM's where DSM gave it, else one of ours.
pub(crate) async fn route(service: &Arc<Service>, request: Request<Incoming>) -> Response<Body> {
    let mut response = dispatch(service, request).await;
    if !response.headers().contains_key(REQUEST_ID)
        && let Ok(id) = HeaderValue::from_str(&request_id::next())
    {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

async fn dispatch(service: &Arc<Service>, request: Request<Incoming>) -> Response<Body> {
    let path = request.uri().path();
    if request.method() == Method::POST
        && let Some((operation, kid)) = crypto_operation(path)
    {
        return crypto::serve(service, request, operation, kid).await;
    }
    match (request.method(), path) {
        (&Method::GET | &Method::HEAD, "/") => availability::answer(service),
        (&Method::POST, "/accelerator/v1/keys/clear") => clear::answer(service, request).await,
        (&Method::POST, "/accelerator/v1/tls/csr") => tls::csr(service, request).await,
        (&Method::POST, "/accelerator/v1/tls/certificates") => tls::upload(service, request).await,
        (&Method::POST, "/sys/v1/session/auth" | "/sys/v1/session/reauth") => sessions::open(service, request).await,
        (&Method::POST, "/sys/v1/session/terminate") => sessions::terminate(service, request).await,
        (&Method::POST, passthrough::BATCH) => passthrough::batch(service, request).await,
        (_, path) if belongs_to_dsm(path) => passthrough::relay(service, request).await,
        _ => text(
            StatusCode::NOT_FOUND,
            "Not found: this is a DSM Accelerator; it serves /crypto/v1, /sys/v1, /batch/v1, /accelerator/v1 and /",
        ),
    }
}

/// Reads a request's body, within the memory that there is for all of them. The room is held as long as the body is needed.
async fn read<'a>(
    service: &'a Service,
    head: &request::Parts,
    body: Incoming,
    limit: usize,
) -> Result<(SemaphorePermit<'a>, Bytes), Response<Body>> {
    let Some(room) = service.room_for(&body, limit) else {
        return Err(text(StatusCode::SERVICE_UNAVAILABLE, "Too many large requests at the same time; try again in a second"));
    };
    match body::read(&head.headers, body, limit).await {
        Ok(bytes) => Ok((room, bytes)),
        Err(BodyError::TooLarge) => Err(text(StatusCode::PAYLOAD_TOO_LARGE, dsma_api::text::TOO_LARGE)),
        Err(BodyError::TooSlow) => Err(text(StatusCode::REQUEST_TIMEOUT, "The request body did not arrive in time")),
        Err(BodyError::Broken) => Err(text(StatusCode::BAD_REQUEST, "The request body broke off")),
    }
}

/// The operation that is served locally, and the key where the path names it (the older spelling, which the Python client sends).
fn crypto_operation(path: &str) -> Option<(Operation, Option<Uuid>)> {
    let path = path.strip_prefix("/crypto/v1/")?;
    let (kid, name) = match path.strip_prefix("keys/") {
        Some(rest) => {
            let (kid, name) = rest.split_once('/')?;
            (Some(kid.parse().ok()?), name)
        }
        None => (None, path),
    };
    let operation = match name {
        "encrypt" => Operation::Encrypt,
        "decrypt" => Operation::Decrypt,
        "sign" => Operation::Sign,
        "verify" => Operation::Verify,
        _ => return None,
    };
    Some((operation, kid))
}

fn belongs_to_dsm(path: &str) -> bool {
    ["/crypto/v1", "/sys/v1", "/batch/v1"]
        .iter()
        .any(|root| path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_of_the_four_operations() {
        let kid = Uuid::from_u128(5);
        assert_eq!(crypto_operation("/crypto/v1/encrypt"), Some((Operation::Encrypt, None)));
        assert_eq!(crypto_operation(&format!("/crypto/v1/keys/{kid}/verify")), Some((Operation::Verify, Some(kid))));
        for other in [
            "/crypto/v1/encrypt/init",
            "/crypto/v1/keys/batch/sign",
            "/crypto/v1/keys",
            "/crypto/v1/mac",
            "/encrypt",
            "/crypto/v1/keys/sign",
        ] {
            assert_eq!(crypto_operation(other), None, "{other}");
        }
    }

    #[test]
    fn what_is_dsms() {
        for path in ["/crypto/v1/keys", "/sys/v1/version", "/batch/v1"] {
            assert!(belongs_to_dsm(path), "{path}");
        }
        for path in ["/", "/crypto/v2/keys", "/crypto/v1x", "/batch/v1x", "/accelerator/v1/keys/clear"] {
            assert!(!belongs_to_dsm(path), "{path}");
        }
    }
}
