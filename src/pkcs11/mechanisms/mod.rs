//! Mechanisms: one table that says what there is ([`table`]), and a file per family that reads the parameters.

mod aes;
mod chacha20;
mod des3;
mod digest;
mod ecdsa;
mod mac;
mod params;
mod rsa;
mod table;

use std::sync::Arc;

use cryptoki_sys::*;
use dsma_crypto::digest::Hash;

pub(super) use self::params::{CipherSpec, Scheme, SignatureSpec};
pub(super) use self::table::TABLE;
use self::table::{Entry, KeyFamily};
use super::ffi::Mechanism;
use super::objects::{KeyKind, Object};
use super::sessions::Session;
use super::{Error, Result};

impl Entry {
    /// What C_GetMechanismInfo says. Software, so no CKF_HW.
    pub(super) const fn info(&self) -> CK_MECHANISM_INFO {
        let (smallest, largest, curves) = self.key.sizes();
        CK_MECHANISM_INFO { ulMinKeySize: smallest, ulMaxKeySize: largest, flags: self.functions | curves }
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
        KeyFamily::Aes => aes::cipher(entry.kind, mechanism)?,
        KeyFamily::Des3 => des3::cipher(entry.kind, mechanism)?,
        _ => chacha20::cipher(entry.kind, mechanism)?,
    };
    Ok((object, spec))
}

fn mechanism_and_key(
    session: &Session,
    mechanism: Mechanism<'_>,
    key: CK_OBJECT_HANDLE,
    function: CK_FLAGS,
) -> Result<(&'static Entry, Arc<Object>)> {
    let entry = find(session, mechanism, function)?;
    let object = session.key(key)?;
    let family = match object.kind() {
        Some(KeyKind::Aes) => KeyFamily::Aes,
        Some(KeyKind::ChaCha20) => KeyFamily::ChaCha20,
        Some(KeyKind::Des3) => KeyFamily::Des3,
        Some(KeyKind::Secret(_)) => KeyFamily::Generic,
        Some(KeyKind::Rsa) => KeyFamily::Rsa,
        Some(KeyKind::Ec(_)) => KeyFamily::Ec,
        Some(KeyKind::Ed25519) => KeyFamily::Edwards,
        Some(KeyKind::X25519) => KeyFamily::Montgomery,
        Some(KeyKind::MlDsa(_)) => KeyFamily::MlDsa,
        Some(KeyKind::MlKem(_)) => KeyFamily::MlKem,
        None => KeyFamily::None,
    };
    if entry.key != family {
        return Err(Error::KeyTypeInconsistent);
    }
    if !object.allows_mechanism(entry.kind) {
        return Err(Error::MechanismInvalid);
    }
    let usage = match function {
        CKF_SIGN => CKA_SIGN,
        CKF_VERIFY => CKA_VERIFY,
        CKF_ENCRYPT => CKA_ENCRYPT,
        _ => CKA_DECRYPT,
    };
    if object.is_true(usage) { Ok((entry, object)) } else { Err(Error::KeyFunctionNotPermitted) }
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
