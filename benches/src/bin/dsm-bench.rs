//! What dsma-local answers in a second with many sobjects in its store: lookups, and pages of listings.
//!
//! Seen from clients on the same machine, TLS and JSON included, so that each figure is an upper bound of the server's own time. The
//! sobjects are imported through the interface by all clients at once, which takes a minute or two and is a row too: unlike rows that
//! SQL would write into the file, they have whatever the store keeps beside a sobject.
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
    let (filled, kids) = fill(dsm, args);
    let mut rows = vec![filled];
    let by_kid: Vec<Value> = kids.iter().map(|kid| json!({"kid": kid})).collect();
    let by_name: Vec<Value> = (0..args.sobjects).map(|number| json!({"name": name(number)})).collect();
    for (by, descriptors) in [("kid", by_kid), ("name", by_name)] {
        eprintln!("lookups by {by}");
        rows.push(lookups(dsm, args, by, &descriptors));
    }
    let (middle, last) = (args.sobjects / 2, args.sobjects.saturating_sub(1000));
    let metadata = format!("custom_metadata.label={}", name(middle));
    for (what, query) in [
        ("first 100", "limit=100".to_owned()),
        ("first 1000", "limit=1000".to_owned()),
        ("middle 1000", format!("limit=1000&offset={middle}")),
        ("middle 1000 by name", format!("limit=1000&sort=name:asc&offset={middle}")),
        ("1000 after a name, descending", format!("limit=1000&sort=name:desc&start={}", name(middle))),
        ("last 1000", format!("limit=1000&offset={last}")),
        ("100 with metadata", "limit=100&with_metadata=true".to_owned()),
        ("1000 from the middle with metadata", format!("limit=1000&offset={middle}&with_metadata=true")),
        ("one by name", format!("name={}", name(middle))),
        ("one by pkcs11_label", format!("pkcs11_label={}", name(middle))),
        ("one by custom metadata", metadata),
        ("none by type", "obj_type=RSA".to_owned()),
        ("filter: size and type, none fits", filter(&json!({"$and": [{"key_size": {"$gte": 128}}, {"obj_type": "RSA"}]}))),
        ("filter: size or type, 100 of all", filter(&json!({"$or": [{"key_size": {"$gte": 128}}, {"obj_type": "RSA"}]})) + "&limit=100"),
        ("filter: text of the name", filter(&json!({"name": {"$text": {"$search": "7777"}}}))),
        ("filter: text of the name, with metadata", filter(&json!({"name": {"$text": {"$search": "7777"}}})) + "&with_metadata=true"),
    ] {
        eprintln!("listing {what}");
        rows.push(page(dsm, what, &query));
    }
    rows
}

/// The query of a filter expression.
fn filter(expression: &Value) -> String {
    format!("filter={}", expression.to_string().replace('{', "%7B").replace('}', "%7D").replace('"', "%22"))
}

fn name(number: u32) -> String {
    format!("key-{number}")
}

/// Imports the sobjects, all clients at once, and returns their ids.
fn fill(dsm: &Dsm, args: &Args) -> (Row, Vec<Value>) {
    let next = AtomicU32::new(0);
    let began = Instant::now();
    let import = || {
        let mut kids = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= args.sobjects {
                return kids;
            }
            let metadata = json!({"label": name(number), "owner": "dsm-bench"});
            let value = "AAECAwQFBgcICQoLDA0ODw==";
            let spec = json!({"name": name(number), "obj_type": "AES", "value": value, "custom_metadata": metadata});
            kids.push(dsm.request("PUT", "/crypto/v1/keys", Some(spec)).success().json()["kid"].take());
        }
    };
    let kids = at_once(args.clients, import).concat();
    let rate = f64::from(args.sobjects) / began.elapsed().as_secs_f64();
    (Row { what: "imports, each durable before its answer".into(), figure: rate, unit: "per second", target: None }, kids)
}

/// Looks up one sobject after the other, each client beginning elsewhere.
fn lookups(dsm: &Dsm, args: &Args, by: &str, descriptors: &[Value]) -> Row {
    let next = AtomicU32::new(0);
    let until = Instant::now() + Duration::from_secs(args.seconds.into());
    let ask = || {
        let mut count = 0;
        while Instant::now() < until {
            // A step that has no divisor in common with 100,000 meets them all, far from each other.
            let place = next.fetch_add(7919, Ordering::Relaxed) as usize % descriptors.len();
            dsm.request("POST", "/crypto/v1/keys/info", Some(descriptors[place].clone())).success();
            count += 1;
        }
        count
    };
    let count: u32 = at_once(args.clients, ask).into_iter().sum();
    let figure = f64::from(count) / f64::from(args.seconds);
    Row { what: format!("lookups by {by}"), figure, unit: "per second", target: Some(LOOKUPS) }
}

/// What each of the clients returns, all having worked at the same time.
fn at_once<T: Send>(clients: u16, work: impl Fn() -> T + Sync) -> Vec<T> {
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..clients).map(|_| scope.spawn(&work)).collect();
        clients.into_iter().map(|client| client.join().expect("a client ends without a panic")).collect()
    })
}

/// The median of nine.
fn page(dsm: &Dsm, what: &str, query: &str) -> Row {
    let path = format!("/crypto/v1/keys?{query}");
    let mut times = [(); 9].map(|()| {
        let began = Instant::now();
        dsm.request("GET", &path, None).success();
        began.elapsed()
    });
    times.sort();
    Row { what: format!("page: {what}"), figure: times[4].as_secs_f64() * 1000.0, unit: "ms", target: Some(PAGE_MILLIS) }
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
