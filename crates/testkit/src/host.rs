//! enclave-host as an ordinary process in front of a [`Stack`].

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::process::Process;
use crate::{Dsm, Stack, programs};

/// A running enclave-host. Dropping it ends the program.
pub struct Host {
    process: Process,
    endpoint: String,
    tls: TempDir,
    api_key: String,
}

impl Host {
    /// Starts enclave-host for `stack`'s DSM with the default app's API key as its own identity, on a free port, with a certificate
    /// made for it, unless `env` has a `TLS_KEY_ID`. `env` adds to the environment or overrides it. Returns when the service listens; it
    /// may still be connecting to DSM. With `NITRO_ENABLED=true` among `env` it runs under `dsma-local with-nsm`, and has no API key.
    ///
    /// # Panics
    /// Where it does not come up within a minute; the message holds its output.
    #[must_use]
    pub fn start(stack: &Stack, env: &[(&str, &str)]) -> Self {
        let tls = tempfile::Builder::new().prefix("enclave-host.").tempdir().expect("a temporary directory");
        let (key, certificate) = make_certificate(tls.path());
        let attested = env.contains(&("NITRO_ENABLED", "true"));
        let mut command = if attested {
            let mut command = Command::new(programs::dsma_local());
            command.args(["with-nsm", "--state"]).arg(stack.state_dir()).arg("--").arg(programs::enclave_host());
            command
        } else {
            Command::new(programs::enclave_host())
        };
        for (name, _) in std::env::vars_os() {
            if is_setting(&name.to_string_lossy()) {
                command.env_remove(name);
            }
        }
        if !env.iter().any(|(name, _)| *name == "TLS_KEY_ID") {
            command.arg("--tls-files").args([&key, &certificate]);
        }
        command
            .env("FORTANIX_API_ENDPOINT", stack.endpoint())
            .env("FORTANIX_API_KEY", if attested { String::new() } else { stack.api_key() })
            .env("FORTANIX_CA_FILE", stack.ca_file())
            .env("PORT", "0")
            .env("RUST_LOG", "info")
            .envs(env.iter().copied());
        let process = Process::start("enclave-host", &command, Some(tls.path()));
        let line = process.wait_for("Listening on port: ");
        let port = line.rsplit(' ').next().unwrap_or_default();
        let endpoint = format!("https://localhost:{port}");
        Self { process, endpoint, tls, api_key: stack.api_key() }
    }

    /// URL of the service, without a trailing slash.
    #[must_use]
    pub fn endpoint(&self) -> String {
        self.endpoint.clone()
    }

    /// The certificate to trust, PEM; of no use where the service has its TLS key in DSM.
    #[must_use]
    pub fn ca_file(&self) -> PathBuf {
        self.tls.path().join("certificate.pem")
    }

    /// A client of the service with `stack`'s default API key; use [`Dsm::with`] for another credential.
    #[must_use]
    pub fn client(&self, stack: &Stack) -> Dsm {
        stack.client_of(&self.endpoint, &self.ca_file(), &self.api_key)
    }

    /// What the service has printed so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Waits until a line of the log contains `text`, and returns that line.
    ///
    /// # Panics
    /// Where no such line comes within a minute.
    pub fn wait_log(&self, text: &str) -> String {
        self.process.wait_for(text)
    }

    /// The program's process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Stops the service (SIGTERM) and returns its exit code.
    ///
    /// # Panics
    /// Where it does not stop within a minute.
    #[must_use]
    pub fn stop(self) -> i32 {
        self.process.stop()
    }
}

/// Whether a variable of ours, set by whoever runs the tests, would change what the service does.
fn is_setting(name: &str) -> bool {
    const NAMES: [&str; 11] = [
        "DSMA_CERT_FILE",
        "DSMA_KEY_FILE",
        "DSMA_APP_ID",
        "TLS_KEY_ID",
        "PORT",
        "IDLE_TIMEOUT",
        "CACHE_TTL",
        "BEARER_AUTH_ENABLED",
        "NITRO_ENABLED",
        "NODE_AGENT",
        "IDENTITY",
    ];
    name.starts_with("FORTANIX_") || NAMES.contains(&name)
}

/// A self-signed certificate for localhost and its key: clients trust the certificate itself.
fn make_certificate(dir: &Path) -> (PathBuf, PathBuf) {
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).expect("a certificate for localhost");
    let (key, certificate) = (dir.join("key.pem"), dir.join("certificate.pem"));
    std::fs::write(&key, made.signing_key.serialize_pem()).expect("the key is written");
    std::fs::write(&certificate, made.cert.pem()).expect("the certificate is written");
    (key, certificate)
}
