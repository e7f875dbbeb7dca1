//! Key derivation (section 5.18.5): ECDH, HKDF, and the functions of SP 800-108.
//!
//! A token key comes into being in DSM where its base key is there and DSM has the mechanism. Every other new key is made in this process;
//! a token object is then imported into DSM like any other.

use cryptoki_sys::*;
use zeroize::Zeroizing;

use super::ffi::{Mechanism, Place, Template};
use super::mechanisms;
use super::objects::{Draft, Origin};
use super::sessions::Session;
use super::{Error, Result, in_dsm, session_table};

/// Most bytes of a derived key.
const LONGEST: usize = 64 << 10;

/// C_DeriveKey.
pub(super) fn derive_key(
    session: CK_SESSION_HANDLE,
    mechanism: Mechanism<'_>,
    base_key: CK_OBJECT_HANDLE,
    template: &Template<'_>,
    mut key: Place<'_, CK_OBJECT_HANDLE>,
) -> Result {
    let session = session_table::get(session)?;
    let (base, derivation) = mechanisms::derivation(&session, mechanism, base_key)?;
    key.check()?;
    let draft = Draft::new(&session, template, Some(CKO_SECRET_KEY), default_type(template)?, Origin::Derived(&base))?;
    let len = wanted_len(&draft)?;
    if let Some((len, from)) = derivation.in_dsm(&base, len)?
        && draft.is_derived_by_dsm(len)
    {
        return key.set(in_dsm::derive(&session, &base, from, draft, len)?);
    }
    let bytes: Zeroizing<Vec<u8>> = derivation.run(&base, len)?;
    key.set(draft.finish_derived(&session, &bytes)?)
}

/// Bytes without a type of their own are a generic secret.
pub(super) fn default_type(template: &Template<'_>) -> Result<Option<CK_KEY_TYPE>> {
    Ok(if template.iter()?.any(|attribute| attribute.kind() == CKA_KEY_TYPE) { None } else { Some(CKK_GENERIC_SECRET) })
}

/// C_GenerateKey with CKM_PKCS5_PBKD2.
pub(super) fn key_from_password(session: &Session, mechanism: Mechanism<'_>, template: &Template<'_>) -> Result<CK_OBJECT_HANDLE> {
    let origin = Origin::Generated(CKM_PKCS5_PBKD2);
    let draft = Draft::new(session, template, Some(CKO_SECRET_KEY), default_type(template)?, origin)?;
    let len = wanted_len(&draft)?.ok_or(Error::TemplateIncomplete)?;
    let bytes = mechanisms::from_password(session, mechanism, len)?;
    draft.finish_secret(session, &bytes)
}

/// How long the template wants the key: what it says, or what its type has.
fn wanted_len(draft: &Draft<'_>) -> Result<Option<usize>> {
    match draft.value_len() {
        Some(0) => Err(Error::AttributeValueInvalid),
        Some(len) if len > LONGEST => Err(Error::KeySizeRange),
        Some(len) => Ok(Some(len)),
        None => Ok(match draft.key_type() {
            Some(CKK_DES2) => Some(16),
            Some(CKK_DES3) => Some(24),
            Some(CKK_CHACHA20) => Some(32),
            _ => None,
        }),
    }
}
