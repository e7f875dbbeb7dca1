//! The TLS key that DSM keeps, once it is exported: it signs handshakes, certificate requests and, for want of a better one, its own
//! certificate, and shows itself to nobody.

use std::sync::Arc;

use dsma_api::{KeyFacts, ObjectType, Operation, Permissions, Sobject, Time, authorize};
use rcgen::{PublicKeyData, SignatureAlgorithm};
use rustls::SignatureScheme;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::sign::{CertifiedKey, SigningKey};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer};
use x509_cert::der::Decode;
use x509_cert::spki::SubjectPublicKeyInfoRef;

/// How each kind of key signs a certificate or a request. The first scheme that the key knows is used.
const ALGORITHMS: [(SignatureScheme, &SignatureAlgorithm); 5] = [
    (SignatureScheme::RSA_PKCS1_SHA256, &rcgen::PKCS_RSA_SHA256),
    (SignatureScheme::ECDSA_NISTP256_SHA256, &rcgen::PKCS_ECDSA_P256_SHA256),
    (SignatureScheme::ECDSA_NISTP384_SHA384, &rcgen::PKCS_ECDSA_P384_SHA384),
    (SignatureScheme::ECDSA_NISTP521_SHA512, &rcgen::PKCS_ECDSA_P521_SHA512),
    (SignatureScheme::ED25519, &rcgen::PKCS_ED25519),
];

/// A private key for TLS. The key itself is aws-lc's object; no encoding of it is kept.
pub(super) struct TlsKey {
    key: Arc<dyn SigningKey>,
    scheme: SignatureScheme,
    algorithm: &'static SignatureAlgorithm,
    /// SubjectPublicKeyInfo, DER.
    spki: Vec<u8>,
    /// The bits within it.
    public_bits: Vec<u8>,
}

impl TlsKey {
    /// Takes an exported sobject's key.
    ///
    /// # Errors
    /// In one sentence: no key that TLS can use, or one that DSM does not let sign.
    pub(super) fn new(sobject: &Sobject) -> Result<Self, String> {
        // Our identity may export it, but what the key itself forbids stays forbidden.
        authorize(Operation::Sign, Some(Permissions::all()), &KeyFacts::from(sobject), Time::now()).map_err(|refusal| refusal.message)?;
        let der = sobject.value.as_ref().map(AsRef::as_ref).ok_or("DSM exported it without its private half")?;
        let private: PrivateKeyDer<'_> = match (sobject.obj_type, sobject.elliptic_curve) {
            (ObjectType::Rsa, _) => PrivatePkcs1KeyDer::from(der).into(),
            (ObjectType::Ec, Some(dsma_api::EllipticCurve::Ed25519)) => PrivatePkcs8KeyDer::from(der).into(),
            (ObjectType::Ec, _) => PrivateSec1KeyDer::from(der).into(),
            (other, _) => return Err(format!("it is of type {other:?}, and TLS needs RSA or EC")),
        };
        let unusable =
            || "TLS cannot use it: give an RSA key of 2048 bits or more, or an EC key on NistP256, NistP384 or NistP521".to_owned();
        let key = any_supported_type(&private).map_err(|_| unusable())?;
        let known = |(scheme, _): &&(SignatureScheme, _)| key.choose_scheme(&[*scheme]).is_some();
        let (scheme, algorithm) = *ALGORITHMS.iter().find(known).ok_or_else(unusable)?;
        let spki = key.public_key().ok_or_else(unusable)?.to_vec();
        let public_bits = SubjectPublicKeyInfoRef::from_der(&spki).map_err(|_| unusable())?.subject_public_key.raw_bytes().to_vec();
        Ok(Self { key, scheme, algorithm, spki, public_bits })
    }

    /// SubjectPublicKeyInfo, DER.
    pub(super) fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// The key with these certificates, leaf first. That the leaf is the key's has been checked.
    pub(super) fn with_chain(&self, chain: Vec<CertificateDer<'static>>) -> CertifiedKey {
        CertifiedKey::new(chain, Arc::clone(&self.key))
    }
}

impl PublicKeyData for TlsKey {
    fn der_bytes(&self) -> &[u8] {
        &self.public_bits
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        self.algorithm
    }
}

impl rcgen::SigningKey for TlsKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        let signer = self.key.choose_scheme(&[self.scheme]).ok_or(rcgen::Error::RemoteKeyError)?;
        signer.sign(message).map_err(|_| rcgen::Error::RemoteKeyError)
    }
}
