//! The public key of a request, as the CA puts it into a certificate.

use rcgen::{PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ECDSA_P521_SHA512, PKCS_RSA_SHA256, PublicKeyData, SignatureAlgorithm};
use x509_cert::der::Decode;
use x509_cert::der::oid::ObjectIdentifier;
use x509_cert::spki::SubjectPublicKeyInfoRef;

/// A key that the requester has shown to hold.
pub(crate) struct RequestedKey {
    bits: Vec<u8>,
    algorithm: &'static SignatureAlgorithm,
}

impl RequestedKey {
    /// The key of a SubjectPublicKeyInfo in DER; `None` for one that this CA does not certify.
    pub(crate) fn of(spki_der: &[u8]) -> Option<Self> {
        let spki = SubjectPublicKeyInfoRef::from_der(spki_der).ok()?;
        let curve = spki.algorithm.parameters.and_then(|parameters| parameters.decode_as::<ObjectIdentifier>().ok());
        let (key, curve) = (spki.algorithm.oid.to_string(), curve.map(|curve| curve.to_string()));
        // RFC 3279 section 2.3.1, RFC 5480 section 2.1.1.1.
        let algorithm = match (key.as_str(), curve.as_deref()) {
            ("1.2.840.113549.1.1.1", None) => &PKCS_RSA_SHA256,
            ("1.2.840.10045.2.1", Some("1.2.840.10045.3.1.7")) => &PKCS_ECDSA_P256_SHA256,
            ("1.2.840.10045.2.1", Some("1.3.132.0.34")) => &PKCS_ECDSA_P384_SHA384,
            ("1.2.840.10045.2.1", Some("1.3.132.0.35")) => &PKCS_ECDSA_P521_SHA512,
            _ => return None,
        };
        Some(Self { bits: spki.subject_public_key.as_bytes()?.to_vec(), algorithm })
    }
}

impl PublicKeyData for RequestedKey {
    fn der_bytes(&self) -> &[u8] {
        &self.bits
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        self.algorithm
    }
}

#[cfg(test)]
mod tests {
    use rcgen::KeyPair;

    use super::*;

    #[test]
    fn the_certificate_holds_the_very_key() {
        for algorithm in [&PKCS_ECDSA_P256_SHA256, &PKCS_ECDSA_P384_SHA384] {
            let spki = KeyPair::generate_for(algorithm).unwrap().subject_public_key_info();
            assert_eq!(RequestedKey::of(&spki).unwrap().subject_public_key_info(), spki);
        }
        let ed25519 = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap().subject_public_key_info();
        assert!(RequestedKey::of(&ed25519).is_none());
        assert!(RequestedKey::of(b"nonsense").is_none());
    }
}
