//! Object management functions (section 5.7): making, finding, reading, changing and destroying objects.

mod certificate;
mod changing;
mod check_value;
mod draft;
mod dsm;
mod from_keys;
mod generated;
mod held;
mod heritage;
mod key;
mod lattice;
mod local;
mod metadata;
mod numbers;
mod object;
mod profile;
mod stored;
pub(super) mod table;
mod template;
pub(super) mod usage;

use std::sync::Arc;
use std::time::Duration;

use cryptoki_sys::*;

pub(super) use self::certificate::{Facts, check_value as certificate_check_value};
pub(super) use self::draft::{Draft, NewPair, Origin, generate_in_dsm};
pub(super) use self::dsm::{DsmObject, Part, Readable};
pub(super) use self::generated::Made;
use self::held::TELLING;
pub(super) use self::held::{Held, next_handle};
pub(super) use self::heritage::Heritage;
pub(super) use self::key::{LocalKey, Prepared, curve};
pub(super) use self::numbers::{ml_dsa_set, ml_kem_set, peer};
pub(super) use self::object::{Body, KeyKind, KeySource, Object};
pub(super) use self::profile::profiles;
use self::table::{CHANGES, COPIES};
pub(super) use self::table::{Form, SECRET_VALUE};
pub(super) use self::template::Attributes;
use super::attributes::Answer;
use super::ffi::{Input, List, Place, Template, is_array};
use super::sessions::Session;
use super::token::{View, Who};
use super::{Error, Result, der, session_table};

/// A listing may be this old when a search begins; an older one serves while one caller takes another.
const LISTING_AGE: Duration = Duration::from_secs(60);
/// A search that finds nothing asks for a listing at most this old: somebody may have just made the key.
const LISTING_AGE_WHEN_EMPTY: Duration = Duration::from_secs(2);

/// A search: what it found when it began, and how much of it was handed out. Other calls do not disturb it.
pub(super) struct Search {
    found: Vec<CK_OBJECT_HANDLE>,
    next: usize,
}

/// C_CreateObject.
pub(super) fn create_object(session: CK_SESSION_HANDLE, template: &Template<'_>, mut object: Place<'_, CK_OBJECT_HANDLE>) -> Result {
    let session = session_table::get(session)?;
    object.check()?;
    let draft = Draft::new(&session, template, None, None, Origin::Created)?;
    object.set(draft.finish(&session)?)
}

/// C_DestroyObject. A program that destroys a pair half by half destroys its private half first, which takes the public one with it:
/// destroying that one then succeeds, once.
pub(super) fn destroy_object(session: CK_SESSION_HANDLE, handle: CK_OBJECT_HANDLE) -> Result {
    let session = session_table::get(session)?;
    let object = match session.object(handle) {
        Err(Error::ObjectHandleInvalid) if session.read_write && session.token.bury(handle) => return Ok(()),
        object => object?,
    };
    if !object.is_true(CKA_DESTROYABLE) {
        return Err(Error::ActionProhibited);
    }
    destroy(&session, &object)
}

/// Takes an object back that a function made before it failed: what its template forbids does not count yet.
pub(super) fn undo(session: &Session, handle: CK_OBJECT_HANDLE) {
    let undone = session.object(handle).and_then(|object| destroy(session, &object));
    if let Err(error) = undone {
        tracing::warn!(code = error.code(), "an object stays that belongs to others which could not be made");
    }
}

fn destroy(session: &Session, object: &Object) -> Result {
    match &object.body {
        Body::Dsm(_) if !session.read_write => Err(Error::SessionReadOnly),
        Body::Dsm(shown) => stored::destroy(session, shown),
        Body::Local(local) => {
            let owner = session_table::get(local.session());
            session.token.held().remove(object.handle).ok_or(Error::ObjectHandleInvalid)?;
            if let Ok(owner) = owner {
                owner.disown(object.handle);
            }
            Ok(())
        }
    }
}

/// C_SetAttributeValue: all of the template or nothing (trap 22).
pub(super) fn set_attribute_value(session: CK_SESSION_HANDLE, handle: CK_OBJECT_HANDLE, template: &Template<'_>) -> Result {
    let session = session_table::get(session)?;
    let officer = session.who() == Who::Officer;
    loop {
        let object = session.object(handle)?;
        if object.is_token() && !session.read_write {
            return Err(Error::SessionReadOnly);
        }
        let changes = Attributes::read(template)?;
        if !object.is_true(CKA_MODIFIABLE) {
            return Err(Error::ActionProhibited);
        }
        changing::check(&object, &changes, CHANGES, officer)?;
        match &object.body {
            Body::Dsm(shown) => {
                let now = Object { handle, body: Body::Dsm(shown.renewed()?) };
                changing::check(&now, &changes, CHANGES, officer)?;
                let Body::Dsm(shown) = &now.body else { return Err(Error::GeneralError) };
                return stored::change(&session, shown, &changing::differing(&now, &changes));
            }
            Body::Local(local) => {
                let changed = Arc::new(Object { handle, body: Body::Local(Box::new(changing::changed(local, &changes))) });
                // Where another thread changed it meanwhile, that change decides whether this one may be made.
                if session.token.held().replace(&object, changed)? {
                    return Ok(());
                }
            }
        }
    }
}

/// C_CopyObject: of session objects. Token keys are not copyable, so that clients which would cache them in a session do not try.
pub(super) fn copy_object(
    session: CK_SESSION_HANDLE,
    object: CK_OBJECT_HANDLE,
    template: &Template<'_>,
    mut copy: Place<'_, CK_OBJECT_HANDLE>,
) -> Result {
    let session = session_table::get(session)?;
    copy.check()?;
    let object = session.object(object)?;
    let changes = Attributes::read(template)?;
    if !object.is_true(CKA_COPYABLE) {
        return Err(Error::ActionProhibited);
    }
    changing::check(&object, &changes, CHANGES | COPIES, session.who() == Who::Officer)?;
    let Body::Local(original) = &object.body else { return Err(Error::ActionProhibited) };
    copy.set(changing::copy(&session, original, &changes)?)
}

/// C_FindObjectsInit. The only function of this chapter that may ask DSM, once.
pub(super) fn find_objects_init(session: CK_SESSION_HANDLE, template: &Template<'_>) -> Result {
    let session = session_table::get(session)?;
    session.search.start(|| {
        for wanted in template.iter()? {
            wanted.value().len().map_err(|_| Error::AttributeValueInvalid)?;
        }
        if only_here(template)? {
            return Ok(Search { found: search_held(&session, template)?, next: 0 });
        }
        let mut found = search(&session, &*session.token.refresh_or_older(LISTING_AGE)?, template)?;
        if found.is_empty() && may_appear(&session.token.view(), template)? {
            found = search(&session, &*session.token.refresh(LISTING_AGE_WHEN_EMPTY)?, template)?;
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
    let object = session_table::get(session)?.object(object)?;
    let mut result = Ok(());
    if let Body::Dsm(shown) = &object.body {
        for wanted in template.iter()? {
            let fetched = shown.fetch_for(wanted.kind());
            result = result.and(fetched);
        }
    }
    for mut entry in template.iter()? {
        let answered = match object.attribute(entry.kind()) {
            Answer::Value(value) if is_array(entry.kind()) => {
                let inner = Attributes::decode(value.as_bytes()).unwrap_or_default();
                entry.answer_nested(&inner.iter().collect::<Vec<_>>())
            }
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
    let object = session_table::get(session)?.object(object)?;
    size.set(match &object.body {
        Body::Dsm(shown) => shown.size(),
        Body::Local(local) => local.memory_size(),
    } as CK_ULONG)
}

/// Handles of the visible objects that match every attribute, byte for byte (trap 14), session objects first. What an object does not
/// have or show, it does not match.
fn search(session: &Session, view: &View, template: &Template<'_>) -> Result<Vec<CK_OBJECT_HANDLE>> {
    let mut found = search_held(session, template)?;
    let mut select = |objects: &mut dyn Iterator<Item = &Arc<Object>>| -> Result {
        for object in objects {
            if view.shows(object) && matches(object, template)? {
                found.push(object.handle);
            }
        }
        Ok(())
    };
    let number = |kind| first(template, kind)?.map(|value| Ok(value.bytes()?.try_into().ok().map(CK_ULONG::from_ne_bytes))).transpose();
    match (first(template, CKA_ID)?, first(template, CKA_LABEL)?, number(CKA_CLASS)?, number(CKA_KEY_TYPE)?) {
        (Some(id), ..) => select(&mut view.index().with_id(id.bytes()?)),
        (_, Some(label), ..) => select(&mut view.index().with_label(label.bytes()?)),
        // No object has a number of another length.
        (_, _, Some(None), _) | (_, _, _, Some(None)) => Ok(()),
        (_, _, class, key_type) => select(&mut view.index().of_kind(class.flatten(), key_type.flatten())),
    }?;
    Ok(found)
}

fn search_held(session: &Session, template: &Template<'_>) -> Result<Vec<CK_OBJECT_HANDLE>> {
    let (held, sees_private) = (session.token.held(), session.sees_private());
    let shows = |object: &Object| sees_private || !object.is_private();
    let mut candidates = None;
    for kind in TELLING {
        if let Some(value) = first(template, kind)? {
            candidates = Some(held.select_by(kind, value.bytes()?, shows));
            break;
        }
    }
    let mut found = Vec::new();
    for object in candidates.unwrap_or_else(|| held.select(shows)) {
        if matches(&object, template)? {
            found.push(object.handle);
        }
    }
    Ok(found)
}

/// The value that the template has for this attribute: the first, as an object that matches has all of them.
fn first<'t>(template: &Template<'t>, kind: CK_ATTRIBUTE_TYPE) -> Result<Option<Input<'t>>> {
    Ok(template.iter()?.find(|wanted| wanted.kind() == kind).map(|wanted| wanted.value()))
}

fn matches(object: &Object, template: &Template<'_>) -> Result<bool> {
    for wanted in template.iter()? {
        let Answer::Value(value) = object.attribute(wanted.kind()) else { return Ok(false) };
        let same = if is_array(wanted.kind()) {
            Attributes::nested(&wanted).is_ok_and(|wanted| value.as_bytes() == wanted)
        } else {
            value.as_bytes() == wanted.value().bytes()?
        };
        if !same {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether the template asks for session objects alone, or for classes that DSM has nothing of: many clients look for profiles before
/// they log in.
fn only_here(template: &Template<'_>) -> Result<bool> {
    for wanted in template.iter()? {
        let value = wanted.value();
        let here = match wanted.kind() {
            CKA_TOKEN => value.bytes()? == [CK_FALSE],
            CKA_CLASS => value.bytes()? == CKO_PROFILE.to_ne_bytes(),
            _ => false,
        };
        if here {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether a newer listing could hold what was not found. Many clients search for certificates and profiles, which are never there, and
/// for private objects before they log in: DSM should not hear of each.
fn may_appear(view: &View, template: &Template<'_>) -> Result<bool> {
    for wanted in template.iter()? {
        if wanted.kind() == CKA_CLASS {
            let class = wanted.value().bytes()?.try_into().map(CK_ULONG::from_ne_bytes);
            return Ok(match class {
                Ok(CKO_PUBLIC_KEY) => true,
                Ok(CKO_PRIVATE_KEY | CKO_SECRET_KEY) => view.sees_private(),
                // Of a key that may appear.
                Ok(CKO_CERTIFICATE) => view.sees_private() && view.engine().is_some_and(|engine| engine.config().generate_certs),
                _ => false,
            });
        }
    }
    Ok(true)
}
