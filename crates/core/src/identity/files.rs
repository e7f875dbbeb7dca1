//! A certificate in files, which somebody else keeps fresh.

use std::path::Path;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use zeroize::{Zeroize, Zeroizing};

use super::ClientCertificate;
use crate::Error;
use crate::config::{CertificateFiles, read_secret_file};

/// Reads both files.
///
/// # Errors
/// [`Error::Certificate`] that names the file and the mend.
pub(super) fn read(files: &CertificateFiles) -> Result<ClientCertificate, Error> {
    let text = text_of(&files.cert_file)?;
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(text.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|_| unusable(&files.cert_file, "is not PEM", CERTIFICATE_MEND))?;
    let text = text_of(&files.key_file)?;
    let mut key = PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|_| {
        unusable(&files.key_file, "holds no private key in PEM", "give the certificate's private key, unencrypted: PKCS#8, PKCS#1 or SEC1")
    })?;
    let made = ClientCertificate::new(chain, &key).map_err(|problem| unusable(&files.cert_file, &problem, CERTIFICATE_MEND));
    key.zeroize();
    made
}

fn text_of(file: &Path) -> Result<Zeroizing<String>, Error> {
    const MEND: &str = "check the path and who may read the file";
    read_secret_file(file, MEND).map_err(|error| match error {
        Error::Config { problem, .. } => unusable(file, &problem, MEND),
        other => other,
    })
}

const CERTIFICATE_MEND: &str = "give the app's certificate in PEM, leaf first, and its own private key as key_file";

pub(super) fn unusable(file: &Path, problem: &str, mend: &str) -> Error {
    let subject = file.display().to_string().into();
    Error::Certificate { subject, problem: problem.into(), mend: mend.into(), outage: false }
}
