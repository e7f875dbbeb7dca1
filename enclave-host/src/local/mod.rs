//! The four operations that run here, on a key that is already at hand and for a caller who may use it.
//!
//! What this version does not do itself, or what DSM might refuse, is [`Outcome::PassOn`]: DSM answers it in its own words. Only an
//! operation that was carried out has its result, good or bad, told here.

mod encryption;
mod members;
mod reply;
mod signing;

use dsma_api::{ApiError, DecryptRequest, EllipticCurve, EncryptRequest, Operation, SignRequest, SobjectDescriptor, VerifyRequest, text};
use dsma_core::CachedKey;
use dsma_crypto::Key;
use hyper::body::Bytes;

/// A request that parses.
pub(crate) enum LocalRequest {
    Encrypt(EncryptRequest),
    Decrypt(DecryptRequest),
    Sign(SignRequest),
    Verify(VerifyRequest),
}

/// How a local operation ended, other than well.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It is DSM's to do or to refuse.
    PassOn,
    /// It was done, and this is its answer.
    Failed(ApiError),
}

impl From<dsma_crypto::Error> for Outcome {
    fn from(error: dsma_crypto::Error) -> Self {
        match error {
            dsma_crypto::Error::Authentication => Self::Failed(ApiError::bad_request(text::DECRYPT_FAILED)),
            // Parameters that do not fit: DSM says which.
            _ => Self::PassOn,
        }
    }
}

impl LocalRequest {
    /// `None` where `body` is not the JSON of this operation, or has a member that is not known here: ignoring it could do something
    /// else than was asked.
    pub(crate) fn parse(operation: Operation, body: &[u8]) -> Option<Self> {
        let request = match operation {
            Operation::Encrypt => Self::Encrypt(serde_json::from_slice(body).ok()?),
            Operation::Decrypt => Self::Decrypt(serde_json::from_slice(body).ok()?),
            Operation::Sign => Self::Sign(serde_json::from_slice(body).ok()?),
            Operation::Verify => Self::Verify(serde_json::from_slice(body).ok()?),
            _ => return None,
        };
        members::all_in(body, request.members()).then_some(request)
    }

    /// The members that this operation's JSON may have.
    const fn members(&self) -> &'static [&'static str] {
        match self {
            Self::Encrypt(_) => &["key", "alg", "plain", "mode", "iv", "ad", "tag_len", "label"],
            Self::Decrypt(_) => &["key", "alg", "cipher", "mode", "iv", "ad", "tag", "masked", "label"],
            Self::Sign(_) => &["key", "hash_alg", "hash", "data", "mode", "deterministic_signature", "context"],
            Self::Verify(_) => &["key", "hash_alg", "hash", "data", "mode", "signature", "context"],
        }
    }

    /// The key that the body names.
    pub(crate) const fn key(&self) -> Option<&SobjectDescriptor> {
        match self {
            Self::Encrypt(request) => request.key.as_ref(),
            Self::Decrypt(request) => request.key.as_ref(),
            Self::Sign(request) => request.key.as_ref(),
            Self::Verify(request) => request.key.as_ref(),
        }
    }

    /// Whether it keeps a core busy for longer than a switch to another thread costs.
    pub(crate) fn is_costly(&self, key: &CachedKey) -> bool {
        let cheap_curve = matches!(key.sobject().elliptic_curve, Some(EllipticCurve::NistP256 | EllipticCurve::SecP256K1));
        match key.local() {
            Some(Key::Rsa(_)) => matches!(self, Self::Decrypt(_) | Self::Sign(_)),
            Some(Key::Ec(_) | Key::EcPublic(_)) => !cheap_curve,
            _ => false,
        }
    }

    /// Does it, and writes the answer in JSON. That the caller may do it has been checked.
    pub(crate) fn run(self, key: &CachedKey) -> Result<Bytes, Outcome> {
        let local = key.local().ok_or(Outcome::PassOn)?;
        match self {
            Self::Encrypt(request) => encryption::encrypt(key, local, request),
            Self::Decrypt(request) => encryption::decrypt(key, local, &request),
            Self::Sign(request) => signing::sign(key, local, &request),
            Self::Verify(request) => signing::verify(key, local, &request),
        }
    }
}
