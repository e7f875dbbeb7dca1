//! What an operation acts upon, and whose approval that takes.
//!
//! It is read from the path and the body, before the operation runs. Where this misses something, the request has too few reviewers and
//! its operation is refused by the gate: a mistake here never lets anything through.

use std::collections::BTreeSet;

use dsma_api::{
    ApiError, ApprovalSubject, Approver, QuorumPolicy, Reviewer, SobjectDescriptor, approvers, requires_password, satisfied, text,
};
use serde_json::Value;
use uuid::Uuid;

use crate::dsm::authentication::Caller;
use crate::dsm::call::Call;
use crate::dsm::quorum::groups_of;
use crate::store::Store;

/// Members of a body that hold the descriptor of a sobject.
const DESCRIPTORS: &[&str] = &["key", "subject", "private_key", "public_key", "replaced", "replacement"];
/// Endpoints whose body as a whole is such a descriptor, or names a sobject like one.
const BODY_IS_DESCRIPTOR: &[&str] = &["/crypto/v1/keys/export", "/crypto/v1/keys/info", "/crypto/v1/keys/rekey"];

/// Objects, and the groups whose policies count.
#[derive(Default)]
pub(super) struct Acted {
    pub(super) subjects: Vec<ApprovalSubject>,
    pub(super) groups: Vec<Uuid>,
}

impl Acted {
    /// What the operation acts upon, as far as the caller may see it.
    ///
    /// # Errors
    /// 404 for a sobject that the caller does not see.
    pub(super) fn find(call: &Call, caller: &Caller, path: &str, body: Option<&Value>) -> Result<Self, ApiError> {
        let mut acted = Collector { call, caller, subjects: BTreeSet::new(), groups: BTreeSet::new() };
        acted.path(path)?;
        if let Some(body) = body {
            if BODY_IS_DESCRIPTOR.contains(&path) {
                acted.descriptor(body)?;
            }
            acted.body(body)?;
        }
        Ok(Self { subjects: acted.subjects.into_iter().collect(), groups: acted.groups.into_iter().collect() })
    }
}

/// Everybody whom the policies of these groups name.
pub(super) fn reviewers(store: &Store, groups: &[Uuid]) -> Result<Vec<Reviewer>, ApiError> {
    let policies = policies(store, groups)?;
    let named: BTreeSet<Approver> = policies.iter().flat_map(approvers).collect();
    let reviewer = |approver| Reviewer {
        approver,
        requires_password: policies.iter().any(|policy| requires_password(policy, approver)),
        requires_2fa: false,
    };
    Ok(named.into_iter().map(reviewer).collect())
}

/// Whether these approvals satisfy the policies of all groups, as the policies are now.
pub(super) fn enough(store: &Store, groups: &[Uuid], approvals: &[dsma_api::Approval]) -> Result<bool, ApiError> {
    Ok(policies(store, groups)?.iter().all(|policy| satisfied(policy, approvals)))
}

fn policies(store: &Store, groups: &[Uuid]) -> Result<Vec<QuorumPolicy>, ApiError> {
    let policies = groups.iter().filter_map(|group_id| store.approval_policy(*group_id).transpose());
    Ok(policies.map(|policy| policy.map(|policy| policy.policy)).collect::<Result<_, _>>()?)
}

struct Collector<'a> {
    call: &'a Call,
    caller: &'a Caller,
    subjects: BTreeSet<ApprovalSubject>,
    groups: BTreeSet<Uuid>,
}

impl Collector<'_> {
    fn path(&mut self, path: &str) -> Result<(), ApiError> {
        let mut segments = path.split('/').skip(3);
        let (kind, id) = (segments.next().unwrap_or_default(), segments.next().and_then(|id| Uuid::parse_str(id).ok()));
        match (kind, id) {
            ("keys", Some(kid)) => self.sobject(&SobjectDescriptor::Kid(kid)),
            ("groups", Some(group_id)) => self.group(group_id),
            ("apps", Some(app_id)) => self.app(app_id),
            _ => Ok(()),
        }
    }

    /// Looks for descriptors and groups at any depth: batches nest.
    fn body(&mut self, value: &Value) -> Result<(), ApiError> {
        match value {
            Value::Array(items) => items.iter().try_for_each(|item| self.body(item)),
            Value::Object(members) => {
                for (name, member) in members {
                    match name.as_str() {
                        "kid" => self.descriptor(value)?,
                        "group_id" => {
                            if let Some(group_id) = member.as_str().and_then(|id| Uuid::parse_str(id).ok()) {
                                self.group(group_id)?;
                            }
                        }
                        name if DESCRIPTORS.contains(&name) => self.descriptor(member)?,
                        "operation" => {
                            if let Some(operation) = member.as_str() {
                                self.path(operation.split('?').next().unwrap_or_default())?;
                            }
                        }
                        _ => {}
                    }
                    self.body(member)?;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn descriptor(&mut self, value: &Value) -> Result<(), ApiError> {
        let text = |name: &str| value.get(name).and_then(Value::as_str);
        if let Some(kid) = text("kid").and_then(|kid| Uuid::parse_str(kid).ok()) {
            return self.sobject(&SobjectDescriptor::Kid(kid));
        }
        text("name").map_or(Ok(()), |name| self.sobject(&SobjectDescriptor::Name(name.to_owned())))
    }

    fn sobject(&mut self, descriptor: &SobjectDescriptor) -> Result<(), ApiError> {
        let row = self.call.store().sobject(descriptor)?.filter(|row| self.caller.permissions(row.group_id).is_some());
        let row = row.ok_or_else(|| ApiError::not_found(text::NO_SOBJECT))?;
        self.subjects.insert(ApprovalSubject::Sobject(row.kid));
        self.groups.insert(row.group_id);
        Ok(())
    }

    fn group(&mut self, group_id: Uuid) -> Result<(), ApiError> {
        self.caller.permissions(group_id).and(self.call.store().group(group_id)?).ok_or_else(crate::dsm::groups::no_group)?;
        self.subjects.insert(ApprovalSubject::Group(group_id));
        self.groups.insert(group_id);
        Ok(())
    }

    /// Acting upon an approver takes the approval of the groups where it is one.
    fn app(&mut self, app_id: Uuid) -> Result<(), ApiError> {
        self.subjects.insert(ApprovalSubject::App(app_id));
        self.groups.extend(groups_of(self.call.store(), Approver::App(app_id))?.into_iter().map(|group| group.group_id));
        Ok(())
    }
}
