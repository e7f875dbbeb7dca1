//! Quorum policies: who must approve what before it happens in a group, and whether the approvals at hand are enough.
//!
//! Source: `GroupApprovalPolicy`, `QuorumPolicy` and `Quorum` of the OpenAPI, and Fortanix's guide to quorum policies for groups.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Operation, Permission};

/// Who can approve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Approver {
    /// An app.
    App(Uuid),
    /// A user.
    User(Uuid),
}

/// One approval that somebody gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// Who.
    #[serde(flatten)]
    pub approver: Approver,
    /// Whether a user typed the password for this very approval.
    pub with_password: bool,
}

/// One approver, or `n` of several policies. The wire's three optional members are exactly one of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "WirePolicy", into = "WirePolicy")]
pub enum QuorumPolicy {
    /// This one.
    One(Approver),
    /// Some of these.
    Quorum(Quorum),
}

/// `n` of `members`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quorum {
    /// How many members must be satisfied.
    pub n: u32,
    /// What is counted. One member counts once, whoever satisfies it.
    pub members: Vec<QuorumPolicy>,
    /// Approvals of users count only with their password, here and below.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub require_password: Option<bool>,
    /// Approvals of users count only with a second factor, here and below.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub require_2fa: Option<bool>,
}

/// A group's policy: who approves, and what needs it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupApprovalPolicy {
    /// Who approves.
    #[serde(flatten)]
    pub policy: QuorumPolicy,
    /// Whether cryptographic operations need approval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protect_crypto_operations: Option<bool>,
    /// The management of sobjects that needs approval, by wire name; see [`GroupApprovalPolicy::PERMISSIONS`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protect_permissions: Option<Vec<String>>,
    /// Deprecated: all management of sobjects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protect_manage_operations: Option<bool>,
}

/// What somebody is about to do in a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Use a sobject.
    Use(Operation),
    /// Change a sobject, by virtue of this permission.
    Change(Permission),
    /// Change the policy itself, or act as one of its approvers: delete the group, read an approver's credential.
    Policy,
}

/// Whether `approvals` satisfy `policy`.
///
/// A quorum counts satisfied members, not approvals: one approver that is named twice satisfies both. A quorum of more members than
/// there are is never satisfied; one of none always is.
#[must_use]
pub fn satisfied(policy: &QuorumPolicy, approvals: &[Approval]) -> bool {
    holds(policy, approvals, false)
}

/// Everybody that `policy` names.
#[must_use]
pub fn approvers(policy: &QuorumPolicy) -> BTreeSet<Approver> {
    match policy {
        QuorumPolicy::One(approver) => BTreeSet::from([*approver]),
        QuorumPolicy::Quorum(quorum) => quorum.members.iter().flat_map(approvers).collect(),
    }
}

/// Whether an approval of `approver` counts only with the password, wherever the policy names it.
#[must_use]
pub fn requires_password(policy: &QuorumPolicy, approver: Approver) -> bool {
    match policy {
        QuorumPolicy::One(_) => false,
        QuorumPolicy::Quorum(quorum) if quorum.require_password == Some(true) => {
            matches!(approver, Approver::User(_)) && approvers(policy).contains(&approver)
        }
        QuorumPolicy::Quorum(quorum) => quorum.members.iter().any(|member| requires_password(member, approver)),
    }
}

fn holds(policy: &QuorumPolicy, approvals: &[Approval], password: bool) -> bool {
    match policy {
        QuorumPolicy::One(approver) => {
            let password = password && matches!(approver, Approver::User(_));
            approvals.iter().any(|given| given.approver == *approver && (given.with_password || !password))
        }
        QuorumPolicy::Quorum(quorum) => {
            let password = password || quorum.require_password == Some(true);
            quorum.members.iter().filter(|member| holds(member, approvals, password)).count() >= quorum.n as usize
        }
    }
}

impl QuorumPolicy {
    /// Whether the policy makes sense: each quorum has members and asks for at least one and at most all of them.
    ///
    /// # Errors
    /// A sentence that says what does not.
    pub fn check(&self) -> Result<(), String> {
        let Self::Quorum(quorum) = self else {
            return Ok(());
        };
        if quorum.members.is_empty() {
            return Err("Invalid approval policy: a quorum has no members".into());
        }
        if quorum.n == 0 || quorum.n as usize > quorum.members.len() {
            return Err(format!("Invalid approval policy: n is {} of {} members", quorum.n, quorum.members.len()));
        }
        quorum.members.iter().try_for_each(Self::check)
    }

    /// Whether a second factor is required anywhere.
    #[must_use]
    pub fn requires_2fa(&self) -> bool {
        match self {
            Self::One(_) => false,
            Self::Quorum(quorum) => quorum.require_2fa == Some(true) || quorum.members.iter().any(Self::requires_2fa),
        }
    }
}

impl GroupApprovalPolicy {
    /// The names that `protect_permissions` may hold (`QuorumGroupPermissions`).
    pub const PERMISSIONS: &'static [&'static str] = &[
        "GET_SOBJECTS",
        "ROTATE_SOBJECTS",
        "REVOKE_SOBJECTS",
        "REVERT_SOBJECTS",
        "DELETE_KEY_MATERIAL",
        "DELETE_SOBJECTS",
        "DESTROY_SOBJECTS",
        "MOVE_SOBJECTS",
        "CREATE_SOBJECTS",
        "UPDATE_SOBJECTS_PROFILE",
        "UPDATE_SOBJECTS_ENABLED_STATE",
        "UPDATE_SOBJECT_POLICIES",
        "ACTIVATE_SOBJECTS",
        "UPDATE_KEY_OPS",
    ];

    /// Whether `act` needs approval.
    ///
    /// `protect_crypto_operations` guards what uses key material, except what only checks (verify, macverify), and whatever would take a
    /// key out of the group's reach: copies and moves. `protect_permissions` guards what it names. Where neither it nor
    /// `protect_manage_operations` is there, the published guide's list holds: deletion, change of description, rotation, move.
    #[must_use]
    pub fn protects(&self, act: Act) -> bool {
        let crypto = self.protect_crypto_operations == Some(true);
        match act {
            Act::Policy => true,
            Act::Use(Operation::Info) => self.names("GET_SOBJECTS"),
            Act::Use(Operation::Verify | Operation::MacVerify | Operation::Manage) => false,
            Act::Use(_) => crypto,
            Act::Change(Permission::MoveSobjects | Permission::CopySobjects) if crypto => true,
            Act::Change(permission) => match (self.protect_manage_operations, &self.protect_permissions) {
                (Some(true), _) => true,
                (_, Some(_)) => self.names(permission.name()),
                (None, None) => GUIDE.contains(&permission),
                (Some(false), None) => false,
            },
        }
    }

    fn names(&self, name: &str) -> bool {
        self.protect_permissions.iter().flatten().any(|protected| protected == name)
    }
}

/// What the guide lists beside the cryptographic operations.
const GUIDE: &[Permission] = &[
    Permission::DeleteSobjects,
    Permission::DestroySobjects,
    Permission::DeleteKeyMaterial,
    Permission::UpdateSobjectsProfile,
    Permission::RotateSobjects,
    Permission::MoveSobjects,
];

/// The wire's form of [`QuorumPolicy`].
#[derive(Serialize, Deserialize)]
struct WirePolicy {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    quorum: Option<Quorum>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user: Option<Uuid>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    app: Option<Uuid>,
}

impl TryFrom<WirePolicy> for QuorumPolicy {
    type Error = &'static str;

    fn try_from(wire: WirePolicy) -> Result<Self, Self::Error> {
        match (wire.quorum, wire.user, wire.app) {
            (Some(quorum), None, None) => Ok(Self::Quorum(quorum)),
            (None, Some(user), None) => Ok(Self::One(Approver::User(user))),
            (None, None, Some(app)) => Ok(Self::One(Approver::App(app))),
            _ => Err("an approval policy has exactly one of `quorum`, `user` and `app`"),
        }
    }
}

impl From<QuorumPolicy> for WirePolicy {
    fn from(policy: QuorumPolicy) -> Self {
        let none = Self { quorum: None, user: None, app: None };
        match policy {
            QuorumPolicy::Quorum(quorum) => Self { quorum: Some(quorum), ..none },
            QuorumPolicy::One(Approver::User(user)) => Self { user: Some(user), ..none },
            QuorumPolicy::One(Approver::App(app)) => Self { app: Some(app), ..none },
        }
    }
}

#[cfg(test)]
mod tests;
