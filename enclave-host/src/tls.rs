//! TLS of the service: the key and certificates given with `--tls-files`, else a certificate that it signs itself; and the trust in
//! DSM's certificate.

use std::path::Path;
use std::sync::Arc;

use aws_lc_rs::digest;
use rustls::crypto::aws_lc_rs::{Ticketer, default_provider};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use zeroize::Zeroizing;

use crate::config::{ConfigError, TlsFiles};

/// Names in the self-signed certificate.
const OWN_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// TLS 1.2 and 1.3 with HTTP/2 and HTTP/1.1, and whether the certificate is self-signed: its SHA-256 then.
///
/// # Errors
/// The files cannot be read, do not parse, or do not belong together.
pub(crate) fn server(files: Option<&TlsFiles>) -> Result<(Arc<ServerConfig>, Option<String>), ConfigError> {
    let (chain, key, self_signed) = match files {
        Some(files) => (read_chain(&files.certificate)?, read_key(&files.key)?, false),
        None => {
            let (certificate, key) = self_signed()?;
            (vec![certificate], key, true)
        }
    };
    let fingerprint = self_signed.then(|| fingerprint(&chain[0]));
    let provider = default_provider();
    let certified = CertifiedKey::from_der(chain, key, &provider).map_err(|error| {
        let problem = match error {
            rustls::Error::InconsistentKeys(_) => "the certificate does not belong to the key".to_owned(),
            error => error.to_string(),
        };
        ConfigError::new("--tls-files", problem, "give the private key first, then its certificate chain with the leaf first")
    })?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .map_err(internal)?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(certified)));
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    // A resumed handshake costs a tenth of a full one; the keys of the tickets rotate and never leave the process.
    config.ticketer = Ticketer::new().map_err(internal)?;
    Ok((Arc::new(config), fingerprint))
}

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

fn self_signed() -> Result<(CertificateDer<'static>, PrivateKeyDer<'static>), ConfigError> {
    let failed =
        |error: rcgen::Error| ConfigError::new("--tls-files", format!("absent, and no certificate can be made: {error}"), "give them");
    let made = rcgen::generate_simple_self_signed(OWN_NAMES.map(str::to_owned)).map_err(failed)?;
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    Ok((made.cert.der().clone(), PrivateKeyDer::Pkcs8(key)))
}

fn read_chain(file: &Path) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
    let bytes = read(file)?;
    if !is_pem(&bytes) {
        return Ok(vec![CertificateDer::from(bytes.to_vec())]);
    }
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    match chain {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        _ => Err(file_problem(file, "holds no certificate")),
    }
}

fn read_key(file: &Path) -> Result<PrivateKeyDer<'static>, ConfigError> {
    let bytes = read(file)?;
    if is_pem(&bytes) {
        return PrivateKeyDer::from_pem_slice(&bytes).map_err(|_| file_problem(file, "holds no private key"));
    }
    PrivateKeyDer::try_from(bytes.as_slice()).map(|key| key.clone_key()).map_err(|_| file_problem(file, "holds no private key"))
}

fn read(file: &Path) -> Result<Zeroizing<Vec<u8>>, ConfigError> {
    std::fs::read(file).map(Zeroizing::new).map_err(|error| file_problem(file, &error.to_string()))
}

fn is_pem(bytes: &[u8]) -> bool {
    bytes.windows(11).any(|window| window == b"-----BEGIN ")
}

fn read_ca_file(file: &Path) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_file_iter(file).and_then(Iterator::collect);
    match certificates {
        Ok(certificates) if certificates.is_empty() => Err(ca_problem(file, "holds no certificate".to_owned())),
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(ca_problem(file, error.to_string())),
    }
}

/// SHA-256 of the certificate, so that an operator can tell it from an attacker's.
fn fingerprint(certificate: &CertificateDer<'_>) -> String {
    let hash = digest::digest(&digest::SHA256, certificate);
    hash.as_ref().iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")
}

fn file_problem(file: &Path, problem: &str) -> ConfigError {
    ConfigError::new(
        "--tls-files",
        format!("{}: {problem}", file.display()),
        "give the private key first, then the certificate chain, PEM or DER",
    )
}

fn ca_problem(file: &Path, problem: String) -> ConfigError {
    ConfigError::new("FORTANIX_CA_FILE", format!("{}: {problem}", file.display()), "give a readable PEM file with the CA of DSM")
}

fn internal(error: rustls::Error) -> ConfigError {
    ConfigError::new("--tls-files", format!("TLS cannot be set up: {error}"), "report this")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_as_pem_and_as_der_and_must_belong_together() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(path("key.pem"), made.signing_key.serialize_pem()).unwrap();
        std::fs::write(path("key.der"), made.signing_key.serialize_der()).unwrap();
        std::fs::write(path("cert.pem"), made.cert.pem()).unwrap();
        std::fs::write(path("cert.der"), made.cert.der()).unwrap();
        std::fs::write(path("other.der"), rcgen::KeyPair::generate().unwrap().serialize_der()).unwrap();
        let try_files = |key: &str, certificate: &str| {
            server(Some(&TlsFiles { key: path(key), certificate: path(certificate) })).map(|(_, print)| print)
        };
        for (key, certificate) in [("key.pem", "cert.pem"), ("key.der", "cert.der"), ("key.pem", "cert.der")] {
            assert_eq!(try_files(key, certificate).unwrap(), None);
        }
        for (key, certificate, problem) in [
            ("other.der", "cert.pem", "does not belong to the key"),
            ("cert.pem", "cert.pem", "cert.pem: holds no private key"),
            ("key.pem", "key.pem", "key.pem: holds no certificate"),
            ("absent", "cert.pem", "absent: No such file"),
        ] {
            let text = try_files(key, certificate).unwrap_err().to_string();
            assert!(text.starts_with("--tls-files: ") && text.contains(problem), "{text}");
        }
        assert_eq!(server(None).unwrap().1.unwrap().len(), 95);
        assert!(client(Some(&path("key.pem"))).unwrap_err().to_string().contains("FORTANIX_CA_FILE"));
    }
}
