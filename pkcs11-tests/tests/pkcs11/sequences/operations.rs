//! Operations in one call and in parts, two at a time, and digests that are written down.

use std::ptr::null_mut;

use cryptoki_sys::*;

use super::run::{Answer, NO_HANDLE, Operation, Room, Run, Saved, State, forged};
use super::steps::{Buffer, Dual, KINDS, Kind};
use crate::module::{Mechanism, bytes, call, nowhere};

/// Every part, and what is recovered from a signature.
pub(super) const PART: [u8; 16] = [7; 16];

const LEN: CK_ULONG = PART.len() as CK_ULONG;

const fn part() -> *mut u8 {
    bytes(&PART)
}

const fn index(kind: Kind) -> usize {
    let mut index = 0;
    while KINDS[index] as usize != kind as usize {
        index += 1;
    }
    index
}

/// ECB, so that every block gives output at once.
const fn mechanism(kind: Kind) -> Mechanism {
    Mechanism::Plain(match kind {
        Kind::Encrypt | Kind::Decrypt => CKM_AES_ECB,
        Kind::Digest => CKM_SHA256,
        Kind::Sign | Kind::Verify | Kind::VerifySignature => CKM_SHA256_HMAC,
        Kind::SignRecover | Kind::VerifyRecover => CKM_RSA_PKCS,
    })
}

impl Run<'_> {
    pub(super) fn init(&mut self, session: usize, kind: Kind, number: usize) -> Answer {
        let key = kind.key().map(|needed| self.key(needed, number).map(|key| (key.handle, key.private, self.sees(key))));
        let (handle, private, visible) = match key {
            None => (0, false, true),
            Some(None) => (NO_HANDLE, false, false),
            Some(Some(key)) => key,
        };
        let code = self.call_init(session, kind, &mechanism(kind), handle);
        let model = &mut self.sessions[session];
        let operation = &mut model.operations[index(kind)];
        let expected = if operation.state != State::None {
            CKR_OPERATION_ACTIVE
        } else if visible {
            (operation.state, operation.private) = (State::Fresh, private);
            if kind == Kind::Digest {
                model.digested = Some(Vec::new());
                model.digested_key = false;
            }
            CKR_OK
        } else {
            CKR_KEY_HANDLE_INVALID
        };
        (code, expected)
    }

    pub(super) fn bad_init(&self, session: usize, kind: Kind) -> Answer {
        let code = self.call_init(session, kind, &Mechanism::Plain(0x00ff_ffff), NO_HANDLE);
        (code, if self.state(session, kind) == State::None { CKR_MECHANISM_INVALID } else { CKR_OPERATION_ACTIVE })
    }

    pub(super) fn cancel(&mut self, session: usize, kind: Kind) -> Answer {
        self.set(session, kind, State::None);
        let (module, session) = (self.module, self.handle(session));
        let code = match kind {
            Kind::Encrypt => call!(module, C_EncryptInit(session, null_mut(), 0)),
            Kind::Decrypt => call!(module, C_DecryptInit(session, null_mut(), 0)),
            Kind::Digest => call!(module, C_DigestInit(session, null_mut())),
            Kind::Sign => call!(module, C_SignInit(session, null_mut(), 0)),
            Kind::Verify => call!(module, C_VerifyInit(session, null_mut(), 0)),
            Kind::SignRecover => call!(module, C_SignRecoverInit(session, null_mut(), 0)),
            Kind::VerifyRecover => call!(module, C_VerifyRecoverInit(session, null_mut(), 0)),
            Kind::VerifySignature => call!(module, C_VerifySignatureInit(session, null_mut(), 0, null_mut(), 0)),
        };
        (code, CKR_OK)
    }

    pub(super) fn whole(&mut self, session: usize, kind: Kind, buffer: Buffer) -> Answer {
        let (code, needs_room) = self.call_whole(session, kind, buffer);
        // A one-shot function ends what is in parts.
        if self.state(session, kind) == State::Parts {
            self.set(session, kind, State::None);
            return (code, CKR_OPERATION_NOT_INITIALIZED);
        }
        (settled(code), self.after(session, kind, buffer, needs_room, State::None))
    }

    pub(super) fn update(&mut self, session: usize, kind: Kind, buffer: Buffer) -> Answer {
        let (code, needs_room) = self.call_update(session, kind, part(), LEN, buffer);
        let expected = self.after(session, kind, buffer, needs_room, State::Parts);
        if kind == Kind::Digest && code == CKR_OK {
            self.digested(session, Some(&PART));
        }
        (code, expected)
    }

    pub(super) fn finish(&mut self, session: usize, kind: Kind, buffer: Buffer) -> Answer {
        let mut room = Room::new(buffer);
        let (code, needs_room) = self.call_final(session, kind, &mut room, buffer);
        let expected = self.after(session, kind, buffer, needs_room, State::None);
        if kind == Kind::Digest && code == CKR_OK && buffer == Buffer::Enough {
            self.compare_digest(session, room.written());
        }
        (settled(code), expected)
    }

    pub(super) fn bad_update(&mut self, session: usize, kind: Kind, huge: bool) -> Answer {
        let (data, len) = if huge { (nowhere(), CK_UNAVAILABLE_INFORMATION) } else { (null_mut(), LEN) };
        let (code, _) = self.call_update(session, kind, data, len, Buffer::Enough);
        let expected = if self.state(session, kind) == State::None { CKR_OPERATION_NOT_INITIALIZED } else { CKR_ARGUMENTS_BAD };
        self.set(session, kind, State::None);
        (code, expected)
    }

    pub(super) fn both(&mut self, session: usize, dual: Dual, buffer: Buffer) -> Answer {
        let (module, handle, mut room) = (self.module, self.handle(session), Room::new(buffer));
        let (out, len) = (room.out(), room.len());
        let (code, cipher, other) = match dual {
            Dual::DigestEncrypt => (call!(module, C_DigestEncryptUpdate(handle, part(), LEN, out, len)), Kind::Encrypt, Kind::Digest),
            Dual::DecryptDigest => (call!(module, C_DecryptDigestUpdate(handle, part(), LEN, out, len)), Kind::Decrypt, Kind::Digest),
            Dual::SignEncrypt => (call!(module, C_SignEncryptUpdate(handle, part(), LEN, out, len)), Kind::Encrypt, Kind::Sign),
            Dual::DecryptVerify => (call!(module, C_DecryptVerifyUpdate(handle, part(), LEN, out, len)), Kind::Decrypt, Kind::Verify),
        };
        if self.state(session, cipher) == State::None || self.state(session, other) == State::None {
            return (code, CKR_OPERATION_NOT_INITIALIZED);
        }
        let expected = self.after(session, cipher, buffer, true, State::Parts);
        if buffer == Buffer::Enough {
            self.set(session, other, State::Parts);
            if other == Kind::Digest {
                let plain = room.written().to_vec();
                self.digested(session, Some(if cipher == Kind::Encrypt { &PART } else { &plain }));
            }
        }
        (code, expected)
    }

    pub(super) fn digest_key(&mut self, session: usize, number: usize) -> Answer {
        let key = self.key(super::steps::KeyKind::Mac, number).map(|key| (key.handle, key.private, self.sees(key)));
        let (handle, private, visible) = key.unwrap_or((NO_HANDLE, false, false));
        let code = call!(self.module, C_DigestKey(self.handle(session), handle));
        if self.state(session, Kind::Digest) == State::None {
            return (code, CKR_OPERATION_NOT_INITIALIZED);
        }
        if !visible {
            self.set(session, Kind::Digest, State::None);
            return (code, CKR_KEY_HANDLE_INVALID);
        }
        self.set(session, Kind::Digest, State::Parts);
        self.digested(session, Some(&super::objects::MAC_KEY));
        self.sessions[session].digested_key = true;
        self.sessions[session].operations[index(Kind::Digest)].private |= private;
        (code, CKR_OK)
    }

    /// C_GetOperationState: of a digest without a key in it, while nothing runs that holds one.
    pub(super) fn save(&mut self, session: usize) -> Answer {
        let mut room = Room::new(Buffer::Enough);
        let code = call!(self.module, C_GetOperationState(self.handle(session), room.out(), room.len()));
        let model = &self.sessions[session];
        let with_key = KINDS.iter().zip(&model.operations).any(|(kind, operation)| kind.key().is_some() && operation.state != State::None);
        if with_key || model.messages.iter().any(|operation| operation.state != State::None) {
            return (code, CKR_STATE_UNSAVEABLE);
        }
        let state = self.state(session, Kind::Digest);
        if state == State::None {
            return (code, CKR_OPERATION_NOT_INITIALIZED);
        }
        // It would tell the key's last bytes.
        if model.digested_key {
            return (code, CKR_STATE_UNSAVEABLE);
        }
        self.saved = Some(Saved { bytes: room.written().to_vec(), state, digested: self.sessions[session].digested.clone() });
        (code, CKR_OK)
    }

    pub(super) fn restore(&mut self, session: usize) -> Answer {
        let handle = self.handle(session);
        let Some(saved) = &self.saved else {
            return (call!(self.module, C_SetOperationState(handle, part(), LEN, 0, 0)), CKR_SAVED_STATE_INVALID);
        };
        let len = saved.bytes.len() as CK_ULONG;
        let code = call!(self.module, C_SetOperationState(handle, bytes(&saved.bytes), len, 0, 0));
        self.sessions[session].operations[index(Kind::Digest)] = Operation { state: saved.state, private: false };
        self.sessions[session].digested.clone_from(&saved.digested);
        self.sessions[session].digested_key = false;
        (code, CKR_OK)
    }

    /// The answer of a call that gives output, and the state after it.
    fn after(&mut self, session: usize, kind: Kind, buffer: Buffer, needs_room: bool, next: State) -> CK_RV {
        match (self.state(session, kind), buffer) {
            (State::None, _) => CKR_OPERATION_NOT_INITIALIZED,
            (_, Buffer::Query | Buffer::Short) if needs_room => {
                if buffer == Buffer::Query {
                    CKR_OK
                } else {
                    CKR_BUFFER_TOO_SMALL
                }
            }
            _ => {
                self.set(session, kind, next);
                CKR_OK
            }
        }
    }

    fn state(&self, session: usize, kind: Kind) -> State {
        self.sessions[session].operations[index(kind)].state
    }

    fn set(&mut self, session: usize, kind: Kind, state: State) {
        self.sessions[session].operations[index(kind)].state = state;
    }

    fn digested(&mut self, session: usize, more: Option<&[u8]>) {
        let known = self.sessions[session].digested.take();
        self.sessions[session].digested = known.zip(more).map(|(known, more)| [&known, more].concat());
    }

    /// The digest of what the model has noted, in one call, is what came out.
    fn compare_digest(&self, session: usize, digest: &[u8]) {
        let Some(data) = &self.sessions[session].digested else { return };
        let (module, session, mut room) = (self.module, self.handle(session), Room::new(Buffer::Enough));
        assert_eq!(mechanism(Kind::Digest).with(|m| call!(module, C_DigestInit(session, m))), CKR_OK);
        let (out, len) = (room.out(), room.len());
        assert_eq!(call!(module, C_Digest(session, bytes(data), data.len() as CK_ULONG, out, len)), CKR_OK);
        assert_eq!(room.written(), digest);
    }

    fn call_init(&self, session: usize, kind: Kind, mechanism: &Mechanism, key: CK_OBJECT_HANDLE) -> CK_RV {
        let (module, session) = (self.module, self.handle(session));
        mechanism.with(|m| match kind {
            Kind::Encrypt => call!(module, C_EncryptInit(session, m, key)),
            Kind::Decrypt => call!(module, C_DecryptInit(session, m, key)),
            Kind::Digest => call!(module, C_DigestInit(session, m)),
            Kind::Sign => call!(module, C_SignInit(session, m, key)),
            Kind::Verify => call!(module, C_VerifyInit(session, m, key)),
            Kind::SignRecover => call!(module, C_SignRecoverInit(session, m, key)),
            Kind::VerifyRecover => call!(module, C_VerifyRecoverInit(session, m, key)),
            Kind::VerifySignature => call!(module, C_VerifySignatureInit(session, m, key, forged(), 32)),
        })
    }

    /// The code, and whether this call wants room for output.
    fn call_update(&self, session: usize, kind: Kind, data: *mut u8, len: CK_ULONG, buffer: Buffer) -> (CK_RV, bool) {
        let (module, session, mut room) = (self.module, self.handle(session), Room::new(buffer));
        let (out, out_len) = (room.out(), room.len());
        match kind {
            Kind::Encrypt => (call!(module, C_EncryptUpdate(session, data, len, out, out_len)), true),
            Kind::Decrypt => (call!(module, C_DecryptUpdate(session, data, len, out, out_len)), true),
            Kind::Digest => (call!(module, C_DigestUpdate(session, data, len)), false),
            Kind::Sign => (call!(module, C_SignUpdate(session, data, len)), false),
            Kind::Verify => (call!(module, C_VerifyUpdate(session, data, len)), false),
            Kind::VerifySignature => (call!(module, C_VerifySignatureUpdate(session, data, len)), false),
            Kind::SignRecover | Kind::VerifyRecover => unreachable!("these take no parts"),
        }
    }

    fn call_whole(&self, session: usize, kind: Kind, buffer: Buffer) -> (CK_RV, bool) {
        let (module, session, mut room) = (self.module, self.handle(session), Room::new(buffer));
        let (data, out, out_len, signature) = (part(), room.out(), room.len(), &self.rsa.signature);
        match kind {
            Kind::Encrypt => (call!(module, C_Encrypt(session, data, LEN, out, out_len)), true),
            Kind::Decrypt => (call!(module, C_Decrypt(session, data, LEN, out, out_len)), true),
            Kind::Digest => (call!(module, C_Digest(session, data, LEN, out, out_len)), true),
            Kind::Sign => (call!(module, C_Sign(session, data, LEN, out, out_len)), true),
            Kind::Verify => (call!(module, C_Verify(session, data, LEN, forged(), 32)), false),
            Kind::SignRecover => (call!(module, C_SignRecover(session, data, LEN, out, out_len)), true),
            Kind::VerifyRecover => {
                (call!(module, C_VerifyRecover(session, bytes(signature), signature.len() as CK_ULONG, out, out_len)), true)
            }
            Kind::VerifySignature => (call!(module, C_VerifySignature(session, data, LEN)), false),
        }
    }

    fn call_final(&self, session: usize, kind: Kind, room: &mut Room, buffer: Buffer) -> (CK_RV, bool) {
        let (module, session, out, out_len) = (self.module, self.handle(session), room.out(), room.len());
        match kind {
            // Nothing is left in ECB: a short buffer is long enough, and only a query is one.
            Kind::Encrypt => (call!(module, C_EncryptFinal(session, out, out_len)), buffer == Buffer::Query),
            Kind::Decrypt => (call!(module, C_DecryptFinal(session, out, out_len)), buffer == Buffer::Query),
            Kind::Digest => (call!(module, C_DigestFinal(session, out, out_len)), true),
            Kind::Sign => (call!(module, C_SignFinal(session, out, out_len)), true),
            Kind::Verify => (call!(module, C_VerifyFinal(session, forged(), 32)), false),
            Kind::VerifySignature => (call!(module, C_VerifySignatureFinal(session)), false),
            Kind::SignRecover | Kind::VerifyRecover => unreachable!("these take no parts"),
        }
    }
}

/// The signatures and ciphertexts here never hold: that they are looked at is as good as success.
pub(super) const fn settled(code: CK_RV) -> CK_RV {
    match code {
        CKR_SIGNATURE_INVALID | CKR_ENCRYPTED_DATA_INVALID | CKR_AEAD_DECRYPT_FAILED => CKR_OK,
        code => code,
    }
}
