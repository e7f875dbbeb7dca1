//! Why dsma-local does not start, or a command fails, with the mend.

use std::path::PathBuf;

use thiserror::Error;

/// Failures outside of a request: at start-up, and of the store. A request turns a store failure into a 503.
#[derive(Debug, Error)]
#[non_exhaustive]
pub(crate) enum Error {
    /// A file of the state directory cannot be read or written.
    #[error("{} cannot be {action}: {source}; check the directory given with --state, its owner and the space left", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What was tried: `read`, `written`, ...
        action: &'static str,
        /// The system's answer.
        source: std::io::Error,
    },
    /// Another instance holds the directory's lock.
    #[error("{} is in use by another dsma-local; stop that one, or give this one another --state", path.display())]
    InUse {
        /// The state directory.
        path: PathBuf,
    },
    /// A file of the state directory does not hold what it should.
    #[error("{} is damaged: {problem}; restore the whole directory from a copy, or delete it to start afresh (its keys are lost then)", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The store was written by a later version of this program.
    #[error(
        "{} has schema version {found}, this dsma-local knows {known}: it was written by a newer one; run that one, or give another --state",
        path.display()
    )]
    Newer {
        /// The store.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// The passphrase of the sealing key is missing, wrong, or not fit to be one.
    #[error("the passphrase: {problem}")]
    Passphrase {
        /// What is wrong, with the mend.
        problem: String,
    },
    /// SQLite refused.
    #[error("the store failed: {0}")]
    Store(#[from] rusqlite::Error),
    /// A row does not hold what this program wrote.
    #[error("the store holds a row that cannot be read: {0}")]
    Row(#[from] serde_json::Error),
    /// A cryptographic operation of our own failed.
    #[error("cryptography failed: {0}")]
    Crypto(#[from] dsma_crypto::Error),
    /// A password cannot be hashed: there is no memory for it.
    #[error("a password cannot be hashed: {0}")]
    Password(argon2::Error),
    /// The root of the emulated NSM is none.
    #[error("the emulated NSM's root certificate cannot be used: {0}")]
    Attestation(dsma_attest::Error),
    /// A certificate cannot be made.
    #[error("the development CA cannot sign: {0}")]
    Certificate(#[from] rcgen::Error),
    /// TLS does not accept our certificate or key.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
    /// The port cannot be bound.
    #[error(
        "port {port} of localhost cannot be bound: {source}; stop what listens there, or give another --port-base (0 takes free ports)"
    )]
    Bind {
        /// The port.
        port: u16,
        /// The system's answer.
        source: std::io::Error,
    },
    /// A command needs a state, and there is none.
    #[error("{} holds no state; make one with `init`, or give another --state", path.display())]
    NoState {
        /// The directory.
        path: PathBuf,
    },
    /// A backup is not restored over a state.
    #[error("{} holds a state already; restore into another --state", path.display())]
    NotEmpty {
        /// The directory.
        path: PathBuf,
    },
    /// DSM refuses what a command asks for.
    #[error("{message} (status {status})")]
    Refused {
        /// As over HTTP.
        status: u16,
        /// DSM's words.
        message: String,
    },
    /// The instance that holds the state directory does not answer.
    #[error("{endpoint}, which runs on this state, does not answer: {source}; where it is just starting, try again")]
    Unreachable {
        /// Its URL.
        endpoint: String,
        /// What the client met.
        source: Box<ureq::Error>,
    },
    /// Measurements for the emulated NSM cannot be read.
    #[error("the image's measurements are not usable: {problem}; give what `nitro-cli build-enclave` prints, or a CCM build")]
    Measurements {
        /// What is wrong.
        problem: String,
    },
    /// The emulated NSM cannot make a certificate or a signature.
    #[error("the emulated NSM cannot sign")]
    Signing,
    /// The kernel does not take the filter.
    #[error(
        "the kernel does not let this process supervise another: {source}; Linux 5.14 with CONFIG_SECCOMP_FILTER is needed, and no \
             container policy against seccomp(2)"
    )]
    Filter {
        /// The system's answer.
        source: std::io::Error,
    },
    /// A process has one listener at most.
    #[error("this process runs under a supervisor already: with-nsm does not work inside with-nsm; leave the inner one away")]
    Nested,
    /// Supervising failed.
    #[error("the command cannot be supervised: {source}")]
    Supervise {
        /// The system's answer.
        source: std::io::Error,
    },
    /// The result of a command cannot be printed.
    #[error("the result cannot be printed: {source}")]
    Output {
        /// The system's answer.
        source: std::io::Error,
    },
    /// The runtime or its signal handlers cannot start.
    #[error("the runtime cannot start: {source}")]
    Runtime {
        /// The system's answer.
        source: std::io::Error,
    },
}
