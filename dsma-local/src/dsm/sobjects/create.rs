//! `POST` and `PUT /crypto/v1/keys`: generate and import.

use dsma_api::{
    Act, ApiError, Blob, KeyOperation, ObjectOrigin, ObjectType, Permission, RsaOptions, Sobject, SobjectRequest, SobjectState, Time, text,
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::material::{self, Material};
use super::{key_ops, name_taken, shown};
use crate::dsm::authentication::Caller;
use crate::dsm::call::Call;
use crate::dsm::groups::{no_group, valid_name};
use crate::dsm::reply::Reply;
use crate::store::{ActionType, Audit};

/// `POST /crypto/v1/keys`.
pub(crate) fn generate(call: &Call) -> Result<Reply, ApiError> {
    let caller = call.caller()?;
    let request: SobjectRequest = call.json()?;
    // The group before the work: a key of 8192 bits takes minutes.
    let group_id = target_group(call, &caller, &request)?;
    let material = material::generate(&request)?;
    add(call, &caller, request, material, group_id, false)
}

/// `PUT /crypto/v1/keys`.
pub(crate) fn import(call: &Call) -> Result<Reply, ApiError> {
    let caller = call.caller()?;
    let request: SobjectRequest = call.json()?;
    let group_id = target_group(call, &caller, &request)?;
    let material = material::import(&request)?;
    add(call, &caller, request, material, group_id, true)
}

/// The request's group or the app's default, where the caller may make sobjects.
fn target_group(call: &Call, caller: &Caller, request: &SobjectRequest) -> Result<Uuid, ApiError> {
    let group_id = request.group_id.or_else(|| caller.default_group());
    let group_id = group_id.ok_or_else(|| ApiError::bad_request("Missing field `group_id`: the app has no default group"))?;
    let permissions = caller.permissions(group_id).ok_or_else(no_group)?;
    call.store().group(group_id)?.ok_or_else(no_group)?;
    if !permissions.contains(Permission::Manage) && !permissions.contains(Permission::CreateSobjects) {
        return Err(ApiError::forbidden(text::NO_PERMISSION));
    }
    caller.gate.pass(group_id, Act::Change(Permission::CreateSobjects))?;
    Ok(group_id)
}

fn add(
    call: &Call,
    caller: &Caller,
    request: SobjectRequest,
    material: Material,
    group_id: Uuid,
    imported: bool,
) -> Result<Reply, ApiError> {
    if request.transient == Some(true) {
        return Err(ApiError::bad_request("Transient keys are not supported by this version"));
    }
    let name = valid_name(request.name)?;
    let public_only = material.value.is_none() || material.obj_type == ObjectType::Certificate;
    let key_ops = key_ops::initial(request.key_ops.as_deref(), material.obj_type, public_only, imported)?;
    let now = Time::now();
    let state = initial_state(request.state, request.activation_date, request.deactivation_date, now)?;
    let sobject = Sobject {
        acct_id: call.store().acct_id(),
        kid: Some(Uuid::new_v4()),
        name: Some(name),
        description: request.description,
        group_id: Some(group_id),
        obj_type: material.obj_type,
        key_size: Some(material.key_size),
        elliptic_curve: material.curve,
        rsa: (material.obj_type == ObjectType::Rsa).then(|| rsa_options(request.rsa, &material)),
        aes: None,
        fpe: None,
        deterministic_signatures: None,
        google_access_reason_policy: None,
        key_ops,
        enabled: request.enabled.unwrap_or(true),
        state,
        origin: if imported { ObjectOrigin::External } else { ObjectOrigin::FortanixHSM },
        public_only,
        // Imported material was outside already.
        never_exportable: Some(!imported && !key_ops.contains(KeyOperation::Export)),
        creator: caller.principal(),
        created_at: now,
        lastused_at: Time::EPOCH,
        activation_date: request.activation_date.or_else(|| (state == SobjectState::Active).then_some(now)),
        deactivation_date: request.deactivation_date,
        compromise_date: None,
        destruction_date: None,
        revocation_reason: None,
        custom_metadata: request.custom_metadata,
        kcv: material.kcv.clone(),
        pub_key: material.pub_key.clone().map(Blob),
        value: None,
        transient_key: None,
    };
    let verb = if imported { "Imported" } else { "Created" };
    let message = format!("{verb} sobject \"{}\"", sobject.name.as_deref().unwrap_or_default());
    let line = call.audit(ActionType::Administrative, caller.principal(), sobject.kid.unwrap_or_default(), message);
    let audit = Audit { group_id: Some(group_id), ..line };
    if !call.store().insert_sobject(&sobject, material.value.as_ref().map(|value| value.as_slice()), audit)? {
        return Err(name_taken());
    }
    Reply::created(&shown(sobject))
}

/// The state that the request and its dates make.
fn initial_state(
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
        key_size: Some(material.key_size),
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
