//! Object management functions (section 5.7): finding objects and reading their attributes.

use std::sync::Arc;
use std::time::Duration;

use cryptoki_sys::*;

use super::attributes::Answer;
use super::ffi::{List, Place, Template};
use super::index::Object;
use super::sessions::Session;
use super::token::View;
use super::{Error, Result, session_table};

/// A listing may be this old when a search begins.
const LISTING_AGE: Duration = Duration::from_secs(60);
/// A search that finds nothing asks for a listing at most this old: somebody may have just made the key.
const LISTING_AGE_WHEN_EMPTY: Duration = Duration::from_secs(2);

/// A search: what it found when it began, and how much of it was handed out. Other calls do not disturb it.
pub(super) struct Search {
    found: Vec<CK_OBJECT_HANDLE>,
    next: usize,
}

/// C_FindObjectsInit. The only function of this chapter that may ask DSM, once.
pub(super) fn find_objects_init(session: CK_SESSION_HANDLE, template: &Template<'_>) -> Result {
    let session = session_table::get(session)?;
    session.search.start(|| {
        for wanted in template.iter()? {
            wanted.value().len().map_err(|_| Error::AttributeValueInvalid)?;
        }
        let mut found = search(&*session.token.refresh(LISTING_AGE)?, template)?;
        if found.is_empty() && may_appear(&session.token.view(), template)? {
            found = search(&*session.token.refresh(LISTING_AGE_WHEN_EMPTY)?, template)?;
        }
        Ok(Search { found, next: 0 })
    })
}

/// C_FindObjects.
pub(super) fn find_objects(session: CK_SESSION_HANDLE, mut objects: List<'_, CK_OBJECT_HANDLE>, limit: CK_ULONG) -> Result {
    let session = session_table::get(session)?;
    let mut search = session.search.take()?;
    let state = search.get()?;
    let taken = objects.take(&state.found[state.next..], limit);
    state.next += *taken.as_ref().unwrap_or(&0);
    // Unlike cryptography, a search goes on after bad arguments.
    search.keep();
    taken.map(drop)
}

/// C_FindObjectsFinal.
pub(super) fn find_objects_final(session: CK_SESSION_HANDLE) -> Result {
    session_table::get(session)?.search.take()?.end().map(drop)
}

/// C_GetAttributeValue. Every entry is answered; the error is about one of those that have no answer (trap 12).
pub(super) fn get_attribute_value(session: CK_SESSION_HANDLE, object: CK_OBJECT_HANDLE, template: &Template<'_>) -> Result {
    let object = visible(&*session_table::get(session)?, object)?;
    let mut result = Ok(());
    for mut entry in template.iter()? {
        let answered = match object.attribute(entry.kind()) {
            Answer::Value(value) => entry.answer(value.as_bytes()),
            Answer::Sensitive => {
                entry.answer_unavailable();
                Err(Error::AttributeSensitive)
            }
            Answer::Missing => {
                entry.answer_unavailable();
                Err(Error::AttributeTypeInvalid)
            }
        };
        result = result.and(answered);
    }
    result
}

/// C_GetObjectSize: what the object's description takes, roughly; DSM's own storage is not to be known.
pub(super) fn get_object_size(session: CK_SESSION_HANDLE, object: CK_OBJECT_HANDLE, mut size: Place<'_, CK_ULONG>) -> Result {
    let object = visible(&*session_table::get(session)?, object)?;
    let public = object.sobject.pub_key.as_ref().map_or(0, |spki| spki.as_ref().len());
    let key = object.sobject.key_size.map_or(0, |bits| bits as usize / 8);
    size.set((object.label().len() + object.id.len() + public + key) as CK_ULONG)
}

fn visible(session: &Session, handle: CK_OBJECT_HANDLE) -> Result<Arc<Object>> {
    session.view.with(&session.token, |view| view.object(handle).cloned()).ok_or(Error::ObjectHandleInvalid)
}

/// Handles of the visible objects that match every attribute, byte for byte (trap 14). What an object does not have or show, it does
/// not match.
fn search(view: &View, template: &Template<'_>) -> Result<Vec<CK_OBJECT_HANDLE>> {
    let matches = |object: &Arc<Object>| -> Result<bool> {
        for wanted in template.iter()? {
            match object.attribute(wanted.kind()) {
                Answer::Value(value) if value.as_bytes() == wanted.value().bytes()? => {}
                _ => return Ok(false),
            }
        }
        Ok(view.shows(object))
    };
    let select = |objects: &mut dyn Iterator<Item = &Arc<Object>>| -> Result<Vec<CK_OBJECT_HANDLE>> {
        let mut found = Vec::new();
        for object in objects {
            if matches(object)? {
                found.push(object.handle);
            }
        }
        Ok(found)
    };
    // The most telling attribute leads to a few candidates; without one, all are candidates.
    for wanted in template.iter()? {
        match wanted.kind() {
            CKA_ID => return select(&mut view.index().with_id(wanted.value().bytes()?)),
            CKA_LABEL => return select(&mut view.index().with_label(wanted.value().bytes()?)),
            _ => {}
        }
    }
    select(&mut view.index().all())
}

/// Whether a newer listing could hold what was not found. Many clients search for certificates and profiles, which are never there, and
/// for private objects before they log in: DSM should not hear of each.
fn may_appear(view: &View, template: &Template<'_>) -> Result<bool> {
    for wanted in template.iter()? {
        if wanted.kind() == CKA_CLASS {
            let class = wanted.value().bytes()?.try_into().map(CK_ULONG::from_ne_bytes);
            return Ok(match class {
                Ok(CKO_PUBLIC_KEY) => true,
                Ok(CKO_PRIVATE_KEY | CKO_SECRET_KEY) => view.is_logged_in(),
                _ => false,
            });
        }
    }
    Ok(true)
}
