//! A sequence as it runs: the model's state beside the library's handles.

use std::ptr::null_mut;

use cryptoki_sys::*;

use super::steps::{Buffer, KINDS, KeyKind, MESSAGES, Messages, Step};
use crate::module::{Mechanism, Module, bytes, call};
use crate::session_objects::{FALSE, TRUE};

/// What of an RSA key pair a template takes, and a signature of it. Made once: pairs take time.
pub(super) struct Rsa {
    pub(super) numbers: Vec<(CK_ATTRIBUTE_TYPE, Vec<u8>)>,
    pub(super) signature: Vec<u8>,
}

/// What is active.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum State {
    #[default]
    None,
    Fresh,
    /// In parts, or in the middle of a message.
    Parts,
}

/// An operation, and whether it ends with a logout because its key is private.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Operation {
    pub(super) state: State,
    pub(super) private: bool,
}

#[derive(Debug, Default)]
pub(super) struct Session {
    /// The one that it had last, when it is closed.
    pub(super) handle: CK_SESSION_HANDLE,
    pub(super) open: bool,
    pub(super) operations: [Operation; 8],
    pub(super) messages: [Operation; 4],
    /// What the search has still to tell.
    pub(super) search: Option<Vec<CK_OBJECT_HANDLE>>,
    /// What was digested, while that is known.
    pub(super) digested: Option<Vec<u8>>,
    /// A key is in the digest.
    pub(super) digested_key: bool,
}

#[derive(Debug)]
pub(super) struct Key {
    pub(super) handle: CK_OBJECT_HANDLE,
    pub(super) kind: KeyKind,
    pub(super) private: bool,
    pub(super) owner: usize,
}

/// A digest that was written down, as the model knows it.
pub(super) struct Saved {
    pub(super) bytes: Vec<u8>,
    pub(super) state: State,
    pub(super) digested: Option<Vec<u8>>,
}

pub(super) struct Run<'m> {
    pub(super) module: &'m Module,
    pub(super) rsa: &'m Rsa,
    pub(super) sessions: [Session; 2],
    pub(super) keys: Vec<Key>,
    pub(super) logged_in: bool,
    pub(super) saved: Option<Saved>,
}

/// The answer of the library and that of the model.
pub(super) type Answer = (CK_RV, CK_RV);

/// A handle that was never given out.
pub(super) const NO_HANDLE: CK_ULONG = 1 << 40;

impl Rsa {
    pub(super) fn new(module: &Module) -> Self {
        let session = module.logged_in();
        let (bits, [mut public, mut private]) = (1024_u64.to_ne_bytes(), [0; 2]);
        let mut template = crate::module::attributes(&[(CKA_MODULUS_BITS, &bits), (CKA_VERIFY_RECOVER, TRUE)]);
        let mut shown = crate::module::attributes(&[(CKA_SENSITIVE, FALSE), (CKA_EXTRACTABLE, TRUE)]);
        let (template, count, shown) = (template.as_mut_ptr(), template.len() as CK_ULONG, shown.as_mut_ptr());
        let code = Mechanism::Plain(CKM_RSA_PKCS_KEY_PAIR_GEN)
            .with(|m| call!(module, C_GenerateKeyPair(session, m, template, count, shown, 2, &raw mut public, &raw mut private)));
        assert_eq!(code, CKR_OK);
        let kinds = [
            CKA_MODULUS,
            CKA_PUBLIC_EXPONENT,
            CKA_PRIVATE_EXPONENT,
            CKA_PRIME_1,
            CKA_PRIME_2,
            CKA_EXPONENT_1,
            CKA_EXPONENT_2,
            CKA_COEFFICIENT,
        ];
        let numbers = kinds.map(|kind| (kind, module.attribute(session, private, kind).expect("a key that shows itself")));
        let signature = module.sign(session, &Mechanism::Plain(CKM_RSA_PKCS), private, &super::operations::PART).expect("it signs");
        // The login goes with the last session.
        assert_eq!(call!(module, C_CloseSession(session)), CKR_OK);
        Self { numbers: numbers.into(), signature }
    }
}

impl<'m> Run<'m> {
    /// Two open sessions, a login, and keys of each kind, private ones and others.
    pub(super) fn new(module: &'m Module, rsa: &'m Rsa) -> Self {
        let mut run =
            Self { module, rsa, sessions: [Session::default(), Session::default()], keys: Vec::new(), logged_in: false, saved: None };
        // A sequence that failed has left its sessions open.
        run.step(0, Step::CloseAll);
        run.step(0, Step::Open);
        run.step(1, Step::Open);
        run.step(0, Step::Login);
        for kind in [KeyKind::Aes, KeyKind::Mac, KeyKind::RsaPrivate, KeyKind::RsaPublic] {
            for private in [true, false] {
                run.step(0, Step::Create(kind, private));
            }
        }
        run
    }

    /// Makes the call, and checks its answer against the model, which it moves on.
    pub(super) fn step(&mut self, session: usize, step: Step) {
        if !self.sessions[session].open && !matches!(step, Step::Open | Step::CloseAll) {
            let (code, _) = self.make_for_closed(session, step);
            assert_eq!(code, CKR_SESSION_HANDLE_INVALID, "{step:?} in a session that is closed");
            return;
        }
        let (code, expected) = self.make(session, step);
        assert_eq!(code, expected, "{step:?} in session {session}: {:?}, {:?}", self.sessions[session], self.keys);
    }

    /// Nothing is open that the next sequence would find.
    pub(super) fn end(mut self) {
        self.step(0, Step::CloseAll);
    }

    fn make(&mut self, session: usize, step: Step) -> Answer {
        match step {
            Step::Init(kind, key) => self.init(session, kind, key),
            Step::BadInit(kind) => self.bad_init(session, kind),
            Step::Cancel(kind) => self.cancel(session, kind),
            Step::SessionCancel(choice) => self.session_cancel(session, choice),
            Step::Whole(kind, buffer) => self.whole(session, kind, buffer),
            Step::Update(kind, buffer) => self.update(session, kind, buffer),
            Step::Final(kind, buffer) => self.finish(session, kind, buffer),
            Step::BadUpdate(kind) => self.bad_update(session, kind, false),
            Step::HugeUpdate(kind) => self.bad_update(session, kind, true),
            Step::Both(dual, buffer) => self.both(session, dual, buffer),
            Step::DigestKey(key) => self.digest_key(session, key),
            Step::Save => self.save(session),
            Step::Restore => self.restore(session),
            Step::StartMessages(kind, key) => self.start_messages(session, kind, key),
            Step::CancelMessages(kind) => self.cancel_messages(session, kind),
            Step::Message(kind, buffer) => self.message(session, kind, buffer),
            Step::Begin(kind) => self.begin(session, kind),
            Step::Next(kind, buffer, last) => self.next(session, kind, buffer, last),
            Step::BadNext(kind, fault, last) => self.bad_next(session, kind, fault, last),
            Step::EndMessages(kind) => self.end_messages(session, kind),
            Step::FindInit => self.find_init(session),
            Step::FindNext => self.find_next(session),
            Step::FindFinal => self.find_final(session),
            Step::Login => self.login(session),
            Step::Logout => self.logout(session),
            Step::Open => self.open(session),
            Step::Close => self.close(session),
            Step::CloseAll => self.close_all(),
            Step::Create(kind, private) => self.create(session, kind, private),
            Step::Copy(key) => self.copy(session, key),
            Step::Destroy(key) => self.destroy(session, key),
            Step::Look(key) => self.look(session, key),
        }
    }

    /// The same call, when the session's handle is stale; the model is put back as it was.
    fn make_for_closed(&mut self, session: usize, step: Step) -> Answer {
        let (keys, logged_in) = (std::mem::take(&mut self.keys), self.logged_in);
        let answer = self.make(session, step);
        self.keys = keys;
        self.logged_in = logged_in;
        let handle = self.sessions[session].handle;
        self.sessions[session] = Session { handle, ..Session::default() };
        answer
    }

    /// Some key of this kind, if there is one.
    pub(super) fn key(&self, kind: KeyKind, number: usize) -> Option<&Key> {
        let keys: Vec<&Key> = self.keys.iter().filter(|key| key.kind == kind).collect();
        (!keys.is_empty()).then(|| keys[number % keys.len()])
    }

    pub(super) const fn sees(&self, key: &Key) -> bool {
        self.logged_in || !key.private
    }

    pub(super) fn handle(&self, session: usize) -> CK_SESSION_HANDLE {
        self.sessions[session].handle
    }

    /// C_SessionCancel: a bit of the choice for each kind and for the search.
    fn session_cancel(&mut self, session: usize, choice: u16) -> Answer {
        let mut flags = 0;
        let model = &mut self.sessions[session];
        let chosen = |index: usize| choice & 1 << index != 0;
        for (index, kind) in KINDS.iter().enumerate().filter(|(index, _)| chosen(*index)) {
            flags |= kind.flag();
            model.operations[index].state = State::None;
        }
        // One flag stands for both kinds of verification.
        if flags & CKF_VERIFY != 0 {
            for (index, _) in KINDS.iter().enumerate().filter(|(_, kind)| kind.flag() == CKF_VERIFY) {
                model.operations[index].state = State::None;
            }
        }
        for (index, kind) in MESSAGES.iter().enumerate().filter(|(index, _)| chosen(index + 8)) {
            flags |= Messages::flag(*kind);
            model.messages[index].state = State::None;
        }
        if chosen(12) {
            flags |= CKF_FIND_OBJECTS;
            model.search = None;
        }
        (call!(self.module, C_SessionCancel(self.handle(session), flags)), CKR_OK)
    }
}

/// A place for output as the step wants it.
pub(super) struct Room {
    memory: [u8; 256],
    len: CK_ULONG,
    query: bool,
}

impl Room {
    pub(super) const fn new(buffer: Buffer) -> Self {
        let len = if matches!(buffer, Buffer::Short) { 3 } else { 256 };
        Self { memory: [0; 256], len, query: matches!(buffer, Buffer::Query) }
    }

    pub(super) const fn out(&mut self) -> *mut u8 {
        if self.query { null_mut() } else { self.memory.as_mut_ptr() }
    }

    pub(super) const fn len(&mut self) -> *mut CK_ULONG {
        &raw mut self.len
    }

    pub(super) fn written(&self) -> &[u8] {
        &self.memory[..self.len as usize]
    }
}

/// A signature that never holds.
pub(super) const fn forged() -> *mut u8 {
    bytes(&[0; 32])
}
