//! ML-KEM keys, encapsulation and decapsulation (FIPS 203).

use std::sync::Arc;

use zeroize::Zeroizing;

use crate::aws_lc::PqKey;
use crate::{Error, random};

/// A parameter set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MlKemSet {
    /// ML-KEM-512, category 1.
    MlKem512,
    /// ML-KEM-768, category 3.
    MlKem768,
    /// ML-KEM-1024, category 5.
    MlKem1024,
}

impl MlKemSet {
    /// Length of an encapsulation in bytes.
    #[must_use]
    pub fn ciphertext_len(self) -> usize {
        match self {
            Self::MlKem512 => 768,
            Self::MlKem768 => 1088,
            Self::MlKem1024 => 1568,
        }
    }

    /// Where the public key lies within the expanded private key (FIPS 203, algorithm 16).
    fn public_range(self) -> std::ops::Range<usize> {
        let polynomials = match self {
            Self::MlKem512 => 2,
            Self::MlKem768 => 3,
            Self::MlKem1024 => 4,
        };
        let vector = 384 * polynomials;
        vector..2 * vector + 32
    }
}

/// An ML-KEM private key.
pub struct MlKemPrivateKey {
    key: PqKey,
    public: MlKemPublicKey,
}

impl MlKemPrivateKey {
    /// From PKCS#8 DER (RFC 9935, 6) with the seed or the expanded key.
    pub fn from_der(der: &[u8]) -> Result<Self, Error> {
        let key = PqKey::from_pkcs8_der(der)?;
        let set = key.ml_kem_set().ok_or(Error::Malformed)?;
        // The library makes the public half from a seed only.
        match key.raw_public() {
            Ok(_) => Self::new(key, set),
            Err(_) => Self::from_expanded(set, &key.raw_private()?),
        }
    }

    /// From the 64-byte seed, FIPS 203's d and z.
    pub fn from_seed(set: MlKemSet, seed: &[u8; 64]) -> Result<Self, Error> {
        Self::new(PqKey::ml_kem_from_seed(set, seed)?, set)
    }

    /// From the decapsulation key as FIPS 203 writes it, expanded; it is checked as 7.3 asks.
    pub fn from_expanded(set: MlKemSet, private: &[u8]) -> Result<Self, Error> {
        let public = private.get(set.public_range()).ok_or(Error::Malformed)?;
        Self::new(PqKey::ml_kem_pair(set, public, private)?, set)
    }

    /// A new key.
    pub fn generate(set: MlKemSet) -> Result<Self, Error> {
        let mut seed = Zeroizing::new([0; 64]);
        random::fill(&mut *seed)?;
        Self::from_seed(set, &seed)
    }

    /// PKCS#8 (RFC 9935, 6): with the seed alone, 86 bytes, of which the last 64 are the seed. A key that came expanded has no seed any
    /// more and is written expanded.
    pub fn to_pkcs8_der(&self) -> Result<Zeroizing<Vec<u8>>, Error> {
        self.key.to_pkcs8_der()
    }

    /// The decapsulation key as FIPS 203 writes it, expanded.
    pub fn to_expanded(&self) -> Result<Zeroizing<Vec<u8>>, Error> {
        self.key.raw_private()
    }

    /// The public half.
    pub fn public(&self) -> MlKemPublicKey {
        self.public.clone()
    }

    /// The parameter set.
    pub fn set(&self) -> MlKemSet {
        self.public.set()
    }

    /// The shared secret of an encapsulation. A forged one gives another secret, not an error.
    ///
    /// # Errors
    /// [`Error::InputLength`] where it has another length than [`MlKemSet::ciphertext_len`].
    pub fn decapsulate(&self, ciphertext: &[u8]) -> Result<Zeroizing<[u8; 32]>, Error> {
        self.key.ml_kem_decapsulate(ciphertext)
    }

    fn new(key: PqKey, set: MlKemSet) -> Result<Self, Error> {
        let public = MlKemPublicKey::from_bytes(set, &key.raw_public()?)?;
        Ok(Self { key, public })
    }
}

/// An ML-KEM public key, checked as FIPS 203, 7.2 asks. A clone shares it.
#[derive(Clone)]
pub struct MlKemPublicKey(Arc<PublicParts>);

struct PublicParts {
    key: PqKey,
    set: MlKemSet,
    spki: Vec<u8>,
}

impl MlKemPublicKey {
    /// From SubjectPublicKeyInfo (RFC 9935, 4).
    pub fn from_spki_der(der: &[u8]) -> Result<Self, Error> {
        Self::new(PqKey::from_spki_der(der)?)
    }

    /// From the encapsulation key as FIPS 203 writes it.
    pub fn from_bytes(set: MlKemSet, public: &[u8]) -> Result<Self, Error> {
        Self::new(PqKey::ml_kem_public(set, public)?)
    }

    /// SubjectPublicKeyInfo.
    pub fn to_spki_der(&self) -> Vec<u8> {
        self.0.spki.clone()
    }

    /// The encapsulation key as FIPS 203 writes it.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        self.0.key.raw_public()
    }

    /// The parameter set.
    pub fn set(&self) -> MlKemSet {
        self.0.set
    }

    /// A fresh shared secret, and its encapsulation for the owner of the private key.
    pub fn encapsulate(&self) -> Result<(Vec<u8>, Zeroizing<[u8; 32]>), Error> {
        let mut ciphertext = vec![0; self.set().ciphertext_len()];
        let secret = self.0.key.ml_kem_encapsulate(&mut ciphertext)?;
        Ok((ciphertext, secret))
    }

    /// As [`MlKemPublicKey::encapsulate`], with the random bytes given: for published vectors.
    #[cfg(test)]
    pub(crate) fn encapsulate_with(&self, random: &[u8; 32]) -> Result<(Vec<u8>, Zeroizing<[u8; 32]>), Error> {
        let mut ciphertext = vec![0; self.set().ciphertext_len()];
        let secret = self.0.key.ml_kem_encapsulate_with(&mut ciphertext, random)?;
        Ok((ciphertext, secret))
    }

    fn new(key: PqKey) -> Result<Self, Error> {
        let set = key.ml_kem_set().ok_or(Error::Malformed)?;
        key.ml_kem_check_public()?;
        let spki = key.to_spki_der()?;
        Ok(Self(Arc::new(PublicParts { key, set, spki })))
    }
}
