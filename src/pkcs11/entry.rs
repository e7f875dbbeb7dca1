//! What every exported function goes through before and after its chapter.

use std::panic::{AssertUnwindSafe, catch_unwind};

use cryptoki_sys::{CK_RV, CKR_CRYPTOKI_NOT_INITIALIZED, CKR_GENERAL_ERROR, CKR_OK};
use dsma_core::gate;

use super::{Result, general};

/// An ordinary function: refused before C_Initialize, whatever its arguments are (trap 9).
pub(super) fn call(chapter: impl FnOnce() -> Result) -> CK_RV {
    if general::is_initialized() { call_any_time(chapter) } else { CKR_CRYPTOKI_NOT_INITIALIZED }
}

/// A function that may be called before C_Initialize.
///
/// The chapter runs inside the fork gate, and a panic ends here: unwinding into C is undefined. What the panic left behind is
/// consistent, because operations taken out of a session end when they are not put back.
pub(super) fn call_any_time(chapter: impl FnOnce() -> Result) -> CK_RV {
    let guarded = catch_unwind(AssertUnwindSafe(|| {
        let _pass = gate::enter();
        chapter()
    }));
    match guarded {
        Ok(Ok(())) => CKR_OK,
        Ok(Err(error)) => error.code(),
        Err(panic) => {
            // A payload's destructor could panic again, outside the barrier.
            std::mem::forget(panic);
            CKR_GENERAL_ERROR
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pkcs11::Error;

    #[test]
    fn a_panic_becomes_a_general_error_and_leaves_the_gate() {
        assert_eq!(call_any_time(|| panic!("on purpose")), CKR_GENERAL_ERROR);
        assert_eq!(call_any_time(|| std::panic::panic_any(BadPayload)), CKR_GENERAL_ERROR);
        // A thread that was still inside would keep the gate from closing.
        gate::close();
        gate::open_parent();
        assert_eq!(call_any_time(|| Err(Error::ArgumentsBad)), cryptoki_sys::CKR_ARGUMENTS_BAD);
        assert_eq!(call_any_time(|| Ok(())), CKR_OK);
    }

    struct BadPayload;

    impl Drop for BadPayload {
        fn drop(&mut self) {
            panic!("in a destructor");
        }
    }
}
