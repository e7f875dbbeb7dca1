//! The way to DSM: the running instance, or the store itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig};

use crate::dsm::{self, Dsm, Settings};
use crate::error::Error;
use crate::passphrase::Source;
use crate::state_dir::StateDir;
use crate::store::Store;

/// Long enough for the generation of a large RSA key.
const PATIENCE: Duration = Duration::from_secs(600);

/// DSM, as its default admin app sees it.
pub(super) struct Client {
    way: Way,
    api_key: String,
    default_group: String,
}

enum Way {
    /// Over TLS.
    Running { agent: ureq::Agent, endpoint: String },
    /// In this process. The lock goes with the directory.
    Here { dsm: Arc<Dsm>, _state: StateDir },
}

impl Client {
    /// Finds out whether an instance runs on the directory.
    pub(super) fn open(state: &Path, passphrase: Option<&Source>) -> Result<Self, Error> {
        if !state.join("store.db").exists() {
            return Err(Error::NoState { path: state.to_owned() });
        }
        match StateDir::open(state) {
            Ok(state) => Self::here(state.with_passphrase(passphrase)),
            Err(Error::InUse { path }) => Self::running(&path),
            Err(error) => Err(error),
        }
    }

    /// One request. A refusal is an error with DSM's own words.
    pub(super) fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value, Error> {
        self.ask_as(&self.api_key, method, path, body)
    }

    /// One request of somebody else: `credential` is what follows `Basic`.
    pub(super) fn ask_as(&self, credential: &str, method: &str, path: &str, body: Option<&Value>) -> Result<Value, Error> {
        match &self.way {
            Way::Here { dsm, .. } => {
                let refused = |error: dsma_api::ApiError| Error::Refused { status: error.status, message: error.message.into_owned() };
                dsm.ask(credential, method, path, body).map_err(refused)
            }
            Way::Running { agent, endpoint } => {
                let unreachable = |source: ureq::Error| Error::Unreachable { endpoint: endpoint.clone(), source: Box::new(source) };
                let request = ureq::http::Request::builder()
                    .method(method)
                    .uri(format!("{endpoint}{path}"))
                    .header("Authorization", format!("Basic {credential}"));
                let request = request.body(body.map(Value::to_string).unwrap_or_default()).map_err(|error| unreachable(error.into()))?;
                let mut response = agent.run(request).map_err(unreachable)?;
                let text = response.body_mut().with_config().limit(256 << 20).read_to_string().map_err(unreachable)?;
                let status = response.status().as_u16();
                if !response.status().is_success() {
                    // On a terminal it must not do more than be read.
                    return Err(Error::Refused { status, message: text.chars().filter(|c| !c.is_control()).collect() });
                }
                Ok(if text.is_empty() { Value::Null } else { serde_json::from_str(&text)? })
            }
        }
    }

    /// Id of the group that came with the state.
    pub(super) fn default_group(&self) -> &str {
        &self.default_group
    }

    /// Writes what is in memory only.
    pub(super) fn close(self) {
        if let Way::Here { dsm, .. } = self.way {
            dsm.close();
        }
    }

    fn here(state: StateDir) -> Result<Self, Error> {
        let store = Store::open(&state)?;
        let account = dsm::provision(&store)?;
        let dsm = Arc::new(Dsm::new(store, Settings { session_idle: PATIENCE, auto_satisfy: true, ports: None }));
        let way = Way::Here { dsm, _state: state };
        Ok(Self { way, api_key: account.admin_key, default_group: account.group_id.to_string() })
    }

    /// The instance writes `env` before it answers; one that is about to start has an old one, or none.
    fn running(state: &Path) -> Result<Self, Error> {
        let file = |name: &str| -> Result<(PathBuf, String), Error> {
            let path = state.join(name);
            let text = fs::read_to_string(&path).map_err(|source| Error::File { path: path.clone(), action: "read", source })?;
            Ok((path, text))
        };
        let (path, env) = file("env")?;
        let variable = |name: &str| {
            let line = env.lines().find_map(|line| line.strip_prefix("export ")?.strip_prefix(name)?.strip_prefix('='));
            let value = line.map(|value| value.trim_matches('\'').to_owned());
            value.ok_or_else(|| Error::Damaged { path: path.clone(), problem: "a variable is missing" })
        };
        let way = Way::Running { agent: agent(&file("ca.pem")?.1), endpoint: variable("FORTANIX_API_ENDPOINT")? };
        Ok(Self { way, api_key: variable("DSMA_LOCAL_ADMIN_API_KEY")?, default_group: variable("DSMA_LOCAL_GROUP_ID")? })
    }
}

fn agent(ca_pem: &str) -> ureq::Agent {
    let roots: Vec<Certificate<'static>> = ureq::tls::parse_pem(ca_pem.as_bytes())
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    let tls = TlsConfig::builder()
        .root_certs(RootCerts::Specific(Arc::new(roots)))
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .build();
    let config = ureq::Agent::config_builder().tls_config(tls).http_status_as_error(false).allow_non_standard_methods(true);
    config.proxy(None).timeout_global(Some(PATIENCE)).build().new_agent()
}
