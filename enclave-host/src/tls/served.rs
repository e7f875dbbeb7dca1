//! The certificate that clients see, which may change while the service runs.

use std::sync::Arc;

use parking_lot::RwLock;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::self_signed::fingerprint;

/// One key with its chain. Shared by all handshakes; a handshake that has begun keeps what it took, and a connection that is open
/// does not notice a change.
#[derive(Debug)]
pub(crate) struct Served(RwLock<Arc<CertifiedKey>>);

impl Served {
    pub(crate) fn new(certified: CertifiedKey) -> Arc<Self> {
        Arc::new(Self(RwLock::new(Arc::new(certified))))
    }

    /// What handshakes show now.
    pub(super) fn current(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.0.read())
    }

    /// SHA-256 of the leaf.
    pub(crate) fn fingerprint(&self) -> String {
        self.current().cert.first().map(fingerprint).unwrap_or_default()
    }

    /// Shows this from the next handshake on.
    pub(super) fn replace(&self, certified: CertifiedKey) {
        *self.0.write() = Arc::new(certified);
    }
}

impl ResolvesServerCert for Served {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current())
    }
}
