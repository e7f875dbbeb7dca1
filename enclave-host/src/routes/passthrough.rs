//! Everything that is DSM's own: relayed as it is, with the caller's credential, and watched for what it changes.

use std::sync::Arc;

use http::{HeaderMap, Method, Request, Response, StatusCode, request};
use http_body_util::Either;
use hyper::body::Incoming;
use uuid::Uuid;

use crate::body::{Body, text};
use crate::service::Service;
use crate::upstream::Unreachable;

/// Relays a request, streaming both bodies.
pub(super) async fn relay(service: &Arc<Service>, request: Request<Incoming>) -> Response<Body> {
    let (head, body) = request.into_parts();
    match send(service, &head, Either::Right(body)).await {
        Ok(response) => response.map(Either::Right),
        Err(error) => unreachable(&error),
    }
}

/// Relays a request and applies what its answer tells: a refused credential, a changed key, changed permissions.
pub(super) async fn send(service: &Service, head: &request::Parts, body: Body) -> Result<Response<Incoming>, Unreachable> {
    let place = service.upstream.place()?;
    let response = service.upstream.forward(head, body).await?;
    drop(place);
    if response.status() == StatusCode::UNAUTHORIZED {
        forget_caller(service, &head.headers);
    } else if head.uri.path() == "/sys/v1/session/select_account" {
        // The session stands for another account now.
        forget_caller(service, &head.headers);
    } else if response.status().is_success() {
        apply(service, &head.method, head.uri.path());
    }
    Ok(response)
}

/// What a caller reads when DSM does not answer. Why is in the log: it may name internal hosts.
pub(super) fn unreachable(error: &Unreachable) -> Response<Body> {
    tracing::debug!(target: "dsma", "a request failed because DSM did not answer: {error}");
    let message = match error {
        Unreachable::Lost(_) => "DSM cannot be reached at the moment; try again in a few seconds",
        Unreachable::Crowded => "Too many requests wait for DSM; try again in a second",
    };
    text(StatusCode::SERVICE_UNAVAILABLE, message)
}

pub(super) fn forget_caller(service: &Service, headers: &HeaderMap) {
    if let Some(credential) = service.callers.credential(headers) {
        service.callers.forget(&credential);
    }
}

/// A change that passes through here is seen here at once; others are seen when the TTL is over.
fn apply(service: &Service, method: &Method, path: &str) {
    match change(method, path) {
        Change::None => {}
        Change::Key(kid) => {
            service.accelerator.clear(Some(&[kid]));
        }
        Change::Callers => service.callers.clear(),
    }
}

#[derive(Debug, PartialEq)]
enum Change {
    None,
    Key(Uuid),
    /// Names or permissions: every caller is confirmed anew.
    Callers,
}

fn change(method: &Method, path: &str) -> Change {
    if method == Method::GET {
        return Change::None;
    }
    if let Some(rest) = path.strip_prefix("/crypto/v1/keys/") {
        let mut words = rest.split('/');
        let (first, second) = (words.next().unwrap_or_default(), words.next());
        return match (first.parse(), second) {
            (
                Ok(kid),
                None
                | Some("activate" | "revoke" | "destroy" | "private" | "revert" | "schedule_deletion" | "delete_key_material" | "restore"),
            ) => Change::Key(kid),
            // These give a name to another key, or take one away.
            (Err(_), _) if matches!(first, "rekey" | "replace") => Change::Callers,
            _ => Change::None,
        };
    }
    let administrative = ["/sys/v1/apps", "/sys/v1/groups"].iter().any(|root| path.starts_with(root));
    if administrative { Change::Callers } else { Change::None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_request_changes() {
        let kid = Uuid::from_u128(3);
        let key = |suffix: &str| format!("/crypto/v1/keys/{kid}{suffix}");
        for (method, path, expected) in [
            (Method::PATCH, key(""), Change::Key(kid)),
            (Method::DELETE, key(""), Change::Key(kid)),
            (Method::POST, key("/revoke"), Change::Key(kid)),
            (Method::GET, key(""), Change::None),
            (Method::POST, key("/mac"), Change::None),
            (Method::POST, "/crypto/v1/keys/export".into(), Change::None),
            (Method::POST, "/crypto/v1/keys/rekey".into(), Change::Callers),
            (Method::PATCH, "/sys/v1/apps/x".into(), Change::Callers),
            (Method::POST, "/sys/v1/session/refresh".into(), Change::None),
        ] {
            assert_eq!(change(&method, &path), expected, "{method} {path}");
        }
    }
}
