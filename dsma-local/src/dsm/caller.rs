//! Who asks, within an account, and what that lets them do: apps by role and permissions, users by role and groups.

use dsma_api::{ApiError, AppRole, Permission, Permissions, Principal, User, UserRole};
use uuid::Uuid;

use super::quorum::Gate;
use crate::store::{AppRow, Member};

/// The wire name of a user's role in a group who manages it; every other role there may look only.
pub(super) const GROUP_ADMINISTRATOR: &str = "GROUPADMINISTRATOR";

/// An authenticated app or user, as it is in the store now.
pub(super) struct Caller {
    pub(super) who: Who,
    /// The session's token, where it came with one.
    pub(super) token: Option<String>,
    /// The way through quorum policies.
    pub(super) gate: Gate,
}

/// An app, or a user in the account that the session has selected.
pub(super) enum Who {
    App(AppRow),
    User(User, Member),
}

impl Caller {
    pub(super) const fn id(&self) -> Uuid {
        match &self.who {
            Who::App(row) => row.app.app_id,
            Who::User(user, _) => user.user_id,
        }
    }

    /// The caller as the log and other objects name it.
    pub(super) const fn principal(&self) -> Principal {
        match &self.who {
            Who::App(row) => Principal::App(row.app.app_id),
            Who::User(user, _) => Principal::User(user.user_id),
        }
    }

    /// Group of sobjects that it makes without naming one.
    pub(super) const fn default_group(&self) -> Option<Uuid> {
        match &self.who {
            Who::App(row) => row.app.default_group,
            Who::User(..) => None,
        }
    }

    /// The groups that it belongs to.
    pub(super) fn groups(&self) -> impl Iterator<Item = Uuid> {
        let groups: Vec<Uuid> = match &self.who {
            Who::App(row) => row.groups.keys().copied().collect(),
            Who::User(_, member) => member.groups.keys().copied().collect(),
        };
        groups.into_iter()
    }

    pub(super) const fn is_app(&self) -> bool {
        matches!(self.who, Who::App(_))
    }

    /// Whether it manages the account: an app with role admin, an account administrator.
    pub(super) fn is_admin(&self) -> bool {
        match &self.who {
            Who::App(row) => row.app.role == AppRole::Admin,
            Who::User(_, member) => member.role() == UserRole::Administrator,
        }
    }

    /// Whether it sees the whole account: whoever manages it, and auditors.
    pub(super) fn sees_all(&self) -> bool {
        self.is_admin() || matches!(&self.who, Who::User(_, member) if member.role() == UserRole::Auditor)
    }

    /// Permissions in a group; `None` outside. Whoever manages the account manages every group's sobjects, and uses keys where it is a
    /// member. Users use no keys: they make, change and destroy them in the groups that they administer.
    pub(super) fn permissions(&self, group_id: Uuid) -> Option<Permissions> {
        const MANAGE: Permissions = Permissions::of(&[Permission::Manage]);
        match &self.who {
            Who::App(row) => {
                let held = row.groups.get(&group_id).copied();
                if self.is_admin() { Some(held.unwrap_or_default().union(MANAGE)) } else { held }
            }
            Who::User(..) if self.administers(group_id) => Some(MANAGE),
            Who::User(_, member) => (self.sees_all() || member.groups.contains_key(&group_id)).then_some(Permissions::NONE),
        }
    }

    /// Whether it manages this group itself: its description, its policy, its end.
    pub(super) fn administers(&self, group_id: Uuid) -> bool {
        self.is_admin()
            || match &self.who {
                Who::App(_) => false,
                // An auditor changes nothing, whatever a group says.
                Who::User(_, member) if member.role() == UserRole::Auditor => false,
                Who::User(_, member) => {
                    member.groups.get(&group_id).is_some_and(|roles| roles.iter().any(|role| role == GROUP_ADMINISTRATOR))
                }
            }
    }

    /// Refuses everybody who does not manage the account.
    pub(super) fn need_admin(&self) -> Result<(), ApiError> {
        if self.is_admin() { Ok(()) } else { Err(self.not_admin()) }
    }

    /// Refuses everybody who does not see the whole account.
    pub(super) fn need_sight(&self) -> Result<(), ApiError> {
        if self.sees_all() { Ok(()) } else { Err(self.not_admin()) }
    }

    /// Refuses everybody who does not manage this group.
    pub(super) fn need_group_admin(&self, group_id: Uuid) -> Result<(), ApiError> {
        if self.administers(group_id) { Ok(()) } else { Err(self.not_admin()) }
    }

    fn not_admin(&self) -> ApiError {
        ApiError::forbidden(match self.who {
            Who::App(_) => "Only an app with role admin may do this",
            Who::User(..) => "Your role in this account does not allow this",
        })
    }
}
