//! The table of endpoints as a value: axum routes by it, and an operation that another request carries is found in it.

use axum::Router;
use axum::http::Method;
use axum::routing::{MethodFilter, MethodRouter};

/// Paths, each with what its methods do; `H` is what does it. `{id}` in a path stands for any segment.
pub(crate) struct Endpoints<H>(Vec<(&'static str, Methods<H>)>);

/// The methods of one path.
pub(crate) struct Methods<H>(Vec<(Method, H)>);

impl<H> Methods<H> {
    /// A path with one method.
    pub(crate) fn new(method: Method, handler: H) -> Self {
        Self(vec![(method, handler)])
    }

    pub(crate) fn post(self, handler: H) -> Self {
        self.and(Method::POST, handler)
    }

    pub(crate) fn put(self, handler: H) -> Self {
        self.and(Method::PUT, handler)
    }

    pub(crate) fn patch(self, handler: H) -> Self {
        self.and(Method::PATCH, handler)
    }

    pub(crate) fn delete(self, handler: H) -> Self {
        self.and(Method::DELETE, handler)
    }

    fn and(mut self, method: Method, handler: H) -> Self {
        self.0.push((method, handler));
        self
    }
}

impl<H> Default for Endpoints<H> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<H: Copy> Endpoints<H> {
    /// Adds a path.
    pub(crate) fn route(mut self, path: &'static str, methods: Methods<H>) -> Self {
        self.0.push((path, methods));
        self
    }

    /// The router for these endpoints, below `prefix`; `serve` makes what axum calls of a handler.
    pub(crate) fn router<S: Clone + Send + Sync + 'static>(
        &self,
        prefix: &str,
        serve: impl Fn(MethodFilter, H) -> MethodRouter<S>,
    ) -> Router<S> {
        let each = self.0.iter().flat_map(|(path, methods)| methods.0.iter().map(move |(method, handler)| (path, method, handler)));
        each.fold(Router::new(), |router, (path, method, handler)| match MethodFilter::try_from(method.clone()) {
            Ok(method) => router.route(&format!("{prefix}{path}"), serve(method, *handler)),
            Err(_) => router,
        })
    }

    /// The handler for this method (in capitals) and path. As for the router, a path without `{id}` goes before one with it.
    pub(crate) fn find(&self, method: &str, path: &str) -> Option<H> {
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
    use super::*;

    #[test]
    fn operations_are_found_as_the_router_finds_them() {
        let endpoints = Endpoints::default()
            .route("/keys", Methods::new(Method::GET, "list").post("make"))
            .route("/keys/export", Methods::new(Method::POST, "export"))
            .route("/keys/{id}", Methods::new(Method::GET, "show"))
            .route("/keys/{id}/export", Methods::new(Method::GET, "export by path"));
        for (method, path, found) in [
            ("POST", "/keys/export", Some("export")),
            ("GET", "/keys/0/export", Some("export by path")),
            ("GET", "/keys/0", Some("show")),
            ("POST", "/keys", Some("make")),
            ("GET", "/keys/export", None),
            ("POST", "/keys/", None),
            ("post", "/keys", None),
            ("GET", "/", None),
        ] {
            assert_eq!(endpoints.find(method, path), found, "{method} {path}");
        }
    }
}
