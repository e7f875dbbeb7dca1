//! `sign` and `verify`.

use dsma_api::{
    ApiError, Blob, EllipticCurve, HashAlgorithm, ObjectType, Operation, RsaSignaturePadding, SignRequest, SignResponse, SignatureMode,
    Sobject, SobjectDescriptor, VerifyRequest, VerifyResponse,
};
use dsma_crypto::digest::Hash;
use dsma_crypto::{Encoding, Error, Key, Message, SignatureScheme};

use super::modes::{hash, signature_padding};
use super::{descriptor, log, ml_dsa, refused};
use crate::dsm::authentication::Caller;
use crate::dsm::call::Call;
use crate::dsm::reply::Reply;
use crate::dsm::sobjects::{Opened, find, with_key};

/// `POST /crypto/v1/sign`, `POST /crypto/v1/keys/{id}/sign`.
pub(crate) fn sign(call: &Call) -> Result<Reply, ApiError> {
    let caller = call.caller()?;
    let mut request: SignRequest = call.json()?;
    let key = descriptor(call, request.key.take())?;
    Reply::ok(&sign_one(call, &caller, &key, &request)?)
}

/// `POST /crypto/v1/verify`, `POST /crypto/v1/keys/{id}/verify`.
pub(crate) fn verify(call: &Call) -> Result<Reply, ApiError> {
    let caller = call.caller()?;
    let mut request: VerifyRequest = call.json()?;
    let key = descriptor(call, request.key.take())?;
    Reply::ok(&verify_one(call, &caller, &key, &request)?)
}

pub(super) fn sign_one(
    call: &Call,
    caller: &Caller,
    descriptor: &SobjectDescriptor,
    request: &SignRequest,
) -> Result<SignResponse, ApiError> {
    let row = find(call, caller, descriptor, Operation::Sign)?;
    if row.sobject.obj_type == ObjectType::Mldsa {
        let signature = ml_dsa::sign(call, &row, request)?;
        log(call, caller, "Signed with", &row)?;
        return Ok(SignResponse { kid: row.sobject.kid, signature });
    }
    let Opened { row, key } = with_key(call, row)?;
    if request.context.is_some() {
        return Err(ApiError::bad_request("Field `context` is not allowed with this key"));
    }
    let (scheme, message) = scheme(&row.sobject, request.hash_alg, request.mode, request.hash.as_ref(), request.data.as_ref())?;
    let signature = match (&key, scheme, deterministic(&row.sobject, request)?) {
        (Key::Ec(key), SignatureScheme::Ecdsa { hash: Some(hash), .. }, true) => {
            key.sign_deterministic(hash, message).map_err(|error| match error {
                Error::Unsupported => ApiError::bad_request("Deterministic ECDSA is possible with SHA-1 and SHA-2 only"),
                error => refused(error),
            })?
        }
        (_, SignatureScheme::RsaPss { .. }, true) => {
            return Err(ApiError::bad_request("PSS is not deterministic: its salt is random. PKCS1_V15 is"));
        }
        // Ed25519 and PKCS #1 v1.5 are deterministic anyhow.
        (key, scheme, _) => {
            let mut signature = vec![0; key.signature_len(&scheme)];
            let length = key.sign(&scheme, message, &mut signature).map_err(refused)?;
            signature.truncate(length);
            signature
        }
    };
    log(call, caller, "Signed with", &row)?;
    Ok(SignResponse { kid: row.sobject.kid, signature: Blob(signature) })
}

/// Whether the signature shall be deterministic: as the request says, else as the key does.
///
/// # Errors
/// 400 where the two contradict each other.
pub(super) fn deterministic(sobject: &Sobject, request: &SignRequest) -> Result<bool, ApiError> {
    match (sobject.deterministic_signatures, request.deterministic_signature) {
        (Some(key), Some(asked)) if key != asked => {
            Err(ApiError::bad_request(format!("The sobject has deterministic_signatures {key}: deterministic_signature cannot differ")))
        }
        (key, asked) => Ok(asked.or(key).unwrap_or(false)),
    }
}

pub(super) fn verify_one(
    call: &Call,
    caller: &Caller,
    descriptor: &SobjectDescriptor,
    request: &VerifyRequest,
) -> Result<VerifyResponse, ApiError> {
    let row = find(call, caller, descriptor, Operation::Verify)?;
    if row.sobject.obj_type == ObjectType::Mldsa {
        let result = ml_dsa::verify(&row, request)?;
        log(call, caller, "Verified with", &row)?;
        return Ok(VerifyResponse { kid: row.sobject.kid, result });
    }
    let Opened { row, key } = with_key(call, row)?;
    if request.context.is_some() {
        return Err(ApiError::bad_request("Field `context` is not allowed with this key"));
    }
    let (scheme, message) = scheme(&row.sobject, request.hash_alg, request.mode, request.hash.as_ref(), request.data.as_ref())?;
    let result = key.verify(&scheme, message, request.signature.as_ref()).map_err(refused)?;
    log(call, caller, "Verified with", &row)?;
    Ok(VerifyResponse { kid: row.sobject.kid, result })
}

/// The scheme and the message that a request means.
fn scheme<'a>(
    sobject: &Sobject,
    hash_alg: Option<HashAlgorithm>,
    mode: Option<SignatureMode>,
    given_hash: Option<&'a Blob>,
    data: Option<&'a Blob>,
) -> Result<(SignatureScheme, Message<'a>), ApiError> {
    let mode = match mode {
        None => None,
        Some(SignatureMode::Rsa(padding)) => Some(padding),
        Some(SignatureMode::MlDsa(_)) => return Err(ApiError::bad_request("Invalid mode: it is for ML-DSA keys")),
    };
    let hash = hash(hash_alg.ok_or_else(|| ApiError::bad_request("Missing field `hash_alg`"))?);
    let message = match (given_hash, data) {
        (Some(digest), None) if digest.0.len() == hash.len() => Message::Digest(&digest.0),
        (Some(_), None) => return Err(ApiError::bad_request("Invalid length of `hash` for this hash_alg")),
        (None, Some(data)) => Message::Data(&data.0),
        _ => return Err(ApiError::bad_request("Exactly one of `hash` and `data` is expected")),
    };
    let scheme = match sobject.obj_type {
        ObjectType::Ec if mode.is_some() => return Err(ApiError::bad_request("Field `mode` is not allowed with an EC key")),
        ObjectType::Ec if sobject.elliptic_curve == Some(EllipticCurve::X25519) => {
            return Err(ApiError::bad_request("X25519 keys do not sign: they agree on secrets"));
        }
        // Its digest is part of the scheme, and it goes over the message twice.
        ObjectType::Ec if sobject.elliptic_curve == Some(EllipticCurve::Ed25519) => match (hash, message) {
            (Hash::Sha512, Message::Data(_)) => SignatureScheme::EdDsa,
            _ => return Err(ApiError::bad_request("Ed25519 signs `data` with hash_alg SHA512 only")),
        },
        ObjectType::Ec => SignatureScheme::Ecdsa { hash: Some(hash), encoding: Encoding::Der },
        ObjectType::Rsa => match signature_padding(mode, sobject)? {
            RsaSignaturePadding::Pkcs1V15 {} => SignatureScheme::RsaPkcs1 { hash },
            // The salt is as long as the digest: the wire has no field for it.
            RsaSignaturePadding::Pss(pss) => {
                SignatureScheme::RsaPss { hash, mgf1: super::modes::hash(pss.mgf.hash()), salt_len: hash.len() }
            }
        },
        _ => return Err(ApiError::bad_request("This type of sobject does not sign")),
    };
    Ok((scheme, message))
}
