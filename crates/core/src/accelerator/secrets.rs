//! Secrets from keys: agreed on, decapsulated, derived, and unwrapped key material.
//!
//! What comes out is key material in this process. Where the key that it comes from stays in DSM, so does the work: see
//! [`Accelerator::reveal_from`].

use std::sync::Arc;

use dsma_api::{ObjectType, Operation, SobjectRequest};
use dsma_crypto::digest::Hash;
use dsma_crypto::{Buffers, CipherParams, EcPublicKey, Key, X25519PublicKey, kdf};
use zeroize::Zeroizing;

use super::keys::KeyFrom;
use super::{Accelerator, EXPORT};
use crate::{CachedKey, Error, KeyRef};

/// Bytes of the secret in an encapsulation (FIPS 203).
const ML_KEM_SECRET: usize = 32;

/// The other side of an agreement.
#[derive(Clone)]
pub enum Peer {
    /// On a curve of NIST's or secp256k1.
    Ec(EcPublicKey),
    /// On Curve25519.
    X25519(X25519PublicKey),
}

impl Peer {
    /// Length of the secret that is agreed on, in bytes.
    #[must_use]
    pub fn secret_len(&self) -> usize {
        match self {
            Self::Ec(key) => key.curve().coordinate_len(),
            Self::X25519(_) => 32,
        }
    }
}

impl Accelerator {
    /// ECDH or X25519: the secret that both sides know. Not yet a key: derive one from it.
    ///
    /// # Errors
    /// As [`Self::sign`]; [`Error::Crypto`] for keys that do not go together.
    pub fn agree(&self, key: &KeyRef, peer: &Peer) -> Result<Zeroizing<Vec<u8>>, Error> {
        let ours = self.granted(key, Operation::AgreeKey)?;
        match (ours.local(), peer) {
            (Some(Key::Ec(key)), Peer::Ec(peer)) => Ok(key.agree(peer)?),
            (Some(Key::X25519(key)), Peer::X25519(peer)) => Ok(Zeroizing::new(key.agree(peer)?.to_vec())),
            (Some(_), _) => Err(dsma_crypto::Error::Unsupported.into()),
            (None, peer) => self.secret_from(key, KeyFrom::Agreement(peer), Some(peer.secret_len())),
        }
    }

    /// ML-KEM: the shared secret in an encapsulation.
    ///
    /// # Errors
    /// As [`Self::agree`].
    pub fn decapsulate(&self, key: &KeyRef, ciphertext: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
        let ours = self.granted(key, Operation::Decapsulate)?;
        match ours.local() {
            Some(Key::MlKem(key)) => Ok(Zeroizing::new(key.decapsulate(ciphertext)?.to_vec())),
            Some(_) => Err(dsma_crypto::Error::Unsupported.into()),
            None => self.secret_from(key, KeyFrom::Decapsulation(ciphertext), Some(ML_KEM_SECRET)),
        }
    }

    /// HKDF (RFC 5869), both steps, into so many bytes.
    ///
    /// # Errors
    /// As [`Self::agree`].
    pub fn hkdf(&self, key: &KeyRef, hash: Hash, salt: &[u8], info: &[u8], len: usize) -> Result<Zeroizing<Vec<u8>>, Error> {
        let ours = self.granted(key, Operation::DeriveKey)?;
        let Some(local) = ours.local() else {
            return self.secret_from(key, KeyFrom::Hkdf { hash, salt, info }, Some(len));
        };
        let secret = local.secret_bytes().ok_or(dsma_crypto::Error::Unsupported)?;
        let mut derived = Zeroizing::new(vec![0; len]);
        kdf::hkdf(hash, secret, salt, info, &mut derived)?;
        Ok(derived)
    }

    /// A key to derive from, which is here.
    ///
    /// # Errors
    /// As [`Self::agree`]; [`Error::Unsupported`] for a key that stays in DSM.
    pub fn derivable(&self, key: &KeyRef) -> Result<Arc<CachedKey>, Error> {
        let key = self.granted(key, Operation::DeriveKey)?;
        let what = "this derivation from a key that stays in DSM";
        if key.local().is_some() { Ok(key) } else { Err(Error::Unsupported { what }) }
    }

    /// Encrypts key material. As [`Self::encrypt`], but what the key needs is WRAPKEY, here as in DSM.
    ///
    /// # Errors
    /// As [`Self::agree`].
    pub fn wrap(&self, key: &KeyRef, params: &CipherParams<'_>, mut io: Buffers<'_>, tag: &mut [u8]) -> Result<usize, Error> {
        let wrapping = self.granted(key, Operation::WrapKey)?;
        if let Some(local) = wrapping.local_for_cipher(params) {
            return Ok(local.encrypt(params, io, tag)?);
        }
        let wrapped = self.wrap_in_dsm(key, params, &io.copy_input(), tag.len())?;
        tag.copy_from_slice(&wrapped.tag);
        Ok(io.write(&wrapped.data)?)
    }

    /// Decrypts key material. As [`Self::decrypt`], but what the key needs is UNWRAPKEY.
    ///
    /// # Errors
    /// As [`Self::agree`].
    pub fn unwrap(&self, key: &KeyRef, params: &CipherParams<'_>, mut io: Buffers<'_>, tag: &[u8]) -> Result<usize, Error> {
        let unwrapping = self.granted(key, Operation::UnwrapKey)?;
        if let Some(local) = unwrapping.local_for_cipher(params) {
            return Ok(local.decrypt(params, io, tag)?);
        }
        let wrapped = io.copy_input();
        let material = self.secret_from(key, KeyFrom::Unwrapping { params, wrapped: &wrapped, tag }, None)?;
        let fits = params.encrypted_len(material.len()).map_or(material.len() <= wrapped.len(), |len| len == wrapped.len());
        self.0.checked_len(EXPORT, "value", fits)?;
        Ok(io.write(&material)?)
    }

    /// Whether the key is used in DSM alone for this.
    ///
    /// # Errors
    /// As [`Self::granted`].
    pub fn stays_in_dsm(&self, key: &KeyRef, operation: Operation, params: &CipherParams<'_>) -> Result<bool, Error> {
        Ok(self.granted(key, operation)?.local_for_cipher(params).is_none())
    }

    /// Any bytes are a SECRET.
    fn secret_from(&self, key: &KeyRef, from: KeyFrom<'_>, len: Option<usize>) -> Result<Zeroizing<Vec<u8>>, Error> {
        let key_size = match len {
            Some(len) => Some(u32::try_from(8 * len).map_err(|_| dsma_crypto::Error::TooLong)?),
            None => None,
        };
        let request = SobjectRequest { obj_type: Some(ObjectType::Secret), key_size, ..SobjectRequest::default() };
        let secret = self.reveal_from(key, from, request)?;
        match len {
            Some(len) => self.0.checked_len(EXPORT, "value", secret.as_ref().len() == len).map(|()| secret.0),
            None => Ok(secret.0),
        }
    }
}
