//! Operations of many messages, in one call each and in parts. A part that fails ends its message, and no message ends the operation.

use std::ffi::c_void;
use std::ptr::null_mut;

use cryptoki_sys::*;

use super::operations::{PART, settled};
use super::run::{Answer, NO_HANDLE, Operation, Room, Run, State, forged};
use super::steps::{Buffer, Fault, MESSAGES, Messages};
use crate::module::{Mechanism, bytes, call, message_parameter, nowhere};

const LEN: CK_ULONG = PART.len() as CK_ULONG;

/// A parameter with memory for IV and tag.
struct Parameter {
    memory: Box<[u8; 32]>,
    params: CK_GCM_MESSAGE_PARAMS,
}

impl Parameter {
    fn new() -> Self {
        let mut memory = Box::new([0; 32]);
        let params = message_parameter(&mut memory);
        Self { memory, params }
    }

    fn lend(&mut self) -> (*mut c_void, CK_ULONG) {
        self.params = message_parameter(&mut self.memory);
        ((&raw mut self.params).cast(), size_of::<CK_GCM_MESSAGE_PARAMS>() as CK_ULONG)
    }

    /// Without a place for the tag, which only the last part needs.
    fn lend_untagged(&mut self) -> (*mut c_void, CK_ULONG) {
        let lent = self.lend();
        (self.params.pTag, self.params.ulTagBits) = (null_mut(), 0);
        lent
    }
}

impl Run<'_> {
    fn messages(&mut self, session: usize, kind: Messages) -> &mut Operation {
        let index = MESSAGES.iter().position(|known| *known == kind).expect("a kind");
        &mut self.sessions[session].messages[index]
    }

    pub(super) fn start_messages(&mut self, session: usize, kind: Messages, number: usize) -> Answer {
        let key = self.key(kind.key(), number).map(|key| (key.handle, key.private, self.sees(key)));
        let (handle, private, visible) = key.unwrap_or((NO_HANDLE, false, false));
        let mechanism = Mechanism::Plain(match kind {
            Messages::Encrypt | Messages::Decrypt => CKM_AES_GCM,
            Messages::Sign | Messages::Verify => CKM_SHA256_HMAC,
        });
        let code = mechanism.with(|m| self.call_start(session, kind, m, handle));
        let operation = self.messages(session, kind);
        let expected = if operation.state != State::None {
            CKR_OPERATION_ACTIVE
        } else if visible {
            *operation = Operation { state: State::Fresh, private };
            CKR_OK
        } else {
            CKR_KEY_HANDLE_INVALID
        };
        (code, expected)
    }

    pub(super) fn cancel_messages(&mut self, session: usize, kind: Messages) -> Answer {
        self.messages(session, kind).state = State::None;
        (self.call_start(session, kind, null_mut(), 0), CKR_OK)
    }

    fn call_start(&self, session: usize, kind: Messages, mechanism: *mut CK_MECHANISM, key: CK_OBJECT_HANDLE) -> CK_RV {
        let (module, session) = (self.module, self.handle(session));
        match kind {
            Messages::Encrypt => call!(module, C_MessageEncryptInit(session, mechanism, key)),
            Messages::Decrypt => call!(module, C_MessageDecryptInit(session, mechanism, key)),
            Messages::Sign => call!(module, C_MessageSignInit(session, mechanism, key)),
            Messages::Verify => call!(module, C_MessageVerifyInit(session, mechanism, key)),
        }
    }

    pub(super) fn message(&mut self, session: usize, kind: Messages, buffer: Buffer) -> Answer {
        let (module, handle, mut room, mut parameter) = (self.module, self.handle(session), Room::new(buffer), Parameter::new());
        let ((params, size), data, none) = (parameter.lend(), bytes(&PART), null_mut());
        let (out, len) = (room.out(), room.len());
        let code = match kind {
            Messages::Encrypt => call!(module, C_EncryptMessage(handle, params, size, data, LEN, data, LEN, out, len)),
            Messages::Decrypt => call!(module, C_DecryptMessage(handle, params, size, data, LEN, data, LEN, out, len)),
            Messages::Sign => call!(module, C_SignMessage(handle, none, 0, data, LEN, out, len)),
            Messages::Verify => call!(module, C_VerifyMessage(handle, none, 0, data, LEN, forged(), 32)),
        };
        let expected = match self.messages(session, kind).state {
            State::None => CKR_OPERATION_NOT_INITIALIZED,
            State::Parts => CKR_OPERATION_ACTIVE,
            State::Fresh => room_answer(kind, buffer),
        };
        (settled(code), expected)
    }

    pub(super) fn begin(&mut self, session: usize, kind: Messages) -> Answer {
        let (module, handle, mut parameter) = (self.module, self.handle(session), Parameter::new());
        let ((params, size), data, none) = (parameter.lend_untagged(), bytes(&PART), null_mut());
        let code = match kind {
            Messages::Encrypt => call!(module, C_EncryptMessageBegin(handle, params, size, data, LEN)),
            Messages::Decrypt => call!(module, C_DecryptMessageBegin(handle, params, size, data, LEN)),
            Messages::Sign => call!(module, C_SignMessageBegin(handle, none, 0)),
            Messages::Verify => call!(module, C_VerifyMessageBegin(handle, none, 0)),
        };
        let operation = self.messages(session, kind);
        let expected = match operation.state {
            State::None => CKR_OPERATION_NOT_INITIALIZED,
            State::Parts => CKR_OPERATION_ACTIVE,
            State::Fresh => {
                operation.state = State::Parts;
                CKR_OK
            }
        };
        (code, expected)
    }

    pub(super) fn next(&mut self, session: usize, kind: Messages, buffer: Buffer, last: bool) -> Answer {
        let (module, handle, mut room, mut parameter) = (self.module, self.handle(session), Room::new(buffer), Parameter::new());
        let (params, size) = if last { parameter.lend() } else { parameter.lend_untagged() };
        let (data, none, flags) = (bytes(&PART), null_mut(), if last { CKF_END_OF_MESSAGE } else { 0 });
        let (out, len) = (room.out(), room.len());
        let code = match (kind, last) {
            (Messages::Encrypt, _) => call!(module, C_EncryptMessageNext(handle, params, size, data, LEN, out, len, flags)),
            (Messages::Decrypt, _) => call!(module, C_DecryptMessageNext(handle, params, size, data, LEN, out, len, flags)),
            (Messages::Sign, true) => call!(module, C_SignMessageNext(handle, none, 0, data, LEN, out, len)),
            (Messages::Sign, false) => call!(module, C_SignMessageNext(handle, none, 0, data, LEN, null_mut(), null_mut())),
            (Messages::Verify, true) => call!(module, C_VerifyMessageNext(handle, none, 0, data, LEN, forged(), 32)),
            (Messages::Verify, false) => call!(module, C_VerifyMessageNext(handle, none, 0, data, LEN, null_mut(), 0)),
        };
        let operation = self.messages(session, kind);
        if operation.state != State::Parts {
            return (code, CKR_OPERATION_NOT_INITIALIZED);
        }
        // A part of what is signed or verified gives no output.
        let silent = !last && matches!(kind, Messages::Sign | Messages::Verify);
        let expected = if silent { CKR_OK } else { room_answer(kind, buffer) };
        if last && (buffer == Buffer::Enough || kind == Messages::Verify) {
            operation.state = State::Fresh;
        }
        (settled(code), expected)
    }

    /// Whatever is wrong with a part, the message is over.
    pub(super) fn bad_next(&mut self, session: usize, kind: Messages, fault: Fault, last: bool) -> Answer {
        let (module, handle, mut room, mut parameter) = (self.module, self.handle(session), Room::new(Buffer::Enough), Parameter::new());
        let (params, size) = if last { parameter.lend() } else { parameter.lend_untagged() };
        let (size, none) = if fault == Fault::Parameter { (size - 1, bytes(&PART).cast()) } else { (size, null_mut()) };
        let none_len = if fault == Fault::Parameter { 1 } else { 0 };
        let (data, flags) = (if fault == Fault::Data { null_mut() } else { bytes(&PART) }, if last { CKF_END_OF_MESSAGE } else { 0 });
        let (out, len) = if fault == Fault::Place { (room.out(), null_mut()) } else { (room.out(), room.len()) };
        let code = match kind {
            Messages::Encrypt => call!(module, C_EncryptMessageNext(handle, params, size, data, LEN, out, len, flags)),
            Messages::Decrypt => call!(module, C_DecryptMessageNext(handle, params, size, data, LEN, out, len, flags)),
            Messages::Sign if last || fault == Fault::Place => {
                call!(module, C_SignMessageNext(handle, none, none_len, data, LEN, out, len))
            }
            Messages::Sign => call!(module, C_SignMessageNext(handle, none, none_len, data, LEN, null_mut(), null_mut())),
            Messages::Verify => {
                let (signature, len) = match fault {
                    Fault::Place => (nowhere(), CK_UNAVAILABLE_INFORMATION),
                    _ if last => (forged(), 32),
                    _ => (null_mut(), 0),
                };
                call!(module, C_VerifyMessageNext(handle, none, none_len, data, LEN, signature, len))
            }
        };
        let operation = self.messages(session, kind);
        if operation.state != State::Parts {
            return (code, CKR_OPERATION_NOT_INITIALIZED);
        }
        operation.state = State::Fresh;
        (code, if fault == Fault::Parameter { CKR_MECHANISM_PARAM_INVALID } else { CKR_ARGUMENTS_BAD })
    }

    pub(super) fn end_messages(&mut self, session: usize, kind: Messages) -> Answer {
        let (module, handle) = (self.module, self.handle(session));
        let code = match kind {
            Messages::Encrypt => call!(module, C_MessageEncryptFinal(handle)),
            Messages::Decrypt => call!(module, C_MessageDecryptFinal(handle)),
            Messages::Sign => call!(module, C_MessageSignFinal(handle)),
            Messages::Verify => call!(module, C_MessageVerifyFinal(handle)),
        };
        let operation = self.messages(session, kind);
        let expected = if operation.state == State::None { CKR_OPERATION_NOT_INITIALIZED } else { CKR_OK };
        operation.state = State::None;
        (code, expected)
    }
}

/// A verification gives no output.
const fn room_answer(kind: Messages, buffer: Buffer) -> CK_RV {
    match (kind, buffer) {
        (Messages::Verify, _) | (_, Buffer::Enough | Buffer::Query) => CKR_OK,
        (_, Buffer::Short) => CKR_BUFFER_TOO_SMALL,
    }
}
