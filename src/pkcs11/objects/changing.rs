//! What may be changed of an object, and copies of session objects (traps 21 and 22).

use cryptoki_sys::*;

use super::local::LocalObject;
use super::object::{Body, Object};
use super::table::{self, COPIES, OFFICER, OURS, STAYS_FALSE, STAYS_TRUE};
use super::template::Attributes;
use super::{check_value, next_handle, stored};
use crate::pkcs11::attributes::Answer;
use crate::pkcs11::sessions::Session;
use crate::pkcs11::{Error, Result};

/// Whether every change may be made; `allowed` are the notes of which an attribute needs one, `is_officer` whether the security officer
/// makes it. A copy's template may repeat what the original says.
///
/// # Errors
/// [`Error::AttributeTypeInvalid`] for an attribute that such objects do not have, [`Error::AttributeReadOnly`].
pub(super) fn check(object: &Object, changes: &Attributes, allowed: u16, is_officer: bool) -> Result {
    let rules = || {
        changes.iter().map(|(kind, value)| {
            let rule = table::find(kind, object.class(), object.kind()).ok_or(Error::AttributeTypeInvalid)?;
            Ok((rule, value))
        })
    };
    rules().try_for_each(|rule| rule.map(drop))?;
    for rule in rules() {
        let (rule, value) = rule?;
        let unchanged = is_so(object, rule.kind, value);
        if unchanged && (rule.has(allowed) || (allowed & COPIES != 0 && !rule.has(OURS))) {
            continue;
        }
        let (to_true, to_false) = (value == [CK_TRUE], value == [CK_FALSE]);
        let one_way = rule.has(STAYS_TRUE) && to_false && object.is_true(rule.kind)
            || rule.has(STAYS_FALSE) && to_true && !object.is_true(rule.kind)
            || rule.has(OFFICER) && to_true && !is_officer;
        if one_way || !rule.has(allowed) {
            return Err(Error::AttributeReadOnly);
        }
    }
    Ok(())
}

/// Those of the changes that change something. What is so already must leave no trace: where an object tells that it was readable once,
/// saying again that it is not would be one.
pub(super) fn differing(object: &Object, changes: &Attributes) -> Attributes {
    let mut differing = Attributes::default();
    changes.iter().filter(|(kind, value)| !is_so(object, *kind, value)).for_each(|(kind, value)| differing.set(kind, value));
    differing
}

fn is_so(object: &Object, kind: CK_ATTRIBUTE_TYPE, value: &[u8]) -> bool {
    matches!(object.attribute(kind), Answer::Value(current) if current.as_bytes() == value)
}

/// A session object after these changes.
pub(super) fn changed(object: &LocalObject, changes: &Attributes) -> LocalObject {
    let mut attributes = object.attributes().clone();
    changes.iter().for_each(|(kind, value)| attributes.set(kind, value));
    object.with(attributes)
}

/// A copy of a session object, in the session or in DSM.
///
/// # Errors
/// [`Error::SessionReadOnly`], [`Error::UserNotLoggedIn`], [`Error::DeviceMemory`], [`Error::TemplateInconsistent`] where no such object
/// could be made, or what DSM says.
pub(super) fn copy(session: &Session, original: &LocalObject, changes: &Attributes) -> Result<CK_OBJECT_HANDLE> {
    let mut attributes = changed(original, changes).attributes().clone();
    let onto_the_token = attributes.flag(CKA_TOKEN) == Some(true);
    // A session key that was made before the login is not private; a key of the token is, unless somebody wants it otherwise.
    if onto_the_token && matches!(original.class(), CKO_SECRET_KEY | CKO_PRIVATE_KEY) && changes.flag(CKA_PRIVATE).is_none() {
        attributes.set_flag(CKA_PRIVATE, true);
    }
    let is_private = attributes.flag(CKA_PRIVATE) == Some(true);
    if is_private && !session.sees_private() {
        return Err(Error::UserNotLoggedIn);
    }
    // Section 4.10: what anybody may see asks nobody for a PIN.
    if attributes.flag(CKA_ALWAYS_AUTHENTICATE) == Some(true) && !is_private {
        return Err(Error::TemplateInconsistent);
    }
    if onto_the_token {
        if !session.read_write {
            return Err(Error::SessionReadOnly);
        }
        if !session.token.config().allow_plaintext {
            hide(&mut attributes, changes);
        }
        let readable = attributes.flag(CKA_SENSITIVE) == Some(false) || attributes.flag(CKA_EXTRACTABLE) == Some(true);
        if readable && !session.token.config().allow_plaintext {
            return Err(Error::TemplateInconsistent);
        }
        attributes.remove(CKA_CHECK_VALUE);
        return stored::import(session, original.class(), &attributes, original.key());
    }
    let key = original.shared_key();
    if let Some(check) = key.as_deref().and_then(check_value::of) {
        attributes.set_default(CKA_CHECK_VALUE, &check);
    }
    let copy = LocalObject::new(session.handle, original.class(), attributes, key, session.token.config().ec_point_encoding);
    session.hold(Object { handle: next_handle(), body: Body::Local(Box::new(copy)) })
}

/// What a copy onto the token is unless its own template says otherwise: session keys are extractable by default, and Java moves the
/// keys that it generated to the token without a word about it.
fn hide(attributes: &mut Attributes, asked: &Attributes) {
    for (kind, hidden) in [(CKA_SENSITIVE, true), (CKA_EXTRACTABLE, false)] {
        if attributes.flag(kind).is_some() && asked.flag(kind).is_none() {
            attributes.set_flag(kind, hidden);
        }
    }
}
