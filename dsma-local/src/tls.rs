//! The development CA and the server's certificate.
//!
//! The CA is made at the first start and kept: clients trust it for good. The server's key lives in memory only; it gets a new
//! certificate from the CA at every start.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, ServerConfig, SignatureScheme};
use time::{Duration, OffsetDateTime};
use zeroize::Zeroizing;

use crate::error::Error;
use crate::state_dir::StateDir;

/// The names under which a client may reach the server. rcgen tells addresses from names.
const NAMES: &[&str] = &["localhost", "127.0.0.1", "::1"];

/// Whether a service asks its clients for certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClientCertificates {
    /// It does not.
    Ignored,
    /// It does, and serves clients without one too.
    Requested,
}

/// The CA that signs what dsma-local serves.
pub(crate) struct DevCa {
    key: KeyPair,
    pem: String,
}

impl DevCa {
    /// Reads `ca.pem` and `ca.key`, or makes them.
    pub(crate) fn load_or_create(state: &StateDir) -> Result<Self, Error> {
        match (state.read("ca.key")?.map(Zeroizing::new), state.read("ca.pem")?) {
            (Some(key), Some(pem)) => {
                let damaged = |name, problem| Error::Damaged { path: state.path(name), problem };
                let key = std::str::from_utf8(&key).ok().and_then(|pem| KeyPair::from_pem(pem).ok());
                let key = key.ok_or_else(|| damaged("ca.key", "no private key in PEM"))?;
                let pem = String::from_utf8(pem).map_err(|_| damaged("ca.pem", "no certificate in PEM"))?;
                Ok(Self { key, pem })
            }
            (None, Some(_)) => Err(Error::Damaged { path: state.path("ca.key"), problem: "it is missing, and ca.pem is there" }),
            (_, None) => {
                let key = KeyPair::generate()?;
                let pem = ca_params().self_signed(&key)?.pem();
                // The key first: a crash between the two leaves a state that the next start repairs by making both anew.
                state.write_private("ca.key", Zeroizing::new(key.serialize_pem()).as_bytes())?;
                state.write_public("ca.pem", pem.as_bytes())?;
                tracing::info!("made a development CA: {}", state.path("ca.pem").display());
                Ok(Self { key, pem })
            }
        }
    }

    /// The CA's certificate.
    pub(crate) fn pem(&self) -> &str {
        &self.pem
    }

    /// TLS 1.2 and 1.3 on aws-lc, HTTP/2 and HTTP/1.1, with a certificate made now.
    pub(crate) fn server_config(&self, clients: ClientCertificates) -> Result<Arc<ServerConfig>, Error> {
        let key = KeyPair::generate()?;
        // Only the subject and the key identifier of the issuer go into the certificate, and both follow from these two.
        let issuer = Issuer::new(ca_params(), &self.key);
        let certificate = server_params()?.signed_by(&key, &issuer)?;
        let ca = CertificateDer::from_pem_slice(self.pem.as_bytes()).map_err(|_| rustls::Error::General("no CA certificate".into()))?;
        let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
        let config = match clients {
            ClientCertificates::Ignored => config.with_no_client_auth(),
            ClientCertificates::Requested => config.with_client_cert_verifier(Arc::new(Possession(provider))),
        };
        let mut config = config.with_single_cert(vec![certificate.der().clone(), ca], private)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

/// Lets every certificate pass whose private key the client holds, and clients without one: what a certificate is worth depends on the
/// app that it is for, so it is judged at login.
#[derive(Debug)]
struct Possession(Arc<CryptoProvider>);

impl ClientCertVerifier for Possession {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

fn ca_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = named("dsma-local development CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    valid_for(&mut params, Duration::days(3650));
    params
}

fn server_params() -> Result<CertificateParams, Error> {
    let mut params = CertificateParams::new(NAMES.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())?;
    params.distinguished_name = named("localhost");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    // Some clients refuse server certificates that are valid for more than 398 days.
    valid_for(&mut params, Duration::days(397));
    Ok(params)
}

fn named(common_name: &str) -> rcgen::DistinguishedName {
    let mut name = rcgen::DistinguishedName::new();
    name.push(DnType::OrganizationName, "DSM Accelerator");
    name.push(DnType::CommonName, common_name);
    name
}

/// From yesterday, so that a client whose clock is a little behind agrees.
fn valid_for(params: &mut CertificateParams, length: Duration) {
    let now = OffsetDateTime::now_utc();
    params.not_before = now - Duration::days(1);
    params.not_after = now + length;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ca_outlives_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::open(dir.path()).unwrap();
        let first = DevCa::load_or_create(&state).unwrap().pem;
        let again = DevCa::load_or_create(&state).unwrap();
        assert_eq!(first, again.pem);
        again.server_config(ClientCertificates::Requested).unwrap();
        std::fs::remove_file(state.path("ca.key")).unwrap();
        assert!(matches!(DevCa::load_or_create(&state), Err(Error::Damaged { .. })));
    }
}
