//! The table of endpoints as a value: axum routes by it, and an operation that another request carries is found in it.

use std::sync::Arc;

use axum::Router;
use axum::routing::{MethodFilter, on};

use super::Dsm;
use super::call::{Handler, serve};

/// Paths, each with what its methods do. `{id}` in a path stands for any segment.
#[derive(Default)]
pub(super) struct Endpoints(Vec<(&'static str, Methods)>);

/// The methods of one path.
pub(super) struct Methods(Vec<(MethodFilter, Handler)>);

pub(super) fn get(handler: Handler) -> Methods {
    Methods(vec![(MethodFilter::GET, handler)])
}

pub(super) fn post(handler: Handler) -> Methods {
    Methods(vec![(MethodFilter::POST, handler)])
}

impl Methods {
    pub(super) fn post(self, handler: Handler) -> Self {
        self.and(MethodFilter::POST, handler)
    }

    pub(super) fn put(self, handler: Handler) -> Self {
        self.and(MethodFilter::PUT, handler)
    }

    pub(super) fn patch(self, handler: Handler) -> Self {
        self.and(MethodFilter::PATCH, handler)
    }

    pub(super) fn delete(self, handler: Handler) -> Self {
        self.and(MethodFilter::DELETE, handler)
    }

    fn and(mut self, method: MethodFilter, handler: Handler) -> Self {
        self.0.push((method, handler));
        self
    }
}

impl Endpoints {
    /// Adds a path.
    pub(super) fn route(mut self, path: &'static str, methods: Methods) -> Self {
        self.0.push((path, methods));
        self
    }

    /// The router for these endpoints.
    pub(super) fn into_router(self) -> Router<Arc<Dsm>> {
        let each =
            self.0.into_iter().flat_map(|(path, methods)| methods.0.into_iter().map(move |(method, handler)| (path, method, handler)));
        each.fold(Router::new(), |router, (path, method, handler)| router.route(path, on(method, serve(handler))))
    }
}
