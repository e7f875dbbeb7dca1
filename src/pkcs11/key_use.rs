//! What a running operation asks of its key, answered by the engine or, for a public key, by the listing.

use dsma_api::Operation;
use dsma_core::{allows_cipher, allows_signature};
use dsma_crypto::{Buffers, CipherParams, CipherStream, Mac, MacScheme, MacStream, Message, SignatureScheme};

use super::error::During;
use super::index::Object;
use super::{Error, Result};

impl Object {
    /// Encrypts all of the data; see [`dsma_core::Accelerator::encrypt`].
    pub(super) fn encrypt(&self, params: &CipherParams<'_>, data: Buffers<'_>, tag: &mut [u8]) -> Result<usize> {
        if let Some(key) = self.usable_public(Operation::Encrypt, |sobject| allows_cipher(sobject, params))? {
            return key.encrypt(params, data, tag).map_err(|error| Error::from_crypto(error, During::Protect));
        }
        let engine = self.engine();
        engine.encrypt(&self.key_ref(), params, data, tag).map_err(|error| Error::from_engine(&error, During::Protect))
    }

    /// Decrypts all of the data; see [`dsma_core::Accelerator::decrypt`].
    pub(super) fn decrypt(&self, params: &CipherParams<'_>, data: Buffers<'_>, tag: &[u8]) -> Result<usize> {
        self.engine().decrypt(&self.key_ref(), params, data, tag).map_err(|error| Error::from_engine(&error, During::Decrypt))
    }

    /// Begins an encryption or decryption in parts; `None` for a key that stays in DSM.
    pub(super) fn start_cipher(&self, params: &CipherParams<'_>, decrypting: bool) -> Result<Option<CipherStream>> {
        let (operation, during) = if decrypting { (Operation::Decrypt, During::Decrypt) } else { (Operation::Encrypt, During::Protect) };
        let key = self.engine().granted(&self.key_ref(), operation).map_err(|error| Error::from_engine(&error, during))?;
        let Some(local) = key.local() else { return Ok(None) };
        let stream = if decrypting { local.start_decrypt(params) } else { local.start_encrypt(params) };
        stream.map(Some).map_err(|error| Error::from_crypto(error, during))
    }

    /// Signs into `out` and returns the length.
    pub(super) fn sign(&self, scheme: &SignatureScheme, message: Message<'_>, out: &mut [u8]) -> Result<usize> {
        self.engine().sign(&self.key_ref(), scheme, message, out).map_err(|error| Error::from_engine(&error, During::Protect))
    }

    /// Whether the signature holds. Needs only the public key, which the listing has: asks neither DSM nor the key cache.
    pub(super) fn verify(&self, scheme: &SignatureScheme, message: Message<'_>, signature: &[u8]) -> Result<bool> {
        match self.usable_public(Operation::Verify, |sobject| allows_signature(sobject, scheme))? {
            Some(key) => key.verify(scheme, message, signature).map_err(|error| Error::from_crypto(error, During::Protect)),
            None => (self.engine().verify(&self.key_ref(), scheme, message, signature))
                .map_err(|error| Error::from_engine(&error, During::Protect)),
        }
    }

    /// The authentication code of the data, whole.
    pub(super) fn mac(&self, scheme: &MacScheme, data: &[u8]) -> Result<Mac> {
        self.engine().mac(&self.key_ref(), scheme, data).map_err(|error| Error::from_engine(&error, During::Protect))
    }

    /// Whether this is the beginning of the data's authentication code.
    pub(super) fn verify_mac(&self, scheme: &MacScheme, data: &[u8], code: &[u8]) -> Result<bool> {
        self.engine().verify_mac(&self.key_ref(), scheme, data, code).map_err(|error| Error::from_engine(&error, During::Protect))
    }

    /// Begins an authentication code in parts; `None` for a key that stays in DSM.
    pub(super) fn start_mac(&self, scheme: &MacScheme, verifying: bool) -> Result<Option<MacStream>> {
        let operation = if verifying { Operation::MacVerify } else { Operation::MacGenerate };
        let key = self.engine().granted(&self.key_ref(), operation).map_err(|error| Error::from_engine(&error, During::Protect))?;
        let stream = key.local().map(|local| local.start_mac(scheme)).transpose();
        stream.map_err(|error| Error::from_crypto(error, During::Protect))
    }
}
