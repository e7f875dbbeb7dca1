//! Sessions, apps, groups and the audit log: `/sys/v1`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::{ExportPolicy, GroupApprovalPolicy, GroupPolicies, Permissions, Time};

/// Answer of `POST /sys/v1/session/auth`.
#[derive(Clone, Serialize, Deserialize)]
pub struct AuthResponse {
    /// `Bearer`.
    pub token_type: String,
    /// Idle time in seconds after which the token dies.
    pub expires_in: u64,
    /// The token: a secret.
    pub access_token: String,
    /// The app or user that it stands for.
    pub entity_id: Uuid,
}

impl std::fmt::Debug for AuthResponse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AuthResponse").field("entity_id", &self.entity_id).field("expires_in", &self.expires_in).finish_non_exhaustive()
    }
}

/// Answer of `GET /sys/v1/version`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct VersionResponse {
    /// `x.y.z`: clients parse it strictly.
    pub version: String,
    /// Version of the REST surface.
    pub api_version: String,
    /// `Software` or `Sgx`.
    pub server_mode: String,
}

/// Who did something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Principal {
    /// An app.
    App(Uuid),
    /// A user.
    User(Uuid),
    /// A plugin.
    Plugin(Uuid),
    /// DSM itself.
    System,
    /// A user before sign-up.
    UnregisteredUser,
}

/// Role of an app.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AppRole {
    /// Uses keys.
    #[default]
    Crypto,
    /// Manages the account.
    Admin,
}

/// Groups of an app: with permissions where `group_permissions=true` was asked, else ids alone.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum AppGroups {
    /// Permissions by group.
    Permissions(BTreeMap<Uuid, Permissions>),
    /// Group ids.
    Ids(Vec<Uuid>),
}

/// The addresses that an app may call from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IpAddressPolicy {
    /// Any.
    #[default]
    AllowAll,
    /// These addresses and networks (CIDR).
    Whitelist(Vec<String>),
}

/// An app as DSM shows it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct App {
    /// Account.
    pub acct_id: Uuid,
    /// Id.
    pub app_id: Uuid,
    /// Free text, `default` where not set.
    pub app_type: String,
    /// Name, unique within the account.
    pub name: String,
    /// Free text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Who made it.
    pub creator: Principal,
    /// When it was made.
    pub created_at: Time,
    /// Last use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lastused_at: Option<Time>,
    /// Whether it may log in.
    pub enabled: bool,
    /// Group of keys that it makes without naming one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_group: Option<Uuid>,
    /// Its groups.
    pub groups: AppGroups,
    /// How it authenticates: `Secret`, `Certificate`, `TrustedCa`, ...
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_type: Option<String>,
    /// When its certificate ends, or the last of its CA certificates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cert_not_after: Option<Time>,
    /// Role.
    #[serde(default)]
    pub role: AppRole,
    /// The addresses that it may call from.
    #[serde(default)]
    pub ip_address_policy: IpAddressPolicy,
    /// What it is told to use: `common`, `pkcs11`, `kmip`, `tep`.
    #[serde(default)]
    pub client_configurations: Map<String, Value>,
}

/// Body of `POST|PATCH /sys/v1/apps`. Permission names are checked by the server.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct AppRequest {
    /// Name, unique within the account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Free text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Free text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_type: Option<String>,
    /// Whether it may log in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Group of keys that it makes without naming one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_group: Option<Uuid>,
    /// Memberships to add.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub add_groups: Option<GroupNames>,
    /// Memberships to change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mod_groups: Option<GroupNames>,
    /// Memberships to end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub del_groups: Option<Vec<Uuid>>,
    /// How it authenticates; an API key is made where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<Value>,
    /// Role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<AppRole>,
    /// Length of the secret in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_size: Option<u32>,
    /// Seconds for which the credential before this one still holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential_migration_period: Option<u32>,
    /// The addresses that it may call from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip_address_policy: Option<IpAddressPolicy>,
    /// What it is told to use: each part replaced whole, `"remove"` takes it away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_configurations: Option<Map<String, Value>>,
}

/// Memberships in a request: permission names by group, or ids alone for the full classic set.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum GroupNames {
    /// Permission names by group.
    Permissions(BTreeMap<Uuid, Vec<String>>),
    /// Group ids.
    Ids(Vec<Uuid>),
}

/// A group as DSM shows it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Group {
    /// Account.
    pub acct_id: Uuid,
    /// Id.
    pub group_id: Uuid,
    /// Name, unique within the account.
    pub name: String,
    /// Free text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Who made it.
    pub creator: Principal,
    /// When it was made.
    pub created_at: Time,
    /// Who must approve what.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval_policy: Option<GroupApprovalPolicy>,
    /// What it asks of its sobjects.
    #[serde(flatten)]
    pub policies: GroupPolicies,
    /// Free pairs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom_metadata: Option<BTreeMap<String, String>>,
    /// What its apps are told to use: `common`, `pkcs11`, `kmip`, `tep`.
    #[serde(default)]
    pub client_configurations: Map<String, Value>,
}

/// Body of `POST|PATCH /sys/v1/groups`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct GroupRequest {
    /// Name, unique within the account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Free text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// A [`GroupApprovalPolicy`], or the word `"remove"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval_policy: Option<Value>,
    /// A quorum policy, or the word `"remove"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custodian_policy: Option<Value>,
    /// A [`CryptographicPolicy`](crate::CryptographicPolicy), or the word `"remove"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cryptographic_policy: Option<Value>,
    /// How material may leave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub export_policy: Option<ExportPolicy>,
    /// A [`KeyMetadataPolicy`](crate::KeyMetadataPolicy), or the word `"remove"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_metadata_policy: Option<Value>,
    /// Free pairs; replaced whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom_metadata: Option<BTreeMap<String, String>>,
    /// Everything else that was sent.
    #[serde(flatten)]
    pub others: Map<String, Value>,
    /// What its apps are told to use: each part replaced whole, `"remove"` takes it away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_configurations: Option<Map<String, Value>>,
}

/// Answer of `GET /sys/v1/logs`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AuditLog {
    /// Newest first.
    pub hits: Vec<AuditHit>,
}

/// One line of the audit log with its id.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AuditHit {
    /// Id of the line, for paging.
    #[serde(rename = "_id")]
    pub id: String,
    /// The line.
    #[serde(rename = "_source")]
    pub source: AuditRecord,
}

/// One line of the audit log.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AuditRecord {
    /// `CRYPTOOPERATION`, `AUTH`, `ADMINISTRATIVE`, ...
    pub action_type: String,
    /// `App`, `User` or `Plugin`.
    pub actor_type: String,
    /// Human text: what was done, by whom, to what.
    pub message: String,
    /// `INFO`, `WARNING`, `ERROR` or `CRITICAL`.
    pub severity: String,
    /// RFC 3339, UTC: this endpoint's own format.
    pub time: String,
    /// Account.
    pub acct_id: Uuid,
    /// Who did it.
    pub actor_id: Uuid,
    /// Groups involved.
    pub group_ids: Vec<Uuid>,
    /// What it was done to.
    pub object_id: Uuid,
    /// Peer address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_ip: Option<String>,
}
