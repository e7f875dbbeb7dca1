//! Keys on elliptic curves, ECDSA (FIPS 186-5) in both encodings, and ECDH.

use std::sync::Arc;

use zeroize::Zeroizing;

use crate::aws_lc::{self, EcKey, MAX_SIGNATURE};
use crate::digest::Hash;
use crate::rsa::Digested;
use crate::{Encoding, Error, Message, SignatureScheme, rfc6979};

/// Longest coordinate, P-521's.
const MAX_COORDINATE: usize = 66;

/// A curve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Curve {
    /// NIST P-256, secp256r1.
    P256,
    /// NIST P-384, secp384r1.
    P384,
    /// NIST P-521, secp521r1.
    P521,
    /// secp256k1.
    K256,
}

impl Curve {
    /// The curve's OBJECT IDENTIFIER as DER, tag and length included: what PKCS#11 calls CKA_EC_PARAMS.
    pub fn oid_der(self) -> &'static [u8] {
        match self {
            Self::P256 => &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07],
            Self::P384 => &[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22],
            Self::P521 => &[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x23],
            Self::K256 => &[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x0a],
        }
    }

    /// Bytes of a coordinate, which is also the length of r and of s on these curves.
    pub fn coordinate_len(self) -> usize {
        match self {
            Self::P256 | Self::K256 => 32,
            Self::P384 => 48,
            Self::P521 => MAX_COORDINATE,
        }
    }

    /// A signature on this curve from `SEQUENCE { r, s }` to r and s side by side.
    ///
    /// # Errors
    /// [`Error::Malformed`] where it is not such a sequence, or a number is longer than the order.
    pub fn signature_to_fixed(self, der: &[u8]) -> Result<Vec<u8>, Error> {
        aws_lc::to_fixed(self, der)
    }

    /// A signature on this curve from r and s side by side to `SEQUENCE { r, s }`.
    ///
    /// # Errors
    /// [`Error::InputLength`] where it has another length.
    pub fn signature_to_der(self, fixed: &[u8]) -> Result<Vec<u8>, Error> {
        aws_lc::to_der(self, fixed)
    }

    /// The longest signature in this encoding.
    #[must_use]
    pub fn signature_len(self, encoding: Encoding) -> usize {
        let number = self.coordinate_len();
        match encoding {
            Encoding::Fixed => 2 * number,
            // Each number may need a leading zero (P-521's top byte never does); SEQUENCE's length takes two bytes from 128 on.
            Encoding::Der if self == Self::P521 => 3 + 2 * (2 + number),
            Encoding::Der => 2 + 2 * (3 + number),
        }
    }
}

/// A private key on a curve.
pub struct EcPrivateKey {
    key: EcKey,
    public: EcPublicKey,
}

impl EcPrivateKey {
    /// From SEC1 (RFC 5915, with the curve named in it) or PKCS#8 DER.
    pub fn from_der(der: &[u8]) -> Result<Self, Error> {
        Self::new(EcKey::from_private_der(der)?)
    }

    /// A new key.
    pub fn generate(curve: Curve) -> Result<Self, Error> {
        Self::new(EcKey::generate(curve)?)
    }

    /// SEC1's ECPrivateKey (RFC 5915) with the curve's OID `[0]` and the public key `[1]`, as DSM exports it. Empty only where memory
    /// ran out.
    pub fn to_sec1_der(&self) -> Zeroizing<Vec<u8>> {
        self.key.to_sec1_der().unwrap_or_default()
    }

    /// PKCS#8's PrivateKeyInfo (RFC 5915, 3), with the public key inside.
    pub fn to_pkcs8_der(&self) -> Result<Zeroizing<Vec<u8>>, Error> {
        self.key.to_pkcs8_der()
    }

    /// The public half.
    pub fn public(&self) -> EcPublicKey {
        self.public.clone()
    }

    /// The curve.
    pub fn curve(&self) -> Curve {
        self.key.curve()
    }

    /// ECDH (NIST SP 800-56A, 5.7.1.2): the x-coordinate of the shared point, as long as a coordinate of the curve. It is a secret, but
    /// not yet a key: derive one from it.
    ///
    /// # Errors
    /// [`Error::Unsupported`] where the other key lies on another curve.
    pub fn agree(&self, peer: &EcPublicKey) -> Result<Zeroizing<Vec<u8>>, Error> {
        if peer.curve() != self.curve() {
            return Err(Error::Unsupported);
        }
        let mut secret = Zeroizing::new(vec![0; self.curve().coordinate_len()]);
        self.key.agree(&peer.0.key, &mut secret)?;
        Ok(secret)
    }

    /// A deterministic signature (RFC 6979) in DER: the same for the same message. The hash drives the nonce as well, so it must be told
    /// with a ready digest too.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a hash other than SHA-1 and SHA-2; [`Error::InputLength`] for a digest of another length than the hash's.
    pub fn sign_deterministic(&self, hash: Hash, message: Message<'_>) -> Result<Vec<u8>, Error> {
        let digest = Digested::new(hash, message)?;
        let mut scalar = Zeroizing::new(vec![0; self.curve().coordinate_len()]);
        self.key.scalar(&mut scalar)?;
        self.curve().signature_to_der(&rfc6979::sign(self.curve(), &scalar, hash, digest.as_ref())?)
    }

    pub(crate) fn sign(&self, scheme: &SignatureScheme, message: Message<'_>, out: &mut [u8]) -> Result<usize, Error> {
        let (digest, encoding) = digest(scheme, message)?;
        let digest = digest.as_ref();
        match encoding {
            Encoding::Fixed => {
                let number = self.curve().coordinate_len();
                let out = out.get_mut(..2 * number).ok_or(Error::OutputTooSmall { needed: 2 * number })?;
                let (r, s) = out.split_at_mut(number);
                self.key.sign_fixed(digest, r, s)?;
                Ok(2 * number)
            }
            Encoding::Der => {
                // No signature fits into nothing: a question for the length costs none.
                if out.is_empty() {
                    return Err(Error::OutputTooSmall { needed: self.curve().signature_len(encoding) });
                }
                let mut signature = [0; MAX_SIGNATURE];
                let len = self.key.sign_der(digest, &mut signature)?;
                // The next signature may come out longer, so the need is the longest.
                let needed = self.curve().signature_len(encoding);
                out.get_mut(..len).ok_or(Error::OutputTooSmall { needed })?.copy_from_slice(&signature[..len]);
                Ok(len)
            }
        }
    }

    pub(crate) fn verify(&self, scheme: &SignatureScheme, message: Message<'_>, signature: &[u8]) -> Result<bool, Error> {
        self.public.verify(scheme, message, signature)
    }

    fn new(key: EcKey) -> Result<Self, Error> {
        let public = EcPublicKey::new(key.to_public()?)?;
        Ok(Self { key, public })
    }
}

/// A public key on a curve. A clone shares it.
#[derive(Clone)]
pub struct EcPublicKey(Arc<PublicParts>);

struct PublicParts {
    key: EcKey,
    point: Vec<u8>,
    spki: Vec<u8>,
}

impl EcPublicKey {
    /// From SubjectPublicKeyInfo.
    pub fn from_spki_der(der: &[u8]) -> Result<Self, Error> {
        Self::new(EcKey::from_spki_der(der)?)
    }

    /// SubjectPublicKeyInfo with an uncompressed point.
    pub fn to_spki_der(&self) -> Vec<u8> {
        self.0.spki.clone()
    }

    /// The point, uncompressed: 0x04, x, y.
    pub fn point(&self) -> Vec<u8> {
        self.0.point.clone()
    }

    /// The curve.
    pub fn curve(&self) -> Curve {
        self.0.key.curve()
    }

    pub(crate) fn verify(&self, scheme: &SignatureScheme, message: Message<'_>, signature: &[u8]) -> Result<bool, Error> {
        let (digest, encoding) = digest(scheme, message)?;
        match encoding {
            Encoding::Der => Ok(self.0.key.verify_der(digest.as_ref(), signature)),
            Encoding::Fixed => {
                let number = self.curve().coordinate_len();
                if signature.len() != 2 * number {
                    return Ok(false);
                }
                let (r, s) = signature.split_at(number);
                self.0.key.verify_fixed(digest.as_ref(), r, s)
            }
        }
    }

    fn new(key: EcKey) -> Result<Self, Error> {
        let (point, spki) = (key.point()?, key.to_spki_der()?);
        Ok(Self(Arc::new(PublicParts { key, point, spki })))
    }
}

/// What is signed, and how it is written. Without a hash only a ready digest is taken: data passed by mistake would be cut to the
/// order's length and the rest left unsigned.
fn digest<'a>(scheme: &SignatureScheme, message: Message<'a>) -> Result<(Digested<'a>, Encoding), Error> {
    let SignatureScheme::Ecdsa { hash, encoding } = *scheme else {
        return Err(Error::Unsupported);
    };
    match (hash, message) {
        (Some(hash), message) => Ok((Digested::new(hash, message)?, encoding)),
        (None, Message::Digest(digest)) => Ok((Digested::Given(digest), encoding)),
        (None, Message::Data(_)) => Err(Error::Unsupported),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_goes_from_one_encoding_to_the_other_and_back() {
        for curve in [Curve::P256, Curve::P384, Curve::P521, Curve::K256] {
            let key = EcPrivateKey::generate(curve).unwrap();
            let [der, fixed] = [Encoding::Der, Encoding::Fixed].map(|encoding| SignatureScheme::Ecdsa { hash: None, encoding });
            let mut signature = [0; 256];
            let len = key.sign(&der, Message::Digest(&[7; 32]), &mut signature).unwrap();
            let split = curve.signature_to_fixed(&signature[..len]).unwrap();
            assert!(key.verify(&fixed, Message::Digest(&[7; 32]), &split).unwrap());
            assert_eq!(curve.signature_to_der(&split).unwrap(), &signature[..len]);
            assert_eq!(curve.signature_to_fixed(&signature[..len - 1]), Err(Error::Malformed));
            assert_eq!(curve.signature_to_der(&split[1..]), Err(Error::InputLength));
        }
    }
}
