//! The oracle: the `openssl` program on files of a directory of its own.

use std::path::PathBuf;
use std::process::{Command, Output};

use tempfile::TempDir;

pub(crate) struct Openssl {
    dir: TempDir,
}

impl Openssl {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().expect("a temporary directory") }
    }

    /// Writes a file that arguments may then name.
    pub(crate) fn write(&self, name: &str, content: &[u8]) -> &Self {
        std::fs::write(self.path(name), content).expect("a file is written");
        self
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).expect("a file is read")
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Runs `openssl` in the directory; its success or failure is the caller's to judge.
    pub(crate) fn try_run(&self, arguments: &str) -> Output {
        Command::new("openssl").current_dir(self.dir.path()).args(arguments.split_whitespace()).output().expect("openssl starts")
    }

    /// Runs it and returns its output.
    #[track_caller]
    pub(crate) fn run(&self, arguments: &str) -> Vec<u8> {
        let output = self.try_run(arguments);
        assert!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }
}
