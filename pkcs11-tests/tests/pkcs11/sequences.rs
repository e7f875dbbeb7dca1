//! Calls in every order: sequences that proptest makes up, compared with a small model of what the standard says about operations.
//!
//! The model knows for each kind of operation whether none is active, one is, or one is in parts, and nothing of cryptography: of a call
//! that the model allows, success or an error of the data will do, and both end what they must end.

use std::ptr::null_mut;

use cryptoki_sys::*;
use proptest::prelude::*;

use crate::keys::shared;
use crate::module::{Mechanism, Module, bytes, call, nowhere};
use crate::session_objects::secret;

/// The kinds of operations, which do not disturb each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Encrypt,
    Decrypt,
    Digest,
    Sign,
    Verify,
}

const KINDS: [Kind; 5] = [Kind::Encrypt, Kind::Decrypt, Kind::Digest, Kind::Sign, Kind::Verify];

#[derive(Clone, Copy, Debug)]
enum Step {
    Init(Kind),
    /// A mechanism that there is not: nothing is begun.
    BadInit(Kind),
    Cancel(Kind),
    SessionCancel(Kind),
    Whole(Kind, Buffer),
    Update(Kind, Buffer),
    Final(Kind, Buffer),
    /// NULL with a length.
    BadUpdate(Kind),
    /// Lengths that no memory has.
    HugeUpdate(Kind),
}

/// Where the output goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Buffer {
    Enough,
    Query,
    Short,
}

/// What is active.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    None,
    Fresh,
    Parts,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let kind = prop::sample::select(KINDS.to_vec());
    let buffer = prop::sample::select(vec![Buffer::Enough, Buffer::Query, Buffer::Short]);
    let step = prop_oneof![
        4 => kind.clone().prop_map(Step::Init),
        1 => kind.clone().prop_map(Step::BadInit),
        1 => kind.clone().prop_map(Step::Cancel),
        1 => kind.clone().prop_map(Step::SessionCancel),
        3 => (kind.clone(), buffer.clone()).prop_map(|(kind, buffer)| Step::Whole(kind, buffer)),
        5 => (kind.clone(), buffer.clone()).prop_map(|(kind, buffer)| Step::Update(kind, buffer)),
        3 => (kind.clone(), buffer).prop_map(|(kind, buffer)| Step::Final(kind, buffer)),
        1 => kind.clone().prop_map(Step::BadUpdate),
        1 => kind.prop_map(Step::HugeUpdate),
    ];
    prop::collection::vec(step, 1..40)
}

struct Run<'m> {
    module: &'m Module,
    session: CK_SESSION_HANDLE,
    aes: CK_OBJECT_HANDLE,
    mac: CK_OBJECT_HANDLE,
    states: [State; 5],
}

impl Run<'_> {
    /// Makes the call, and checks its answer against the model, which it moves on.
    fn step(&mut self, step: Step) {
        let (kind, code, expected) = match step {
            Step::Init(kind) => {
                let code = self.init(kind, self.mechanism(kind));
                let active = self.state(kind) != State::None;
                if !active {
                    self.set(kind, State::Fresh);
                }
                (kind, code, if active { CKR_OPERATION_ACTIVE } else { CKR_OK })
            }
            Step::BadInit(kind) => {
                let code = self.init(kind, Mechanism::Plain(0x00ff_ffff));
                (kind, code, if self.state(kind) == State::None { CKR_MECHANISM_INVALID } else { CKR_OPERATION_ACTIVE })
            }
            Step::Cancel(kind) => {
                self.set(kind, State::None);
                (kind, self.cancel(kind), CKR_OK)
            }
            Step::SessionCancel(kind) => {
                let flag = match kind {
                    Kind::Encrypt => CKF_ENCRYPT,
                    Kind::Decrypt => CKF_DECRYPT,
                    Kind::Digest => CKF_DIGEST,
                    Kind::Sign => CKF_SIGN,
                    Kind::Verify => CKF_VERIFY,
                };
                self.set(kind, State::None);
                (kind, call!(self.module, C_SessionCancel(self.session, flag)), CKR_OK)
            }
            Step::BadUpdate(kind) | Step::HugeUpdate(kind) => {
                let (data, len) =
                    if matches!(step, Step::BadUpdate(_)) { (null_mut(), 16) } else { (nowhere(), CK_UNAVAILABLE_INFORMATION) };
                let (code, _) = self.update(kind, data, len, Buffer::Enough);
                let expected = if self.state(kind) == State::None { CKR_OPERATION_NOT_INITIALIZED } else { CKR_ARGUMENTS_BAD };
                self.set(kind, State::None);
                (kind, code, expected)
            }
            Step::Update(kind, buffer) => {
                let (code, needs_room) = self.update(kind, bytes(&[7; 16]), 16, buffer);
                let expected = self.after(kind, buffer, needs_room, true, State::Parts);
                (kind, code, expected)
            }
            Step::Whole(kind, buffer) => {
                let (code, needs_room) = self.whole(kind, buffer);
                // A one-shot function ends what is in parts.
                let expected = if self.state(kind) == State::Parts {
                    self.set(kind, State::None);
                    CKR_OPERATION_NOT_INITIALIZED
                } else {
                    self.after(kind, buffer, needs_room, false, State::None)
                };
                (kind, code, expected)
            }
            Step::Final(kind, buffer) => {
                let (code, needs_room) = self.finish(kind, buffer);
                (kind, code, self.after(kind, buffer, needs_room, true, State::None))
            }
        };
        // The signature that is verified here never holds.
        let code = if kind == Kind::Verify && code == CKR_SIGNATURE_INVALID { CKR_OK } else { code };
        assert_eq!(code, expected, "{step:?}: {:?}", self.states);
    }

    /// The answer of a call that gives output, and the state after it.
    fn after(&mut self, kind: Kind, buffer: Buffer, needs_room: bool, in_parts: bool, next: State) -> CK_RV {
        match (self.state(kind), buffer) {
            (State::None, _) => CKR_OPERATION_NOT_INITIALIZED,
            (_, Buffer::Query | Buffer::Short) if needs_room => {
                // A cipher that is asked about parts is in parts from then on; what one call would need stays as it is.
                if matches!(kind, Kind::Encrypt | Kind::Decrypt) && in_parts {
                    self.set(kind, State::Parts);
                }
                if buffer == Buffer::Query { CKR_OK } else { CKR_BUFFER_TOO_SMALL }
            }
            _ => {
                self.set(kind, next);
                CKR_OK
            }
        }
    }

    fn state(&self, kind: Kind) -> State {
        self.states[KINDS.iter().position(|known| *known == kind).expect("a kind")]
    }

    fn set(&mut self, kind: Kind, state: State) {
        self.states[KINDS.iter().position(|known| *known == kind).expect("a kind")] = state;
    }

    /// ECB, so that every block gives output at once.
    fn mechanism(&self, kind: Kind) -> Mechanism {
        Mechanism::Plain(match kind {
            Kind::Encrypt | Kind::Decrypt => CKM_AES_ECB,
            Kind::Digest => CKM_SHA256,
            Kind::Sign | Kind::Verify => CKM_SHA256_HMAC,
        })
    }

    fn init(&self, kind: Kind, mechanism: Mechanism) -> CK_RV {
        let Self { module, session, aes, mac, .. } = *self;
        mechanism.with(|m| match kind {
            Kind::Encrypt => call!(module, C_EncryptInit(session, m, aes)),
            Kind::Decrypt => call!(module, C_DecryptInit(session, m, aes)),
            Kind::Digest => call!(module, C_DigestInit(session, m)),
            Kind::Sign => call!(module, C_SignInit(session, m, mac)),
            Kind::Verify => call!(module, C_VerifyInit(session, m, mac)),
        })
    }

    fn cancel(&self, kind: Kind) -> CK_RV {
        let Self { module, session, .. } = *self;
        match kind {
            Kind::Encrypt => call!(module, C_EncryptInit(session, null_mut(), 0)),
            Kind::Decrypt => call!(module, C_DecryptInit(session, null_mut(), 0)),
            Kind::Digest => call!(module, C_DigestInit(session, null_mut())),
            Kind::Sign => call!(module, C_SignInit(session, null_mut(), 0)),
            Kind::Verify => call!(module, C_VerifyInit(session, null_mut(), 0)),
        }
    }

    /// The code, and whether this call wants room for output.
    fn update(&self, kind: Kind, data: *mut u8, len: CK_ULONG, buffer: Buffer) -> (CK_RV, bool) {
        let Self { module, session, .. } = *self;
        let (mut room, mut out_len) = ([0_u8; 64], 64);
        let out = place(&mut room, &mut out_len, buffer);
        match kind {
            Kind::Encrypt => (call!(module, C_EncryptUpdate(session, data, len, out, &raw mut out_len)), true),
            Kind::Decrypt => (call!(module, C_DecryptUpdate(session, data, len, out, &raw mut out_len)), true),
            Kind::Digest => (call!(module, C_DigestUpdate(session, data, len)), false),
            Kind::Sign => (call!(module, C_SignUpdate(session, data, len)), false),
            Kind::Verify => (call!(module, C_VerifyUpdate(session, data, len)), false),
        }
    }

    fn whole(&self, kind: Kind, buffer: Buffer) -> (CK_RV, bool) {
        let Self { module, session, .. } = *self;
        let (mut room, mut out_len) = ([0_u8; 64], 64);
        let (data, out) = (bytes(&[7; 16]), place(&mut room, &mut out_len, buffer));
        match kind {
            Kind::Encrypt => (call!(module, C_Encrypt(session, data, 16, out, &raw mut out_len)), true),
            Kind::Decrypt => (call!(module, C_Decrypt(session, data, 16, out, &raw mut out_len)), true),
            Kind::Digest => (call!(module, C_Digest(session, data, 16, out, &raw mut out_len)), true),
            Kind::Sign => (call!(module, C_Sign(session, data, 16, out, &raw mut out_len)), true),
            Kind::Verify => (call!(module, C_Verify(session, data, 16, bytes(&[0; 32]), 32)), false),
        }
    }

    fn finish(&self, kind: Kind, buffer: Buffer) -> (CK_RV, bool) {
        let Self { module, session, .. } = *self;
        let (mut room, mut out_len) = ([0_u8; 64], 64);
        let out = place(&mut room, &mut out_len, buffer);
        match kind {
            // Nothing is left in ECB: a short buffer is long enough, and only a query is one.
            Kind::Encrypt => (call!(module, C_EncryptFinal(session, out, &raw mut out_len)), buffer == Buffer::Query),
            Kind::Decrypt => (call!(module, C_DecryptFinal(session, out, &raw mut out_len)), buffer == Buffer::Query),
            Kind::Digest => (call!(module, C_DigestFinal(session, out, &raw mut out_len)), true),
            Kind::Sign => (call!(module, C_SignFinal(session, out, &raw mut out_len)), true),
            Kind::Verify => (call!(module, C_VerifyFinal(session, bytes(&[0; 32]), 32)), false),
        }
    }
}

fn place(room: &mut [u8; 64], len: &mut CK_ULONG, buffer: Buffer) -> *mut u8 {
    match buffer {
        Buffer::Enough => room.as_mut_ptr(),
        Buffer::Query => null_mut(),
        Buffer::Short => {
            *len = 3;
            room.as_mut_ptr()
        }
    }
}

#[test]
fn operations_follow_the_model() {
    let module = shared().another();
    let owner = module.logged_in();
    let aes = secret(&module, owner, CKK_AES, &[1; 16]).expect("a session key");
    let mac = secret(&module, owner, CKK_GENERIC_SECRET, &[2; 32]).expect("a session key");
    let config = ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(steps in steps())| {
        let session = module.open(CKF_SERIAL_SESSION);
        let mut run = Run { module: &module, session, aes, mac, states: [State::None; 5] };
        for step in &steps {
            run.step(*step);
        }
        assert_eq!(call!(module, C_CloseSession(session)), CKR_OK);
    });
}

/// Parameters of every length that a structure does not have, at odd addresses, with pointers that are NULL and lengths that cannot be.
#[test]
fn bad_parameters_are_refused_for_every_mechanism() {
    let bench = shared();
    let module = bench.another();
    let session = module.logged_in();
    let keys = [
        secret(&module, session, CKK_AES, &[1; 16]).expect("a session key"),
        secret(&module, session, CKK_GENERIC_SECRET, &[2; 32]).expect("a session key"),
        secret(&module, session, CKK_CHACHA20, &[3; 32]).expect("a session key"),
        secret(&module, session, CKK_DES3, b"a triple DES key 24 long").expect("a session key"),
    ];
    let mut count = 0;
    assert_eq!(call!(module, C_GetMechanismList(0, null_mut(), &raw mut count)), CKR_OK);
    let mut kinds = vec![0; count as usize];
    assert_eq!(call!(module, C_GetMechanismList(0, kinds.as_mut_ptr(), &raw mut count)), CKR_OK);
    // Zeros are NULL pointers with lengths of 0; ones are pointers to nowhere with lengths that no memory has.
    let mut memory = [[0_u8; 129], [0xff; 129]];
    for kind in kinds {
        for fill in &mut memory {
            for len in (0..=64).chain([CK_UNAVAILABLE_INFORMATION]) {
                for key in keys {
                    // One byte off, so that nothing in it is aligned.
                    let parameter = fill[1..].as_mut_ptr().cast();
                    let mut mechanism = CK_MECHANISM { mechanism: kind, pParameter: parameter, ulParameterLen: len };
                    for null in [false, true] {
                        if null {
                            mechanism.pParameter = null_mut();
                        }
                        let m = &raw mut mechanism;
                        let (mut template, mut made) = ([], 0);
                        for code in [
                            call!(module, C_EncryptInit(session, m, key)),
                            call!(module, C_DecryptInit(session, m, key)),
                            call!(module, C_SignInit(session, m, key)),
                            call!(module, C_VerifyInit(session, m, key)),
                            call!(module, C_DigestInit(session, m)),
                            call!(module, C_DeriveKey(session, m, key, template.as_mut_ptr(), 0, &raw mut made)),
                        ] {
                            assert!(
                                matches!(
                                    code,
                                    CKR_OK
                                        | CKR_MECHANISM_PARAM_INVALID
                                        | CKR_MECHANISM_INVALID
                                        | CKR_KEY_TYPE_INCONSISTENT
                                        | CKR_ARGUMENTS_BAD
                                        | CKR_TEMPLATE_INCOMPLETE
                                ),
                                "{kind:#x}, {len}: {code:#x}"
                            );
                        }
                        let all = CKF_ENCRYPT | CKF_DECRYPT | CKF_SIGN | CKF_VERIFY | CKF_DIGEST;
                        assert_eq!(call!(module, C_SessionCancel(session, all)), CKR_OK);
                    }
                }
            }
        }
    }
}
