//! X25519 keys and key agreement (RFC 7748).

use zeroize::Zeroizing;

use crate::aws_lc;
use crate::rfc8410::{self, Kind};
use crate::{Error, random};

/// An X25519 private key.
pub struct X25519PrivateKey(Zeroizing<[u8; 32]>);

impl X25519PrivateKey {
    /// From PKCS#8 DER (RFC 8410).
    pub fn from_der(der: &[u8]) -> Result<Self, Error> {
        aws_lc::private_from_der(Kind::X25519, der).map(Self)
    }

    /// From the 32 bytes of RFC 7748, which are clamped in use.
    #[must_use]
    pub fn from_bytes(private: &[u8; 32]) -> Self {
        Self(Zeroizing::new(*private))
    }

    /// A new key.
    pub fn generate() -> Result<Self, Error> {
        let mut private = Zeroizing::new([0; 32]);
        random::fill(&mut *private)?;
        Ok(Self(private))
    }

    /// PKCS#8 of version 1 without the public key, 48 bytes, as DSM exports it.
    pub fn to_pkcs8_der(&self) -> Zeroizing<Vec<u8>> {
        rfc8410::pkcs8(Kind::X25519, &self.0)
    }

    /// The public half.
    pub fn public(&self) -> X25519PublicKey {
        X25519PublicKey(aws_lc::x25519_public(&self.0))
    }

    /// The shared secret. It is not yet a key: derive one from it.
    ///
    /// # Errors
    /// [`Error::Malformed`] where the other key is a point of low order, with which every secret would be zero (RFC 7748, 6.1).
    pub fn agree(&self, peer: &X25519PublicKey) -> Result<Zeroizing<[u8; 32]>, Error> {
        aws_lc::x25519(&self.0, &peer.0)
    }
}

/// An X25519 public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct X25519PublicKey([u8; 32]);

impl X25519PublicKey {
    /// From SubjectPublicKeyInfo (RFC 8410).
    pub fn from_spki_der(der: &[u8]) -> Result<Self, Error> {
        aws_lc::public_from_der(Kind::X25519, der).map(Self)
    }

    /// From the u-coordinate, little-endian.
    #[must_use]
    pub fn from_bytes(coordinate: [u8; 32]) -> Self {
        Self(coordinate)
    }

    /// SubjectPublicKeyInfo, 44 bytes.
    pub fn to_spki_der(&self) -> Vec<u8> {
        rfc8410::spki(Kind::X25519, &self.0)
    }

    /// The u-coordinate, little-endian.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}
