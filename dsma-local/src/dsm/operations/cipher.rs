//! `encrypt` and `decrypt`.

use dsma_api::{
    ApiError, Blob, CipherMode, DecryptRequest, DecryptResponse, EncryptRequest, EncryptResponse, ObjectType, Operation,
    RsaEncryptionPadding, SecretBlob, SobjectDescriptor,
};
use dsma_crypto::{Buffers, CipherParams, random};
use zeroize::Zeroizing;

use super::modes::{check_alg, encryption_padding, hash, symmetric};
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
    let (params, iv, tag_len) = if row.sobject.obj_type == ObjectType::Rsa {
        let padding = encryption_padding(request.mode, &row.sobject)?;
        none_given(&[("iv", request.iv.is_some()), ("ad", request.ad.is_some()), ("tag_len", request.tag_len.is_some())])?;
        (Parameters::Rsa(padding), None, 0)
    } else {
        let mode = symmetric(request.mode)?;
        none_given(&[("label", request.label.is_some())])?;
        (Parameters::Aes(mode), iv_for(mode, request.iv.as_ref())?, tag_bytes(mode, request.tag_len)?)
    };
    let params = params.with(iv.as_ref(), request.ad.as_ref(), request.label.as_ref())?;
    let plain = request.plain.as_ref();
    let mut cipher = vec![0; key.encrypted_len(&params, plain.len())];
    let mut tag = vec![0; tag_len];
    let length = key.encrypt(&params, Buffers::new(plain, &mut cipher), &mut tag).map_err(refused)?;
    cipher.truncate(length);
    log(call, caller, "Encrypted with", &row)?;
    Ok(EncryptResponse { kid: Some(row.kid), cipher: Blob(cipher), iv, tag: (tag_len > 0).then_some(Blob(tag)) })
}

pub(super) fn decrypt_one(
    call: &Call,
    caller: &Caller,
    descriptor: &SobjectDescriptor,
    request: &DecryptRequest,
) -> Result<DecryptResponse, ApiError> {
    let Opened { row, key } = open(call, caller, descriptor, Operation::Decrypt)?;
    check_alg(request.alg, &row.sobject)?;
    let params = if row.sobject.obj_type == ObjectType::Rsa {
        let padding = encryption_padding(request.mode, &row.sobject)?;
        none_given(&[("iv", request.iv.is_some()), ("ad", request.ad.is_some()), ("tag", request.tag.is_some())])?;
        Parameters::Rsa(padding)
    } else {
        let mode = symmetric(request.mode)?;
        none_given(&[("label", request.label.is_some())])?;
        match (mode, &request.iv, &request.tag) {
            (CipherMode::Gcm, _, None) => return Err(ApiError::bad_request("Missing field `tag`")),
            (CipherMode::Ecb, iv, tag) => none_given(&[("iv", iv.is_some()), ("tag", tag.is_some())])?,
            (CipherMode::Gcm, Some(_), Some(_)) => {}
            (_, Some(_), tag) => none_given(&[("tag", tag.is_some())])?,
            (_, None, _) => return Err(ApiError::bad_request("Missing field `iv`")),
        }
        Parameters::Aes(mode)
    };
    let params = params.with(request.iv.as_ref(), request.ad.as_ref(), request.label.as_ref())?;
    let cipher = request.cipher.as_ref();
    // No mode makes a plaintext longer than its ciphertext; an RSA one is at most as long as the modulus.
    let mut plain = Zeroizing::new(vec![0; cipher.len().max(key.encrypted_len(&params, 0))]);
    let tag = request.tag.as_ref().map(AsRef::as_ref).unwrap_or_default();
    let length = key.decrypt(&params, Buffers::new(cipher, &mut plain), tag).map_err(refused)?;
    plain.truncate(length);
    log(call, caller, "Decrypted with", &row)?;
    Ok(DecryptResponse { kid: Some(row.kid), plain: SecretBlob(plain) })
}

/// A mode whose parameters lie elsewhere.
enum Parameters {
    Aes(CipherMode),
    Rsa(RsaEncryptionPadding),
}

impl Parameters {
    fn with<'a>(&self, iv: Option<&'a Blob>, ad: Option<&'a Blob>, label: Option<&'a Blob>) -> Result<CipherParams<'a>, ApiError> {
        let iv = iv.map(AsRef::as_ref).unwrap_or_default();
        if !matches!(self, Self::Aes(CipherMode::Gcm)) {
            none_given(&[("ad", ad.is_some())])?;
        }
        if !matches!(self, Self::Rsa(RsaEncryptionPadding::Oaep(_))) {
            none_given(&[("label", label.is_some())])?;
        }
        match self {
            Self::Aes(CipherMode::Gcm) => Ok(CipherParams::AesGcm { iv, aad: ad.map(AsRef::as_ref).unwrap_or_default() }),
            Self::Aes(CipherMode::Cbc) => Ok(CipherParams::AesCbc { iv, padding: true }),
            Self::Aes(CipherMode::CbcNoPad) => Ok(CipherParams::AesCbc { iv, padding: false }),
            Self::Aes(CipherMode::Ecb) => Ok(CipherParams::AesEcb),
            Self::Aes(CipherMode::Ctr) => Ok(CipherParams::AesCtr { iv }),
            Self::Aes(other) => Err(ApiError::bad_request(format!("Mode {other} is not supported by this version"))),
            Self::Rsa(RsaEncryptionPadding::Pkcs1V15 {}) => Ok(CipherParams::RsaPkcs1),
            Self::Rsa(RsaEncryptionPadding::Oaep(oaep)) => {
                // One digest is sent: it serves the label as well.
                let hash = hash(oaep.mgf.hash())?;
                Ok(CipherParams::RsaOaep { hash, mgf1: hash, label: label.map(AsRef::as_ref).unwrap_or_default() })
            }
            Self::Rsa(RsaEncryptionPadding::RawDecrypt {}) => {
                Err(ApiError::bad_request("Mode RAW_DECRYPT is not supported by this version"))
            }
        }
    }
}

/// The request's IV, or a random one; `None` for a mode without.
fn iv_for(mode: CipherMode, given: Option<&Blob>) -> Result<Option<Blob>, ApiError> {
    let length = match mode {
        CipherMode::Gcm => 12,
        CipherMode::Ecb => {
            none_given(&[("iv", given.is_some())])?;
            return Ok(None);
        }
        _ => 16,
    };
    if let Some(given) = given {
        return Ok(Some(given.clone()));
    }
    let mut iv = vec![0; length];
    random::fill(&mut iv).map_err(refused)?;
    Ok(Some(Blob(iv)))
}

/// `tag_len` counts bits; it is required where the mode has a tag, and wrong elsewhere.
fn tag_bytes(mode: CipherMode, tag_len: Option<usize>) -> Result<usize, ApiError> {
    match (mode, tag_len) {
        (CipherMode::Gcm, Some(bits)) if (32..=128).contains(&bits) && bits % 8 == 0 => Ok(bits / 8),
        (CipherMode::Gcm, Some(_)) => Err(ApiError::bad_request("Invalid tag_len: 32 to 128 bits, whole bytes")),
        (CipherMode::Gcm, None) => Err(ApiError::bad_request("Missing field `tag_len`")),
        (_, given) => none_given(&[("tag_len", given.is_some())]).map(|()| 0),
    }
}

/// Refuses parameters that the mode does not have: ignoring one would hide a mistake that costs data.
fn none_given(fields: &[(&str, bool)]) -> Result<(), ApiError> {
    match fields.iter().find(|(_, given)| *given) {
        Some((name, _)) => Err(ApiError::bad_request(format!("Field `{name}` is not allowed with this mode"))),
        None => Ok(()),
    }
}
