//! A fork with everything in play: whatever runs in the parent goes on in both, each in its own way.

use std::path::Path;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use cryptoki_sys::*;

use crate::isolated::{isolated, variable};
use crate::module::{Mechanism, bytes, call, gcm, output};
use crate::processes::{Process, environment, fork};
use crate::session_objects::secret;

const SHA256: Mechanism = Mechanism::Plain(CKM_SHA256);
const HMAC: Mechanism = Mechanism::Plain(CKM_SHA256_HMAC);
const SHA256_ECDSA: Mechanism = Mechanism::Plain(CKM_ECDSA_SHA256);
const HALF: &[u8] = b"the first half, ";
const REST: &[u8] = b"and what is left";

/// A session in which an operation of every kind is half done.
struct Busy<'p> {
    process: &'p Process,
    session: CK_SESSION_HANDLE,
    key: CK_OBJECT_HANDLE,
    code: Vec<u8>,
    encrypted: Vec<u8>,
    digest: Vec<u8>,
    /// What the parent has of the ciphertext already.
    begun: Vec<u8>,
}

impl<'p> Busy<'p> {
    fn new(process: &'p Process) -> Self {
        let (module, session) = (&process.module, process.module.logged_in());
        let whole = [HALF, REST].concat();
        let key = secret(module, session, CKK_GENERIC_SECRET, &[2; 32]).expect("a session key");
        let code = module.sign(session, &HMAC, key, &whole).expect("it signs");
        let encrypted = module.encrypt(session, &gcm(), process.aes, &whole).expect("it encrypts");
        SHA256.with(|m| assert_eq!(call!(module, C_DigestInit(session, m)), CKR_OK));
        let digest = output(|out, len| call!(module, C_Digest(session, bytes(&whole), whole.len() as CK_ULONG, out, len)));
        let digest = digest.expect("a digest");
        let mut busy = Self { process, session, key, code, encrypted, digest, begun: Vec::new() };
        busy.begin();
        busy
    }

    fn begin(&mut self) {
        let Self { process: Process { module, aes, stays, .. }, session, key, .. } = *self;
        gcm().with(|m| assert_eq!(call!(module, C_EncryptInit(session, m, *aes)), CKR_OK));
        gcm().with(|m| assert_eq!(call!(module, C_DecryptInit(session, m, *aes)), CKR_OK));
        SHA256.with(|m| assert_eq!(call!(module, C_DigestInit(session, m)), CKR_OK));
        // A key that stays in DSM, which will sign in both processes.
        SHA256_ECDSA.with(|m| assert_eq!(call!(module, C_SignInit(session, m, *stays)), CKR_OK));
        HMAC.with(|m| assert_eq!(call!(module, C_VerifyInit(session, m, key)), CKR_OK));
        HMAC.with(|m| assert_eq!(call!(module, C_MessageSignInit(session, m, key)), CKR_OK));
        let (code, code_len) = (bytes(&self.code), self.code.len() as CK_ULONG);
        HMAC.with(|m| assert_eq!(call!(module, C_VerifySignatureInit(session, m, key, code, code_len)), CKR_OK));
        Mechanism::Plain(CKM_AES_GCM).with(|m| assert_eq!(call!(module, C_MessageEncryptInit(session, m, *aes)), CKR_OK));
        assert_eq!(call!(module, C_FindObjectsInit(session, null_mut(), 0)), CKR_OK);

        let (half, len) = (bytes(HALF), HALF.len() as CK_ULONG);
        self.begun = output(|out, out_len| call!(module, C_EncryptUpdate(session, half, len, out, out_len))).expect("it encrypts");
        let (first, first_len) = (bytes(&self.encrypted), len);
        let plain = output(|out, out_len| call!(module, C_DecryptUpdate(session, first, first_len, out, out_len)));
        assert_eq!(plain, Ok(Vec::new()), "nothing before the tag");
        for code in [
            call!(module, C_DigestUpdate(session, half, len)),
            call!(module, C_SignUpdate(session, half, len)),
            call!(module, C_VerifyUpdate(session, half, len)),
            call!(module, C_VerifySignatureUpdate(session, half, len)),
            call!(module, C_SignMessageBegin(session, null_mut(), 0)),
            call!(module, C_SignMessageNext(session, null_mut(), 0, half, len, null_mut(), null_mut())),
        ] {
            assert_eq!(code, CKR_OK);
        }
        let (mut object, mut count) = (0, 0);
        assert_eq!(call!(module, C_FindObjects(session, &raw mut object, 1, &raw mut count)), CKR_OK);
        assert_eq!(count, 1);
    }

    /// Ends all of it, and looks at every result. The IV that the token makes for a message, and how many objects were left to find.
    fn end(&self) -> ([u8; 12], usize) {
        let Self { process: Process { module, .. }, session, .. } = *self;
        let (rest, len) = (bytes(REST), REST.len() as CK_ULONG);
        let whole = [HALF, REST].concat();
        let more = output(|out, out_len| call!(module, C_EncryptUpdate(session, rest, len, out, out_len))).expect("it encrypts");
        let tag = output(|out, out_len| call!(module, C_EncryptFinal(session, out, out_len))).expect("it encrypts");
        assert_eq!([&self.begun[..], &more, &tag].concat(), self.encrypted);
        let left = &self.encrypted[HALF.len()..];
        let held = output(|out, out_len| call!(module, C_DecryptUpdate(session, bytes(left), left.len() as CK_ULONG, out, out_len)));
        assert_eq!(held, Ok(Vec::new()));
        assert_eq!(output(|out, out_len| call!(module, C_DecryptFinal(session, out, out_len))), Ok(whole.clone()));
        assert_eq!(call!(module, C_DigestUpdate(session, rest, len)), CKR_OK);
        assert_eq!(output(|out, out_len| call!(module, C_DigestFinal(session, out, out_len))).as_ref(), Ok(&self.digest));
        assert_eq!(call!(module, C_SignUpdate(session, rest, len)), CKR_OK);
        let signature = output(|out, out_len| call!(module, C_SignFinal(session, out, out_len))).expect("DSM signs");
        let public = module.object(module.open(CKF_SERIAL_SESSION), CKO_PUBLIC_KEY, &variable("STAYS"));
        assert_eq!(call!(module, C_VerifyUpdate(session, rest, len)), CKR_OK);
        assert_eq!(call!(module, C_VerifyFinal(session, bytes(&self.code), self.code.len() as CK_ULONG)), CKR_OK);
        assert_eq!(module.verify(session, &SHA256_ECDSA, public, &whole, &signature), CKR_OK);
        assert_eq!(call!(module, C_VerifySignatureUpdate(session, rest, len)), CKR_OK);
        assert_eq!(call!(module, C_VerifySignatureFinal(session)), CKR_OK);
        let code = output(|out, out_len| call!(module, C_SignMessageNext(session, null_mut(), 0, rest, len, out, out_len)));
        assert_eq!(code.as_ref(), Ok(&self.code));
        assert_eq!(call!(module, C_MessageSignFinal(session)), CKR_OK);
        (self.message(), self.rest_of_search())
    }

    fn message(&self) -> [u8; 12] {
        let Self { process: Process { module, .. }, session, .. } = *self;
        let (mut iv, mut tag, mut out, mut len) = ([0; 12], [0; 16], [0; 64], 64);
        let mut params = CK_GCM_MESSAGE_PARAMS {
            pIv: iv.as_mut_ptr(),
            ulIvLen: 12,
            ulIvFixedBits: 0,
            ivGenerator: CKG_GENERATE,
            pTag: tag.as_mut_ptr(),
            ulTagBits: 128,
        };
        let (param, size) = ((&raw mut params).cast(), size_of::<CK_GCM_MESSAGE_PARAMS>() as CK_ULONG);
        let (data, place) = (bytes(HALF), out.as_mut_ptr());
        let code = call!(module, C_EncryptMessage(session, param, size, null_mut(), 0, data, HALF.len() as CK_ULONG, place, &raw mut len));
        assert_eq!(code, CKR_OK);
        assert_eq!(call!(module, C_MessageEncryptFinal(session)), CKR_OK);
        iv
    }

    fn rest_of_search(&self) -> usize {
        let Self { process: Process { module, .. }, session, .. } = *self;
        let mut total = 0;
        loop {
            let (mut found, mut count) = ([0; 16], 0);
            assert_eq!(call!(module, C_FindObjects(session, found.as_mut_ptr(), 16, &raw mut count)), CKR_OK);
            if count == 0 {
                break;
            }
            total += count as usize;
        }
        assert_eq!(call!(module, C_FindObjectsFinal(session)), CKR_OK);
        total
    }
}

/// Sessions, logins and objects of the child are its own from then on.
fn part_from_the_parent(process: &Process, busy: &Busy<'_>) {
    let module = &process.module;
    let mut info = CK_SESSION_INFO::default();
    assert_eq!(call!(module, C_GetSessionInfo(busy.session, &raw mut info)), CKR_OK);
    assert_eq!(info.state, CKS_RW_USER_FUNCTIONS);
    let own = secret(module, busy.session, CKK_AES, &[3; 16]).expect("a session key of the child");
    assert!(module.encrypt(busy.session, &gcm(), own, HALF).is_ok());
    assert_eq!(call!(module, C_DestroyObject(busy.session, busy.key)), CKR_OK);
    assert_eq!(call!(module, C_Logout(busy.session)), CKR_OK);
    assert_eq!(module.attribute(busy.session, process.aes, CKA_CLASS), Err(CKR_OBJECT_HANDLE_INVALID));
    assert_eq!(call!(module, C_CloseAllSessions(0)), CKR_OK);
    assert_eq!(module.initialize(Path::new(&variable("CONFIG"))), CKR_OK);
    process.work_anew();
    assert_eq!(call!(module, C_Finalize(null_mut())), CKR_OK);
}

#[test]
fn operations_of_every_kind_go_on_in_parent_and_children() {
    isolated("forks::operations_of_every_kind_go_on_in_parent_and_children", environment, || {
        let process = Process::start();
        process.work(process.session, true);
        let busy = Busy::new(&process);
        let (stop, rounds) = (AtomicBool::new(false), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for number in 0..3 {
                let (process, stop, rounds) = (&process, &stop, &rounds);
                scope.spawn(move || {
                    while !stop.load(SeqCst) {
                        let session = process.module.open(CKF_SERIAL_SESSION);
                        process.work(session, number == 0);
                        assert_eq!(call!(process.module, C_CloseSession(session)), CKR_OK);
                        rounds.fetch_add(1, SeqCst);
                    }
                });
            }
            let children: Vec<_> = (0..4)
                .map(|_| {
                    let seen = rounds.load(SeqCst);
                    while rounds.load(SeqCst) < seen + 3 {
                        std::thread::yield_now();
                    }
                    fork(|| {
                        let (iv, left) = busy.end();
                        part_from_the_parent(&process, &busy);
                        let mut answer = [0; 16];
                        answer[..12].copy_from_slice(&iv);
                        answer[12..].copy_from_slice(&(left as u32).to_ne_bytes());
                        answer
                    })
                })
                .collect();
            let (iv, left) = busy.end();
            let answers: Vec<[u8; 16]> = children.into_iter().map(crate::processes::Child::wait).collect();
            stop.store(true, SeqCst);
            let mut ivs: Vec<&[u8]> = answers.iter().map(|answer| &answer[..12]).chain([&iv[..]]).collect();
            ivs.sort_unstable();
            ivs.dedup();
            assert_eq!(ivs.len(), 5, "no two processes make the same IV");
            assert!(left > 0 && answers.iter().all(|answer| answer[12..] == (left as u32).to_ne_bytes()), "all find the same");
        });
        // What the children did to objects and login is not the parent's.
        assert_eq!(process.module.sign(busy.session, &HMAC, busy.key, &[HALF, REST].concat()), Ok(busy.code.clone()));
        process.work(busy.session, true);
    });
}
