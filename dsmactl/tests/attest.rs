//! `dsmactl attest` as a person or a script runs it, on real documents.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

const FORTANIX: &str = "fortanix_rust-sgx_2021-09-09.bin";
const EVERVAULT: &str = "evervault_2022-10-13_pcr8.bin";
const PCR0: &str = "f4d48b81a460c9916d1e685119074bf24660afd3e34fae9fca0a0d28d9d5599936332687e6f66fc890ac8cf150142d8b";

fn sample(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../crates/attest/tests/samples").join(name);
    path.to_str().unwrap().to_owned()
}

/// Exit code, standard output, standard error.
fn attest(args: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_dsmactl")).arg("attest").args(args).stdin(Stdio::null()).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn a_document_verifies_at_its_time() {
    let (code, stdout, stderr) = attest(&["verify", &sample(EVERVAULT), "--at", "2022-10-13T08:58:03Z"]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    assert!(stdout.starts_with("Verified.") && stdout.contains(&format!("PCR0         {PCR0}")), "{stdout}");
    // Another zone's spelling of the same moment.
    assert_eq!(attest(&["verify", &sample(EVERVAULT), "--at", "2022-10-13T10:58:03+02:00"]).0, 0);
}

#[test]
fn now_it_has_expired() {
    let (code, stdout, stderr) = attest(&["verify", &sample(EVERVAULT)]);
    assert_eq!((code, stdout.as_str()), (1, ""));
    assert!(stderr.starts_with("dsmactl: refused by the rule of validity: cabundle[1]") && stderr.contains("has expired"), "{stderr}");
}

#[test]
fn debug_mode_needs_its_flag() {
    let at = ["verify", &sample(FORTANIX), "--at", "2021-09-09T10:19:21Z"];
    let (code, _, stderr) = attest(&at);
    assert_eq!(code, 1);
    assert!(stderr.contains("the rule of debug mode: PCR0 is all zero"), "{stderr}");
    let (code, stdout, _) = attest(&[at.as_slice(), &["--allow-debug"]].concat());
    assert_eq!(code, 0);
    assert!(stdout.contains("this enclave runs in debug mode"), "{stdout}");
}

#[test]
fn json_is_for_scripts() {
    let (code, stdout, _) = attest(&["verify", &sample(EVERVAULT), "--at", "2022-10-13T08:58:03Z", "--json"]);
    let verified: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((code, &verified["verified"], &verified["document"]["pcrs"]["0"]), (0, &true.into(), &PCR0.into()));
    let (code, stdout, _) = attest(&["verify", &sample(EVERVAULT), "--json"]);
    let refused: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((code, &refused["verified"], &refused["rule"]), (1, &false.into(), &"validity".into()));
    let (code, stdout, _) = attest(&["show", &sample(FORTANIX), "--json"]);
    let shown: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((code, &shown["debug_mode"], &shown["public_key"]), (0, &true.into(), &Value::Null));
    assert_eq!((&shown["timestamp_millis"], &shown["timestamp"]), (&1_631_182_760_215u64.into(), &"2021-09-09T10:19:20.215Z".into()));
}

#[test]
fn what_is_wrong_is_said() {
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let garbage = dir.join(format!("garbage-{}", std::process::id()));
    std::fs::write(&garbage, "garbage").unwrap();
    let garbage = garbage.to_str().unwrap();
    for (args, code, expected) in [
        (vec!["show", garbage], 1, "the rule of envelope"),
        (vec!["verify", garbage], 1, "the rule of envelope"),
        (vec!["show", "-"], 1, "the rule of envelope"),
        (vec!["show", "/nonexistent/document"], 1, "/nonexistent/document cannot be read"),
        (vec!["verify", garbage, "--root", garbage], 1, "the rule of root file"),
        (vec!["verify", garbage, "--at", "yesterday"], 2, "a time looks like 2021-09-09T10:19:21Z"),
        (vec!["verify"], 2, "<FILE>"),
        (vec!["frobnicate"], 2, "unrecognized subcommand"),
    ] {
        let (seen, _, stderr) = attest(&args);
        assert!(seen == code && stderr.contains(expected), "{args:?} ended with {seen}: {stderr}");
    }
    std::fs::remove_file(garbage).unwrap();
    let (code, stdout, _) = attest(&["--help"]);
    assert!(code == 0 && stdout.contains("verify") && stdout.contains("show"), "{stdout}");
}

#[test]
fn a_file_that_is_too_long_is_refused_and_not_cut() {
    let dir = tempfile::tempdir().unwrap();
    let long = dir.path().join("long");
    std::fs::write(&long, vec![b' '; (1 << 20) + 1]).unwrap();
    let (code, stdout, stderr) = attest(&["show", long.to_str().unwrap()]);
    assert_eq!((code, stdout.as_str()), (1, ""));
    assert!(stderr.contains("has more than 1048576 bytes") && stderr.contains("is it the right one"), "{stderr}");
}
