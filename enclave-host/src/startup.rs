//! The way up: the log lines of the vendor's service in their order, the engine, and the connection to DSM, which may come later.

use std::io::{self, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dsma_attest::nsm::Device;
use dsma_core::{Accelerator, Error, Identity};
use tokio::sync::Semaphore;

use crate::callers::Callers;
use crate::config::{Config, ConfigError};
use crate::service::Service;
use crate::tls::{Found, LoadError, ManagedTls, Served};
use crate::upstream::Upstream;
use crate::workers::Workers;
use crate::{certified, listen, tls};

/// The longest pause between two attempts to log in to DSM.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// The start does not wait longer than this for DSM.
const FIRST_ATTEMPT: Duration = Duration::from_secs(3);
/// With a certificate to be earned first: CCM may be slow.
const FIRST_CERTIFICATE: Duration = Duration::from_secs(20);
/// A web client waits no longer than this for an export that does not come: its request is passed on then.
const RETRY_TIMEOUT: Duration = Duration::from_secs(2);

/// Everything that serving needs.
pub(crate) struct Ready {
    pub(crate) listener: TcpListener,
    pub(crate) tls: Arc<rustls::ServerConfig>,
    pub(crate) service: Arc<Service>,
}

/// Sets the service up. DSM need not answer: the service then retries, and answers 503 meanwhile.
///
/// # Errors
/// A setting that cannot be used, an API key that DSM refuses among them.
pub(crate) async fn set_up(config: &Config) -> Result<Ready, ConfigError> {
    tracing::info!(target: "dsma", "=========== DSMA SERVER START UP =================");
    attestable(config)?;
    let listener = bind(config)?;
    let port = listener.local_addr().map_or(config.port, |address| address.port());
    tracing::info!(target: "dsma", "Listening on port: {port}");
    match &config.ca_file {
        Some(file) => tracing::info!(target: "dsma", "CA File path: {}", file.display()),
        None => tracing::info!(target: "dsma", "CA File path: None"),
    }
    tracing::info!(target: "dsma", "Connection will retry in: {} millis", LONGEST_PAUSE.as_millis());
    tracing::info!(target: "dsma", "Availability set to false");
    tracing::info!(target: "dsma", "TTL used by the key cache: {} sec", config.cache_ttl.as_secs());
    if let Some(kid) = config.foreign_tls_key {
        tracing::info!(target: "dsma", "TLS_KEY_ID is left alone: {kid} is the key of the app DSMA_APP_ID, and FORTANIX_API_KEY is another app's");
    }
    tracing::info!(target: "dsma", "=============== SETTING UP DSMA SERVER ===============");
    let served = Served::new(match &config.tls_files {
        Some(files) => tls::from_files(files)?,
        // With a TLS key in DSM: until it has come.
        None => tls::own()?,
    });
    let tls = tls::server(Arc::clone(&served))?;
    let service = service(config, &served)?;
    tracing::info!(target: "dsma::server", "Initialized DsmAServer");
    // Without a level, as the vendor's service prints it. A closed standard output is no reason not to start.
    let _ = writeln!(io::stdout(), "Proxy config: None");
    let found = connect(&service, config).await?;
    tokio::spawn(certified::keep_fresh(service.accelerator.clone()));
    if let Some(found @ Found::Chain) = &found {
        found.tell();
    }
    tracing::info!(target: "dsma::api", "Building router");
    tracing::info!(target: "dsma", "=============== DSMA SERVER SETUP COMPLETE ===============");
    match found {
        Some(own @ Found::SelfSigned(_)) => own.tell(),
        None if service.tls.is_some() => {
            tracing::warn!(target: "dsma", "Using a self-signed TLS certificate until DSM gives the TLS key");
        }
        None if config.tls_files.is_none() => Found::SelfSigned(served.fingerprint()).tell(),
        Some(Found::Chain) | None => {}
    }
    Ok(Ready { listener, tls, service })
}

/// An attested identity without a device to attest it is a wrong start, not a failure that may pass.
fn attestable(config: &Config) -> Result<(), ConfigError> {
    if !matches!(config.identity, Identity::Attested(_)) {
        return Ok(());
    }
    Device::open().map(drop).map_err(|error| {
        if config.nitro {
            let mend = "or set it to false, and FORTANIX_API_KEY to the API key of an app";
            ConfigError::new("NITRO_ENABLED", format!("is true, but {error}"), mend)
        } else {
            let mend = "or set it to api_key, and FORTANIX_API_KEY to the API key of an app";
            ConfigError::new("IDENTITY", format!("is attested, but {error}"), mend)
        }
    })
}

fn bind(config: &Config) -> Result<TcpListener, ConfigError> {
    listen::bind(config.port).map_err(|error| {
        ConfigError::new("PORT", format!("{}: {error}", config.port), "stop what listens there, choose another port, or 0 for a free one")
    })
}

fn service(config: &Config, served: &Arc<Served>) -> Result<Arc<Service>, ConfigError> {
    let client_tls = tls::client(config.ca_file.as_deref())?;
    let engine = dsma_core::Config {
        api_endpoint: config.endpoint.clone(),
        identity: config.identity.clone(),
        // The background does it.
        renew_inline: false,
        ca_certs_file: config.ca_file.clone(),
        cache_ttl: config.cache_ttl,
        retry_timeout: RETRY_TIMEOUT,
        ..dsma_core::Config::default()
    };
    let accelerator = Accelerator::open(engine)
        .map_err(|error| ConfigError::new("FORTANIX_CA_FILE", error.to_string(), "give a readable PEM file with the CA of DSM"))?;
    let authority = config.endpoint.trim_start_matches("https://").parse().map_err(|_| {
        ConfigError::new("FORTANIX_API_ENDPOINT", "is not https://host[:port]", "give the host and, if needed, the port, and nothing else")
    })?;
    // The other half is kept for what needs no DSM; without a cache nothing is of that kind.
    let waiting = if config.cache_ttl.is_zero() { config.max_in_flight } else { config.max_in_flight.div_ceil(2) };
    let upstream = Arc::new(Upstream::new(&config.endpoint, authority, client_tls, waiting));
    let callers = Callers::new(Arc::clone(&upstream), config.cache_ttl)
        .ok_or_else(|| ConfigError::new("/dev/urandom", "the system gives no randomness", "check the machine"))?;
    let tls = config.tls_key_id.map(|kid| ManagedTls::new(kid, accelerator.clone(), Arc::clone(served)));
    Ok(Arc::new(Service {
        accelerator,
        tls,
        upstream,
        callers,
        workers: Workers::new(),
        bearer: config.bearer,
        caching: !config.cache_ttl.is_zero(),
        connected: AtomicBool::new(false),
        body_memory: Semaphore::new(Service::BODY_MEMORY),
    }))
}

/// Why the service has not what it needs from DSM.
enum Lacking {
    Login(Error),
    TlsKey(LoadError),
}

/// Logs in with our own identity and fetches the TLS key, now or, where DSM does not answer soon, in the background. Says what came of
/// the latter.
async fn connect(service: &Arc<Service>, config: &Config) -> Result<Option<Found>, ConfigError> {
    let endpoint = config.endpoint.as_str();
    let (credential, mend) = credential(&config.identity);
    let mut progress = Progress::default();
    let patience = if matches!(config.identity, Identity::Attested(_)) { FIRST_CERTIFICATE } else { FIRST_ATTEMPT };
    match tokio::time::timeout(patience, progress.advance(service, endpoint)).await {
        Ok(Ok(found)) => return Ok(found),
        Ok(Err(Lacking::Login(Error::Api(refusal)))) if matches!(refusal.status, 401 | 403) => {
            let problem = format!("DSM at {endpoint:?} refuses it: {}", refusal.message);
            return Err(ConfigError::new(credential, problem, mend));
        }
        Ok(Err(Lacking::TlsKey(error))) if !error.may_pass() => {
            return Err(ConfigError::new("TLS_KEY_ID", error.to_string(), TLS_KEY_MEND));
        }
        Ok(Err(Lacking::Login(error) | Lacking::TlsKey(LoadError::Dsm(error)))) => {
            tracing::warn!(target: "dsma", "{error}. The service starts and retries.");
        }
        Ok(Err(Lacking::TlsKey(LoadError::Unusable(_)))) | Err(_) => {
            tracing::warn!(target: "dsma", "DSM at {endpoint:?} is not reached in time. The service starts and retries.");
        }
    }
    let (service, endpoint) = (Arc::clone(service), endpoint.to_owned());
    tokio::spawn(async move { retry(&service, &endpoint, (credential, mend), progress).await });
    Ok(None)
}

/// The setting that a refused login is about, and the mend.
const fn credential(identity: &Identity) -> (&'static str, &'static str) {
    match identity {
        Identity::Attested(_) => {
            ("DSMA_APP_ID", "give an enabled app whose credential is the CCM zone CA (Trusted CA) with the domain of this service")
        }
        Identity::Certificate(_) => ("DSMA_CERT_FILE", "give the certificate of an enabled app of this DSM, with its DSMA_APP_ID"),
        _ => ("FORTANIX_API_KEY", "give the API key of an enabled app of this DSM"),
    }
}

async fn retry(service: &Service, endpoint: &str, (credential, mend): (&str, &str), mut progress: Progress) {
    let mut pause = FIRST_PAUSE;
    loop {
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
        let wait = pause.as_millis();
        match progress.advance(service, endpoint).await {
            Ok(found) => return found.iter().for_each(Found::tell),
            Err(Lacking::Login(Error::Api(refusal))) => {
                let reason = refusal.message;
                tracing::error!(target: "dsma", "DSM at {endpoint:?} refuses {credential}: {reason}; {mend}. Connection will retry in: {wait} millis");
            }
            Err(Lacking::TlsKey(error)) if !error.may_pass() => {
                tracing::error!(target: "dsma", "TLS_KEY_ID: {error}; {TLS_KEY_MEND}. Connection will retry in: {wait} millis");
            }
            Err(Lacking::Login(error)) => tracing::warn!(target: "dsma", "{error}. Connection will retry in: {wait} millis"),
            Err(Lacking::TlsKey(error)) => tracing::warn!(target: "dsma", "{error}. Connection will retry in: {wait} millis"),
        }
    }
}

const TLS_KEY_MEND: &str = "give the id of an enabled RSA or EC key with SIGN and EXPORT, in a group where this service's app may EXPORT";

/// How far the connection to DSM has come.
#[derive(Default)]
struct Progress {
    logged_in: bool,
}

impl Progress {
    /// Goes on from where it was. At the end the service is available.
    async fn advance(&mut self, service: &Service, endpoint: &str) -> Result<Option<Found>, Lacking> {
        if !self.logged_in {
            login(service.accelerator.clone()).await.map_err(Lacking::Login)?;
            tracing::info!(target: "dsma", "Successfully connected to DSM at {endpoint:?}");
            self.logged_in = true;
        }
        let found = match &service.tls {
            Some(tls) => Some(tls.load().await.map_err(Lacking::TlsKey)?),
            None => None,
        };
        service.connected.store(true, Ordering::Relaxed);
        Ok(found)
    }
}

async fn login(accelerator: Accelerator) -> Result<(), Error> {
    let attempt = tokio::task::spawn_blocking(move || accelerator.login());
    attempt.await.unwrap_or(Err(Error::Abandoned)).map(drop)
}
