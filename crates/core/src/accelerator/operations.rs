//! The operations of our own app: the front's language in, bytes out.

use std::sync::Arc;

use dsma_api::{KeyFacts, ObjectType, Operation, Permissions, Time, authorize};
use dsma_crypto::{Buffers, CipherParams, Message, SignatureScheme};

use super::Accelerator;
use super::forward::curve_of;
use crate::cache::Tokens;
use crate::{CachedKey, Error, KeyRef};

impl Accelerator {
    /// Encrypts. `tag` is filled by authenticated modes and tells the tag's length; empty for the others. Returns the ciphertext's
    /// length without tag.
    ///
    /// # Errors
    /// A refusal in DSM's words, [`Error::Unreachable`], or [`Error::Crypto`] for parameters and buffers that do not fit.
    pub fn encrypt(&self, key: &KeyRef, params: &CipherParams<'_>, io: Buffers<'_>, tag: &mut [u8]) -> Result<usize, Error> {
        let key = self.granted(key, Operation::Encrypt)?;
        match key.local_for_cipher(params) {
            Some(local) => Ok(local.encrypt(params, io, tag)?),
            None => match (key.tokens(), params) {
                (Some(tokens), CipherParams::Tokens { .. }) => tokens.tokenize(io),
                _ => self.forward_encrypt(&key, params, io, tag),
            },
        }
    }

    /// Decrypts. A tag or padding that does not hold is one error without detail. Returns the plaintext's length.
    ///
    /// # Errors
    /// As [`Self::encrypt`].
    pub fn decrypt(&self, key: &KeyRef, params: &CipherParams<'_>, io: Buffers<'_>, tag: &[u8]) -> Result<usize, Error> {
        let key = self.granted(key, Operation::Decrypt)?;
        match key.local_for_cipher(params) {
            Some(local) => Ok(local.decrypt(params, io, tag)?),
            None => match (key.tokens(), params) {
                (Some(tokens), CipherParams::Tokens { masked }) => tokens.detokenize(io, *masked),
                _ => self.forward_decrypt(&key, params, io, tag),
            },
        }
    }

    /// Signs into `out` and returns the signature's length.
    ///
    /// # Errors
    /// As [`Self::encrypt`].
    pub fn sign(&self, key: &KeyRef, scheme: &SignatureScheme, message: Message<'_>, out: &mut [u8]) -> Result<usize, Error> {
        let key = self.granted(key, Operation::Sign)?;
        match key.local_for_signature(scheme) {
            Some(local) => Ok(local.sign(scheme, message, out)?),
            None => self.forward_sign(&key, scheme, message, out),
        }
    }

    /// Whether `signature` holds.
    ///
    /// # Errors
    /// As [`Self::encrypt`]; a signature that does not hold is no error.
    pub fn verify(&self, key: &KeyRef, scheme: &SignatureScheme, message: Message<'_>, signature: &[u8]) -> Result<bool, Error> {
        let key = self.granted(key, Operation::Verify)?;
        match key.local_for_signature(scheme) {
            Some(local) => Ok(local.verify(scheme, message, signature)?),
            None => self.forward_verify(&key, scheme, message, signature),
        }
    }

    /// The key, if it may do `operation` now. For our own app DSM has decided about permissions when it exported the key, and
    /// decides again on everything that is forwarded.
    ///
    /// # Errors
    /// A refusal in DSM's words, or [`Error::Unreachable`].
    pub fn granted(&self, key: &KeyRef, operation: Operation) -> Result<Arc<CachedKey>, Error> {
        let key = self.key(key)?;
        authorize(operation, Some(Permissions::all()), &KeyFacts::from(&**key.sobject()), Time::now())?;
        Ok(key)
    }
}

/// An error is DSM's own answer.
impl Tokens {
    fn tokenize(&self, mut io: Buffers<'_>) -> Result<usize, Error> {
        let token = self.format.tokenize(&self.key, &io.copy_input())?;
        Ok(io.write(&token)?)
    }

    fn detokenize(&self, mut io: Buffers<'_>, masked: bool) -> Result<usize, Error> {
        let text = self.format.detokenize(&self.key, &io.copy_input(), masked)?;
        Ok(io.write(&text)?)
    }
}

/// What a front wants to know of a key before it has buffers, the same for a prepared key and for one that stays in DSM.
impl CachedKey {
    /// Upper bound of a signature's length in bytes; `None` where only DSM knows.
    #[must_use]
    pub fn signature_len(&self, scheme: &SignatureScheme) -> Option<usize> {
        match (self.local(), scheme) {
            (Some(key), _) => Some(key.signature_len(scheme)),
            (None, SignatureScheme::Ecdsa { encoding, .. }) => curve_of(self.sobject()).ok().map(|curve| curve.signature_len(*encoding)),
            (None, _) => self.modulus_len(),
        }
    }

    /// Length of an encryption of so many bytes, the tag not counted; `None` where only DSM knows.
    #[must_use]
    pub fn encrypted_len(&self, params: &CipherParams<'_>, input_len: usize) -> Option<usize> {
        match (self.local(), params) {
            (Some(key), _) => Some(key.encrypted_len(params, input_len)),
            (None, params) => params.encrypted_len(input_len).or_else(|| self.modulus_len()),
        }
    }

    fn modulus_len(&self) -> Option<usize> {
        let bits = self.sobject().key_size.filter(|_| self.sobject().obj_type == ObjectType::Rsa)?;
        Some(usize::try_from(bits).ok()?.div_ceil(8))
    }
}
