//! `passphrase set` and `passphrase remove`: how the sealing key lies in its file. The key itself stays.

use std::path::Path;

use clap::Subcommand;

use super::output::print;
use crate::error::Error;
use crate::passphrase::Source;
use crate::state_dir::StateDir;
use crate::store::protect_key_file;

/// `dsma-local passphrase`.
#[derive(Subcommand)]
pub(crate) enum Passphrase {
    /// Put the sealing key under a passphrase, or under another one
    #[command(after_help = "Examples:\n  \
        dsma-local --state ~/dsm passphrase set prompt\n  \
        dsma-local --state ~/dsm --passphrase prompt passphrase set file:/run/secrets/dsm")]
    Set {
        /// Where the new one is read: `prompt`, `file:PATH` (first line), `fd:NUMBER` or `env:NAME`
        source: Source,
    },
    /// Leave the sealing key in a file that only its owner may read
    Remove,
}

impl Passphrase {
    /// `current` is where the present passphrase is read, where there is one.
    pub(super) fn run(self, path: &Path, current: Option<&Source>) -> Result<(), Error> {
        if !path.join("store.db").exists() {
            return Err(Error::NoState { path: path.to_owned() });
        }
        let state = StateDir::open(path)?.with_passphrase(current);
        let done = match self {
            Self::Set { source } => {
                protect_key_file(&state, Some(&source))?;
                "is under the new passphrase: whoever loses it loses the keys. Older backups still open with what they were made with"
            }
            Self::Remove => {
                protect_key_file(&state, None)?;
                "is under no passphrase any more"
            }
        };
        print(&format!("the sealing key of {} {done}\n", path.display()))
    }
}
