//! A small blocking client of DSM's REST surface, and the calls that most tests begin with.
//!
//! It shares no code with the engine's client, so that the two check each other.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig};

use crate::Identity;

/// How a client says who it is.
#[derive(Clone)]
pub enum Credential {
    /// An API key: base64 of `app_id:secret`.
    Basic(String),
    /// A session's token.
    Bearer(String),
    /// Nothing.
    None,
}

/// A client with one credential, of DSM or of enclave-host. Keeps its connections; cheap to clone; may be used by many threads.
#[derive(Clone)]
pub struct Dsm {
    agent: ureq::Agent,
    endpoint: String,
    credential: Credential,
    account: Option<Account>,
}

/// What [`Dsm::new_app`], [`Dsm::new_group`] and [`Dsm::default_group`] need.
#[derive(Clone)]
pub(crate) struct Account {
    pub(crate) admin_key: String,
    pub(crate) default_group: String,
}

/// What came back, whatever the status.
#[derive(Clone, Debug)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Body: JSON where it succeeded, plain text where not.
    pub text: String,
    /// `X-Request-ID`, empty where absent.
    pub request_id: String,
    /// `Content-Type`, empty where absent.
    pub content_type: String,
}

impl Reply {
    /// The body as JSON.
    ///
    /// # Panics
    /// Where it is none; the message shows status and body.
    #[must_use]
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("no JSON ({e}) in this answer of status {}: {}", self.status, self.text))
    }

    /// This reply, if its status is a success.
    ///
    /// # Panics
    /// Where it is not; the message shows status and body.
    #[track_caller]
    pub fn success(self) -> Self {
        assert!((200..300).contains(&self.status), "status {}: {}", self.status, self.text);
        self
    }
}

impl Dsm {
    /// A client of `endpoint` (no trailing slash) that trusts the CA certificates of `ca_file` alone.
    ///
    /// # Panics
    /// Where `ca_file` holds no certificate.
    #[must_use]
    pub fn connect(endpoint: &str, ca_file: &Path, credential: Credential) -> Self {
        Self { agent: agent(ca_file, None), endpoint: endpoint.to_owned(), credential, account: None }
    }

    /// The same client over new connections, on which it presents this certificate.
    #[must_use]
    pub(crate) fn presenting(&self, ca_file: &Path, identity: &Identity) -> Self {
        Self { agent: agent(ca_file, Some(identity)), ..self.clone() }
    }

    pub(crate) fn in_account(self, account: Account) -> Self {
        Self { account: Some(account), ..self }
    }

    /// The same client with another credential and the same connections.
    #[must_use]
    pub fn with(&self, credential: Credential) -> Self {
        Self { credential, ..self.clone() }
    }

    /// Opens a session with this client's API key and returns a client that presents its token.
    ///
    /// # Panics
    /// Where DSM refuses the session.
    #[must_use]
    #[track_caller]
    pub fn login(&self) -> Self {
        let reply = self.request("POST", "/sys/v1/session/auth", None).success().json();
        let token = reply["access_token"].as_str().unwrap_or_else(|| panic!("no access_token in {reply}"));
        self.with(Credential::Bearer(token.to_owned()))
    }

    /// One request; `path` begins with `/`. Any status is a [`Reply`].
    ///
    /// # Panics
    /// Where no answer comes.
    #[track_caller]
    pub fn request(&self, method: &str, path: &str, body: Option<Value>) -> Reply {
        let bytes = body.map(|value| value.to_string().into_bytes());
        self.try_request(method, path, bytes).unwrap_or_else(|e| panic!("{method} {}{path}: {e}", self.endpoint))
    }

    /// One request with these very bytes as the body, JSON or not.
    ///
    /// # Errors
    /// Where no answer comes, for instance because nobody listens.
    pub fn try_request(&self, method: &str, path: &str, body: Option<Vec<u8>>) -> Result<Reply, ureq::Error> {
        let mut request = ureq::http::Request::builder().method(method).uri(format!("{}{path}", self.endpoint));
        match &self.credential {
            Credential::Basic(key) => request = request.header("Authorization", format!("Basic {key}")),
            Credential::Bearer(token) => request = request.header("Authorization", format!("Bearer {token}")),
            Credential::None => {}
        }
        let mut response = match body {
            Some(bytes) => self.agent.run(request.header("Content-Type", "application/json").body(bytes)?)?,
            None => self.agent.run(request.body(())?)?,
        };
        let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
        let (request_id, content_type) = (header("x-request-id"), header("content-type"));
        let text = response.body_mut().with_config().limit(64 << 20).read_to_string()?;
        Ok(Reply { status: response.status().as_u16(), text, request_id, content_type })
    }

    /// Makes a key and returns its kid. A name is made up where `spec` has none.
    ///
    /// # Panics
    /// Where DSM refuses.
    #[track_caller]
    pub fn create_key(&self, mut spec: Value) -> String {
        if spec.get("name").is_none_or(Value::is_null) {
            spec["name"] = json!(format!("testkit {}", uuid::Uuid::new_v4()));
        }
        let reply = self.request("POST", "/crypto/v1/keys", Some(spec)).success().json();
        reply["kid"].as_str().unwrap_or_else(|| panic!("no kid in {reply}")).to_owned()
    }

    /// The records of the audit log that this client may see, newest first.
    ///
    /// # Panics
    /// Where DSM refuses.
    #[must_use]
    #[track_caller]
    pub fn audit(&self) -> Vec<Value> {
        self.records("")
    }

    /// How often the audit log tells that `kid` was exported.
    #[must_use]
    #[track_caller]
    pub fn exports_of(&self, kid: &str) -> usize {
        self.uses_of(kid, "export")
    }

    /// How many records of the audit log about `kid` begin with the verb `operation` (a stem will do: `encrypt`, `sign`), in any
    /// letter case.
    #[must_use]
    #[track_caller]
    pub fn uses_of(&self, kid: &str, operation: &str) -> usize {
        let verb = operation.to_lowercase();
        let records = self.records(&format!("&object_id={kid}"));
        let begins = |record: &&Value| record["message"].as_str().is_some_and(|text| text.to_lowercase().starts_with(&verb));
        records.iter().filter(begins).count()
    }

    /// Makes an app (as the account's admin app, whoever this client is) with these permissions by group, and returns its API key.
    ///
    /// # Panics
    /// Where DSM refuses.
    #[track_caller]
    pub fn new_app(&self, name: &str, groups: &[(&str, &[&str])]) -> String {
        let admin = self.with(Credential::Basic(self.account().admin_key.clone()));
        let permissions: serde_json::Map<String, Value> = groups.iter().map(|(group, names)| ((*group).to_owned(), json!(names))).collect();
        let spec = json!({"name": name, "add_groups": permissions, "default_group": groups.first().map(|(group, _)| group)});
        let app = admin.request("POST", "/sys/v1/apps", Some(spec)).success().json();
        let id = app["app_id"].as_str().unwrap_or_else(|| panic!("no app_id in {app}"));
        let reply = admin.request("GET", &format!("/sys/v1/apps/{id}/credential"), None).success().json();
        let secret = reply["credential"]["secret"].as_str().expect("an app made without a credential has a secret");
        base64_simd::STANDARD.encode_to_string(format!("{id}:{secret}"))
    }

    /// Makes a group (as the admin app) and returns its id.
    ///
    /// # Panics
    /// Where DSM refuses.
    #[track_caller]
    pub fn new_group(&self, name: &str) -> String {
        let admin = self.with(Credential::Basic(self.account().admin_key.clone()));
        let reply = admin.request("POST", "/sys/v1/groups", Some(json!({"name": name}))).success().json();
        reply["group_id"].as_str().unwrap_or_else(|| panic!("no group_id in {reply}")).to_owned()
    }

    /// Id of the account's default group.
    ///
    /// # Panics
    /// For a client that no [`Stack`](crate::Stack) made.
    #[must_use]
    pub fn default_group(&self) -> String {
        self.account().default_group.clone()
    }

    fn account(&self) -> &Account {
        self.account.as_ref().expect("a client that a Stack made knows its account")
    }

    /// The audit log, page by page; `filter` is empty or begins with `&`.
    #[track_caller]
    fn records(&self, filter: &str) -> Vec<Value> {
        let mut records = Vec::new();
        loop {
            let path = format!("/sys/v1/logs?size={PAGE}&from={}{filter}", records.len());
            let reply = self.request("GET", &path, None).success().json();
            let hits = reply["hits"].as_array().unwrap_or_else(|| panic!("no hits in {reply}"));
            records.extend(hits.iter().map(|hit| hit["_source"].clone()));
            if hits.len() < PAGE {
                return records;
            }
        }
    }
}

/// The most records that DSM gives at a time.
const PAGE: usize = 1000;

fn agent(ca_file: &Path, identity: Option<&Identity>) -> ureq::Agent {
    let pem = std::fs::read(ca_file).unwrap_or_else(|e| panic!("CA file {}: {e}", ca_file.display()));
    let roots: Vec<Certificate<'static>> = ureq::tls::parse_pem(&pem)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    assert!(!roots.is_empty(), "CA file {} holds no certificate", ca_file.display());
    let tls = TlsConfig::builder()
        .root_certs(RootCerts::Specific(Arc::new(roots)))
        .client_cert(identity.map(Identity::for_tls))
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .build();
    ureq::Agent::config_builder()
        .tls_config(tls)
        .http_status_as_error(false)
        .allow_non_standard_methods(true)
        .proxy(None)
        .timeout_global(Some(Duration::from_secs(60)))
        .build()
        .new_agent()
}
