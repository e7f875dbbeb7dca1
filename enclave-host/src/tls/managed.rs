//! Managed TLS: the key named by `TLS_KEY_ID` and the certificates linked to it in DSM, without a file on this machine.
//!
//! The key is exported under our own identity when the service starts; its certificates are found, or the service signs one itself.
//! An operator has a certificate request made, has it signed, and uploads the chain: it is shown from the next handshake on, and found
//! in DSM by the next start.

use std::sync::Arc;
use std::time::SystemTime;

use dsma_core::{Accelerator, Error};
use parking_lot::RwLock;
use rustls_pki_types::CertificateDer;
use tokio::sync::Mutex;
use uuid::Uuid;

use super::chain::{self, ChainError};
use super::csr::CsrRequest;
use super::key::TlsKey;
use super::served::Served;
use super::{self_signed, stored};

/// The TLS key in DSM, and what is shown of it. One for the service.
pub(crate) struct ManagedTls {
    kid: Uuid,
    accelerator: Accelerator,
    served: Arc<Served>,
    /// Absent until DSM has given it.
    key: RwLock<Option<Arc<TlsKey>>>,
    /// One look into DSM, or one change of what it keeps, at a time.
    turn: Arc<Mutex<()>>,
}

/// What the service shows after a look into DSM.
pub(crate) enum Found {
    /// A chain that was uploaded.
    Chain,
    /// Nothing: the key signed a certificate itself, with this SHA-256.
    SelfSigned(String),
}

/// Why the TLS key cannot be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    #[error(transparent)]
    Dsm(#[from] Error),
    #[error("{0}")]
    Unusable(String),
}

impl Found {
    /// Tells the operator, in the vendor's words.
    pub(crate) fn tell(&self) {
        match self {
            Self::Chain => tracing::info!(target: "dsma", "Using certificate found in DSM"),
            Self::SelfSigned(fingerprint) => {
                tracing::warn!(target: "dsma", "Using self-signed TLS certificate. In order to avoid this, use the argument `--tls-files`.");
                tracing::info!(target: "dsma", "SHA-256 of the self-signed certificate: {fingerprint}");
            }
        }
    }
}

impl LoadError {
    /// Whether it may be gone at the next attempt without anybody mending anything.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::Dsm(Error::Api(refusal)) => refusal.status >= 500,
            Self::Dsm(_) => true,
            Self::Unusable(_) => false,
        }
    }
}

/// Why a chain was not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UploadError {
    #[error("The TLS key has not been fetched from DSM yet; try again in a few seconds")]
    NotReady,
    #[error(transparent)]
    Chain(#[from] ChainError),
    #[error("DSM did not take the certificates, and the former ones stay: {0}")]
    Dsm(#[from] Error),
}

impl ManagedTls {
    pub(crate) fn new(kid: Uuid, accelerator: Accelerator, served: Arc<Served>) -> Arc<Self> {
        Arc::new(Self { kid, accelerator, served, key: RwLock::default(), turn: Arc::default() })
    }

    /// The TLS key's kid.
    pub(crate) const fn kid(&self) -> Uuid {
        self.kid
    }

    /// Exports the key, finds its certificates and shows them. Where it fails, everything stays as it is.
    pub(crate) async fn load(self: &Arc<Self>) -> Result<Found, LoadError> {
        self.in_turn(Self::load_now).await
    }

    /// A certificate request in PEM, signed by the TLS key.
    ///
    /// # Errors
    /// `None` where the key is not there yet; else the member that cannot be used.
    pub(crate) async fn csr(&self, request: CsrRequest) -> Result<String, Option<String>> {
        let key = self.key.read().clone().ok_or(None)?;
        // An RSA signature keeps a core busy for a while.
        let built = tokio::task::spawn_blocking(move || request.build(&key)).await;
        built.unwrap_or_else(|_| Err("the request cannot be written".to_owned())).map_err(Some)
    }

    /// Checks a chain, keeps it in DSM in place of the one before, and shows it. Gives the sobjects' kids, leaf first; none where the
    /// same chain is shown already.
    pub(crate) async fn upload(self: &Arc<Self>, chain: Vec<CertificateDer<'static>>) -> Result<Vec<Uuid>, UploadError> {
        self.in_turn(move |this| this.upload_now(chain)).await
    }

    /// Runs blocking work. Once begun it is not broken off, nor its turn given away, when the client who asked for it goes away.
    async fn in_turn<T, E>(self: &Arc<Self>, work: impl FnOnce(&Self) -> Result<T, E> + Send + 'static) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let (this, turn) = (Arc::clone(self), Arc::clone(&self.turn).lock_owned().await);
        let done = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            work(&this)
        });
        done.await.unwrap_or_else(|_| Err(Error::Abandoned.into()))
    }

    fn load_now(&self) -> Result<Found, LoadError> {
        tracing::info!(target: "dsma::server", "Fetching TLS key and certs from DSM");
        let sobject = stored::export(&self.accelerator, self.kid)?;
        let key = TlsKey::new(&sobject).map_err(LoadError::Unusable)?;
        let found = stored::certificates(&self.accelerator, &sobject)?;
        let chain: Vec<_> = chain::pick(&found, key.spki()).into_iter().map(|at| found[at].clone()).collect();
        let found = if let Some(leaf) = chain.first() {
            let (end, valid) = chain::validity(leaf, SystemTime::now());
            if !valid {
                tracing::warn!(target: "dsma::server", "The certificate found in DSM is not valid now (it ends at {end}): upload a new one");
            }
            self.served.replace(key.with_chain(chain));
            Found::Chain
        } else {
            tracing::info!(target: "dsma::server", "Found no certificate associated with the key");
            let own = self_signed::of(&key).map_err(|error| LoadError::Unusable(error.to_string()))?;
            self.served.replace(own);
            Found::SelfSigned(self.served.fingerprint())
        };
        *self.key.write() = Some(Arc::new(key));
        Ok(found)
    }

    fn upload_now(&self, chain: Vec<CertificateDer<'static>>) -> Result<Vec<Uuid>, UploadError> {
        let key = self.key.read().clone().ok_or(UploadError::NotReady)?;
        chain::check(&chain, key.spki(), SystemTime::now())?;
        if self.served.current().cert == chain {
            return Ok(Vec::new());
        }
        let former = stored::linked(&self.accelerator, self.kid)?;
        let kids = stored::import(&self.accelerator, self.kid, &chain)?;
        self.served.replace(key.with_chain(chain));
        tracing::info!(target: "dsma::server", "Using the {} certificates uploaded for TLS key {}", kids.len(), self.kid);
        stored::unlink(&self.accelerator, former.into_iter());
        Ok(kids)
    }
}
