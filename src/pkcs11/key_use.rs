//! What a running operation asks of its key: answered by this process for its own keys, by the engine for DSM's, and for their public
//! halves by the listing.

use dsma_api::Operation;
use dsma_core::{allows_cipher, allows_signature};
use dsma_crypto::{Buffers, CipherParams, CipherStream, Error as Crypto, Key, Mac, MacScheme, MacStream, Message, SignatureScheme};

use super::error::During;
use super::objects::{KeySource, Object};
use super::{Error, Result};

impl Object {
    /// Encrypts all of the data; see [`dsma_core::Accelerator::encrypt`].
    pub(super) fn encrypt(&self, params: &CipherParams<'_>, data: Buffers<'_>, tag: &mut [u8]) -> Result<usize> {
        let local = match self.source()? {
            KeySource::Local(key) => key,
            KeySource::Dsm(key) => match key.usable_public(Operation::Encrypt, |sobject| allows_cipher(sobject, params))? {
                Some(public) => public,
                None => {
                    let encrypted = key.engine().encrypt(&key.key_ref(), params, data, tag);
                    return encrypted.map_err(|error| Error::from_engine(&error, During::Protect));
                }
            },
        };
        here(local.key()?.encrypt(params, data, tag), During::Protect)
    }

    /// Decrypts all of the data; see [`dsma_core::Accelerator::decrypt`].
    pub(super) fn decrypt(&self, params: &CipherParams<'_>, data: Buffers<'_>, tag: &[u8]) -> Result<usize> {
        match self.source()? {
            KeySource::Local(key) => here(key.key()?.decrypt(params, data, tag), During::Decrypt),
            KeySource::Dsm(key) => {
                let decrypted = key.engine().decrypt(&key.key_ref(), params, data, tag);
                decrypted.map_err(|error| Error::from_engine(&error, During::Decrypt))
            }
        }
    }

    /// Begins an encryption or decryption in parts; `None` for a key that stays in DSM.
    pub(super) fn start_cipher(&self, params: &CipherParams<'_>, decrypting: bool) -> Result<Option<CipherStream>> {
        let (operation, during) = if decrypting { (Operation::Decrypt, During::Decrypt) } else { (Operation::Encrypt, During::Protect) };
        let start = |key: &Key| here(if decrypting { key.start_decrypt(params) } else { key.start_encrypt(params) }, during);
        self.with_key(operation, during, start)
    }

    /// Signs into `out` and returns the length.
    pub(super) fn sign(&self, scheme: &SignatureScheme, message: Message<'_>, out: &mut [u8]) -> Result<usize> {
        match self.source()? {
            KeySource::Local(key) => here(key.key()?.sign(scheme, message, out), During::Protect),
            KeySource::Dsm(key) => {
                let signed = key.engine().sign(&key.key_ref(), scheme, message, out);
                signed.map_err(|error| Error::from_engine(&error, During::Protect))
            }
        }
    }

    /// Whether the signature holds. Needs only the public key, which the listing has: asks neither DSM nor the key cache.
    pub(super) fn verify(&self, scheme: &SignatureScheme, message: Message<'_>, signature: &[u8]) -> Result<bool> {
        let local = match self.source()? {
            KeySource::Local(key) => key,
            KeySource::Dsm(key) => match key.usable_public(Operation::Verify, |sobject| allows_signature(sobject, scheme))? {
                Some(public) => public,
                None => {
                    let verified = key.engine().verify(&key.key_ref(), scheme, message, signature);
                    return verified.map_err(|error| Error::from_engine(&error, During::Protect));
                }
            },
        };
        here(local.key()?.verify(scheme, message, signature), During::Protect)
    }

    /// The authentication code of the data, whole.
    pub(super) fn mac(&self, scheme: &MacScheme, data: &[u8]) -> Result<Mac> {
        match self.source()? {
            KeySource::Local(key) => here(key.key()?.mac(scheme, data), During::Protect),
            KeySource::Dsm(key) => {
                let made = key.engine().mac(&key.key_ref(), scheme, data);
                made.map_err(|error| Error::from_engine(&error, During::Protect))
            }
        }
    }

    /// Whether this is the beginning of the data's authentication code.
    pub(super) fn verify_mac(&self, scheme: &MacScheme, data: &[u8], code: &[u8]) -> Result<bool> {
        match self.source()? {
            KeySource::Local(key) => Ok(here(key.key()?.mac(scheme, data), During::Protect)?.begins_with(code)),
            KeySource::Dsm(key) => {
                let verified = key.engine().verify_mac(&key.key_ref(), scheme, data, code);
                verified.map_err(|error| Error::from_engine(&error, During::Protect))
            }
        }
    }

    /// Begins an authentication code in parts; `None` for a key that stays in DSM.
    pub(super) fn start_mac(&self, scheme: &MacScheme, verifying: bool) -> Result<Option<MacStream>> {
        let operation = if verifying { Operation::MacVerify } else { Operation::MacGenerate };
        self.with_key(operation, During::Protect, |key| here(key.start_mac(scheme), During::Protect))
    }

    /// Runs `start` on the key, where it is or may be here; `None` for one that stays in DSM.
    fn with_key<T>(&self, operation: Operation, during: During, start: impl FnOnce(&Key) -> Result<T>) -> Result<Option<T>> {
        match self.source()? {
            KeySource::Local(key) => start(key.key()?).map(Some),
            KeySource::Dsm(key) => {
                let granted = key.engine().granted(&key.key_ref(), operation);
                let granted = granted.map_err(|error| Error::from_engine(&error, during))?;
                granted.local().map(start).transpose()
            }
        }
    }
}

/// The answer of an operation in this process.
fn here<T>(answer: std::result::Result<T, Crypto>, during: During) -> Result<T> {
    answer.map_err(|error| Error::from_crypto(error, during))
}
