//! OpenSSL's command line as an oracle that is not ours.

use std::io::Write;
use std::process::{Command, Stdio};

/// Runs `openssl` with this input and returns its output; it must succeed.
#[track_caller]
pub(crate) fn openssl(args: &[&str], input: &[u8]) -> Vec<u8> {
    let mut child = Command::new("openssl")
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("openssl runs");
    // Inputs are small: the pipe takes them whole. A command that wants none has closed it, perhaps.
    let _ = child.stdin.take().expect("a pipe").write_all(input);
    let output = child.wait_with_output().expect("openssl ends");
    assert!(output.status.success(), "openssl {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}
