//! How an enclave earns a certificate: a new key, an attestation document that binds it, and the node agent's word.

use std::sync::Arc;
use std::time::Duration;

use dsma_attest::binding;
use dsma_attest::csr::{self, CsrRequest, KeyPair};
use dsma_attest::nsm::Device;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::{ClientCertificate, node_agent};
use crate::config::Attested;
use crate::{Error, gate};

/// The nonce is our own: what makes a document fresh is its time.
const NONCE_LEN: usize = 16;
/// The leaf and the CAs above it.
const LONGEST_CHAIN: usize = 8;

/// Makes a key pair, has the NSM attest it, and the node agent certify it. The private key never leaves this process.
///
/// # Errors
/// [`Error::Certificate`], with what an operator has to do.
pub(super) fn certify(identity: &Attested, within: Duration) -> Result<ClientCertificate, Error> {
    let key = KeyPair::generate().map_err(|error| internal(&error))?;
    let document = attest(&key, identity.app_config_id.as_ref())?;
    let names = CsrRequest { subject_common_name: Some(identity.domain.clone()), dns_names: vec![identity.domain.clone()] };
    let request = csr::build(&key, &names, Some(&document)).map_err(|error| internal(&error))?;
    let pem = node_agent::issue(&identity.node_agent, &request, within)?;
    let unusable = |problem: &str| Error::Certificate {
        subject: format!("node agent {}", identity.node_agent).into(),
        problem: format!("its certificate {problem}").into(),
        mend: "check that a node agent of a supported version listens there".into(),
        outage: false,
    };
    let chain = CertificateDer::pem_slice_iter(pem.as_bytes()).take(LONGEST_CHAIN).collect::<Result<Vec<_>, _>>();
    let chain = chain.map_err(|_| unusable("is not PEM"))?;
    let bytes = key.pkcs8_der().map_err(|error| internal(&error))?;
    let key = PrivateKeyDer::try_from(bytes.as_slice()).map_err(|error| internal(&error))?;
    let certificate = ClientCertificate::new(chain, &key).map_err(|problem| unusable(&problem))?;
    tracing::info!(target: "dsma::identity", "certified for {} until {}", identity.domain, certificate.end());
    Ok(certificate)
}

/// A document whose user data is the digest of the public key.
fn attest(key: &KeyPair, app_config_id: Option<&[u8; 32]>) -> Result<Vec<u8>, Error> {
    let mut nonce = [0; NONCE_LEN];
    dsma_crypto::random::fill(&mut nonce)?;
    let user_data = binding::user_data(key.spki_der(), app_config_id);
    // A device may take its time, as a socket may.
    gate::outside(|| Device::open()?.attestation(Some(&user_data), Some(&nonce), None)).map_err(|error| Error::Certificate {
        subject: "attestation".into(),
        problem: error.to_string().into(),
        mend: "identity = \"attested\" works inside of a Nitro enclave only".into(),
        outage: false,
    })
}

fn internal(error: &dyn std::fmt::Display) -> Error {
    Error::Certificate {
        subject: "attested identity".into(),
        problem: Arc::from(error.to_string()),
        mend: "this is a fault of ours: please report it".into(),
        outage: false,
    }
}
