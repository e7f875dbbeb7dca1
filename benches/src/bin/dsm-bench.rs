//! What dsma-local answers in a second with many sobjects in its store: lookups, and pages of listings.
//!
//! Seen from a client on the same machine, TLS and JSON included, so that each figure is an upper bound of the server's own time. The
//! sobjects are imported through the interface, and the rate of that is a row too.
#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use clap::Parser;
use dsma_testkit::{Dsm, Stack};
use serde_json::{Value, json};

/// Key lookups that dsma-local must answer in a second.
const LOOKUPS: f64 = 5000.0;
/// Milliseconds that a page of a listing may take.
const PAGE_MILLIS: f64 = 50.0;

/// Measures dsma-local with many sobjects: imports, lookups and pages of listings.
#[derive(Parser)]
#[command(after_help = "\
Examples:
  dsm-bench                     100,000 sobjects, as a table; figures also go to target/dsm-bench.json
  dsm-bench --sobjects 1000     a quick look
  dsm-bench --check             fails where 5,000 lookups a second or 50 ms a page are missed")]
struct Args {
    /// Sobjects in the store
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..))]
    sobjects: u32,
    /// Clients that ask at the same time
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=64))]
    clients: u16,
    /// Seconds of each row of lookups
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
    /// Print JSON instead of the table
    #[arg(long)]
    json: bool,
    /// Fail (status 1) where a target is missed
    #[arg(long)]
    check: bool,
    /// Where the figures are kept
    #[arg(long)]
    out: Option<PathBuf>,
}

/// A figure, and what it must reach, if anything.
struct Row {
    what: String,
    figure: f64,
    unit: &'static str,
    target: Option<f64>,
}

impl Row {
    fn kept(&self) -> Option<bool> {
        let target = self.target?;
        Some(if self.unit == "ms" { self.figure <= target } else { self.figure >= target })
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    if cfg!(debug_assertions) {
        eprintln!("dsm-bench: this is a debug build, whose figures say little; use `cargo run --release`");
    }
    let stack = Stack::start();
    let dsm = stack.dsm().login();
    let rows = measure(&dsm, &args);
    let report = json(&rows, &args);
    let out = args.out.clone().unwrap_or_else(|| dsma_testkit::target_dir().with_file_name("dsm-bench.json"));
    if let Err(error) = std::fs::write(&out, format!("{report:#}\n")) {
        eprintln!("dsm-bench: cannot write {}: {error}", out.display());
        return ExitCode::FAILURE;
    }
    if args.json {
        println!("{report:#}");
    } else {
        print_table(&rows, &args);
        println!("figures: {}", out.display());
    }
    let missed = rows.iter().any(|row| row.kept() == Some(false));
    if args.check && missed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn measure(dsm: &Dsm, args: &Args) -> Vec<Row> {
    eprintln!("importing {} sobjects", args.sobjects);
    let mut rows = vec![fill(dsm, args)];
    let middle = name(args.sobjects / 2);
    let found = dsm.request("POST", "/crypto/v1/keys/info", Some(json!({"name": middle}))).success().json();
    for (by, descriptor) in [("id", json!({"kid": found["kid"]})), ("name", json!({"name": middle}))] {
        eprintln!("lookups by {by}");
        rows.push(lookups(dsm, args, by, &descriptor));
    }
    for query in [
        "limit=100".to_owned(),
        "limit=1000".to_owned(),
        format!("limit=1000&offset={}", args.sobjects.saturating_sub(1000)),
        format!("limit=1000&sort=name:asc&offset={}", args.sobjects / 2),
        "limit=100&with_metadata=true".to_owned(),
        format!("name={middle}"),
        format!("pkcs11_label={middle}"),
        "obj_type=RSA".to_owned(),
    ] {
        eprintln!("listing {query}");
        rows.push(page(dsm, &query));
    }
    rows
}

fn name(number: u32) -> String {
    format!("key-{number}")
}

/// Imports the sobjects, all clients at once.
fn fill(dsm: &Dsm, args: &Args) -> Row {
    let next = AtomicU32::new(0);
    let began = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..args.clients {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= args.sobjects {
                        return;
                    }
                    let metadata = json!({"label": name(number), "owner": "dsm-bench"});
                    let value = "AAECAwQFBgcICQoLDA0ODw==";
                    let spec = json!({"name": name(number), "obj_type": "AES", "value": value, "custom_metadata": metadata});
                    dsm.request("PUT", "/crypto/v1/keys", Some(spec)).success();
                }
            });
        }
    });
    let rate = f64::from(args.sobjects) / began.elapsed().as_secs_f64();
    Row { what: "imports, each durable before its answer".into(), figure: rate, unit: "per second", target: None }
}

fn lookups(dsm: &Dsm, args: &Args, by: &str, descriptor: &Value) -> Row {
    let until = Instant::now() + Duration::from_secs(args.seconds.into());
    let count: u32 = std::thread::scope(|scope| {
        let ask = || {
            let mut count = 0;
            while Instant::now() < until {
                dsm.request("POST", "/crypto/v1/keys/info", Some(descriptor.clone())).success();
                count += 1;
            }
            count
        };
        let clients: Vec<_> = (0..args.clients).map(|_| scope.spawn(ask)).collect();
        clients.into_iter().map(|client| client.join().expect("a client ends without a panic")).sum()
    });
    let figure = f64::from(count) / f64::from(args.seconds);
    Row { what: format!("lookups by {by}"), figure, unit: "per second", target: Some(LOOKUPS) }
}

/// The median of nine.
fn page(dsm: &Dsm, query: &str) -> Row {
    let path = format!("/crypto/v1/keys?{query}");
    let mut times = [(); 9].map(|()| {
        let began = Instant::now();
        dsm.request("GET", &path, None).success();
        began.elapsed()
    });
    times.sort();
    Row { what: format!("listing {query}"), figure: times[4].as_secs_f64() * 1000.0, unit: "ms", target: Some(PAGE_MILLIS) }
}

fn print_table(rows: &[Row], args: &Args) {
    println!("{} sobjects, {} clients on this machine, TLS and JSON on both sides\n", args.sobjects, args.clients);
    for row in rows {
        let verdict = match (row.kept(), row.target) {
            (Some(true), Some(target)) => format!("target {target}: kept"),
            (Some(false), Some(target)) => format!("target {target}: MISSED"),
            _ => String::new(),
        };
        println!("  {:<52}{:>12.2} {:<12}{verdict}", row.what, row.figure, row.unit);
    }
}

fn json(rows: &[Row], args: &Args) -> Value {
    let row = |row: &Row| json!({"what": row.what, "figure": row.figure, "unit": row.unit, "target": row.target, "kept": row.kept()});
    json!({"sobjects": args.sobjects, "clients": args.clients, "rows": rows.iter().map(row).collect::<Vec<_>>()})
}
