//! Runs a command with the real programs around it, then stops them: `make run`, `make demo` and the interop tests use it.
//!
//! ```text
//! with-stack [--host PREFIX [NAME=VALUE]...]... -- COMMAND [ARGUMENT]...
//! ```
//!
//! dsma-local starts on free ports with a temporary state; each `--host` starts an enclave-host in front of it, with these variables in
//! its environment. The command finds what `DIR/env` says in its environment, with `PREFIX_ENDPOINT` and `PREFIX_CA_FILE` for each
//! enclave-host, `FORTANIX_PKCS11_CONFIG` and `DSMA_LIBRARY`. The exit code is the command's. Ctrl-C and SIGTERM stop everything.
#![forbid(unsafe_code)]

use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitCode};

use dsma_testkit::{Host, Stack, library};
use tokio::signal::unix::{SignalKind, signal};

const USAGE: &str = "usage: with-stack [--host PREFIX [NAME=VALUE]...]... -- COMMAND [ARGUMENT]...";

fn main() -> ExitCode {
    // What went wrong and the program's own output are the message; where in this file is noise.
    std::panic::set_hook(Box::new(|info| eprintln!("with-stack: {}", info.payload_as_str().unwrap_or("stopped by a panic"))));
    let Some((hosts, command)) = parse(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime with signals");
    runtime.block_on(run(&hosts, command))
}

/// One `--host`: the prefix of its variables, and its environment.
type HostSpec = (String, Vec<(String, String)>);

fn parse(mut arguments: impl Iterator<Item = String>) -> Option<(Vec<HostSpec>, Vec<String>)> {
    let mut hosts: Vec<HostSpec> = Vec::new();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--" => {
                let command: Vec<String> = arguments.collect();
                return (!command.is_empty()).then_some((hosts, command));
            }
            "--host" => hosts.push((arguments.next()?, Vec::new())),
            setting => {
                let (name, value) = setting.split_once('=')?;
                hosts.last_mut()?.1.push((name.to_owned(), value.to_owned()));
            }
        }
    }
    None
}

async fn run(specs: &[HostSpec], words: Vec<String>) -> ExitCode {
    // From here on a signal is ours to handle: the programs get their time to stop.
    let mut interrupt = signal(SignalKind::interrupt()).expect("SIGINT can be handled");
    let mut terminate = signal(SignalKind::terminate()).expect("SIGTERM can be handled");
    let stack = Stack::start();
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).envs(stack.variables());
    command.env("FORTANIX_PKCS11_CONFIG", stack.pkcs11_conf()).env("DSMA_LIBRARY", library());
    let mut hosts = Vec::new();
    for (prefix, env) in specs {
        let env: Vec<(&str, &str)> = env.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let host = Host::start(&stack, &env);
        command.env(format!("{prefix}_ENDPOINT"), host.endpoint()).env(format!("{prefix}_CA_FILE"), host.ca_file());
        hosts.push(host);
    }
    let child = match command.spawn() {
        Ok(child) => child,
        Err(e) => {
            eprintln!("with-stack: {} does not start: {e}", words[0]);
            return ExitCode::from(127);
        }
    };
    let pid = child.id().to_string();
    let mut ended = tokio::task::spawn_blocking(move || exit_code(child));
    let (code, stopped) = tokio::select! {
        code = &mut ended => (code, false),
        // A terminal tells the whole group of Ctrl-C; of SIGTERM the command learns from us. It has the last word either way.
        _ = interrupt.recv() => (ended.await, true),
        _ = terminate.recv() => {
            let _ = Command::new("kill").arg(pid).status();
            (ended.await, true)
        }
    };
    let code = code.expect("waiting does not panic");
    if code != 0 && !stopped {
        for host in &hosts {
            show_end_of_log("enclave-host", &host.log());
        }
        show_end_of_log("dsma-local", &stack.log());
    }
    for host in hosts {
        let _ = host.stop();
    }
    stack.stop();
    ExitCode::from(code)
}

/// What a program said last is what matters after a failure.
fn show_end_of_log(name: &str, log: &str) {
    const LINES: usize = 20;
    let lines: Vec<&str> = log.lines().collect();
    eprintln!("--- the last words of {name}\n{}\n---", lines[lines.len().saturating_sub(LINES)..].join("\n"));
}

/// Waits for the command. As a shell has it: its own code, or 128 and the signal that ended it.
fn exit_code(mut child: Child) -> u8 {
    let Ok(status) = child.wait() else { return 1 };
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}
