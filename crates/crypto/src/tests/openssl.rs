//! The `openssl` command line, as an implementation that is not ours.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// A directory of files and the command that works on them.
pub(super) struct OpenSsl(TempDir);

impl OpenSsl {
    pub(super) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// Writes a file and returns its path as an argument.
    pub(super) fn file(&self, name: &str, content: &[u8]) -> String {
        let path: PathBuf = self.0.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// Runs `openssl ARGS` with `input` on its standard input; returns its output and whether it succeeded.
    pub(super) fn run(&self, args: &[&str], input: &[u8]) -> (Vec<u8>, bool) {
        let mut child = Command::new("openssl")
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the openssl command is needed: apt-get install openssl");
        child.stdin.take().unwrap().write_all(input).unwrap();
        let output = child.wait_with_output().unwrap();
        (output.stdout, output.status.success())
    }

    /// As `run`, and it must succeed.
    pub(super) fn output(&self, args: &[&str], input: &[u8]) -> Vec<u8> {
        let (output, success) = self.run(args, input);
        assert!(success, "openssl {args:?} failed");
        output
    }
}
