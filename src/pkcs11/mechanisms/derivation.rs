//! Key derivation: a file per family of mechanisms, and what they have in common.
//!
//! All keys that go into a derivation need CKA_DERIVE and must not have the mechanism forbidden, whether they are its base or come in by its
//! parameter. What the result takes over of their protection is the mechanism's own rule: see [`Heritage`].

mod agreement;
mod encryption;
mod hkdf;
mod simple;
mod sp800_108;

use std::sync::Arc;

use cryptoki_sys::*;
use dsma_core::KeyFrom;
use dsma_crypto::digest::Hash;
use zeroize::Zeroizing;

use self::agreement::Agreement;
use self::encryption::Encryption;
use self::hkdf::Hkdf;
use self::simple::Simple;
use self::sp800_108::Sp800108;
use super::super::error::During;
use super::super::ffi::{FurtherKey, Input, Mechanism};
use super::super::objects::{Heritage, KeySource, Object};
use super::super::sessions::Session;
use super::{Error, Result, digest};

/// Derived bytes.
type Secret = Zeroizing<Vec<u8>>;

/// A derivation with its parameters.
pub(in crate::pkcs11) struct Derivation<'m> {
    how: How,
    /// What a key that it makes takes over of the keys that it is made of.
    pub(in crate::pkcs11) heritage: Heritage,
    /// Keys that it makes beside the first.
    pub(in crate::pkcs11) further: Vec<FurtherKey<'m>>,
    /// CKO_DATA for CKM_HKDF_DATA, else CKO_SECRET_KEY.
    pub(in crate::pkcs11) class: CK_OBJECT_CLASS,
}

/// How the bytes are made.
enum How {
    Agreement(Agreement),
    Hkdf(Hkdf),
    Sp800108(Sp800108),
    Encryption(Encryption),
    Simple(Simple),
    /// The digest of the key.
    Digest(Hash),
}

pub(super) fn read<'m>(kind: CK_MECHANISM_TYPE, mechanism: Mechanism<'m>, session: &Session, base: &Object) -> Result<Derivation<'m>> {
    let free = |how| Derivation { how, heritage: Heritage::history(base), further: Vec::new(), class: CKO_SECRET_KEY };
    Ok(match kind {
        CKM_ECDH1_DERIVE | CKM_ECDH1_COFACTOR_DERIVE => free(How::Agreement(Agreement::read(mechanism, base)?)),
        CKM_HKDF_DERIVE => free(How::Hkdf(Hkdf::read(kind, mechanism, session)?)),
        CKM_HKDF_DATA => Derivation { class: CKO_DATA, ..free(How::Hkdf(Hkdf::read(kind, mechanism, session)?)) },
        CKM_SP800_108_COUNTER_KDF | CKM_SP800_108_FEEDBACK_KDF | CKM_SP800_108_DOUBLE_PIPELINE_KDF => {
            let (how, others, further) = Sp800108::read(kind, mechanism, session, base)?;
            let heritage = Heritage::defaults(base, others.iter().map(Arc::as_ref));
            Derivation { how: How::Sp800108(how), heritage, further, class: CKO_SECRET_KEY }
        }
        CKM_AES_ECB_ENCRYPT_DATA | CKM_AES_CBC_ENCRYPT_DATA | CKM_DES3_ECB_ENCRYPT_DATA | CKM_DES3_CBC_ENCRYPT_DATA => {
            free(How::Encryption(Encryption::read(kind, mechanism)?))
        }
        CKM_CONCATENATE_BASE_AND_KEY
        | CKM_CONCATENATE_BASE_AND_DATA
        | CKM_CONCATENATE_DATA_AND_BASE
        | CKM_XOR_BASE_AND_DATA
        | CKM_EXTRACT_KEY_FROM_KEY => {
            let (how, other) = Simple::read(kind, mechanism, session)?;
            let heritage = Heritage::protection(base, other.as_deref());
            Derivation { how: How::Simple(how), heritage, further: Vec::new(), class: CKO_SECRET_KEY }
        }
        kind => {
            mechanism.no_param()?;
            free(How::Digest(digest::of_key_derivation(kind).ok_or(Error::MechanismInvalid)?))
        }
    })
}

impl Derivation<'_> {
    /// How DSM does it with this base key, and the length of the key that comes of it; `None` where it does not.
    ///
    /// # Errors
    /// [`Error::KeySizeRange`] where there is less to derive than `len`.
    pub(in crate::pkcs11) fn in_dsm(&self, base: &Object, len: Option<usize>) -> Result<Option<(usize, KeyFrom<'_>)>> {
        match &self.how {
            _ if !matches!(base.source()?, KeySource::Dsm(_)) || self.class != CKO_SECRET_KEY => Ok(None),
            How::Agreement(how) => how.in_dsm(len),
            How::Hkdf(how) => how.in_dsm(len),
            _ => Ok(None),
        }
    }

    /// The bytes of each key, of which `lens` says how many its template asks for.
    pub(in crate::pkcs11) fn run(&self, base: &Object, lens: &[Option<usize>]) -> Result<Vec<Secret>> {
        let [len] = lens else {
            return match &self.how {
                How::Sp800108(how) => how.run(base, lens),
                _ => Err(Error::GeneralError),
            };
        };
        Ok(vec![match &self.how {
            How::Agreement(how) => how.run(base, *len)?,
            How::Hkdf(how) => how.run(base, *len)?,
            How::Sp800108(how) => return how.run(base, lens),
            How::Encryption(how) => how.run(base, *len)?,
            How::Simple(how) => how.run(base, &self.heritage, *len)?,
            How::Digest(hash) => beginning(hash.digest(&base.secret()?).as_ref(), *len)?,
        }])
    }
}

/// The beginning of what there is, or all of it.
fn beginning(bytes: &[u8], len: Option<usize>) -> Result<Secret> {
    bytes.get(..len.unwrap_or(bytes.len())).map(|bytes| Zeroizing::new(bytes.to_vec())).ok_or(Error::KeySizeRange)
}

/// A secret key beside the base key.
fn other_key(session: &Session, handle: CK_OBJECT_HANDLE, kind: CK_MECHANISM_TYPE) -> Result<Arc<Object>> {
    let key = session.key(handle)?;
    if !key.kind().is_some_and(|kind| kind.is_secret()) {
        return Err(Error::KeyTypeInconsistent);
    }
    if !key.allows_mechanism(kind) {
        return Err(Error::MechanismInvalid);
    }
    if key.is_true(CKA_DERIVE) { Ok(key) } else { Err(Error::KeyFunctionNotPermitted) }
}

/// More bytes in a field of a parameter are a mistake; most of them are copied, some of them twice.
const MOST_GIVEN: usize = 1 << 20;

/// Bytes of a parameter.
fn given<'m>(input: &'m Input<'_>) -> Result<&'m [u8]> {
    match input.len() {
        Ok(..=MOST_GIVEN) => input.bytes().map_err(|_| Error::MechanismParamInvalid),
        _ => Err(Error::MechanismParamInvalid),
    }
}

fn failed(error: dsma_crypto::Error) -> Error {
    Error::from_crypto(error, During::Deriving)
}
