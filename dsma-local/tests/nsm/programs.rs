//! The programs that are run behind the device: this test itself, with AWS's crate, and a C program, with none.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

/// The command that runs the ignored test `name` of this program, as the program behind the device.
pub(crate) fn of_this_test(name: &str) -> Vec<String> {
    let this = std::env::current_exe().unwrap().to_str().unwrap().to_owned();
    vec![this, "--exact".to_owned(), name.to_owned(), "--ignored".to_owned(), "--nocapture".to_owned()]
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
