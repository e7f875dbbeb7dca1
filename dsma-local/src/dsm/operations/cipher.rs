//! `encrypt` and `decrypt`.

use dsma_api::{
    ApiError, Blob, CipherMode, CryptMode, DecryptRequest, DecryptResponse, EncryptRequest, EncryptResponse, ObjectType, Operation,
    SecretBlob, Sobject, SobjectDescriptor,
};
use dsma_crypto::{AesKey, Buffers, Key};
use dsma_fpe::Format;
use zeroize::Zeroizing;

use super::modes::{check_alg, encryption_padding, symmetric};
use super::params::{Parameters, none_given};
use super::{descriptor, log, refused};
use crate::dsm::authentication::Caller;
use crate::dsm::call::Call;
use crate::dsm::reply::Reply;
use crate::dsm::sobjects::{Opened, open, open_token};

/// The mode whose texts are characters, not bytes.
const TOKENS: CryptMode = CryptMode::Symmetric(CipherMode::Ff1);

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
    let EncryptRequest { mode, iv, ad, tag_len, label, .. } = request;
    if *mode == Some(TOKENS) {
        none_given(&[("iv", iv.is_some()), ("ad", ad.is_some()), ("tag_len", tag_len.is_some()), ("label", label.is_some())])?;
        let token = Format::of(&row.sobject)?.tokenize(aes(&key)?, request.plain.as_ref())?;
        log(call, caller, "Encrypted with", &row)?;
        return Ok(EncryptResponse { kid: row.sobject.kid, cipher: Blob(token), iv: None, tag: None });
    }
    let wishes = Wishes { mode: *mode, iv: iv.as_ref(), ad: ad.as_ref(), label: label.as_ref() };
    let Sealed { cipher, iv, tag } = seal(&row.sobject, &key, wishes, *tag_len, request.plain.as_ref())?;
    log(call, caller, "Encrypted with", &row)?;
    Ok(EncryptResponse { kid: row.sobject.kid, cipher, iv, tag })
}

pub(super) fn decrypt_one(
    call: &Call,
    caller: &Caller,
    descriptor: &SobjectDescriptor,
    request: &DecryptRequest,
) -> Result<DecryptResponse, ApiError> {
    let DecryptRequest { mode, iv, ad, tag, label, masked, .. } = request;
    if *mode == Some(TOKENS) {
        none_given(&[("iv", iv.is_some()), ("ad", ad.is_some()), ("tag", tag.is_some()), ("label", label.is_some())])?;
        let (Opened { row, key }, masked_only) = open_token(call, caller, descriptor)?;
        check_alg(request.alg, &row.sobject)?;
        let masked = masked_only || *masked == Some(true);
        let plain = Format::of(&row.sobject)?.detokenize(aes(&key)?, request.cipher.as_ref(), masked)?;
        log(call, caller, "Decrypted with", &row)?;
        return Ok(DecryptResponse { kid: row.sobject.kid, plain: SecretBlob(plain) });
    }
    let Opened { row, key } = open(call, caller, descriptor, Operation::Decrypt)?;
    check_alg(request.alg, &row.sobject)?;
    none_given(&[("masked", *masked == Some(true))])?;
    let wishes = Wishes { mode: *mode, iv: iv.as_ref(), ad: ad.as_ref(), label: label.as_ref() };
    let plain = unseal(&row.sobject, &key, wishes, tag.as_ref(), request.cipher.as_ref())?;
    log(call, caller, "Decrypted with", &row)?;
    Ok(DecryptResponse { kid: row.sobject.kid, plain: SecretBlob(plain) })
}

fn aes(key: &Key) -> Result<&AesKey, ApiError> {
    if let Key::Aes(key) = key { Ok(key) } else { Err(ApiError::bad_request("Mode FF1 is for AES keys")) }
}

/// What a request says about the cipher, in whatever operation.
#[derive(Clone, Copy)]
pub(super) struct Wishes<'a> {
    pub(super) mode: Option<CryptMode>,
    pub(super) iv: Option<&'a Blob>,
    pub(super) ad: Option<&'a Blob>,
    pub(super) label: Option<&'a Blob>,
}

/// A ciphertext with the IV that was used and the tag that was made.
pub(super) struct Sealed {
    pub(super) cipher: Blob,
    pub(super) iv: Option<Blob>,
    pub(super) tag: Option<Blob>,
}

/// Encrypts. `tag_len` counts bits.
pub(super) fn seal(sobject: &Sobject, key: &Key, wishes: Wishes<'_>, tag_len: Option<usize>, plain: &[u8]) -> Result<Sealed, ApiError> {
    let cipher = cipher(sobject, wishes.mode)?;
    cipher.check_encryption()?;
    let (iv, tag_len) = (cipher.iv_for_encryption(wishes.iv)?, cipher.tag_bytes(tag_len)?);
    let params = cipher.with(iv.as_ref(), wishes.ad, wishes.label)?;
    let mut cipher = vec![0; key.encrypted_len(&params, plain.len())];
    let mut tag = vec![0; tag_len];
    let length = key.encrypt(&params, Buffers::new(plain, &mut cipher), &mut tag).map_err(refused)?;
    cipher.truncate(length);
    Ok(Sealed { cipher: Blob(cipher), iv, tag: (tag_len > 0).then_some(Blob(tag)) })
}

/// Decrypts.
pub(super) fn unseal(
    sobject: &Sobject,
    key: &Key,
    wishes: Wishes<'_>,
    tag: Option<&Blob>,
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, ApiError> {
    let cipher = cipher(sobject, wishes.mode)?;
    cipher.check_decryption(wishes.iv, tag)?;
    let params = cipher.with(wishes.iv, wishes.ad, wishes.label)?;
    // No mode makes a plaintext longer than its ciphertext; an RSA one is at most as long as the modulus.
    let mut plain = Zeroizing::new(vec![0; sealed.len().max(key.encrypted_len(&params, 0))]);
    let tag = tag.map(AsRef::as_ref).unwrap_or_default();
    let length = key.decrypt(&params, Buffers::new(sealed, &mut plain), tag).map_err(refused)?;
    plain.truncate(length);
    Ok(plain)
}

/// The cipher that a key and a request mean.
pub(super) fn cipher(sobject: &Sobject, mode: Option<CryptMode>) -> Result<Parameters, ApiError> {
    if sobject.obj_type == ObjectType::Rsa {
        Ok(Parameters::Rsa(encryption_padding(mode, sobject)?))
    } else {
        Ok(Parameters::symmetric(sobject.obj_type, symmetric(mode, sobject)?))
    }
}
