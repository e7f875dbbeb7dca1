//! `encrypt` and `decrypt`.

use dsma_api::{
    ApiError, Blob, CryptMode, DecryptRequest, DecryptResponse, EncryptRequest, EncryptResponse, ObjectType, Operation, SecretBlob,
    Sobject, SobjectDescriptor,
};
use dsma_crypto::Buffers;
use zeroize::Zeroizing;

use super::modes::{check_alg, encryption_padding, symmetric};
use super::params::Parameters;
use super::{descriptor, log, refused};
use crate::dsm::authentication::Caller;
use crate::dsm::call::Call;
use crate::dsm::reply::Reply;
use crate::dsm::sobjects::{Opened, open};

/// `POST /crypto/v1/encrypt`, `POST /crypto/v1/keys/{id}/encrypt`.
pub(crate) fn encrypt(call: &Call) -> Result<Reply, ApiError> {
    let caller = call.caller()?;
    let mut request: EncryptRequest = call.json()?;
    let key = descriptor(call, request.key.take())?;
    Reply::ok(&encrypt_one(call, &caller, &key, &request)?)
}

/// `POST /crypto/v1/decrypt`, `POST /crypto/v1/keys/{id}/decrypt`.
pub(crate) fn decrypt(call: &Call) -> Result<Reply, ApiError> {
    let caller = call.caller()?;
    let mut request: DecryptRequest = call.json()?;
    let key = descriptor(call, request.key.take())?;
    Reply::ok(&decrypt_one(call, &caller, &key, &request)?)
}

pub(super) fn encrypt_one(
    call: &Call,
    caller: &Caller,
    descriptor: &SobjectDescriptor,
    request: &EncryptRequest,
) -> Result<EncryptResponse, ApiError> {
    let Opened { row, key } = open(call, caller, descriptor, Operation::Encrypt)?;
    check_alg(Some(request.alg), &row.sobject)?;
    let cipher = cipher(&row.sobject, request.mode)?;
    let (iv, tag_len) = (cipher.iv_for_encryption(request.iv.as_ref())?, cipher.tag_bytes(request.tag_len)?);
    let params = cipher.with(iv.as_ref(), request.ad.as_ref(), request.label.as_ref())?;
    let plain = request.plain.as_ref();
    let mut cipher = vec![0; key.encrypted_len(&params, plain.len())];
    let mut tag = vec![0; tag_len];
    let length = key.encrypt(&params, Buffers::new(plain, &mut cipher), &mut tag).map_err(refused)?;
    cipher.truncate(length);
    log(call, caller, "Encrypted with", &row)?;
    Ok(EncryptResponse { kid: row.sobject.kid, cipher: Blob(cipher), iv, tag: (tag_len > 0).then_some(Blob(tag)) })
}

pub(super) fn decrypt_one(
    call: &Call,
    caller: &Caller,
    descriptor: &SobjectDescriptor,
    request: &DecryptRequest,
) -> Result<DecryptResponse, ApiError> {
    let Opened { row, key } = open(call, caller, descriptor, Operation::Decrypt)?;
    check_alg(request.alg, &row.sobject)?;
    let cipher = cipher(&row.sobject, request.mode)?;
    cipher.check_decryption(request.iv.as_ref(), request.tag.as_ref())?;
    let params = cipher.with(request.iv.as_ref(), request.ad.as_ref(), request.label.as_ref())?;
    let cipher = request.cipher.as_ref();
    // No mode makes a plaintext longer than its ciphertext; an RSA one is at most as long as the modulus.
    let mut plain = Zeroizing::new(vec![0; cipher.len().max(key.encrypted_len(&params, 0))]);
    let tag = request.tag.as_ref().map(AsRef::as_ref).unwrap_or_default();
    let length = key.decrypt(&params, Buffers::new(cipher, &mut plain), tag).map_err(refused)?;
    plain.truncate(length);
    log(call, caller, "Decrypted with", &row)?;
    Ok(DecryptResponse { kid: row.sobject.kid, plain: SecretBlob(plain) })
}

/// The cipher that a key and a request mean.
fn cipher(sobject: &Sobject, mode: Option<CryptMode>) -> Result<Parameters, ApiError> {
    if sobject.obj_type == ObjectType::Rsa {
        Ok(Parameters::Rsa(encryption_padding(mode, sobject)?))
    } else {
        Ok(Parameters::symmetric(sobject.obj_type, symmetric(mode, sobject.obj_type)?))
    }
}
