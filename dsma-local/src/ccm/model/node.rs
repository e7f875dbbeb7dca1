//! Nodes, and the certificates of nodes and apps.

use std::collections::BTreeMap;

use dsma_crypto::digest::Hash;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::store::Record;

/// A machine whose agent asks for certificates. It is known by its own certificate.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Node {
    pub(crate) node_id: Uuid,
    pub(crate) acct_id: Uuid,
    pub(crate) zone_id: Uuid,
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    pub(crate) ipaddress: String,
    pub(crate) sgx_version: String,
    pub(crate) attestation_type: String,
    pub(crate) sys_info: Option<Value>,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) status: NodeStatus,
    pub(crate) created_at: i64,
    pub(crate) status_updated_at: i64,
    pub(crate) last_seen_at: i64,
    pub(crate) certificate_id: Uuid,
    /// See [`fingerprint`].
    pub(crate) fingerprint: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum NodeStatus {
    Running,
    Deactivated,
}

/// SHA-256 of a certificate's DER, in hexadecimal.
pub(crate) fn fingerprint(certificate: &[u8]) -> String {
    Hash::Sha256.digest(certificate).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Record for Node {
    const KIND: &'static str = "node";

    fn id(&self) -> Uuid {
        self.node_id
    }

    fn acct_id(&self) -> Uuid {
        self.acct_id
    }

    fn key(&self) -> Option<String> {
        Some(self.fingerprint.clone())
    }
}

/// A certificate that a zone's CA has signed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Certificate {
    pub(crate) certificate_id: Uuid,
    pub(crate) acct_id: Uuid,
    pub(crate) node_id: Uuid,
    /// Absent for a node's own certificate, as is the build.
    pub(crate) app_id: Option<Uuid>,
    pub(crate) build_id: Option<Uuid>,
    pub(crate) created_at: i64,
    /// PEM, as is the certificate.
    pub(crate) csr: String,
    pub(crate) certificate: String,
}

impl Record for Certificate {
    const KIND: &'static str = "certificate";

    fn id(&self) -> Uuid {
        self.certificate_id
    }

    fn acct_id(&self) -> Uuid {
        self.acct_id
    }

    fn key(&self) -> Option<String> {
        None
    }
}

/// An attestation document that was accepted, until freshness refuses it anyway. It is kept in the store, because a restart must not let
/// it be presented again.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Seen {
    pub(crate) id: Uuid,
    /// What tells one document of an NSM from every other.
    pub(crate) document: String,
    /// The task that it was accepted for.
    pub(crate) task_id: Uuid,
    pub(crate) until: i64,
}

impl Record for Seen {
    const KIND: &'static str = "document";

    fn id(&self) -> Uuid {
        self.id
    }

    fn acct_id(&self) -> Uuid {
        Uuid::nil()
    }

    fn key(&self) -> Option<String> {
        Some(self.document.clone())
    }
}
