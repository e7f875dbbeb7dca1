//! The certificates of CAs that are trusted for DSM.

use std::path::Path;

use rustls::RootCertStore;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

/// The certificates in a PEM file, each of which must be usable: one that is passed over would be missed later, and nobody would know
/// where.
///
/// # Errors
/// What is wrong with the file, without its name.
pub fn roots_of(file: &Path) -> Result<RootCertStore, String> {
    let certificates: Vec<CertificateDer<'static>> =
        CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<_, _>>).map_err(|error| error.to_string())?;
    if certificates.is_empty() {
        return Err("holds no certificate".to_owned());
    }
    let mut roots = RootCertStore::empty();
    for (at, certificate) in certificates.into_iter().enumerate() {
        roots.add(certificate).map_err(|error| format!("certificate {} cannot be used: {error}", at + 1))?;
    }
    Ok(roots)
}

/// The system's, or those that `SSL_CERT_FILE` and `SSL_CERT_DIR` name. One that cannot be read is left out: a connection that needs it
/// will say so.
#[must_use]
pub fn system_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    let _ = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_that_cannot_be_used_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let problem = |content: &str| {
            let file = dir.path().join("ca.pem");
            std::fs::write(&file, content).unwrap();
            roots_of(&file).unwrap_err()
        };
        assert_eq!(problem("no PEM"), "holds no certificate");
        let text = problem("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
        assert!(text.starts_with("certificate 1 cannot be used: "), "{text}");
        assert!(roots_of(&dir.path().join("none.pem")).unwrap_err().contains("No such file"));
    }
}
