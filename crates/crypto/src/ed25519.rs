//! Ed25519 keys and signatures (RFC 8032).

use zeroize::Zeroizing;

use crate::aws_lc;
use crate::rfc8410::{self, Kind};
use crate::{Error, Message, SignatureScheme, random};

/// Length of a signature in bytes.
pub(crate) const SIGNATURE_LEN: usize = 64;
/// The longest context.
const LONGEST_CONTEXT: usize = 255;

/// An Ed25519 private key.
pub struct Ed25519PrivateKey {
    /// Seed and public key, so that the latter is not computed for each signature.
    private: Zeroizing<[u8; 64]>,
    seed: Zeroizing<[u8; 32]>,
    public: Ed25519PublicKey,
}

impl Ed25519PrivateKey {
    /// From PKCS#8 DER (RFC 8410): version 1, as DSM has it, or version 2 with the public key, which must fit.
    pub fn from_der(der: &[u8]) -> Result<Self, Error> {
        aws_lc::private_from_der(Kind::Ed25519, der).map(Self::new)
    }

    /// From the 32-byte seed, RFC 8032's private key.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self::new(Zeroizing::new(*seed))
    }

    /// A new key.
    pub fn generate() -> Result<Self, Error> {
        let mut seed = Zeroizing::new([0; 32]);
        random::fill(&mut *seed)?;
        Ok(Self::new(seed))
    }

    /// PKCS#8 of version 1 without the public key, 48 bytes, as DSM exports it. The last 32 are the seed.
    pub fn to_pkcs8_der(&self) -> Zeroizing<Vec<u8>> {
        rfc8410::pkcs8(Kind::Ed25519, &self.seed)
    }

    /// The public half.
    pub fn public(&self) -> Ed25519PublicKey {
        self.public
    }

    /// Signs with a context, which is another scheme than without: Ed25519ctx where the message is given as data, Ed25519ph where its
    /// SHA-512 is given (RFC 8032, 5.1).
    ///
    /// # Errors
    /// [`Error::InputLength`] for a context of more than 255 bytes, for none under Ed25519ctx, and for a digest of another length.
    pub fn sign_with_context(&self, message: Message<'_>, context: &[u8]) -> Result<[u8; SIGNATURE_LEN], Error> {
        match contextual(message, context)? {
            Contextual::Data(data) => aws_lc::ed25519ctx_sign(&self.private, data, context),
            Contextual::Digest(digest) => aws_lc::ed25519ph_sign(&self.private, digest, context),
        }
    }

    pub(crate) fn sign(&self, scheme: &SignatureScheme, message: Message<'_>, out: &mut [u8]) -> Result<usize, Error> {
        let message = whole(scheme, message)?;
        let out = out.get_mut(..SIGNATURE_LEN).ok_or(Error::OutputTooSmall { needed: SIGNATURE_LEN })?;
        out.copy_from_slice(&aws_lc::ed25519_sign(&self.private, message)?);
        Ok(SIGNATURE_LEN)
    }

    fn new(seed: Zeroizing<[u8; 32]>) -> Self {
        let (public, private) = aws_lc::ed25519_expand(&seed);
        Self { private, seed, public: Ed25519PublicKey(public) }
    }
}

/// An Ed25519 public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ed25519PublicKey([u8; 32]);

impl Ed25519PublicKey {
    /// From SubjectPublicKeyInfo (RFC 8410).
    pub fn from_spki_der(der: &[u8]) -> Result<Self, Error> {
        aws_lc::public_from_der(Kind::Ed25519, der).map(Self)
    }

    /// From the encoded point (RFC 8032, 5.1.2). Whether it lies on the curve is seen when a signature is verified: if not, none holds.
    #[must_use]
    pub fn from_bytes(point: [u8; 32]) -> Self {
        Self(point)
    }

    /// SubjectPublicKeyInfo, 44 bytes.
    pub fn to_spki_der(&self) -> Vec<u8> {
        rfc8410::spki(Kind::Ed25519, &self.0)
    }

    /// The encoded point.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether a signature of [`Ed25519PrivateKey::sign_with_context`] holds.
    ///
    /// # Errors
    /// As there.
    pub fn verify_with_context(&self, message: Message<'_>, context: &[u8], signature: &[u8]) -> Result<bool, Error> {
        let message = contextual(message, context)?;
        let Ok(signature) = signature.try_into() else { return Ok(false) };
        Ok(match message {
            Contextual::Data(data) => aws_lc::ed25519ctx_verify(&self.0, data, context, signature),
            Contextual::Digest(digest) => aws_lc::ed25519ph_verify(&self.0, digest, context, signature),
        })
    }

    pub(crate) fn verify(&self, scheme: &SignatureScheme, message: Message<'_>, signature: &[u8]) -> Result<bool, Error> {
        let message = whole(scheme, message)?;
        Ok(signature.try_into().is_ok_and(|signature| aws_lc::ed25519_verify(&self.0, message, signature)))
    }
}

/// The message itself: EdDSA's two passes need all of it.
fn whole<'a>(scheme: &SignatureScheme, message: Message<'a>) -> Result<&'a [u8], Error> {
    match (scheme, message) {
        (SignatureScheme::EdDsa, Message::Data(message)) => Ok(message),
        _ => Err(Error::Unsupported),
    }
}

/// What the schemes with a context sign.
enum Contextual<'a> {
    Data(&'a [u8]),
    Digest(&'a [u8; 64]),
}

fn contextual<'a>(message: Message<'a>, context: &[u8]) -> Result<Contextual<'a>, Error> {
    if context.len() > LONGEST_CONTEXT {
        return Err(Error::InputLength);
    }
    match message {
        Message::Data(_) if context.is_empty() => Err(Error::InputLength),
        Message::Data(data) => Ok(Contextual::Data(data)),
        Message::Digest(digest) => digest.try_into().map(Contextual::Digest).map_err(|_| Error::InputLength),
    }
}
