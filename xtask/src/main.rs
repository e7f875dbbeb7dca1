//! Chores of the repository that need a program, as `cargo run -q -p xtask -- CHORE [--check]`: `header` writes (or checks)
//! `include/dsma.h`, `mechanisms` the same for `docs/mechanisms.md`.
#![forbid(unsafe_code)]

mod generated;
mod header;
mod mechanisms;

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    // The workspace's root, wherever it is run from.
    let Some(root) = Path::new(env!("CARGO_MANIFEST_DIR")).parent() else { return ExitCode::FAILURE };
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["header"] => header::file(root).and_then(|file| file.write()),
        ["header", "--check"] => header::file(root).and_then(|file| file.check()),
        ["mechanisms"] => mechanisms::file(root).write(),
        ["mechanisms", "--check"] => mechanisms::file(root).check(),
        _ => Err("usage: cargo run -q -p xtask -- header|mechanisms [--check]".into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}
