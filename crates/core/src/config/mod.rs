//! Configuration of one accelerator: a TOML file, the environment, or both.
//!
//! The file is `$FORTANIX_PKCS11_CONFIG`, else `/etc/fortanix/pkcs11.conf`, unless the application names one. The environment fills
//! what the file leaves out and serves alone where there is no file; it never overrides the file.

mod api_key;
mod endpoint;
mod identity;
mod secret_file;
mod slot;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use zeroize::Zeroizing;

pub use self::api_key::ApiKey;
pub use self::endpoint::check_endpoint;
pub use self::identity::{Attested, CertificateFiles, DEFAULT_DOMAIN, Identity};
use self::secret_file::read_configuration;
pub(crate) use self::secret_file::read_secret_file;
pub use self::slot::{LoginMode, MechanismFilter, PointEncoding};
use crate::Error;

/// Where the configuration lies when nobody says otherwise.
const DEFAULT_FILE: &str = "/etc/fortanix/pkcs11.conf";
/// The variable that names another file.
const FILE_VARIABLE: &str = "FORTANIX_PKCS11_CONFIG";
/// What to do about a file that cannot be read.
const FILE_MEND: &str = "give the path of a readable file, in the configuration string or in $FORTANIX_PKCS11_CONFIG";

/// Settings of one accelerator.
#[derive(Clone, Debug)]
pub struct Config {
    /// `https://host[:port]`, without path and trailing slash.
    pub api_endpoint: String,
    /// Who we are; as nobody [`crate::Accelerator::login`] needs [`Config::with_api_key`] first.
    pub identity: Identity,
    /// PEM bundle that alone is trusted; the system's roots where absent.
    pub ca_certs_file: Option<PathBuf>,
    /// Life of a cached key, counted from its export. Zero: nothing is exported, everything is forwarded.
    pub cache_ttl: Duration,
    /// Most keys in the cache.
    pub cache_max_keys: usize,
    /// Most bytes that the cached keys may take, by estimate.
    pub cache_max_bytes: usize,
    /// How long the one caller that refreshes a key in the last fifth of its life, or a listing, may wait for DSM.
    pub refresh_wait: Duration,
    /// Whether a caller that finds our certificate due for renewal renews it, waiting at most [`Self::refresh_wait`] while the old one
    /// holds. A service that calls [`crate::Dsm::keep_certified`] in the background needs no caller to wait.
    pub renew_inline: bool,
    /// For how long a call is repeated when DSM cannot be reached.
    pub retry_timeout: Duration,
    /// Limit on opening a connection.
    pub connect_timeout: Duration,
    /// Limit on one exchange with DSM.
    pub request_timeout: Duration,
    /// Whether cached keys serve beyond their life while DSM cannot be reached.
    pub availability: bool,
    /// For how long they do.
    pub availability_grace: Duration,
    /// Label of the PKCS#11 token, at most 32 bytes of UTF-8.
    pub token_label: String,
    /// Id of its slot; its place among the configured slots where absent.
    pub slot: Option<u64>,
    /// What the token asks of its users.
    pub login: LoginMode,
    /// The mechanisms that it offers.
    pub mechanisms: MechanismFilter,
    /// Whether the token is that of a test suite: see [`Config::load_slots`].
    pub conformance: bool,
    /// Whether token keys may be made that applications can read: what suites written for soft tokens need, and nobody else.
    pub allow_plaintext: bool,
    /// Whether private keys without a certificate are shown with one that this library makes.
    pub generate_certs: bool,
    /// How CKA_EC_POINT of Ed25519 and X25519 keys is written; both forms are read.
    pub ec_point_encoding: PointEncoding,
    /// The log.
    pub log: LogConfig,
}

impl Config {
    /// Reads `file`, or the file that the environment or the default names, or the environment alone.
    ///
    /// # Errors
    /// [`Error::Config`], in one line with file, key and mend.
    pub fn load(file: Option<&Path>) -> Result<Self, Error> {
        let Some(file) = named_file(file) else { return Self::from_env() };
        let text = read_configuration(&file, FILE_MEND)?;
        let settings: Settings = toml::from_str(&text).map_err(|error| malformed(&file, &text, &error))?;
        if !settings.slots.is_empty() {
            return Err(problem(&file, "slots", "are for PKCS#11 alone", "give this program a file with one account"));
        }
        settings.build(&file)
    }

    /// Reads the file as [`Config::load`] does, with all its `[[slots]]`: each has the settings of its own table and, where that says
    /// nothing, those at the top of the file. The environment fills nothing in where there are slots, nor in conformance mode.
    ///
    /// # Errors
    /// As [`Config::load`]; slots with one id or one label; conformance mode for anything but this machine.
    pub fn load_slots(file: Option<&Path>) -> Result<Vec<Self>, Error> {
        let Some(file) = named_file(file) else { return Ok(vec![Self::from_env()?]) };
        let text = read_configuration(&file, FILE_MEND)?;
        let mut top: Settings = toml::from_str(&text).map_err(|error| malformed(&file, &text, &error))?;
        let slots = std::mem::take(&mut top.slots);
        if slots.is_empty() {
            return Ok(vec![top.build(&file)?]);
        }
        for (key, given) in [("slot", top.slot.is_some()), ("conformance", top.conformance.is_some())] {
            if given {
                return Err(problem(&file, key, "is beside [[slots]]", "write it in the table of the slot that it is for"));
            }
        }
        let mut configs = Vec::with_capacity(slots.len());
        for mut slot in slots {
            if slot.log.is_some() {
                return Err(problem(&file, "log", "is within a slot", "write [log] at the top of the file: a process has one log"));
            }
            if !slot.slots.is_empty() {
                return Err(problem(&file, "slots", "are within a slot", "write one table [[slots]] for each, side by side"));
            }
            slot.inherit(&top);
            slot.sealed = true;
            configs.push(slot.build(&file)?);
        }
        let ids: Vec<u64> = configs.iter().enumerate().map(|(place, config)| config.slot.unwrap_or(place as u64)).collect();
        if let Some(id) = ids.iter().enumerate().find(|(place, id)| ids[..*place].contains(id)).map(|(_, id)| id) {
            return Err(problem(&file, "slot", &format!("two slots have the id {id}"), "give each of them an id of its own"));
        }
        let labels: Vec<&str> = configs.iter().map(|config| config.token_label.as_str()).collect();
        if let Some(label) = labels.iter().enumerate().find(|(place, label)| labels[..*place].contains(label)).map(|(_, label)| label) {
            let mend = "give each of them a token_label of its own: applications tell tokens apart by it";
            return Err(problem(&file, "token_label", &format!("is `{label}` for two slots"), mend));
        }
        Ok(configs)
    }

    /// Takes `FORTANIX_API_ENDPOINT`, `FORTANIX_API_KEY` and `FORTANIX_CA_FILE`, defaults for the rest.
    ///
    /// # Errors
    /// [`Error::Config`] that names the variable and the mend.
    pub fn from_env() -> Result<Self, Error> {
        Settings::default().build(Path::new("environment"))
    }

    /// The same settings with this credential: a PKCS#11 application logs in with its own.
    #[must_use]
    pub fn with_api_key(mut self, api_key: ApiKey) -> Self {
        self.identity = Identity::ApiKey(api_key);
        self
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            api_endpoint: "https://apps.smartkey.io".to_owned(),
            identity: Identity::AtLogin,
            ca_certs_file: None,
            cache_ttl: Duration::from_secs(1800),
            cache_max_keys: 10_000,
            cache_max_bytes: 64 << 20,
            refresh_wait: Duration::from_secs(2),
            renew_inline: true,
            retry_timeout: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(30),
            availability: false,
            availability_grace: Duration::from_secs(4 * 1800),
            token_label: "Fortanix Token".to_owned(),
            slot: None,
            login: LoginMode::Required,
            mechanisms: MechanismFilter::default(),
            conformance: false,
            allow_plaintext: false,
            generate_certs: false,
            ec_point_encoding: PointEncoding::Raw,
            log: LogConfig::default(),
        }
    }
}

/// `[log]` of the configuration.
#[derive(Clone, Debug, Default)]
pub struct LogConfig {
    level: Option<tracing::Level>,
    file: Option<PathBuf>,
}

impl LogConfig {
    /// Most detailed level to write; no log where absent.
    #[must_use]
    pub const fn level(&self) -> Option<tracing::Level> {
        self.level
    }

    /// Where to; standard error where absent.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }
}

/// The file as written. An unknown key is refused: a setting that does nothing is a trap.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    api_endpoint: Option<String>,
    api_key: Option<SecretText>,
    ca_certs_file: Option<PathBuf>,
    identity: Option<String>,
    app_id: Option<String>,
    cert_file: Option<PathBuf>,
    key_file: Option<PathBuf>,
    node_agent: Option<String>,
    domain: Option<String>,
    app_config_id: Option<String>,
    cache_ttl: Option<u64>,
    cache_max_keys: Option<usize>,
    cache_max_bytes: Option<usize>,
    refresh_wait_millis: Option<u64>,
    retry_timeout_millis: Option<u64>,
    connect_timeout_millis: Option<u64>,
    request_timeout_millis: Option<u64>,
    availability: Option<bool>,
    availability_grace: Option<u64>,
    token_label: Option<String>,
    slot: Option<u64>,
    login: Option<String>,
    mechanisms: Option<Vec<String>>,
    conformance: Option<bool>,
    allow_plaintext: Option<bool>,
    generate_certs: Option<bool>,
    ec_point_encoding: Option<String>,
    log: Option<LogSettings>,
    #[serde(default)]
    slots: Vec<Self>,
    /// The environment fills nothing in.
    #[serde(skip)]
    sealed: bool,
}

#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct LogSettings {
    level: Option<String>,
    file: Option<PathBuf>,
}

/// Overwritten when dropped.
#[derive(Clone, Deserialize)]
#[serde(from = "String")]
struct SecretText(Zeroizing<String>);

impl From<String> for SecretText {
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

impl Settings {
    /// An environment variable, where it may fill in what the file leaves out.
    fn variable(&self, name: &str) -> Option<String> {
        if self.sealed { None } else { variable(name) }
    }

    fn build(mut self, file: &Path) -> Result<Config, Error> {
        let defaults = Config::default();
        self.check_numbers(file)?;
        let conformance = self.conformance.unwrap_or(false);
        self.sealed |= conformance;
        let millis = |value: Option<u64>, default| value.map_or(default, Duration::from_millis);
        let identity = identity::build(&mut self, file)?;
        let from_environment = |name| if self.sealed { None } else { variable(name) };
        let endpoint = self.api_endpoint.or_else(|| from_environment("FORTANIX_API_ENDPOINT")).unwrap_or(defaults.api_endpoint);
        endpoint::check(&endpoint, file)?;
        if conformance && !is_loopback(&endpoint) {
            let mend = "remove it: it is for a dsma-local on this machine, and would let anybody empty a group of this DSM";
            return Err(problem(file, "conformance", &format!("is refused for `{endpoint}`"), mend));
        }
        let cache_ttl = self.cache_ttl.map_or(defaults.cache_ttl, Duration::from_secs);
        if let Some(label) = &self.token_label
            && (label.is_empty() || label.len() > 32)
        {
            return Err(problem(file, "token_label", "must have 1 to 32 bytes", "shorten it: PKCS#11 has room for 32 bytes"));
        }
        let login = LoginMode::parse(self.login.as_deref(), file)?;
        if login == LoginMode::Ignore && matches!(identity, Identity::AtLogin) {
            let mend = "add the credential, such as api_key, or let applications log in with theirs: login = \"required\"";
            return Err(problem(file, "login", "is `ignore` without a credential", mend));
        }
        Ok(Config {
            api_endpoint: endpoint,
            identity,
            ca_certs_file: self.ca_certs_file.or_else(|| from_environment("FORTANIX_CA_FILE").map(PathBuf::from)),
            cache_ttl,
            cache_max_keys: self.cache_max_keys.unwrap_or(defaults.cache_max_keys),
            cache_max_bytes: self.cache_max_bytes.unwrap_or(defaults.cache_max_bytes),
            refresh_wait: millis(self.refresh_wait_millis, defaults.refresh_wait),
            renew_inline: true,
            retry_timeout: millis(self.retry_timeout_millis, defaults.retry_timeout),
            connect_timeout: millis(self.connect_timeout_millis, defaults.connect_timeout),
            request_timeout: millis(self.request_timeout_millis, defaults.request_timeout),
            availability: self.availability.unwrap_or(defaults.availability),
            availability_grace: self.availability_grace.map_or_else(|| cache_ttl.saturating_mul(4), Duration::from_secs),
            token_label: self.token_label.unwrap_or(defaults.token_label),
            slot: self.slot,
            login,
            mechanisms: MechanismFilter::parse(self.mechanisms, file)?,
            conformance,
            allow_plaintext: self.allow_plaintext.unwrap_or(conformance),
            generate_certs: self.generate_certs.unwrap_or(defaults.generate_certs),
            ec_point_encoding: PointEncoding::parse(self.ec_point_encoding.as_deref(), file)?,
            log: self.log.unwrap_or_default().build(file)?,
        })
    }
}

impl Settings {
    /// What is far beyond any use is a slip, such as a time in another unit.
    fn check_numbers(&self, file: &Path) -> Result<(), Error> {
        const TEN_YEARS: u64 = 10 * 365 * 86_400;
        const ONE_DAY: u64 = 86_400_000;
        for (key, value, range) in [
            ("cache_ttl", self.cache_ttl, 0..=TEN_YEARS),
            ("availability_grace", self.availability_grace, 0..=TEN_YEARS),
            ("cache_max_keys", self.cache_max_keys.map(|keys| keys as u64), 1..=10_000_000),
            ("cache_max_bytes", self.cache_max_bytes.map(|bytes| bytes as u64), 1..=u64::MAX),
            ("refresh_wait_millis", self.refresh_wait_millis, 0..=ONE_DAY),
            ("retry_timeout_millis", self.retry_timeout_millis, 0..=ONE_DAY),
            ("connect_timeout_millis", self.connect_timeout_millis, 1..=ONE_DAY),
            ("request_timeout_millis", self.request_timeout_millis, 1..=ONE_DAY),
        ] {
            match value {
                Some(value) if value < *range.start() => return Err(problem(file, key, "must be more than 0", "raise it or leave it out")),
                Some(value) if value > *range.end() => {
                    let what = format!("must be at most {}", range.end());
                    return Err(problem(file, key, &what, "lower it or leave it out"));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

impl LogSettings {
    fn build(self, file: &Path) -> Result<LogConfig, Error> {
        let level = match (&self.level, &self.file) {
            (Some(name), _) => Some(
                name.parse()
                    .map_err(|_| problem(file, "log.level", &format!("`{name}` is no level"), "use error, warn, info, debug or trace"))?,
            ),
            (None, Some(_)) => Some(tracing::Level::INFO),
            (None, None) => None,
        };
        Ok(LogConfig { level, file: self.file })
    }
}

/// The file that the caller, the environment or the default names.
fn named_file(file: Option<&Path>) -> Option<PathBuf> {
    let named = file.map(Path::to_path_buf).or_else(|| std::env::var_os(FILE_VARIABLE).map(PathBuf::from));
    named.or_else(|| Path::new(DEFAULT_FILE).exists().then(|| PathBuf::from(DEFAULT_FILE)))
}

/// Whether the endpoint is on this machine, whatever the resolver says of other names.
fn is_loopback(endpoint: &str) -> bool {
    let host = endpoint.trim_start_matches("https://");
    let host = host.strip_prefix('[').map_or_else(|| host.split(':').next(), |rest| rest.split(']').next()).unwrap_or_default();
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Names the key and the line; the parser's own picture of the line is left out, because it may show the API key.
fn malformed(file: &Path, text: &str, error: &toml::de::Error) -> Error {
    let at = error.span().map_or(0, |span| span.start.min(text.len()));
    let line = text.get(..at).unwrap_or_default().matches('\n').count();
    let key = text.lines().nth(line).and_then(|line| line.split('=').next()).map(str::trim).filter(|key| !key.is_empty()).unwrap_or("line");
    let what = error.message().lines().next().unwrap_or("is malformed").to_owned();
    problem(file, key, &format!("line {}: {what}", line + 1), "mend that line; docs/configuration.md lists every key")
}

fn problem(file: &Path, key: &str, what: &str, mend: &str) -> Error {
    Error::Config { file: Arc::new(file.to_path_buf()), key: key.into(), problem: what.into(), mend: mend.into() }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests;
