//! Who the node is: a key and the certificate that CCM gave it at enrolment, kept in the state directory.
//!
//! ```text
//! node.pem    the certificate
//! node.key    its private key, sealed under the store's key    0600
//! ```

use std::sync::Arc;

use dsma_api::Time;
use dsma_attest::csr::{self, CsrRequest, KeyPair};
use parking_lot::Mutex;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::sync::Mutex as Turn;
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

/// Seconds after which a renewal is tried again that has failed while the certificate still holds.
const RENEWAL_PAUSE: i64 = 60;

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
    enrolled: Mutex<Option<Enrolled>>,
    /// Held by the one who enrols: enrolling again voids the certificate before, so that the others wait for the outcome.
    enrolling: Turn<()>,
}

#[derive(Clone)]
struct Enrolled {
    node_id: Uuid,
    /// Tells one enrolment from the next: the id stays.
    certificate: CertificateDer<'static>,
    client: Client,
    renew_at: i64,
    until: i64,
}

impl Node {
    pub(super) fn new(settings: Settings) -> Self {
        Self { settings, enrolled: Mutex::new(None), enrolling: Turn::new(()) }
    }

    /// A client with the node's identity; enrols where there is none, or where it soon ends.
    pub(super) async fn client(&self) -> Result<Client, AgentError> {
        Ok(self.enrolled().await?.client)
    }

    /// Asks for a certificate for what runs on this node. Where CCM does not know the node any more, it enrols again, once.
    pub(super) async fn request<T: DeserializeOwned>(&self, csr: &str) -> Result<T, AgentError> {
        let ask =
            async |enrolled: Enrolled| enrolled.client.post("/v1/certificates", &json!({ "csr": csr, "node_id": enrolled.node_id })).await;
        let enrolled = self.enrolled().await?;
        match ask(enrolled.clone()).await {
            Err(error) if error.is_not_enrolled() => {
                tracing::warn!("node agent: {error}; enrolling again");
                ask(self.enrolled_after(&enrolled).await?).await
            }
            answer => answer,
        }
    }

    async fn enrolled(&self) -> Result<Enrolled, AgentError> {
        match self.known()? {
            Some(known) if known.renew_at > Time::now().0 => Ok(known),
            Some(known) if known.until > Time::now().0 => Ok(self.renewed(known).await),
            Some(ended) => self.enrolled_after(&ended).await,
            None => {
                let _turn = self.enrolling.lock().await;
                match self.known()? {
                    Some(first) => Ok(first),
                    None => self.enrol().await,
                }
            }
        }
    }

    /// A new identity in the place of `before`, unless somebody has got one meanwhile.
    async fn enrolled_after(&self, before: &Enrolled) -> Result<Enrolled, AgentError> {
        let _turn = self.enrolling.lock().await;
        match self.known()?.filter(|known| known.certificate != before.certificate) {
            Some(newer) => Ok(newer),
            None => self.enrol().await,
        }
    }

    /// A new identity where one can be had; `known` holds for some time yet, and so do the others go on with it.
    async fn renewed(&self, known: Enrolled) -> Enrolled {
        let Ok(_turn) = self.enrolling.try_lock() else {
            return known;
        };
        // Whoever held the turn before may have enrolled since `known` was looked up, or have found that it cannot be done yet.
        let by_now = self.enrolled.lock().clone();
        if let Some(by_now) = by_now.filter(|by_now| by_now.certificate != known.certificate || by_now.renew_at > known.renew_at) {
            return by_now;
        }
        match self.enrol().await {
            Ok(renewed) => renewed,
            Err(error) => {
                tracing::warn!("node agent: cannot enrol again yet: {error}; the certificate holds until {}", Time(known.until));
                let later = Enrolled { renew_at: Time::now().0 + RENEWAL_PAUSE, ..known };
                *self.enrolled.lock() = Some(later.clone());
                later
            }
        }
    }

    /// The identity of this start, or of an earlier one.
    fn known(&self) -> Result<Option<Enrolled>, Error> {
        if let Some(enrolled) = self.enrolled.lock().clone() {
            return Ok(Some(enrolled));
        }
        let kept = self.kept()?;
        let mut enrolled = self.enrolled.lock();
        if enrolled.is_none() {
            *enrolled = kept;
        }
        Ok(enrolled.clone())
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

    /// Enrols. Whoever calls holds the turn.
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
        let enrolled = self.identity(certificate.as_bytes(), &key)?;
        *self.enrolled.lock() = Some(enrolled.clone());
        Ok(enrolled)
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
        let client = Client::new(&self.settings.ccm, &self.settings.ca_pem, None, Some((certificate.clone(), key)))?;
        Ok(Enrolled { node_id, certificate, client, renew_at: until - (until - from) * RENEWAL_THRESHOLD / 100, until })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::DevCa;

    /// An identity that is valid for these days yet.
    fn identity(node: &Node, days: i64) -> Enrolled {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(rcgen::DnType::CommonName, Uuid::nil().to_string());
        params.not_after = time::OffsetDateTime::now_utc() + time::Duration::days(days);
        node.identity(params.self_signed(&key).unwrap().pem().as_bytes(), &key.serialize_der()).unwrap()
    }

    #[test]
    fn an_identity_that_was_renewed_meanwhile_is_not_renewed_again() {
        let dir = tempfile::tempdir().unwrap();
        let state = Arc::new(StateDir::open(dir.path()).unwrap());
        let store = Store::open(&state).unwrap();
        let ca_pem = DevCa::load_or_create(&state).unwrap().pem().to_owned();
        // Nobody listens there: to enrol fails, and the one who tried goes on with what he knew.
        let node = Node::new(Settings { ccm: "https://127.0.0.1:1".into(), ca_pem, join_token: String::new().into(), state, store });
        let (before, renewed) = (identity(&node, 1), identity(&node, 365));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        *node.enrolled.lock() = Some(before.clone());
        assert_eq!(runtime.block_on(node.renewed(before.clone())).certificate, before.certificate);
        *node.enrolled.lock() = Some(renewed.clone());
        assert_eq!(runtime.block_on(node.renewed(before)).certificate, renewed.certificate);
        assert_eq!(node.enrolled.lock().clone().unwrap().certificate, renewed.certificate);
    }
}
