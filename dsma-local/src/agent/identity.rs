//! Who the node is: a key and the certificate that CCM gave it at enrolment, kept in the state directory.
//!
//! ```text
//! node.pem    the certificate
//! node.key    its private key, sealed under the store's key    0600
//! ```

use std::sync::Arc;

use dsma_api::Time;
use dsma_attest::csr::{self, CsrRequest, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::sync::Mutex;
use uuid::Uuid;
use x509_cert::der::Decode;
use zeroize::Zeroizing;

use super::AgentError;
use super::client::Client;
use crate::error::Error;
use crate::state_dir::StateDir;
use crate::store::Store;

/// The node enrols again when less than this part of its certificate's life is left, in percent.
const RENEWAL_THRESHOLD: i64 = 20;

/// What an agent is told.
pub(crate) struct Settings {
    /// CCM's URL.
    pub(crate) ccm: String,
    /// The CA of CCM's own certificate, PEM.
    pub(crate) ca_pem: String,
    /// The token of the zone in which the node enrols.
    pub(crate) join_token: Zeroizing<String>,
    /// Where the identity is kept.
    pub(crate) state: Arc<StateDir>,
    /// Only to seal the key.
    pub(crate) store: Store,
}

/// The node, as CCM knows it.
pub(super) struct Node {
    settings: Settings,
    /// The one who enrols holds the lock; the others wait for the outcome.
    enrolled: Mutex<Option<Enrolled>>,
}

#[derive(Clone)]
struct Enrolled {
    node_id: Uuid,
    client: Client,
    renew_at: i64,
}

impl Node {
    pub(super) fn new(settings: Settings) -> Self {
        Self { settings, enrolled: Mutex::new(None) }
    }

    /// A client with the node's identity; enrols where there is none, or where it soon ends.
    pub(super) async fn client(&self) -> Result<Client, AgentError> {
        Ok(self.enrolled().await?.client)
    }

    /// Asks for a certificate for what runs on this node. Where CCM does not know the node any more, it enrols again, once.
    pub(super) async fn request<T: DeserializeOwned>(&self, csr: &str) -> Result<T, AgentError> {
        let ask =
            async |enrolled: Enrolled| enrolled.client.post("/v1/certificates", &json!({ "csr": csr, "node_id": enrolled.node_id })).await;
        match ask(self.enrolled().await?).await {
            Err(error) if error.is_not_enrolled() => {
                tracing::warn!("node agent: {error}; enrolling again");
                let mut slot = self.enrolled.lock().await;
                let enrolled = self.enrol().await?;
                *slot = Some(enrolled.clone());
                drop(slot);
                ask(enrolled).await
            }
            answer => answer,
        }
    }

    async fn enrolled(&self) -> Result<Enrolled, AgentError> {
        let mut slot = self.enrolled.lock().await;
        let known = match slot.take() {
            Some(enrolled) => Some(enrolled),
            None => self.kept()?,
        };
        let enrolled = match known.filter(|enrolled| enrolled.renew_at > Time::now().0) {
            Some(enrolled) => enrolled,
            None => self.enrol().await?,
        };
        *slot = Some(enrolled.clone());
        Ok(enrolled)
    }

    /// The identity of an earlier start; `None` where there is none that can be used.
    fn kept(&self) -> Result<Option<Enrolled>, Error> {
        let Settings { state, store, .. } = &self.settings;
        let (Some(certificate), Some(sealed)) = (state.read("node.pem")?, state.read("node.key")?) else {
            return Ok(None);
        };
        let key = store.open_from_client("node key", Uuid::nil(), &sealed);
        key.map(|key| self.identity(&certificate, &key)).transpose()
    }

    async fn enrol(&self) -> Result<Enrolled, AgentError> {
        #[derive(Deserialize)]
        struct Task {
            node_id: Uuid,
        }
        #[derive(Deserialize)]
        struct Certificate {
            certificate: String,
        }
        let Settings { ccm, ca_pem, join_token, state, store } = &self.settings;
        let key = KeyPair::generate().map_err(Error::Attestation)?;
        let request = CsrRequest { subject_common_name: Some("node".into()), dns_names: Vec::new() };
        let csr = csr::build(&key, &request, None).map_err(Error::Attestation)?;
        let joining = Client::new(ccm, ca_pem, Some(join_token.clone()), None)?;
        let enrolment = json!({
            "name": "dsma-local",
            "description": "The node agent of this dsma-local",
            "ipaddress": "127.0.0.1",
            "sgx_version": "none",
            "attestation_request": { "csr": csr, "attestation_type": "NITRO_ENCLAVE" },
        });
        let Task { node_id } = joining.post("/v1/nodes", &enrolment).await?;
        let Certificate { certificate } = joining.get(&format!("/v1/nodes/{node_id}/certificate")).await?;
        let key = key.pkcs8_der().map_err(Error::Attestation)?;
        state.write_private("node.key", &store.seal_for_client("node key", Uuid::nil(), &key)?)?;
        state.write_public("node.pem", certificate.as_bytes())?;
        tracing::info!("node agent: enrolled as node {node_id}");
        Ok(self.identity(certificate.as_bytes(), &key)?)
    }

    /// Certificate in PEM, key as PKCS#8. The certificate's subject is the node's id.
    fn identity(&self, certificate: &[u8], key: &[u8]) -> Result<Enrolled, Error> {
        let unreadable = || Error::Damaged { path: self.settings.state.path("node.pem"), problem: "no certificate of a node" };
        let certificate = CertificateDer::from_pem_slice(certificate).map_err(|_| unreadable())?;
        let parsed = x509_cert::Certificate::from_der(&certificate).map_err(|_| unreadable())?;
        let subject = parsed.tbs_certificate().subject().to_string();
        let node_id = subject.strip_prefix("CN=").and_then(|id| Uuid::parse_str(id).ok()).ok_or_else(unreadable)?;
        let validity = parsed.tbs_certificate().validity();
        let seconds = |time: x509_cert::time::Time| i64::try_from(time.to_unix_duration().as_secs()).unwrap_or_default();
        let (from, until) = (seconds(validity.not_before), seconds(validity.not_after));
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.to_vec()));
        let client = Client::new(&self.settings.ccm, &self.settings.ca_pem, None, Some((certificate, key)))?;
        Ok(Enrolled { node_id, client, renew_at: until - (until - from) * RENEWAL_THRESHOLD / 100 })
    }
}
