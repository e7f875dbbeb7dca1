//! A certificate of ours with its private key, ready for TLS.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_cert::Certificate;
use x509_cert::der::Decode;

/// The certificate, leaf first, and its key as aws-lc's own object: no copy of the key's bytes is kept. It survives a fork.
#[derive(Debug)]
pub(crate) struct ClientCertificate {
    certified_key: Arc<CertifiedKey>,
    not_before: SystemTime,
    not_after: SystemTime,
}

impl ClientCertificate {
    /// Puts the two together.
    ///
    /// # Errors
    /// What is wrong, as words that follow the name of the thing.
    pub(super) fn new(chain: Vec<CertificateDer<'static>>, key: &PrivateKeyDer<'_>) -> Result<Self, String> {
        let leaf = chain.first().ok_or("holds no certificate")?;
        let parsed = Certificate::from_der(leaf).map_err(|error| format!("holds a certificate that cannot be read: {error}"))?;
        let validity = parsed.tbs_certificate().validity();
        let (not_before, not_after) = (validity.not_before.to_system_time(), validity.not_after.to_system_time());
        let key = any_supported_type(key)
            .map_err(|_| "belongs to a private key that TLS cannot use: RSA, P-256, P-384, P-521 or Ed25519 is expected")?;
        let certified_key = CertifiedKey::new(chain, key);
        match certified_key.keys_match() {
            // A key whose public half is not known is judged by the server.
            Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => {}
            Err(_) => return Err("is for another private key".to_owned()),
        }
        Ok(Self { certified_key: Arc::new(certified_key), not_before, not_after })
    }

    /// As TLS wants it.
    pub(crate) fn certified_key(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.certified_key)
    }

    /// The leaf, DER.
    pub(super) fn leaf(&self) -> &[u8] {
        self.certified_key.cert.first().map(AsRef::as_ref).unwrap_or_default()
    }

    /// The time that it still holds; zero where it does not.
    pub(super) fn left(&self, now: SystemTime) -> Duration {
        self.not_after.duration_since(now).unwrap_or_default()
    }

    /// The time until it should be replaced: it should at two thirds of its life, which is 30 days before the end for the 90 days that CCM
    /// gives. Most of a month is left then to mend what may be in the way.
    pub(super) fn due_in(&self, now: SystemTime) -> Duration {
        let life = self.not_after.duration_since(self.not_before).unwrap_or_default();
        (self.not_before + life / 3 * 2).duration_since(now).unwrap_or_default()
    }

    /// Its last moment, for people.
    pub(super) fn end(&self) -> dsma_api::Time {
        let seconds = self.not_after.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        dsma_api::Time(i64::try_from(seconds).unwrap_or(i64::MAX))
    }
}
