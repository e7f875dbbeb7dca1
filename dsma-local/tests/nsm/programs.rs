//! The programs that are run behind the device: this test itself, with AWS's crate, and a C program, with none.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

/// The command that runs the ignored test `name` of this program, as the program behind the device.
pub(crate) fn of_this_test(name: &str) -> Vec<String> {
    let this = std::env::current_exe().unwrap().to_str().unwrap().to_owned();
    vec![this, "--exact".to_owned(), name.to_owned(), "--ignored".to_owned(), "--nocapture".to_owned()]
}

/// `probe.c`, dynamic or static.
pub(crate) fn probe(linking: &'static str) -> String {
    static BUILT: OnceLock<tempfile::TempDir> = OnceLock::new();
    let dir = BUILT.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let source = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/nsm/probe.c");
        for (linking, flags) in [("dynamic", ["-O1"].as_slice()), ("static", &["-O1", "-static"])] {
            let built =
                Command::new("cc").args(flags).args(["-pthread", "-o"]).arg(dir.path().join(linking)).arg(&source).output().unwrap();
            assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        }
        dir
    });
    dir.path().join(linking).to_str().unwrap().to_owned()
}
