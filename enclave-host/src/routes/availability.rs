//! `GET /`: is this accelerator there? For load balancers; needs no credential and tells no secret.
//!
//! It is available once its own identity has logged in to DSM. When DSM fails later it stays available: cached keys serve on, and
//! taking every accelerator out of a load balancer at once would turn a small outage into a large one.

use std::sync::atomic::Ordering;

use http::{Response, StatusCode};

use crate::body::{Body, json, text};
use crate::service::Service;

pub(super) fn answer(service: &Service) -> Response<Body> {
    if !service.connected.load(Ordering::Relaxed) {
        return text(StatusCode::SERVICE_UNAVAILABLE, "Not available yet: DSM has not answered; the connection is retried");
    }
    let dsm = if service.upstream.is_reachable() { "reachable" } else { "unreachable" };
    json(format!(r#"{{"available":true,"dsm":"{dsm}"}}"#))
}
