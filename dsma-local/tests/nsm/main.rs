//! `dsma-local with-nsm` as its users see it: real programs, which know nothing of it, in front of the emulated `/dev/nsm`.

mod device;
mod documents;
mod processes;
mod programs;

use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

/// A state that nobody serves.
struct State(TempDir);

impl State {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let made = Command::new(env!("CARGO_BIN_EXE_dsma-local")).arg("--state").arg(dir.path()).arg("init").output().unwrap();
        assert!(made.status.success(), "{made:?}");
        Self(dir)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// `dsma-local --state DIR with-nsm OPTIONS -- COMMAND`, not yet started.
    fn with_nsm(&self, options: &[&str], command: &[&str]) -> Command {
        let mut started = Command::new(env!("CARGO_BIN_EXE_dsma-local"));
        started.env_remove("DSMA_LOCAL_STATE").arg("--state").arg(self.path()).arg("with-nsm").args(options).arg("--").args(command);
        started
    }

    /// The same, run to its end.
    fn run(&self, options: &[&str], command: &[&str]) -> Output {
        self.with_nsm(options, command).output().unwrap()
    }

    fn root_pem(&self) -> String {
        std::fs::read_to_string(self.path().join("nsm/root.pem")).unwrap()
    }
}

#[track_caller]
fn succeeded(output: &Output) -> String {
    assert!(output.status.success(), "{}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
