//! Encryption and decryption in parts with a key that stays in DSM: for more data than one request takes.
//!
//! Between the requests DSM's state lies here, opaque, and goes back as it came. A part whose answer was lost is not sent again: whether
//! DSM went on is not known, and a state that was used twice is no message any more.

use std::fmt;

use dsma_api::{
    Blob, DecryptFinalRequest, DecryptInitRequest, DecryptUpdateRequest, EncryptFinalRequest, EncryptInitRequest, EncryptUpdateRequest,
    Operation, SecretBlob, SobjectDescriptor,
};
use dsma_crypto::CipherParams;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::Accelerator;
use super::forward::Cipher;
use crate::wiped::WipedBuffer;
use crate::{Error, KeyRef};

/// Most data of one request, in bytes: half of what DSM's documents send to another interface.
const PIECE: usize = 256 << 10;
/// More than DSM may put out beyond what it was given, over a whole message: a block of padding.
const SLACK: usize = 16;

/// Whether DSM has this in parts: CBC, CTR and GCM.
#[must_use]
pub const fn dsm_takes_parts(params: &CipherParams<'_>) -> bool {
    matches!(params, CipherParams::AesGcm { .. } | CipherParams::AesCbc { .. } | CipherParams::AesCtr { .. } | CipherParams::Des3Cbc { .. })
}

/// A message that DSM encrypts or decrypts in parts. After an error it cannot go on.
pub struct Parts {
    engine: Accelerator,
    kid: Uuid,
    decrypting: bool,
    /// Bytes of a block where the mode pads.
    padded_to: Option<usize>,
    state: Blob,
    given: usize,
    got: usize,
}

impl Accelerator {
    /// Begins a message in parts. Of GCM the plaintext comes before its tag is checked: who decrypts must keep it back.
    ///
    /// # Errors
    /// As [`Self::encrypt`]; [`Error::Unsupported`] unless [`dsm_takes_parts`].
    pub fn start_parts(&self, key: &KeyRef, params: &CipherParams<'_>, decrypting: bool) -> Result<Parts, Error> {
        if !dsm_takes_parts(params) {
            return Err(Error::Unsupported { what: "this mode in parts, on a key that stays in DSM" });
        }
        let key = self.granted(key, if decrypting { Operation::Decrypt } else { Operation::Encrypt })?;
        let Cipher { alg, mode, iv, ad, .. } = Cipher::new(params)?;
        let (kid, mode, descriptor) = (key.kid(), Some(mode), Some(SobjectDescriptor::Kid(key.kid())));
        let dsm = &self.counted().dsm;
        let state = if decrypting {
            dsm.decrypt_init(&DecryptInitRequest { key: descriptor, alg: Some(alg), mode, iv, ad })?.state
        } else {
            let given = iv.clone();
            let reply = dsm.encrypt_init(&EncryptInitRequest { key: descriptor, alg, mode, iv, ad })?;
            if reply.iv.is_some_and(|used| Some(used.0) != given.map(|iv| iv.0)) {
                return Err(self.0.dsm.bad_reply("crypto/v1/encrypt/init", "`iv` is another than was given"));
            }
            reply.state
        };
        let padded_to = match params {
            CipherParams::AesCbc { padding: true, .. } => Some(16),
            CipherParams::Des3Cbc { padding: true, .. } => Some(8),
            _ => None,
        };
        Ok(Parts { engine: self.clone(), kid, decrypting, padded_to, state, given: 0, got: 0 })
    }
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts").field("kid", &self.kid).field("decrypting", &self.decrypting).finish_non_exhaustive()
    }
}

impl Parts {
    /// Gives DSM the next part, in as many requests as it needs, and returns what came out: that may be less, or more, than went in.
    ///
    /// # Errors
    /// DSM's refusal, [`Error::Unreachable`] also where an answer was lost, or [`Error::BadReply`].
    pub fn update(&mut self, part: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
        let mut made = WipedBuffer::with_room(part.len().saturating_add(SLACK));
        for piece in part.chunks(PIECE) {
            let out = self.update_by(piece)?;
            self.given = self.given.saturating_add(piece.len());
            self.count(out.as_ref())?;
            made.add(out.as_ref());
        }
        Ok(made.into_bytes())
    }

    /// Ends an encryption: the rest of the ciphertext. `tag` is filled in GCM, and empty elsewhere.
    ///
    /// # Errors
    /// As [`Self::update`].
    pub fn finish_encrypt(mut self, tag: &mut [u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
        let tag_len = (!tag.is_empty()).then_some(tag.len() * 8);
        let request = EncryptFinalRequest { key: self.key(), state: std::mem::take(&mut self.state), tag_len };
        let reply = self.engine.0.dsm.encrypt_final(&request)?;
        self.count(&reply.cipher.0)?;
        let whole = self.padded_to.map_or(self.given, |block| (self.given / block + 1) * block);
        if self.got != whole {
            return Err(self.nonsense("final", "`cipher` is not as long as its plaintext makes it"));
        }
        let got = reply.tag.unwrap_or_default().0;
        if got.len() != tag.len() {
            return Err(self.nonsense("final", "`tag` is not as long as was asked for"));
        }
        tag.copy_from_slice(&got);
        Ok(Zeroizing::new(reply.cipher.0))
    }

    /// Ends a decryption: the rest of the plaintext, once the tag, empty but in GCM, is found right.
    ///
    /// # Errors
    /// As [`Self::update`].
    pub fn finish_decrypt(mut self, tag: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
        let tag = (!tag.is_empty()).then(|| Blob::from(tag));
        let request = DecryptFinalRequest { key: self.key(), state: std::mem::take(&mut self.state), tag };
        let SecretBlob(plain) = self.engine.0.dsm.decrypt_final(&request)?.plain;
        self.count(&plain)?;
        let fits = match self.padded_to {
            Some(block) => (1..=block).contains(&(self.given - self.got.min(self.given))),
            None => self.got == self.given,
        };
        if !fits {
            return Err(self.nonsense("final", "`plain` is not as long as its ciphertext makes it"));
        }
        Ok(plain)
    }

    fn update_by(&mut self, piece: &[u8]) -> Result<SecretBlob, Error> {
        let (dsm, key, state) = (&self.engine.0.dsm, self.key(), self.state.clone());
        if self.decrypting {
            let reply = dsm.decrypt_update(&DecryptUpdateRequest { key, cipher: Blob::from(piece), state })?;
            self.state = reply.state;
            Ok(reply.plain)
        } else {
            let plain = SecretBlob(Zeroizing::new(piece.to_vec()));
            let reply = dsm.encrypt_update(&EncryptUpdateRequest { key, plain, state })?;
            self.state = reply.state;
            Ok(SecretBlob(Zeroizing::new(reply.cipher.0)))
        }
    }

    /// Notes what came out, which can never be more than went in and a block of padding.
    fn count(&mut self, out: &[u8]) -> Result<(), Error> {
        self.got = self.got.saturating_add(out.len());
        let most = if self.decrypting { self.given } else { self.given.saturating_add(SLACK) };
        if self.got > most { Err(self.nonsense("update", "more came out than the input makes")) } else { Ok(()) }
    }

    fn nonsense(&self, step: &str, problem: &str) -> Error {
        let direction = if self.decrypting { "decrypt" } else { "encrypt" };
        self.engine.0.dsm.bad_reply(&format!("crypto/v1/{direction}/{step}"), problem)
    }

    fn key(&self) -> Option<SobjectDescriptor> {
        Some(SobjectDescriptor::Kid(self.kid))
    }
}
