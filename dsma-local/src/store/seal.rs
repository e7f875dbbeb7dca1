//! Sealing at rest: AES-256-GCM under a key in a file of its own.
//!
//! A sealed value is `1 (version) | IV (12) | ciphertext | tag (16)`. What it is and whose it is go in as additional data, so that
//! sealed values cannot be exchanged between rows. IVs are random: one key serves 2^32 values (NIST SP 800-38D, section 8.3).

use dsma_crypto::digest::Hash;
use dsma_crypto::{AesKey, Buffers, CipherParams, HmacKey, Key, MacScheme, random};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::key_file;
use crate::error::Error;
use crate::state_dir::StateDir;

const VERSION: u8 = 1;
const IV_LEN: usize = 12;
const TAG_LEN: usize = 16;

/// The sealing keys.
pub(super) struct Seal {
    key: Key,
    /// For what clients keep for us. They have as many of these made as they like: that must not use up the bound of what is stored.
    clients: Key,
}

impl Seal {
    /// The keys of the key file, see `key_file.rs`.
    pub(super) fn load_or_create(state: &StateDir, new_store: bool) -> Result<Self, Error> {
        Self::from_bytes(&key_file::load_or_create(state, new_store)?)
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let clients = Key::Hmac(HmacKey::from_bytes(bytes)?).mac(&MacScheme::Hmac { hash: Hash::Sha256 }, b"what clients keep")?;
        Ok(Self { key: Key::Aes(AesKey::from_bytes(bytes)?), clients: Key::Aes(AesKey::from_bytes(clients.as_ref())?) })
    }

    /// Seals `secret`, which belongs to `owner` and is its `kind`.
    pub(super) fn close(&self, kind: &str, owner: Uuid, secret: &[u8]) -> Result<Vec<u8>, Error> {
        close(&self.key, kind, owner, secret)
    }

    /// Opens what [`close`](Self::close) made for the same `kind` and `owner`.
    pub(super) fn open(&self, kind: &str, owner: Uuid, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
        open(&self.key, kind, owner, sealed)
    }

    /// As [`close`](Self::close), for a value that leaves the store.
    pub(super) fn close_for_client(&self, kind: &str, owner: Uuid, secret: &[u8]) -> Result<Vec<u8>, Error> {
        close(&self.clients, kind, owner, secret)
    }

    /// Opens what [`close_for_client`](Self::close_for_client) made for the same `kind` and `owner`.
    pub(super) fn open_from_client(&self, kind: &str, owner: Uuid, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
        open(&self.clients, kind, owner, sealed)
    }
}

fn close(key: &Key, kind: &str, owner: Uuid, secret: &[u8]) -> Result<Vec<u8>, Error> {
    let mut sealed = vec![0; 1 + IV_LEN + secret.len() + TAG_LEN];
    sealed[0] = VERSION;
    let (head, tail) = sealed.split_at_mut(1 + IV_LEN);
    let iv = &mut head[1..];
    random::fill(iv)?;
    let (body, tag) = tail.split_at_mut(secret.len());
    key.encrypt(&CipherParams::AesGcm { iv, aad: &context(kind, owner) }, Buffers::new(secret, body), tag)?;
    Ok(sealed)
}

fn open(key: &Key, kind: &str, owner: Uuid, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
    let malformed = || Error::Crypto(dsma_crypto::Error::Malformed);
    let rest = sealed.strip_prefix(&[VERSION]).ok_or_else(malformed)?;
    let (iv, rest) = rest.split_at_checked(IV_LEN).ok_or_else(malformed)?;
    let (body, tag) = rest.len().checked_sub(TAG_LEN).map(|at| rest.split_at(at)).ok_or_else(malformed)?;
    let mut secret = Zeroizing::new(vec![0; body.len()]);
    let aad = context(kind, owner);
    key.decrypt(&CipherParams::AesGcm { iv, aad: &aad }, Buffers::new(body, &mut secret), tag)?;
    Ok(secret)
}

fn context(kind: &str, owner: Uuid) -> Vec<u8> {
    [kind.as_bytes(), b"/", owner.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_value_opens_for_its_own_row_only() {
        let seal = Seal::from_bytes(&[1; 32]).unwrap();
        let (mine, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let sealed = seal.close("sobject", mine, b"secret").unwrap();
        assert_eq!(*seal.open("sobject", mine, &sealed).unwrap(), b"secret");
        assert!(seal.open("sobject", other, &sealed).is_err());
        assert!(seal.open("app", mine, &sealed).is_err());
        assert!(seal.open("sobject", mine, &sealed[..20]).is_err());
        assert!(seal.open("sobject", mine, &[]).is_err());
        assert_ne!(sealed, seal.close("sobject", mine, b"secret").unwrap());

        let kept = seal.close_for_client("sobject", mine, b"secret").unwrap();
        assert_eq!(*seal.open_from_client("sobject", mine, &kept).unwrap(), b"secret");
        assert!(seal.open("sobject", mine, &kept).is_err() && seal.open_from_client("sobject", mine, &sealed).is_err());
    }
}
