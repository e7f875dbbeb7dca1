//! `wrapkey` and `unwrapkey`: key material that leaves and enters encrypted by another key.
//!
//! Wrapping is an export of the subject: the caller needs EXPORT on it, the subject must allow it, and its export policy has a say.

use dsma_api::{
    ApiError, EllipticCurve, KeyFormat, ObjectType, Operation, SecretBlob, Sobject, SobjectDescriptor, SobjectRequest, UnwrapKeyRequest,
    WrapKeyRequest, WrapKeyResponse, text,
};
use dsma_crypto::{EcPrivateKey, RsaPrivateKey};
use zeroize::Zeroizing;

use super::cipher::{Sealed, Wishes, cipher, seal, unseal};
use super::modes::check_alg;
use super::{descriptor, log, refused};
use crate::dsm::call::Call;
use crate::dsm::reply::Reply;
use crate::dsm::sobjects::{Opened, Source, check_wrapping, find, keep, line, open, readable};
use crate::store::ActionType;

/// `POST /crypto/v1/wrapkey`, `POST /crypto/v1/keys/{id}/wrapkey`.
pub(crate) fn wrap_key(call: &Call) -> Result<Reply, ApiError> {
    let caller = call.caller()?;
    let request: WrapKeyRequest = call.json()?;
    let subject = match (request.subject, request.kid) {
        (Some(subject), None) => subject,
        (None, Some(kid)) => SobjectDescriptor::Kid(kid),
        (None, None) => return Err(ApiError::bad_request("Missing field `subject`")),
        (Some(_), Some(_)) => return Err(ApiError::bad_request("Exactly one of `subject` and `kid` is expected")),
    };
    let Opened { row, key } = open(call, &caller, &descriptor(call, request.key)?, Operation::WrapKey)?;
    check_alg(Some(request.alg), &row.sobject)?;
    let subject = find(call, &caller, &subject, Operation::Export)?;
    check_wrapping(call, &subject, &row.sobject)?;
    let value = call.store().material(&subject)?;
    let value = value.ok_or_else(|| ApiError::bad_request("The subject has no secret material: its public key can be read"))?;
    let value = formatted(&subject.sobject, value, request.key_format.unwrap_or_default())?;
    let wishes = Wishes { mode: request.mode, iv: request.iv.as_ref(), ad: request.ad.as_ref(), label: None };
    let Sealed { cipher, iv, tag } = seal(&row.sobject, &key, wishes, request.tag_len, &value)?;
    log(call, &caller, "Wrapped with", &row)?;
    // The line is on the disk before the key leaves.
    call.store().audit_now(line(call, &caller, ActionType::CryptoOperation, "Wrapped", &subject))?;
    Reply::ok(&WrapKeyResponse { wrapped_key: cipher, iv, tag })
}

/// `POST /crypto/v1/unwrapkey`, `POST /crypto/v1/keys/{id}/unwrapkey`.
pub(crate) fn unwrap_key(call: &Call) -> Result<Reply, ApiError> {
    let caller = call.caller()?;
    let request: UnwrapKeyRequest = call.json()?;
    let Opened { row, key } = open(call, &caller, &descriptor(call, request.key)?, Operation::UnwrapKey)?;
    check_alg(Some(request.alg), &row.sobject)?;
    let wishes = Wishes { mode: request.mode, iv: request.iv.as_ref(), ad: request.ad.as_ref(), label: None };
    let value = unseal(&row.sobject, &key, wishes, request.tag.as_ref(), request.wrapped_key.as_ref())?;
    let wanted = SobjectRequest { value: Some(SecretBlob(value)), ..request.request };
    if cipher(&row.sobject, request.mode)?.tells_by_padding() && wanted.obj_type.is_some() && !readable(&wanted) {
        return Err(ApiError::bad_request(text::DECRYPT_FAILED));
    }
    let made = keep(call, &caller, wanted, Source::Imported)?;
    log(call, &caller, "Unwrapped with", &row)?;
    Reply::created(&made)
}

fn formatted(sobject: &Sobject, value: Zeroizing<Vec<u8>>, format: KeyFormat) -> Result<Zeroizing<Vec<u8>>, ApiError> {
    match (format, sobject.obj_type, sobject.elliptic_curve) {
        (KeyFormat::Default, ..) => Ok(value),
        // They have no other form.
        (KeyFormat::Pkcs8, ObjectType::Ec, Some(EllipticCurve::Ed25519 | EllipticCurve::X25519)) => Ok(value),
        (KeyFormat::Pkcs8, ObjectType::Ec, _) => EcPrivateKey::from_der(&value).and_then(|key| key.to_pkcs8_der()).map_err(refused),
        (KeyFormat::Pkcs8, ObjectType::Rsa, _) => RsaPrivateKey::from_der(&value).and_then(|key| key.to_pkcs8_der()).map_err(refused),
        _ => Err(ApiError::bad_request("key_format Pkcs8 is for RSA and EC keys")),
    }
}
