//! What a token shows at one moment, and to whom.

use std::sync::{Arc, Mutex};

use cryptoki_sys::CK_OBJECT_HANDLE;
use dsma_core::Accelerator;

use super::super::index::Index;
use super::super::objects::Object;
use super::super::sync::lock;
use super::Token;

/// What the token shows at one moment. Never changes; a login, a logout or a newer listing makes another one.
pub(in crate::pkcs11) struct View {
    pub(super) version: u64,
    pub(super) who: Who,
    /// Private objects are seen without a login.
    pub(super) open: bool,
    pub(super) engine: Option<Accelerator>,
    pub(super) index: Arc<Index>,
}

/// Who is logged in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pkcs11) enum Who {
    /// Nobody.
    Nobody,
    /// The user.
    User,
    /// The security officer, whom only conformance mode has.
    Officer,
}

impl View {
    /// The engine of the login, or of the configuration; none before a login with a PIN.
    pub(in crate::pkcs11) const fn engine(&self) -> Option<&Accelerator> {
        self.engine.as_ref()
    }

    /// Who is logged in.
    pub(in crate::pkcs11) const fn who(&self) -> Who {
        self.who
    }

    /// Whether private objects may be seen and made.
    pub(in crate::pkcs11) fn sees_private(&self) -> bool {
        self.open || self.who == Who::User
    }

    /// The object with this handle, if it may be seen: private objects are invisible before login (trap 14).
    pub(in crate::pkcs11) fn object(&self, handle: CK_OBJECT_HANDLE) -> Option<&Arc<Object>> {
        self.index.object(handle).filter(|object| self.shows(object))
    }

    /// Whether the object may be seen.
    pub(in crate::pkcs11) fn shows(&self, object: &Object) -> bool {
        self.sees_private() || !object.is_private()
    }

    /// All objects, seen or not.
    pub(in crate::pkcs11) fn index(&self) -> &Index {
        &self.index
    }
}

/// A session's own copy of the view, so that the hot path meets no other thread.
#[derive(Default)]
pub(in crate::pkcs11) struct ViewCopy(Mutex<Option<Arc<View>>>);

impl ViewCopy {
    /// Runs `look` on the current view.
    pub(in crate::pkcs11) fn with<T>(&self, token: &Token, look: impl FnOnce(&View) -> T) -> T {
        let mut copy = lock(&self.0);
        if copy.as_ref().is_some_and(|view| view.version != token.version()) {
            *copy = None;
        }
        look(copy.get_or_insert_with(|| token.view()))
    }

    /// Keeps no view until the next use.
    pub(super) fn forget(&self) {
        let old = lock(&self.0).take();
        drop(old);
    }
}
