//! `encapsulate` and `decapsulate`: a new key that two sides have in common, with ML-KEM (FIPS 203).

use dsma_api::{
    ApiError, Blob, DecapsulateKeyRequest, EncapsulateKeyRequest, EncapsulateKeyResponse, ObjectType, Operation, SobjectRequest,
};
use dsma_crypto::{Error, MlKemPrivateKey, MlKemPublicKey};
use zeroize::Zeroizing;

use super::derive::new_key;
use super::{log, refused};
use crate::dsm::call::Call;
use crate::dsm::reply::Reply;
use crate::dsm::sobjects::find;
use crate::store::SobjectRow;

/// `POST /crypto/v1/encapsulate`.
pub(crate) fn encapsulate(call: &Call) -> Result<Reply, ApiError> {
    let caller = call.caller()?;
    let request: EncapsulateKeyRequest = call.json()?;
    let row = ml_kem(find(call, &caller, &request.key, Operation::Encapsulate)?)?;
    let public = row.sobject.pub_key.as_ref().map(AsRef::as_ref).unwrap_or_default();
    let (ciphertext, secret) = MlKemPublicKey::from_spki_der(public).and_then(|key| key.encapsulate()).map_err(refused)?;
    let key = new_key(call, &caller, request.request.clone(), request.key_type, leading(&secret, &request.request)?)?;
    log(call, &caller, "Encapsulated with", &row)?;
    Reply::created(&EncapsulateKeyResponse { key, ciphertext: Blob(ciphertext) })
}

/// `POST /crypto/v1/decapsulate`.
pub(crate) fn decapsulate(call: &Call) -> Result<Reply, ApiError> {
    let caller = call.caller()?;
    let request: DecapsulateKeyRequest = call.json()?;
    let row = ml_kem(find(call, &caller, &request.key, Operation::Decapsulate)?)?;
    let value = call.store().material(&row)?.ok_or_else(|| ApiError::bad_request("The sobject is a public key alone: it encapsulates"))?;
    let secret = MlKemPrivateKey::from_der(&value).and_then(|key| key.decapsulate(request.ciphertext.as_ref()));
    let secret = secret.map_err(|error| match error {
        Error::InputLength => ApiError::bad_request("Invalid length of `ciphertext` for this key"),
        error => refused(error),
    })?;
    let key = new_key(call, &caller, request.request.clone(), request.key_type, leading(&secret, &request.request)?)?;
    log(call, &caller, "Decapsulated with", &row)?;
    Reply::created(&key)
}

fn ml_kem(row: SobjectRow) -> Result<SobjectRow, ApiError> {
    if row.sobject.obj_type == ObjectType::Mlkem { Ok(row) } else { Err(ApiError::bad_request("Only ML-KEM keys encapsulate")) }
}

/// A shorter key is the beginning of the secret (NIST SP 800-227, section 4.3).
fn leading(secret: &[u8; 32], request: &SobjectRequest) -> Result<Zeroizing<Vec<u8>>, ApiError> {
    match request.key_size {
        None => Ok(Zeroizing::new(secret.to_vec())),
        Some(bits) if bits > 0 && bits <= 256 && bits.is_multiple_of(8) => Ok(Zeroizing::new(secret[..bits as usize / 8].to_vec())),
        Some(_) => Err(ApiError::bad_request("Invalid key_size: whole bytes, at most 256 bits")),
    }
}
