//! `PATCH /crypto/v1/keys/{id}`.

use dsma_api::{
    ApiError, KeyOperation, KeyOperations, ObjectType, Permission, PublishPublicKey, RotationPolicy, RsaOptions, Sobject,
    SobjectExportPolicy, SobjectRequest, SobjectState, Time,
};

use super::access::{authorize_creation, change_in_parts};
use super::{create, export, key_ops, lifecycle, links, policies, rotation, shown};
use crate::dsm::authentication::Caller;
use crate::dsm::call::Call;
use crate::dsm::groups::{no_group, valid_name};
use crate::dsm::reply::Reply;
use crate::store::{SobjectRow, Sobjects};

/// Absent members stay as they are; members that are objects or lists are replaced whole.
pub(crate) fn update(call: &Call) -> Result<Reply, ApiError> {
    let caller = call.caller()?;
    let request: SobjectRequest = call.json()?;
    if let Some(group_id) = request.group_id {
        call.store().group(group_id)?.ok_or_else(no_group)?;
    }
    policies::supported(&request)?;
    let needed = |sobject: &Sobject| needed(&request, sobject);
    let row = change_in_parts(call, &caller, call.id()?, "Updated", needed, |sobjects, row| {
        let complied = policies::complies(call.store(), row.group_id, &row.sobject)?;
        apply(sobjects, &caller, row, request.clone())?;
        let group_id = row.sobject.group_id.unwrap_or(row.group_id);
        // What did not comply before may be changed as long as it stays where it is.
        if complied || group_id != row.group_id { policies::admit(call.store(), group_id, &row.sobject) } else { Ok(()) }
    })?;
    Reply::ok(&shown(row.sobject))
}

/// The permissions that a request takes: one for each kind of change that it makes. What is said again as it is changes nothing.
fn needed(request: &SobjectRequest, sobject: &Sobject) -> Vec<Permission> {
    let ops = |names: &Vec<String>| KeyOperations::from_names(names.iter().map(String::as_str)).ok();
    // An earlier end is a revocation, whoever calls it otherwise.
    let earlier = |end: Time| sobject.deactivation_date.is_none_or(|now| end < now);
    let signatures = request.deterministic_signatures.is_some() && request.deterministic_signatures != sobject.deterministic_signatures;
    let policies = request.rotation_policy.is_some() || request.export_policy.is_some() || request.rsa.is_some() || signatures;
    let kinds = [
        (Permission::UpdateKeyOps, request.key_ops.as_ref().is_some_and(|names| ops(names) != Some(sobject.key_ops))),
        (Permission::UpdateSobjectsEnabledState, request.enabled.is_some_and(|enabled| enabled != sobject.enabled)),
        (Permission::UpdateSobjectPolicies, policies || request.publish_public_key.is_some()),
        (Permission::MoveSobjects, request.group_id.is_some() && request.group_id != sobject.group_id),
        (Permission::ActivateSobjects, request.state == Some(SobjectState::Active) && sobject.state == SobjectState::PreActive),
        (Permission::ActivateSobjects, request.activation_date.is_some() && request.activation_date != sobject.activation_date),
        (Permission::RevokeSobjects, request.deactivation_date.is_some_and(earlier)),
    ];
    let mut needed: Vec<Permission> = kinds.into_iter().filter(|(_, changed)| *changed).map(|(permission, _)| permission).collect();
    let described = request.name.is_some()
        || request.description.is_some()
        || request.custom_metadata.is_some()
        || request.links.is_some()
        || request.deactivation_date.is_some();
    if described || needed.is_empty() {
        needed.push(Permission::UpdateSobjectsProfile);
    }
    needed
}

fn apply(sobjects: &Sobjects<'_>, caller: &Caller, row: &mut SobjectRow, request: SobjectRequest) -> Result<(), ApiError> {
    if request.links.is_some() {
        let parent = links::parent(request.links, row.sobject.links.as_ref())?;
        links::set_parent(sobjects, caller, row, parent)?;
    }
    let sobject = &mut row.sobject;
    let fixed = request.value.is_some()
        || request.obj_type.is_some_and(|obj_type| obj_type != sobject.obj_type)
        || request.key_size.is_some() && request.key_size != sobject.key_size
        || request.elliptic_curve.is_some() && request.elliptic_curve != sobject.elliptic_curve
        || request.mldsa.is_some() && request.mldsa != sobject.mldsa
        || request.mlkem.is_some() && request.mlkem != sobject.mlkem
        || request.kcv.is_some() && request.kcv != sobject.kcv
        || request.pub_exponent.is_some() && request.pub_exponent != sobject.rsa.as_ref().and_then(|rsa| rsa.public_exponent);
    if fixed {
        return Err(ApiError::bad_request("Type, size, curve, parameters and value of a sobject cannot be changed"));
    }
    if request.fpe.is_some() && request.fpe != sobject.fpe || request.aes.is_some() || request.transient == Some(true) {
        return Err(ApiError::bad_request("Fields `aes`, `fpe` and `transient` are for new sobjects: they cannot be changed"));
    }
    if let Some(group_id) = request.group_id.filter(|id| Some(*id) != sobject.group_id) {
        authorize_creation(caller, group_id)?;
        sobject.group_id = Some(group_id);
    }
    if request.name.is_some() {
        sobject.name = Some(valid_name(request.name)?);
    }
    if let Some(names) = &request.key_ops {
        sobject.key_ops = key_ops::checked(names, &*sobject)?;
        if sobject.key_ops.contains(KeyOperation::Export) {
            sobject.never_exportable = Some(false);
        }
    }
    if let (Some(rsa), Some(given)) = (&mut sobject.rsa, request.rsa) {
        let or_kept = |given: Vec<_>, kept: &Vec<_>| if given.is_empty() { kept.clone() } else { given };
        *rsa = RsaOptions {
            encryption_policy: or_kept(given.encryption_policy, &rsa.encryption_policy),
            signature_policy: or_kept(given.signature_policy, &rsa.signature_policy),
            ..*rsa
        };
    }
    sobject.deterministic_signatures = request.deterministic_signatures.or(sobject.deterministic_signatures);
    policies(sobject, request.rotation_policy, request.export_policy, request.publish_public_key)?;
    sobject.description = request.description.or_else(|| sobject.description.take());
    sobject.custom_metadata = request.custom_metadata.or_else(|| sobject.custom_metadata.take());
    sobject.enabled = request.enabled.unwrap_or(sobject.enabled);
    dates(row, request.activation_date, request.deactivation_date)?;
    match request.state {
        None => Ok(()),
        Some(SobjectState::Active) => lifecycle::make_active(row, Time::now()),
        Some(state) if state == row.sobject.state => Ok(()),
        Some(_) => Err(ApiError::bad_request("Invalid state: a sobject ends by revoke and destroy")),
    }
}

/// The settings that are documents of their own.
fn policies(
    sobject: &mut Sobject,
    rotation: Option<RotationPolicy>,
    export: Option<SobjectExportPolicy>,
    publish: Option<PublishPublicKey>,
) -> Result<(), ApiError> {
    if let Some(policy) = rotation {
        let imported_only = matches!(sobject.obj_type, ObjectType::Secret | ObjectType::Opaque | ObjectType::Certificate);
        rotation::rotatable(&policy, !imported_only && !sobject.public_only)?;
        sobject.scheduled_rotation = rotation::next(&policy, Time::now())?;
        sobject.rotation_policy = sobject.scheduled_rotation.map(|_| policy);
    }
    if let Some(policy) = export {
        export::check_change(sobject.export_policy.as_ref(), &policy)?;
        sobject.export_policy = Some(policy);
    }
    if publish.is_some() {
        create::publishable(publish.as_ref(), sobject.pub_key.is_some())?;
        sobject.publish_public_key = publish;
    }
    Ok(())
}

/// The beginning may be moved until it has come, the end likewise.
fn dates(row: &mut SobjectRow, activation: Option<Time>, deactivation: Option<Time>) -> Result<(), ApiError> {
    let now = Time::now();
    let state = dsma_api::KeyFacts::from(&row.sobject).state_at(now);
    let sobject = &mut row.sobject;
    if let Some(start) = activation.filter(|start| Some(*start) != sobject.activation_date) {
        if state != SobjectState::PreActive {
            return Err(ApiError::bad_request("activation_date cannot be changed: the sobject was activated"));
        }
        sobject.activation_date = Some(start);
    }
    if let Some(end) = deactivation.filter(|end| Some(*end) != sobject.deactivation_date) {
        if !matches!(state, SobjectState::PreActive | SobjectState::Active) {
            return Err(ApiError::bad_request("deactivation_date cannot be changed: the sobject was deactivated"));
        }
        if sobject.activation_date.is_some_and(|start| end <= start) {
            return Err(ApiError::bad_request("Invalid deactivation_date: it is not after the activation"));
        }
        sobject.deactivation_date = Some(end);
    }
    Ok(())
}
