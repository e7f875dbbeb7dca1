//! `POST` and `PUT /crypto/v1/keys`: generate and import.

use dsma_api::{
    ApiError, Blob, KeyOperation, KeyOperations, ObjectOrigin, ObjectType, Principal, PublishPublicKey, RsaOptions, Sobject,
    SobjectRequest, SobjectState, Time,
};
use serde_json::{Value, json};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::access::authorize_creation;
use super::material::{self, Material};
use super::{key_ops, line, links, name_taken, policies, rotation, shown, transient};
use crate::dsm::authentication::Caller;
use crate::dsm::call::Call;
use crate::dsm::groups::{no_group, valid_name};
use crate::dsm::reply::Reply;
use crate::store::{ActionType, SobjectRow};

/// Where material comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// Made here.
    Generated,
    /// Brought by the client.
    Imported,
}

/// `POST /crypto/v1/keys`.
pub(crate) fn generate(call: &Call) -> Result<Reply, ApiError> {
    let caller = call.caller()?;
    let request: SobjectRequest = call.json()?;
    // The group before the work: a key of 8192 bits takes minutes.
    let group_id = target_group(call, &caller, &request)?;
    let material = material::generate(&request)?;
    Reply::created(&add(call, &caller, request, material, group_id, Source::Generated)?)
}

/// `PUT /crypto/v1/keys`.
pub(crate) fn import(call: &Call) -> Result<Reply, ApiError> {
    let caller = call.caller()?;
    let request: SobjectRequest = call.json()?;
    Reply::created(&keep(call, &caller, request, Source::Imported)?)
}

/// Whether the request's `value` is of its type.
pub(crate) fn readable(request: &SobjectRequest) -> bool {
    material::import(request).is_ok()
}

/// Makes a sobject of the request's `value`, stored or transient as the request says, and shows it.
pub(crate) fn keep(call: &Call, caller: &Caller, request: SobjectRequest, source: Source) -> Result<Sobject, ApiError> {
    let group_id = target_group(call, caller, &request)?;
    let material = material::import(&request)?;
    add(call, caller, request, material, group_id, source)
}

/// The request's group or the app's default, where the caller may make sobjects.
pub(super) fn target_group(call: &Call, caller: &Caller, request: &SobjectRequest) -> Result<Uuid, ApiError> {
    let group_id = request.group_id.or_else(|| caller.default_group());
    let group_id = group_id.ok_or_else(|| ApiError::bad_request("Missing field `group_id`: the app has no default group"))?;
    authorize_creation(caller, group_id)?;
    call.store().group(group_id)?.ok_or_else(no_group)?;
    Ok(group_id)
}

fn add(
    call: &Call,
    caller: &Caller,
    mut request: SobjectRequest,
    material: Material,
    group_id: Uuid,
    source: Source,
) -> Result<Sobject, ApiError> {
    let public_only = material.is_public();
    let mut key_ops = key_ops::initial(request.key_ops.as_deref(), &material, source == Source::Imported)?;
    let policy = call.store().group_policies(group_id)?.cryptographic_policy.unwrap_or_default();
    // Defaults are those that the group allows.
    if let Some(allowed) = policy.key_ops.filter(|_| request.key_ops.is_none()) {
        key_ops = key_ops.intersection(allowed);
    }
    if let Some(rsa) = policy.rsa.filter(|_| material.obj_type == ObjectType::Rsa) {
        let given = request.rsa.get_or_insert_default();
        for (given, allowed) in [(&mut given.encryption_policy, rsa.encryption_policy), (&mut given.signature_policy, rsa.signature_policy)]
        {
            if given.is_empty() {
                *given = allowed.unwrap_or_default();
            }
        }
    }
    let parent = links::parent(request.links.take(), None)?;
    let transient = request.transient == Some(true);
    if transient && (parent.is_some() || request.rotation_policy.is_some()) {
        return Err(ApiError::bad_request("A transient key has neither links nor a rotation policy"));
    }
    let (kid, name) = if transient { (None, None) } else { (Some(Uuid::new_v4()), Some(valid_name(request.name.take())?)) };
    let origin = if source == Source::Imported { ObjectOrigin::External } else { ObjectOrigin::FortanixHSM };
    let made = build(caller.principal(), call.store().acct_id(), request, &material, key_ops, origin)?;
    // Imported material was outside already.
    let never_exportable = Some(source == Source::Generated && !key_ops.contains(KeyOperation::Export));
    let sobject = Sobject { kid, name, group_id: Some(group_id), public_only, never_exportable, ..made };
    if transient {
        policies::admit(call.store(), group_id, &sobject)?;
        return transient::seal(call, caller, sobject, material.value);
    }
    store(call, caller, sobject, material.value, parent, if source == Source::Imported { "Imported" } else { "Created" })
}

/// Stores a sobject that has an id, a name and a group; logs that it was `verb`; and shows it.
pub(super) fn store(
    call: &Call,
    caller: &Caller,
    sobject: Sobject,
    value: Option<Zeroizing<Vec<u8>>>,
    parent: Option<Uuid>,
    verb: &str,
) -> Result<Sobject, ApiError> {
    let row = call.store().change_sobjects(|sobjects| {
        let mut row = SobjectRow::new(sobject, value);
        policies::admit(call.store(), row.group_id, &row.sobject)?;
        links::set_parent(sobjects, caller, &mut row, parent)?;
        if !sobjects.insert(&row)? {
            return Err(name_taken());
        }
        let audit = line(call, caller, ActionType::Administrative, verb, &row);
        Ok((row, audit))
    })?;
    Ok(shown(row.sobject))
}

/// A sobject of this material as the request describes it; without id, name, group and links.
pub(super) fn build(
    creator: Principal,
    acct_id: Uuid,
    request: SobjectRequest,
    material: &Material,
    key_ops: KeyOperations,
    origin: ObjectOrigin,
) -> Result<Sobject, ApiError> {
    policies::supported(&request)?;
    let now = Time::now();
    let state = initial_state(request.state, request.activation_date, request.deactivation_date, now)?;
    publishable(request.publish_public_key.as_ref(), material.pub_key.is_some())?;
    let fpe = tokenization(request.fpe, request.aes, material.obj_type)?;
    if let Some(policy) = &request.rotation_policy {
        rotation::rotatable(policy, !material.is_public() && material.can_be_generated())?;
    }
    let scheduled_rotation = request.rotation_policy.as_ref().map(|policy| rotation::next(policy, now)).transpose()?.flatten();
    Ok(Sobject {
        acct_id,
        kid: None,
        name: None,
        description: request.description,
        group_id: None,
        obj_type: material.obj_type,
        key_size: material.key_size,
        elliptic_curve: material.curve,
        mldsa: material.mldsa,
        mlkem: material.mlkem,
        rsa: (material.obj_type == ObjectType::Rsa).then(|| rsa_options(request.rsa, material)),
        aes: None,
        fpe,
        deterministic_signatures: request.deterministic_signatures,
        google_access_reason_policy: None,
        key_ops,
        enabled: request.enabled.unwrap_or(true),
        state,
        origin,
        public_only: material.is_public(),
        never_exportable: None,
        creator,
        created_at: now,
        lastused_at: Time::EPOCH,
        activation_date: request.activation_date.or_else(|| (state == SobjectState::Active).then_some(now)),
        deactivation_date: request.deactivation_date,
        compromise_date: None,
        destruction_date: None,
        revocation_reason: None,
        custom_metadata: request.custom_metadata,
        links: None,
        rotation_policy: request.rotation_policy.filter(|_| scheduled_rotation.is_some()),
        scheduled_rotation,
        export_policy: request.export_policy,
        publish_public_key: request.publish_public_key,
        effective_key_policy: None,
        kcv: material.kcv.clone(),
        pub_key: material.pub_key.clone().map(Blob),
        value: None,
        transient_key: None,
    })
}

/// The format of a key for tokenization, which newer clients write within `aes`. Other options there restrict the key's use: a key without
/// the restriction would not be what was asked for.
fn tokenization(fpe: Option<Value>, aes: Option<Value>, obj_type: ObjectType) -> Result<Option<Value>, ApiError> {
    let restricts = |(name, value): (&String, &Value)| !matches!(name.as_str(), "fpe" | "key_sizes") && !value.is_null();
    if aes.as_ref().and_then(Value::as_object).is_some_and(|options| options.iter().any(restricts)) {
        return Err(ApiError::bad_request("Field `aes`: of its options this version has `fpe` only"));
    }
    let within = aes.and_then(|mut aes| aes.get_mut("fpe").map(Value::take)).filter(|fpe| !fpe.is_null());
    let Some(mut fpe) = fpe.filter(|fpe| !fpe.is_null()).or(within) else {
        return Ok(None);
    };
    if obj_type != ObjectType::Aes {
        return Err(ApiError::bad_request("Field `fpe` is for AES keys"));
    }
    let classic = dsma_fpe::Format::read(&fpe)?.is_classic();
    // Clients need it to be there.
    if let Some(members) = fpe.as_object_mut().filter(|_| classic) {
        members.retain(|_, member| !member.is_null());
        members.entry("preserve").or_insert_with(|| json!([]));
    }
    Ok(Some(fpe))
}

/// Refuses to publish what has no public key.
pub(super) fn publishable(publish: Option<&PublishPublicKey>, has_public_key: bool) -> Result<(), ApiError> {
    if matches!(publish, Some(PublishPublicKey::Enabled { .. })) && !has_public_key {
        return Err(ApiError::bad_request("publish_public_key is not possible: this type of sobject has no public key"));
    }
    Ok(())
}

/// The state that the request and its dates make.
pub(super) fn initial_state(
    asked: Option<SobjectState>,
    activation_date: Option<Time>,
    deactivation_date: Option<Time>,
    now: Time,
) -> Result<SobjectState, ApiError> {
    if deactivation_date.is_some_and(|end| end <= activation_date.unwrap_or(now)) {
        return Err(ApiError::bad_request("Invalid deactivation_date: it is not after the activation"));
    }
    match asked {
        Some(SobjectState::PreActive) => Ok(SobjectState::PreActive),
        None | Some(SobjectState::Active) if activation_date.is_some_and(|start| start > now) => Ok(SobjectState::PreActive),
        None | Some(SobjectState::Active) => Ok(SobjectState::Active),
        Some(_) => Err(ApiError::bad_request("Invalid state of a new sobject: PreActive or Active")),
    }
}

/// What clients need to be there, with DSM's defaults: OAEP for encryption, any padding for signatures.
fn rsa_options(request: Option<RsaOptions>, material: &Material) -> RsaOptions {
    let given = request.unwrap_or_default();
    let or_default = |policy: Vec<Value>, default: Value| if policy.is_empty() { vec![default] } else { policy };
    RsaOptions {
        key_size: material.key_size,
        public_exponent: material.public_exponent,
        encryption_policy: or_default(given.encryption_policy, json!({"padding": {"OAEP": {}}})),
        signature_policy: or_default(given.signature_policy, json!({})),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_of_new_sobjects() {
        use SobjectState::{Active, Deactivated, PreActive};
        let now = Time(1000);
        let (past, future) = (Some(Time(1)), Some(Time(2000)));
        for (asked, activation, deactivation, expected) in [
            (None, None, None, Ok(Active)),
            (None, past, future, Ok(Active)),
            (None, future, None, Ok(PreActive)),
            (Some(PreActive), None, None, Ok(PreActive)),
            (Some(Active), future, None, Ok(PreActive)),
            (Some(Deactivated), None, None, Err(400)),
            (None, None, past, Err(400)),
            (None, future, Some(Time(1500)), Err(400)),
        ] {
            let got = initial_state(asked, activation, deactivation, now).map_err(|error| error.status);
            assert_eq!(got, expected, "{asked:?} {activation:?} {deactivation:?}");
        }
    }
}
