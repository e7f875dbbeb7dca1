//! Loading and unloading, beside the libcrypto of the host, and processes that end in the middle of things.

use std::ffi::{c_char, c_void};
use std::path::Path;
use std::ptr::null_mut;
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use cryptoki_sys::*;

use crate::isolated::{isolated, set_deadline, variable};
use crate::keys::shared;
use crate::module::{Mechanism, Module, call};
use crate::processes::{Process, environment};

const SHA256_ECDSA: Mechanism = Mechanism::Plain(CKM_ECDSA_SHA256);

#[test]
fn unloading_and_loading_again() {
    isolated("unloading::unloading_and_loading_again", environment, || {
        let (ec, config) = (variable("EC"), variable("CONFIG"));
        let mut handles = Vec::new();
        for _ in 0..5 {
            // SAFETY: loading and unloading run nothing but initialisers and finalisers.
            let library = unsafe { libloading::Library::new(dsma_testkit::library()) }.expect("the library loads");
            drop(library);
            let module = Module::with_config(Path::new(&config));
            let session = module.logged_in();
            let key = module.object(session, CKO_PRIVATE_KEY, &ec);
            handles.push(module.sign(session, &SHA256_ECDSA, key, b"data").expect("it signs").len());
            // Half of them end properly.
            if handles.len() % 2 == 0 {
                assert_eq!(call!(module, C_Finalize(null_mut())), CKR_OK);
            }
        }
        assert_eq!(handles, [64; 5]);
    });
}

/// The host's own OpenSSL, initialised so that it cleans up when the process ends.
fn libcrypto() -> libloading::Library {
    // SAFETY: its initialisers are what every program with OpenSSL runs.
    let library = unsafe { libloading::Library::new("libcrypto.so.3") }.expect("OpenSSL: apt-get install libssl-dev");
    // SAFETY: name and signature are those of OpenSSL's manual.
    let code = unsafe {
        let init: libloading::Symbol<'_, unsafe extern "C" fn(u64, *const u8) -> i32> =
            library.get(b"OPENSSL_init_crypto").expect("the symbol is there");
        init(0, std::ptr::null())
    };
    assert_eq!(code, 1);
    library
}

/// The module's cryptography is its own: whichever goes first, the other goes on, and the process ends well.
#[test]
fn unload_before_and_after_the_host_s_libcrypto() {
    isolated("unloading::unload_before_and_after_the_host_s_libcrypto", environment, || {
        for module_first in [true, false] {
            let early = (!module_first).then(libcrypto);
            let module = Module::with_config(Path::new(&variable("CONFIG")));
            let crypto = early.unwrap_or_else(libcrypto);
            let sign = || {
                let session = module.logged_in();
                let key = module.object(session, CKO_PRIVATE_KEY, &variable("EC"));
                assert!(module.sign(session, &SHA256_ECDSA, key, b"data").is_ok());
            };
            sign();
            if module_first {
                drop(module);
                drop(crypto);
            } else {
                drop(crypto);
                sign();
                assert_eq!(call!(module, C_Finalize(null_mut())), CKR_OK);
            }
        }
        // And one of each stays until the end of the process, the module without C_Finalize.
        std::mem::forget(libcrypto());
        std::mem::forget(Process::start());
    });
}

/// Runs `work` in a child, and returns the status that the child ended with.
fn status_of(work: impl FnOnce()) -> i32 {
    // SAFETY: the child runs `work` alone and ends without returning.
    match unsafe { libc::fork() } {
        0 => {
            set_deadline();
            let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
            // SAFETY: no preconditions; the work was to end the process itself.
            unsafe { libc::_exit(if done.is_ok() { 98 } else { 97 }) }
        }
        pid => {
            let mut status = 0;
            // SAFETY: our own child, waited for once; the place is ours.
            unsafe { libc::waitpid(pid, &raw mut status, 0) };
            assert!(libc::WIFEXITED(status), "ended by signal {}", libc::WTERMSIG(status));
            libc::WEXITSTATUS(status)
        }
    }
}

/// `exit` runs the exit handlers of the host and its libraries while other threads are inside of this one.
#[test]
fn exit_while_threads_are_in_calls() {
    isolated("unloading::exit_while_threads_are_in_calls", environment, || {
        let process = Process::start();
        process.work(process.session, true);
        std::mem::forget(libcrypto());
        for _ in 0..5 {
            let status = status_of(|| {
                let rounds = AtomicUsize::new(0);
                std::thread::scope(|scope| {
                    for number in 0..4 {
                        let (process, rounds) = (&process, &rounds);
                        scope.spawn(move || {
                            let session = process.module.logged_in();
                            loop {
                                // One of them is mostly waiting for DSM.
                                process.work(session, number == 0);
                                rounds.fetch_add(1, SeqCst);
                            }
                        });
                    }
                    while rounds.load(SeqCst) < 50 {
                        std::thread::yield_now();
                    }
                    // SAFETY: what the handlers of the test program and of the libraries do is the point.
                    unsafe { libc::exit(7) }
                });
            });
            assert_eq!(status, 7);
        }
        process.work(process.session, true);
    });
}

/// Ends the process where it is called.
unsafe extern "C" fn exit_at_once(_: *mut c_void) -> CK_RV {
    // SAFETY: no preconditions.
    unsafe { libc::exit(8) }
}

unsafe extern "C" fn exit_with_a_mutex(_: *mut *mut c_void) -> CK_RV {
    // SAFETY: no preconditions.
    unsafe { libc::exit(8) }
}

static AT_EXIT: std::sync::OnceLock<Process> = std::sync::OnceLock::new();

/// An exit handler that uses the library, and closes what the work before it left open.
extern "C" fn use_it_once_more() {
    let right = AT_EXIT.get().is_some_and(|process| {
        process.work(process.session, true);
        call!(process.module, C_CloseAllSessions(0)) == CKR_OK
    });
    if !right {
        // SAFETY: no preconditions.
        unsafe { libc::_exit(96) };
    }
}

/// [`environment`] with a log. What writes it has a variable in each thread, and those of a thread go before exit handlers run.
fn logged() -> Vec<(&'static str, String)> {
    let stack = &shared().stack;
    let given = std::fs::read_to_string(stack.pkcs11_conf()).expect("a configuration");
    let (path, log) = (stack.state_dir().join("logged.conf"), stack.state_dir().join("logged.log"));
    std::fs::write(&path, format!("{given}\n[log]\nlevel = \"trace\"\nfile = {log:?}\n")).expect("a file is written");
    let config = ("CONFIG", path.display().to_string());
    environment().into_iter().map(|variable| if variable.0 == config.0 { config.clone() } else { variable }).collect()
}

/// The callbacks that an application gives are not called, so that none of them can end the process within a call; and an exit handler
/// that was registered before the library was loaded may still use it.
#[test]
fn exit_inside_a_callback_and_in_handlers() {
    isolated("unloading::exit_inside_a_callback_and_in_handlers", logged, || {
        let status = status_of(|| {
            // SAFETY: the handler is a function of static life.
            assert_eq!(unsafe { libc::atexit(use_it_once_more) }, 0);
            let module = Module::load();
            let config = variable("CONFIG") + "\0";
            let mut args = CK_C_INITIALIZE_ARGS {
                CreateMutex: Some(exit_with_a_mutex),
                DestroyMutex: Some(exit_at_once),
                LockMutex: Some(exit_at_once),
                UnlockMutex: Some(exit_at_once),
                flags: CKF_OS_LOCKING_OK,
                pReserved: crate::module::bytes(config.as_bytes()).cast(),
            };
            assert_eq!(call!(module, C_Initialize((&raw mut args).cast())), CKR_OK);
            assert_eq!(call!(module, C_Finalize(null_mut())), CKR_OK);
            AT_EXIT.get_or_init(Process::start);
            // In the middle of an operation, and without C_Finalize.
            let process = AT_EXIT.get().expect("just made");
            SHA256_ECDSA.with(|m| assert_eq!(call!(process.module, C_SignInit(process.session, m, process.ec)), CKR_OK));
            assert_eq!(call!(process.module, C_SessionCancel(process.session, CKF_SIGN)), CKR_OK);
            // SAFETY: the handlers are the point.
            unsafe { libc::exit(0) }
        });
        assert_eq!(status, 0);
    });
}

/// What `fopencookie` takes; of the four functions only the one that writes is set.
#[repr(C)]
struct Cookie {
    read: Option<extern "C" fn()>,
    write: Option<unsafe extern "C" fn(*mut c_void, *const c_char, usize) -> isize>,
    seek: Option<extern "C" fn()>,
    close: Option<extern "C" fn()>,
}

unsafe extern "C" {
    // glibc's, which the crate `libc` does not know.
    fn fopencookie(cookie: *mut c_void, mode: *const c_char, functions: Cookie) -> *mut libc::FILE;
}

/// A thread that has not been in the library before meets one that ends the process.
struct Late {
    process: Process,
    starts: Barrier,
    ends: Barrier,
}

impl Late {
    /// By the ways that need random numbers: for a signature, for a vector, as such, and for a connection to DSM where that is `forward`.
    fn work(&self, forward: bool) {
        let done = std::panic::catch_unwind(|| {
            let session = self.process.module.logged_in();
            self.process.work(session, forward);
            let mut random = [0; 16];
            assert_eq!(call!(self.process.module, C_GenerateRandom(session, random.as_mut_ptr(), 16)), CKR_OK);
            assert_eq!(call!(self.process.module, C_CloseSession(session)), CKR_OK);
        });
        if done.is_err() {
            // SAFETY: no preconditions.
            unsafe { libc::_exit(96) };
        }
    }
}

unsafe extern "C" fn work_late(late: *mut c_void, _: *const c_char, len: usize) -> isize {
    // SAFETY: the test gives a `Late` that it keeps.
    let late = unsafe { &*late.cast::<Late>() };
    late.work(true);
    late.starts.wait();
    late.ends.wait();
    len.cast_signed()
}

/// What a stream still holds is written as the very last, after the destructors of all libraries. Until the kernel ends the process every
/// call is answered then, to the thread that ends it and to others: nothing of the library goes before.
#[test]
fn calls_are_answered_after_the_destructors_of_all_libraries() {
    isolated("unloading::calls_are_answered_after_the_destructors_of_all_libraries", environment, || {
        let late = Late { process: Process::start(), starts: Barrier::new(2), ends: Barrier::new(2) };
        late.work(true);
        let status = status_of(|| {
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    late.starts.wait();
                    // Not to DSM: glibc's resolver opens files, which waits for the lock that it holds while it writes streams at the end.
                    late.work(false);
                    late.ends.wait();
                });
                let functions = Cookie { read: None, write: Some(work_late), seek: None, close: None };
                // SAFETY: the cookie lives on, as `exit` does not return; the function is what glibc's manual says, and reads the cookie.
                unsafe {
                    let stream = fopencookie((&raw const late).cast_mut().cast(), c"w".as_ptr(), functions);
                    assert!(!stream.is_null() && libc::fputs(c"not yet written".as_ptr(), stream) >= 0);
                    libc::exit(7)
                }
            });
        });
        assert_eq!(status, 7);
    });
}
