//! DSM's REST interface.
//!
//! Sources: the published OpenAPI of Fortanix DSM, and what its clients send in practice. [`router`] is the table of endpoints; each
//! handler is an ordinary blocking function from a [`Call`](call::Call) to a reply or a refusal, run on a blocking thread, so that
//! neither SQLite nor an RSA key delays another request.

mod apps;
mod authentication;
mod call;
mod groups;
mod logs;
mod operations;
mod permissions;
mod provision;
mod query;
mod reply;
mod secrets;
mod sessions;
mod sobjects;
mod system;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::{get, post};
use tokio::time::{MissedTickBehavior, interval};

pub(crate) use self::provision::{Account, provision};
use self::sessions::Sessions;
use crate::store::Store;
use call::serve;

/// How long a line of the audit log may wait in memory.
pub(crate) const FLUSH_INTERVAL: Duration = Duration::from_millis(200);

/// Everything that a request needs.
pub(crate) struct Dsm {
    store: Store,
    sessions: Sessions,
}

impl Dsm {
    /// The service over this store.
    pub(crate) fn new(store: Store, session_idle: Duration) -> Self {
        Self { store, sessions: Sessions::new(session_idle) }
    }

    /// Writes what is in memory only. No request may be running.
    pub(crate) fn close(&self) {
        self.store.close();
    }
}

/// Writes waiting audit lines and forgets ended sessions, for as long as it is polled.
pub(crate) async fn housekeeping(dsm: Arc<Dsm>) {
    let mut ticks = interval(FLUSH_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let dsm = Arc::clone(&dsm);
        let done = tokio::task::spawn_blocking(move || {
            dsm.sessions.sweep();
            dsm.store.flush_audit()
        });
        if let Ok(Err(error)) = done.await {
            tracing::error!("audit lines wait: {error}");
        }
    }
}

/// The endpoints of this version.
#[rustfmt::skip]
pub(crate) fn router(dsm: Arc<Dsm>) -> Router {
    Router::new()
        // --- system, sessions
        .route("/sys/v1/health", get(serve(system::health)))
        .route("/sys/v1/version", get(serve(system::version)))
        .route("/sys/v1/session/auth", post(serve(sessions::auth)))
        .route("/sys/v1/session/refresh", post(serve(sessions::refresh)))
        .route("/sys/v1/session/reauth", post(serve(sessions::reauth)))
        .route("/sys/v1/session/terminate", post(serve(sessions::terminate)))
        .route("/sys/v1/session/select_account", post(serve(sessions::select_account)))
        // --- authority
        .route("/sys/v1/apps", get(serve(apps::list)).post(serve(apps::create)))
        .route("/sys/v1/apps/client_configs", get(serve(apps::client_configs)))
        .route("/sys/v1/apps/{id}", get(serve(apps::show)).patch(serve(apps::update)).delete(serve(apps::delete)))
        .route("/sys/v1/apps/{id}/credential", get(serve(apps::credential)))
        .route("/sys/v1/apps/{id}/reset_secret", post(serve(apps::reset_secret)))
        .route("/sys/v1/groups", get(serve(groups::list)).post(serve(groups::create)))
        .route("/sys/v1/groups/{id}", get(serve(groups::show)).patch(serve(groups::update)).delete(serve(groups::delete)))
        .route("/sys/v1/logs", get(serve(logs::query)))
        // --- sobjects
        .route("/crypto/v1/keys", get(serve(sobjects::list)).post(serve(sobjects::generate)).put(serve(sobjects::import)))
        .route("/crypto/v1/keys/info", post(serve(sobjects::info)))
        .route("/crypto/v1/keys/export", post(serve(sobjects::export)))
        .route("/crypto/v1/keys/{id}", get(serve(sobjects::show)).patch(serve(sobjects::update)).delete(serve(sobjects::delete)))
        .route("/crypto/v1/keys/{id}/export", get(serve(sobjects::export_by_path)))
        .route("/crypto/v1/keys/{id}/activate", post(serve(sobjects::activate)))
        .route("/crypto/v1/keys/{id}/revoke", post(serve(sobjects::revoke)))
        .route("/crypto/v1/keys/{id}/destroy", post(serve(sobjects::destroy)))
        // --- operations: the key in the body, in the path (older clients), in each item
        .route("/crypto/v1/encrypt", post(serve(operations::encrypt)))
        .route("/crypto/v1/decrypt", post(serve(operations::decrypt)))
        .route("/crypto/v1/sign", post(serve(operations::sign)))
        .route("/crypto/v1/verify", post(serve(operations::verify)))
        .route("/crypto/v1/digest", post(serve(operations::digest)))
        .route("/crypto/v1/keys/{id}/encrypt", post(serve(operations::encrypt)))
        .route("/crypto/v1/keys/{id}/decrypt", post(serve(operations::decrypt)))
        .route("/crypto/v1/keys/{id}/sign", post(serve(operations::sign)))
        .route("/crypto/v1/keys/{id}/verify", post(serve(operations::verify)))
        .route("/crypto/v1/keys/batch/encrypt", post(serve(operations::batch_encrypt)))
        .route("/crypto/v1/keys/batch/decrypt", post(serve(operations::batch_decrypt)))
        .route("/crypto/v1/keys/batch/sign", post(serve(operations::batch_sign)))
        .route("/crypto/v1/keys/batch/verify", post(serve(operations::batch_verify)))
        .fallback(serve(system::no_endpoint))
        .method_not_allowed_fallback(serve(system::no_method))
        .layer(axum::middleware::from_fn(reply::dress))
        .with_state(dsm)
}
