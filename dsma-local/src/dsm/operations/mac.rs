//! `mac` and `macverify`: HMAC with HMAC keys, CMAC with those of block ciphers.

use dsma_api::{
    ApiError, Blob, HashAlgorithm, MacRequest, MacResponse, ObjectType, Operation, Sobject, SobjectDescriptor, VerifyMacRequest,
    VerifyResponse,
};
use dsma_crypto::MacScheme;

use super::modes::hash;
use super::{descriptor, log, refused};
use crate::dsm::authentication::Caller;
use crate::dsm::call::Call;
use crate::dsm::reply::Reply;
use crate::dsm::sobjects::{Opened, open};

/// `POST /crypto/v1/mac`, `POST /crypto/v1/keys/{id}/mac`.
pub(crate) fn mac(call: &Call) -> Result<Reply, ApiError> {
    let caller = call.caller()?;
    let mut request: MacRequest = call.json()?;
    let key = descriptor(call, request.key.take())?;
    Reply::ok(&mac_one(call, &caller, &key, &request)?)
}

/// `POST /crypto/v1/macverify`, `POST /crypto/v1/keys/{id}/macverify`.
pub(crate) fn mac_verify(call: &Call) -> Result<Reply, ApiError> {
    let caller = call.caller()?;
    let mut request: VerifyMacRequest = call.json()?;
    let key = descriptor(call, request.key.take())?;
    Reply::ok(&mac_verify_one(call, &caller, &key, &request)?)
}

pub(super) fn mac_one(call: &Call, caller: &Caller, key: &SobjectDescriptor, request: &MacRequest) -> Result<MacResponse, ApiError> {
    let Opened { row, key } = open(call, caller, key, Operation::MacGenerate)?;
    let mac = key.mac(&scheme(&row.sobject, request.alg)?, request.data.as_ref()).map_err(refused)?;
    log(call, caller, "Computed MAC with", &row)?;
    let mac = Blob::from(mac.as_ref());
    Ok(MacResponse { kid: row.sobject.kid, digest: Some(mac.clone()), mac })
}

pub(super) fn mac_verify_one(
    call: &Call,
    caller: &Caller,
    key: &SobjectDescriptor,
    request: &VerifyMacRequest,
) -> Result<VerifyResponse, ApiError> {
    let Opened { row, key } = open(call, caller, key, Operation::MacVerify)?;
    let given = match (&request.mac, &request.digest) {
        (Some(mac), None) | (None, Some(mac)) => mac,
        (Some(mac), Some(digest)) if mac == digest => mac,
        (Some(_), Some(_)) => return Err(ApiError::bad_request("Fields `mac` and `digest` contradict each other: send `mac` alone")),
        (None, None) => return Err(ApiError::bad_request("Missing field `mac`")),
    };
    let result = key.verify_mac(&scheme(&row.sobject, request.alg)?, request.data.as_ref(), given.as_ref()).map_err(refused)?;
    log(call, caller, "Verified MAC with", &row)?;
    Ok(VerifyResponse { kid: row.sobject.kid, result })
}

fn scheme(sobject: &Sobject, alg: Option<HashAlgorithm>) -> Result<MacScheme, ApiError> {
    match (sobject.obj_type, alg) {
        (ObjectType::Hmac, Some(alg)) => Ok(MacScheme::Hmac { hash: hash(alg) }),
        (ObjectType::Hmac, None) => Err(ApiError::bad_request("Missing field `alg`")),
        (ObjectType::Aes | ObjectType::Des3, None) => Ok(MacScheme::Cmac),
        (ObjectType::Aes | ObjectType::Des3, Some(_)) => {
            Err(ApiError::bad_request("Field `alg` is not allowed with this key: its code is a CMAC"))
        }
        _ => Err(ApiError::bad_request("This type of sobject makes no authentication codes")),
    }
}
