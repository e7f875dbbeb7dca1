//! The table of endpoints as a value: axum routes by it, and an operation that another request carries is found in it.

use std::sync::Arc;

use axum::Router;
use axum::http::Method;
use axum::routing::{MethodFilter, on};

use super::Dsm;
use super::call::{Handler, serve};

/// Paths, each with what its methods do. `{id}` in a path stands for any segment.
#[derive(Default)]
pub(super) struct Endpoints(Vec<(&'static str, Methods)>);

/// The methods of one path.
pub(super) struct Methods(Vec<(Method, Handler)>);

pub(super) fn get(handler: Handler) -> Methods {
    Methods(vec![(Method::GET, handler)])
}

pub(super) fn post(handler: Handler) -> Methods {
    Methods(vec![(Method::POST, handler)])
}

pub(super) fn delete(handler: Handler) -> Methods {
    Methods(vec![(Method::DELETE, handler)])
}

impl Methods {
    pub(super) fn post(self, handler: Handler) -> Self {
        self.and(Method::POST, handler)
    }

    pub(super) fn put(self, handler: Handler) -> Self {
        self.and(Method::PUT, handler)
    }

    pub(super) fn patch(self, handler: Handler) -> Self {
        self.and(Method::PATCH, handler)
    }

    pub(super) fn delete(self, handler: Handler) -> Self {
        self.and(Method::DELETE, handler)
    }

    fn and(mut self, method: Method, handler: Handler) -> Self {
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
    pub(super) fn router(&self) -> Router<Arc<Dsm>> {
        let each = self.0.iter().flat_map(|(path, methods)| methods.0.iter().map(move |(method, handler)| (path, method, handler)));
        each.fold(Router::new(), |router, (path, method, handler)| match MethodFilter::try_from(method.clone()) {
            Ok(method) => router.route(path, on(method, serve(*handler))),
            Err(_) => router,
        })
    }

    /// The handler for this method (in capitals) and path. As for the router, a path without `{id}` goes before one with it.
    pub(super) fn find(&self, method: &str, path: &str) -> Option<Handler> {
        let matching = self.0.iter().filter(|(pattern, _)| matches(pattern, path));
        let (_, methods) = matching.min_by_key(|(pattern, _)| pattern.matches('{').count())?;
        methods.0.iter().find(|(known, _)| known.as_str() == method).map(|(_, handler)| *handler)
    }
}

fn matches(pattern: &str, path: &str) -> bool {
    let (mut pattern, mut path) = (pattern.split('/'), path.split('/'));
    loop {
        match (pattern.next(), path.next()) {
            (None, None) => return true,
            (Some(wanted), Some(found)) if wanted == found || wanted.starts_with('{') && !found.is_empty() => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Handler;
    use crate::dsm::{endpoints, sobjects};

    #[test]
    fn operations_are_found_as_the_router_finds_them() {
        let endpoints = endpoints();
        for (method, path, handler) in [
            ("POST", "/crypto/v1/keys/export", sobjects::export as Handler),
            ("GET", "/crypto/v1/keys/0/export", sobjects::export_by_path),
            ("GET", "/crypto/v1/keys/0", sobjects::show),
        ] {
            let found = endpoints.find(method, path);
            assert!(found.is_some_and(|found| std::ptr::fn_addr_eq(found, handler)), "{method} {path}");
        }
        for (method, path) in [("GET", "/crypto/v1/keys/export"), ("POST", "/crypto/v1/keys/"), ("post", "/crypto/v1/keys"), ("GET", "/")] {
            assert!(endpoints.find(method, path).is_none(), "{method} {path}");
        }
    }
}
