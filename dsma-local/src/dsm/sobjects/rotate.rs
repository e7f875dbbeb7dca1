//! `rekey` and `replace`: another key takes over the name.

use dsma_api::{
    ApiError, KeyOperation, ObjectOrigin, Operation, Permission, Principal, Sobject, SobjectDescriptor, SobjectRekeyRequest,
    SobjectReplaceRequest, SobjectRequest, SobjectState, Time, text,
};
use uuid::Uuid;

use super::access::{authorize_change, find, no_sobject};
use super::create::build;
use super::{key_ops, line, material, name_taken, policies, rotation, shown};
use crate::dsm::authentication::Caller;
use crate::dsm::call::Call;
use crate::dsm::groups::valid_name;
use crate::dsm::reply::Reply;
use crate::error::Error;
use crate::store::{ActionType, SobjectRow, Sobjects};

/// The text of [`unchanged`].
pub(super) const CHANGED: &str = "Sobject was changed by another request meanwhile: try again";

/// `POST /crypto/v1/keys/rekey`: a new key with the old one's name and settings. The old one becomes `<name> (rotated at <time>)`.
pub(crate) fn rekey(call: &Call) -> Result<Reply, ApiError> {
    let caller = call.caller()?;
    let SobjectRekeyRequest { deactivate_rotated_key, mut request } = call.json()?;
    let name = valid_name(request.name.take())?;
    let old = find(call, &caller, &SobjectDescriptor::Name(name), Operation::Info)?;
    authorize_change(&caller, &old, Permission::RotateSobjects)?;
    if request.key_ops.is_some() {
        authorize_change(&caller, &old, Permission::UpdateKeyOps)?;
    }
    if request.export_policy.is_some() || request.rotation_policy.is_some() || request.publish_public_key.is_some() {
        authorize_change(&caller, &old, Permission::UpdateSobjectPolicies)?;
    }
    let new = successor(caller.principal(), call.store().acct_id(), &old, request)?;
    policies::admit(call.store(), new.group_id, &new.sobject)?;
    let new = call.store().change_sobjects(|sobjects| {
        let mut now = sobjects.find(&SobjectDescriptor::Kid(old.kid))?.ok_or_else(no_sobject)?;
        authorize_change(&caller, &now, Permission::RotateSobjects)?;
        unchanged(&old, &now)?;
        let new = turn(sobjects, &mut now, new, deactivate_rotated_key == Some(true))?;
        let audit = line(call, &caller, ActionType::Administrative, "Rotated", &new);
        Ok::<_, ApiError>((new, audit))
    })?;
    Reply::created(&shown(new.sobject))
}

/// `POST /crypto/v1/keys/replace`: an existing key takes the name.
pub(crate) fn replace(call: &Call) -> Result<Reply, ApiError> {
    let caller = call.caller()?;
    let request: SobjectReplaceRequest = call.json()?;
    let new_name = valid_name(Some(request.replaced_new_name))?;
    call.store().change_sobjects(|sobjects| {
        let mut old = manageable(sobjects, &caller, &request.replaced)?;
        let mut new = manageable(sobjects, &caller, &request.replacement)?;
        check_match(&old, &new)?;
        new.sobject.custom_metadata = new.sobject.custom_metadata.take().or_else(|| old.sobject.custom_metadata.clone());
        if new.sobject.rotation_policy.is_none() {
            inherit_policy(&mut new, &old)?;
        }
        let name = old.sobject.name.replace(new_name);
        link(&mut old, &mut new);
        new.sobject.name = name;
        if !sobjects.replace(&old)? || !sobjects.replace(&new)? {
            return Err(name_taken());
        }
        Ok(((), line(call, &caller, ActionType::Administrative, "Replaced", &old)))
    })?;
    Ok(Reply::nothing())
}

/// A new key of the old one's kind and settings, but for what `request` says; it has an id, and neither name nor links.
pub(super) fn successor(creator: Principal, acct_id: Uuid, old: &SobjectRow, request: SobjectRequest) -> Result<SobjectRow, ApiError> {
    let was = &old.sobject;
    if request.obj_type.is_some_and(|obj_type| obj_type != was.obj_type) || request.group_id.is_some_and(|id| Some(id) != was.group_id) {
        return Err(ApiError::bad_request("Type and group of a sobject cannot be changed by a rotation"));
    }
    if request.transient == Some(true) || request.links.is_some() {
        return Err(ApiError::bad_request("A rotation makes a stored key, and its links itself"));
    }
    let imported = request.value.is_some();
    if was.public_only && !imported {
        return Err(ApiError::bad_request("A public key alone cannot be generated anew"));
    }
    let exponent = was.rsa.as_ref().and_then(|rsa| rsa.public_exponent);
    let request = SobjectRequest {
        obj_type: Some(was.obj_type),
        key_size: request.key_size.or_else(|| was.key_size.filter(|_| !imported)),
        elliptic_curve: request.elliptic_curve.or(was.elliptic_curve),
        mldsa: request.mldsa.or(was.mldsa),
        mlkem: request.mlkem.or(was.mlkem),
        pub_exponent: request.pub_exponent.or_else(|| exponent.filter(|_| request.rsa.is_none())),
        rsa: request.rsa.or_else(|| was.rsa.clone()),
        fpe: request.fpe.or_else(|| was.fpe.clone()),
        deterministic_signatures: request.deterministic_signatures.or(was.deterministic_signatures),
        description: request.description.or_else(|| was.description.clone()),
        enabled: request.enabled.or(Some(was.enabled)),
        custom_metadata: request.custom_metadata.or_else(|| was.custom_metadata.clone()),
        rotation_policy: request.rotation_policy.or_else(|| was.rotation_policy.clone()),
        export_policy: request.export_policy.or_else(|| was.export_policy.clone()),
        publish_public_key: request.publish_public_key.or_else(|| was.publish_public_key.clone()),
        ..request
    };
    let material = if imported { material::import(&request)? } else { material::generate(&request)? };
    let ops = match &request.key_ops {
        Some(names) => key_ops::checked(names, &material)?,
        None => was.key_ops,
    };
    let origin = if imported { ObjectOrigin::External } else { ObjectOrigin::FortanixHSM };
    let mut sobject = build(creator, acct_id, request, &material, ops, origin)?;
    sobject.kid = Some(Uuid::new_v4());
    sobject.group_id = was.group_id;
    sobject.never_exportable = Some(!imported && !ops.contains(KeyOperation::Export));
    Ok(SobjectRow::new(sobject, material.value))
}

/// Refuses to go on where the old key was changed while the new one was generated, which may take a while: the new one is made after what
/// the old one was, and must not take back what was forbidden meanwhile. Being used is no change.
pub(super) fn unchanged(before: &SobjectRow, now: &SobjectRow) -> Result<(), ApiError> {
    let described = |row: &SobjectRow| serde_json::to_value(Sobject { lastused_at: Time(0), ..row.sobject.clone() }).map_err(Error::from);
    if described(before)? == described(now)? { Ok(()) } else { Err(ApiError::conflict(CHANGED)) }
}

/// Stores `new` under the name of `old`, which gets another one, and links the two.
pub(super) fn turn(sobjects: &Sobjects<'_>, old: &mut SobjectRow, mut new: SobjectRow, deactivate: bool) -> Result<SobjectRow, ApiError> {
    refuse_rotated(old)?;
    let now = Time::now();
    let name = old.sobject.name.clone().unwrap_or_default();
    old.sobject.name = Some(rotated_name(sobjects, &name, now)?);
    link(old, &mut new);
    new.sobject.name = Some(name);
    if deactivate && matches!(old.sobject.state, SobjectState::PreActive | SobjectState::Active) {
        old.sobject.state = SobjectState::Deactivated;
        old.sobject.deactivation_date = Some(old.sobject.deactivation_date.map_or(now, |end| end.min(now)));
    }
    if !sobjects.replace(old)? || !sobjects.insert(&new)? {
        return Err(name_taken());
    }
    Ok(new)
}

/// As DSM writes it; a second rotation within one second counts.
fn rotated_name(sobjects: &Sobjects<'_>, name: &str, now: Time) -> Result<String, ApiError> {
    let mut rotated = valid_name(Some(format!("{name} (rotated at {now})")))?;
    for count in 2.. {
        if sobjects.find(&SobjectDescriptor::Name(rotated.clone()))?.is_none() {
            break;
        }
        rotated = valid_name(Some(format!("{name} (rotated at {now}, {count})")))?;
    }
    Ok(rotated)
}

/// The newer key is the one that goes on rotating.
fn link(old: &mut SobjectRow, new: &mut SobjectRow) {
    old.sobject.links.get_or_insert_default().replacement = Some(new.kid);
    new.sobject.links.get_or_insert_default().replaced = Some(old.kid);
    old.sobject.rotation_policy = None;
    old.sobject.scheduled_rotation = None;
}

fn inherit_policy(new: &mut SobjectRow, old: &SobjectRow) -> Result<(), ApiError> {
    new.sobject.rotation_policy = old.sobject.rotation_policy.clone();
    let policy = new.sobject.rotation_policy.as_ref();
    new.sobject.scheduled_rotation = policy.map(|policy| rotation::next(policy, Time::now())).transpose()?.flatten();
    Ok(())
}

fn manageable(sobjects: &Sobjects<'_>, caller: &Caller, descriptor: &SobjectDescriptor) -> Result<SobjectRow, ApiError> {
    if matches!(descriptor, SobjectDescriptor::TransientKey(_) | SobjectDescriptor::Inline(_)) {
        return Err(ApiError::bad_request("A stored sobject is expected"));
    }
    let row = sobjects.find(descriptor)?.ok_or_else(no_sobject)?;
    authorize_change(caller, &row, Permission::RotateSobjects)?;
    Ok(row)
}

fn check_match(old: &SobjectRow, new: &SobjectRow) -> Result<(), ApiError> {
    refuse_rotated(old)?;
    let (was, is) = (&old.sobject, &new.sobject);
    let replaced = is.links.as_ref().is_some_and(|links| links.replaced.is_some());
    if old.kid == new.kid || was.obj_type != is.obj_type || was.elliptic_curve != is.elliptic_curve || replaced {
        return Err(ApiError::bad_request("Invalid replacement: another sobject of the same type that replaces none is expected"));
    }
    Ok(())
}

fn refuse_rotated(old: &SobjectRow) -> Result<(), ApiError> {
    if old.sobject.links.as_ref().is_some_and(|links| links.replacement.is_some()) {
        return Err(ApiError::conflict("Sobject was rotated already"));
    }
    if matches!(old.sobject.state, SobjectState::Destroyed | SobjectState::Deleted) {
        return Err(ApiError::bad_request(text::DESTROYED));
    }
    Ok(())
}
