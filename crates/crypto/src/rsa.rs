//! RSA keys: the schemes on top of the primitive.

use std::ffi::c_int;
use std::sync::Arc;

use rsa::pkcs1::EncodeRsaPrivateKey;
use zeroize::Zeroizing;

use crate::aws_lc::{MAX_MODULUS, Padding, RsaKey};
use crate::digest::{Digest, Hash};
use crate::{Buffers, CipherParams, Error, Message, SignatureScheme};

/// The longest modulus that is generated; longer ones are accepted up to 16384 bits.
const GENERATE_BITS: std::ops::RangeInclusive<u32> = 1024..=8192;

/// An RSA private key, parsed and checked.
pub struct RsaPrivateKey {
    key: RsaKey,
    public: RsaPublicKey,
}

impl RsaPrivateKey {
    /// From PKCS#8 or PKCS#1 DER. The numbers are checked against each other, which takes about 200 microseconds: parse once.
    pub fn from_der(der: &[u8]) -> Result<Self, Error> {
        Self::new(RsaKey::from_private_der(der)?)
    }

    /// From modulus and exponents alone, each big-endian: the primes follow from them (NIST SP 800-56B, appendix C.2). The public exponent
    /// is above 65536 ([`Error::Unsupported`] elsewhere); numbers that are no key are [`Error::Malformed`].
    pub fn from_exponents(modulus: &[u8], public_exponent: &[u8], private_exponent: &[u8]) -> Result<Self, Error> {
        let number = |bytes: &[u8]| rsa::BigUint::from_bytes_be(bytes);
        let is_odd = modulus.last().is_some_and(|last| last % 2 == 1);
        if !is_odd
            || modulus.len() > MAX_MODULUS
            || private_exponent.len() > modulus.len()
            || private_exponent.iter().all(|byte| *byte == 0)
        {
            return Err(Error::Malformed);
        }
        if public_exponent.len() > 32 || number(public_exponent) <= rsa::BigUint::from(65536_u32) {
            return Err(Error::Unsupported);
        }
        let key = rsa::RsaPrivateKey::from_components(number(modulus), number(public_exponent), number(private_exponent), Vec::new());
        let der = key.map_err(|_| Error::Malformed)?.to_pkcs1_der().map_err(|_| Error::Malformed)?;
        Self::from_der(der.as_bytes())
    }

    /// A new key. `bits` is 1024 to 8192 and a multiple of 128 ([`Error::KeySize`] elsewhere), the exponent odd and at least 3. Takes a
    /// tenth of a second and more.
    pub fn generate(bits: u32, exponent: u32) -> Result<Self, Error> {
        if !GENERATE_BITS.contains(&bits) || !bits.is_multiple_of(128) {
            return Err(Error::KeySize);
        }
        if exponent < 3 || exponent.is_multiple_of(2) {
            return Err(Error::Unsupported);
        }
        Self::new(RsaKey::generate(c_int::try_from(bits).map_err(|_| Error::KeySize)?, exponent)?)
    }

    /// PKCS#1's RSAPrivateKey, as DSM exports it. Empty only where memory ran out.
    pub fn to_pkcs1_der(&self) -> Zeroizing<Vec<u8>> {
        self.key.to_pkcs1_der().unwrap_or_default()
    }

    /// PKCS#8's PrivateKeyInfo.
    pub fn to_pkcs8_der(&self) -> Result<Zeroizing<Vec<u8>>, Error> {
        self.key.to_pkcs8_der()
    }

    /// The public half.
    pub fn public(&self) -> RsaPublicKey {
        self.public.clone()
    }

    /// Length of the modulus in bytes: of every signature and ciphertext.
    pub fn modulus_len(&self) -> usize {
        self.public.modulus_len()
    }

    pub(crate) fn encrypt(&self, params: &CipherParams<'_>, data: Buffers<'_>, tag: &[u8]) -> Result<usize, Error> {
        self.public.encrypt(params, data, tag)
    }

    pub(crate) fn decrypt(&self, params: &CipherParams<'_>, mut data: Buffers<'_>, tag: &[u8]) -> Result<usize, Error> {
        let padding = padding(params, tag.len())?;
        if data.input_len() != self.modulus_len() {
            return Err(Error::InputLength);
        }
        let mut plain = Zeroizing::new([0; MAX_MODULUS]);
        let len = self.key.decrypt(padding, &data.copy_input(), &mut plain)?;
        data.write(&plain[..len])
    }

    pub(crate) fn sign(&self, scheme: &SignatureScheme, message: Message<'_>, out: &mut [u8]) -> Result<usize, Error> {
        match *scheme {
            SignatureScheme::RsaPkcs1 { hash } => self.key.sign_pkcs1(hash, Digested::new(hash, message)?.as_ref(), out),
            SignatureScheme::RsaPkcs1Raw => self.key.sign_raw(given(message), out),
            SignatureScheme::RsaRaw => {
                let number = self.public.number(given(message))?;
                self.decrypt(&CipherParams::RsaRaw, Buffers::new(&number, out), &[]).map_err(|error| match error {
                    // The number is not below the modulus.
                    Error::Authentication => Error::InputLength,
                    error => error,
                })
            }
            SignatureScheme::RsaPss { hash, mgf1, salt_len } => {
                let salt_len = self.public.check_salt(hash, salt_len)?;
                self.key.sign_pss(hash, mgf1, salt_len, Digested::new(hash, message)?.as_ref(), out)
            }
            SignatureScheme::Ecdsa { .. } | SignatureScheme::EdDsa => Err(Error::Unsupported),
        }
    }

    pub(crate) fn verify(&self, scheme: &SignatureScheme, message: Message<'_>, signature: &[u8]) -> Result<bool, Error> {
        self.public.verify(scheme, message, signature)
    }

    fn new(key: RsaKey) -> Result<Self, Error> {
        let public = RsaPublicKey::new(key.to_public()?)?;
        Ok(Self { key, public })
    }
}

/// An RSA public key. A clone shares it.
#[derive(Clone)]
pub struct RsaPublicKey(Arc<PublicParts>);

struct PublicParts {
    key: RsaKey,
    modulus_len: usize,
    spki: Vec<u8>,
}

impl RsaPublicKey {
    /// From SubjectPublicKeyInfo or PKCS#1 DER.
    pub fn from_der(der: &[u8]) -> Result<Self, Error> {
        Self::new(RsaKey::from_public_der(der)?)
    }

    /// SubjectPublicKeyInfo.
    pub fn to_spki_der(&self) -> Vec<u8> {
        self.0.spki.clone()
    }

    /// The modulus, big-endian without leading zeros.
    pub fn modulus(&self) -> Vec<u8> {
        self.0.key.modulus()
    }

    /// The public exponent, big-endian without leading zeros.
    pub fn public_exponent(&self) -> Vec<u8> {
        self.0.key.public_exponent()
    }

    /// Length of the modulus in bits.
    pub fn bits(&self) -> u32 {
        self.0.key.bits()
    }

    /// Length of the modulus in bytes: of every signature and ciphertext.
    pub fn modulus_len(&self) -> usize {
        self.0.modulus_len
    }

    pub(crate) fn encrypt(&self, params: &CipherParams<'_>, mut data: Buffers<'_>, tag: &[u8]) -> Result<usize, Error> {
        let padding = padding(params, tag.len())?;
        data.check_room(self.modulus_len())?;
        let mut encrypted = [0; MAX_MODULUS];
        let len = self.0.key.encrypt(padding, &data.copy_input(), &mut encrypted)?;
        data.write(&encrypted[..len])
    }

    pub(crate) fn verify(&self, scheme: &SignatureScheme, message: Message<'_>, signature: &[u8]) -> Result<bool, Error> {
        match *scheme {
            SignatureScheme::RsaPkcs1 { hash } => self.0.key.verify_pkcs1(hash, Digested::new(hash, message)?.as_ref(), signature),
            SignatureScheme::RsaPkcs1Raw => Ok(self.0.key.verify_raw(given(message), signature)),
            SignatureScheme::RsaRaw => {
                let number = self.number(given(message))?;
                Ok(self.recover(&SignatureScheme::RsaRaw, signature).is_ok_and(|recovered| recovered == number))
            }
            SignatureScheme::RsaPss { hash, mgf1, salt_len } => {
                let salt_len = self.check_salt(hash, salt_len)?;
                self.0.key.verify_pss(hash, mgf1, salt_len, Digested::new(hash, message)?.as_ref(), signature)
            }
            SignatureScheme::Ecdsa { .. } | SignatureScheme::EdDsa => Err(Error::Unsupported),
        }
    }

    /// What was signed, from a signature under [`SignatureScheme::RsaPkcs1Raw`] or [`SignatureScheme::RsaRaw`] (RFC 8017, 5.2.2).
    ///
    /// # Errors
    /// [`Error::Authentication`] for a signature that does not hold, [`Error::Unsupported`] for a scheme that hides what was signed.
    pub fn recover(&self, scheme: &SignatureScheme, signature: &[u8]) -> Result<Vec<u8>, Error> {
        if signature.len() != self.modulus_len() {
            return Err(Error::Authentication);
        }
        match scheme {
            SignatureScheme::RsaPkcs1Raw => self.0.key.recover(signature).ok_or(Error::Authentication),
            SignatureScheme::RsaRaw => {
                let mut number = [0; MAX_MODULUS];
                let len = self.0.key.encrypt(Padding::None, signature, &mut number).map_err(|_| Error::Authentication)?;
                Ok(number[..len].to_vec())
            }
            _ => Err(Error::Unsupported),
        }
    }

    /// Bytes as a number of the modulus' length.
    fn number(&self, bytes: &[u8]) -> Result<Vec<u8>, Error> {
        let zeros = self.modulus_len().checked_sub(bytes.len()).ok_or(Error::InputLength)?;
        Ok([&vec![0; zeros], bytes].concat())
    }

    /// PSS needs room for hash, salt and two bytes in a number one bit shorter than the modulus (RFC 8017, 9.1.1).
    fn check_salt(&self, hash: Hash, salt_len: usize) -> Result<c_int, Error> {
        let room = (self.bits() as usize).saturating_sub(1).div_ceil(8);
        if salt_len.saturating_add(hash.len() + 2) > room {
            return Err(Error::KeySize);
        }
        c_int::try_from(salt_len).map_err(|_| Error::KeySize)
    }

    fn new(key: RsaKey) -> Result<Self, Error> {
        let (modulus_len, spki) = (key.size(), key.to_spki_der()?);
        Ok(Self(Arc::new(PublicParts { key, modulus_len, spki })))
    }
}

fn padding<'a>(params: &CipherParams<'a>, tag_len: usize) -> Result<Padding<'a>, Error> {
    let padding = match *params {
        CipherParams::RsaPkcs1 => Padding::Pkcs1,
        CipherParams::RsaRaw => Padding::None,
        CipherParams::RsaOaep { hash, mgf1, label } => Padding::Oaep { hash, mgf1, label },
        _ => return Err(Error::Unsupported),
    };
    if tag_len == 0 { Ok(padding) } else { Err(Error::TagLength) }
}

/// The bytes that a raw signature covers: nothing is hashed, whatever the caller calls them.
fn given(message: Message<'_>) -> &[u8] {
    match message {
        Message::Data(bytes) | Message::Digest(bytes) => bytes,
    }
}

/// A digest, given or made.
pub(crate) enum Digested<'a> {
    Given(&'a [u8]),
    Made(Digest),
}

impl<'a> Digested<'a> {
    /// The message under `hash`; a ready digest must have its length.
    pub(crate) fn new(hash: Hash, message: Message<'a>) -> Result<Self, Error> {
        match message {
            Message::Data(data) => Ok(Self::Made(hash.digest(data))),
            Message::Digest(digest) if digest.len() == hash.len() => Ok(Self::Given(digest)),
            Message::Digest(_) => Err(Error::InputLength),
        }
    }
}

impl AsRef<[u8]> for Digested<'_> {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Given(digest) => digest,
            Self::Made(digest) => digest.as_ref(),
        }
    }
}
