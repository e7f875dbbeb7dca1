//! ML-DSA signatures (FIPS 204). They are hedged, so that two signatures of one message differ, unless the request wants it otherwise.

use dsma_api::{ApiError, Blob, MlDsaMode, SignRequest, SignatureMode, VerifyRequest};
use dsma_crypto::digest::Hash;
use dsma_crypto::{Error, Message, MlDsaPrivateKey, MlDsaPublicKey};

use super::modes::hash;
use super::refused;
use super::signature::deterministic;
use crate::dsm::call::Call;
use crate::store::SobjectRow;

/// What is signed.
enum Subject<'a> {
    Message(&'a [u8]),
    Digest(Hash, Message<'a>),
    /// `mu` of the standard, in `hash`: 64 bytes that the caller computed.
    Representative(&'a [u8; 64]),
}

pub(super) fn sign(call: &Call, row: &SobjectRow, request: &SignRequest) -> Result<Blob, ApiError> {
    let SignRequest { hash_alg, hash, data, mode, context, .. } = request;
    let deterministic = deterministic(&row.sobject, request)?;
    let value = call.store().material(row)?.ok_or_else(|| ApiError::bad_request("The sobject is a public key alone: it verifies"))?;
    let key = MlDsaPrivateKey::from_der(&value).map_err(refused)?;
    let (subject, context) = subject(*mode, *hash_alg, hash.as_ref(), data.as_ref(), context.as_ref())?;
    let signature = match (subject, deterministic) {
        (Subject::Message(message), false) => key.sign(message, context),
        (Subject::Message(message), true) => key.sign_deterministic(message, context),
        (Subject::Digest(hash, message), false) => key.sign_prehash(hash, message, context),
        (Subject::Digest(hash, message), true) => key.sign_prehash_deterministic(hash, message, context),
        (Subject::Representative(mu), false) => key.sign_mu(mu),
        (Subject::Representative(mu), true) => key.sign_mu_deterministic(mu),
    };
    signature.map(Blob).map_err(|error| match error {
        Error::Unsupported if deterministic => {
            ApiError::bad_request("Deterministic ML-DSA takes a key with its seed, and for PRE_HASH a digest of SHA-2 or SHA-3")
        }
        error => explained(error),
    })
}

pub(super) fn verify(row: &SobjectRow, request: &VerifyRequest) -> Result<bool, ApiError> {
    let VerifyRequest { hash_alg, hash, data, mode, signature, context, .. } = request;
    let public = row.sobject.pub_key.as_ref().map(AsRef::as_ref).unwrap_or_default();
    let key = MlDsaPublicKey::from_spki_der(public).map_err(refused)?;
    let (subject, context) = subject(*mode, *hash_alg, hash.as_ref(), data.as_ref(), context.as_ref())?;
    let result = match subject {
        Subject::Message(message) => key.verify(message, context, signature.as_ref()),
        Subject::Digest(hash, message) => key.verify_prehash(hash, message, context, signature.as_ref()),
        Subject::Representative(mu) => key.verify_mu(mu, signature.as_ref()),
    };
    result.map_err(explained)
}

/// What a request means, with its context.
fn subject<'a>(
    mode: Option<SignatureMode>,
    hash_alg: Option<dsma_api::HashAlgorithm>,
    digest: Option<&'a Blob>,
    data: Option<&'a Blob>,
    context: Option<&'a Blob>,
) -> Result<(Subject<'a>, &'a [u8]), ApiError> {
    let mode = match mode {
        None => MlDsaMode::Pure,
        Some(SignatureMode::MlDsa(mode)) => mode,
        Some(SignatureMode::Rsa(_)) => return Err(ApiError::bad_request("Invalid mode: it is for RSA keys")),
    };
    let wrong = |text: &'static str| Err(ApiError::bad_request(text));
    let subject = match (mode, digest, data) {
        (_, None, None) | (_, Some(_), Some(_)) => return wrong("Exactly one of `hash` and `data` is expected"),
        (MlDsaMode::Pure, None, Some(data)) => Subject::Message(data.as_ref()),
        (MlDsaMode::Pure, Some(_), None) => return wrong("ML-DSA in variant PURE signs `data`: for a digest there is PRE_HASH"),
        (MlDsaMode::PreHash, digest, data) => {
            let hash = hash(hash_alg.ok_or_else(|| ApiError::bad_request("Missing field `hash_alg`"))?);
            Subject::Digest(
                hash,
                digest.map_or_else(|| Message::Data(data.map_or(&[], AsRef::as_ref)), |hash| Message::Digest(hash.as_ref())),
            )
        }
        (MlDsaMode::ExternalMu, mu, None) => match mu.map(AsRef::as_ref).unwrap_or_default().try_into() {
            Ok(mu) => Subject::Representative(mu),
            Err(_) => return wrong("ML-DSA in variant EXTERNAL_MU takes 64 bytes in `hash`"),
        },
        (MlDsaMode::ExternalMu, None, Some(_)) => return wrong("ML-DSA in variant EXTERNAL_MU takes 64 bytes in `hash`"),
    };
    match context {
        Some(_) if matches!(subject, Subject::Representative(_)) => {
            wrong("Field `context` is not allowed with EXTERNAL_MU: it is in the 64 bytes")
        }
        context => Ok((subject, context.map(AsRef::as_ref).unwrap_or_default())),
    }
}

fn explained(error: Error) -> ApiError {
    match error {
        Error::InputLength => ApiError::bad_request("Invalid input length: a context has at most 255 bytes, a digest its hash's length"),
        Error::Unsupported => ApiError::bad_request("This digest is not possible with ML-DSA: SHA-2 and SHA-3 are"),
        other => refused(other),
    }
}
