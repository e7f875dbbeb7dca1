//! `include/dsma.h` compiles as C99, C23 and C++ without a warning.

use std::path::{Path, PathBuf};
use std::process::Command;

#[test]
fn the_header_compiles_in_every_language_it_serves() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    for (compiler, standard, name) in
        [("gcc", "c99", "user.c"), ("gcc", "c2x", "user.c"), ("g++", "c++11", "user.cc"), ("g++", "c++20", "user.cc")]
    {
        let source = dir.path().join(name);
        // Twice, for the include guard; every function is used through its address by `processes.c`.
        std::fs::write(&source, "#include \"dsma.h\"\n#include \"dsma.h\"\nint main(void) { return dsma_version() == 0; }\n")
            .expect("written");
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
