//! `derive` and `agree`: new keys from keys.

use dsma_api::{
    AgreeKeyMechanism, AgreeKeyRequest, ApiError, DeriveKeyMechanism, DeriveKeyRequest, EllipticCurve, EncryptRequest, Hkdf, ObjectType,
    Operation, SecretBlob, Sobject, SobjectRequest,
};
use dsma_crypto::{EcPrivateKey, EcPublicKey, Error, X25519PrivateKey, X25519PublicKey, kdf};
use zeroize::Zeroizing;

use super::cipher::{Wishes, seal};
use super::modes::{check_alg, hash};
use super::{descriptor, log, refused};
use crate::dsm::authentication::Caller;
use crate::dsm::call::Call;
use crate::dsm::reply::Reply;
use crate::dsm::sobjects::{Opened, Source, find, keep, open};
use crate::store::SobjectRow;

/// Longest key that is made here, in bits: DSM's longest HMAC key.
const MAX_SIZE: u32 = 8192;

/// `POST /crypto/v1/derive`, `POST /crypto/v1/keys/{id}/derive`.
pub(crate) fn derive(call: &Call) -> Result<Reply, ApiError> {
    let caller = call.caller()?;
    let request: DeriveKeyRequest = call.json()?;
    let key = descriptor(call, request.key)?;
    let length = length(&request.request)?;
    let (row, value) = match request.mechanism {
        DeriveKeyMechanism { hkdf: Some(hkdf), encrypt_data: None, .. } => {
            let row = find(call, &caller, &key, Operation::DeriveKey)?;
            let value = expand(call, &row, &hkdf, length)?;
            (row, value)
        }
        DeriveKeyMechanism { hkdf: None, encrypt_data: Some(data), .. } => {
            let opened = open(call, &caller, &key, Operation::DeriveKey)?;
            let value = encrypt(&opened, &data, length)?;
            (opened.row, value)
        }
        DeriveKeyMechanism { hkdf: Some(_), encrypt_data: Some(_), .. } => {
            return Err(ApiError::bad_request("Exactly one mechanism is expected"));
        }
        _ => return Err(ApiError::bad_request("This mechanism is not supported by this version: hkdf and encrypt_data are")),
    };
    let made = new_key(call, &caller, request.request, request.key_type, value)?;
    log(call, &caller, "Derived from", &row)?;
    Reply::created(&made)
}

/// `POST /crypto/v1/agree`.
pub(crate) fn agree(call: &Call) -> Result<Reply, ApiError> {
    let caller = call.caller()?;
    let request: AgreeKeyRequest = call.json()?;
    let AgreeKeyMechanism::DiffieHellman = request.mechanism;
    let length = length(&request.request)?;
    let ours = find(call, &caller, &request.private_key, Operation::AgreeKey)?;
    let theirs = find(call, &caller, &request.public_key, Operation::AgreeKey)?;
    let secret = shared_secret(call, &ours, &theirs.sobject)?;
    // As in PKCS #11: a shorter key is the end of the secret.
    let excess = secret
        .len()
        .checked_sub(length)
        .ok_or_else(|| ApiError::bad_request(format!("Invalid key_size: the secret of this curve has {} bits", secret.len() * 8)))?;
    let value = Zeroizing::new(secret[excess..].to_vec());
    let made = new_key(call, &caller, request.request, request.key_type, value)?;
    log(call, &caller, "Agreed with", &ours)?;
    Reply::created(&made)
}

/// `POST /crypto/v1/transform`: for BIP-32 keys, of which this version has none.
pub(crate) fn transform(call: &Call) -> Result<Reply, ApiError> {
    call.caller()?;
    Err(ApiError::bad_request("Transforming is for BIP32 keys, which this version does not support"))
}

/// Bytes of the key that the request asks for.
fn length(request: &SobjectRequest) -> Result<usize, ApiError> {
    match request.key_size {
        None => Err(ApiError::bad_request("Missing field `key_size`")),
        Some(bits) if bits > 0 && bits <= MAX_SIZE && bits.is_multiple_of(8) => Ok(bits as usize / 8),
        Some(_) => Err(ApiError::bad_request(format!("Invalid key_size: whole bytes, at most {MAX_SIZE} bits"))),
    }
}

fn expand(call: &Call, row: &SobjectRow, hkdf: &Hkdf, length: usize) -> Result<Zeroizing<Vec<u8>>, ApiError> {
    let raw = matches!(row.sobject.obj_type, ObjectType::Aes | ObjectType::Des3 | ObjectType::Hmac | ObjectType::Secret);
    let secret = call.store().material(row)?.filter(|_| raw);
    let secret = secret.ok_or_else(|| ApiError::bad_request("This type of sobject is not possible with hkdf"))?;
    let part = |part: &Option<dsma_api::Blob>| part.clone().unwrap_or_default().0;
    let mut value = Zeroizing::new(vec![0; length]);
    kdf::hkdf(hash(hkdf.hash_alg), &secret, &part(&hkdf.salt), &part(&hkdf.info), &mut value).map_err(refused)?;
    Ok(value)
}

/// The beginning of the ciphertext.
fn encrypt(opened: &Opened, data: &EncryptRequest, length: usize) -> Result<Zeroizing<Vec<u8>>, ApiError> {
    let Opened { row, key } = opened;
    let EncryptRequest { mode, iv, ad, tag_len, label, plain, .. } = data;
    check_alg(Some(data.alg), &row.sobject)?;
    if data.key.is_some() {
        return Err(ApiError::bad_request("Field `key` is not allowed in encrypt_data: the key stands beside the mechanism"));
    }
    if !matches!(row.sobject.obj_type, ObjectType::Aes | ObjectType::Des3) {
        return Err(ApiError::bad_request("This type of sobject is not possible with encrypt_data"));
    }
    let wishes = Wishes { mode: *mode, iv: iv.as_ref(), ad: ad.as_ref(), label: label.as_ref() };
    let sealed = seal(&row.sobject, key, wishes, *tag_len, plain.as_ref())?;
    if sealed.iv.is_some() && iv.is_none() {
        return Err(ApiError::bad_request("Missing field `iv` in encrypt_data: nobody could derive the key again"));
    }
    let cipher = Zeroizing::new(sealed.cipher.0);
    let value = cipher
        .get(..length)
        .ok_or_else(|| ApiError::bad_request(format!("Invalid key_size: the encrypted data has {} bits only", cipher.len() * 8)))?;
    Ok(Zeroizing::new(value.to_vec()))
}

fn shared_secret(call: &Call, ours: &SobjectRow, theirs: &Sobject) -> Result<Zeroizing<Vec<u8>>, ApiError> {
    if ours.sobject.obj_type != ObjectType::Ec || theirs.obj_type != ObjectType::Ec {
        return Err(ApiError::bad_request("Only EC keys agree on secrets"));
    }
    if ours.sobject.elliptic_curve != theirs.elliptic_curve {
        return Err(ApiError::bad_request("The keys lie on different curves"));
    }
    let private = call.store().material(ours)?;
    let private = private.ok_or_else(|| ApiError::bad_request("private_key is a public key alone"))?;
    let public = theirs.pub_key.as_ref().map(AsRef::as_ref).unwrap_or_default();
    let secret = match ours.sobject.elliptic_curve {
        Some(EllipticCurve::Ed25519) => return Err(ApiError::bad_request("Ed25519 keys sign: X25519 keys agree on secrets")),
        Some(EllipticCurve::X25519) => {
            let agreed = X25519PrivateKey::from_der(&private).and_then(|key| key.agree(&X25519PublicKey::from_spki_der(public)?));
            agreed.map(|secret| Zeroizing::new(secret.to_vec()))
        }
        _ => EcPrivateKey::from_der(&private).and_then(|key| key.agree(&EcPublicKey::from_spki_der(public)?)),
    };
    secret.map_err(|error| match error {
        Error::Malformed => ApiError::bad_request("The keys have no secret in common: public_key is a point of low order"),
        error => refused(error),
    })
}

/// Keeps a new key as the request describes it.
pub(super) fn new_key(
    call: &Call,
    caller: &Caller,
    request: SobjectRequest,
    key_type: ObjectType,
    value: Zeroizing<Vec<u8>>,
) -> Result<Sobject, ApiError> {
    if !matches!(key_type, ObjectType::Aes | ObjectType::Des3 | ObjectType::Hmac | ObjectType::Secret) {
        return Err(ApiError::bad_request("Invalid key_type: AES, DES3, HMAC or SECRET"));
    }
    let wanted = SobjectRequest { obj_type: Some(key_type), value: Some(SecretBlob(value)), ..request };
    keep(call, caller, wanted, Source::Generated)
}
