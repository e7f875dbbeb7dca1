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
}
