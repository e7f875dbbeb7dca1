//! The room with `unsafe`: C libraries, loaded as their callers load them.

mod capi;
mod pkcs11;

pub(crate) use capi::Client;
pub(crate) use pkcs11::{Kind, Module, Session};

use std::mem::ManuallyDrop;
use std::path::Path;

use libloading::Library;

/// Sets a variable for libraries that are loaded later. Only while the process has one thread.
#[expect(clippy::disallowed_methods, reason = "called first in main, before any other thread exists")]
pub(crate) fn set_environment(name: &str, value: &Path) {
    // SAFETY: no other thread exists yet that could read the environment at the same time.
    unsafe { std::env::set_var(name, value) }
}

/// Loads a library for good: modules register exit handlers of their own, so they are never unloaded.
fn load(path: &Path) -> Result<ManuallyDrop<Library>, String> {
    // SAFETY: the caller of this program names the libraries; their initialisers are as trusted as they are.
    let library = unsafe { Library::new(path) }.map_err(|error| format!("cannot load {}: {error}", path.display()))?;
    Ok(ManuallyDrop::new(library))
}
