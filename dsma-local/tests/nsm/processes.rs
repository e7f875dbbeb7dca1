//! with-nsm is invisible but for the device: exit status, signals, terminal, output and background processes are the command's own.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdout, Command, Stdio};

use crate::{State, programs, stderr, succeeded};

fn lines(child: &mut Child) -> BufReader<ChildStdout> {
    BufReader::new(child.stdout.take().unwrap())
}

fn line(output: &mut BufReader<ChildStdout>) -> String {
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    line.trim_end().to_owned()
}

fn kill(signal: &str, pid: u32) {
    assert!(Command::new("kill").args(["-s", signal, &pid.to_string()]).status().unwrap().success());
}

#[test]
fn the_commands_end_is_ours() {
    let state = State::new();
    for (script, code) in [("exit 0", 0), ("exit 42", 42), ("exit 255", 255)] {
        assert_eq!(state.run(&[], &["sh", "-c", script]).status.code(), Some(code));
    }
    for signal in ["KILL", "SEGV", "TERM", "INT", "PIPE"] {
        let ended = state.run(&[], &["sh", "-c", &format!("kill -s {signal} $$")]).status;
        let number = Command::new("sh").args(["-c", &format!("kill -s {signal} $$")]).status().unwrap().signal();
        assert_eq!(ended.signal(), number, "{signal}: {ended}");
        assert!(!ended.core_dumped());
    }
}

#[test]
fn what_cannot_be_run_is_said() {
    let state = State::new();
    let file = state.path().join("build_info.json");
    let file = file.to_str().unwrap();
    for (command, code, expected) in [
        (vec!["/nonexistent/command"], 127, "/nonexistent/command cannot be run: No such file or directory"),
        (vec!["no-such-command"], 127, "no-such-command cannot be run"),
        (vec![file], 126, "build_info.json cannot be run: Permission denied"),
        (vec![env!("CARGO_BIN_EXE_dsma-local"), "--state", "/nonexistent", "with-nsm", "--", "true"], 125, "holds no state"),
    ] {
        let output = state.run(&[], &command);
        assert!(output.status.code() == Some(code) && stderr(&output).contains(expected), "{output:?}");
    }
    let path = state.path().to_str().unwrap();
    let inner = state.run(&[], &[env!("CARGO_BIN_EXE_dsma-local"), "--state", path, "with-nsm", "--", "true"]);
    assert!(inner.status.code() == Some(125) && stderr(&inner).contains("with-nsm does not work inside with-nsm"), "{inner:?}");
}

#[test]
fn the_state_comes_from_the_environment_or_is_asked_for() {
    let state = State::new();
    let mut command = Command::new(env!("CARGO_BIN_EXE_dsma-local"));
    command.args(["with-nsm", "--", "echo", "hello"]).env("DSMA_LOCAL_STATE", state.path());
    assert_eq!(succeeded(&command.output().unwrap()), "hello\n");
    let missing = command.env_remove("DSMA_LOCAL_STATE").output().unwrap();
    assert_eq!(missing.status.code(), Some(2));
    assert!(stderr(&missing).contains("--state DIR is missing: give it, or set DSMA_LOCAL_STATE"), "{missing:?}");
    let nothing = Command::new(env!("CARGO_BIN_EXE_dsma-local")).args(["with-nsm", "--state", "/tmp"]).output().unwrap();
    assert_eq!(nothing.status.code(), Some(2));
}

/// Input, output and environment pass through.
#[test]
fn the_command_has_our_streams_and_variables() {
    let state = State::new();
    let mut command = state.with_nsm(&[], &["sh", "-c", "cat; echo $WORD; echo err >&2"]);
    let mut child = command.env("WORD", "two").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"one\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.stdout.as_slice(), output.stderr.as_slice()), (b"one\ntwo\n".as_slice(), b"err\n".as_slice()));
}

/// A service manager sends its signal to the process that it started, which is with-nsm.
#[test]
fn signals_to_us_reach_the_command() {
    let state = State::new();
    // `wait` ends when a trap has run; `cat` ends with this test, whatever becomes of it.
    let script = "exec 3<&0; cat <&3 >/dev/null & trap 'echo usr1' USR1; trap 'echo term; exit 7' TERM; echo ready; \
                  while kill -0 $! 2>/dev/null; do wait $!; done; exit 8";
    let mut child = state.with_nsm(&[], &["sh", "-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut output = lines(&mut child);
    assert_eq!(line(&mut output), "ready");
    for (signal, expected) in [("USR1", "usr1"), ("TERM", "term")] {
        kill(signal, child.id());
        assert_eq!(line(&mut output), expected);
    }
    assert_eq!(child.wait().unwrap().code(), Some(7));
}

/// The terminal sends Ctrl-C to all in the foreground: the command gets it once, and we wait for what it makes of it.
#[test]
fn control_c_reaches_the_command_once() {
    let state = State::new();
    let inner = state.with_nsm(
        &[],
        &["sh", "-c", "trap 'n=$((n+1)); echo got $n' INT; echo ready; while ! read -r w || [ \"$w\" != end ]; do :; done; exit $n"],
    );
    let quoted = |text: &std::ffi::OsStr| format!("'{}'", text.to_str().unwrap().replace('\'', r"'\''"));
    let command: Vec<_> = std::iter::once(inner.get_program()).chain(inner.get_args()).map(quoted).collect();
    // `script` gives it a terminal of its own, and ends as it ends.
    let mut terminal = Command::new("script");
    terminal.args(["-qefc", &format!("exec {}", command.join(" ")), "/dev/null"]).env("SHELL", "/bin/sh");
    let mut child = terminal.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut output = lines(&mut child);
    let mut input = child.stdin.take().unwrap();
    let mut until = |expected: &str| {
        while !line(&mut output).ends_with(expected) {}
    };
    until("ready");
    input.write_all(b"\x03").unwrap();
    until("got 1");
    input.write_all(b"end\n").unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1), "the number of interrupts that it got");
}

/// What a command leaves behind keeps its device, and we stay until it has ended.
#[test]
fn background_processes_are_served_to_their_end() {
    let state = State::new();
    let fifo = state.path().join("go");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let script = format!("(read -r go <'{}'; exec '{}' limits) & echo started; exit 5", fifo.display(), programs::probe("dynamic"));
    let mut child = state.with_nsm(&[], &["sh", "-c", &script]).stdout(Stdio::piped()).spawn().unwrap();
    let mut output = lines(&mut child);
    assert_eq!(line(&mut output), "started");
    // Opening it waits for the reader, which outlives the shell.
    std::fs::write(&fifo, "go\n").unwrap();
    assert_eq!(line(&mut output), "ok");
    assert_eq!(child.wait().unwrap().code(), Some(5));
}

/// Without us every open would fail, so the command does not outlive us.
#[test]
fn the_command_ends_with_us() {
    let state = State::new();
    let mut child =
        state.with_nsm(&[], &["sh", "-c", "echo ready; exec cat"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    // Held open, so that `cat` does not end by itself.
    let _input = child.stdin.take();
    let mut output = lines(&mut child);
    assert_eq!(line(&mut output), "ready");
    child.kill().unwrap();
    child.wait().unwrap();
    // The end of its output is its end.
    assert_eq!(line(&mut output), "");
}
