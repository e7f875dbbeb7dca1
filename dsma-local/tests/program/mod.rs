//! The program `dsma-local` on the command line.

use std::path::Path;
use std::process::{Command, Output, Stdio};

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_dsma-local");

/// Runs a command with these variables, and returns its exit code, output and complaints.
pub(crate) fn run(state: &Path, args: &[&str], variables: &[(&str, &str)]) -> (i32, String, String) {
    let Output { status, stdout, stderr } = Command::new(PROGRAM)
        .arg("--state")
        .arg(state)
        .args(args)
        .env_remove("RUST_LOG")
        .env_remove("DSMA_LOCAL_STATE")
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    (status.code().unwrap_or(-1), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}
