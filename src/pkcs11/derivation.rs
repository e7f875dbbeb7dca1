//! Key derivation (section 5.18.5), and keys from passwords.
//!
//! A token key comes into being in DSM where its base key is there and DSM has the mechanism. Every other new key is made in this process;
//! a token object is then imported into DSM like any other.

use cryptoki_sys::*;
use zeroize::Zeroizing;

use super::attributes::Answer;
use super::ffi::{Mechanism, Place, Template};
use super::keygen::set_parity;
use super::mechanisms::{self, Derivation};
use super::objects::{Draft, Heritage, LocalKey, Object, Origin, undo};
use super::sessions::Session;
use super::{Error, Result, in_dsm, session_table};

/// Most bytes of a derived key.
const LONGEST: usize = 64 << 10;

/// What a public key takes over of its private key where the template says nothing (section 6.43.9).
const OF_PRIVATE: [(CK_ATTRIBUTE_TYPE, CK_ATTRIBUTE_TYPE); 11] = [
    (CKA_ENCRYPT, CKA_DECRYPT),
    (CKA_VERIFY, CKA_SIGN),
    (CKA_VERIFY_RECOVER, CKA_SIGN_RECOVER),
    (CKA_WRAP, CKA_UNWRAP),
    (CKA_DERIVE, CKA_DERIVE),
    (CKA_ENCAPSULATE, CKA_DECAPSULATE),
    (CKA_ID, CKA_ID),
    (CKA_START_DATE, CKA_START_DATE),
    (CKA_END_DATE, CKA_END_DATE),
    (CKA_SUBJECT, CKA_SUBJECT),
    (CKA_ALLOWED_MECHANISMS, CKA_ALLOWED_MECHANISMS),
];

/// C_DeriveKey.
pub(super) fn derive_key(
    session: CK_SESSION_HANDLE,
    mechanism: Mechanism<'_>,
    base_key: CK_OBJECT_HANDLE,
    template: &Template<'_>,
    mut key: Place<'_, CK_OBJECT_HANDLE>,
) -> Result {
    let session = session_table::get(session)?;
    if mechanism.kind()? == CKM_PUB_KEY_FROM_PRIV_KEY {
        let private = mechanisms::public_half(&session, mechanism, base_key)?;
        key.check()?;
        return key.set(public_key(&session, &private, template)?);
    }
    let (base, mut derivation) = mechanisms::derivation(&session, mechanism, base_key)?;
    key.check()?;
    let first = draft(&session, template, derivation.class, derivation.heritage, &base)?;
    let further = further_drafts(&session, &mut derivation, &base)?;
    let mut drafts: Vec<Draft<'_>> = std::iter::once(first).chain(further).collect();
    let lens: Vec<Option<usize>> = drafts.iter().map(wanted_len).collect::<Result<_>>()?;
    if let ([draft], [len]) = (&drafts[..], &lens[..])
        && let Some((len, from)) = derivation.in_dsm(&base, *len)?
        && draft.is_derived_by_dsm(len)
        && let Some(draft) = drafts.pop()
    {
        return key.set(in_dsm::derive(&session, &base, from, draft, len)?);
    }
    let secrets = derivation.run(&base, &lens)?;
    let mut made = Vec::with_capacity(drafts.len());
    for (draft, secret) in drafts.into_iter().zip(&secrets) {
        match finish(&session, draft, secret) {
            Ok(handle) => made.push(handle),
            // All keys or none; the place of the one that could not be made says so.
            Err(error) => {
                made.iter().for_each(|handle| undo(&session, *handle));
                if let Some(failed) = made.len().checked_sub(1).and_then(|index| derivation.further.get_mut(index)) {
                    failed.key.set(CK_INVALID_HANDLE)?;
                }
                return Err(error);
            }
        }
    }
    let (first, others) = made.split_first().ok_or(Error::GeneralError)?;
    for (further, handle) in derivation.further.iter_mut().zip(others) {
        further.key.set(*handle)?;
    }
    key.set(*first)
}

/// Drafts of the keys beside the first.
fn further_drafts<'o>(session: &Session, derivation: &mut Derivation<'_>, base: &'o Object) -> Result<Vec<Draft<'o>>> {
    let (class, heritage) = (derivation.class, derivation.heritage);
    let mut drafts = Vec::with_capacity(derivation.further.len());
    for further in &mut derivation.further {
        let made = draft(session, &further.template, class, heritage, base);
        match made.and_then(|draft| wanted_len(&draft).map(|_| draft)) {
            Ok(draft) => drafts.push(draft),
            Err(error) => {
                further.key.set(CK_INVALID_HANDLE)?;
                return Err(error);
            }
        }
    }
    Ok(drafts)
}

fn draft<'o>(
    session: &Session,
    template: &Template<'_>,
    class: CK_OBJECT_CLASS,
    heritage: Heritage,
    base: &'o Object,
) -> Result<Draft<'o>> {
    let origin = Origin::Derived(base, heritage);
    if class == CKO_SECRET_KEY {
        return Draft::new(session, template, Some(CKO_SECRET_KEY), default_type(template)?, origin);
    }
    let mut draft = Draft::new(session, template, Some(class), None, origin)?;
    if draft.get(CKA_VALUE).is_some() {
        return Err(Error::TemplateInconsistent);
    }
    draft.set_default(CKA_PRIVATE, &[if base.is_private() { CK_TRUE } else { CK_FALSE }]);
    Ok(draft)
}

fn finish(session: &Session, draft: Draft<'_>, secret: &[u8]) -> Result<CK_OBJECT_HANDLE> {
    let Some(key_type) = draft.key_type() else { return draft.finish_data(session, secret) };
    let mut secret = Zeroizing::new(secret.to_vec());
    set_parity(key_type, &mut secret);
    draft.finish_derived(session, &secret)
}

/// The public key object of a private key.
fn public_key(session: &Session, private: &Object, template: &Template<'_>) -> Result<CK_OBJECT_HANDLE> {
    let key_type = private.kind().ok_or(Error::KeyTypeInconsistent)?.key_type();
    let public = LocalKey::public(key_type, &private.spki().ok_or(Error::KeyFunctionNotPermitted)?)?;
    let mut draft =
        Draft::new(session, template, Some(CKO_PUBLIC_KEY), Some(key_type), Origin::Derived(private, Heritage::history(private)))?;
    for (attribute, own) in OF_PRIVATE {
        if let Answer::Value(value) = private.attribute(own) {
            draft.set_default(attribute, value.as_bytes());
        }
    }
    draft.finish_with(session, Some(public))
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
