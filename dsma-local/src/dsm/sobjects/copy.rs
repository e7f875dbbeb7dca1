//! `POST /crypto/v1/keys/copy`: the same material under another name, perhaps in another group.

use dsma_api::{
    ApiError, CopySobjectRequest, KeyLinks, KeyOperation, Operation, Permission, Sobject, SobjectDescriptor, SobjectState, Time, text,
};
use uuid::Uuid;

use super::access::{authorize_change, find, no_sobject};
use super::create::{initial_state, target_group};
use super::{export, key_ops, line, links, name_taken, policies, shown};
use crate::dsm::call::Call;
use crate::dsm::groups::valid_name;
use crate::dsm::reply::Reply;
use crate::store::{ActionType, SobjectRow};

/// Makes the copy. It cannot do more than the original: operations may be left out, not added.
pub(crate) fn copy(call: &Call) -> Result<Reply, ApiError> {
    let caller = call.caller()?;
    let CopySobjectRequest { key, request } = call.json()?;
    if matches!(key, SobjectDescriptor::TransientKey(_) | SobjectDescriptor::Inline(_)) {
        return Err(ApiError::bad_request("A stored sobject is expected: /crypto/v1/keys/persist stores a transient one"));
    }
    let original = find(call, &caller, &key, Operation::Info)?;
    authorize_change(&caller, &original, Permission::CopySobjects)?;
    if request.value.is_some() || request.obj_type.is_some_and(|obj_type| obj_type != original.sobject.obj_type) {
        return Err(ApiError::bad_request("Type and value of a copy are those of its original"));
    }
    policies::supported(&request)?;
    let own = [
        ("aes", request.aes.is_some()),
        ("fpe", request.fpe.is_some()),
        ("rsa", request.rsa.is_some()),
        ("links", request.links.is_some()),
        ("rotation_policy", request.rotation_policy.is_some()),
        ("publish_public_key", request.publish_public_key.is_some()),
        ("transient", request.transient == Some(true)),
    ];
    if let Some((name, _)) = own.iter().find(|(_, given)| *given) {
        return Err(ApiError::bad_request(format!("Field `{name}` is not for copies: set it with PATCH once the copy is there")));
    }
    let group_id = target_group(call, &caller, &request)?;
    let name = valid_name(request.name.clone())?;
    let now = Time::now();
    let state = initial_state(request.state, request.activation_date, request.deactivation_date, now)?;
    let value = call.store().material(&original)?;
    let copy = call.store().change_sobjects(|sobjects| {
        let original = sobjects.find(&SobjectDescriptor::Kid(original.kid))?.ok_or_else(no_sobject)?;
        authorize_change(&caller, &original, Permission::CopySobjects)?;
        let was = original.sobject;
        if matches!(was.state, SobjectState::Destroyed | SobjectState::Deleted) {
            return Err(ApiError::bad_request(text::DESTROYED));
        }
        let ops = match &request.key_ops {
            Some(names) => key_ops::within(names, was.key_ops)?,
            None => was.key_ops,
        };
        if let Some(policy) = &request.export_policy {
            export::check_change(was.export_policy.as_ref(), policy)?;
        }
        let sobject = Sobject {
            kid: Some(Uuid::new_v4()),
            name: Some(name),
            description: request.description.or(was.description),
            group_id: Some(group_id),
            key_ops: ops,
            enabled: request.enabled.unwrap_or(was.enabled),
            state,
            never_exportable: Some(was.never_exportable == Some(true) && !ops.contains(KeyOperation::Export)),
            creator: caller.principal(),
            created_at: now,
            lastused_at: Time::EPOCH,
            activation_date: request.activation_date.or_else(|| (state == SobjectState::Active).then_some(now)),
            deactivation_date: request.deactivation_date,
            compromise_date: None,
            revocation_reason: None,
            custom_metadata: request.custom_metadata.or(was.custom_metadata),
            export_policy: request.export_policy.or(was.export_policy),
            links: Some(KeyLinks { copied_from: was.kid, ..KeyLinks::default() }),
            // The original rotates, its copies do not.
            rotation_policy: None,
            scheduled_rotation: None,
            ..was
        };
        policies::admit(call.store(), group_id, &sobject)?;
        let copy = SobjectRow::new(sobject, value);
        links::edit(sobjects, original.kid, |links| links.copied_to.push(copy.kid))?;
        if !sobjects.insert(&copy)? {
            return Err(name_taken());
        }
        let audit = line(call, &caller, ActionType::Administrative, "Copied", &copy);
        Ok((copy, audit))
    })?;
    Reply::created(&shown(copy.sobject))
}

#[cfg(test)]
mod tests {
    use super::*;
    use dsma_api::KeyOperations;

    #[test]
    fn a_copy_cannot_do_more() {
        let held = KeyOperations::of(&[KeyOperation::Encrypt, KeyOperation::AppManageable]);
        assert_eq!(key_ops::within(&["ENCRYPT".into()], held), Ok(KeyOperations::of(&[KeyOperation::Encrypt])));
        assert_eq!(key_ops::within(&["EXPORT".into()], held).unwrap_err().status, 403);
    }
}
