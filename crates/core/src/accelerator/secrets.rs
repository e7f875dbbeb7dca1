//! Secrets from keys: agreed on, decapsulated, derived, and unwrapped key material.
//!
//! What comes out is key material in this process, so the key that it comes from must be here too. DSM's own `agree`, `derive`,
//! `decapsulate` and `unwrapkey` make sobjects instead, and never tell their bytes.

use std::sync::Arc;

use dsma_api::Operation;
use dsma_crypto::{Buffers, CipherParams, EcPublicKey, Key, X25519PublicKey};
use zeroize::Zeroizing;

use super::Accelerator;
use crate::{CachedKey, Error, KeyRef};

/// The other side of an agreement.
#[derive(Clone)]
pub enum Peer {
    /// On a curve of NIST's or secp256k1.
    Ec(EcPublicKey),
    /// On Curve25519.
    X25519(X25519PublicKey),
}

impl Accelerator {
    /// ECDH or X25519: the secret that both sides know. Not yet a key: derive one from it.
    ///
    /// # Errors
    /// As [`Self::sign`]; [`Error::Unsupported`] for a key that stays in DSM, [`Error::Crypto`] for keys that do not go together.
    pub fn agree(&self, key: &KeyRef, peer: &Peer) -> Result<Zeroizing<Vec<u8>>, Error> {
        let key = self.here(key, Operation::AgreeKey, "an agreement with a key that stays in DSM")?;
        match (key.local(), peer) {
            (Some(Key::Ec(key)), Peer::Ec(peer)) => Ok(key.agree(peer)?),
            (Some(Key::X25519(key)), Peer::X25519(peer)) => Ok(Zeroizing::new(key.agree(peer)?.to_vec())),
            _ => Err(dsma_crypto::Error::Unsupported.into()),
        }
    }

    /// ML-KEM: the shared secret in an encapsulation.
    ///
    /// # Errors
    /// As [`Self::agree`].
    pub fn decapsulate(&self, key: &KeyRef, ciphertext: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
        let key = self.here(key, Operation::Decapsulate, "a decapsulation with a key that stays in DSM")?;
        match key.local() {
            Some(Key::MlKem(key)) => Ok(Zeroizing::new(key.decapsulate(ciphertext)?.to_vec())),
            _ => Err(dsma_crypto::Error::Unsupported.into()),
        }
    }

    /// A key to derive from, which is here.
    ///
    /// # Errors
    /// As [`Self::agree`].
    pub fn derivable(&self, key: &KeyRef) -> Result<Arc<CachedKey>, Error> {
        self.here(key, Operation::DeriveKey, "a derivation from a key that stays in DSM")
    }

    /// Encrypts key material. As [`Self::encrypt`], but what the key needs is WRAPKEY, here as in DSM.
    ///
    /// # Errors
    /// As [`Self::agree`].
    pub fn wrap(&self, key: &KeyRef, params: &CipherParams<'_>, io: Buffers<'_>, tag: &mut [u8]) -> Result<usize, Error> {
        let key = self.here(key, Operation::WrapKey, "wrapping a key of this process by one that stays in DSM")?;
        let local = key.local_for_cipher(params).ok_or(Error::Unsupported { what: "a padding that the key's policy does not allow" })?;
        Ok(local.encrypt(params, io, tag)?)
    }

    /// Decrypts key material. As [`Self::decrypt`], but what the key needs is UNWRAPKEY.
    ///
    /// # Errors
    /// As [`Self::agree`].
    pub fn unwrap(&self, key: &KeyRef, params: &CipherParams<'_>, io: Buffers<'_>, tag: &[u8]) -> Result<usize, Error> {
        let key = self.here(key, Operation::UnwrapKey, "unwrapping into this process by a key that stays in DSM")?;
        let local = key.local_for_cipher(params).ok_or(Error::Unsupported { what: "a padding that the key's policy does not allow" })?;
        Ok(local.decrypt(params, io, tag)?)
    }

    fn here(&self, key: &KeyRef, operation: Operation, what: &'static str) -> Result<Arc<CachedKey>, Error> {
        let key = self.granted(key, operation)?;
        if key.local().is_some() { Ok(key) } else { Err(Error::Unsupported { what }) }
    }
}
