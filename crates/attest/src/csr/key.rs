//! The key that is attested: made in the process, never read from anywhere.

use std::fmt;

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use zeroize::Zeroizing;

use crate::Error;

/// A P-256 key pair for ECDSA with SHA-256. aws-lc overwrites it on drop.
pub struct KeyPair {
    pair: EcdsaKeyPair,
    spki: Vec<u8>,
}

impl KeyPair {
    /// A new key.
    ///
    /// # Errors
    /// [`Error::Key`] where the generator fails.
    pub fn generate() -> Result<Self, Error> {
        let failed = |_| Error::Key { problem: "it cannot be generated" };
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).map_err(failed)?;
        let spki: PublicKeyX509Der<'_> = pair.public_key().as_der().map_err(failed)?;
        let spki = spki.as_ref().to_vec();
        Ok(Self { pair, spki })
    }

    /// The public key: DER SubjectPublicKeyInfo (RFC 5280).
    #[must_use]
    pub fn spki_der(&self) -> &[u8] {
        &self.spki
    }

    /// The private key for a TLS stack: DER PKCS#8 (RFC 5208).
    ///
    /// # Errors
    /// [`Error::Key`] where it cannot be encoded.
    pub fn pkcs8_der(&self) -> Result<Zeroizing<Vec<u8>>, Error> {
        // The intermediate document overwrites itself as well.
        let document = self.pair.to_pkcs8v1().map_err(|_| Error::Key { problem: "it cannot be encoded" })?;
        Ok(Zeroizing::new(document.as_ref().to_vec()))
    }

    /// An ECDSA signature with SHA-256, DER.
    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let signature = self.pair.sign(&SystemRandom::new(), message).map_err(|_| Error::Key { problem: "it cannot sign" })?;
        Ok(signature.as_ref().to_vec())
    }
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyPair").finish_non_exhaustive()
    }
}
