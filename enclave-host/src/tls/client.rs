//! The trust in DSM's certificate, for the connections that carry callers' requests.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs::default_provider;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use super::internal;
use crate::config::ConfigError;

/// TLS towards DSM. No client certificate, ever: callers' requests must not carry our identity.
///
/// # Errors
/// The CA file cannot be read or holds no certificate.
pub(crate) fn client(ca_file: Option<&Path>) -> Result<ClientConfig, ConfigError> {
    let mut roots = RootCertStore::empty();
    match ca_file {
        Some(file) => {
            for certificate in read_ca_file(file)? {
                roots.add(certificate).map_err(|error| ca_problem(file, error.to_string()))?;
            }
        }
        // A root that does not parse is left out: a connection that needs it will say so.
        None => {
            let _ = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(internal)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(config)
}

fn read_ca_file(file: &Path) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_file_iter(file).and_then(Iterator::collect);
    match certificates {
        Ok(certificates) if certificates.is_empty() => Err(ca_problem(file, "holds no certificate".to_owned())),
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(ca_problem(file, error.to_string())),
    }
}

fn ca_problem(file: &Path, problem: String) -> ConfigError {
    ConfigError::new("FORTANIX_CA_FILE", format!("{}: {problem}", file.display()), "give a readable PEM file with the CA of DSM")
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
