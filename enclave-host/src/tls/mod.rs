//! TLS of the service: which key and certificates it shows, where they come from, and the trust in DSM's certificate.
//!
//! The key and its chain are given with `--tls-files` ([`files`]), or live in DSM under `TLS_KEY_ID` ([`managed`]); where there is no
//! certificate, the service signs one itself ([`self_signed`]). Whatever it is, [`Served`] holds it and can be told to show another
//! from the next handshake on.

mod chain;
mod client;
mod csr;
mod files;
mod key;
mod managed;
mod self_signed;
mod served;
mod stored;

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::{Ticketer, default_provider};

pub(crate) use self::chain::ChainError;
pub(crate) use self::client::client;
pub(crate) use self::csr::CsrRequest;
pub(crate) use self::files::from_files;
pub(crate) use self::managed::{Found, LoadError, ManagedTls, UploadError};
pub(crate) use self::self_signed::own;
pub(crate) use self::served::Served;
use crate::config::ConfigError;

/// TLS 1.2 and 1.3 with HTTP/2 and HTTP/1.1, showing what `served` holds at each handshake.
///
/// # Errors
/// The library cannot be set up, for want of randomness for instance.
pub(crate) fn server(served: Arc<Served>) -> Result<Arc<ServerConfig>, ConfigError> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(internal)?
        .with_no_client_auth()
        .with_cert_resolver(served);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    // A resumed handshake costs a tenth of a full one; the keys of the tickets rotate and never leave the process.
    config.ticketer = Ticketer::new().map_err(internal)?;
    Ok(Arc::new(config))
}

fn internal(error: rustls::Error) -> ConfigError {
    ConfigError::new("--tls-files", format!("TLS cannot be set up: {error}"), "report this")
}
