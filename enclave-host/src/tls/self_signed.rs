//! A certificate that the service signs itself, for as long as it has no other.

use aws_lc_rs::digest;
use rcgen::{CertificateParams, KeyPair, SigningKey};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::sign::CertifiedKey;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use super::key::TlsKey;
use crate::config::ConfigError;

/// Names in the self-signed certificate.
const OWN_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// A new key with a certificate of its own.
///
/// # Errors
/// No key or certificate can be made.
pub(crate) fn own() -> Result<CertifiedKey, ConfigError> {
    let failed = |error: &dyn std::error::Error| {
        ConfigError::new("--tls-files", format!("absent, and no certificate can be made: {error}"), "give them")
    };
    let key = KeyPair::generate().map_err(|error| failed(&error))?;
    let certificate = certificate(&key).map_err(|error| failed(&error))?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    CertifiedKey::from_der(vec![certificate], key, &default_provider()).map_err(|error| failed(&error))
}

/// A certificate of the TLS key that DSM keeps: whoever pins that key recognises the service before it has a real one.
pub(super) fn of(key: &TlsKey) -> Result<CertifiedKey, rcgen::Error> {
    Ok(key.with_chain(vec![certificate(key)?]))
}

fn certificate(key: &impl SigningKey) -> Result<CertificateDer<'static>, rcgen::Error> {
    Ok(CertificateParams::new(OWN_NAMES.map(str::to_owned))?.self_signed(key)?.der().clone())
}

/// SHA-256 of a certificate, so that an operator can tell it from an attacker's.
pub(super) fn fingerprint(certificate: &CertificateDer<'_>) -> String {
    let hash = digest::digest(&digest::SHA256, certificate);
    hash.as_ref().iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_start_makes_its_own() {
        let (one, other) = (own().unwrap(), own().unwrap());
        one.keys_match().unwrap();
        assert_ne!(fingerprint(&one.cert[0]), fingerprint(&other.cert[0]));
        assert_eq!(fingerprint(&one.cert[0]).len(), 95);
    }
}
