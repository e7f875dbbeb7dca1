//! Why a command fails, with the mend.

use std::path::PathBuf;

use thiserror::Error;

/// What ends the program with 1.
#[derive(Debug, Error)]
#[non_exhaustive]
pub(crate) enum Error {
    /// A file cannot be read.
    #[error("{} cannot be read: {source}; check its path, and that you may read it", path.display())]
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
    #[error("{} cannot be written: {source}; check that its directory is there and you may write to it", path.display())]
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
    /// The URL of CCM is none that can be called.
    #[error("the CCM endpoint {endpoint:?} cannot be used: it must begin with https:// and not end with /")]
    CcmEndpoint {
        /// As it was given.
        endpoint: String,
    },
    /// The file with the measurements holds none.
    #[error("{} is no build info: {problem}; take the build_info.json of the package, or the output of nitro-cli build-enclave", path.display())]
    BuildInfo {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// No password can be read.
    #[error("the password cannot be read: {source}; run it on a terminal, or put the password in CCM_PASSWORD")]
    Password {
        /// The system's answer.
        source: std::io::Error,
    },
    /// A service does not answer.
    #[error("{endpoint} does not answer: {source}; where its CA is one of your own, name it in SSL_CERT_FILE")]
    CcmUnreachable {
        /// Its URL.
        endpoint: String,
        /// What the client met.
        source: Box<ureq::Error>,
    },
    /// A service says no.
    #[error("CCM refused to {what}: {message} (status {status})")]
    CcmRefused {
        /// What was tried.
        what: &'static str,
        /// As over HTTP.
        status: u16,
        /// The service's words.
        message: String,
    },
    /// A service answers what it never should.
    #[error("{endpoint} answers what no CCM answers: {problem}; is it the right endpoint?")]
    OddAnswer {
        /// Its URL.
        endpoint: String,
        /// What is wrong with the answer.
        problem: &'static str,
    },
    /// The app is in another group.
    #[error("app {app:?} exists in group {group}: give that with --group-id, or another name with --app-name")]
    OtherGroup {
        /// Its name.
        app: String,
        /// Its group.
        group: String,
    },
    /// The measurements are those of another app's build.
    #[error("build {build} of app {app:?} has these measurements, and an account knows each but once: use that app, or delete that build")]
    OtherApp {
        /// The other app's name.
        app: String,
        /// Its build.
        build: String,
    },
    /// Somebody has decided against the build.
    #[error("build {build} was rejected: delete it in CCM to ask again")]
    Rejected {
        /// The build.
        build: String,
    },
    /// The approval was not enough.
    #[error("could not {what} alone: task {task} awaits other approvals in CCM")]
    Undecided {
        /// What was tried.
        what: &'static str,
        /// The task.
        task: String,
    },
}

/// A service's words as a terminal may show them: on one line, and not without end.
pub(crate) fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(1000).collect()
}

impl Error {
    pub(crate) fn unusable(problem: &'static str) -> Self {
        Self::Unusable { problem }
    }
}
