//! Key encapsulation (section 5.18.8 of version 3.2): ML-KEM.

use cryptoki_sys::*;
use dsma_core::KeyFrom;

use super::derivation::default_type;
use super::ffi::{Input, Mechanism, Output, Place, Room, Template};
use super::mechanisms;
use super::objects::{Draft, KeyKind, Origin};
use super::{Error, Result, in_dsm, session_table};

/// Bytes of every set's shared secret.
const SECRET: usize = 32;

/// C_EncapsulateKey.
pub(super) fn encapsulate_key(
    session: CK_SESSION_HANDLE,
    mechanism: Mechanism<'_>,
    public_key: CK_OBJECT_HANDLE,
    template: &Template<'_>,
    mut ciphertext: Output<'_>,
    mut key: Place<'_, CK_OBJECT_HANDLE>,
) -> Result {
    let session = session_table::get(session)?;
    let public = mechanisms::encapsulation(&session, mechanism, public_key, CKF_ENCAPSULATE)?;
    let Some(KeyKind::MlKem(set)) = public.kind() else { return Err(Error::KeyTypeInconsistent) };
    if let Room::Told(answer) = ciphertext.room(set.ciphertext_len())? {
        return answer;
    }
    key.check()?;
    let draft = Draft::new(&session, template, Some(CKO_SECRET_KEY), default_type(template)?, Origin::Encapsulated(&public))?;
    let len = draft.value_len().unwrap_or(SECRET);
    if len > SECRET {
        return Err(Error::KeySizeRange);
    }
    let (made, encapsulated) = if in_dsm::does(&public, &draft, len)? {
        in_dsm::encapsulate(&session, &public, draft, len)?
    } else {
        let (encapsulated, secret) = public.encapsulate()?;
        (draft.finish_derived(&session, &secret[..])?, encapsulated)
    };
    ciphertext.write(&encapsulated)?;
    key.set(made)
}

/// C_DecapsulateKey.
pub(super) fn decapsulate_key(
    session: CK_SESSION_HANDLE,
    mechanism: Mechanism<'_>,
    private_key: CK_OBJECT_HANDLE,
    template: &Template<'_>,
    ciphertext: Input<'_>,
    mut key: Place<'_, CK_OBJECT_HANDLE>,
) -> Result {
    let session = session_table::get(session)?;
    let private = mechanisms::encapsulation(&session, mechanism, private_key, CKF_DECAPSULATE)?;
    let Some(KeyKind::MlKem(set)) = private.kind() else { return Err(Error::KeyTypeInconsistent) };
    key.check()?;
    let draft = Draft::new(&session, template, Some(CKO_SECRET_KEY), default_type(template)?, Origin::Decapsulated(&private))?;
    let ciphertext = ciphertext.bytes()?;
    if ciphertext.len() != set.ciphertext_len() {
        return Err(Error::WrappedKeyLenRange);
    }
    let len = draft.value_len().unwrap_or(SECRET);
    if len > SECRET {
        return Err(Error::KeySizeRange);
    }
    if in_dsm::does(&private, &draft, len)? {
        return key.set(in_dsm::derive(&session, &private, KeyFrom::Decapsulation(ciphertext), draft, len)?);
    }
    let secret = private.decapsulate(ciphertext)?;
    key.set(draft.finish_derived(&session, &secret)?)
}
