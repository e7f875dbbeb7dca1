//! `dsmactl`: the operator's tool. Thin over the crates that do the work: a file per subcommand.
//!
//! It ends with 0 where all is well, 1 where something is refused or fails (the reason is on stderr), and 2 where the command line is not
//! understood. What a script reads comes with `--json`.
#![forbid(unsafe_code)]

mod attest;
mod ccm;
mod error;
mod files;
mod tls;
mod whitelist;

use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The operator's tool of the DSM Accelerator.
#[derive(Parser)]
#[command(version, about, max_term_width = 120, subcommand_required = true, arg_required_else_help = true, after_help = EXAMPLES)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Look at attestation documents, and verify them
    #[command(subcommand)]
    Attest(attest::Attest),
    /// Manage the TLS certificate of a running enclave-host
    #[command(subcommand)]
    Tls(tls::Tls),
    Whitelist(Box<whitelist::Whitelist>),
}

fn main() -> ExitCode {
    let done = match Args::parse().command {
        Command::Attest(command) => command.run(),
        Command::Tls(command) => command.run(),
        Command::Whitelist(command) => command.run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("dsmactl: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Prints a result. Nobody may be left to read it, which is no failure.
fn print(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

const EXAMPLES: &str = "\
Examples:
  What does this attestation document say, and is it to be believed?
    dsmactl attest show document.bin
    dsmactl attest verify document.bin

  A certificate for the web service: the request, and, once a CA has signed it, the chain.
    dsmactl tls csr --endpoint https://dsma.example --common-name dsma.example --output dsma.csr
    dsmactl tls upload --endpoint https://dsma.example chain.pem
  Register what attests so in CCM, and approve it:
    dsmactl whitelist -u EMAIL -a ACCOUNT -g GROUP -n dsma-nitro -b build_info.json -e https://ccm.example.com

  dsmactl COMMAND --help tells more of each command, with examples.

dsmactl ends with 0, with 1 where something is refused or fails, and with 2 where it is not understood.";
