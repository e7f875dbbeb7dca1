//! Builds, which the vendor's user interface calls images: releases of an app, known by their measurements.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::store::Record;

/// A build.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Build {
    pub(crate) build_id: Uuid,
    pub(crate) acct_id: Uuid,
    pub(crate) app_id: Uuid,
    pub(crate) app_name: String,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
    pub(crate) status: BuildStatus,
    pub(crate) status_updated_at: i64,
    pub(crate) measurement: Measurement,
    pub(crate) docker_info: Option<Value>,
    pub(crate) advanced_settings: Option<Value>,
    pub(crate) launch_hint: Option<Value>,
    pub(crate) mem_size: Option<i64>,
    pub(crate) threads: Option<i64>,
    pub(crate) enable_overlay_filesystem_persistence: bool,
    /// App configurations that this build may use, by id.
    pub(crate) configs: BTreeMap<String, Value>,
    pub(crate) pending_task_id: Option<Uuid>,
    pub(crate) group_id: Option<Uuid>,
}

/// Whether a build is approved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum BuildStatus {
    Pending,
    Whitelisted,
    Rejected,
}

/// What a build is known by. Hexadecimal in small letters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Measurement {
    NitroEnclave { pcr0: String, pcr1: String, pcr2: String },
    Sgx { mrenclave: String, mrsigner: String, isvprodid: i64, isvsvn: i64 },
}

impl Measurement {
    /// What no two builds of an account share.
    fn identity(&self) -> String {
        match self {
            Self::NitroEnclave { pcr0, pcr1, pcr2 } => format!("nitro {pcr0} {pcr1} {pcr2}"),
            Self::Sgx { mrenclave, .. } => format!("sgx {mrenclave}"),
        }
    }
}

impl Build {
    /// Its key in the store.
    pub(crate) fn key_of(acct_id: Uuid, measurement: &Measurement) -> String {
        format!("{acct_id}/{}", measurement.identity())
    }
}

impl Record for Build {
    const KIND: &'static str = "build";

    fn id(&self) -> Uuid {
        self.build_id
    }

    fn acct_id(&self) -> Uuid {
        self.acct_id
    }

    fn key(&self) -> Option<String> {
        Some(Self::key_of(self.acct_id, &self.measurement))
    }
}
