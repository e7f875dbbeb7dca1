//! The fork handlers: registered once per process, by whichever front is used first.
//!
//! The handlers do no work of their own. Before a fork they close the engine's gate, which waits until no other thread is inside;
//! every lock of ours, of aws-lc and of the HTTP pool is taken inside the gate only, so none is held at the fork, and none has to be
//! taken here. After it, parent and child open the gate again.
//! Source: POSIX.1-2017, `pthread_atfork`; `dsma_core::gate`.
#![allow(unsafe_code)]

use std::sync::OnceLock;

/// Registers the handlers; later calls return the first one's answer.
///
/// # Errors
/// The system's error number (`ENOMEM`) where it cannot register them. The fronts then refuse to start: without the handlers a
/// forked child could hang.
pub(crate) fn install() -> Result<(), i32> {
    static INSTALLED: OnceLock<i32> = OnceLock::new();
    // SAFETY: the three handlers are `extern "C"` functions of static life (the library is linked `-z nodelete`, so they stay
    // mapped after `dlclose`), they take nothing and they do not unwind.
    let code = *INSTALLED.get_or_init(|| unsafe { libc::pthread_atfork(Some(prepare), Some(parent), Some(child)) });
    if code == 0 { Ok(()) } else { Err(code) }
}

extern "C" fn prepare() {
    dsma_core::gate::close();
}

extern "C" fn parent() {
    dsma_core::gate::open_parent();
}

extern "C" fn child() {
    dsma_core::gate::open_child();
}
