//! `include/dsma.h` compiles as C99, C23 and C++ without a warning.

use std::path::{Path, PathBuf};
use std::process::Command;

#[test]
fn the_header_compiles_in_every_language_it_serves() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    // Twice, for the include guard; the parameters start from zero as the header says. What they do is tested in `processes.c`.
    let user = |zero: &str| {
        format!(
            "#include \"dsma.h\"\n#include \"dsma.h\"\n\
             int main(void) {{ dsma_cipher_params c = {zero}; dsma_signature_params s = {zero}; return (int)(c.mode + s.scheme); }}\n"
        )
    };
    for (compiler, standard, name, zero) in [
        ("gcc", "c99", "user.c", "{0}"),
        ("gcc", "c2x", "user.c", "{0}"),
        ("g++", "c++11", "user.cc", "{}"),
        ("g++", "c++20", "user.cc", "{}"),
    ] {
        let source = dir.path().join(name);
        std::fs::write(&source, user(zero)).expect("written");
        let status = Command::new(compiler)
            .args([&format!("-std={standard}"), "-pedantic", "-Wall", "-Wextra", "-Werror", "-c", "-o", "/dev/null"])
            .arg("-I")
            .arg(include_dir())
            .arg(&source)
            .status()
            .expect("the compiler starts");
        assert!(status.success(), "{compiler} -std={standard}");
    }
}

pub(crate) fn include_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../include")
}
