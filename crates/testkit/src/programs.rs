//! Where the programs are, and the one `cargo build` that makes sure of it.
//!
//! Cargo's own lock serialises several test processes that build at once; a build with nothing to do costs some tenths of a second.
//! `make test` builds first and sets `DSMA_TESTKIT_BUILD=no`, which saves that time in each of its many test processes.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// `libdsma.so` in the profile of the running program, built if need be.
///
/// # Panics
/// Where the build fails; the message holds cargo's output.
#[must_use]
pub fn library() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| built(&["-p", "dsma", "--lib"], "libdsma.so")).clone()
}

/// Cargo's target directory for the profile of the running program, such as `target/debug`.
///
/// # Panics
/// Where the running program does not lie in a target directory.
#[must_use]
pub fn target_dir() -> PathBuf {
    let exe = std::env::current_exe().expect("the path of the running program");
    let dir = exe.parent().expect("a program lies in a directory");
    // Tests lie in `deps`, examples in `examples`, programs directly in the profile's directory.
    match dir.file_name().and_then(|name| name.to_str()) {
        Some("deps" | "examples") => dir.parent().expect("deps has a parent").to_path_buf(),
        _ => dir.to_path_buf(),
    }
}

pub(crate) fn dsma_local() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| built(&["-p", "dsma-local", "--bin", "dsma-local"], "dsma-local")).clone()
}

pub(crate) fn enclave_host() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| built(&["-p", "enclave-host", "--bin", "enclave-host"], "enclave-host")).clone()
}

fn built(package: &[&str], file: &str) -> PathBuf {
    let path = target_dir().join(file);
    if std::env::var_os("DSMA_TESTKIT_BUILD").is_none_or(|value| value != "no") {
        build(package);
    }
    assert!(path.is_file(), "{} is missing: run `make build`, or unset DSMA_TESTKIT_BUILD", path.display());
    path
}

fn build(package: &[&str]) {
    let profile_dir = target_dir();
    let root = profile_dir.parent().expect("a profile's directory lies in the target directory");
    let profile = match profile_dir.file_name().and_then(|name| name.to_str()) {
        Some("debug") => "dev",
        Some(name) => name,
        None => panic!("{} is no profile of cargo", profile_dir.display()),
    };
    let output = Command::new(env!("CARGO"))
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")))
        .args(["build", "--quiet", "--locked", "--profile", profile, "--target-dir"])
        .arg(root)
        .args(package)
        .output()
        .expect("cargo starts");
    assert!(output.status.success(), "cargo build {} failed:\n{}", package.join(" "), String::from_utf8_lossy(&output.stderr));
}
