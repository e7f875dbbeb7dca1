//! The argument of C_Initialize.

use std::ffi::{CStr, OsStr, c_void};
use std::marker::PhantomData;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use cryptoki_sys::{CK_C_INITIALIZE_ARGS, CKF_OS_LOCKING_OK};

use super::{Error, Result, read};

/// `pInitArgs`: NULL or a `CK_C_INITIALIZE_ARGS`.
pub(in crate::pkcs11) struct InitArgs<'a> {
    args: *const CK_C_INITIALIZE_ARGS,
    call: PhantomData<&'a CK_C_INITIALIZE_ARGS>,
}

impl InitArgs<'_> {
    /// # Safety
    /// `args` is NULL or points to a `CK_C_INITIALIZE_ARGS`, whose `pReserved` is NULL or a NUL-terminated string.
    pub(super) const unsafe fn new(args: *const c_void) -> Self {
        Self { args: args.cast(), call: PhantomData }
    }

    /// Checks what the caller says about threads (trap 10) and returns the config path in `pReserved`.
    ///
    /// The library always uses the system's locks and starts no thread, so every claim holds but one: callbacks given without
    /// leave to use anything else. That a string in `pReserved` names the config is a convention of the field, against the letter
    /// of the standard.
    ///
    /// # Errors
    /// [`Error::ArgumentsBad`] for some but not all callbacks; [`Error::CantLock`] for callbacks without `CKF_OS_LOCKING_OK`.
    pub(in crate::pkcs11) fn config_path(&self) -> Result<Option<PathBuf>> {
        if self.args.is_null() {
            return Ok(None);
        }
        // SAFETY: not NULL, hence readable by `new`'s contract.
        let args = unsafe { read(self.args) }?;
        let callbacks = [args.CreateMutex.is_some(), args.DestroyMutex.is_some(), args.LockMutex.is_some(), args.UnlockMutex.is_some()];
        match callbacks.iter().filter(|given| **given).count() {
            0 => {}
            4 if args.flags & CKF_OS_LOCKING_OK != 0 => {}
            4 => return Err(Error::CantLock),
            _ => return Err(Error::ArgumentsBad),
        }
        if args.pReserved.is_null() {
            return Ok(None);
        }
        // SAFETY: not NULL, hence a NUL-terminated string by `new`'s contract.
        let path = unsafe { CStr::from_ptr(args.pReserved.cast()) }.to_bytes();
        Ok((!path.is_empty()).then(|| PathBuf::from(OsStr::from_bytes(path))))
    }
}
