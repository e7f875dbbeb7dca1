//! How a scenario ends, and the report of all.

use std::fmt;
use std::process::ExitCode;

/// What a scenario returns.
pub(crate) type Outcome = Result<(), Failure>;

/// Why a scenario did not hold.
pub(crate) enum Failure {
    /// The crate's own error: DSM's refusal, or a reply that the crate cannot read.
    Client(sdkms::Error),
    /// What came back is wrong.
    Wrong(String),
}

impl From<sdkms::Error> for Failure {
    fn from(error: sdkms::Error) -> Self {
        Self::Client(error)
    }
}

impl From<openssl::error::ErrorStack> for Failure {
    fn from(error: openssl::error::ErrorStack) -> Self {
        Self::Wrong(format!("OpenSSL: {error}"))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client(error) => write!(f, "{error:?}"),
            Self::Wrong(text) => f.write_str(text),
        }
    }
}

impl Failure {
    /// Whether DSM said that it does not have what was asked for, instead of doing it wrongly.
    fn is_missing(&self) -> bool {
        match self {
            Self::Client(sdkms::Error::NotFound(text)) => text == "No such endpoint",
            Self::Client(sdkms::Error::BadRequest(text)) => text.contains("not supported"),
            Self::Client(sdkms::Error::StatusCode(text)) => text.starts_with("405"),
            _ => false,
        }
    }
}

/// Fails with a text where a condition does not hold.
pub(crate) fn expect(holds: bool, what: impl Into<String>) -> Outcome {
    if holds { Ok(()) } else { Err(Failure::Wrong(what.into())) }
}

/// Takes what a reply must have.
pub(crate) fn present<T>(value: Option<T>, what: &str) -> Result<T, Failure> {
    value.ok_or_else(|| Failure::Wrong(format!("the reply has no {what}")))
}

/// The refusal of a request that must be refused.
pub(crate) fn refusal<T>(reply: Result<T, sdkms::Error>) -> Result<sdkms::Error, Failure> {
    match reply {
        Ok(_) => Err(Failure::Wrong("DSM did what it had to refuse".into())),
        Err(error) => Ok(error),
    }
}

/// Scenarios that this DSM is known not to have yet, by the beginning of their names, each with its reason. Every other NONE fails the run,
/// and so does an entry here that has become untrue.
const EXPECTED_MISSING: &[(&str, &str)] = &[];

/// What passed, failed and is missing.
#[derive(Default)]
pub(crate) struct Report {
    passed: usize,
    failed: usize,
    missing: usize,
}

impl Report {
    pub(crate) fn add(&mut self, name: &str, outcome: Outcome) {
        let expected = EXPECTED_MISSING.iter().find(|(known, _)| name.starts_with(known));
        match outcome {
            Ok(()) if expected.is_some() => {
                self.failed += 1;
                println!("FAIL {name}\n     it is there now: take it from EXPECTED_MISSING");
            }
            Ok(()) => {
                self.passed += 1;
                println!("PASS {name}");
            }
            Err(failure) if failure.is_missing() => {
                let reason = expected.map(|(_, reason)| *reason);
                *if reason.is_some() { &mut self.missing } else { &mut self.failed } += 1;
                println!("NONE {name}\n     {failure}\n     {}", reason.unwrap_or("nobody expects this to be missing"));
            }
            Err(failure) => {
                self.failed += 1;
                println!("FAIL {name}\n     {failure}");
            }
        }
    }

    /// Prints the last line.
    pub(crate) fn conclude(self) -> ExitCode {
        println!("{} passed, {} failed, {} known not to be in this DSM", self.passed, self.failed, self.missing);
        if self.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}
