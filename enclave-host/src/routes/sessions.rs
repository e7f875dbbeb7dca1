//! Sessions that are opened and ended through us. They are DSM's; we look on, so that a token presented later has an owner, and one
//! that was ended is worth nothing at once.

use std::sync::Arc;

use dsma_api::AuthResponse;
use http::header::ACCEPT_ENCODING;
use http::{Request, Response, StatusCode};
use http_body_util::Either;
use hyper::body::{Bytes, Incoming};
use serde::Deserialize;

use super::{passthrough, read};
use crate::body::{self, Body, full, text};
use crate::callers::Scheme;
use crate::service::Service;

/// Logins and their answers are small.
const LIMIT: usize = 64 << 10;

/// What makes a token stand for somebody else than `entity_id` says.
#[derive(Deserialize)]
struct AuthRequest {
    bind_to: Option<serde::de::IgnoredAny>,
}

/// Relays a login and learns whose token came out of it.
pub(super) async fn open(service: &Arc<Service>, request: Request<Incoming>) -> Response<Body> {
    let (mut head, body) = request.into_parts();
    // The answer is to be read here.
    head.headers.remove(ACCEPT_ENCODING);
    let (_room, body) = match read(service, &head, body, LIMIT).await {
        Ok(read) => read,
        Err(refusal) => return refusal,
    };
    let plain = body.is_empty() || serde_json::from_slice::<AuthRequest>(&body).is_ok_and(|request| request.bind_to.is_none());
    let response = match passthrough::send(service, &head, full(body)).await {
        Ok(response) => response,
        Err(error) => return passthrough::unreachable(&error),
    };
    let Some(_room) = service.room_for(response.body(), LIMIT) else {
        // Whose token it is remains unknown; the login has been done.
        return response.map(Either::Right);
    };
    let (head, body) = response.into_parts();
    let Ok(answer) = body::read(&head.headers, body, LIMIT).await else {
        return text(StatusCode::BAD_GATEWAY, "DSM broke off its answer; try again");
    };
    if plain && head.status.is_success() {
        learn(service, &answer);
    }
    Response::from_parts(head, full(answer))
}

/// Relays the end of a session. Nothing that we know of it outlives this call, whatever DSM answers.
pub(super) async fn terminate(service: &Arc<Service>, request: Request<Incoming>) -> Response<Body> {
    // An API key does not end with one of its sessions.
    let credential = service.callers.credential(request.headers()).filter(|credential| credential.scheme() == Scheme::Bearer);
    if let Some(credential) = &credential {
        service.callers.forget(credential);
    }
    let response = passthrough::relay(service, request).await;
    if let Some(credential) = &credential
        && response.status().is_success()
    {
        service.callers.end_session(credential);
    }
    response
}

fn learn(service: &Service, answer: &Bytes) {
    if let Ok(session) = serde_json::from_slice::<AuthResponse>(answer) {
        service.callers.learn_session(session);
    }
}
