//! What only a process shows: threads, forks, exit handlers, and many first uses at once.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::Path;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Barrier, OnceLock};

use cryptoki_sys::*;
use serde_json::json;

use crate::isolated::{isolated, set_deadline, variable};
use crate::keys::shared;
use crate::module::{Mechanism, Module, bytes, call, gcm};

const SHA256_ECDSA: Mechanism = Mechanism::Plain(CKM_ECDSA_SHA256);

/// What the process of a test here is told: the configuration and the labels of three keys.
pub(crate) fn environment() -> Vec<(&'static str, String)> {
    let bench = shared();
    let stays = bench.key(json!({"obj_type": "EC", "elliptic_curve": "NistP256", "key_ops": ["SIGN", "VERIFY"]}));
    vec![
        ("CONFIG", bench.stack.pkcs11_conf().display().to_string()),
        ("EC", bench.ec().label),
        ("AES", bench.aes().label),
        ("STAYS", stays.label),
    ]
}

/// A library in the process of a test, with those keys.
pub(crate) struct Process {
    pub(crate) module: Module,
    pub(crate) session: CK_SESSION_HANDLE,
    pub(crate) ec: CK_OBJECT_HANDLE,
    pub(crate) ec_public: CK_OBJECT_HANDLE,
    pub(crate) aes: CK_OBJECT_HANDLE,
    /// Its export is not allowed: DSM signs.
    pub(crate) stays: CK_OBJECT_HANDLE,
}

impl Process {
    pub(crate) fn start() -> Self {
        let module = Module::with_config(Path::new(&variable("CONFIG")));
        let session = module.logged_in();
        Self {
            ec: module.object(session, CKO_PRIVATE_KEY, &variable("EC")),
            ec_public: module.object(session, CKO_PUBLIC_KEY, &variable("EC")),
            aes: module.object(session, CKO_SECRET_KEY, &variable("AES")),
            stays: module.object(session, CKO_PRIVATE_KEY, &variable("STAYS")),
            module,
            session,
        }
    }

    /// All of it with a new session, after the library was ended and started.
    pub(crate) fn work_anew(&self) {
        let session = self.module.logged_in();
        let key = self.module.object(session, CKO_PRIVATE_KEY, &variable("EC"));
        assert!(self.module.sign(session, &SHA256_ECDSA, key, b"data").is_ok());
    }

    /// A signature and an encryption with keys that are here, and a signature that DSM makes.
    pub(crate) fn work(&self, session: CK_SESSION_HANDLE, forward: bool) {
        let signature = self.module.sign(session, &SHA256_ECDSA, self.ec, b"data").expect("it signs");
        assert_eq!(self.module.verify(session, &SHA256_ECDSA, self.ec_public, b"data", &signature), CKR_OK);
        let encrypted = self.module.encrypt(session, &gcm(), self.aes, b"data").expect("it encrypts");
        assert_eq!(self.module.decrypt(session, &gcm(), self.aes, &encrypted), Ok(b"data".to_vec()));
        if forward {
            assert_eq!(self.module.sign(session, &SHA256_ECDSA, self.stays, b"data").map(|signature| signature.len()), Ok(64));
        }
    }
}

fn tasks() -> usize {
    std::fs::read_dir("/proc/self/task").expect("the process's tasks").count()
}

#[test]
fn no_thread_is_started() {
    isolated("processes::no_thread_is_started", environment, || {
        let before = tasks();
        let process = Process::start();
        process.work(process.session, true);
        assert_eq!(tasks(), before);
        assert_eq!(call!(process.module, C_Finalize(null_mut())), CKR_OK);
        assert_eq!(tasks(), before);
    });
}

/// A child of a fork with its answer: the bytes it drew at random, or nothing where something was wrong.
pub(crate) struct Child {
    pid: libc::pid_t,
    answer: OwnedFd,
}

pub(crate) fn fork(work: impl FnOnce() -> [u8; 16]) -> Child {
    let mut pipe = [0; 2];
    // SAFETY: the array takes the two descriptors.
    assert_eq!(unsafe { libc::pipe(pipe.as_mut_ptr()) }, 0);
    // SAFETY: the descriptors are fresh and nobody else's.
    let [answer, question] = pipe.map(|fd| unsafe { OwnedFd::from_raw_fd(fd) });
    // SAFETY: that this is sound with threads running is what the test is about; the child ends without returning.
    match unsafe { libc::fork() } {
        0 => {
            set_deadline();
            if let Ok(random) = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)) {
                // SAFETY: the buffer is as long as said.
                unsafe { libc::write(question.as_raw_fd(), random.as_ptr().cast(), 16) };
            }
            // SAFETY: no preconditions; handlers of the test runner must not run here.
            unsafe { libc::_exit(0) }
        }
        pid => Child { pid, answer },
    }
}

impl Child {
    pub(crate) fn wait(self) -> [u8; 16] {
        let mut random = [0; 16];
        // SAFETY: the buffer is as long as said.
        let read = unsafe { libc::read(self.answer.as_raw_fd(), random.as_mut_ptr().cast(), 16) };
        // SAFETY: our own child, waited for once.
        unsafe { libc::waitpid(self.pid, null_mut(), 0) };
        assert_eq!(read, 16, "the child reports no success; its output tells why");
        random
    }
}

#[test]
fn eight_children_and_the_parent_go_on_under_load() {
    isolated("processes::eight_children_and_the_parent_go_on_under_load", environment, || {
        let process = Process::start();
        process.work(process.session, true);
        let (module, session) = (&process.module, process.session);
        let finish = || {
            let (mut signature, mut len) = ([0; 64], 64);
            assert_eq!(call!(module, C_Sign(session, bytes(b"data"), 4, signature.as_mut_ptr(), &raw mut len)), CKR_OK);
            assert_eq!(module.verify(session, &SHA256_ECDSA, process.ec_public, b"data", &signature), CKR_OK);
        };
        let config = variable("CONFIG");
        let child = || {
            // The session, the login and the operation are there; only then the child asks for its own start, as some do.
            finish();
            process.work(session, true);
            assert_eq!(module.initialize(Path::new(&config)), CKR_OK);
            assert_eq!(module.initialize(Path::new(&config)), CKR_CRYPTOKI_ALREADY_INITIALIZED);
            process.work(session, false);
            let own = module.logged_in();
            process.work(own, true);
            assert_eq!(call!(module, C_CloseSession(own)), CKR_OK);
            let mut random = [0; 16];
            assert_eq!(call!(module, C_GenerateRandom(session, random.as_mut_ptr(), 16)), CKR_OK);
            assert_eq!(call!(module, C_Finalize(null_mut())), CKR_OK);
            assert_eq!(module.initialize(Path::new(&config)), CKR_OK);
            assert_ne!(module.logged_in(), session);
            random
        };
        let (stop, rounds) = (AtomicBool::new(false), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for number in 0..4 {
                let (process, stop, rounds) = (&process, &stop, &rounds);
                scope.spawn(move || {
                    let session = module.logged_in();
                    while !stop.load(SeqCst) {
                        // One thread is mostly waiting for DSM, where nothing may be held.
                        process.work(session, number == 0);
                        rounds.fetch_add(1, SeqCst);
                    }
                });
            }
            SHA256_ECDSA.with(|m| assert_eq!(call!(module, C_SignInit(session, m, process.ec)), CKR_OK));
            let children: Vec<Child> = (0..8)
                .map(|_| {
                    let seen = rounds.load(SeqCst);
                    while rounds.load(SeqCst) < seen + 8 {
                        std::thread::yield_now();
                    }
                    fork(child)
                })
                .collect();
            finish();
            let mut drawn: Vec<[u8; 16]> = children.into_iter().map(Child::wait).collect();
            process.work(session, true);
            assert_eq!(module.initialize(Path::new(&config)), CKR_CRYPTOKI_ALREADY_INITIALIZED);
            stop.store(true, SeqCst);
            drawn.sort_unstable();
            drawn.dedup();
            assert_eq!(drawn.len(), 8, "children draw different numbers");
        });
    });
}

/// A child that ends and starts the library, as OpenSSL's provider does, does not disturb its parent.
#[test]
fn a_child_may_finalize_and_initialize() {
    isolated("processes::a_child_may_finalize_and_initialize", environment, || {
        let process = Process::start();
        process.work(process.session, true);
        let child = fork(|| {
            assert_eq!(call!(process.module, C_Finalize(null_mut())), CKR_OK);
            let mut info = CK_SESSION_INFO::default();
            assert_eq!(call!(process.module, C_GetSessionInfo(process.session, &raw mut info)), CKR_CRYPTOKI_NOT_INITIALIZED);
            let again = Process::start();
            again.work(again.session, true);
            // And a child of the child.
            fork(|| {
                again.work(again.session, true);
                [1; 16]
            })
            .wait()
        });
        assert_eq!(child.wait(), [1; 16]);
        process.work(process.session, true);
    });
}

static AT_EXIT: OnceLock<Process> = OnceLock::new();

/// Runs after main has returned and the main thread's thread-local values are gone. A wrong answer ends the process with 97.
extern "C" fn after_main() {
    let right = AT_EXIT.get().is_some_and(|process| {
        let module = &process.module;
        let (mut signature, mut len) = ([0; 64], 64);
        let out = signature.as_mut_ptr();
        let fresh = module.open(CKF_SERIAL_SESSION);
        SHA256_ECDSA.with(|m| call!(module, C_SignInit(fresh, m, process.ec))) == CKR_OK
            && call!(module, C_Sign(fresh, bytes(b"data"), 4, out, &raw mut len)) == CKR_OK
            && SHA256_ECDSA.with(|m| call!(module, C_SignInit(fresh, m, process.stays))) == CKR_OK
            && call!(module, C_Sign(fresh, bytes(b"data"), 4, out, &raw mut len)) == CKR_OK
            && call!(module, C_CloseSession(process.session)) == CKR_OK
            && call!(module, C_Finalize(null_mut())) == CKR_OK
            && call!(module, C_Finalize(null_mut())) == CKR_CRYPTOKI_NOT_INITIALIZED
    });
    if !right {
        // SAFETY: no preconditions.
        unsafe { libc::_exit(97) };
    }
}

#[test]
fn calls_from_exit_handlers_are_answered() {
    isolated("processes::calls_from_exit_handlers_are_answered", environment, || {
        let process = AT_EXIT.get_or_init(Process::start);
        process.work(process.session, true);
        // SAFETY: the handler is a function of static life.
        assert_eq!(unsafe { libc::atexit(after_main) }, 0);
    });
}

/// Against the standard's rules, and yet some programs do it: no crash, no hang, and every answer is one that says so.
#[test]
fn one_session_in_many_threads_and_the_end_of_the_library_under_load() {
    isolated("processes::one_session_in_many_threads_and_the_end_of_the_library_under_load", environment, || {
        let process = Process::start();
        let (module, stop, rounds) = (&process.module, AtomicBool::new(false), AtomicUsize::new(0));
        let check = |code: CK_RV| {
            let fair = [
                CKR_OK,
                CKR_OPERATION_ACTIVE,
                CKR_OPERATION_NOT_INITIALIZED,
                CKR_SESSION_HANDLE_INVALID,
                CKR_KEY_HANDLE_INVALID,
                CKR_CRYPTOKI_NOT_INITIALIZED,
                CKR_SLOT_ID_INVALID,
            ];
            assert!(fair.contains(&code), "{code:#x}");
        };
        let work = || {
            let mut out = [0; 64];
            while !stop.load(SeqCst) {
                let (out, mut lens) = (out.as_mut_ptr(), [64; 3]);
                gcm().with(|m| check(call!(module, C_EncryptInit(process.session, m, process.aes))));
                check(call!(module, C_EncryptUpdate(process.session, bytes(b"data"), 4, out, &raw mut lens[0])));
                check(call!(module, C_EncryptFinal(process.session, out, &raw mut lens[1])));
                SHA256_ECDSA.with(|m| check(call!(module, C_SignInit(process.session, m, process.ec))));
                check(call!(module, C_Sign(process.session, bytes(b"data"), 4, out, &raw mut lens[2])));
                check(call!(module, C_SessionCancel(process.session, CKF_ENCRYPT)));
                let mut session = 0;
                check(call!(module, C_OpenSession(0, CKF_SERIAL_SESSION, null_mut(), None, &raw mut session)));
                check(call!(module, C_CloseSession(session)));
                rounds.fetch_add(1, SeqCst);
            }
        };
        std::thread::scope(|scope| {
            let threads = [(); 4].map(|()| scope.spawn(work));
            let wait = |more: usize| {
                let seen = rounds.load(SeqCst);
                while rounds.load(SeqCst) < seen + more && threads.iter().all(|thread| !thread.is_finished()) {
                    std::thread::yield_now();
                }
            };
            wait(1000);
            let config = variable("CONFIG");
            for _ in 0..50 {
                wait(4);
                assert_eq!(call!(module, C_Finalize(null_mut())), CKR_OK);
                assert_eq!(module.initialize(Path::new(&config)), CKR_OK);
            }
            stop.store(true, SeqCst);
        });
        process.work_anew();
    });
}

#[test]
fn a_thousand_first_uses_cause_one_export() {
    let bench = shared();
    let (aes, ec) = (bench.aes(), bench.ec());
    let module = bench.another();
    let session = module.logged_in();
    let secret = module.object(session, CKO_SECRET_KEY, &aes.label);
    let private = module.object(session, CKO_PRIVATE_KEY, &ec.label);
    let start = Barrier::new(1000);
    std::thread::scope(|scope| {
        for number in 0..1000 {
            let (module, start) = (&module, &start);
            let run = move || {
                let session = module.open(CKF_SERIAL_SESSION);
                start.wait();
                if number % 2 == 0 {
                    module.encrypt(session, &gcm(), secret, b"data").expect("it encrypts");
                    module.sign(session, &SHA256_ECDSA, private, b"data").expect("it signs");
                } else {
                    module.sign(session, &SHA256_ECDSA, private, b"data").expect("it signs");
                    module.encrypt(session, &gcm(), secret, b"data").expect("it encrypts");
                }
            };
            std::thread::Builder::new().stack_size(256 << 10).spawn_scoped(scope, run).expect("a thread");
        }
    });
    assert_eq!(bench.stack.dsm().exports_of(&aes.kid), 1);
    assert_eq!(bench.stack.dsm().exports_of(&ec.kid), 1);
    assert_eq!((bench.stack.dsm().uses_of(&aes.kid, "encrypt"), bench.stack.dsm().uses_of(&ec.kid, "sign")), (0, 0));
}
