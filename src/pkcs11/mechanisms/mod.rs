//! Mechanisms: one table that says what there is, and a file per family that reads the parameters.

mod aes;
mod digest;
mod ecdsa;
mod params;
mod rsa;

use std::sync::Arc;

use cryptoki_sys::*;
use dsma_crypto::digest::Hash;

pub(super) use self::params::{CipherSpec, SignatureSpec};
use super::ffi::Mechanism;
use super::index::{KeyKind, Object};
use super::sessions::Session;
use super::{Error, Result};

/// A mechanism that this library has.
#[derive(Clone, Copy)]
pub(super) struct Entry {
    /// Its `CKM_` number.
    pub(super) kind: CK_MECHANISM_TYPE,
    key: KeyFamily,
    /// The functions that take it, as `CKF_` flags.
    functions: CK_FLAGS,
}

/// The keys that a mechanism works with.
#[derive(Clone, Copy, PartialEq, Eq)]
enum KeyFamily {
    None,
    Aes,
    Rsa,
    Ec,
}

const SIGNING: CK_FLAGS = CKF_SIGN | CKF_VERIFY;
const ENCRYPTION: CK_FLAGS = CKF_ENCRYPT | CKF_DECRYPT;

/// All mechanisms, in the order of their numbers.
pub(super) const TABLE: [Entry; 29] = [
    entry(CKM_RSA_PKCS, KeyFamily::Rsa, SIGNING | ENCRYPTION),
    entry(CKM_SHA1_RSA_PKCS, KeyFamily::Rsa, SIGNING),
    entry(CKM_RSA_PKCS_OAEP, KeyFamily::Rsa, ENCRYPTION),
    entry(CKM_RSA_PKCS_PSS, KeyFamily::Rsa, SIGNING),
    entry(CKM_SHA1_RSA_PKCS_PSS, KeyFamily::Rsa, SIGNING),
    entry(CKM_SHA256_RSA_PKCS, KeyFamily::Rsa, SIGNING),
    entry(CKM_SHA384_RSA_PKCS, KeyFamily::Rsa, SIGNING),
    entry(CKM_SHA512_RSA_PKCS, KeyFamily::Rsa, SIGNING),
    entry(CKM_SHA256_RSA_PKCS_PSS, KeyFamily::Rsa, SIGNING),
    entry(CKM_SHA384_RSA_PKCS_PSS, KeyFamily::Rsa, SIGNING),
    entry(CKM_SHA512_RSA_PKCS_PSS, KeyFamily::Rsa, SIGNING),
    entry(CKM_SHA224_RSA_PKCS, KeyFamily::Rsa, SIGNING),
    entry(CKM_SHA224_RSA_PKCS_PSS, KeyFamily::Rsa, SIGNING),
    entry(CKM_SHA_1, KeyFamily::None, CKF_DIGEST),
    entry(CKM_SHA256, KeyFamily::None, CKF_DIGEST),
    entry(CKM_SHA224, KeyFamily::None, CKF_DIGEST),
    entry(CKM_SHA384, KeyFamily::None, CKF_DIGEST),
    entry(CKM_SHA512, KeyFamily::None, CKF_DIGEST),
    entry(CKM_ECDSA, KeyFamily::Ec, SIGNING),
    entry(CKM_ECDSA_SHA1, KeyFamily::Ec, SIGNING),
    entry(CKM_ECDSA_SHA224, KeyFamily::Ec, SIGNING),
    entry(CKM_ECDSA_SHA256, KeyFamily::Ec, SIGNING),
    entry(CKM_ECDSA_SHA384, KeyFamily::Ec, SIGNING),
    entry(CKM_ECDSA_SHA512, KeyFamily::Ec, SIGNING),
    entry(CKM_AES_ECB, KeyFamily::Aes, ENCRYPTION),
    entry(CKM_AES_CBC, KeyFamily::Aes, ENCRYPTION),
    entry(CKM_AES_CBC_PAD, KeyFamily::Aes, ENCRYPTION),
    entry(CKM_AES_CTR, KeyFamily::Aes, ENCRYPTION),
    entry(CKM_AES_GCM, KeyFamily::Aes, ENCRYPTION),
];

const fn entry(kind: CK_MECHANISM_TYPE, key: KeyFamily, functions: CK_FLAGS) -> Entry {
    Entry { kind, key, functions }
}

impl Entry {
    /// What C_GetMechanismInfo says; AES sizes are in bytes, the others in bits. Software, so no CKF_HW.
    pub(super) const fn info(&self) -> CK_MECHANISM_INFO {
        let (smallest, largest, curves) = match self.key {
            KeyFamily::None => (0, 0, 0),
            KeyFamily::Aes => (16, 32, 0),
            KeyFamily::Rsa => (1024, 8192, 0),
            KeyFamily::Ec => (256, 521, CKF_EC_F_P | CKF_EC_OID | CKF_EC_UNCOMPRESS),
        };
        CK_MECHANISM_INFO { ulMinKeySize: smallest, ulMaxKeySize: largest, flags: self.functions | curves }
    }
}

/// The hash of a digest mechanism.
///
/// # Errors
/// [`Error::MechanismInvalid`], or a parameter where there is none.
pub(super) fn digest(mechanism: Mechanism<'_>) -> Result<Hash> {
    let entry = find(mechanism, CKF_DIGEST)?;
    mechanism.no_param()?;
    digest::of_digest(entry.kind).ok_or(Error::MechanismInvalid)
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
    let spec = match object.kind {
        KeyKind::Ec(curve) => ecdsa::signature(entry.kind, mechanism, curve)?,
        _ => rsa::signature(entry.kind, mechanism, object.modulus_len())?,
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
    let spec = match object.kind {
        KeyKind::Rsa => rsa::cipher(entry.kind, mechanism, object.modulus_len())?,
        _ => aes::cipher(entry.kind, mechanism)?,
    };
    Ok((object, spec))
}

fn mechanism_and_key(
    session: &Session,
    mechanism: Mechanism<'_>,
    key: CK_OBJECT_HANDLE,
    function: CK_FLAGS,
) -> Result<(&'static Entry, Arc<Object>)> {
    let entry = find(mechanism, function)?;
    let object = session.view.with(&session.token, |view| view.object(key).cloned()).ok_or(Error::KeyHandleInvalid)?;
    let family = match object.kind {
        KeyKind::Aes => KeyFamily::Aes,
        KeyKind::Rsa => KeyFamily::Rsa,
        KeyKind::Ec(_) => KeyFamily::Ec,
        KeyKind::Other(_) => KeyFamily::None,
    };
    if entry.key != family {
        return Err(Error::KeyTypeInconsistent);
    }
    let usage = match function {
        CKF_SIGN => CKA_SIGN,
        CKF_VERIFY => CKA_VERIFY,
        CKF_ENCRYPT => CKA_ENCRYPT,
        _ => CKA_DECRYPT,
    };
    if object.is_true(usage) { Ok((entry, object)) } else { Err(Error::KeyFunctionNotPermitted) }
}

fn find(mechanism: Mechanism<'_>, function: CK_FLAGS) -> Result<&'static Entry> {
    let kind = mechanism.kind()?;
    const ENTRIES: &[Entry] = &TABLE;
    ENTRIES.iter().find(|entry| entry.kind == kind && entry.functions & function != 0).ok_or(Error::MechanismInvalid)
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
        for entry in &TABLE {
            match entry.key {
                KeyFamily::None => assert!(digest::of_digest(entry.kind).is_some(), "{:#x}", entry.kind),
                KeyFamily::Ec if entry.kind != CKM_ECDSA => assert!(digest::of_ecdsa(entry.kind).is_some(), "{:#x}", entry.kind),
                _ => {}
            }
        }
    }
}
