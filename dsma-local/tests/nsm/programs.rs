//! The programs that are run behind the device: one in Rust, with AWS's crate, and one in C, with none.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

/// `examples/in_enclave.rs`, which cargo builds with the tests.
pub(crate) fn in_enclave() -> String {
    dsma_testkit::target_dir().join("examples/in_enclave").to_str().unwrap().to_owned()
}

/// `probe.c`, dynamic or static. Each test program builds its own and puts it into place in one step: others may be running the old one.
pub(crate) fn probe(linking: &'static str) -> String {
    static BUILT: OnceLock<()> = OnceLock::new();
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    BUILT.get_or_init(|| {
        let source = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/nsm/probe.c");
        for (linking, flags) in [("dynamic", ["-O1"].as_slice()), ("static", &["-O1", "-static"])] {
            let part = dir.join(format!("nsm-probe-{linking}.{}", std::process::id()));
            let built = Command::new("cc").args(flags).args(["-pthread", "-o"]).arg(&part).arg(&source).output().unwrap();
            assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
            std::fs::rename(&part, dir.join(format!("nsm-probe-{linking}"))).unwrap();
        }
    });
    dir.join(format!("nsm-probe-{linking}")).to_str().unwrap().to_owned()
}
