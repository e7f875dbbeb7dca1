//! The table of endpoints, for DSM's handlers.

use axum::http::Method;

use super::call::Handler;
use crate::http::endpoints;

pub(super) type Endpoints = endpoints::Endpoints<Handler>;

pub(super) fn get(handler: Handler) -> endpoints::Methods<Handler> {
    endpoints::Methods::new(Method::GET, handler)
}

pub(super) fn post(handler: Handler) -> endpoints::Methods<Handler> {
    endpoints::Methods::new(Method::POST, handler)
}

pub(super) fn delete(handler: Handler) -> endpoints::Methods<Handler> {
    endpoints::Methods::new(Method::DELETE, handler)
}
