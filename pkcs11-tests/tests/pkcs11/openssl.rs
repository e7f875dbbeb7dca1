//! The `openssl` program as an oracle: files in a directory of its own.

use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

pub(crate) struct Openssl(TempDir);

impl Openssl {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary directory"))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: &[u8]) {
        std::fs::write(self.path(name), content).expect("a file is written");
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).expect("a file is read")
    }

    /// The SubjectPublicKeyInfo of a new key, made by `genpkey` with these words, and the secret that it has in common with `ours`,
    /// another SubjectPublicKeyInfo.
    #[track_caller]
    pub(crate) fn agree(&self, genpkey: &str, ours: &[u8]) -> (Vec<u8>, Vec<u8>) {
        self.write("ours.der", ours);
        self.run(&format!("genpkey {genpkey} -out theirs.pem"));
        self.run("pkey -in theirs.pem -pubout -outform DER -out theirs.der");
        self.run("pkeyutl -derive -inkey theirs.pem -peerkey ours.der -peerform DER -out secret");
        (self.read("theirs.der"), self.read("secret"))
    }

    /// Runs `openssl` with these words in the directory, and returns what it printed.
    #[track_caller]
    pub(crate) fn run(&self, words: &str) -> String {
        self.run_with(words, &[])
    }

    /// The same with variables in its environment.
    #[track_caller]
    pub(crate) fn run_with(&self, words: &str, env: &[(&str, &str)]) -> String {
        let output = Command::new("openssl")
            .args(words.split_whitespace())
            .envs(env.iter().copied())
            .current_dir(self.0.path())
            .output()
            .expect("openssl runs: apt-get install openssl");
        assert!(output.status.success(), "openssl {words}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}
