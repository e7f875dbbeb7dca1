//! What can be learnt about key material without reading it: check values and digests.

use dsma_api::{
    Act, ApiError, Blob, KeyCheckValueRequest, KeyCheckValueResponse, KeyFacts, ObjectDigestRequest, ObjectDigestResponse, Operation,
    Permission, Time, VerifyKcvRequest, VerifyKcvResponse, authorize, text,
};

use super::access::find;
use super::{line, material};
use crate::dsm::call::Call;
use crate::dsm::operations::hash;
use crate::dsm::reply::Reply;
use crate::store::ActionType;

/// `POST /crypto/v1/keys/kcv`.
pub(crate) fn kcv(call: &Call) -> Result<Reply, ApiError> {
    let caller = call.caller()?;
    let request: KeyCheckValueRequest = call.json()?;
    let row = find(call, &caller, &request.key, Operation::Info)?;
    let value = call.store().material(&row)?.ok_or_else(no_value)?;
    let kcv = material::check_value(row.sobject.obj_type, &value, request.kcv_method.unwrap_or_default())?;
    Reply::ok(&KeyCheckValueResponse { kid: row.sobject.kid, kcv })
}

/// `POST /crypto/v1/keys/kcv/verify`: of material that the client brings.
pub(crate) fn verify_kcv(call: &Call) -> Result<Reply, ApiError> {
    call.caller()?;
    let request: VerifyKcvRequest = call.json()?;
    let kcv = material::check_value(request.obj_type, request.value.as_ref(), request.kcv_method.unwrap_or_default())?;
    Reply::ok(&VerifyKcvResponse { verified: kcv.eq_ignore_ascii_case(&request.kcv) })
}

/// `POST /crypto/v1/keys/digest`: of the value of a sobject that may be exported.
pub(crate) fn digest(call: &Call) -> Result<Reply, ApiError> {
    let caller = call.caller()?;
    let request: ObjectDigestRequest = call.json()?;
    let row = find(call, &caller, &request.key, Operation::Info)?;
    let held = caller.permissions(row.group_id).unwrap_or_default();
    if !held.contains(Permission::Export) && !held.contains(Permission::CalculateDigest) {
        return Err(ApiError::forbidden(text::NO_PERMISSION));
    }
    // Of a short or guessable value the digest tells as much as the value: what stands in the way of an export does here as well.
    authorize(Operation::Export, Some(held.with(Permission::Export)), &KeyFacts::from(&row.sobject), Time::now())?;
    caller.gate.pass(row.group_id, Act::Use(Operation::Export))?;
    let value = call.store().material(&row)?.ok_or_else(no_value)?;
    let digest = hash(request.alg).digest(&value);
    call.store().audit_soon(line(call, &caller, ActionType::CryptoOperation, "Computed a digest of", &row))?;
    Reply::ok(&ObjectDigestResponse { kid: row.sobject.kid, digest: Blob(digest.as_ref().to_vec()) })
}

fn no_value() -> ApiError {
    ApiError::bad_request("Sobject has no value")
}
