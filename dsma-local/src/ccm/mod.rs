//! CCM, the Confidential Computing Manager: it knows apps, their builds and domains, and certifies what attests to be one of them.
//!
//! Source: the published OpenAPI of Fortanix CCM, and what its clients send in practice. [`router`] is the table of endpoints; each handler
//! is an ordinary blocking function from a [`Call`](call::Call) to a reply or a refusal. [`model`] is what is kept, [`issuance`] the way
//! from a request to a certificate.

mod accounts;
mod apps;
mod authentication;
mod builds;
mod call;
mod certificates;
mod deployments;
mod issuance;
mod labels;
mod listing;
mod measurements;
mod model;
mod nodes;
mod provision;
mod refusal;
mod sessions;
mod tasks;
mod users;
mod zone_ca;
mod zones;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::Method;
use axum::routing;
use serde_json::Value;
use tokio::sync::watch;
use uuid::Uuid;

use self::call::{Call, Handler, PREFIXES, serve};
use self::issuance::Trust;
pub(crate) use self::provision::{CcmAccount, provision};
use self::refusal::{Code, Refusal};
use crate::error::Error;
use crate::http::endpoints::{Endpoints, Methods};
use crate::http::reply::{Reply, dress};
use crate::sessions::Sessions;
use crate::store::Store;
use crate::throttle::Throttle;

/// Everything that a request needs.
pub(crate) struct Ccm {
    store: Store,
    /// By user.
    sessions: Sessions<Uuid>,
    throttle: Throttle,
    trust: Trust,
    /// Counts the changes of tasks, for those who wait for one.
    changes: watch::Sender<u64>,
}

impl Ccm {
    /// The service over this store. `emulator` is the root certificate (DER) of this machine's emulated NSM, which accounts that are
    /// marked insecure trust.
    ///
    /// # Errors
    /// Where that is no root certificate.
    pub(crate) fn new(store: Store, session_idle: Duration, emulator: &[u8]) -> Result<Self, Error> {
        let trust = Trust::new(emulator).map_err(Error::Attestation)?;
        Ok(Self { store, sessions: Sessions::new(session_idle), throttle: Throttle::default(), trust, changes: watch::Sender::new(0) })
    }

    fn tell_tasks_changed(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    fn task_changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}

/// The service, under both prefixes.
pub(crate) fn router(ccm: Arc<Ccm>) -> Router {
    let endpoints = endpoints();
    let all = PREFIXES.iter().fold(Router::new(), |router, prefix| {
        let served = endpoints.router(prefix, |method, handler| routing::on(method, serve(handler)));
        router.merge(served).route(&format!("{prefix}/tasks/status/{{id}}"), routing::get(tasks::status))
    });
    all.fallback(serve(no_endpoint)).method_not_allowed_fallback(serve(no_method)).layer(axum::middleware::from_fn(dress)).with_state(ccm)
}

/// The endpoints of this version.
#[rustfmt::skip]
fn endpoints() -> Endpoints<Handler> {
    Endpoints::default()
        // --- sessions
        .route("/sys/version", get(sessions::version))
        .route("/sys/auth", post(sessions::auth))
        .route("/sys/auth/discover", post(sessions::discover))
        .route("/sys/session/refresh", post(sessions::refresh))
        .route("/sys/session/terminate", post(sessions::terminate))
        .route("/sys/session/select_account/{id}", post(sessions::select_account))
        // --- accounts and users
        .route("/accounts", get(accounts::list).post(accounts::create))
        .route("/accounts/{id}", get(accounts::show).patch(accounts::update).delete(accounts::delete))
        .route("/accounts/select_account/{id}", post(sessions::select_account_before))
        .route("/user", get(users::logged_in))
        .route("/users", get(users::list).post(users::sign_up))
        .route("/users/invite", post(users::invite))
        .route("/users/process_invite", post(users::process_invite))
        .route("/users/{id}", get(users::show).patch(users::update).delete(users::delete))
        .route("/users/{id}/accounts", get(users::accounts).delete(users::leave))
        // --- zones and nodes
        .route("/zones", get(zones::list))
        .route("/zones/{id}", get(zones::show))
        .route("/zones/{id}/token", get(zones::token))
        .route("/zones/{id}/certificates", get(zones::certificates).post(zones::make_next))
        .route("/zones/{id}/certificates/rotate", post(zones::rotate))
        .route("/nodes", get(nodes::list).post(nodes::enrol))
        .route("/nodes/unique_labels/count", get(nodes::unique_labels))
        .route("/nodes/{id}", get(nodes::show).patch(nodes::update))
        .route("/nodes/{id}/certificate", get(nodes::certificate))
        .route("/nodes/{id}/certificate-details", get(nodes::certificate_details))
        .route("/nodes/{id}/deactivate", post(nodes::deactivate))
        .route("/node/status", post(nodes::heartbeat))
        // --- apps, builds, decisions
        .route("/apps", get(apps::list).post(apps::create))
        .route("/apps/unique_labels/count", get(apps::unique_labels))
        .route("/apps/{id}", get(apps::show).patch(apps::update).delete(apps::delete))
        .route("/apps/{id}/node/{node}/certificate", get(certificates::of_app))
        .route("/apps/{id}/node/{node}/certificate-details", get(certificates::details_of_app))
        .route("/builds", get(builds::list).post(builds::create))
        .route("/builds/{id}", get(builds::show).patch(builds::update).delete(builds::delete))
        .route("/builds/deployments/{id}", get(builds::deployments))
        .route("/tasks", get(tasks::list))
        .route("/tasks/{id}", get(tasks::show).patch(tasks::decide).delete(tasks::delete))
        // --- certificates
        .route("/certificates", post(certificates::issue))
        .route("/certificates/{id}", get(certificates::show))
}

fn get(handler: Handler) -> Methods<Handler> {
    Methods::new(Method::GET, handler)
}

fn post(handler: Handler) -> Methods<Handler> {
    Methods::new(Method::POST, handler)
}

fn no_endpoint(_: &Call) -> Result<Reply, Refusal> {
    Err(Refusal::new(Code::NotFound, "No such endpoint"))
}

fn no_method(_: &Call) -> Result<Reply, Refusal> {
    Err(Refusal::new(Code::MethodNotAllowed, "This method is not allowed here"))
}

/// A document as clients want it: what is null is left out, and so is what is ours alone.
fn without_nulls(mut document: Value, ours: &[&str]) -> Value {
    if let Some(members) = document.as_object_mut() {
        members.retain(|name, member| !member.is_null() && !ours.contains(&name.as_str()));
    }
    document
}
