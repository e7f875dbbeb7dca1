//! Token objects: a completed draft becomes a sobject of DSM, and is changed and deleted there.

mod request;

use std::sync::Arc;

use cryptoki_sys::*;
use dsma_api::{KeyOperation, KeyOperations, ObjectType, Sobject, SobjectRequest};
use dsma_core::Accelerator;
use uuid::Uuid;

pub(super) use self::request::of_kind;
use self::request::{of_content, of_key, of_odd_secret};
use super::dsm::{self, DsmObject, Part};
use super::key::LocalKey;
use super::metadata::{self, Extra, Metadata};
use super::template::Attributes;
use super::{KeyKind, usage};
use crate::pkcs11::error::During;
use crate::pkcs11::sessions::Session;
use crate::pkcs11::{Error, Result};

/// One object of a new sobject.
pub(super) struct Shown<'a> {
    pub(super) part: Part,
    pub(super) attributes: &'a Attributes,
}

/// A key that DSM is to make from others.
pub(super) struct Wanted {
    pub(super) request: SobjectRequest,
    pub(super) kind: KeyKind,
    /// As DSM counts it, where it is known before.
    pub(super) key_size: Option<u32>,
    /// What it means that DSM made another key.
    pub(super) otherwise: Error,
}

/// Imports an object of C_CreateObject, C_UnwrapKey or C_DeriveKey and returns its handle.
///
/// # Errors
/// What DSM says; [`Error::TemplateInconsistent`] for a key that it does not keep.
pub(super) fn import(
    session: &Session,
    class: CK_OBJECT_CLASS,
    attributes: &Attributes,
    key: Option<&LocalKey>,
) -> Result<CK_OBJECT_HANDLE> {
    let part = part(class);
    if let (Part::Public, Some(key)) = (part, key)
        && let Some(handle) = show_again(session, attributes, key)?
    {
        return Ok(handle);
    }
    let mut request = match key {
        Some(key) => of_key(key).or_else(|refusal| match key.secret_bytes() {
            Some(bytes) if session.token.config().conformance => Ok(of_odd_secret(bytes)),
            _ => Err(refusal),
        })?,
        None => of_content(class, attributes)?,
    };
    describe(&mut request, &[Shown { part, attributes }], key.map(LocalKey::kind));
    hide_public_half(part, request.custom_metadata.get_or_insert_default());
    let engine = session.token.engine()?;
    let made = engine.import(request).map_err(|error| Error::from_engine(&error, During::Creating))?;
    session.token.handle_of(&made, part)
}

/// Has DSM make a key and returns the handles of its objects, in the order of `shown`.
///
/// # Errors
/// What DSM says; [`Error::TemplateInconsistent`] for a key that it does not make.
pub(super) fn generate(
    session: &Session,
    mut request: SobjectRequest,
    kind: KeyKind,
    shown: &[Shown<'_>],
) -> Result<Vec<CK_OBJECT_HANDLE>> {
    describe(&mut request, shown, Some(kind));
    let engine = session.token.engine()?;
    let made = engine.generate(request).map_err(|error| Error::from_engine(&error, During::Creating))?;
    shown.iter().map(|shown| session.token.handle_of(&made, shown.part)).collect()
}

/// Has DSM make a key pair of which the token shows the private key alone; returns its handle and the public key.
///
/// # Errors
/// As [`generate`].
pub(super) fn generate_private(
    session: &Session,
    mut request: SobjectRequest,
    kind: KeyKind,
    shown: Shown<'_>,
) -> Result<(CK_OBJECT_HANDLE, Vec<u8>)> {
    describe(&mut request, &[shown], Some(kind));
    hide_public_half(Part::Private, request.custom_metadata.get_or_insert_default());
    let engine = session.token.engine()?;
    let made = engine.generate(request).map_err(|error| Error::from_engine(&error, During::Creating))?;
    let spki = made.pub_key.as_ref().ok_or(Error::DeviceError)?.as_ref().to_vec();
    Ok((session.token.handle_of(&made, Part::Private)?, spki))
}

/// Has DSM make a key from others: `send` asks for it. Returns its handle.
///
/// # Errors
/// What `send` answers; `wanted.otherwise` where DSM made another key, which it deletes.
pub(super) fn make_from(
    session: &Session,
    wanted: Wanted,
    shown: Shown<'_>,
    send: impl FnOnce(&Accelerator, SobjectRequest) -> Result<Arc<Sobject>>,
) -> Result<CK_OBJECT_HANDLE> {
    let Wanted { mut request, kind, key_size, otherwise } = wanted;
    let (part, key_type) = (shown.part, shown.attributes.number(CKA_KEY_TYPE));
    describe(&mut request, &[shown], Some(kind));
    hide_public_half(part, request.custom_metadata.get_or_insert_default());
    let engine = session.token.engine()?;
    let made = send(&engine, request)?;
    // The material may be anything, and DSM goes by it.
    if dsm::key_type_of(&made, part) == key_type && key_size.is_none_or(|size| made.key_size == Some(size)) {
        return session.token.handle_of(&made, part);
    }
    if let Some(Err(error)) = made.kid.map(|kid| engine.delete(kid)) {
        tracing::warn!(%error, "a key stays in DSM that is another than was asked for");
    }
    Err(otherwise)
}

/// What the application did not make, it shall not find; it makes the public key object where it wants one.
fn hide_public_half(part: Part, metadata: &mut Metadata) {
    if part == Part::Private {
        Extra { hidden: true, ..Extra::default() }.write(Part::Public, metadata);
    }
}

/// Writes changed attributes to DSM; `object` is as DSM has it now.
///
/// # Errors
/// [`Error::AttributeReadOnly`] for what DSM does not let change, [`Error::AttributeValueInvalid`] for a use that it has no word for; what
/// DSM says.
pub(super) fn change(session: &Session, object: &DsmObject, changes: &Attributes) -> Result {
    if changes.iter().next().is_none() {
        return Ok(());
    }
    for (kind, value) in changes.iter() {
        match kind {
            // The value of a sobject, which DSM never changes, and what a certificate tells. Section 4.1.2 lets a token be as strict.
            CKA_VALUE | CKA_ISSUER | CKA_SERIAL_NUMBER => return Err(Error::AttributeReadOnly),
            _ if value == [CK_TRUE]
                && usage::is_usage(kind)
                && object.kind.is_some_and(|key| usage::operation(object.class(), key, kind).is_none()) =>
            {
                return Err(Error::AttributeValueInvalid);
            }
            _ => {}
        }
    }
    let sobject = &object.sobject;
    let mut metadata = sobject.custom_metadata.clone().unwrap_or_default();
    let mut extra = Extra::read(sobject, object.part).unwrap_or_default();
    let alone = !matches!(object.part, Part::Private | Part::Public) || sobject.public_only;
    for (kind, value) in changes.iter().filter(|(kind, _)| !usage::is_usage(*kind) || usage::wider(*kind).is_some()) {
        match kind {
            CKA_LABEL if alone => metadata::set_label(&mut metadata, value),
            CKA_ID if alone => metadata::set_id(&mut metadata, value),
            // The halves of a pair are objects of their own.
            CKA_LABEL | CKA_ID => extra.attributes.set(kind, value),
            _ if metadata::keeps(kind, value, object.part) => extra.attributes.set(kind, value),
            _ => drop(extra.attributes.remove(kind)),
        }
        if kind == CKA_SENSITIVE || kind == CKA_EXTRACTABLE {
            // It was readable once, and always has been.
            let history = if kind == CKA_SENSITIVE { CKA_ALWAYS_SENSITIVE } else { CKA_NEVER_EXTRACTABLE };
            extra.attributes.set_flag(history, false);
        }
    }
    extra.write(object.part, &mut metadata);
    let mut request = SobjectRequest { custom_metadata: Some(metadata), ..SobjectRequest::default() };
    if let Some(kind) = object.kind {
        let key_ops = usage::apply(sobject.key_ops, object.class(), kind, changes);
        let lacks = |attribute| usage::operation(object.class(), kind, attribute).is_some_and(|operation| !key_ops.contains(operation));
        if changes.iter().any(|(attribute, value)| usage::wider(attribute).is_some() && value == [CK_TRUE] && lacks(attribute)) {
            return Err(Error::AttributeValueInvalid);
        }
        request.key_ops = (key_ops != sobject.key_ops).then(|| usage::names(key_ops));
    }
    update(session, object.kid, &request)
}

/// Destroys an object: the public half of a pair is hidden, a certificate that was made here is forgotten, everything else takes the
/// sobject with it.
///
/// # Errors
/// What DSM says.
pub(super) fn destroy(session: &Session, object: &DsmObject) -> Result {
    if object.part == Part::Generated {
        return session.token.forget_certificate(object.kid);
    }
    if object.part == Part::Public && !object.sobject.public_only {
        let mut metadata = object.renewed()?.sobject.custom_metadata.clone().unwrap_or_default();
        Extra { hidden: true, ..Extra::default() }.write(Part::Public, &mut metadata);
        return update(session, object.kid, &SobjectRequest { custom_metadata: Some(metadata), ..SobjectRequest::default() });
    }
    let engine = session.token.engine()?;
    let shows_both = object.part == Part::Private && Extra::read(&object.sobject, Part::Public).is_none_or(|extra| !extra.hidden);
    // Asked before: any thread that looks at the token afterwards forgets the handles.
    let public = if shows_both { session.token.known_handle(object.kid, Part::Public) } else { None };
    let deleted = engine.delete(object.kid).map_err(|error| Error::from_engine(&error, During::Changing));
    if let (Ok(()), Some(public)) = (&deleted, public) {
        session.token.widow(public);
    }
    session.token.renew()?;
    deleted
}

fn update(session: &Session, kid: Uuid, request: &SobjectRequest) -> Result {
    let engine = session.token.engine()?;
    engine.update(kid, request).map_err(|error| Error::from_engine(&error, During::Changing))?;
    session.token.renew()
}

/// A public key object of a pair whose public half is hidden shows that half again.
fn show_again(session: &Session, attributes: &Attributes, key: &LocalKey) -> Result<Option<CK_OBJECT_HANDLE>> {
    let Some(spki) = key.spki() else { return Ok(None) };
    let engine = session.token.engine()?;
    let Some(listing) = engine.cached_sobjects() else { return Ok(None) };
    let is_its_pair = |sobject: &Sobject| {
        sobject.pub_key.as_ref().is_some_and(|own| own.as_ref() == spki)
            && !sobject.public_only
            && Extra::read(sobject, Part::Public).is_some_and(|extra| extra.hidden)
    };
    let Some(kid) = listing.sobjects.iter().find(|sobject| is_its_pair(sobject)).and_then(|sobject| sobject.kid) else { return Ok(None) };
    let sobject = engine.sobject(kid).map_err(|error| Error::from_engine(&error, During::Creating))?;
    if !is_its_pair(&sobject) {
        return Ok(None);
    }
    let mut metadata = sobject.custom_metadata.clone().unwrap_or_default();
    let mut extra = own_attributes(&Shown { part: Part::Public, attributes });
    for kind in [CKA_LABEL, CKA_ID] {
        if let Some(value) = attributes.get(kind) {
            extra.attributes.set(kind, value);
        }
    }
    extra.write(Part::Public, &mut metadata);
    let key_ops = usage::apply(sobject.key_ops, CKO_PUBLIC_KEY, key.kind(), attributes);
    let request = SobjectRequest { custom_metadata: Some(metadata), key_ops: Some(usage::names(key_ops)), ..SobjectRequest::default() };
    let changed = engine.update(kid, &request).map_err(|error| Error::from_engine(&error, During::Creating))?;
    session.token.handle_of(&changed, Part::Public).map(Some)
}

/// Name, metadata and key operations of a new sobject.
fn describe(request: &mut SobjectRequest, shown: &[Shown<'_>], kind: Option<KeyKind>) {
    let mut metadata = Metadata::new();
    let first = shown.first().map(|shown| shown.attributes);
    let (label, id) = (first.and_then(|first| first.get(CKA_LABEL)), first.and_then(|first| first.get(CKA_ID)));
    metadata::set_label(&mut metadata, label.unwrap_or_default());
    metadata::set_id(&mut metadata, id.unwrap_or_default());
    for (index, shown) in shown.iter().enumerate() {
        let mut extra = own_attributes(shown);
        if index > 0 {
            for (kind, usual) in [(CKA_LABEL, label), (CKA_ID, id)] {
                if let Some(own) = shown.attributes.get(kind).filter(|own| Some(*own) != usual) {
                    extra.attributes.set(kind, own);
                }
            }
        }
        if request.value.is_none() && shown.attributes.flag(CKA_LOCAL) == Some(false) {
            // DSM makes it of another key, and has no field that tells this from a generation.
            extra.attributes.set_flag(CKA_LOCAL, false);
        }
        // A SECRET that is a key says so.
        if request.obj_type == Some(ObjectType::Secret) && shown.part == Part::Secret {
            extra.attributes.set_number(CKA_KEY_TYPE, shown.attributes.number(CKA_KEY_TYPE).unwrap_or(CKK_GENERIC_SECRET));
        }
        extra.write(shown.part, &mut metadata);
    }
    request.custom_metadata = Some(metadata);
    request.name = Some(name(label.unwrap_or_default()));
    let key_ops = match kind {
        Some(kind) => shown.iter().fold(KeyOperations::NONE, |ops, shown| usage::apply(ops, shown.part.class(), kind, shown.attributes)),
        None => KeyOperations::NONE,
    };
    let key_ops = match request.obj_type {
        Some(ObjectType::Secret) => key_ops.intersection(KeyOperations::of(&[KeyOperation::DeriveKey])),
        _ => key_ops,
    };
    request.key_ops = Some(usage::names(key_ops.union(usage::BASE)));
}

fn own_attributes(shown: &Shown<'_>) -> Extra {
    let mut extra = Extra::default();
    for (kind, value) in shown.attributes.iter().filter(|(kind, value)| metadata::keeps(*kind, value, shown.part)) {
        extra.attributes.set(kind, value);
    }
    extra
}

/// A name that DSM takes: one line, not blank. It adds a suffix where the name is taken.
fn name(label: &[u8]) -> String {
    let text: String = String::from_utf8_lossy(label).chars().filter(|c| !c.is_control()).take(200).collect();
    if text.trim().is_empty() { format!("pkcs11 {}", Uuid::new_v4().simple()) } else { text }
}

pub(super) const fn part(class: CK_OBJECT_CLASS) -> Part {
    match class {
        CKO_SECRET_KEY => Part::Secret,
        CKO_PRIVATE_KEY => Part::Private,
        CKO_PUBLIC_KEY => Part::Public,
        CKO_CERTIFICATE => Part::Certificate,
        _ => Part::Data,
    }
}
