//! The node agent: what an enclave asks, over plain HTTP on its own machine, for a certificate.
//!
//! Source: the vendor's published node agent client. The agent is a client of CCM like any other: it enrols at its first start with the
//! zone's join token, and then shows its node's certificate. It decides nothing: CCM does, and the agent waits for the decision and
//! tells it.

mod client;
mod error;
mod identity;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;
use uuid::Uuid;

pub(crate) use self::error::AgentError;
use self::identity::Node;
pub(crate) use self::identity::Settings;
use crate::http::body;
use crate::http::reply::{Reply, dress, with_type};

/// How long a request for a certificate waits for approvals. Clients give up after 60 seconds.
const PATIENCE: Duration = Duration::from_secs(50);
/// CCM is asked again after this at the earliest. dsma-local's answers when the task has ended; another may not know the wish to wait.
const PACE: Duration = Duration::from_secs(1);
/// The longest request that is passed on; CCM reads no longer one.
const MAX_CSR: usize = 64 * 1024;

/// The agent of one node.
pub(crate) struct Agent {
    node: Node,
}

/// What CCM says of a task.
#[derive(Deserialize)]
struct Task {
    task_id: Uuid,
    task_status: TaskStatus,
    certificate_id: Option<Uuid>,
    description: Option<String>,
}

#[derive(Deserialize)]
struct TaskStatus {
    status: String,
}

impl Agent {
    /// An agent that has not yet spoken to anybody.
    pub(crate) fn new(settings: Settings) -> Self {
        Self { node: Node::new(settings) }
    }

    /// Enrols, where that is needed: so that the first request need not wait for it. A failure is logged, and the next request tries again.
    pub(crate) async fn enrol(&self) {
        if let Err(error) = self.node.client().await {
            tracing::warn!("node agent: cannot enrol yet: {error}");
        }
    }

    /// Asks CCM for a certificate and waits until it is decided, at most [`PATIENCE`].
    async fn issue(&self, csr: &str) -> Result<Value, AgentError> {
        let until = Instant::now() + PATIENCE;
        let mut task: Task = self.node.request(csr).await?;
        while task.is_in_progress() && Instant::now() < until {
            let asked = Instant::now();
            let left = until.duration_since(asked).as_secs();
            task = self.task(task.task_id, left).await?;
            if task.is_in_progress() {
                tokio::time::sleep_until(until.min(asked + PACE)).await;
            }
        }
        self.tell(task).await
    }

    async fn task(&self, task_id: Uuid, wait_seconds: u64) -> Result<Task, AgentError> {
        self.node.client().await?.get(&format!("/v1/tasks/status/{task_id}?wait={wait_seconds}")).await
    }

    /// The answer to the enclave. A task that is not decided awaits somebody's approval.
    async fn tell(&self, task: Task) -> Result<Value, AgentError> {
        #[derive(Deserialize)]
        struct Certificate {
            certificate: String,
        }
        let status = if task.is_in_progress() { "PENDING_WHITELIST" } else { task.task_status.status.as_str() };
        let mut answer = json!({ "task_id": task.task_id, "task_status": status });
        // Ours: the vendor's client passes it over, ours shows it.
        let message = task.description.as_deref().unwrap_or_default();
        answer["message"] = json!(message);
        tracing::info!("node agent: task {}: {status}: {message}", task.task_id);
        if let Some(certificate_id) = task.certificate_id.filter(|_| status == "SUCCESS") {
            let found: Certificate = self.node.client().await?.get(&format!("/v1/certificates/{certificate_id}")).await?;
            answer["certificate"] = json!(found.certificate);
        }
        Ok(answer)
    }
}

impl Task {
    fn is_in_progress(&self) -> bool {
        self.task_status.status == "INPROGRESS"
    }
}

/// The five endpoints.
pub(crate) fn router(agent: Arc<Agent>) -> Router {
    Router::new()
        .route("/v1/certificate/issue", post(issue))
        .route("/v1/certificate/result/{task_id}", post(result))
        .route("/v1/enclave/target-info", get(sgx_only))
        .route("/v1/enclave/attest", post(sgx_only))
        .route("/v1/sys/version", get(version))
        .fallback(|| async { AgentError::NoEndpoint.into_response() })
        .method_not_allowed_fallback(|| async { AgentError::NoMethod.into_response() })
        .layer(axum::middleware::from_fn(dress))
        .with_state(agent)
}

/// `POST /v1/certificate/issue`: blocks until CCM has decided.
async fn issue(State(agent): State<Arc<Agent>>, request: Request) -> Response {
    #[derive(Deserialize)]
    struct Body {
        csr: String,
    }
    let issued = async {
        let (parts, body) = request.into_parts();
        let bytes = body::read(&parts.headers, body).await?;
        let Body { csr } = body::parse(&bytes, b'{')?;
        if csr.len() > MAX_CSR {
            return Err(AgentError::TooLarge { length: csr.len(), limit: MAX_CSR });
        }
        agent.issue(&csr).await
    };
    respond(issued.await)
}

/// `POST /v1/certificate/result/{task_id}`: how a task stands now.
async fn result(State(agent): State<Arc<Agent>>, Path(task_id): Path<String>) -> Response {
    let found = async {
        let task_id = Uuid::parse_str(&task_id).map_err(|_| AgentError::BadTask)?;
        agent.tell(agent.task(task_id, 0).await?).await
    };
    respond(found.await)
}

/// `GET /v1/enclave/target-info`, `POST /v1/enclave/attest`.
async fn sgx_only() -> Response {
    AgentError::SgxOnly.into_response()
}

/// `GET /v1/sys/version`.
async fn version() -> Response {
    respond(Ok(json!({ "version": concat!("dsma-local ", env!("CARGO_PKG_VERSION")) })))
}

fn respond(answer: Result<Value, AgentError>) -> Response {
    let answer = answer.and_then(|value| Reply::ok(&value)).map(Reply::into_response);
    answer.unwrap_or_else(AgentError::into_response)
}

impl AgentError {
    /// The vendor's client shows status and text.
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        if status.is_server_error() && !matches!(self, Self::SgxOnly) {
            tracing::warn!("node agent: {self}");
        }
        with_type(status, "text/plain; charset=utf-8", Body::from(self.to_string()))
    }
}
