//! Fortanix's crates `em-client` 4.0.2, `em-node-agent-client` 1.0.0 and `em-app` 0.5.3, as published, against dsma-local.
//!
//! ```text
//! interop-ccm             em-client against CCM, em-node-agent-client against the node agent
//! interop-ccm attested    em-app, under `dsma-local with-nsm`: it attests and gets a certificate, of a build that is approved
//! ```
//!
//! Run inside `with-stack`, whose variables name both. The last line counts what passed and what failed.

mod agent;
mod ccm;
mod enclave;

use std::error::Error;
use std::process::ExitCode;

/// Why a scenario did not hold.
type Failure = Box<dyn Error>;

/// A scenario: what it does, as a person reads it, and how.
type Scenario = (&'static str, fn() -> Result<(), Failure>);

fn main() -> ExitCode {
    let scenarios = match std::env::args().nth(1).as_deref() {
        None => [ccm::SCENARIOS, agent::SCENARIOS].concat(),
        Some("attested") => enclave::SCENARIOS.to_vec(),
        Some(_) => {
            eprintln!("usage: interop-ccm [attested]");
            return ExitCode::from(2);
        }
    };
    let mut failed = 0;
    for (name, run) in &scenarios {
        match run() {
            Ok(()) => println!("PASS {name}"),
            Err(problem) => {
                failed += 1;
                println!("FAIL {name}\n     {problem}");
            }
        }
    }
    println!("{} passed, {failed} failed", scenarios.len() - failed);
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A variable that `with-stack` sets.
fn variable(name: &str) -> Result<String, Failure> {
    std::env::var(name).map_err(|_| format!("{name} is not set: run it inside with-stack").into())
}

fn expect(holds: bool, what: impl Into<String>) -> Result<(), Failure> {
    if holds { Ok(()) } else { Err(what.into().into()) }
}
