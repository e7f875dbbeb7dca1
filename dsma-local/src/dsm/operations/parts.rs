//! `/crypto/v1/{encrypt,decrypt}/{init,update,final}`: a message in parts, and nothing kept here in between.
//!
//! The state goes to the client and comes back: sealed, bound to the account, the caller, the key and the direction, and good for an hour.
//! Each part asks anew whether the caller may use the key. A client that presents a state twice continues the message twice, as it could
//! begin it twice with one IV.

use base64_simd::STANDARD;
use dsma_api::{
    ApiError, Blob, CipherMode, CryptMode, DecryptFinalRequest, DecryptFinalResponse, DecryptInitRequest, DecryptInitResponse,
    DecryptUpdateRequest, DecryptUpdateResponse, EncryptFinalRequest, EncryptFinalResponse, EncryptInitRequest, EncryptInitResponse,
    EncryptUpdateRequest, EncryptUpdateResponse, Operation, SecretBlob, Sobject, SobjectDescriptor, Time,
};
use dsma_crypto::digest::Hash;
use dsma_crypto::{CipherParts, Key};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::modes::{check_alg, symmetric};
use super::params::{Parameters, none_given};
use super::{descriptor, log, refused};
use crate::dsm::authentication::Caller;
use crate::dsm::call::Call;
use crate::dsm::reply::Reply;
use crate::dsm::sobjects::{Opened, open};
use crate::store::SobjectRow;

/// Seconds from one part to the next.
const STATE_TIME: i64 = 3600;
/// A tag's bits where the end of an encryption names none: older clients cannot.
const DEFAULT_TAG: usize = 128;

/// `POST /crypto/v1/encrypt/init`, `POST /crypto/v1/keys/{id}/encrypt/init`.
pub(crate) fn encrypt_init(call: &Call) -> Result<Reply, ApiError> {
    let caller = call.caller()?;
    let request: EncryptInitRequest = call.json()?;
    let key = descriptor(call, request.key)?;
    let opened = open(call, &caller, &key, Operation::Encrypt)?;
    check_alg(Some(request.alg), &opened.row.sobject)?;
    let cipher = cipher_in_parts(&opened.row.sobject, request.mode)?;
    let iv = cipher.iv_for_encryption(request.iv.as_ref())?;
    let params = cipher.with(iv.as_ref(), request.ad.as_ref(), None)?;
    let parts = CipherParts::start(&opened.key, &params, true).map_err(refused)?;
    log(call, &caller, "Encrypted with", &opened.row)?;
    let state = close(call, &Bound::new(call, &caller, &key, &opened.row, Operation::Encrypt), &parts)?;
    Reply::ok(&EncryptInitResponse { kid: opened.row.sobject.kid, iv, state })
}

/// `POST /crypto/v1/decrypt/init`, `POST /crypto/v1/keys/{id}/decrypt/init`.
pub(crate) fn decrypt_init(call: &Call) -> Result<Reply, ApiError> {
    let caller = call.caller()?;
    let request: DecryptInitRequest = call.json()?;
    let key = descriptor(call, request.key)?;
    let opened = open(call, &caller, &key, Operation::Decrypt)?;
    check_alg(request.alg, &opened.row.sobject)?;
    let cipher = cipher_in_parts(&opened.row.sobject, request.mode)?;
    if request.iv.is_none() {
        return Err(ApiError::bad_request("Missing field `iv`"));
    }
    let params = cipher.with(request.iv.as_ref(), request.ad.as_ref(), None)?;
    let parts = CipherParts::start(&opened.key, &params, false).map_err(refused)?;
    log(call, &caller, "Decrypted with", &opened.row)?;
    let state = close(call, &Bound::new(call, &caller, &key, &opened.row, Operation::Decrypt), &parts)?;
    Reply::ok(&DecryptInitResponse { kid: opened.row.sobject.kid, state })
}

/// `POST /crypto/v1/encrypt/update`, `POST /crypto/v1/keys/{id}/encrypt/update`.
pub(crate) fn encrypt_update(call: &Call) -> Result<Reply, ApiError> {
    let caller = call.caller()?;
    let request: EncryptUpdateRequest = call.json()?;
    let key = descriptor(call, request.key)?;
    let (key, bound, mut parts) = resume(call, &caller, &key, Operation::Encrypt, &request.state)?;
    let cipher = parts.update(&key, request.plain.as_ref()).map_err(refused)?;
    Reply::ok(&EncryptUpdateResponse { cipher: Blob(cipher.to_vec()), state: close(call, &bound, &parts)? })
}

/// `POST /crypto/v1/decrypt/update`, `POST /crypto/v1/keys/{id}/decrypt/update`.
pub(crate) fn decrypt_update(call: &Call) -> Result<Reply, ApiError> {
    let caller = call.caller()?;
    let request: DecryptUpdateRequest = call.json()?;
    let key = descriptor(call, request.key)?;
    let (key, bound, mut parts) = resume(call, &caller, &key, Operation::Decrypt, &request.state)?;
    let plain = parts.update(&key, request.cipher.as_ref()).map_err(refused)?;
    Reply::ok(&DecryptUpdateResponse { plain: SecretBlob(plain), state: close(call, &bound, &parts)? })
}

/// `POST /crypto/v1/encrypt/final`, `POST /crypto/v1/keys/{id}/encrypt/final`.
pub(crate) fn encrypt_final(call: &Call) -> Result<Reply, ApiError> {
    let caller = call.caller()?;
    let request: EncryptFinalRequest = call.json()?;
    let key = descriptor(call, request.key)?;
    let (key, _, parts) = resume(call, &caller, &key, Operation::Encrypt, &request.state)?;
    let tag_len = if parts.is_authenticated() {
        Parameters::Aes(CipherMode::Gcm).tag_bytes(Some(request.tag_len.unwrap_or(DEFAULT_TAG)))?
    } else {
        none_given(&[("tag_len", request.tag_len.is_some())])?;
        0
    };
    let mut tag = vec![0; tag_len];
    let cipher = parts.finish_encrypt(&key, &mut tag).map_err(refused)?;
    Reply::ok(&EncryptFinalResponse { cipher: Blob(cipher.to_vec()), tag: (tag_len > 0).then_some(Blob(tag)) })
}

/// `POST /crypto/v1/decrypt/final`, `POST /crypto/v1/keys/{id}/decrypt/final`.
pub(crate) fn decrypt_final(call: &Call) -> Result<Reply, ApiError> {
    let caller = call.caller()?;
    let request: DecryptFinalRequest = call.json()?;
    let key = descriptor(call, request.key)?;
    let (key, _, parts) = resume(call, &caller, &key, Operation::Decrypt, &request.state)?;
    let tag = match (parts.is_authenticated(), request.tag) {
        (true, None) => return Err(ApiError::bad_request("Missing field `tag`")),
        (true, Some(tag)) => tag,
        (false, tag) => none_given(&[("tag", tag.is_some())]).map(|()| Blob::default())?,
    };
    let plain = parts.finish_decrypt(&key, tag.as_ref()).map_err(refused)?;
    Reply::ok(&DecryptFinalResponse { plain: SecretBlob(plain) })
}

fn cipher_in_parts(sobject: &Sobject, mode: Option<CryptMode>) -> Result<Parameters, ApiError> {
    match symmetric(mode, sobject)? {
        mode @ (CipherMode::Cbc | CipherMode::CbcNoPad | CipherMode::Ctr | CipherMode::Gcm) => {
            Ok(Parameters::symmetric(sobject.obj_type, mode))
        }
        other => Err(ApiError::bad_request(format!("Mode {other} is not possible in parts: CBC, CBCNOPAD, CTR or GCM"))),
    }
}

/// What a state is sealed for: a state of an encryption is none of a decryption, and a caller's none of another's.
struct Bound {
    kind: String,
    kid: Uuid,
}

impl Bound {
    fn new(call: &Call, caller: &Caller, key: &SobjectDescriptor, row: &SobjectRow, operation: Operation) -> Self {
        let direction = if operation == Operation::Encrypt { "encrypt" } else { "decrypt" };
        // Transient keys have no id: each blob is its own, and belongs to one session.
        let transient = match key {
            SobjectDescriptor::TransientKey(blob) => STANDARD.encode_to_string(Hash::Sha256.digest(blob.as_bytes())),
            SobjectDescriptor::Inline(key) => STANDARD.encode_to_string(Hash::Sha256.digest(key.value.as_ref())),
            _ => String::new(),
        };
        Self { kind: format!("parts/{direction}/{}/{}/{transient}", call.store().acct_id(), caller.id()), kid: row.kid }
    }
}

fn close(call: &Call, bound: &Bound, parts: &CipherParts) -> Result<Blob, ApiError> {
    let until = Time::now().0 + STATE_TIME;
    let content = Zeroizing::new([until.to_be_bytes().as_slice(), &parts.to_bytes()].concat());
    Ok(Blob(call.store().seal_for_client(&bound.kind, bound.kid, &content)?))
}

/// The key, where the caller may still use it, and the message as the state left it.
fn resume(
    call: &Call,
    caller: &Caller,
    descriptor: &SobjectDescriptor,
    operation: Operation,
    state: &Blob,
) -> Result<(Key, Bound, CipherParts), ApiError> {
    let Opened { row, key } = open(call, caller, descriptor, operation)?;
    let bound = Bound::new(call, caller, descriptor, &row, operation);
    let invalid = || ApiError::bad_request("Invalid state: it is not from this key's last answer");
    let content = call.store().open_from_client(&bound.kind, bound.kid, state.as_ref()).ok_or_else(invalid)?;
    let (until, parts) = content.split_first_chunk().ok_or_else(invalid)?;
    if i64::from_be_bytes(*until) < Time::now().0 {
        return Err(ApiError::bad_request("Invalid state: it has expired"));
    }
    Ok((key, bound, CipherParts::from_bytes(parts).map_err(|_| invalid())?))
}
