//! Tasks: what somebody has to decide, and what became of it.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::User;
use crate::store::Record;

/// A task.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Task {
    pub(crate) task_id: Uuid,
    pub(crate) acct_id: Uuid,
    pub(crate) task_type: TaskType,
    /// The app of a domain, the build, the node, or the certificate that will be.
    pub(crate) entity_id: Uuid,
    pub(crate) status: TaskStatus,
    pub(crate) created_at: i64,
    pub(crate) status_updated_at: i64,
    /// The user who asked; CCM itself where absent.
    pub(crate) requester: Option<(Uuid, String)>,
    pub(crate) approvals: Vec<Approval>,
    /// What it is about; for a certificate, why it was refused or what it waits for.
    pub(crate) description: String,
    pub(crate) domains_added: Vec<String>,
    pub(crate) domains_removed: Vec<String>,
    pub(crate) group_id: Option<Uuid>,
    /// What the task is about, or has brought forth.
    pub(crate) node_id: Option<Uuid>,
    pub(crate) build_id: Option<Uuid>,
    pub(crate) certificate_id: Option<Uuid>,
    /// The request that waits, PEM.
    pub(crate) csr: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum TaskType {
    NodeAttestation,
    CertificateIssuance,
    BuildWhitelist,
    DomainWhitelist,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum TaskStatus {
    Inprogress,
    Failed,
    Success,
    Denied,
}

/// A decision.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Approval {
    pub(crate) user_id: Uuid,
    pub(crate) user_name: String,
    pub(crate) status: Decision,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) denial_reason: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Decision {
    Approved,
    Denied,
}

impl Task {
    /// A task that begins now, in progress, without anything particular.
    pub(crate) fn new(acct_id: Uuid, task_type: TaskType, entity_id: Uuid, now: i64, description: String) -> Self {
        Self {
            task_id: Uuid::new_v4(),
            acct_id,
            task_type,
            entity_id,
            status: TaskStatus::Inprogress,
            created_at: now,
            status_updated_at: now,
            requester: None,
            approvals: Vec::new(),
            description,
            domains_added: Vec::new(),
            domains_removed: Vec::new(),
            group_id: None,
            node_id: None,
            build_id: None,
            certificate_id: None,
            csr: None,
        }
    }

    /// The same task, asked for by this user.
    pub(crate) fn asked_by(self, user: &User) -> Self {
        Self { requester: Some((user.user_id, user.user_email.clone())), ..self }
    }

    /// Ends or goes on with this status.
    pub(crate) fn set_status(&mut self, status: TaskStatus, now: i64) {
        self.status = status;
        self.status_updated_at = now;
    }
}

impl Record for Task {
    const KIND: &'static str = "task";

    fn id(&self) -> Uuid {
        self.task_id
    }

    fn acct_id(&self) -> Uuid {
        self.acct_id
    }

    fn key(&self) -> Option<String> {
        None
    }
}
