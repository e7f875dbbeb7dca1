//! Chores of the repository that need a program: `cargo run -q -p xtask -- header [--check]` writes or checks `include/dsma.h`.
#![forbid(unsafe_code)]

mod header;

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    // The workspace's root, wherever it is run from.
    let Some(root) = Path::new(env!("CARGO_MANIFEST_DIR")).parent() else { return ExitCode::FAILURE };
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["header"] => header::write(root),
        ["header", "--check"] => header::check(root),
        _ => Err("usage: cargo run -q -p xtask -- header [--check]".into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}
