//! An object that lives in this process: a session object.

use std::sync::Arc;

use cryptoki_sys::*;
use dsma_core::PointEncoding;
use uuid::Uuid;

use super::KeyKind;
use super::key::LocalKey;
use super::table::{self, Form, SECRET_VALUE};
use super::template::Attributes;
use crate::pkcs11::attributes::{Answer, Value};

/// Attributes, and a key where it is one. Never changes: a change makes another object with the same handle.
pub(in crate::pkcs11) struct LocalObject {
    /// The session that it ends with.
    session: CK_SESSION_HANDLE,
    class: CK_OBJECT_CLASS,
    /// Complete but for the numbers of the key, which the key tells.
    attributes: Attributes,
    key: Option<Arc<LocalKey>>,
    points: PointEncoding,
}

impl LocalObject {
    /// A new object of a session. Its CKA_UNIQUE_ID is random, so that it differs from those of every process, a forked one too; what
    /// the attributes say of it, as where they are copied, is another object's.
    pub(super) fn new(
        session: CK_SESSION_HANDLE,
        class: CK_OBJECT_CLASS,
        mut attributes: Attributes,
        key: Option<Arc<LocalKey>>,
        points: PointEncoding,
    ) -> Self {
        attributes.set(CKA_UNIQUE_ID, Uuid::new_v4().to_string().as_bytes());
        Self { session, class, attributes, key, points }
    }

    /// An object that was always there, of no session: all of it is in its attributes.
    pub(super) const fn built_in(class: CK_OBJECT_CLASS, attributes: Attributes) -> Self {
        Self { session: CK_INVALID_HANDLE, class, attributes, key: None, points: PointEncoding::Raw }
    }

    /// The same object with other attributes.
    pub(super) fn with(&self, attributes: Attributes) -> Self {
        Self { session: self.session, class: self.class, attributes, key: self.key.clone(), points: self.points }
    }

    /// CKA_CLASS.
    pub(super) const fn class(&self) -> CK_OBJECT_CLASS {
        self.class
    }

    /// The session that made it, and that it ends with.
    pub(super) const fn session(&self) -> CK_SESSION_HANDLE {
        self.session
    }

    /// Its key.
    pub(super) fn key(&self) -> Option<&LocalKey> {
        self.key.as_deref()
    }

    /// Its key, to share it with a copy.
    pub(super) fn shared_key(&self) -> Option<Arc<LocalKey>> {
        self.key.clone()
    }

    /// What is known of it beside its key's numbers.
    pub(super) const fn attributes(&self) -> &Attributes {
        &self.attributes
    }

    /// CKA_PRIVATE.
    pub(super) fn is_private(&self) -> bool {
        self.attributes.flag(CKA_PRIVATE) == Some(true)
    }

    /// Any attribute.
    pub(super) fn attribute(&self, kind: CK_ATTRIBUTE_TYPE) -> Answer<'_> {
        let Some(rule) = table::find(kind, self.class, self.key().map(LocalKey::kind)) else { return Answer::Missing };
        if rule.has(SECRET_VALUE) {
            if self.attributes.flag(CKA_SENSITIVE) == Some(true) || self.attributes.flag(CKA_EXTRACTABLE) == Some(false) {
                return Answer::Sensitive;
            }
            return self
                .key()
                .and_then(|key| key.secret_number(kind))
                .map_or(Answer::Missing, |number| Answer::Value(Value::Secret(number)));
        }
        match self.attributes.get(kind) {
            Some(&[flag]) if rule.form == Form::Flag => Answer::Value(Value::Flag(flag)),
            Some(value) => Answer::Value(Value::Bytes(value)),
            None if rule.form == Form::Template => Answer::Value(Value::Bytes(&[])),
            None => self
                .key()
                .and_then(|key| key.shown_number(kind, self.points))
                .map_or(Answer::Missing, |number| Answer::Value(Value::Owned(number))),
        }
    }

    /// Estimate of the memory that it takes, in bytes.
    pub(super) fn memory_size(&self) -> usize {
        size_of::<Self>() + self.attributes.memory_size() + self.key().map_or(0, LocalKey::memory_size)
    }
}

/// Which usage attributes a new key has set where its template leaves them out: all that its kind can do, because Java needs it.
pub(super) fn default_usage(class: CK_OBJECT_CLASS, kind: KeyKind) -> Vec<(CK_ATTRIBUTE_TYPE, bool)> {
    let rsa = kind == KeyKind::Rsa;
    let agrees = matches!(kind, KeyKind::Ec(_) | KeyKind::X25519);
    let signs = matches!(kind, KeyKind::Rsa | KeyKind::Ec(_) | KeyKind::Ed25519 | KeyKind::MlDsa(_));
    let encapsulates = matches!(kind, KeyKind::MlKem(_));
    match class {
        CKO_SECRET_KEY => {
            [CKA_ENCRYPT, CKA_DECRYPT, CKA_SIGN, CKA_VERIFY, CKA_WRAP, CKA_UNWRAP, CKA_DERIVE].map(|kind| (kind, true)).to_vec()
        }
        CKO_PRIVATE_KEY => vec![
            (CKA_DECRYPT, rsa),
            (CKA_SIGN, signs),
            (CKA_SIGN_RECOVER, rsa),
            (CKA_UNWRAP, rsa),
            (CKA_DERIVE, agrees),
            (CKA_DECAPSULATE, encapsulates),
        ],
        CKO_PUBLIC_KEY => vec![
            (CKA_ENCRYPT, rsa),
            (CKA_VERIFY, signs),
            (CKA_VERIFY_RECOVER, rsa),
            (CKA_WRAP, rsa),
            (CKA_DERIVE, agrees),
            (CKA_ENCAPSULATE, encapsulates),
        ],
        _ => Vec::new(),
    }
}
