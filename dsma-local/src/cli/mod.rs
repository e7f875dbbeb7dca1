//! Subcommands for a person: nobody needs curl to get a key in.
//!
//! They speak DSM's own interface as the default admin app: to the instance that runs on the state directory, over TLS like any client,
//! or, where none runs, to the same handlers in this process, under the directory's lock. So a command cannot do what a client could
//! not, and all of it is in the audit log.

mod backup;
mod client;
mod commands;
mod output;
mod passphrase;
mod users;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;

use self::client::Client;
use self::output::Output;
use self::passphrase::Passphrase;
use crate::args::Args;
use crate::error::Error;
use crate::nsm::{self, WithNsm};
use crate::passphrase::Source;

/// What to do instead of serving.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Make the state directory, with its first group and apps, and do not serve
    Init,
    /// Users, who log in with a password: ls, add, show
    #[command(subcommand)]
    User(users::User),
    /// Groups: ls, add, show
    #[command(subcommand)]
    Group(commands::Group),
    /// Apps and their API keys: ls, add, show
    #[command(subcommand)]
    App(commands::App),
    /// Keys and other security objects: ls, add, show
    #[command(subcommand)]
    Key(commands::Key),
    /// Set, change or remove the passphrase that the sealing key is under; no instance may run on the state
    #[command(subcommand)]
    Passphrase(Passphrase),
    /// Write everything into one file, also while an instance runs; the file holds the sealing key, and only its owner may read it
    Backup {
        /// The file, which must not exist
        file: PathBuf,
    },
    /// Make the state directory from a backup; it must not hold a state yet
    Restore {
        /// The file that `backup` wrote
        file: PathBuf,
    },
    /// Run a program for which /dev/nsm exists: an emulated Nitro Secure Module that this state's CCM account trusts
    #[command(after_help = nsm::EXAMPLES)]
    WithNsm(WithNsm),
}

/// Runs a command on the state directory and prints its result. Returns what the program is to end with.
pub(crate) fn run(command: Command, state: &Path, args: &Args) -> Result<ExitCode, Error> {
    let output = Output { json: args.json };
    let passphrase = args.passphrase.as_ref();
    let done = match command {
        Command::WithNsm(command) => return Ok(command.run(state)),
        Command::Init => backup::init(state, args.port_base, passphrase),
        Command::Passphrase(command) => command.run(state, passphrase),
        Command::Backup { file } => backup::backup(state, &file),
        Command::Restore { file } => backup::restore(&file, state, passphrase),
        Command::User(command) => with(state, passphrase, |client| command.run(client, output)),
        Command::Group(command) => with(state, passphrase, |client| command.run(client, output)),
        Command::App(command) => with(state, passphrase, |client| command.run(client, output)),
        Command::Key(command) => with(state, passphrase, |client| command.run(client, output)),
    };
    done.map(|()| ExitCode::SUCCESS)
}

fn with(state: &Path, passphrase: Option<&Source>, run: impl FnOnce(&Client) -> Result<(), Error>) -> Result<(), Error> {
    let client = Client::open(state, passphrase)?;
    let done = run(&client);
    client.close();
    done
}
