//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgAction, ArgMatches, CommandFactory, FromArgMatches, Parser};

use crate::cli::Command;
use crate::passphrase::Source;

/// An embedded Fortanix DSM: keys, apps, groups, sessions and an audit log on this machine.
#[derive(Parser)]
#[command(version, about, max_term_width = 120, after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Directory of the state: made at the first start, found again by the next ones
    #[arg(long, value_name = "DIR", env = "DSMA_LOCAL_STATE", global = true)]
    state: Option<PathBuf>,

    /// The sealing key of the state is under the passphrase that is read there: `prompt`, `file:PATH` (first line), `fd:NUMBER` or
    /// `env:NAME`. Where the state is new, its key is put under it. Without this, the key is in a file that only its owner may read
    #[arg(long, value_name = "SOURCE", global = true)]
    pub(crate) passphrase: Option<Source>,

    /// DSM answers on this port of localhost; further services take the ports after it; 0 takes free ports
    #[arg(long, value_name = "N", default_value_t = 4440)]
    pub(crate) port_base: u16,

    /// A session ends after this many seconds without a call
    #[arg(long, value_name = "SECONDS", default_value_t = 600, value_parser = clap::value_parser!(u32).range(1..))]
    session_idle_seconds: u32,

    /// Whether a caller whose own approval satisfies a group's quorum policy may act without an approval request. DSM's
    /// documentation leaves this open; with `off` such a caller requests, approves and fetches the result
    #[arg(long, value_name = "on|off", default_value = "on", action = ArgAction::Set, value_parser = on_or_off)]
    pub(crate) quorum_auto_satisfy: bool,

    /// Commands print JSON as DSM answers it
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// Without a command, DSM is served until a signal ends it
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

impl Args {
    /// The command line; ends the program with a usage message where it is not understood.
    pub(crate) fn read() -> Self {
        let matches = Self::command().get_matches();
        let args = Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
        if let Some(problem) = args.idle(&matches) {
            Self::command().error(ErrorKind::ArgumentConflict, problem).exit();
        }
        args
    }

    /// Why an option is there that would do nothing.
    fn idle(&self, matches: &ArgMatches) -> Option<String> {
        let given = |id: &&str| matches.value_source(id) == Some(ValueSource::CommandLine);
        let option = |id: &str| format!("--{}", id.replace('_', "-"));
        match &self.command {
            None => Some("json").filter(given).map(|id| format!("{} is for commands: an instance that serves prints no table", option(id))),
            Some(command) => {
                // The files that `init` writes name the ports.
                let ports = if matches!(command, Command::Init) { None } else { Some("port_base") };
                let idle = ports.into_iter().chain(["session_idle_seconds", "quorum_auto_satisfy"]).find(given);
                idle.map(|id| format!("{} is for the instance that serves, not for a command: leave it out", option(id)))
            }
        }
    }

    /// `--state`; ends the program with a usage message where it is missing.
    pub(crate) fn state(&self) -> PathBuf {
        match &self.state {
            Some(state) => state.clone(),
            None => Self::command()
                .error(ErrorKind::MissingRequiredArgument, "--state DIR is missing: give it, or set DSMA_LOCAL_STATE (`. DIR/env` does)")
                .exit(),
        }
    }

    /// `--session-idle-seconds`.
    pub(crate) fn session_idle(&self) -> Duration {
        Duration::from_secs(self.session_idle_seconds.into())
    }
}

fn on_or_off(text: &str) -> Result<bool, &'static str> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err("on or off is expected"),
    }
}

const EXAMPLES: &str = "\
Examples:
  Start it, and wait for the line that begins with `ready`:
    dsma-local --state ~/dsm

  Talk to it from another shell:
    . ~/dsm/env
    curl --cacert $FORTANIX_CA_FILE -H \"Authorization: Basic $FORTANIX_API_KEY\" $FORTANIX_API_ENDPOINT/crypto/v1/keys

  Make an AES key that may be exported:
    curl --cacert $FORTANIX_CA_FILE -H \"Authorization: Basic $FORTANIX_API_KEY\" $FORTANIX_API_ENDPOINT/crypto/v1/keys \\
      -d '{\"name\":\"first\",\"obj_type\":\"AES\",\"key_size\":256,\"key_ops\":[\"ENCRYPT\",\"DECRYPT\",\"EXPORT\",\"APPMANAGEABLE\"]}'

  The same, and some more, without curl, while it runs or not:
    dsma-local --state ~/dsm key add first --exportable
    dsma-local --state ~/dsm key add tls --type RSA --import server-key.pem
    dsma-local --state ~/dsm app add web --permissions ENCRYPT,DECRYPT
    dsma-local --state ~/dsm key ls
    dsma-local --state ~/dsm backup dsm.backup

  Keep the keys under a passphrase; change it, with the instance stopped:
    dsma-local --state ~/dsm --passphrase prompt
    dsma-local --state ~/dsm --passphrase prompt passphrase set file:/run/secrets/dsm

  Two of them side by side:
    dsma-local --state /tmp/a --port-base 0
    dsma-local --state /tmp/b --port-base 0

  Start afresh: stop it and delete its directory.

A command ends with 0, with 1 where it is refused or fails, and with 2 where it is not understood.
RUST_LOG sets what is logged on stderr (default: info; for commands, error).";
