//! The gate of quorum policies: the one place that says whether an act in a group may happen now or needs approval.
//!
//! It stands behind `authorize`: a caller without the right hears that first. What is protected and what satisfies a policy is decided
//! by `dsma_api`; here is where the policy and the approvals come from.

use dsma_api::{Act, ApiError, Approval, Approver, Group, GroupApprovalPolicy, Operation, Principal, approvers, satisfied, text};
use uuid::Uuid;

use crate::store::Store;

/// A caller's way through the policies of its account.
pub(super) struct Gate {
    store: Store,
    /// What the call comes with: the approvals of its approval request, and, where that is switched on, the caller's own.
    approvals: Vec<Approval>,
}

impl Gate {
    /// The gate for `caller`, whose call comes with `approvals`.
    pub(super) fn new(store: Store, caller: Principal, approvals: &[Approval], auto_satisfy: bool) -> Self {
        let own = approver(caller).filter(|_| auto_satisfy).map(|approver| Approval { approver, with_password: false });
        Self { store, approvals: approvals.iter().copied().chain(own).collect() }
    }

    /// Lets `act` in this group pass, where no policy protects it or the approvals are enough.
    ///
    /// # Errors
    /// 403 with the text that clients wait for approval on.
    pub(super) fn pass(&self, group_id: Uuid, act: Act) -> Result<(), ApiError> {
        // The most frequent acts that only GET_SOBJECTS or nothing protects are decided without a look at the store, where possible.
        if matches!(act, Act::Use(Operation::Verify | Operation::MacVerify)) {
            return Ok(());
        }
        match self.store.approval_policy(group_id)? {
            Some(policy) if policy.protects(act) && !satisfied(&policy.policy, &self.approvals) => {
                Err(ApiError::forbidden(text::NEEDS_APPROVAL))
            }
            _ => Ok(()),
        }
    }

    /// The groups whose sobjects may not even be listed.
    pub(super) fn hidden(&self) -> Result<Vec<Uuid>, ApiError> {
        let hides =
            |policy: &GroupApprovalPolicy| policy.protects(Act::Use(Operation::Info)) && !satisfied(&policy.policy, &self.approvals);
        let policies = self.store.approval_policies()?.into_iter();
        Ok(policies.filter(|(_, policy)| hides(policy)).map(|(group_id, _)| group_id).collect())
    }

    /// Lets somebody get or change what an approver authenticates with: it would be as good as an approval.
    ///
    /// # Errors
    /// As [`Gate::pass`].
    pub(super) fn pass_as(&self, approver: Approver) -> Result<(), ApiError> {
        groups_of(&self.store, approver)?.into_iter().try_for_each(|group| self.pass(group.group_id, Act::Policy))
    }
}

/// The approver that a caller is.
pub(super) const fn approver(caller: Principal) -> Option<Approver> {
    match caller {
        Principal::App(id) => Some(Approver::App(id)),
        Principal::User(id) => Some(Approver::User(id)),
        Principal::Plugin(_) | Principal::System | Principal::UnregisteredUser => None,
    }
}

/// The groups whose policies name this approver.
pub(super) fn groups_of(store: &Store, approver: Approver) -> Result<Vec<Group>, ApiError> {
    let mut groups = store.groups()?;
    groups.retain(|group| group.approval_policy.as_ref().is_some_and(|policy| approvers(&policy.policy).contains(&approver)));
    Ok(groups)
}

/// Refuses to delete an approver: the policy could not be satisfied any more.
pub(super) fn not_an_approver(store: &Store, approver: Approver) -> Result<(), ApiError> {
    match groups_of(store, approver)?.first() {
        None => Ok(()),
        Some(group) => {
            let name = &group.name;
            Err(ApiError::conflict(format!("The approval policy of group \"{name}\" names this approver: change the policy first")))
        }
    }
}

/// The policy that a request gives.
///
/// # Errors
/// 400 where it is malformed, names an approver that the account does not have, or asks for what this DSM cannot do.
pub(super) fn read_policy(store: &Store, given: &serde_json::Value) -> Result<GroupApprovalPolicy, ApiError> {
    let policy: GroupApprovalPolicy =
        serde_json::from_value(given.clone()).map_err(|error| ApiError::bad_request(format!("Invalid approval policy: {error}")))?;
    policy.policy.check().map_err(ApiError::bad_request)?;
    if let Some(name) = policy.protect_permissions.iter().flatten().find(|name| !GroupApprovalPolicy::PERMISSIONS.contains(&name.as_str()))
    {
        return Err(ApiError::bad_request(format!("Invalid approval policy: unknown permission `{name}`")));
    }
    if policy.policy.requires_2fa() {
        return Err(ApiError::bad_request("Invalid approval policy: require_2fa, but users of this DSM have no second factor"));
    }
    for approver in approvers(&policy.policy) {
        if !exists(store, approver)? {
            return Err(ApiError::bad_request(format!("Invalid approval policy: no such approver: {}", id(approver))));
        }
    }
    Ok(policy)
}

/// Tells the operator when nobody but apps can approve: once such an app is lost, so is what the policy protects.
pub(super) fn warn_without_people(group: &Group) {
    if let Some(policy) = &group.approval_policy
        && approvers(&policy.policy).iter().all(|approver| matches!(approver, Approver::App(_)))
    {
        tracing::warn!(
            "only apps can approve in group \"{}\": add human reviewers to its policy, or its keys are out of reach once the app is lost",
            group.name
        );
    }
}

/// Whether the account has this app or member.
pub(super) fn exists(store: &Store, approver: Approver) -> Result<bool, ApiError> {
    Ok(match approver {
        Approver::App(id) => store.app(id)?.is_some(),
        Approver::User(id) => store.member(id)?.is_some(),
    })
}

const fn id(approver: Approver) -> Uuid {
    match approver {
        Approver::App(id) | Approver::User(id) => id,
    }
}
