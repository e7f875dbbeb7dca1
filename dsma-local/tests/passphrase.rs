//! The sealing key under a passphrase: where it is read from, what a wrong one is told, and what a change, a backup and a restore do.

mod program;

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use program::PROGRAM;
use serde_json::Value;

const FIRST: &str = "correct horse battery";
const SECOND: &str = "another long passphrase";

/// Runs a command with both passphrases in its environment. Returns its exit code, output and complaints.
fn run(state: &Path, args: &[&str]) -> (i32, String, String) {
    program::run(state, args, &[("FIRST", FIRST), ("SECOND", SECOND)])
}

#[track_caller]
fn done(state: &Path, args: &[&str]) -> String {
    let (code, out, err) = run(state, args);
    assert_eq!(code, 0, "{args:?}: {out}{err}");
    out
}

#[track_caller]
fn refused(state: &Path, args: &[&str], words: &str) {
    let (code, out, err) = run(state, args);
    assert!(code == 1 && err.contains(words), "{args:?}: {code} {out}{err}");
}

#[test]
fn a_state_opens_with_its_passphrase_only() {
    let dir = tempfile::tempdir().unwrap();
    let state = &dir.path().join("dsm");
    done(state, &["--passphrase", "env:FIRST", "init"]);
    let key = state.join("seal.key");
    assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    let wrapped: Value = serde_json::from_slice(&std::fs::read(&key).unwrap()).expect("the key is not there in the clear");
    assert_eq!(wrapped["kdf"], "argon2id");
    done(state, &["--passphrase", "env:FIRST", "key", "add", "kept", "--exportable"]);

    refused(state, &["key", "ls"], "--passphrase file:PATH");
    refused(state, &["--passphrase", "env:SECOND", "key", "ls"], "not that of this state");
    refused(state, &["--passphrase", "env:NOWHERE", "key", "ls"], "NOWHERE is not set");
    refused(state, &["--passphrase", "file:/nonexistent", "key", "ls"], "nonexistent");
    // The passphrase itself on the command line is no source, and is not repeated back.
    let (code, _, err) = run(state, &["--passphrase", FIRST, "key", "ls"]);
    assert!(code == 2 && err.contains("file:PATH"), "{err}");

    // Every source gives the same.
    let file = dir.path().join("passphrase");
    std::fs::write(&file, format!("{FIRST}\n")).unwrap();
    assert!(done(state, &["--passphrase", &format!("file:{}", file.display()), "key", "ls"]).contains("kept"));
    let mut child = Command::new(PROGRAM)
        .args(["--state", state.to_str().unwrap(), "--passphrase", "fd:0", "key", "ls"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(FIRST.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success() && String::from_utf8_lossy(&output.stdout).contains("kept"));
}

#[test]
fn a_passphrase_is_set_changed_and_removed() {
    let dir = tempfile::tempdir().unwrap();
    let state = &dir.path().join("dsm");
    refused(state, &["passphrase", "set", "env:FIRST"], "init");
    done(state, &["init"]);
    done(state, &["key", "add", "kept"]);
    refused(state, &["--passphrase", "env:FIRST", "key", "ls"], "none protects this state");

    let short = dir.path().join("short");
    std::fs::write(&short, "short\n").unwrap();
    refused(state, &["passphrase", "set", &format!("file:{}", short.display())], "8 to 1024 characters");
    done(state, &["passphrase", "set", "env:FIRST"]);
    refused(state, &["key", "ls"], "--passphrase");
    refused(state, &["passphrase", "set", "env:SECOND"], "--passphrase");
    done(state, &["--passphrase", "env:FIRST", "passphrase", "set", "env:SECOND"]);
    refused(state, &["--passphrase", "env:FIRST", "key", "ls"], "not that of this state");
    assert!(done(state, &["--passphrase", "env:SECOND", "key", "ls"]).contains("kept"));
    done(state, &["--passphrase", "env:SECOND", "passphrase", "remove"]);
    assert!(done(state, &["key", "ls"]).contains("kept"));
}

#[test]
fn a_backup_keeps_the_passphrase() {
    let dir = tempfile::tempdir().unwrap();
    let state = &dir.path().join("dsm");
    done(state, &["--passphrase", "env:FIRST", "init"]);
    done(state, &["--passphrase", "env:FIRST", "key", "add", "kept"]);
    let file = dir.path().join("dsm.backup");
    let file = file.to_str().unwrap();
    done(state, &["backup", file]);
    assert!(!std::fs::read(file).unwrap().windows(FIRST.len()).any(|window| window == FIRST.as_bytes()));

    let restored = &dir.path().join("restored");
    refused(restored, &["restore", file], "--passphrase");
    refused(restored, &["--passphrase", "env:SECOND", "restore", file], "not that of this state");
    assert!(!restored.join("seal.key").exists() && !restored.join("store.db").exists(), "nothing is half restored");
    // A pipe has it once only.
    let mut child = Command::new(PROGRAM)
        .args(["--state", restored.to_str().unwrap(), "--passphrase", "fd:0", "restore", file])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(FIRST.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
    assert!(done(restored, &["--passphrase", "env:FIRST", "key", "ls"]).contains("kept"));
}

/// `script` gives the program a terminal, and answers it from a pipe.
#[test]
fn a_terminal_is_asked() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("dsm");
    let typed = |args: &str, answers: &str| {
        let command = format!("{PROGRAM} --state {} {args}", state.display());
        let mut child = Command::new("script")
            .args(["-qec", &command, "/dev/null"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("script of util-linux is needed");
        child.stdin.take().unwrap().write_all(answers.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (ok, shown) = typed("--passphrase prompt init", &format!("{FIRST}\n{SECOND}\n"));
    assert!(!ok && shown.contains("not the same"), "{shown}");
    let (ok, shown) = typed("--passphrase prompt init", &format!("{FIRST}\n{FIRST}\n"));
    assert!(ok && shown.contains("New passphrase: "), "{shown}");
    // Without a word about where it is, a terminal is asked.
    let (ok, shown) = typed("key ls", &format!("{FIRST}\n"));
    assert!(ok && shown.contains("Passphrase: ") && shown.contains("NAME"), "{shown}");
}
