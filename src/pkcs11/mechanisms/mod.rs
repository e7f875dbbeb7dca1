//! Mechanisms: one table that says what there is ([`table`]), and a file per family that reads the parameters.

mod aead_wrap;
mod aes;
mod chacha20;
mod derivation;
mod des3;
mod digest;
mod ecdsa;
mod eddsa;
mod mac;
mod ml_dsa;
mod params;
mod rsa;
mod table;
mod tokens;

use std::sync::Arc;

use cryptoki_sys::*;
use dsma_crypto::digest::Hash;
use zeroize::Zeroizing;

pub(super) use self::aead_wrap::Beside;
pub(super) use self::aes::LONGEST_IV;
pub(super) use self::derivation::Derivation;
pub(super) use self::params::{CipherSpec, Iv, Scheme, SignatureSpec};
pub(super) use self::table::TABLE;
use self::table::{CKM_DSMA_FF1, Entry, KeyFamily};
use super::ffi::{Input, Mechanism};
use super::objects::{KeyKind, Object};
use super::sessions::Session;
use super::{Error, Result};

/// The functions for messages.
const MESSAGES: CK_FLAGS = CKF_MESSAGE_ENCRYPT | CKF_MESSAGE_DECRYPT | CKF_MESSAGE_SIGN | CKF_MESSAGE_VERIFY;

impl Entry {
    /// What C_GetMechanismInfo says. Software, so no CKF_HW.
    pub(super) const fn info(&self) -> CK_MECHANISM_INFO {
        let (smallest, largest, curves) = self.key.sizes();
        // Whatever takes messages takes them in parts.
        let parts = if self.functions & MESSAGES != 0 { CKF_MULTI_MESSAGE } else { 0 };
        CK_MECHANISM_INFO { ulMinKeySize: smallest, ulMaxKeySize: largest, flags: self.functions | parts | curves }
    }
}

/// The hash of a digest mechanism.
///
/// # Errors
/// [`Error::MechanismInvalid`], or a parameter where there is none.
pub(super) fn digest(session: &Session, mechanism: Mechanism<'_>) -> Result<Hash> {
    let entry = find(session, mechanism, CKF_DIGEST)?;
    mechanism.no_param()?;
    digest::of_digest(entry.kind).ok_or(Error::MechanismInvalid)
}

/// The mechanism of a key generation: `function` is CKF_GENERATE or CKF_GENERATE_KEY_PAIR. None of them has a parameter.
///
/// # Errors
/// [`Error::MechanismInvalid`], or a parameter.
pub(super) fn generation(session: &Session, mechanism: Mechanism<'_>, function: CK_FLAGS) -> Result<CK_MECHANISM_TYPE> {
    let entry = find(session, mechanism, function)?;
    mechanism.no_param()?;
    Ok(entry.kind)
}

/// Most iterations of PBKDF2 over all blocks of a key: some ten seconds, for which a fork in another thread has to wait. OWASP's highest
/// advice is a twelfth of it for one block.
const MOST_ITERATIONS: u64 = 1 << 24;

/// A key of this length from a password (CKM_PKCS5_PBKD2).
///
/// # Errors
/// The mechanism is not offered, or its parameter is not right.
pub(super) fn from_password(session: &Session, mechanism: Mechanism<'_>, len: usize) -> Result<Zeroizing<Vec<u8>>> {
    find(session, mechanism, CKF_GENERATE)?;
    let given = mechanism.pbkdf2()?;
    let hash = match given.prf {
        CKP_PKCS5_PBKD2_HMAC_SHA1 => Hash::Sha1,
        CKP_PKCS5_PBKD2_HMAC_SHA224 => Hash::Sha224,
        CKP_PKCS5_PBKD2_HMAC_SHA256 => Hash::Sha256,
        CKP_PKCS5_PBKD2_HMAC_SHA384 => Hash::Sha384,
        CKP_PKCS5_PBKD2_HMAC_SHA512 => Hash::Sha512,
        _ => return Err(Error::MechanismParamInvalid),
    };
    let iterations = u32::try_from(given.iterations).ok().filter(|count| *count > 0).ok_or(Error::MechanismParamInvalid)?;
    if u64::from(iterations) * len.div_ceil(hash.len()) as u64 > MOST_ITERATIONS {
        return Err(Error::MechanismParamInvalid);
    }
    let salt = given.salt.bytes().map_err(|_| Error::MechanismParamInvalid)?;
    let password = given.password.bytes().map_err(|_| Error::MechanismParamInvalid)?;
    let mut key = Zeroizing::new(vec![0; len]);
    dsma_crypto::kdf::pbkdf2(hash, password, salt, iterations, &mut key).map_err(|_| Error::FunctionFailed)?;
    Ok(key)
}

/// The hash with this number.
pub(super) fn digest_of(kind: CK_MECHANISM_TYPE) -> Option<Hash> {
    digest::of_digest(kind)
}

/// The number of a hash.
pub(super) fn digest_number(hash: Hash) -> CK_MECHANISM_TYPE {
    digest::number(hash)
}

/// Key and parameters for a signature (`function` is CKF_SIGN) or its verification (CKF_VERIFY).
///
/// # Errors
/// The mechanism, the key or the parameter is not right, in this order.
pub(super) fn signature(
    session: &Session,
    mechanism: Mechanism<'_>,
    key: CK_OBJECT_HANDLE,
    function: CK_FLAGS,
) -> Result<(Arc<Object>, SignatureSpec)> {
    let (entry, object) = mechanism_and_key(session, mechanism, key, function)?;
    let spec = match object.kind() {
        Some(KeyKind::Ec(curve)) => ecdsa::signature(entry.kind, mechanism, curve)?,
        Some(KeyKind::Rsa) => rsa::signature(entry.kind, mechanism, object.modulus_len())?,
        Some(KeyKind::Ed25519) => eddsa::signature(mechanism)?,
        Some(KeyKind::MlDsa(set)) => ml_dsa::signature(entry.kind, mechanism, set, matches!(function, CKF_SIGN | CKF_MESSAGE_SIGN))?,
        _ => mac::signature(entry.kind, mechanism)?,
    };
    Ok((object, spec))
}

/// Key and parameters for an encryption (`function` is CKF_ENCRYPT) or a decryption (CKF_DECRYPT).
///
/// # Errors
/// As [`signature`].
pub(super) fn cipher(
    session: &Session,
    mechanism: Mechanism<'_>,
    key: CK_OBJECT_HANDLE,
    function: CK_FLAGS,
) -> Result<(Arc<Object>, CipherSpec)> {
    let (entry, object) = mechanism_and_key(session, mechanism, key, function)?;
    let spec = match entry.key {
        KeyFamily::Rsa => rsa::cipher(entry.kind, mechanism, object.modulus_len())?,
        KeyFamily::Aes if entry.kind == CKM_DSMA_FF1 => tokens::cipher(mechanism)?,
        KeyFamily::Aes => aes::cipher(entry.kind, mechanism)?,
        KeyFamily::Des3 => des3::cipher(entry.kind, mechanism)?,
        _ => chacha20::cipher(entry.kind, mechanism)?,
    };
    Ok((object, spec))
}

/// The key for messages that are encrypted (`function` is CKF_MESSAGE_ENCRYPT) or decrypted (CKF_MESSAGE_DECRYPT).
///
/// # Errors
/// As [`signature`]; the parameter is each message's own.
pub(super) fn sealing(session: &Session, mechanism: Mechanism<'_>, key: CK_OBJECT_HANDLE, function: CK_FLAGS) -> Result<Arc<Object>> {
    mechanism_and_key(session, mechanism, key, function).map(|(_, object)| object)
}

/// How a key is wrapped.
pub(super) enum Wrapping {
    /// As an encryption.
    Cipher(CipherSpec),
    /// By an AES key of its own, in key wrap with padding, which is itself encrypted in OAEP.
    RsaAes { aes_len: usize, oaep: CipherSpec },
}

/// Key and parameters for wrapping (`function` is CKF_WRAP) or unwrapping (CKF_UNWRAP). `associated` are the data that an authenticated
/// form binds, which not every mechanism has. What stands in the caller's structure is to be told with what was wrapped.
///
/// # Errors
/// As [`signature`].
pub(super) fn wrapping<'a>(
    session: &Session,
    mechanism: Mechanism<'a>,
    key: CK_OBJECT_HANDLE,
    function: CK_FLAGS,
    associated: Option<&Input<'_>>,
) -> Result<(Arc<Object>, Wrapping, Beside<'a>)> {
    let (entry, object) = mechanism_and_key(session, mechanism, key, function)?;
    let how = match (entry.kind, entry.key) {
        (kind @ (CKM_AES_GCM | CKM_AES_CCM), _) => {
            let (spec, beside) = aead_wrap::cipher(kind, mechanism, function == CKF_WRAP, associated)?;
            return Ok((object, Wrapping::Cipher(spec), beside));
        }
        _ if associated.is_some() => return Err(Error::MechanismInvalid),
        (CKM_RSA_AES_KEY_WRAP, _) => {
            let given = mechanism.rsa_aes()?;
            let aes_len = match given.aes_bits {
                128 | 192 | 256 => given.aes_bits as usize / 8,
                _ => return Err(Error::MechanismParamInvalid),
            };
            Wrapping::RsaAes { aes_len, oaep: rsa::oaep(&given.oaep, object.modulus_len())? }
        }
        (kind, KeyFamily::Rsa) => Wrapping::Cipher(rsa::cipher(kind, mechanism, object.modulus_len())?),
        (kind, _) => Wrapping::Cipher(aes::cipher(kind, mechanism)?),
    };
    Ok((object, how, Beside::default()))
}

/// Base key and parameters for a derivation.
///
/// # Errors
/// As [`signature`].
pub(super) fn derivation<'m>(session: &Session, mechanism: Mechanism<'m>, key: CK_OBJECT_HANDLE) -> Result<(Arc<Object>, Derivation<'m>)> {
    let (entry, object) = mechanism_and_key(session, mechanism, key, CKF_DERIVE)?;
    let derivation = derivation::read(entry.kind, mechanism, session, &object)?;
    Ok((object, derivation))
}

/// The private key for CKM_PUB_KEY_FROM_PRIV_KEY. It needs no CKA_DERIVE: what is made of it is public.
///
/// # Errors
/// As [`signature`].
pub(super) fn public_half(session: &Session, mechanism: Mechanism<'_>, key: CK_OBJECT_HANDLE) -> Result<Arc<Object>> {
    let entry = find(session, mechanism, CKF_DERIVE)?;
    mechanism.no_param()?;
    let object = session.key(key)?;
    if object.class() != CKO_PRIVATE_KEY {
        return Err(Error::KeyTypeInconsistent);
    }
    if object.allows_mechanism(entry.kind) { Ok(object) } else { Err(Error::MechanismInvalid) }
}

/// The key for an encapsulation (`function` is CKF_ENCAPSULATE) or a decapsulation (CKF_DECAPSULATE).
///
/// # Errors
/// As [`signature`].
pub(super) fn encapsulation(session: &Session, mechanism: Mechanism<'_>, key: CK_OBJECT_HANDLE, function: CK_FLAGS) -> Result<Arc<Object>> {
    let (_, object) = mechanism_and_key(session, mechanism, key, function)?;
    mechanism.no_param()?;
    Ok(object)
}

fn mechanism_and_key(
    session: &Session,
    mechanism: Mechanism<'_>,
    key: CK_OBJECT_HANDLE,
    function: CK_FLAGS,
) -> Result<(&'static Entry, Arc<Object>)> {
    let entry = find(session, mechanism, function)?;
    let object = session.key(key)?;
    if !object.kind().is_some_and(|kind| takes(entry, kind)) {
        return Err(Error::KeyTypeInconsistent);
    }
    if !object.allows_mechanism(entry.kind) {
        return Err(Error::MechanismInvalid);
    }
    let usage = match function {
        CKF_SIGN | CKF_MESSAGE_SIGN => CKA_SIGN,
        CKF_VERIFY | CKF_MESSAGE_VERIFY => CKA_VERIFY,
        CKF_SIGN_RECOVER => CKA_SIGN_RECOVER,
        CKF_VERIFY_RECOVER => CKA_VERIFY_RECOVER,
        CKF_ENCRYPT | CKF_MESSAGE_ENCRYPT => CKA_ENCRYPT,
        CKF_DECRYPT | CKF_MESSAGE_DECRYPT => CKA_DECRYPT,
        CKF_WRAP => CKA_WRAP,
        CKF_UNWRAP => CKA_UNWRAP,
        CKF_DERIVE => CKA_DERIVE,
        CKF_ENCAPSULATE => CKA_ENCAPSULATE,
        CKF_DECAPSULATE => CKA_DECAPSULATE,
        _ => return Err(Error::GeneralError),
    };
    if !object.is_true(usage) {
        return Err(Error::KeyFunctionNotPermitted);
    }
    // These functions are over before a PIN could be given.
    if matches!(function, CKF_UNWRAP | CKF_DERIVE | CKF_DECAPSULATE) && object.asks_each_time() {
        return Err(Error::UserNotLoggedIn);
    }
    Ok((entry, object))
}

/// A copy of what a parameter points to.
///
/// # Errors
/// [`Error::MechanismParamInvalid`] for what cannot be, [`Error::HostMemory`].
fn parameter(given: &Input<'_>) -> Result<Box<[u8]>> {
    given.copied().map_err(|error| if error == Error::HostMemory { error } else { Error::MechanismParamInvalid })
}

/// Whether a mechanism works with such keys.
fn takes(entry: &Entry, kind: KeyKind) -> bool {
    match entry.key {
        KeyFamily::None => false,
        KeyFamily::Aes => matches!(kind, KeyKind::Aes),
        KeyFamily::ChaCha20 => matches!(kind, KeyKind::ChaCha20),
        KeyFamily::Des3 => matches!(kind, KeyKind::Des3),
        KeyFamily::Generic => matches!(kind, KeyKind::Secret(_)),
        // A key that names its hash is for that one (section 6.22).
        KeyFamily::Hmac => {
            matches!(kind, KeyKind::Secret(key_type) if key_type == CKK_GENERIC_SECRET || digest::hmac_key(entry.kind) == Some(key_type))
        }
        KeyFamily::Rsa => matches!(kind, KeyKind::Rsa),
        KeyFamily::Ec => matches!(kind, KeyKind::Ec(_)),
        KeyFamily::Edwards => matches!(kind, KeyKind::Ed25519),
        KeyFamily::Montgomery => matches!(kind, KeyKind::X25519),
        KeyFamily::Agreement => matches!(kind, KeyKind::Ec(_) | KeyKind::X25519),
        KeyFamily::MlDsa => matches!(kind, KeyKind::MlDsa(_)),
        KeyFamily::MlKem => matches!(kind, KeyKind::MlKem(_)),
        KeyFamily::Secret => kind.is_secret(),
        KeyFamily::Private => !kind.is_secret(),
    }
}

/// The row of a mechanism that has this function and that the session's token offers.
fn find(session: &Session, mechanism: Mechanism<'_>, function: CK_FLAGS) -> Result<&'static Entry> {
    let kind = mechanism.kind()?;
    let found = TABLE.iter().find(|entry| entry.kind == kind && entry.functions & function != 0);
    found.filter(|entry| session.token.offers(entry.name)).ok_or(Error::MechanismInvalid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mechanism_is_there_once() {
        for (index, entry) in TABLE.iter().enumerate() {
            assert!(TABLE[index + 1..].iter().all(|other| other.kind != entry.kind), "{:#x}", entry.kind);
        }
    }

    #[test]
    fn mechanisms_with_a_hash_know_it() {
        for entry in TABLE {
            match entry.key {
                KeyFamily::None => assert!(digest::of_digest(entry.kind).is_some(), "{:#x}", entry.kind),
                KeyFamily::Ec if entry.kind != CKM_ECDSA && entry.functions & CKF_SIGN != 0 => {
                    assert!(digest::of_ecdsa(entry.kind).is_some(), "{:#x}", entry.kind)
                }
                _ => {}
            }
        }
    }
}
