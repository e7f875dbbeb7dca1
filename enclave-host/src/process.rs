//! What the process asks of the system for itself.

use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit};

/// Keeps memory with keys in it out of core files and away from debuggers of the same user.
///
/// A library never does this to its host; this program is its own host.
pub(crate) fn harden() {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    if setrlimit(Resource::Core, none).is_err() | set_dumpable_behavior(DumpableBehavior::NotDumpable).is_err() {
        tracing::warn!(target: "dsma", "core files of this process cannot be forbidden: forbid them from outside (ulimit -c 0)");
    }
}

/// Raises the limit on open files as far as it goes: a connection is a file, and shells often allow fewer than the system does.
pub(crate) fn raise_file_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Fewer connections then, which is no reason not to start.
    let _ = setrlimit(Resource::Nofile, limit);
}
