//! Apps: what may be certified, for which domains, and on what evidence.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::store::Record;

/// An app. Members as the OpenAPI names them; those that this version only keeps are JSON.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct App {
    pub(crate) app_id: Uuid,
    pub(crate) acct_id: Uuid,
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
    pub(crate) input_image_name: String,
    pub(crate) output_image_name: String,
    pub(crate) isvprodid: i64,
    pub(crate) isvsvn: i64,
    pub(crate) mem_size: i64,
    pub(crate) threads: i64,
    pub(crate) default_build_settings: Value,
    pub(crate) advanced_settings: Option<Value>,
    /// The domains that the app shall have.
    pub(crate) allowed_domains: Vec<String>,
    /// The domains that were approved.
    pub(crate) whitelisted_domains: Vec<String>,
    /// The task that awaits a decision about the difference.
    pub(crate) pending_task_id: Option<Uuid>,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) custom_metadata: BTreeMap<String, String>,
    pub(crate) certificate_policy: CertificatePolicy,
    pub(crate) signers: Vec<Signer>,
    pub(crate) group_id: Option<Uuid>,
}

/// What a request for a certificate must show.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct CertificatePolicy {
    pub(crate) require_known_image: bool,
    pub(crate) require_known_signer: bool,
    #[serde(default = "yes")]
    pub(crate) require_known_node: bool,
}

/// Who may sign images of an app.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Signer {
    Sgx {
        mrsigner: String,
        isvprodid: i64,
    },
    /// PCR8, hexadecimal in small letters.
    NitroEnclave {
        pcr8: String,
    },
}

impl Default for CertificatePolicy {
    fn default() -> Self {
        Self { require_known_image: true, require_known_signer: false, require_known_node: true }
    }
}

impl App {
    /// The domains that the pending task adds, and those that it removes.
    pub(crate) fn difference(&self) -> (Vec<String>, Vec<String>) {
        let without = |all: &[String], others: &[String]| all.iter().filter(|domain| !others.contains(domain)).cloned().collect();
        (without(&self.allowed_domains, &self.whitelisted_domains), without(&self.whitelisted_domains, &self.allowed_domains))
    }

    /// Its key in the store.
    pub(crate) fn key_of(acct_id: Uuid, name: &str) -> String {
        format!("{acct_id}/{name}")
    }
}

impl Record for App {
    const KIND: &'static str = "app";

    fn id(&self) -> Uuid {
        self.app_id
    }

    fn acct_id(&self) -> Uuid {
        self.acct_id
    }

    fn key(&self) -> Option<String> {
        Some(Self::key_of(self.acct_id, &self.name))
    }
}

const fn yes() -> bool {
    true
}
