//! `make bench`: what an operation costs at each layer, as CPU time of the calling thread, side by side in one run.
//!
//! Columns are ways to reach the same primitive, from the library itself to a PKCS#11 module that is not ours. Rounds are interleaved, so
//! that a busy moment of the machine hits every column; the best round is the figure, the median shows how noisy it was.
#![deny(unsafe_code)]

mod contestants;
#[allow(unsafe_code)]
mod ffi;
mod keys;
mod measure;
mod operation;
mod report;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use contestants::{Column, Contestant};
use measure::{Plan, Row};
use operation::Operation;

/// Measures what operations cost: raw aws-lc, our C API and PKCS#11 module, and SoftHSM2, at 1 and 2 threads.
#[derive(Parser)]
#[command(after_help = "\
Examples:
  dsma-bench                          everything, as a table; figures also go to target/bench.json
  dsma-bench --json | jq .budget      the same as JSON on standard output
  dsma-bench --rounds 31 --check      a longer run that fails where a warm AES-GCM call costs over 3 us
  dsma-bench --only gcm --threads 1   one operation, one thread, for profiling:
                                      perf record -g -- dsma-bench --only gcm --threads 1

CPU time is that of the calling thread (CLOCK_THREAD_CPUTIME_ID): it does not see waiting.")]
struct Args {
    /// Print JSON instead of the table
    #[arg(long)]
    json: bool,
    /// Rounds of each cell; the best and the median are shown
    #[arg(long, default_value_t = 11, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// CPU milliseconds of a cell in one round
    #[arg(long, default_value_t = 40, value_parser = clap::value_parser!(u32).range(1..))]
    millis: u32,
    /// Numbers of threads
    #[arg(long, value_delimiter = ',', default_values_t = [1, 2], value_parser = clap::value_parser!(u16).range(1..=64))]
    threads: Vec<u16>,
    /// Only operations whose name contains this text (rsa, ecdsa, gcm, forwarded)
    #[arg(long, default_value = "")]
    only: String,
    /// Fail (status 1) where a warm AES-GCM 1 KiB call through the C API costs over 3 microseconds of CPU
    #[arg(long)]
    check: bool,
    /// The library to measure; built in this program's profile where absent
    #[arg(long)]
    library: Option<PathBuf>,
    /// SoftHSM2's module
    #[arg(long, default_value = "/usr/lib/softhsm/libsofthsm2.so")]
    softhsm: PathBuf,
    /// Where the figures are kept
    #[arg(long)]
    out: Option<PathBuf>,
}

fn main() -> ExitCode {
    // First of all, while there is one thread: SoftHSM2 reads its configuration's place from the environment.
    let softhsm = contestants::SoftHsm::prepare();
    match run(&Args::parse(), softhsm) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            eprintln!("dsma-bench: {message}");
            ExitCode::FAILURE
        }
    }
}

/// Returns whether the budget was kept, or not asked for.
fn run(args: &Args, softhsm: Result<contestants::SoftHsm, String>) -> Result<bool, String> {
    if cfg!(debug_assertions) {
        eprintln!("dsma-bench: this is a debug build, whose figures say little; use `make bench`");
    }
    eprintln!("building the library and dsma-local (some minutes the first time), starting dsma-local");
    let library = args.library.clone().unwrap_or_else(dsma_testkit::library);
    let stack = dsma_testkit::Stack::start();
    let keys = keys::create(&stack);

    let mut contestants: Vec<Contestant> = vec![contestants::raw()?, contestants::aws_lc_rs()?];
    let mut optional = |column: Column, contestant: Result<Contestant, String>| match contestant {
        Ok(contestant) => contestants.push(contestant),
        Err(why) => eprintln!("without {}: {why}", column.name()),
    };
    optional(Column::CApi, contestants::c_api(&library, &stack.pkcs11_conf(), &keys));
    optional(Column::Pkcs11, contestants::pkcs11(&library, &stack.pkcs11_conf()));
    optional(Column::SoftHsm2, softhsm.and_then(|softhsm| softhsm.open(&args.softhsm)));

    let plan = Plan { rounds: args.rounds, millis: args.millis };
    let mut rows: Vec<Row> = Vec::new();
    for operation in Operation::ALL.into_iter().filter(|operation| operation.matches(&args.only)) {
        // The forwarded cost stands beside the local one; more threads would measure dsma-local.
        let threads = if operation == Operation::Forwarded { &args.threads[..1] } else { &args.threads[..] };
        for threads in threads.iter().copied() {
            eprintln!("{}, {threads} thread(s)", operation.name());
            rows.extend(measure::rows(operation, threads, &contestants, &plan)?);
        }
    }

    let report = report::json(&rows, &plan);
    let out = args.out.clone().unwrap_or_else(|| dsma_testkit::target_dir().with_file_name("bench.json"));
    std::fs::write(&out, format!("{report:#}\n")).map_err(|error| format!("cannot write {}: {error}", out.display()))?;
    if args.json {
        println!("{report:#}");
    } else {
        print!("{}", report::table(&rows));
        println!("figures: {}", out.display());
    }
    Ok(!args.check || report::within_budget(&rows).unwrap_or(false))
}
