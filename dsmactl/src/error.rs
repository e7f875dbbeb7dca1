//! Why a command fails, with the mend.

use std::path::PathBuf;

use thiserror::Error;

/// What ends the program with 1.
#[derive(Debug, Error)]
#[non_exhaustive]
pub(crate) enum Error {
    /// A file cannot be read.
    #[error("{} cannot be read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// An attestation document, or a root for it, is refused.
    #[error("refused by the rule of {}: {source}", source.rule())]
    Attest {
        /// The rule, and what was seen.
        #[from]
        source: dsma_attest::Error,
    },
    /// A file cannot be written.
    #[error("{} cannot be written: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// A file does not hold what it should.
    #[error("{} {problem}", path.display())]
    Input {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and the mend.
        problem: String,
    },
    /// There is no API key that could be used.
    #[error("no API key: set API_KEY to the API key of an app, or type it at the prompt")]
    NoApiKey,
    /// The address of the service.
    #[error("`{endpoint}` is no address of a service: write https://host[:port] without a trailing slash")]
    Endpoint {
        /// As given.
        endpoint: String,
    },
    /// The service, or its certificate's trust, cannot be had.
    #[error("{endpoint} cannot be reached: {problem}")]
    Unreachable {
        /// As given.
        endpoint: String,
        /// Why, and the mend where there is one.
        problem: String,
    },
    /// The service's own words.
    #[error("the service refuses, status {status}: {text}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// Its text.
        text: String,
    },
    /// The service's answer is not what was asked for.
    #[error("the answer of the service cannot be used: {problem}; check that the address is that of an enclave-host")]
    Unusable {
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The process has not what it needs.
    #[error("a connection cannot be set up: {source}; check the limits on processes and open files")]
    Runtime {
        /// The system's answer.
        source: std::io::Error,
    },
}

impl Error {
    pub(crate) fn unusable(problem: &'static str) -> Self {
        Self::Unusable { problem }
    }
}
