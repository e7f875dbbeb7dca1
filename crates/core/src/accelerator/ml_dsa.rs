//! ML-DSA: signatures with a context, of a message or of its digest.

use dsma_api::{Blob, MlDsaMode, MlDsaParamSet, Operation, SignRequest, SignatureMode, SobjectDescriptor};
use dsma_crypto::digest::Hash;
use dsma_crypto::{Key, Message, MlDsaSet};

use super::Accelerator;
use super::forward::{SIGN, wire_hash};
use crate::dsm::check_forwarded;
use crate::{Error, KeyRef};

impl Accelerator {
    /// Signs: the message itself where `prehash` is `None` (FIPS 204, algorithm 2), else its digest (algorithm 4). The context has at
    /// most 255 bytes. A deterministic signature has no fresh random bytes in it.
    ///
    /// # Errors
    /// As [`Self::sign`].
    pub fn sign_ml_dsa(
        &self,
        key: &KeyRef,
        prehash: Option<Hash>,
        message: Message<'_>,
        context: &[u8],
        deterministic: bool,
    ) -> Result<Vec<u8>, Error> {
        let key = self.granted(key, Operation::Sign)?;
        match (key.local(), prehash, message) {
            (Some(Key::MlDsa(local)), prehash, message) => Ok(local.sign_as(prehash, message, context, deterministic)?),
            (Some(_), ..) | (None, None, Message::Digest(_)) => Err(dsma_crypto::Error::Unsupported.into()),
            (None, prehash, message) => {
                let (Message::Data(given) | Message::Digest(given)) = message;
                check_forwarded(given.len())?;
                let (data, hash) = match message {
                    Message::Data(data) => (Some(Blob::from(data)), None),
                    Message::Digest(digest) => (None, Some(Blob::from(digest))),
                };
                let variant = if prehash.is_some() { MlDsaMode::PreHash } else { MlDsaMode::Pure };
                let reply = self.counted().dsm.sign(&SignRequest {
                    key: Some(SobjectDescriptor::Kid(key.kid())),
                    hash_alg: prehash.map(wire_hash),
                    hash,
                    data,
                    mode: Some(SignatureMode::MlDsa(variant)),
                    deterministic_signature: deterministic.then_some(true),
                    context: (!context.is_empty()).then(|| Blob::from(context)),
                })?;
                self.0.checked_use(SIGN, key.kid(), reply.kid)?;
                let set = key.sobject().mldsa.map(|options| match options.param_set {
                    MlDsaParamSet::MlDsa44 => MlDsaSet::MlDsa44,
                    MlDsaParamSet::MlDsa65 => MlDsaSet::MlDsa65,
                    MlDsaParamSet::MlDsa87 => MlDsaSet::MlDsa87,
                });
                self.0.checked_len(SIGN, "signature", set.is_none_or(|set| reply.signature.0.len() == set.signature_len()))?;
                Ok(reply.signature.0)
            }
        }
    }
}
