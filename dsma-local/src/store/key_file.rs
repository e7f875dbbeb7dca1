//! The file of the sealing key: its 32 bytes as they are, or wrapped under a passphrase.
//!
//! Wrapped, it is JSON: the key under AES-256-GCM with a key that Argon2id makes of the passphrase (RFC 9106, its second recommended
//! choice of cost). The sealing key itself stays what it is when the passphrase changes, so that nothing in the store is written anew.

use argon2::{Algorithm, Argon2, Params, Version};
use dsma_api::Blob;
use dsma_crypto::{AesKey, Buffers, CipherParams, Key, random};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::error::Error;
use crate::passphrase::Source;
use crate::state_dir::StateDir;

/// In the state directory.
pub(crate) const FILE: &str = "seal.key";
const KEY_LEN: usize = 32;
const SALT_LEN: usize = 16;
const IV_LEN: usize = 12;
const TAG_LEN: usize = 16;
/// RFC 9106, section 4.
const COST: Cost = Cost { memory_kib: 64 << 10, passes: 3, lanes: 4 };
/// A damaged file does not make us work for hours.
const MOST: Cost = Cost { memory_kib: 2 << 20, passes: 64, lanes: 64 };

/// Cost of Argon2id.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Cost {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

/// The file's form under a passphrase.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wrapped {
    kdf: String,
    cost: Cost,
    salt: Blob,
    iv: Blob,
    /// Ciphertext and tag.
    sealed: Blob,
}

/// Reads the sealing key. Only for a new store it is made: a store without its key file is damaged.
///
/// # Errors
/// [`Error::Damaged`] for a file of another shape, [`Error::Passphrase`] where the passphrase is missing, wrong, or not needed.
pub(super) fn load_or_create(state: &StateDir, new_store: bool) -> Result<Zeroizing<Vec<u8>>, Error> {
    match state.read(FILE)?.map(Zeroizing::new) {
        Some(bytes) => open(state, &bytes),
        None if new_store => {
            let mut key = Zeroizing::new(vec![0; KEY_LEN]);
            random::fill(&mut key)?;
            write(state, &key, state.passphrase().new_one()?)?;
            Ok(key)
        }
        None => Err(damaged(state, "it is missing, and the store is there")),
    }
}

/// Wraps the sealing key under another passphrase, or under none. The store must not be in use, which the directory's lock sees to.
///
/// # Errors
/// As [`load_or_create`].
pub(crate) fn protect(state: &StateDir, new: Option<&Source>) -> Result<(), Error> {
    let bytes = state.read(FILE)?.map(Zeroizing::new).ok_or_else(|| damaged(state, "it is missing"))?;
    let key = open(state, &bytes)?;
    let passphrase = new.map(Source::read_new).transpose()?;
    write(state, &key, passphrase.as_ref().map(|text| text.as_str()))
}

/// Whether a key file with this content can be used with what `state` knows.
///
/// # Errors
/// As [`load_or_create`].
pub(crate) fn check(state: &StateDir, bytes: &[u8]) -> Result<(), Error> {
    open(state, bytes).map(|_| ())
}

fn open(state: &StateDir, bytes: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
    if bytes.len() == KEY_LEN {
        if state.passphrase().is_given() {
            let problem = "none protects this state: leave --passphrase out, or set one with `passphrase set`".into();
            return Err(Error::Passphrase { problem });
        }
        return Ok(Zeroizing::new(bytes.to_vec()));
    }
    let wrapped: Wrapped =
        serde_json::from_slice(bytes).map_err(|_| damaged(state, "32 bytes, or a key under a passphrase, are expected"))?;
    wrapped.open(state.passphrase().known()?).map_err(|reason| match reason {
        Unopened::Damaged => damaged(state, "the key under a passphrase has another form than this version writes"),
        Unopened::Wrong => Error::Passphrase { problem: "it is not that of this state, or its key file was changed".into() },
    })
}

fn write(state: &StateDir, key: &[u8], passphrase: Option<&str>) -> Result<(), Error> {
    match passphrase {
        None => state.write_private(FILE, key),
        Some(passphrase) => state.write_private(FILE, &serde_json::to_vec(&Wrapped::close(key, passphrase)?)?),
    }
}

enum Unopened {
    Damaged,
    Wrong,
}

impl Wrapped {
    fn close(key: &[u8], passphrase: &str) -> Result<Self, Error> {
        let (mut salt, mut iv) = (vec![0; SALT_LEN], vec![0; IV_LEN]);
        random::fill(&mut salt)?;
        random::fill(&mut iv)?;
        let wrapping = derive(passphrase, &salt, COST).ok_or(dsma_crypto::Error::Internal)?;
        let mut sealed = vec![0; key.len() + TAG_LEN];
        let (body, tag) = sealed.split_at_mut(key.len());
        let wrapping = Key::Aes(AesKey::from_bytes(&*wrapping)?);
        wrapping.encrypt(&CipherParams::AesGcm { iv: &iv, aad: &context(COST) }, Buffers::new(key, body), tag)?;
        Ok(Self { kdf: "argon2id".into(), cost: COST, salt: Blob(salt), iv: Blob(iv), sealed: Blob(sealed) })
    }

    fn open(&self, passphrase: &str) -> Result<Zeroizing<Vec<u8>>, Unopened> {
        let Cost { memory_kib, passes, lanes } = self.cost;
        let sane = self.kdf == "argon2id" && memory_kib <= MOST.memory_kib && passes <= MOST.passes && lanes <= MOST.lanes;
        if !sane || self.sealed.0.len() != KEY_LEN + TAG_LEN || self.iv.0.len() != IV_LEN {
            return Err(Unopened::Damaged);
        }
        let wrapping = derive(passphrase, &self.salt.0, self.cost).ok_or(Unopened::Damaged)?;
        let wrapping = Key::Aes(AesKey::from_bytes(&*wrapping).map_err(|_| Unopened::Damaged)?);
        let (body, tag) = self.sealed.0.split_at(KEY_LEN);
        let mut key = Zeroizing::new(vec![0; KEY_LEN]);
        let params = CipherParams::AesGcm { iv: &self.iv.0, aad: &context(self.cost) };
        wrapping.decrypt(&params, Buffers::new(body, &mut key), tag).map_err(|_| Unopened::Wrong)?;
        Ok(key)
    }
}

/// What the wrapped key is bound to.
fn context(cost: Cost) -> Vec<u8> {
    format!("dsma-local seal.key argon2id {} {} {}", cost.memory_kib, cost.passes, cost.lanes).into_bytes()
}

/// `None` for a cost or a salt that Argon2 does not take.
fn derive(passphrase: &str, salt: &[u8], cost: Cost) -> Option<Zeroizing<[u8; KEY_LEN]>> {
    let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(KEY_LEN)).ok()?;
    let mut key = Zeroizing::new([0; KEY_LEN]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params).hash_password_into(passphrase.as_bytes(), salt, &mut *key).ok()?;
    Some(key)
}

fn damaged(state: &StateDir, problem: &'static str) -> Error {
    Error::Damaged { path: state.path(FILE), problem }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrapped_key_opens_with_its_passphrase_and_unchanged_only() {
        let wrapped = Wrapped::close(&[7; KEY_LEN], "correct horse").unwrap();
        assert_eq!(**wrapped.open("correct horse").ok().unwrap(), [7; KEY_LEN]);
        assert!(matches!(wrapped.open("correct horse "), Err(Unopened::Wrong)));
        let text = serde_json::to_string(&wrapped).unwrap();
        let changed = |from: &str, to: &str| serde_json::from_str::<Wrapped>(&text.replace(from, to)).unwrap().open("correct horse");
        assert!(matches!(changed("\"passes\":3", "\"passes\":2"), Err(Unopened::Wrong)), "the cost is bound");
        for (from, to) in
            [("argon2id", "scrypt"), ("65536", "99999999"), ("\"passes\":3", "\"passes\":0"), ("\"lanes\":4", "\"lanes\":4000000000")]
        {
            assert!(matches!(changed(from, to), Err(Unopened::Damaged)), "{to}");
        }
        assert!(serde_json::from_str::<Wrapped>(r#"{"kdf":"argon2id"}"#).is_err());
    }
}
