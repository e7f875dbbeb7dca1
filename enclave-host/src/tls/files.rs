//! `--tls-files`: a private key and its chain, each in PEM or DER.

use std::path::Path;

use rustls::crypto::aws_lc_rs::default_provider;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use zeroize::Zeroizing;

use crate::config::{ConfigError, TlsFiles};

/// Reads both files.
///
/// # Errors
/// They cannot be read, do not parse, or do not belong together.
pub(crate) fn from_files(files: &TlsFiles) -> Result<CertifiedKey, ConfigError> {
    let (chain, key) = (read_chain(&files.certificate)?, read_key(&files.key)?);
    CertifiedKey::from_der(chain, key, &default_provider()).map_err(|error| {
        let problem = match error {
            rustls::Error::InconsistentKeys(_) => "the certificate does not belong to the key".to_owned(),
            error => error.to_string(),
        };
        ConfigError::new("--tls-files", problem, "give the private key first, then its certificate chain with the leaf first")
    })
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

fn file_problem(file: &Path, problem: &str) -> ConfigError {
    ConfigError::new(
        "--tls-files",
        format!("{}: {problem}", file.display()),
        "give the private key first, then the certificate chain, PEM or DER",
    )
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
        let try_files = |key: &str, certificate: &str| from_files(&TlsFiles { key: path(key), certificate: path(certificate) });
        for (key, certificate) in [("key.pem", "cert.pem"), ("key.der", "cert.der"), ("key.pem", "cert.der")] {
            assert_eq!(try_files(key, certificate).unwrap().cert[0], *made.cert.der());
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
    }
}
