//! Settings: the environment of the vendor's container, with a flag beside each variable. A flag wins.
//!
//! Secrets come from the environment or a file, never from the command line, which other processes can read. A setting that this
//! version does not honour is refused: one that silently does nothing is a trap.

mod identity;

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::Parser;
use dsma_core::Identity;
use uuid::Uuid;

/// `EX_USAGE` of sysexits.h: the exit code for settings that cannot be used.
pub(crate) const EXIT_CONFIG: u8 = 64;

/// What the service was told.
#[derive(Debug)]
pub(crate) struct Config {
    /// `https://host[:port]` of DSM.
    pub(crate) endpoint: String,
    /// Our own identity: the app that exports the keys.
    pub(crate) identity: Identity,
    /// Whether `NITRO_ENABLED` chose it.
    pub(crate) nitro: bool,
    /// The only CA certificates trusted for DSM; the system's roots where absent.
    pub(crate) ca_file: Option<PathBuf>,
    /// Port to listen on; 0 takes a free one.
    pub(crate) port: u16,
    /// Life of a cached key and of a caller's grant. Zero caches nothing: everything is passed through.
    pub(crate) cache_ttl: Duration,
    /// Whether crypto requests of Bearer callers are served locally too.
    pub(crate) bearer: bool,
    /// Key and certificate chain for TLS.
    pub(crate) tls_files: Option<TlsFiles>,
    /// The TLS key in DSM. Self-signed where neither is given.
    pub(crate) tls_key_id: Option<Uuid>,
    /// A TLS key that is left alone, because the environment names it for another app than ours.
    pub(crate) foreign_tls_key: Option<Uuid>,
    /// Most connections that are open at the same time.
    pub(crate) max_connections: usize,
    /// Most requests that are worked on at the same time.
    pub(crate) max_in_flight: usize,
    /// How long a connection may rest.
    pub(crate) idle_timeout: Duration,
}

/// Two files, PEM or DER.
#[derive(Debug)]
pub(crate) struct TlsFiles {
    pub(crate) key: PathBuf,
    pub(crate) certificate: PathBuf,
}

/// A setting that cannot be used. Its text is one line: the setting, what is wrong, the mend.
#[derive(Debug, thiserror::Error)]
#[error("{setting}: {problem}; {mend}")]
pub(crate) struct ConfigError {
    setting: &'static str,
    problem: String,
    mend: &'static str,
}

impl ConfigError {
    pub(crate) fn new(setting: &'static str, problem: impl Into<String>, mend: &'static str) -> Self {
        Self { setting, problem: problem.into(), mend }
    }
}

/// The command line, as text: one place checks it, whether it came from a flag or from the environment.
#[derive(Parser)]
#[command(name = "enclave-host", version, max_term_width = 120, about = ABOUT, after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// DSM, as https://host[:port] without a trailing slash
    #[arg(long, env = "FORTANIX_API_ENDPOINT", value_name = "URL", hide_env_values = true)]
    fortanix_api_endpoint: Option<String>,

    /// PEM file with the CA certificates that are trusted for DSM, in place of the system's
    #[arg(long, env = "FORTANIX_CA_FILE", value_name = "FILE", hide_env_values = true)]
    ca_file: Option<String>,

    /// Port to listen on; 0 takes a free one, which the log names [default: 443]
    #[arg(long, env = "PORT", value_name = "PORT", hide_env_values = true)]
    port: Option<String>,

    /// Seconds that an exported key and a caller's grant are kept; 0 keeps nothing [default: 900]
    #[arg(long, env = "CACHE_TTL", value_name = "SECONDS", hide_env_values = true)]
    cache_ttl: Option<String>,

    /// Serve crypto requests of callers with a Bearer token locally too: true or false [default: false]
    #[arg(long, env = "BEARER_AUTH_ENABLED", value_name = "BOOL", hide_env_values = true)]
    bearer_auth_enabled: Option<String>,

    /// Private key and certificate chain (leaf first) for TLS, PEM or DER [default: TLS_KEY_ID, else self-signed]
    #[arg(long, num_args = 2, value_names = ["KEY", "CERT"])]
    tls_files: Option<Vec<PathBuf>>,

    /// Id of the RSA or EC key in DSM that is used for TLS, with the certificates linked to it; --tls-files wins
    #[arg(long, env = "TLS_KEY_ID", value_name = "KID", hide_env_values = true)]
    tls_key_id: Option<String>,

    /// Most open connections; more wait until one ends [default: 8192]
    #[arg(long, env = "MAX_CONNECTIONS", value_name = "N", hide_env_values = true)]
    max_connections: Option<String>,

    /// Most requests at the same time, half of which may wait for DSM; more are answered 503 with Retry-After [default: 4096]
    #[arg(long, env = "MAX_IN_FLIGHT", value_name = "N", hide_env_values = true)]
    max_in_flight: Option<String>,

    /// Seconds without a request, and without a client reading its answer, after which a connection is closed [default: 75]
    #[arg(long, env = "IDLE_TIMEOUT", value_name = "SECONDS", hide_env_values = true)]
    idle_timeout: Option<String>,
}

const ABOUT: &str = "DSM's REST surface with local cryptography: keys are exported from DSM once and used here";

const EXAMPLES: &str = "\
Environment without a flag:
  FORTANIX_API_KEY   API key of the app that exports the keys, or file:///path of a file that holds it
  NITRO_ENABLED      true: attested identity, in place of an API key (in an enclave, or under `dsma-local with-nsm`)
  DSMA_APP_ID        attested: the app in DSM that trusts the CCM zone CA; FORTANIX_API_ENDPOINT is DSM's `apps.` host
  NODE_AGENT         attested: URL of the node agent that fetches the certificate, such as http://10.0.0.5:9092
  IDENTITY           api_key (default), attested, or certificate: DSMA_CERT_FILE, DSMA_KEY_FILE and DSMA_APP_ID name it
  RUST_LOG           error, warn, info (default), debug or trace

Examples:
  Serve on port 8443, with a self-signed certificate:
    export FORTANIX_API_KEY=file:///run/secrets/dsm-api-key
    enclave-host --fortanix-api-endpoint https://eu.smartkey.io --port 8443

  With your own certificate, and for callers that log in through this service:
    enclave-host --fortanix-api-endpoint https://eu.smartkey.io --tls-files key.pem chain.pem --bearer-auth-enabled true

  In front of a local DSM:
    dsma-local --state ~/dsm init
    dsma-local --state ~/dsm &
    . ~/dsm/env && enclave-host --port 8443

  Attested, as in the enclave, against a local DSM and CCM:
    . ~/dsm/attested.env && dsma-local with-nsm -- enclave-host --port 8443

  Encrypt through it, and clear its cache:
    curl -k -H \"Authorization: Basic $FORTANIX_API_KEY\" https://localhost:8443/crypto/v1/encrypt \\
      -d '{\"key\":{\"name\":\"first\"},\"alg\":\"AES\",\"mode\":\"GCM\",\"tag_len\":128,\"plain\":\"aGVsbG8=\"}'
    curl -k -H \"Authorization: Basic $FORTANIX_API_KEY\" -X POST https://localhost:8443/accelerator/v1/keys/clear

SIGHUP clears the cache. SIGTERM and SIGINT let the requests under way end.
Exit codes: 0 after either, 64 for settings that cannot be used, 1 for any other failure.";

impl Config {
    /// Checks `arguments` and the variables that have no flag.
    ///
    /// # Errors
    /// The first setting that cannot be used.
    pub(crate) fn new(arguments: Arguments) -> Result<Self, ConfigError> {
        Self::with_variables(arguments, |name| std::env::var(name).ok())
    }

    fn with_variables(arguments: Arguments, variable: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        // A container passes an unset variable on as an empty one.
        let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
        let nitro = boolean(variable("NITRO_ENABLED"), "NITRO_ENABLED")?;
        let endpoint = filled(arguments.fortanix_api_endpoint).ok_or_else(|| {
            ConfigError::new("FORTANIX_API_ENDPOINT", "is not set", "set it to the URL of DSM, for example https://eu.smartkey.io")
        })?;
        dsma_core::check_endpoint(&endpoint)
            .map_err(|(what, mend)| ConfigError::new("FORTANIX_API_ENDPOINT", format!("`{endpoint}` {what}"), mend))?;
        let tls_files = arguments.tls_files.and_then(|files| <[PathBuf; 2]>::try_from(files).ok());
        let identity = identity::choose(nitro, &variable)?;
        // A flag wins.
        let tls_key_id = tls_key_id(arguments.tls_key_id)?.filter(|_| tls_files.is_none());
        // An environment that is made for the attested identity names that app's key, which another app has not.
        let foreign_tls_key = tls_key_id.filter(|_| identity::is_another_app(&identity, &variable));
        let tls_key_id = tls_key_id.filter(|_| foreign_tls_key.is_none());
        Ok(Self {
            endpoint,
            tls_key_id,
            foreign_tls_key,
            identity,
            nitro,
            ca_file: filled(arguments.ca_file).map(PathBuf::from),
            port: number(arguments.port, "PORT", 443, "give a number from 0 to 65535; 0 takes a free port")?,
            cache_ttl: Duration::from_secs(
                number::<u32>(arguments.cache_ttl, "CACHE_TTL", 900, "give seconds as a whole number, for example 900")?.into(),
            ),
            bearer: boolean(arguments.bearer_auth_enabled, "BEARER_AUTH_ENABLED")?,
            tls_files: tls_files.map(|[key, certificate]| TlsFiles { key, certificate }),
            max_connections: limit(arguments.max_connections, "MAX_CONNECTIONS", 8192)?,
            max_in_flight: limit(arguments.max_in_flight, "MAX_IN_FLIGHT", 4096)?,
            idle_timeout: Duration::from_secs(within(arguments.idle_timeout, "IDLE_TIMEOUT", 75, 1..=3600, "give seconds from 1 to 3600")?),
        })
    }
}

fn tls_key_id(text: Option<String>) -> Result<Option<Uuid>, ConfigError> {
    let parse = |text: String| {
        let wrong = |_| ConfigError::new("TLS_KEY_ID", format!("`{text}` is not the id of a key"), "copy the key's UUID from DSM");
        text.trim().parse().map_err(wrong)
    };
    filled(text).map(parse).transpose()
}

fn number<T: FromStr>(text: Option<String>, setting: &'static str, default: T, mend: &'static str) -> Result<T, ConfigError> {
    match filled(text) {
        None => Ok(default),
        Some(text) => text.trim().parse().map_err(|_| ConfigError::new(setting, format!("`{text}` cannot be used"), mend)),
    }
}

fn limit(text: Option<String>, setting: &'static str, default: usize) -> Result<usize, ConfigError> {
    within(text, setting, default, 1..=1_000_000, "give a whole number from 1 to 1000000")
}

fn within<T: FromStr + PartialOrd + Display>(
    text: Option<String>,
    setting: &'static str,
    default: T,
    range: RangeInclusive<T>,
    mend: &'static str,
) -> Result<T, ConfigError> {
    let value = number(text, setting, default, mend)?;
    if range.contains(&value) { Ok(value) } else { Err(ConfigError::new(setting, format!("`{value}` is out of range"), mend)) }
}

fn boolean(text: Option<String>, setting: &'static str) -> Result<bool, ConfigError> {
    match filled(text).as_deref().map(str::to_ascii_lowercase).as_deref() {
        None | Some("false" | "0") => Ok(false),
        Some("true" | "1") => Ok(true),
        Some(other) => Err(ConfigError::new(setting, format!("`{other}` is neither true nor false"), "set it to true or false")),
    }
}

fn filled(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ODQyYmE2ZDUtOTNhZi00YTg1LWFmNmYtYmQyZjBmMTEyZmIyOnNlY3JldA==";

    fn config(flags: &[&str], variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let given = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        let mut arguments = Arguments::try_parse_from(std::iter::once("enclave-host").chain(flags.iter().copied())).unwrap();
        // What clap would read from the environment of the test.
        arguments.fortanix_api_endpoint = flags.iter().position(|f| *f == "--fortanix-api-endpoint").map(|at| flags[at + 1].to_owned());
        Config::with_variables(
            arguments,
            |name| if name == "FORTANIX_API_KEY" && given(name).is_none() { Some(KEY.into()) } else { given(name) },
        )
    }

    const APP: &str = "8a284543-a98c-4e15-b8a0-c3315a7e2364";
    const ENDPOINT: [&str; 2] = ["--fortanix-api-endpoint", "https://dsm.example"];

    #[test]
    fn an_error_is_one_line_that_names_the_setting_and_the_mend() {
        type Case<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)], &'a str);
        let table: &[Case<'_>] = &[
            (&[], &[], "FORTANIX_API_ENDPOINT: is not set; set it"),
            (
                &["--fortanix-api-endpoint", "https://dsm.example/"],
                &[],
                "FORTANIX_API_ENDPOINT: `https://dsm.example/` ends with a slash; remove",
            ),
            (&["--fortanix-api-endpoint", "http://dsm.example"], &[], "does not begin with https://"),
            (&["--fortanix-api-endpoint", "https://dsm.example/path"], &[], "is not https://host[:port]"),
            (&ENDPOINT, &[("NITRO_ENABLED", "true")], "DSMA_APP_ID: is not set; set it to the id of the app"),
            (&ENDPOINT, &[("NITRO_ENABLED", "true"), ("IDENTITY", "api_key")], "IDENTITY: `api_key` contradicts NITRO_ENABLED=true; leave"),
            (&ENDPOINT, &[("NITRO_ENABLED", "yes")], "NITRO_ENABLED: `yes` is neither true nor false"),
            (&ENDPOINT, &[("IDENTITY", "attested"), ("DSMA_APP_ID", "x")], "DSMA_APP_ID: `x` is not the id of an app; copy"),
            (&ENDPOINT, &[("IDENTITY", "attested"), ("DSMA_APP_ID", APP)], "NODE_AGENT: is not set; set it to the URL"),
            (
                &ENDPOINT,
                &[("NITRO_ENABLED", "true"), ("DSMA_APP_ID", APP), ("NODE_AGENT", "https://agent")],
                "NODE_AGENT: `https://agent` does not begin with http://",
            ),
            (&ENDPOINT, &[("IDENTITY", "certificate")], "DSMA_CERT_FILE: is not set; give the PEM file"),
            (&ENDPOINT, &[("IDENTITY", "sgx")], "IDENTITY: `sgx` is no identity; set it to api_key, attested or certificate"),
            (&["--fortanix-api-endpoint", "https://d", "--tls-key-id", "x"], &[], "TLS_KEY_ID: `x` is not the id of a key; copy"),
            (&ENDPOINT, &[("FORTANIX_API_KEY", "nonsense")], "FORTANIX_API_KEY: "),
            (&["--fortanix-api-endpoint", "https://d", "--port", "70000"], &[], "PORT: `70000` cannot be used; give a number"),
            (&["--fortanix-api-endpoint", "https://d", "--cache-ttl", "15m"], &[], "CACHE_TTL: `15m` cannot be used"),
            (&["--fortanix-api-endpoint", "https://d", "--bearer-auth-enabled", "maybe"], &[], "BEARER_AUTH_ENABLED: `maybe` is neither"),
            (&["--fortanix-api-endpoint", "https://d", "--max-in-flight", "0"], &[], "MAX_IN_FLIGHT: `0` is out of range"),
            (
                &["--fortanix-api-endpoint", "https://d", "--idle-timeout", "4000"],
                &[],
                "IDLE_TIMEOUT: `4000` is out of range; give seconds",
            ),
        ];
        for (flags, variables, expected) in table {
            let text = config(flags, variables).expect_err(expected).to_string();
            assert!(text.contains(expected) && !text.contains('\n'), "{text}");
            assert!(!text.contains("nonsense"), "{text}");
        }
    }

    #[test]
    fn a_tls_key_that_is_another_apps_is_left_alone() {
        let key = ["--fortanix-api-endpoint", "https://d", "--tls-key-id", APP];
        assert!(config(&key, &[]).unwrap().tls_key_id.is_some());
        assert!(config(&key, &[("DSMA_APP_ID", APP), ("NODE_AGENT", "http://agent")]).unwrap().tls_key_id.is_none());
        let attested = [("NITRO_ENABLED", "true"), ("DSMA_APP_ID", APP), ("NODE_AGENT", "http:/10.0.0.5:9092/v1/")];
        assert!(config(&key, &attested).unwrap().tls_key_id.is_some());
        assert!(config(&[&key[..], &["--tls-files", "k", "c"]].concat(), &attested).unwrap().tls_key_id.is_none());
    }

    #[test]
    fn empty_variables_are_absent_and_defaults_hold() {
        let config = config(&ENDPOINT, &[("NITRO_ENABLED", ""), ("IDENTITY", ""), ("DSMA_APP_ID", "")]).unwrap();
        assert_eq!((config.cache_ttl.as_secs(), config.bearer), (900, false));
    }
}
