//! The trust in DSM's certificate, for the connections that carry callers' requests.

use std::path::Path;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::crypto::aws_lc_rs::default_provider;

use super::internal;
use crate::config::ConfigError;

/// TLS towards DSM. No client certificate, ever: callers' requests must not carry our identity.
///
/// # Errors
/// The CA file cannot be read or holds no certificate.
pub(crate) fn client(ca_file: Option<&Path>) -> Result<ClientConfig, ConfigError> {
    let roots = match ca_file {
        Some(file) => dsma_core::roots_of(file).map_err(|problem| {
            let problem = format!("{}: {problem}", file.display());
            ConfigError::new("FORTANIX_CA_FILE", problem, "give a readable PEM file with the CA of DSM")
        })?,
        None => dsma_core::system_roots(),
    };
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(internal)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ca_file_must_hold_a_certificate() {
        let dir = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let file = |name: &str, content: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, content).unwrap();
            path
        };
        assert!(client(Some(&file("ca.pem", &made.cert.pem()))).is_ok());
        let text = client(Some(&file("key.pem", &made.signing_key.serialize_pem()))).unwrap_err().to_string();
        assert!(text.starts_with("FORTANIX_CA_FILE: ") && text.contains("holds no certificate"), "{text}");
    }
}
