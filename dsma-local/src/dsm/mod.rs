//! DSM's REST interface.
//!
//! Sources: the published OpenAPI of Fortanix DSM, and what its clients send in practice. [`router`] is the table of endpoints; each
//! handler is an ordinary blocking function from a [`Call`](call::Call) to a reply or a refusal, run on a blocking thread, so that
//! neither SQLite nor an RSA key delays another request.

mod accounts;
mod addresses;
mod approvals;
mod apps;
mod authentication;
mod call;
mod caller;
mod certificates;
mod client_configs;
mod credentials;
mod enclave;
mod endpoints;
mod group_policies;
mod groups;
mod inside;
mod logs;
mod operations;
mod outside;
mod paging;
mod permissions;
mod plugins;
mod provision;
mod quorum;
mod reply;
mod secrets;
mod sessions;
mod sobjects;
mod system;
mod users;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::on;
use tokio::sync::Semaphore;
use tokio::time::{MissedTickBehavior, interval};
use uuid::Uuid;

pub(crate) use self::enclave::{Enclave, provision_enclave};
pub(crate) use self::provision::{Account, provision};
use self::sessions::Sessions;
pub(crate) use self::sobjects::exportable;
use crate::error::Error;
use crate::http::query;
use crate::http::reply::dress;
use crate::passwords;
use crate::serve::Ports;
use crate::store::Store;
use crate::throttle::Throttle;
use call::serve;
use endpoints::{Endpoints, delete, get, post};

/// How long a line of the audit log may wait in memory.
pub(crate) const FLUSH_INTERVAL: Duration = Duration::from_millis(200);
/// How long an ended session may stay in memory.
const SWEEP_INTERVAL: Duration = Duration::from_secs(10);
/// Streams at the same time. Each has a thread to itself for as long as its client takes, beside those that serve everything else.
pub(crate) const STREAMS: usize = 32;
/// How late a rotation by policy may be.
const ROTATION_INTERVAL: Duration = Duration::from_secs(1);

/// Everything that a request needs.
pub(crate) struct Dsm {
    /// As the account that came with it sees it.
    store: Store,
    /// The same store as nobody's account sees it.
    nobody: Store,
    sessions: Sessions,
    throttle: Throttle,
    endpoints: Endpoints,
    settings: Settings,
    /// Places for streams.
    streams: Arc<Semaphore>,
}

/// What an instance was told.
pub(crate) struct Settings {
    /// A session ends after so long without a call.
    pub(crate) session_idle: Duration,
    /// `--quorum-auto-satisfy`.
    pub(crate) auto_satisfy: bool,
    /// Where it is served; `None` where only this process asks it.
    pub(crate) ports: Option<Ports>,
}

impl Dsm {
    /// The service over this store.
    pub(crate) fn new(store: Store, settings: Settings) -> Self {
        let sessions = Sessions::new(settings.session_idle);
        Self {
            nobody: store.in_account(Uuid::nil()),
            store,
            sessions,
            throttle: Throttle::default(),
            endpoints: endpoints(),
            settings,
            streams: Arc::new(Semaphore::new(STREAMS)),
        }
    }

    /// Writes what is in memory only. No request may be running.
    pub(crate) fn close(&self) {
        self.store.close();
    }
}

/// What the service does by itself, for as long as it is polled: it writes waiting audit lines, forgets ended sessions, and rotates keys
/// whose policy says so.
pub(crate) async fn housekeeping(dsm: Arc<Dsm>) {
    let flush = repeat(Arc::clone(&dsm), FLUSH_INTERVAL, |dsm| dsm.store.flush_audit());
    let sweep = repeat(Arc::clone(&dsm), SWEEP_INTERVAL, |dsm| {
        dsm.sessions.sweep();
        Ok(())
    });
    // On its own, because a new RSA key takes its time.
    let rotate = repeat(dsm, ROTATION_INTERVAL, sobjects::run_due);
    tokio::join!(flush, sweep, rotate);
}

/// Runs blocking work every `period`. A failure is logged, and the next turn tries again.
async fn repeat(dsm: Arc<Dsm>, period: Duration, work: fn(&Arc<Dsm>) -> Result<(), Error>) {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let dsm = Arc::clone(&dsm);
        if let Ok(Err(error)) = tokio::task::spawn_blocking(move || work(&dsm)).await {
            tracing::error!("housekeeping failed: {error}");
        }
    }
}

/// The service.
pub(crate) fn router(dsm: Arc<Dsm>) -> Router {
    dsm.endpoints
        .router("", |method, handler| on(method, serve(handler)))
        .route("/crypto/v1/stream/encrypt", axum::routing::post(operations::stream_encrypt))
        .route("/crypto/v1/stream/decrypt", axum::routing::post(operations::stream_decrypt))
        .fallback(serve(system::no_endpoint))
        .method_not_allowed_fallback(serve(system::no_method))
        .layer(axum::middleware::from_fn(dress))
        .with_state(dsm)
}

/// The endpoints of this version.
#[rustfmt::skip]
fn endpoints() -> Endpoints {
    Endpoints::default()
        // --- system, sessions
        .route("/sys/v1/health", get(system::health))
        .route("/sys/v1/version", get(system::version))
        .route("/sys/v1/session/auth", post(sessions::auth))
        .route("/sys/v1/session/auth/discover", post(sessions::discover))
        .route("/sys/v1/session/refresh", post(sessions::refresh))
        .route("/sys/v1/session/reauth", post(sessions::reauth))
        .route("/sys/v1/session/terminate", post(sessions::terminate))
        .route("/sys/v1/session/select_account", post(sessions::select_account))
        // --- authority
        .route("/sys/v1/accounts", get(accounts::list).post(accounts::create))
        .route("/sys/v1/accounts/{id}/usage", get(accounts::usage))
        .route("/sys/v1/accounts/{id}", get(accounts::show).patch(accounts::update).delete(accounts::delete))
        .route("/sys/v1/users", get(users::list).post(users::signup).delete(users::delete))
        .route("/sys/v1/users/accounts", get(users::accounts))
        .route("/sys/v1/users/invite", post(users::invite))
        .route("/sys/v1/users/process_invite", post(users::process_invite))
        .route("/sys/v1/users/{id}/resend_invite", post(users::resend_invite))
        .route("/sys/v1/users/change_password", post(users::change_password))
        .route("/sys/v1/users/{id}", get(users::show).patch(users::update))
        .route("/sys/v1/users/{id}/accounts", delete(users::leave))
        .route("/sys/v1/apps", get(apps::list).post(apps::create))
        .route("/sys/v1/apps/client_configs", get(client_configs::show))
        .route("/sys/v1/apps/{id}", get(apps::show).patch(apps::update).delete(apps::delete))
        .route("/sys/v1/apps/{id}/credential", get(apps::credential))
        .route("/sys/v1/apps/{id}/reset_secret", post(apps::reset_secret))
        .route("/sys/v1/groups", get(groups::list).post(groups::create))
        .route("/sys/v1/groups/{id}", get(groups::show).patch(groups::update).delete(groups::delete))
        .route("/sys/v1/approval_requests", get(approvals::list).post(approvals::create))
        .route("/sys/v1/approval_requests/{id}", get(approvals::show).delete(approvals::delete))
        .route("/sys/v1/approval_requests/{id}/approve", post(approvals::approve))
        .route("/sys/v1/approval_requests/{id}/deny", post(approvals::deny))
        .route("/sys/v1/approval_requests/{id}/challenge", post(approvals::challenge))
        .route("/sys/v1/approval_requests/{id}/result", post(approvals::result))
        .route("/sys/v1/plugins", get(plugins::list).post(plugins::none))
        .route("/sys/v1/plugins/{id}", get(plugins::none).post(plugins::none).patch(plugins::none).delete(plugins::none))
        .route("/sys/v1/plugins/invoke/{id}", get(plugins::none).post(plugins::none))
        .route("/sys/v1/logs", get(logs::query))
        // --- outside this product
        .route("/sys/v1/users/forgot_password", post(outside::no_mail))
        .route("/sys/v1/users/{id}/reset_password", post(outside::no_mail))
        .route("/sys/v1/users/generate_recovery_codes", post(outside::no_second_factor))
        .route("/sys/v1/session/auth/2fa/u2f", post(outside::no_second_factor))
        .route("/sys/v1/session/auth/2fa/fido2", post(outside::no_second_factor))
        .route("/sys/v1/session/auth/2fa/recovery_code", post(outside::no_second_factor))
        .route("/sys/v1/session/config_2fa/auth", post(outside::no_second_factor))
        .route("/sys/v1/session/config_2fa/terminate", post(outside::no_second_factor))
        .route("/sys/v1/session/config_2fa/new_challenge", post(outside::no_second_factor))
        .route("/sys/v1/external_roles", get(outside::no_directory).post(outside::no_directory))
        .route("/sys/v1/external_roles/{id}", get(outside::no_directory).patch(outside::no_directory).delete(outside::no_directory))
        .route("/sys/v1/external_roles/{id}/sync", post(outside::no_directory))
        // --- sobjects
        .route("/crypto/v1/keys", get(sobjects::list).post(sobjects::generate).put(sobjects::import))
        .route("/crypto/v1/keys/info", post(sobjects::info))
        .route("/crypto/v1/keys/export", post(sobjects::export))
        .route("/crypto/v1/keys/{id}", get(sobjects::show).patch(sobjects::update).delete(sobjects::delete))
        .route("/crypto/v1/keys/{id}/export", get(sobjects::export_by_path))
        .route("/crypto/v1/keys/{id}/activate", post(sobjects::activate))
        .route("/crypto/v1/keys/{id}/revoke", post(sobjects::revoke))
        .route("/crypto/v1/keys/{id}/destroy", post(sobjects::destroy))
        .route("/crypto/v1/keys/{id}/private", delete(sobjects::remove_private))
        .route("/crypto/v1/keys/{id}/schedule_deletion", post(sobjects::no_external_key))
        .route("/crypto/v1/keys/{id}/cancel_deletion", post(sobjects::no_external_key))
        .route("/crypto/v1/keys/{id}/delete_key_material", post(sobjects::no_external_key))
        .route("/crypto/v1/keys/{id}/restore", post(sobjects::no_external_key))
        .route("/crypto/v1/keys/copy", post(sobjects::copy))
        .route("/crypto/v1/keys/rekey", post(sobjects::rekey))
        .route("/crypto/v1/keys/replace", post(sobjects::replace))
        .route("/crypto/v1/keys/persist", post(sobjects::persist))
        .route("/crypto/v1/keys/kcv", post(sobjects::kcv))
        .route("/crypto/v1/keys/kcv/verify", post(sobjects::verify_kcv))
        .route("/crypto/v1/keys/components/export", post(approvals::components_directly))
        .route("/crypto/v1/keys/components/import", post(approvals::components_directly))
        .route("/crypto/v1/keys/digest", post(sobjects::digest))
        .route("/crypto/v1/keys/key_attestation", post(sobjects::key_attestation))
        .route("/crypto/v1/pubkey/{id}/{name}", get(sobjects::public_key))
        // --- operations: the key in the body, in the path (older clients), in each item
        .route("/crypto/v1/encrypt", post(operations::encrypt))
        .route("/crypto/v1/decrypt", post(operations::decrypt))
        .route("/crypto/v1/sign", post(operations::sign))
        .route("/crypto/v1/verify", post(operations::verify))
        .route("/crypto/v1/mac", post(operations::mac))
        .route("/crypto/v1/macverify", post(operations::mac_verify))
        .route("/crypto/v1/digest", post(operations::digest))
        .route("/crypto/v1/wrapkey", post(operations::wrap_key))
        .route("/crypto/v1/unwrapkey", post(operations::unwrap_key))
        .route("/crypto/v1/derive", post(operations::derive))
        .route("/crypto/v1/agree", post(operations::agree))
        .route("/crypto/v1/encapsulate", post(operations::encapsulate))
        .route("/crypto/v1/decapsulate", post(operations::decapsulate))
        .route("/crypto/v1/transform", post(operations::transform))
        .route("/crypto/v1/encrypt/init", post(operations::encrypt_init))
        .route("/crypto/v1/encrypt/update", post(operations::encrypt_update))
        .route("/crypto/v1/encrypt/final", post(operations::encrypt_final))
        .route("/crypto/v1/decrypt/init", post(operations::decrypt_init))
        .route("/crypto/v1/decrypt/update", post(operations::decrypt_update))
        .route("/crypto/v1/decrypt/final", post(operations::decrypt_final))
        .route("/crypto/v1/keys/{id}/encrypt", post(operations::encrypt))
        .route("/crypto/v1/keys/{id}/decrypt", post(operations::decrypt))
        .route("/crypto/v1/keys/{id}/sign", post(operations::sign))
        .route("/crypto/v1/keys/{id}/verify", post(operations::verify))
        .route("/crypto/v1/keys/{id}/wrapkey", post(operations::wrap_key))
        .route("/crypto/v1/keys/{id}/unwrapkey", post(operations::unwrap_key))
        .route("/crypto/v1/keys/{id}/derive", post(operations::derive))
        .route("/crypto/v1/keys/{id}/mac", post(operations::mac))
        .route("/crypto/v1/keys/{id}/macverify", post(operations::mac_verify))
        .route("/crypto/v1/keys/{id}/encrypt/init", post(operations::encrypt_init))
        .route("/crypto/v1/keys/{id}/encrypt/update", post(operations::encrypt_update))
        .route("/crypto/v1/keys/{id}/encrypt/final", post(operations::encrypt_final))
        .route("/crypto/v1/keys/{id}/decrypt/init", post(operations::decrypt_init))
        .route("/crypto/v1/keys/{id}/decrypt/update", post(operations::decrypt_update))
        .route("/crypto/v1/keys/{id}/decrypt/final", post(operations::decrypt_final))
        .route("/crypto/v1/keys/batch/encrypt", post(operations::batch_encrypt))
        .route("/crypto/v1/keys/batch/decrypt", post(operations::batch_decrypt))
        .route("/crypto/v1/keys/batch/sign", post(operations::batch_sign))
        .route("/crypto/v1/keys/batch/verify", post(operations::batch_verify))
        .route("/crypto/v1/keys/batch/mac", post(operations::batch_mac))
        .route("/crypto/v1/keys/batch/macverify", post(operations::batch_mac_verify))
        .route("/batch/v1", post(operations::batch))
}
