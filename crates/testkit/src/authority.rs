//! A certification authority for tests, and the identities that it issues.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use ureq::tls::{Certificate, ClientCert, PrivateKey};

/// A CA with a key of its own.
pub struct Authority {
    params: CertificateParams,
    key: KeyPair,
    /// Its certificate, and those of the CAs above it but for the root.
    chain: Vec<Vec<u8>>,
    root: bool,
}

/// A certificate with its private key.
#[derive(Clone)]
pub struct Identity {
    /// The certificate, then the intermediate CAs' certificates; DER.
    pub chain: Vec<Vec<u8>>,
    /// The private key, PKCS#8 in PEM.
    pub key: String,
}

impl Authority {
    /// A root of this name. It is valid for some years, unless `change` says otherwise.
    ///
    /// # Panics
    /// Where the certificate cannot be made.
    #[must_use]
    pub fn root(name: &str, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = ca_params(name);
        change(&mut params);
        let certificate = params.self_signed(&key).expect("a root certificate");
        Self { params, key, chain: vec![certificate.der().to_vec()], root: true }
    }

    /// A CA of this name below this one.
    ///
    /// # Panics
    /// Where the certificate cannot be made.
    #[must_use]
    pub fn intermediate(&self, name: &str) -> Self {
        let key = KeyPair::generate().expect("a key");
        let params = ca_params(name);
        let certificate = params.signed_by(&key, &self.issuer()).expect("a CA certificate");
        let chain = std::iter::once(certificate.der().to_vec()).chain(self.above()).collect();
        Self { params, key, chain, root: false }
    }

    /// A certificate for these DNS names with a new key. It is valid for some years, unless `change` says otherwise.
    ///
    /// # Panics
    /// Where the certificate cannot be made.
    #[must_use]
    pub fn issue(&self, dns_names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Identity {
        let key = KeyPair::generate().expect("a key");
        let mut params =
            CertificateParams::new(dns_names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).expect("names for a certificate");
        change(&mut params);
        let certificate = params.signed_by(&key, &self.issuer()).expect("a certificate");
        let chain = std::iter::once(certificate.der().to_vec()).chain(self.above()).collect();
        Identity { chain, key: key.serialize_pem() }
    }

    /// Its certificate, DER.
    #[must_use]
    pub fn certificate(&self) -> &[u8] {
        &self.chain[0]
    }

    fn issuer(&self) -> Issuer<'_, &KeyPair> {
        Issuer::new(self.params.clone(), &self.key)
    }

    /// What a certificate that it issues is sent with: a root is known already.
    fn above(&self) -> impl Iterator<Item = Vec<u8>> {
        let own = if self.root { Vec::new() } else { self.chain.clone() };
        own.into_iter()
    }
}

impl Identity {
    /// The certificate alone, DER.
    #[must_use]
    pub fn certificate(&self) -> &[u8] {
        &self.chain[0]
    }

    /// The chain in PEM, as a file of certificates holds it.
    #[must_use]
    pub fn pem(&self) -> String {
        self.chain.iter().map(|der| pem("CERTIFICATE", der)).collect()
    }

    pub(crate) fn for_tls(&self) -> ClientCert {
        let chain: Vec<_> = self.chain.iter().map(|der| Certificate::from_der(der).to_owned()).collect();
        ClientCert::new_with_certs(&chain, PrivateKey::from_pem(self.key.as_bytes()).expect("a private key"))
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = base64_simd::STANDARD.encode_to_string(der);
    let lines = text.as_bytes().chunks(64).map(|line| format!("{}\n", String::from_utf8_lossy(line)));
    format!("-----BEGIN {label}-----\n{}-----END {label}-----\n", lines.collect::<String>())
}

fn ca_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
}
