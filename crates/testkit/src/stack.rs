//! dsma-local on free ports with a state directory of its own.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tempfile::TempDir;

use crate::dsm::Account;
use crate::ports::Ports;
use crate::process::Process;
use crate::{Credential, Dsm, Identity, programs};

/// A running dsma-local. Dropping it ends the program and removes its state.
pub struct Stack {
    // The order matters: the program ends before its state goes.
    process: Mutex<Option<Process>>,
    env: BTreeMap<String, String>,
    state: Option<TempDir>,
    /// Further arguments, for this start and each restart.
    args: Vec<String>,
    ports: Ports,
    owner: u32,
}

impl Stack {
    /// Starts dsma-local with an empty state and waits until it answers.
    ///
    /// # Panics
    /// Where it does not come up within a minute; the message holds its output.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// As [`Stack::start`], with further arguments on the command line.
    ///
    /// # Panics
    /// As [`Stack::start`].
    #[must_use]
    pub fn start_with(args: &[&str]) -> Self {
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        let state = tempfile::Builder::new().prefix("dsma-local.").tempdir().expect("a temporary directory");
        let launched = Ports::free().find_map(|ports| match launch(state.path(), ports.base, &args) {
            Ok(process) => Some((ports, process)),
            Err(why) if why.contains("cannot be bound") => None,
            Err(why) => panic!("{why}"),
        });
        let (ports, process) = launched.expect("free ports");
        let env = read_env(state.path());
        Self { process: Mutex::new(Some(process)), env, state: Some(state), args, ports, owner: std::process::id() }
    }

    /// The state directory.
    #[must_use]
    pub fn state_dir(&self) -> &Path {
        self.state.as_ref().expect("held until drop").path()
    }

    /// A variable of `DIR/env`.
    ///
    /// # Panics
    /// Where the file has none of that name.
    #[must_use]
    #[track_caller]
    pub fn env(&self, name: &str) -> String {
        self.env.get(name).unwrap_or_else(|| panic!("{}/env does not set {name}", self.state_dir().display())).clone()
    }

    /// Every variable of `DIR/env`.
    pub fn variables(&self) -> impl Iterator<Item = (&str, &str)> {
        self.env.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// URL of DSM, without a trailing slash.
    #[must_use]
    pub fn endpoint(&self) -> String {
        self.env("FORTANIX_API_ENDPOINT")
    }

    /// URL of DSM where it asks for client certificates, without a trailing slash.
    #[must_use]
    pub fn apps_endpoint(&self) -> String {
        self.env("FORTANIX_APPS_ENDPOINT")
    }

    /// API key of the default app: all classic permissions in the default group.
    #[must_use]
    pub fn api_key(&self) -> String {
        self.env("FORTANIX_API_KEY")
    }

    /// API key of the admin app.
    #[must_use]
    pub fn admin_key(&self) -> String {
        self.env("DSMA_LOCAL_ADMIN_API_KEY")
    }

    /// The dev CA's certificate, PEM.
    #[must_use]
    pub fn ca_file(&self) -> PathBuf {
        self.env("FORTANIX_CA_FILE").into()
    }

    /// A library configuration that is ready to use.
    #[must_use]
    pub fn pkcs11_conf(&self) -> PathBuf {
        self.state_dir().join("pkcs11.conf")
    }

    /// A client with the default app's API key.
    #[must_use]
    pub fn dsm(&self) -> Dsm {
        self.dsm_as(&self.api_key())
    }

    /// A client with this API key.
    #[must_use]
    pub fn dsm_as(&self, api_key: &str) -> Dsm {
        self.client_of(&self.endpoint(), &self.ca_file(), api_key)
    }

    /// A client of the endpoint that asks for client certificates. It presents this one, where there is one, and names this app, where
    /// one is named.
    #[must_use]
    pub fn apps(&self, identity: Option<&Identity>, app_id: Option<&str>) -> Dsm {
        let credential = app_id.map(|id| Credential::Basic(base64_simd::STANDARD.encode_to_string(format!("{id}:"))));
        let client = self.client_of(&self.apps_endpoint(), &self.ca_file(), "").with(credential.unwrap_or(Credential::None));
        match identity {
            Some(identity) => client.presenting(&self.ca_file(), identity),
            None => client,
        }
    }

    /// A client with the admin app's API key.
    #[must_use]
    pub fn admin(&self) -> Dsm {
        self.dsm_as(&self.admin_key())
    }

    /// Stops the program cleanly (SIGTERM) and keeps its state. Does nothing where it is stopped already. Returns what it had printed.
    ///
    /// # Panics
    /// Where it does not stop within a minute, or not with success.
    pub fn stop(&self) -> String {
        let Some(process) = self.process().take() else { return String::new() };
        let (code, log) = process.end();
        assert_eq!(code, 0, "dsma-local did not end cleanly on SIGTERM:\n{log}");
        log
    }

    /// Stops it, if it runs, and starts it again on the same state and the same ports.
    ///
    /// # Panics
    /// As [`Stack::stop`] and [`Stack::start`].
    pub fn restart(&self) {
        self.stop();
        let process = launch(self.state_dir(), self.ports.base, &self.args);
        *self.process() = Some(process.unwrap_or_else(|why| panic!("{why}")));
    }

    /// What the program has printed since it was started last.
    #[must_use]
    pub fn log(&self) -> String {
        self.process().as_ref().map(Process::log).unwrap_or_default()
    }

    /// The program's process id, where it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.process().as_ref().map(Process::pid)
    }

    /// A client of this DSM or of something in front of it.
    pub(crate) fn client_of(&self, endpoint: &str, ca_file: &Path, api_key: &str) -> Dsm {
        let account = Account { admin_key: self.admin_key(), default_group: self.env("DSMA_LOCAL_GROUP_ID") };
        Dsm::connect(endpoint, ca_file, Credential::Basic(api_key.to_owned())).in_account(account)
    }

    fn process(&self) -> MutexGuard<'_, Option<Process>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // In a fork of the test process the state is the parent's.
        if self.owner != std::process::id() {
            std::mem::forget(self.state.take());
        }
    }
}

fn launch(state: &Path, port_base: u16, args: &[String]) -> Result<Process, String> {
    let mut command = Command::new(programs::dsma_local());
    command.arg("--state").arg(state).args(["--port-base", &port_base.to_string()]).args(args);
    let process = Process::start("dsma-local", &command, Some(state));
    match process.until("ready") {
        Ok(_) => Ok(process),
        Err(why) => {
            // Unlike a drop, it leaves the state alone.
            process.stop();
            Err(why)
        }
    }
}

/// Reads `export NAME='value'` lines, as dsma-local writes them.
fn read_env(state: &Path) -> BTreeMap<String, String> {
    let path = state.join("env");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let line = |line: &str| {
        let (name, value) = line.strip_prefix("export ")?.split_once('=')?;
        Some((name.to_owned(), value.trim_matches('\'').to_owned()))
    };
    text.lines().filter_map(line).collect()
}
