//! Everything that is DSM's own: relayed as it is, with the caller's credential, and watched for what it changes.

use std::sync::Arc;

use http::{HeaderMap, Method, Request, Response, StatusCode, request};
use http_body_util::Either;
use hyper::body::Incoming;
use serde::Deserialize;
use uuid::Uuid;

use super::read;
use crate::body::{BODY_LIMIT, Body, full, text};
use crate::callers::Withheld;
use crate::service::Service;
use crate::upstream::Unreachable;

/// Requests of any kind, carried by one.
pub(super) const BATCH: &str = "/batch/v1";

/// Relays a request, streaming both bodies.
pub(super) async fn relay(service: &Arc<Service>, request: Request<Incoming>) -> Response<Body> {
    let (head, body) = request.into_parts();
    match send(service, &head, Either::Right(body)).await {
        Ok(response) => response.map(Either::Right),
        Err(error) => unreachable(&error),
    }
}

/// Relays a batch, and looks at what the requests in it change. A stranger's is not read.
pub(super) async fn batch(service: &Arc<Service>, request: Request<Incoming>) -> Response<Body> {
    let credential = service.callers.credential(request.headers()).filter(|_| service.caching);
    let Some(credential) = credential else { return relay(service, request).await };
    let known = match service.callers.identify(&credential).await {
        Ok(_) => true,
        Err(Withheld::Refused) => return relay(service, request).await,
        // It may be anybody's, and if DSM does it, it may be anything.
        Err(Withheld::Untold) => false,
        Err(Withheld::Unreachable(error)) => return unreachable(&error),
    };
    let (head, body) = request.into_parts();
    let answer = if known {
        let (_room, body) = match read(service, &head, body, BODY_LIMIT).await {
            Ok(read) => read,
            Err(refusal) => return refusal,
        };
        let changes = Changes::of_batch(&body);
        forward(service, &head, full(body), changes).await
    } else {
        forward(service, &head, Either::Right(body), Changes::everything()).await
    };
    match answer {
        Ok(response) => response.map(Either::Right),
        Err(error) => unreachable(&error),
    }
}

/// Relays a request and applies what its answer tells: a refused credential, a changed key, changed permissions.
pub(super) async fn send(service: &Service, head: &request::Parts, body: Body) -> Result<Response<Incoming>, Unreachable> {
    let mut changes = Changes::default();
    changes.note(&head.method, head.uri.path());
    forward(service, head, body, changes).await
}

async fn forward(service: &Service, head: &request::Parts, body: Body, changes: Changes) -> Result<Response<Incoming>, Unreachable> {
    let place = service.upstream.place()?;
    let answer = service.upstream.forward(head, body).await;
    drop(place);
    match &answer {
        Ok(response) if response.status() == StatusCode::UNAUTHORIZED => forget_caller(service, &head.headers),
        // The session stands for another account now.
        Ok(_) if head.uri.path() == "/sys/v1/session/select_account" => forget_caller(service, &head.headers),
        Ok(response) if response.status().is_success() => changes.apply(service),
        // It may be done all the same. Strangers, who can have answers lost at will, change nothing.
        answer if is_lost(answer) && is_known(service, &head.headers) => changes.apply(service),
        _ => {}
    }
    answer
}

/// Whether DSM may have got the request, and does not tell what it did.
fn is_lost(answer: &Result<Response<Incoming>, Unreachable>) -> bool {
    match answer {
        // A gateway whose own server did not answer it.
        Ok(response) => matches!(response.status(), StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT),
        Err(error) => matches!(error, Unreachable::Lost(_)),
    }
}

fn is_known(service: &Service, headers: &HeaderMap) -> bool {
    service.callers.credential(headers).is_some_and(|credential| service.callers.is_known(&credential))
}

/// What a caller reads when DSM does not answer. Why is in the log: it may name internal hosts.
pub(super) fn unreachable(error: &Unreachable) -> Response<Body> {
    tracing::debug!(target: "dsma", "a request failed because DSM did not answer: {error}");
    let message = match error {
        Unreachable::Lost(_) | Unreachable::Unconnected(_) => "DSM cannot be reached at the moment; try again in a few seconds",
        Unreachable::Crowded => "Too many requests wait for DSM; try again in a second",
    };
    text(StatusCode::SERVICE_UNAVAILABLE, message)
}

pub(super) fn forget_caller(service: &Service, headers: &HeaderMap) {
    if let Some(credential) = service.callers.credential(headers) {
        service.callers.forget(&credential);
    }
}

/// What a request changes. A change that passes through here is seen here at once; others are seen when the TTL is over.
#[derive(Debug, Default, PartialEq)]
struct Changes {
    /// Keys to be asked for anew.
    keys: Vec<Uuid>,
    /// What names mean.
    names: bool,
    /// Permissions: every caller is confirmed anew.
    callers: bool,
    /// Any key.
    all_keys: bool,
}

impl Changes {
    fn everything() -> Self {
        Self { keys: Vec::new(), names: true, callers: true, all_keys: true }
    }

    fn of_batch(body: &[u8]) -> Self {
        let mut changes = Self::default();
        match serde_json::from_slice::<Batch>(body) {
            Ok(batch) => batch.note(&mut changes),
            // DSM may know a shape that we do not.
            Err(_) => changes = Self::everything(),
        }
        changes
    }

    fn note(&mut self, method: &Method, path: &str) {
        if method == Method::GET {
            return;
        }
        if let Some(rest) = path.strip_prefix("/crypto/v1/keys/") {
            let mut words = rest.split('/');
            let (first, second) = (words.next().unwrap_or_default(), words.next());
            match (first.parse(), second) {
                // A name may have gone to another key, or be free for one.
                (Ok(kid), None) => {
                    self.keys.push(kid);
                    self.names = true;
                }
                (
                    Ok(kid),
                    Some(
                        "activate" | "revoke" | "destroy" | "private" | "revert" | "schedule_deletion" | "delete_key_material" | "restore",
                    ),
                ) => self.keys.push(kid),
                // These give a name to another key, or take one away.
                (Err(_), _) if matches!(first, "rekey" | "replace") => self.names = true,
                _ => {}
            }
        } else {
            self.callers |= ["/sys/v1/apps", "/sys/v1/groups", BATCH].iter().any(|root| path.starts_with(root));
        }
    }

    fn apply(&self, service: &Service) {
        if self.all_keys {
            service.accelerator.clear(None);
        } else if !self.keys.is_empty() {
            service.accelerator.clear(Some(&self.keys));
        }
        if self.names {
            service.callers.clear_keys(&self.keys);
        }
        if self.callers {
            service.callers.clear();
        }
    }
}

/// Requests that one request carries, without their bodies.
#[derive(Deserialize)]
enum Batch {
    Batch { items: Vec<Self> },
    SingleItem { method: String, operation: String },
}

impl Batch {
    fn note(&self, changes: &mut Changes) {
        match self {
            Self::Batch { items } => items.iter().for_each(|item| item.note(changes)),
            Self::SingleItem { method, operation } => {
                let path = operation.split('?').next().unwrap_or_default();
                // What is no method at all changes nothing.
                let method = method.to_ascii_uppercase().parse().unwrap_or_default();
                changes.note(&method, &format!("/{}", path.trim_start_matches('/')));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_request_changes() {
        let kid = Uuid::from_u128(3);
        let key = |suffix: &str| format!("/crypto/v1/keys/{kid}{suffix}");
        let (nothing, one_key) = (Changes::default, || Changes { keys: vec![kid], ..Changes::default() });
        let (names, both) = (|| Changes { names: true, ..Changes::default() }, || Changes { names: true, ..one_key() });
        let callers = || Changes { callers: true, ..Changes::default() };
        for (method, path, expected) in [
            (Method::PATCH, key(""), both()),
            (Method::DELETE, key(""), both()),
            (Method::POST, key("/revoke"), one_key()),
            (Method::GET, key(""), nothing()),
            (Method::POST, key("/mac"), nothing()),
            (Method::POST, "/crypto/v1/keys/export".into(), nothing()),
            (Method::POST, "/crypto/v1/keys/rekey".into(), names()),
            (Method::PATCH, "/sys/v1/apps/x".into(), callers()),
            (Method::POST, "/sys/v1/session/refresh".into(), nothing()),
            (Method::POST, "/batch/v1".into(), callers()),
        ] {
            let mut changes = Changes::default();
            changes.note(&method, &path);
            assert_eq!(changes, expected, "{method} {path}");
        }
    }

    #[test]
    fn what_the_requests_of_a_batch_change() {
        let kid = Uuid::from_u128(3);
        let item =
            |method: &str, operation: &str| serde_json::json!({"SingleItem": {"method": method, "operation": operation, "body": {}}});
        let changes = |body: serde_json::Value| Changes::of_batch(body.to_string().as_bytes());
        assert_eq!(changes(item("POST", "/crypto/v1/encrypt")), Changes::default());
        let revoke = item("post", &format!("crypto/v1/keys/{kid}/revoke?x=y"));
        let list = serde_json::json!({"Batch": {"batch_execution_type": "Serial", "items": [revoke, item("PUT", "/sys/v1/groups")]}});
        assert_eq!(changes(list), Changes { keys: vec![kid], callers: true, ..Changes::default() });
        assert_eq!(changes(serde_json::json!({"Pipeline": {"items": []}})), Changes::everything());
    }
}
