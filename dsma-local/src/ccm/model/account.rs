//! Accounts, users, and who belongs where.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::store::Record;

/// An account. Apps, builds, nodes and tasks belong to one; each account has one zone.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Account {
    pub(crate) acct_id: Uuid,
    pub(crate) name: String,
    /// Seconds since the epoch, as all times of CCM.
    pub(crate) created_at: i64,
    pub(crate) node_enrollment: NodeEnrollment,
    pub(crate) default_group_id: Option<Uuid>,
    pub(crate) custom_logo: Option<String>,
}

/// CCM's own switch for test accounts.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct NodeEnrollment {
    /// The account trusts this machine's emulated NSM beside AWS. It changes no check.
    pub(crate) attestation_enforcement_disabled_insecure: bool,
}

impl Account {
    /// Whether the account is marked insecure.
    pub(crate) const fn is_insecure(&self) -> bool {
        self.node_enrollment.attestation_enforcement_disabled_insecure
    }
}

impl Record for Account {
    const KIND: &'static str = "account";

    fn id(&self) -> Uuid {
        self.acct_id
    }

    // Every account is found among all of them.
    fn acct_id(&self) -> Uuid {
        Uuid::nil()
    }

    fn key(&self) -> Option<String> {
        None
    }
}

/// A user, of whatever accounts. The password's hash is its secret.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct User {
    pub(crate) user_id: Uuid,
    /// In small letters: two addresses that differ in case are one.
    pub(crate) user_email: String,
    pub(crate) first_name: Option<String>,
    pub(crate) last_name: Option<String>,
    pub(crate) created_at: i64,
    pub(crate) last_logged_in_at: Option<i64>,
}

impl Record for User {
    const KIND: &'static str = "user";

    fn id(&self) -> Uuid {
        self.user_id
    }

    fn acct_id(&self) -> Uuid {
        Uuid::nil()
    }

    fn key(&self) -> Option<String> {
        Some(self.user_email.clone())
    }
}

/// What a user may do in an account. The higher ones may do what the lower ones may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Role {
    /// Looks.
    Reader,
    /// Makes apps and builds, and approves tasks.
    Writer,
    /// Manages users, zones and nodes.
    Manager,
}

impl Role {
    /// As on the wire.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Reader => "READER",
            Self::Writer => "WRITER",
            Self::Manager => "MANAGER",
        }
    }
}

/// How a membership stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum MemberStatus {
    Active,
    /// Invited, and has not answered yet.
    Pending,
    Disabled,
}

/// A user's membership in an account.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Member {
    pub(crate) id: Uuid,
    pub(crate) acct_id: Uuid,
    pub(crate) user_id: Uuid,
    pub(crate) roles: Vec<Role>,
    pub(crate) status: MemberStatus,
}

impl Member {
    /// A membership with one role.
    pub(crate) fn new(acct_id: Uuid, user_id: Uuid, role: Role) -> Self {
        Self { id: Uuid::new_v4(), acct_id, user_id, roles: vec![role], status: MemberStatus::Active }
    }

    /// Whether the member has this role or a higher one.
    pub(crate) fn may(&self, role: Role) -> bool {
        self.roles.iter().any(|held| *held >= role)
    }

    /// Its key in the store.
    pub(crate) fn key_of(acct_id: Uuid, user_id: Uuid) -> String {
        format!("{acct_id}/{user_id}")
    }
}

impl Record for Member {
    const KIND: &'static str = "member";

    fn id(&self) -> Uuid {
        self.id
    }

    fn acct_id(&self) -> Uuid {
        self.acct_id
    }

    fn key(&self) -> Option<String> {
        Some(Self::key_of(self.acct_id, self.user_id))
    }
}
