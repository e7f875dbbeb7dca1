//! Accounts, and the users who belong to them: `/sys/v1/accounts`, `/sys/v1/users`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::Time;

/// What a user may do in an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserRole {
    /// Manages everything.
    Administrator,
    /// Uses the groups that the user belongs to, and makes new ones.
    Member,
    /// Sees everything and changes nothing.
    Auditor,
}

impl UserRole {
    /// The name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Administrator => "ACCOUNTADMINISTRATOR",
            Self::Member => "ACCOUNTMEMBER",
            Self::Auditor => "ACCOUNTAUDITOR",
        }
    }

    /// The role with this wire name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Administrator, Self::Member, Self::Auditor].into_iter().find(|role| role.name() == name)
    }
}

/// An account as DSM shows it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Account {
    /// Id.
    pub acct_id: Uuid,
    /// Name; accounts may share one.
    pub name: String,
    /// Free text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// When it was made.
    pub created_at: Time,
    /// Whether it is in use.
    pub enabled: bool,
    /// Seconds after which an approval request expires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval_request_expiry: Option<u32>,
    /// Free pairs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom_metadata: Option<BTreeMap<String, String>>,
    /// What clients are told to use: `common`, `pkcs11`, `kmip`, `tep`.
    #[serde(default)]
    pub client_configurations: Map<String, Value>,
}

impl Account {
    /// An account that begins now.
    #[must_use]
    pub fn new(acct_id: Uuid, name: String) -> Self {
        Self {
            acct_id,
            name,
            description: None,
            created_at: Time::now(),
            enabled: true,
            approval_request_expiry: None,
            custom_metadata: None,
            client_configurations: Map::new(),
        }
    }
}

/// Body of `POST|PATCH /sys/v1/accounts`, as far as this DSM keeps it; the rest is in `others`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct AccountRequest {
    /// Name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Free text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Seconds after which an approval request expires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval_request_expiry: Option<u32>,
    /// Free pairs; replaced whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom_metadata: Option<BTreeMap<String, String>>,
    /// What clients are told to use: each part replaced whole, `"remove"` takes it away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_configurations: Option<Map<String, Value>>,
    /// Whether it is in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Everything else that was sent.
    #[serde(flatten)]
    pub others: Map<String, Value>,
}

/// A user as DSM shows it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct User {
    /// Id.
    pub user_id: Uuid,
    /// The address that the user logs in with, in lower case.
    pub user_email: String,
    /// First name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_name: Option<String>,
    /// Last name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_name: Option<String>,
    /// Free text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// When the user signed up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Time>,
    /// Role and state in the account that is looked at.
    #[serde(default)]
    pub account_role: Vec<String>,
    /// Roles by group in that account.
    #[serde(default)]
    pub groups: BTreeMap<Uuid, Vec<String>>,
    /// Whether the user may log in with a password.
    #[serde(default)]
    pub has_password: bool,
    /// Whether the user belongs to any account.
    #[serde(default)]
    pub has_account: bool,
    /// Second factors: this DSM has none.
    #[serde(default)]
    pub u2f_devices: Vec<Value>,
    /// Second factors: this DSM has none.
    #[serde(default)]
    pub mfa_devices: Vec<Value>,
}

/// Body of `POST /sys/v1/users`. No `Debug`: it holds a password.
#[derive(Clone, Serialize, Deserialize)]
pub struct SignupRequest {
    /// Address.
    pub user_email: String,
    /// Password.
    pub user_password: String,
    /// First name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_name: Option<String>,
    /// Last name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_name: Option<String>,
}

/// Body of `POST /sys/v1/users/invite` and `PATCH /sys/v1/users/{id}`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct UserRequest {
    /// Address, for an invitation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_email: Option<String>,
    /// Role in the account, by wire name, with or without state flags.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_role: Option<Vec<String>>,
    /// Roles by group, to add.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub add_groups: Option<BTreeMap<Uuid, Vec<String>>>,
    /// Roles by group, to replace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mod_groups: Option<BTreeMap<Uuid, Vec<String>>>,
    /// Groups to leave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub del_groups: Option<BTreeMap<Uuid, Vec<String>>>,
    /// Whether the user may enter the account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enable: Option<bool>,
    /// First name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_name: Option<String>,
    /// Last name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_name: Option<String>,
    /// Free text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}
