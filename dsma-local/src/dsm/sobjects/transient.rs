//! Transient keys: sealed, handed to the client, and not stored. `POST /crypto/v1/keys/persist` stores one after all.
//!
//! A transient key belongs to the session that made it, as with DSM: callers that present an API key with each request have none.

use base64_simd::STANDARD;
use dsma_api::{Act, ApiError, ObjectOrigin, Permission, PersistTransientKeyRequest, SecretBlob, Sobject, SobjectRequest, text};
use dsma_crypto::digest::Hash;
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::create::{initial_state, store, target_group};
use super::shown;
use crate::dsm::authentication::Caller;
use crate::dsm::call::Call;
use crate::dsm::groups::valid_name;
use crate::dsm::reply::Reply;
use crate::store::SobjectRow;

/// Kind of a sealed value, see `store/seal.rs`.
const KIND: &str = "transient key";

/// What is sealed.
#[derive(Serialize, Deserialize)]
struct Kept {
    /// Whose key it is.
    session: String,
    sobject: Sobject,
    value: Option<SecretBlob>,
}

/// Seals a sobject that has neither id nor name, and shows it with its sealed form in place of the id.
pub(super) fn seal(call: &Call, caller: &Caller, sobject: Sobject, value: Option<Zeroizing<Vec<u8>>>) -> Result<Sobject, ApiError> {
    let kept = Kept { session: session(caller)?, sobject, value: value.map(SecretBlob) };
    let document = Zeroizing::new(serde_json::to_vec(&kept).map_err(crate::error::Error::Row)?);
    let sealed = call.store().seal_for_client(KIND, caller.id(), &document)?;
    Ok(Sobject { transient_key: Some(STANDARD.encode_to_string(sealed)), ..shown(kept.sobject) })
}

/// The sobject in a transient key of this session.
pub(super) fn open(call: &Call, caller: &Caller, transient_key: &str) -> Result<SobjectRow, ApiError> {
    let invalid = || ApiError::bad_request("Invalid transient_key: it is none of this session");
    let session = session(caller)?;
    let sealed = STANDARD.decode_to_vec(transient_key).map_err(|_| invalid())?;
    let document = call.store().open_from_client(KIND, caller.id(), &sealed).ok_or_else(invalid)?;
    let kept: Kept = serde_json::from_slice(&document).map_err(|_| invalid())?;
    if kept.session != session {
        return Err(invalid());
    }
    Ok(SobjectRow::new(kept.sobject, kept.value.map(|value| value.0)))
}

/// `POST /crypto/v1/keys/persist`: a copy that is stored. The transient key goes on working.
pub(crate) fn persist(call: &Call) -> Result<Reply, ApiError> {
    let caller = call.caller()?;
    let request: PersistTransientKeyRequest = call.json()?;
    let row = open(call, &caller, &request.transient_key)?;
    caller.permissions(row.group_id).ok_or_else(|| ApiError::not_found(text::NO_SOBJECT))?;
    let wanted = SobjectRequest { group_id: request.group_id, ..SobjectRequest::default() };
    let group_id = target_group(call, &caller, &wanted)?;
    if group_id != row.group_id {
        caller.gate.pass(row.group_id, Act::Change(Permission::MoveSobjects))?;
    }
    let value = call.store().material(&row)?;
    let now = dsma_api::Time::now();
    let state = initial_state(request.state, request.activation_date, request.deactivation_date, now)?;
    let sobject = Sobject {
        kid: Some(Uuid::new_v4()),
        name: Some(valid_name(Some(request.name))?),
        description: request.description,
        group_id: Some(group_id),
        enabled: request.enabled.unwrap_or(true),
        state,
        activation_date: request.activation_date.or(Some(now)),
        deactivation_date: request.deactivation_date,
        custom_metadata: request.custom_metadata,
        // Made here, but it was outside in between, sealed.
        origin: if row.sobject.origin == ObjectOrigin::FortanixHSM { ObjectOrigin::Transient } else { row.sobject.origin },
        creator: caller.principal(),
        created_at: now,
        ..row.sobject
    };
    Reply::created(&store(call, &caller, sobject, value, None, "Persisted")?)
}

/// A name for the caller's session that tells nothing about its token.
fn session(caller: &Caller) -> Result<String, ApiError> {
    let token =
        caller.token.as_ref().ok_or_else(|| ApiError::bad_request("Transient keys need a session: call /sys/v1/session/auth first"))?;
    Ok(STANDARD.encode_to_string(Hash::Sha256.digest(token.as_bytes())))
}
