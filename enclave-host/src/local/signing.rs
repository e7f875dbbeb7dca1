//! Sign and verify: RSA PKCS #1 v1.5 and PSS, ECDSA.

use dsma_api::{Blob, HashAlgorithm, RsaSignaturePadding, SignRequest, SignatureMode, VerifyRequest};
use dsma_core::{CachedKey, allows_signature};
use dsma_crypto::digest::Hash;
use dsma_crypto::{Encoding, Key, Message, SignatureScheme};
use hyper::body::Bytes;

use super::Outcome;
use super::reply::Reply;

pub(super) fn sign(cached: &CachedKey, key: &Key, request: &SignRequest) -> Result<Bytes, Outcome> {
    let SignRequest { hash_alg, hash, data, mode, deterministic_signature, context, .. } = request;
    // RFC 6979 nonces are not offered here.
    if *deterministic_signature == Some(true) || context.is_some() {
        return Err(Outcome::PassOn);
    }
    let scheme = scheme(cached, key, *hash_alg, *mode)?;
    let message = message(hash.as_ref(), data.as_ref())?;
    let mut signature = vec![0; key.signature_len(&scheme)];
    let length = key.sign(&scheme, message, &mut signature)?;
    let signature = signature.get(..length).ok_or(Outcome::PassOn)?;
    Ok(Reply::new(cached.kid(), length).blob("signature", signature).finish())
}

pub(super) fn verify(cached: &CachedKey, key: &Key, request: &VerifyRequest) -> Result<Bytes, Outcome> {
    let VerifyRequest { hash_alg, hash, data, mode, signature, context, .. } = request;
    if context.is_some() {
        return Err(Outcome::PassOn);
    }
    let scheme = scheme(cached, key, *hash_alg, *mode)?;
    let message = message(hash.as_ref(), data.as_ref())?;
    let holds = key.verify(&scheme, message, signature.as_ref())?;
    Ok(Reply::new(cached.kid(), 0).truth("result", holds).finish())
}

/// The primitive's name for a digest; `None` where it has none.
pub(super) const fn hash(name: HashAlgorithm) -> Option<Hash> {
    match name {
        HashAlgorithm::Sha1 => Some(Hash::Sha1),
        HashAlgorithm::Sha224 => Some(Hash::Sha224),
        HashAlgorithm::Sha256 => Some(Hash::Sha256),
        HashAlgorithm::Sha384 => Some(Hash::Sha384),
        HashAlgorithm::Sha512 => Some(Hash::Sha512),
        _ => None,
    }
}

fn scheme(cached: &CachedKey, key: &Key, name: Option<HashAlgorithm>, mode: Option<SignatureMode>) -> Result<SignatureScheme, Outcome> {
    let mode = match mode {
        None => None,
        Some(SignatureMode::Rsa(padding)) => Some(padding),
        Some(SignatureMode::MlDsa(_)) => return Err(Outcome::PassOn),
    };
    let digest = name.and_then(hash).ok_or(Outcome::PassOn)?;
    match key {
        Key::Rsa(_) | Key::RsaPublic(_) => {
            let scheme = match mode.unwrap_or(RsaSignaturePadding::Pkcs1V15 {}) {
                RsaSignaturePadding::Pkcs1V15 {} => SignatureScheme::RsaPkcs1 { hash: digest },
                RsaSignaturePadding::Pss(pss) => {
                    let mgf1 = hash(pss.mgf.hash()).ok_or(Outcome::PassOn)?;
                    // DSM's salt is as long as the hash.
                    SignatureScheme::RsaPss { hash: digest, mgf1, salt_len: digest.len() }
                }
            };
            if allows_signature(cached.sobject(), &scheme) { Ok(scheme) } else { Err(Outcome::PassOn) }
        }
        Key::Ec(_) | Key::EcPublic(_) if mode.is_none() => Ok(SignatureScheme::Ecdsa { hash: Some(digest), encoding: Encoding::Der }),
        _ => Err(Outcome::PassOn),
    }
}

/// Exactly one of the two; DSM says what is wrong otherwise.
fn message<'a>(hash: Option<&'a Blob>, data: Option<&'a Blob>) -> Result<Message<'a>, Outcome> {
    match (hash, data) {
        (Some(hash), None) => Ok(Message::Digest(hash.as_ref())),
        (None, Some(data)) => Ok(Message::Data(data.as_ref())),
        _ => Err(Outcome::PassOn),
    }
}
