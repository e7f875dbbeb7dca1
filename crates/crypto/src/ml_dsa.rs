//! ML-DSA keys and signatures (FIPS 204).

use std::sync::Arc;

use zeroize::Zeroizing;

use crate::aws_lc::{self, PqKey};
use crate::digest::Hash;
use crate::rsa::Digested;
use crate::{Error, Message, random};

/// Length of PKCS#8 around a seed alone.
const SEED_DER_LEN: usize = 54;

/// A parameter set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MlDsaSet {
    /// ML-DSA-44, category 2.
    MlDsa44,
    /// ML-DSA-65, category 3.
    MlDsa65,
    /// ML-DSA-87, category 5.
    MlDsa87,
}

impl MlDsaSet {
    /// Length of a signature in bytes.
    #[must_use]
    pub fn signature_len(self) -> usize {
        match self {
            Self::MlDsa44 => 2420,
            Self::MlDsa65 => 3309,
            Self::MlDsa87 => 4627,
        }
    }

    /// The last byte of the algorithm's identifier, 2.16.840.1.101.3.4.3.x.
    fn arc(self) -> u8 {
        match self {
            Self::MlDsa44 => 17,
            Self::MlDsa65 => 18,
            Self::MlDsa87 => 19,
        }
    }
}

/// An ML-DSA private key.
pub struct MlDsaPrivateKey {
    key: PqKey,
    public: MlDsaPublicKey,
}

impl MlDsaPrivateKey {
    /// From PKCS#8 DER (RFC 9881, 6) with the seed, the expanded key, or both, which must fit.
    pub fn from_der(der: &[u8]) -> Result<Self, Error> {
        Self::new(PqKey::from_pkcs8_der(der)?)
    }

    /// From the 32-byte seed, FIPS 204's xi.
    pub fn from_seed(set: MlDsaSet, seed: &[u8; 32]) -> Result<Self, Error> {
        Self::new(PqKey::ml_dsa_private(set, seed)?)
    }

    /// From the private key as FIPS 204 writes it, expanded.
    pub fn from_expanded(set: MlDsaSet, private: &[u8]) -> Result<Self, Error> {
        // The library tells a seed by its length.
        if private.len() == 32 { Err(Error::Malformed) } else { Self::new(PqKey::ml_dsa_private(set, private)?) }
    }

    /// A new key.
    pub fn generate(set: MlDsaSet) -> Result<Self, Error> {
        let mut seed = Zeroizing::new([0; 32]);
        random::fill(&mut *seed)?;
        Self::from_seed(set, &seed)
    }

    /// PKCS#8 (RFC 9881, 6): with the seed alone, 54 bytes, of which the last 32 are the seed. A key that came expanded has no seed any
    /// more and is written expanded.
    pub fn to_pkcs8_der(&self) -> Result<Zeroizing<Vec<u8>>, Error> {
        self.key.to_pkcs8_der().or_else(|_| Ok(expanded_pkcs8(self.public.set(), &self.key.raw_private()?)))
    }

    /// The private key as FIPS 204 writes it, expanded.
    pub fn to_expanded(&self) -> Result<Zeroizing<Vec<u8>>, Error> {
        self.key.raw_private()
    }

    /// The public half.
    pub fn public(&self) -> MlDsaPublicKey {
        self.public.clone()
    }

    /// The parameter set.
    pub fn set(&self) -> MlDsaSet {
        self.public.set()
    }

    /// Signs a message ("pure" ML-DSA), hedged with fresh random bytes: two signatures of one message differ.
    ///
    /// # Errors
    /// [`Error::InputLength`] for a context of more than 255 bytes.
    pub fn sign(&self, message: &[u8], context: &[u8]) -> Result<Vec<u8>, Error> {
        let mut signature = vec![0; self.set().signature_len()];
        self.key.ml_dsa_sign(message, context, &mut signature)?;
        Ok(signature)
    }

    /// Signs the message's representative mu (FIPS 204, algorithm 7, line 6), which another made with the context in it.
    pub fn sign_mu(&self, mu: &[u8; 64]) -> Result<Vec<u8>, Error> {
        let mut signature = vec![0; self.set().signature_len()];
        self.key.ml_dsa_sign_mu(mu, &mut signature)?;
        Ok(signature)
    }

    /// Signs a digest ("HashML-DSA", FIPS 204, algorithm 4): another scheme than [`MlDsaPrivateKey::sign`], whose signatures never hold
    /// under this one.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a hash that is not of SHA-2 or SHA-3; [`Error::InputLength`] for a context of more than 255 bytes or a
    /// ready digest of another length than the hash's.
    pub fn sign_prehash(&self, hash: Hash, message: Message<'_>, context: &[u8]) -> Result<Vec<u8>, Error> {
        self.sign_mu(&self.public.prehash_mu(hash, message, context)?)
    }

    /// Any of the four: of the message, or of its digest where a hash is given; hedged or deterministic.
    ///
    /// # Errors
    /// As at each of them, and [`Error::Unsupported`] for a ready digest without a hash.
    pub fn sign_as(&self, prehash: Option<Hash>, message: Message<'_>, context: &[u8], deterministic: bool) -> Result<Vec<u8>, Error> {
        match (prehash, message, deterministic) {
            (None, Message::Data(data), false) => self.sign(data, context),
            (None, Message::Data(data), true) => self.sign_deterministic(data, context),
            (None, Message::Digest(_), _) => Err(Error::Unsupported),
            (Some(hash), message, false) => self.sign_prehash(hash, message, context),
            (Some(hash), message, true) => self.sign_prehash_deterministic(hash, message, context),
        }
    }

    /// As [`MlDsaPrivateKey::sign`] without fresh random bytes (FIPS 204, section 3.4, the deterministic variant): one message, one signature.
    ///
    /// # Errors
    /// As `sign`, and [`Error::Unsupported`] for a key that came expanded: it takes the seed.
    pub fn sign_deterministic(&self, message: &[u8], context: &[u8]) -> Result<Vec<u8>, Error> {
        self.sign_mu_deterministic(&self.public.mu(message, context)?)
    }

    /// As [`MlDsaPrivateKey::sign_prehash`], deterministic.
    ///
    /// # Errors
    /// As there and at [`MlDsaPrivateKey::sign_deterministic`].
    pub fn sign_prehash_deterministic(&self, hash: Hash, message: Message<'_>, context: &[u8]) -> Result<Vec<u8>, Error> {
        self.sign_mu_deterministic(&self.public.prehash_mu(hash, message, context)?)
    }

    /// As [`MlDsaPrivateKey::sign_mu`], deterministic.
    ///
    /// # Errors
    /// As at [`MlDsaPrivateKey::sign_deterministic`].
    pub fn sign_mu_deterministic(&self, mu: &[u8; 64]) -> Result<Vec<u8>, Error> {
        let der = self.to_pkcs8_der()?;
        let seed = der.last_chunk().filter(|_| der.len() == SEED_DER_LEN).ok_or(Error::Unsupported)?;
        Ok(match self.set() {
            MlDsaSet::MlDsa44 => deterministic::<ml_dsa::MlDsa44>(seed, mu),
            MlDsaSet::MlDsa65 => deterministic::<ml_dsa::MlDsa65>(seed, mu),
            MlDsaSet::MlDsa87 => deterministic::<ml_dsa::MlDsa87>(seed, mu),
        })
    }

    fn new(key: PqKey) -> Result<Self, Error> {
        let set = key.ml_dsa_set().ok_or(Error::Malformed)?;
        let public = MlDsaPublicKey::new(PqKey::ml_dsa_public(set, &key.raw_public()?)?)?;
        Ok(Self { key, public })
    }
}

/// An ML-DSA public key. A clone shares it.
#[derive(Clone)]
pub struct MlDsaPublicKey(Arc<PublicParts>);

struct PublicParts {
    key: PqKey,
    set: MlDsaSet,
    spki: Vec<u8>,
}

impl MlDsaPublicKey {
    /// From SubjectPublicKeyInfo (RFC 9881, 4).
    pub fn from_spki_der(der: &[u8]) -> Result<Self, Error> {
        Self::new(PqKey::from_spki_der(der)?)
    }

    /// From the key as FIPS 204 writes it.
    pub fn from_bytes(set: MlDsaSet, public: &[u8]) -> Result<Self, Error> {
        Self::new(PqKey::ml_dsa_public(set, public)?)
    }

    /// SubjectPublicKeyInfo.
    pub fn to_spki_der(&self) -> Vec<u8> {
        self.0.spki.clone()
    }

    /// The key as FIPS 204 writes it.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        self.0.key.raw_public()
    }

    /// The parameter set.
    pub fn set(&self) -> MlDsaSet {
        self.0.set
    }

    /// Whether the signature of a message holds under this context.
    ///
    /// # Errors
    /// [`Error::InputLength`] for a context of more than 255 bytes.
    pub fn verify(&self, message: &[u8], context: &[u8], signature: &[u8]) -> Result<bool, Error> {
        self.0.key.ml_dsa_verify(message, context, signature)
    }

    /// Whether the signature of the representative mu holds.
    pub fn verify_mu(&self, mu: &[u8; 64], signature: &[u8]) -> Result<bool, Error> {
        self.0.key.ml_dsa_verify_mu(mu, signature)
    }

    /// Whether the signature of a digest holds under this context.
    ///
    /// # Errors
    /// As [`MlDsaPrivateKey::sign_prehash`].
    pub fn verify_prehash(&self, hash: Hash, message: Message<'_>, context: &[u8], signature: &[u8]) -> Result<bool, Error> {
        self.verify_mu(&self.prehash_mu(hash, message, context)?, signature)
    }

    /// FIPS 204, algorithm 2, line 10, and algorithm 7, line 6: the representative of a message that is signed as it is.
    fn mu(&self, message: &[u8], context: &[u8]) -> Result<[u8; 64], Error> {
        let context_len = u8::try_from(context.len()).map_err(|_| Error::InputLength)?;
        let public = aws_lc::shake256(&[&self.to_bytes()?])?;
        aws_lc::shake256(&[&public, &[0, context_len], context, message])
    }

    /// FIPS 204, algorithm 4, lines 10 to 23, and algorithm 7, line 6: the representative of a message that is signed by its digest.
    fn prehash_mu(&self, hash: Hash, message: Message<'_>, context: &[u8]) -> Result<[u8; 64], Error> {
        let digest = Digested::new(hash, message)?;
        let context_len = u8::try_from(context.len()).map_err(|_| Error::InputLength)?;
        let public = aws_lc::shake256(&[&self.to_bytes()?])?;
        aws_lc::shake256(&[&public, &[1, context_len], context, &oid(hash)?, digest.as_ref()])
    }

    fn new(key: PqKey) -> Result<Self, Error> {
        let set = key.ml_dsa_set().ok_or(Error::Malformed)?;
        let spki = key.to_spki_der()?;
        Ok(Self(Arc::new(PublicParts { key, set, spki })))
    }
}

/// The one operation that the library does not have: signing with zeros in place of random bytes.
fn deterministic<P: ml_dsa::MlDsaParams>(seed: &[u8; 32], mu: &[u8; 64]) -> Vec<u8> {
    ml_dsa::ExpandedSigningKey::<P>::from_seed(seed.into()).sign_mu_deterministic(mu.into()).encode().to_vec()
}

/// The hash's OBJECT IDENTIFIER as DER: 2.16.840.1.101.3.4.2.x.
fn oid(hash: Hash) -> Result<[u8; 11], Error> {
    let arc = match hash {
        Hash::Sha256 => 1,
        Hash::Sha384 => 2,
        Hash::Sha512 => 3,
        Hash::Sha224 => 4,
        Hash::Sha3_224 => 7,
        Hash::Sha3_256 => 8,
        Hash::Sha3_384 => 9,
        Hash::Sha3_512 => 10,
        _ => return Err(Error::Unsupported),
    };
    Ok([0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, arc])
}

/// PKCS#8 around an expanded key, which the library does not write.
fn expanded_pkcs8(set: MlDsaSet, expanded: &[u8]) -> Zeroizing<Vec<u8>> {
    const VERSION: [u8; 3] = [0x02, 0x01, 0x00];
    let algorithm = [0x30, 0x0b, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x03, set.arc()];
    let private = tlv(0x04, &[&tlv(0x04, &[expanded])]);
    tlv(0x30, &[&VERSION, &algorithm, &private])
}

/// One DER value of 128 to 65535 bytes, which all are here.
fn tlv(tag: u8, parts: &[&[u8]]) -> Zeroizing<Vec<u8>> {
    let len: usize = parts.iter().map(|part| part.len()).sum();
    let mut der = Zeroizing::new(Vec::with_capacity(4 + len));
    der.push(tag);
    der.extend_from_slice(&[0x82, (len >> 8) as u8, len as u8]);
    for part in parts {
        der.extend_from_slice(part);
    }
    der
}
