//! What an operation acts upon, and whose approval that takes.
//!
//! It is read from the path and the body, before the operation runs. Where this misses something, the request has too few reviewers and
//! its operation is refused by the gate: a mistake here never lets anything through.

use std::collections::BTreeSet;

use dsma_api::{
    ApiError, ApprovalSubject, Approver, QuorumPolicy, Reviewer, SobjectDescriptor, approvers, requires_password, satisfied, text,
};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::dsm::authentication::Caller;
use crate::dsm::call::Call;
use crate::dsm::quorum::groups_of;
use crate::store::Store;

/// Members of a body that hold the descriptor of a sobject.
const DESCRIPTORS: &[&str] = &["key", "subject", "private_key", "public_key", "replaced", "replacement"];
/// Endpoints whose body as a whole is such a descriptor, or names a sobject like one.
const BODY_IS_DESCRIPTOR: &[&str] = &["/crypto/v1/keys/export", "/crypto/v1/keys/info", REKEY];
/// Here the name is what the new key will have: it stays.
const REKEY: &str = "/crypto/v1/keys/rekey";

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

/// Puts the ids of the sobjects that were approved in the place of their names. A name may be another sobject's by now: a renaming between
/// the approval and its result must not let something pass that no reviewer has seen.
///
/// # Errors
/// 409 where a name belongs to a sobject that is no subject of the request.
pub(super) fn pin(store: &Store, subjects: &[ApprovalSubject], path: &str, body: &mut Value) -> Result<(), ApiError> {
    let mut pinned = |descriptor: &mut Value, rewrite: bool| -> Result<(), ApiError> {
        let Some(name) = descriptor.get("name").and_then(Value::as_str).filter(|_| descriptor.get("kid").is_none_or(Value::is_null)) else {
            return Ok(());
        };
        let Some(row) = store.sobject(&SobjectDescriptor::Name(name.to_owned()))? else {
            return Ok(());
        };
        if !subjects.contains(&ApprovalSubject::Sobject(row.kid)) {
            return Err(ApiError::conflict(format!("The name \"{name}\" belongs to another sobject since this was approved: ask again")));
        }
        if let Some(members) = descriptor.as_object_mut().filter(|_| rewrite) {
            members.remove("name");
            members.insert("kid".into(), row.kid.to_string().into());
        }
        Ok(())
    };
    if BODY_IS_DESCRIPTOR.contains(&path) {
        pinned(body, path != REKEY)?;
    }
    pin_within(&mut pinned, body)
}

fn pin_within(pinned: &mut dyn FnMut(&mut Value, bool) -> Result<(), ApiError>, value: &mut Value) -> Result<(), ApiError> {
    match value {
        Value::Array(items) => items.iter_mut().try_for_each(|item| pin_within(pinned, item)),
        Value::Object(members) => {
            if let Some(path) = carried_descriptor(members)
                && let Some(body) = members.get_mut("body")
            {
                pinned(body, path != REKEY)?;
            }
            members.iter_mut().try_for_each(|(name, member)| {
                if DESCRIPTORS.contains(&name.as_str()) && member.get("obj_type").is_none() {
                    pinned(member, true)?;
                }
                pin_within(pinned, member)
            })
        }
        _ => Ok(()),
    }
}

/// The path of an item of a batch whose body is a descriptor.
fn carried_descriptor(item: &Map<String, Value>) -> Option<&'static str> {
    let operation = item.get("operation")?.as_str()?;
    let path = operation.split('?').next().unwrap_or_default().trim_start_matches('/');
    BODY_IS_DESCRIPTOR.iter().find(|known| known.trim_start_matches('/') == path).copied()
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
                if let Some(body) = carried_descriptor(members).and_then(|_| members.get("body")) {
                    self.descriptor(body)?;
                }
                for (name, member) in members {
                    match name.as_str() {
                        "kid" => self.descriptor(value)?,
                        "group_id" => {
                            if let Some(group_id) = member.as_str().and_then(|id| Uuid::parse_str(id).ok()) {
                                self.group(group_id)?;
                            }
                        }
                        // With a type it describes a new sobject.
                        name if DESCRIPTORS.contains(&name) && member.get("obj_type").is_none() => self.descriptor(member)?,
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
