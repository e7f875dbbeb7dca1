//! Approval requests: `/sys/v1/approval_requests`.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::{Approver, Principal, Time};

/// Where an approval request stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum ApprovalStatus {
    /// Approvals are missing.
    Pending,
    /// The requester may fetch the result.
    Approved,
    /// A reviewer said no.
    Denied,
    /// It was approved, and the operation failed.
    Failed,
}

/// An object that an operation acts upon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "named as on the wire")]
pub enum ApprovalSubject {
    Group(Uuid),
    Sobject(Uuid),
    App(Uuid),
    Plugin(Uuid),
    Account(Uuid),
}

impl ApprovalSubject {
    /// The object's id.
    #[must_use]
    pub const fn id(self) -> Uuid {
        match self {
            Self::Group(id) | Self::Sobject(id) | Self::App(id) | Self::Plugin(id) | Self::Account(id) => id,
        }
    }
}

/// Somebody who may still approve or deny.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reviewer {
    /// Who.
    #[serde(flatten)]
    pub approver: Approver,
    /// Whether an approval needs the password.
    #[serde(default)]
    pub requires_password: bool,
    /// Whether an approval needs a second factor.
    #[serde(default)]
    pub requires_2fa: bool,
}

/// An approval request as DSM shows it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ApprovalRequest {
    /// Account.
    pub acct_id: Uuid,
    /// Id.
    pub request_id: Uuid,
    /// Who wants it done, and is the one who gets the result.
    pub requester: Principal,
    /// When it was made.
    pub created_at: Time,
    /// From then on it can neither be approved nor carried out.
    pub expiry: Time,
    /// HTTP method of the operation.
    pub method: String,
    /// Its path, with the query.
    pub operation: String,
    /// Its body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
    /// Free text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Where it stands.
    pub status: ApprovalStatus,
    /// Who has approved.
    pub approvers: Vec<Approver>,
    /// Who has denied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub denier: Option<Approver>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub denial_reason: Option<String>,
    /// Who may approve or deny.
    #[serde(default)]
    pub reviewers: Vec<Reviewer>,
    /// What it acts upon.
    #[serde(default)]
    pub subjects: Vec<ApprovalSubject>,
    /// Whether the requester has fetched the result.
    pub result_viewed: bool,
}

/// Body of `POST /sys/v1/approval_requests`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ApprovalRequestRequest {
    /// HTTP method; `POST` where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Path with the query; the leading slash may be missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// Body of the operation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
    /// Free text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// Body of `POST /sys/v1/approval_requests/{id}/approve`. No `Debug`: it may hold a password.
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct ApproveRequest {
    /// The user's password, where the policy requires it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// An answer to a second factor's challenge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub u2f: Option<Value>,
    /// An answer to a second factor's challenge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fido2_auth_request: Option<Value>,
    /// What the approver adds to the operation: a custodian its part of a key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
}

/// Body of `POST /sys/v1/approval_requests/{id}/deny`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct DenyRequest {
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Answer of `POST /sys/v1/approval_requests/{id}/result`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ApprovableResult {
    /// HTTP status of the operation.
    pub status: u16,
    /// Its answer; a refusal's text as a string.
    pub body: Value,
}
