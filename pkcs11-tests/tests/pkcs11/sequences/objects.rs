//! Sessions, logins, keys of the session, and searches for them.

use std::ptr::null_mut;

use cryptoki_sys::*;

use super::run::{Answer, Key, NO_HANDLE, Operation, Run, Session};
use super::steps::KeyKind;
use crate::module::{attributes, call};
use crate::session_objects::{FALSE, TRUE};

/// The bytes of every key for authentication codes.
pub(super) const MAC_KEY: [u8; 32] = [2; 32];
const AES_KEY: [u8; 32] = [1; 32];
/// What the searches look for: the listing of DSM's own objects is not part of the model.
const LABEL: &[u8] = b"of a sequence";

impl Run<'_> {
    pub(super) fn open(&mut self, session: usize) -> Answer {
        if self.sessions[session].open {
            return (CKR_OK, CKR_OK);
        }
        let mut handle = 0;
        // One of them may write, one may not: it makes no difference to session objects.
        let flags = CKF_SERIAL_SESSION | if session == 0 { CKF_RW_SESSION } else { 0 };
        let code = call!(self.module, C_OpenSession(0, flags, null_mut(), None, &raw mut handle));
        assert_ne!(handle, self.sessions[session].handle, "a handle comes again");
        self.sessions[session] = Session { handle, open: true, ..Session::default() };
        (code, CKR_OK)
    }

    pub(super) fn close(&mut self, session: usize) -> Answer {
        let code = call!(self.module, C_CloseSession(self.handle(session)));
        if self.sessions[session].open {
            self.closed(session);
        }
        (code, CKR_OK)
    }

    pub(super) fn close_all(&mut self) -> Answer {
        let code = call!(self.module, C_CloseAllSessions(0));
        for session in 0..2 {
            self.closed(session);
        }
        (code, CKR_OK)
    }

    fn closed(&mut self, session: usize) {
        let handle = self.sessions[session].handle;
        self.sessions[session] = Session { handle, ..Session::default() };
        self.keys.retain(|key| key.owner != session);
        self.logged_in &= self.sessions.iter().any(|session| session.open);
    }

    pub(super) fn login(&mut self, session: usize) -> Answer {
        let code = self.module.login(self.handle(session), None);
        let expected = if self.logged_in { CKR_USER_ALREADY_LOGGED_IN } else { CKR_OK };
        self.logged_in = true;
        (code, expected)
    }

    pub(super) fn logout(&mut self, session: usize) -> Answer {
        let code = call!(self.module, C_Logout(self.handle(session)));
        if !self.logged_in || !self.sessions[session].open {
            return (code, CKR_USER_NOT_LOGGED_IN);
        }
        self.logged_in = false;
        self.keys.retain(|key| !key.private);
        for session in &mut self.sessions {
            session.search = None;
            let all = session.operations.iter_mut().chain(&mut session.messages);
            all.filter(|operation| operation.private).for_each(|operation| *operation = Operation::default());
        }
        (code, CKR_OK)
    }

    pub(super) fn create(&mut self, session: usize, kind: KeyKind, private: bool) -> Answer {
        let [secret, private_key, public_key] = [CKO_SECRET_KEY, CKO_PRIVATE_KEY, CKO_PUBLIC_KEY].map(CK_ULONG::to_ne_bytes);
        let [aes, generic, rsa] = [CKK_AES, CKK_GENERIC_SECRET, CKK_RSA].map(CK_ULONG::to_ne_bytes);
        let mut template: Vec<(CK_ATTRIBUTE_TYPE, &[u8])> = vec![(CKA_LABEL, LABEL), (CKA_PRIVATE, if private { TRUE } else { FALSE })];
        let numbers = || self.rsa.numbers.iter().map(|(kind, number)| (*kind, number.as_slice()));
        match kind {
            KeyKind::Aes => template.extend([(CKA_CLASS, &secret[..]), (CKA_KEY_TYPE, &aes), (CKA_VALUE, &AES_KEY)]),
            KeyKind::Mac => template.extend([(CKA_CLASS, &secret[..]), (CKA_KEY_TYPE, &generic), (CKA_VALUE, &MAC_KEY)]),
            KeyKind::RsaPrivate => {
                template.extend([(CKA_CLASS, &private_key[..]), (CKA_KEY_TYPE, &rsa)]);
                template.extend(numbers());
            }
            KeyKind::RsaPublic => {
                template.extend([(CKA_CLASS, &public_key[..]), (CKA_KEY_TYPE, &rsa), (CKA_VERIFY_RECOVER, TRUE)]);
                template.extend(numbers().take(2));
            }
        }
        let (mut template, mut handle) = (attributes(&template), 0);
        let (first, count) = (template.as_mut_ptr(), template.len() as CK_ULONG);
        let code = call!(self.module, C_CreateObject(self.handle(session), first, count, &raw mut handle));
        if private && !self.logged_in {
            return (code, CKR_USER_NOT_LOGGED_IN);
        }
        self.keys.push(Key { handle, kind, private, owner: session });
        (code, CKR_OK)
    }

    pub(super) fn copy(&mut self, session: usize, number: usize) -> Answer {
        let mut copy = 0;
        let (handle, visible) = self.any_key(number);
        let code = call!(self.module, C_CopyObject(self.handle(session), handle, null_mut(), 0, &raw mut copy));
        if !visible {
            return (code, CKR_OBJECT_HANDLE_INVALID);
        }
        if let Some(original) = self.keys.iter().find(|key| key.handle == handle) {
            let (kind, private) = (original.kind, original.private);
            self.keys.push(Key { handle: copy, kind, private, owner: session });
        }
        (code, CKR_OK)
    }

    /// An operation that uses the key goes on.
    pub(super) fn destroy(&mut self, session: usize, number: usize) -> Answer {
        let (handle, visible) = self.any_key(number);
        let code = call!(self.module, C_DestroyObject(self.handle(session), handle));
        if visible {
            self.keys.retain(|key| key.handle != handle);
        }
        (code, if visible { CKR_OK } else { CKR_OBJECT_HANDLE_INVALID })
    }

    pub(super) fn look(&self, session: usize, number: usize) -> Answer {
        let (handle, visible) = self.any_key(number);
        let mut class = CK_ATTRIBUTE { type_: CKA_CLASS, pValue: null_mut(), ulValueLen: 0 };
        let code = call!(self.module, C_GetAttributeValue(self.handle(session), handle, &raw mut class, 1));
        (code, if visible { CKR_OK } else { CKR_OBJECT_HANDLE_INVALID })
    }

    fn any_key(&self, number: usize) -> (CK_OBJECT_HANDLE, bool) {
        let key = (!self.keys.is_empty()).then(|| &self.keys[number % self.keys.len()]);
        key.map_or((NO_HANDLE, false), |key| (key.handle, self.sees(key)))
    }

    pub(super) fn find_init(&mut self, session: usize) -> Answer {
        let mut template = attributes(&[(CKA_LABEL, LABEL)]);
        let code = call!(self.module, C_FindObjectsInit(self.handle(session), template.as_mut_ptr(), 1));
        if self.sessions[session].search.is_some() {
            return (code, CKR_OPERATION_ACTIVE);
        }
        let found = self.keys.iter().filter(|key| self.sees(key)).map(|key| key.handle).collect();
        self.sessions[session].search = Some(found);
        (code, CKR_OK)
    }

    /// Two at a time, of those that were there when the search began.
    pub(super) fn find_next(&mut self, session: usize) -> Answer {
        let (mut objects, mut count) = ([0; 2], 0);
        let code = call!(self.module, C_FindObjects(self.handle(session), objects.as_mut_ptr(), 2, &raw mut count));
        let Some(left) = &mut self.sessions[session].search else { return (code, CKR_OPERATION_NOT_INITIALIZED) };
        assert_eq!(count as usize, left.len().min(2), "{left:?}");
        for object in &objects[..count as usize] {
            let known = left.iter().position(|handle| handle == object);
            left.swap_remove(known.unwrap_or_else(|| panic!("{object} is not among {left:?}")));
        }
        (code, CKR_OK)
    }

    pub(super) fn find_final(&mut self, session: usize) -> Answer {
        let code = call!(self.module, C_FindObjectsFinal(self.handle(session)));
        let ended = self.sessions[session].search.take();
        (code, if ended.is_some() { CKR_OK } else { CKR_OPERATION_NOT_INITIALIZED })
    }
}
