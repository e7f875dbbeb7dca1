//! Encryption and decryption in parts whose state can be written down in between, and taken up by another process.
//!
//! [`CipherStream`](crate::CipherStream) is the faster one where the parts stay in one process: aws-lc's contexts cannot be written
//! down. Here every part is a call of its own on whole blocks, chained by hand as NIST SP 800-38A and 800-38D define it.

use ghash::GHash;
use ghash::universal_hash::UniversalHash;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::{Buffers, CipherParams, Error, Key};

const BLOCK: usize = 16;
/// NIST SP 800-38D, section 5.2.1.1: longest text under one IV, in bytes.
const GCM_LIMIT: u64 = (1 << 36) - 32;

/// How far a message in CBC, CTR or GCM has come. It holds no key, but the text of an unfinished block: keep it as secret as the text.
///
/// Each call takes the same [`Key`]; with another one the result is garbage.
pub struct CipherParts {
    mode: Mode,
    encrypt: bool,
    /// CBC: the last block of ciphertext, in triple DES with zeros behind. CTR and GCM: the next counter block.
    chain: [u8; BLOCK],
    /// CBC: input that waits for its block to fill. GCM: the ciphertext of the last, unfinished block. CTR: nothing.
    held: Zeroizing<Vec<u8>>,
    /// Bytes of text so far.
    text_len: u64,
    authentication: Authentication,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    CbcPadded,
    Cbc,
    Ctr,
    Gcm,
    Des3CbcPadded,
    Des3Cbc,
}

impl Mode {
    const fn block_len(self) -> usize {
        if matches!(self, Self::Des3CbcPadded | Self::Des3Cbc) { 8 } else { BLOCK }
    }

    const fn is_padded(self) -> bool {
        matches!(self, Self::CbcPadded | Self::Des3CbcPadded)
    }

    /// CBC that goes on from `chain`.
    fn cbc(self, chain: &[u8; BLOCK], padding: bool) -> CipherParams<'_> {
        let iv = &chain[..self.block_len()];
        if self.block_len() == BLOCK { CipherParams::AesCbc { iv, padding } } else { CipherParams::Des3Cbc { iv, padding } }
    }
}

/// What GCM needs for the tag; all zero in other modes.
#[derive(Clone, Default)]
struct Authentication {
    /// GHASH of what is complete.
    hash: [u8; BLOCK],
    /// The block that the hash is encrypted with: E(J0).
    mask: [u8; BLOCK],
    aad_len: u64,
}

impl CipherParts {
    /// Begins a message. The parameters are those of the whole message.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for other keys than AES in CBC, CTR and GCM and triple DES in CBC; [`Error::IvLength`].
    pub fn start(key: &Key, params: &CipherParams<'_>, encrypt: bool) -> Result<Self, Error> {
        let (mode, iv) = match (key, *params) {
            (Key::Aes(_), CipherParams::AesCbc { iv, padding: true }) => (Mode::CbcPadded, iv),
            (Key::Aes(_), CipherParams::AesCbc { iv, padding: false }) => (Mode::Cbc, iv),
            (Key::Aes(_), CipherParams::AesCtr { iv }) => (Mode::Ctr, iv),
            (Key::Aes(_), CipherParams::AesGcm { iv, aad }) => return Self::start_gcm(key, iv, aad, encrypt),
            (Key::Des3(_), CipherParams::Des3Cbc { iv, padding: true }) => (Mode::Des3CbcPadded, iv),
            (Key::Des3(_), CipherParams::Des3Cbc { iv, padding: false }) => (Mode::Des3Cbc, iv),
            _ => return Err(Error::Unsupported),
        };
        if iv.len() != mode.block_len() {
            return Err(Error::IvLength);
        }
        let mut chain = [0; BLOCK];
        chain[..iv.len()].copy_from_slice(iv);
        Ok(Self { mode, encrypt, chain, held: Zeroizing::default(), text_len: 0, authentication: Authentication::default() })
    }

    /// Processes a part and returns what is ready of the result. In GCM a decryption gives out text before the tag was seen.
    pub fn update(&mut self, key: &Key, part: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
        self.text_len = self.text_len.checked_add(part.len() as u64).ok_or(Error::TooLong)?;
        match self.mode {
            Mode::CbcPadded | Mode::Cbc | Mode::Des3CbcPadded | Mode::Des3Cbc => self.update_cbc(key, part),
            Mode::Ctr => self.apply_keystream(key, part, u128::MAX),
            Mode::Gcm => {
                if self.text_len > GCM_LIMIT {
                    return Err(Error::TooLong);
                }
                let output = self.apply_keystream(key, part, u128::from(u32::MAX))?;
                let cipher = if self.encrypt { output.as_slice() } else { part };
                self.absorb(key, cipher)?;
                Ok(output)
            }
        }
    }

    /// Ends an encryption: returns the rest and, in GCM, fills the tag (4 to 16 bytes; empty elsewhere).
    pub fn finish_encrypt(self, key: &Key, tag: &mut [u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
        self.check_finish(true, tag.len())?;
        match self.mode {
            Mode::Gcm => tag.copy_from_slice(&self.tag(key)?[..tag.len()]),
            Mode::CbcPadded | Mode::Des3CbcPadded => {
                let params = self.mode.cbc(&self.chain, true);
                let mut last = Zeroizing::new(vec![0; self.mode.block_len()]);
                let len = key.encrypt(&params, Buffers::new(&self.held, &mut last), &mut [])?;
                last.truncate(len);
                return Ok(last);
            }
            Mode::Cbc | Mode::Des3Cbc if !self.held.is_empty() => return Err(Error::InputLength),
            Mode::Cbc | Mode::Des3Cbc | Mode::Ctr => {}
        }
        Ok(Zeroizing::default())
    }

    /// Ends a decryption: checks the tag or the padding, and returns the rest.
    pub fn finish_decrypt(self, key: &Key, tag: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
        self.check_finish(false, tag.len())?;
        match self.mode {
            Mode::Gcm if !bool::from(self.tag(key)?[..tag.len()].ct_eq(tag)) => return Err(Error::Authentication),
            Mode::CbcPadded | Mode::Des3CbcPadded => {
                let params = self.mode.cbc(&self.chain, true);
                let mut last = Zeroizing::new(vec![0; self.mode.block_len()]);
                let len = key.decrypt(&params, Buffers::new(&self.held, &mut last), &[])?;
                last.truncate(len);
                return Ok(last);
            }
            Mode::Cbc | Mode::Des3Cbc if !self.held.is_empty() => return Err(Error::InputLength),
            Mode::Gcm | Mode::Cbc | Mode::Des3Cbc | Mode::Ctr => {}
        }
        Ok(Zeroizing::default())
    }

    /// The state as bytes, at most 100 of them: what [`from_bytes`](Self::from_bytes) takes. They need sealing before they go anywhere.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let Authentication { hash, mask, aad_len } = &self.authentication;
        let mode = self.mode as u8 | u8::from(self.encrypt) << 7;
        let numbers = [self.text_len.to_be_bytes(), aad_len.to_be_bytes()];
        Zeroizing::new([&[mode], self.chain.as_slice(), hash, mask, numbers.as_flattened(), &self.held].concat())
    }

    /// A state that [`to_bytes`](Self::to_bytes) wrote.
    ///
    /// # Errors
    /// [`Error::Malformed`] for other bytes, as far as they can be told from a state.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let (first, rest) = bytes.split_first().ok_or(Error::Malformed)?;
        let (blocks, rest) = rest.split_at_checked(3 * BLOCK).ok_or(Error::Malformed)?;
        let (numbers, held) = rest.split_at_checked(16).ok_or(Error::Malformed)?;
        let mode = match first & 0x7f {
            0 => Mode::CbcPadded,
            1 => Mode::Cbc,
            2 => Mode::Ctr,
            3 => Mode::Gcm,
            4 => Mode::Des3CbcPadded,
            5 => Mode::Des3Cbc,
            _ => return Err(Error::Malformed),
        };
        let ([chain, hash, mask], [text_len, aad_len]) = (blocks.as_chunks().0, numbers.as_chunks().0) else {
            return Err(Error::Malformed);
        };
        if held.len() > mode.block_len() {
            return Err(Error::Malformed);
        }
        Ok(Self {
            mode,
            encrypt: first & 0x80 != 0,
            chain: *chain,
            held: Zeroizing::new(held.to_vec()),
            text_len: u64::from_be_bytes(*text_len),
            authentication: Authentication { hash: *hash, mask: *mask, aad_len: u64::from_be_bytes(*aad_len) },
        })
    }

    /// Whether it has a tag at its end.
    #[must_use]
    pub fn is_authenticated(&self) -> bool {
        self.mode == Mode::Gcm
    }

    fn start_gcm(key: &Key, iv: &[u8], aad: &[u8], encrypt: bool) -> Result<Self, Error> {
        if iv.is_empty() {
            return Err(Error::IvLength);
        }
        let mut j0 = [0; BLOCK];
        if iv.len() == 12 {
            j0[..12].copy_from_slice(iv);
            j0[15] = 1;
        } else {
            j0 = hash_blocks(key, j0, iv)?;
            j0 = hash_blocks(key, j0, &lengths(0, iv.len() as u64))?;
        }
        let authentication =
            Authentication { hash: hash_blocks(key, [0; BLOCK], aad)?, mask: encrypt_block(key, j0)?, aad_len: aad.len() as u64 };
        let mut parts = Self { mode: Mode::Gcm, encrypt, chain: j0, held: Zeroizing::default(), text_len: 0, authentication };
        parts.count(1, u128::from(u32::MAX));
        Ok(parts)
    }

    fn update_cbc(&mut self, key: &Key, part: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
        let input = Zeroizing::new([self.held.as_slice(), part].concat());
        // The last whole block of a padded decryption may be the last of all: it waits for the end.
        let (block, keep_one) = (self.mode.block_len(), usize::from(self.mode.is_padded() && !self.encrypt));
        let ready = input.len().saturating_sub(keep_one) / block * block;
        let (ready, held) = input.split_at(ready);
        let mut output = Zeroizing::new(vec![0; ready.len()]);
        let params = self.mode.cbc(&self.chain, false);
        if self.encrypt {
            key.encrypt(&params, Buffers::new(ready, &mut output), &mut [])?;
        } else {
            key.decrypt(&params, Buffers::new(ready, &mut output), &[])?;
        }
        let cipher = if self.encrypt { output.as_slice() } else { ready };
        if let Some(last) = cipher.rchunks_exact(block).next() {
            self.chain[..block].copy_from_slice(last);
        }
        self.held = Zeroizing::new(held.to_vec());
        Ok(output)
    }

    /// Combines a part with the keystream. `text_len` counts the part already; `wrap` is the mask of the counter's bits.
    fn apply_keystream(&mut self, key: &Key, mut part: &[u8], wrap: u128) -> Result<Zeroizing<Vec<u8>>, Error> {
        let mut output = Zeroizing::new(Vec::with_capacity(part.len()));
        let mut offset = ((self.text_len - part.len() as u64) % BLOCK as u64) as usize;
        while !part.is_empty() {
            // aws-lc counts with all 128 bits, GCM with 32 of them: no run may go over that edge.
            let left = wrap - (u128::from_be_bytes(self.chain) & wrap);
            let run = usize::try_from(left).unwrap_or(usize::MAX).saturating_add(1).saturating_mul(BLOCK).saturating_sub(offset);
            let (now, later) = part.split_at(run.min(part.len()));
            let mut text = Zeroizing::new(vec![0; offset + now.len()]);
            text[offset..].copy_from_slice(now);
            key.encrypt(&CipherParams::AesCtr { iv: &self.chain }, Buffers::in_place(&mut text), &mut [])?;
            output.extend_from_slice(&text[offset..]);
            self.count((text.len() / BLOCK) as u128, wrap);
            offset = text.len() % BLOCK;
            part = later;
        }
        Ok(output)
    }

    fn count(&mut self, blocks: u128, wrap: u128) {
        let counter = u128::from_be_bytes(self.chain);
        self.chain = (counter & !wrap | counter.wrapping_add(blocks) & wrap).to_be_bytes();
    }

    fn absorb(&mut self, key: &Key, cipher: &[u8]) -> Result<(), Error> {
        let input = [self.held.as_slice(), cipher].concat();
        let (whole, held) = input.split_at(input.len() / BLOCK * BLOCK);
        self.authentication.hash = hash_blocks(key, self.authentication.hash, whole)?;
        self.held = Zeroizing::new(held.to_vec());
        Ok(())
    }

    fn tag(&self, key: &Key) -> Result<[u8; BLOCK], Error> {
        let Authentication { hash, mask, aad_len } = &self.authentication;
        let hash = hash_blocks(key, *hash, &self.held)?;
        let hash = hash_blocks(key, hash, &lengths(*aad_len, self.text_len))?;
        Ok(xor(hash, *mask))
    }

    fn check_finish(&self, encrypt: bool, tag_len: usize) -> Result<(), Error> {
        if self.encrypt != encrypt {
            return Err(Error::Unsupported);
        }
        let good = if self.mode == Mode::Gcm { (4..=BLOCK).contains(&tag_len) } else { tag_len == 0 };
        if good { Ok(()) } else { Err(Error::TagLength) }
    }
}

/// Goes on with GHASH from `hash`, over data that zeros fill up to whole blocks. Taking the hash so far into the first block is the
/// same as having hashed all before.
fn hash_blocks(key: &Key, hash: [u8; BLOCK], data: &[u8]) -> Result<[u8; BLOCK], Error> {
    let (whole, rest) = data.as_chunks();
    let mut blocks: Vec<[u8; BLOCK]> = whole.to_vec();
    if !rest.is_empty() {
        let mut last = [0; BLOCK];
        last[..rest.len()].copy_from_slice(rest);
        blocks.push(last);
    }
    let Some(first) = blocks.first_mut() else { return Ok(hash) };
    *first = xor(*first, hash);
    let subkey = Zeroizing::new(encrypt_block(key, [0; BLOCK])?);
    let mut ghash = GHash::new(&(*subkey).into());
    for block in blocks {
        ghash.update(&[block.into()]);
    }
    Ok(ghash.finalize().into())
}

fn encrypt_block(key: &Key, block: [u8; BLOCK]) -> Result<[u8; BLOCK], Error> {
    let mut output = [0; BLOCK];
    key.encrypt(&CipherParams::AesEcb, Buffers::new(&block, &mut output), &mut [])?;
    Ok(output)
}

/// Two lengths in bytes as GHASH takes them: in bits, 64 of them each.
fn lengths(first: u64, second: u64) -> [u8; BLOCK] {
    (u128::from(first) << 67 | u128::from(second) << 3).to_be_bytes()
}

fn xor(mut a: [u8; BLOCK], b: [u8; BLOCK]) -> [u8; BLOCK] {
    a.iter_mut().zip(b).for_each(|(a, b)| *a ^= b);
    a
}

#[cfg(test)]
mod tests;
