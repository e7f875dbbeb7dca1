//! Encrypt and decrypt: AES in GCM, CBC, CTR and ECB, and RSA.

use dsma_api::{CipherMode, CryptMode, DecryptRequest, EncryptRequest, HashAlgorithm, RsaEncryptionPadding};
use dsma_core::{CachedKey, allows_cipher};
use dsma_crypto::{Buffers, CipherParams, Key};
use hyper::body::Bytes;
use zeroize::Zeroizing;

use super::Outcome;
use super::reply::Reply;
use super::signing::hash;

/// The IV of AES-GCM that everybody uses; other lengths are DSM's to judge.
const GCM_IV: usize = 12;
const BLOCK: usize = 16;
/// Shorter tags are allowed by the standard and weak; whether they are allowed here is DSM's to say.
const GCM_TAGS: std::ops::RangeInclusive<usize> = 12..=16;

pub(super) fn encrypt(cached: &CachedKey, key: &Key, request: EncryptRequest) -> Result<Bytes, Outcome> {
    let EncryptRequest { alg, plain, mode, iv, ad, tag_len, label, .. } = request;
    if alg != cached.sobject().obj_type {
        return Err(Outcome::PassOn);
    }
    match key {
        Key::Aes(_) if label.is_none() => {
            let Some(CryptMode::Symmetric(mode)) = mode else { return Err(Outcome::PassOn) };
            let iv = match iv {
                Some(iv) => iv.0,
                None => random_iv(mode)?,
            };
            let tag_len = match (mode, tag_len) {
                (CipherMode::Gcm, Some(bits)) if bits % 8 == 0 => bits / 8,
                (CipherMode::Gcm, _) | (_, Some(_)) => return Err(Outcome::PassOn),
                _ => 0,
            };
            let params = symmetric(mode, &iv, ad.as_ref().map(AsRef::as_ref), tag_len)?;
            let mut tag = [0; 16];
            let tag = tag.get_mut(..tag_len).ok_or(Outcome::PassOn)?;
            let cipher =
                run(key.encrypted_len(&params, plain.0.len()), |output| key.encrypt(&params, Buffers::new(&plain.0, output), tag))?;
            let mut reply = Reply::new(cached.kid(), cipher.len() + iv.len() + tag.len()).blob("cipher", &cipher);
            if mode != CipherMode::Ecb {
                reply = reply.blob("iv", &iv);
            }
            if mode == CipherMode::Gcm {
                reply = reply.blob("tag", tag);
            }
            Ok(reply.finish())
        }
        Key::Rsa(_) | Key::RsaPublic(_) if iv.is_none() && ad.is_none() && tag_len.is_none() => {
            let params = asymmetric(cached, mode, label.as_ref().map(AsRef::as_ref))?;
            let cipher =
                run(key.encrypted_len(&params, plain.0.len()), |output| key.encrypt(&params, Buffers::new(&plain.0, output), &mut []))?;
            Ok(Reply::new(cached.kid(), cipher.len()).blob("cipher", &cipher).finish())
        }
        _ => Err(Outcome::PassOn),
    }
}

pub(super) fn decrypt(cached: &CachedKey, key: &Key, request: &DecryptRequest) -> Result<Bytes, Outcome> {
    let DecryptRequest { alg, cipher, mode, iv, ad, tag, masked, label, .. } = request;
    if alg.is_some_and(|alg| alg != cached.sobject().obj_type) || masked.is_some() {
        return Err(Outcome::PassOn);
    }
    let cipher = cipher.as_ref();
    let plain = match key {
        Key::Aes(_) if label.is_none() => {
            let Some(CryptMode::Symmetric(mode)) = mode else { return Err(Outcome::PassOn) };
            let iv = match (mode, iv) {
                (CipherMode::Ecb, None) => &[],
                (_, Some(iv)) => iv.as_ref(),
                (_, None) => return Err(Outcome::PassOn),
            };
            let tag = tag.as_ref().map(AsRef::as_ref).unwrap_or_default();
            let params = symmetric(*mode, iv, ad.as_ref().map(AsRef::as_ref), tag.len())?;
            run(cipher.len(), |output| key.decrypt(&params, Buffers::new(cipher, output), tag))?
        }
        Key::Rsa(rsa) if iv.is_none() && ad.is_none() && tag.is_none() => {
            let params = asymmetric(cached, *mode, label.as_ref().map(AsRef::as_ref))?;
            run(rsa.modulus_len(), |output| key.decrypt(&params, Buffers::new(cipher, output), &[]))?
        }
        _ => return Err(Outcome::PassOn),
    };
    Ok(Reply::new(cached.kid(), plain.len()).blob("plain", &plain).finish())
}

/// Gives `operation` an output of `length` bytes and keeps what it wrote.
fn run(length: usize, operation: impl FnOnce(&mut [u8]) -> Result<usize, dsma_crypto::Error>) -> Result<Zeroizing<Vec<u8>>, Outcome> {
    let mut output = Zeroizing::new(vec![0; length]);
    let written = operation(&mut output)?;
    output.truncate(written);
    Ok(output)
}

fn symmetric<'a>(mode: CipherMode, iv: &'a [u8], ad: Option<&'a [u8]>, tag_len: usize) -> Result<CipherParams<'a>, Outcome> {
    let plain_mode = ad.is_none() && tag_len == 0;
    match mode {
        CipherMode::Gcm if iv.len() == GCM_IV && GCM_TAGS.contains(&tag_len) => {
            Ok(CipherParams::AesGcm { iv, aad: ad.unwrap_or_default() })
        }
        CipherMode::Cbc if plain_mode && iv.len() == BLOCK => Ok(CipherParams::AesCbc { iv, padding: true }),
        CipherMode::CbcNoPad if plain_mode && iv.len() == BLOCK => Ok(CipherParams::AesCbc { iv, padding: false }),
        CipherMode::Ctr if plain_mode && iv.len() == BLOCK => Ok(CipherParams::AesCtr { iv }),
        CipherMode::Ecb if plain_mode && iv.is_empty() => Ok(CipherParams::AesEcb),
        _ => Err(Outcome::PassOn),
    }
}

fn random_iv(mode: CipherMode) -> Result<Vec<u8>, Outcome> {
    let length = match mode {
        CipherMode::Ecb => 0,
        CipherMode::Gcm => GCM_IV,
        _ => BLOCK,
    };
    let mut iv = vec![0; length];
    dsma_crypto::random::fill(&mut iv)?;
    Ok(iv)
}

/// The padding that was asked for, where the key's policy is known to allow it. What is meant without one is DSM's to say.
fn asymmetric<'a>(cached: &CachedKey, mode: Option<CryptMode>, label: Option<&'a [u8]>) -> Result<CipherParams<'a>, Outcome> {
    let Some(CryptMode::Rsa(padding)) = mode else { return Err(Outcome::PassOn) };
    let params = match padding {
        RsaEncryptionPadding::Pkcs1V15 {} if label.is_none() => CipherParams::RsaPkcs1,
        RsaEncryptionPadding::Oaep(oaep) => {
            let hash = oaep_hash(oaep.mgf.hash())?;
            CipherParams::RsaOaep { hash, mgf1: hash, label: label.unwrap_or_default() }
        }
        _ => return Err(Outcome::PassOn),
    };
    if allows_cipher(cached.sobject(), &params) { Ok(params) } else { Err(Outcome::PassOn) }
}

/// Only one hash is on the wire: the label's is the mask generation's.
fn oaep_hash(name: HashAlgorithm) -> Result<dsma_crypto::digest::Hash, Outcome> {
    hash(name).ok_or(Outcome::PassOn)
}
