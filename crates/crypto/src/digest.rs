//! SHA-1 and SHA-2 (FIPS 180-4) without allocation; SHA-3 (FIPS 202), BLAKE2, Streebog and old ones. In one call or in parts.

use zeroize::Zeroizing;

use crate::aws_lc::HashState;
use crate::rare_hash::RareHash;

/// The length of the longest digest here.
const MAX_LEN: usize = 64;

/// A hash function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Hash {
    /// SHA-1, for what exists; do not choose it for anything new.
    Sha1,
    /// SHA-224.
    Sha224,
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
    /// SHA3-224.
    Sha3_224,
    /// SHA3-256.
    Sha3_256,
    /// SHA3-384.
    Sha3_384,
    /// SHA3-512.
    Sha3_512,
    /// BLAKE2b with 256 bits (RFC 7693). No HMAC and no PKCS #1 signature is defined on it here.
    Blake2b256,
    /// BLAKE2b with 384 bits. This and the other hashes that aws-lc lacks stand alone or under ECDSA: no HMAC, no RSA signature.
    Blake2b384,
    /// BLAKE2b with 512 bits (RFC 7693).
    Blake2b512,
    /// BLAKE2s with 256 bits (RFC 7693).
    Blake2s256,
    /// RIPEMD-160, for what exists. No HMAC and no PKCS #1 signature is defined on it here.
    Ripemd160,
    /// MD5 and SHA-1 side by side, as SSL 3.0 and TLS up to 1.1 sign it; a PKCS #1 signature holds it without a DigestInfo.
    Md5Sha1,
    /// Streebog with 256 bits (GOST R 34.11-2012, RFC 6986).
    Streebog256,
    /// Streebog with 512 bits.
    Streebog512,
}

impl Hash {
    /// Length of the digest in bytes.
    #[allow(clippy::len_without_is_empty, reason = "a hash function is never empty")]
    pub fn len(self) -> usize {
        match self {
            Self::Sha1 | Self::Ripemd160 => 20,
            Self::Sha224 | Self::Sha3_224 => 28,
            Self::Sha256 | Self::Sha3_256 | Self::Blake2b256 | Self::Blake2s256 | Self::Streebog256 => 32,
            Self::Md5Sha1 => 36,
            Self::Sha384 | Self::Sha3_384 | Self::Blake2b384 => 48,
            Self::Sha512 | Self::Sha3_512 | Self::Blake2b512 | Self::Streebog512 => MAX_LEN,
        }
    }

    /// The digest of `data`.
    pub fn digest(self, data: &[u8]) -> Digest {
        let mut hasher = Hasher::new(self);
        hasher.update(data);
        hasher.finish()
    }
}

/// A digest, on the stack. Reads as a slice of the hash's length.
#[derive(Clone, Copy)]
pub struct Digest {
    bytes: [u8; MAX_LEN],
    len: usize,
}

impl AsRef<[u8]> for Digest {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// A hash in parts. A clone goes on from the same state; dropping overwrites it.
#[derive(Clone)]
pub struct Hasher {
    hash: Hash,
    state: State,
}

#[derive(Clone)]
enum State {
    Library(HashState),
    Rare(RareHash),
}

impl Hasher {
    /// An empty message.
    pub fn new(hash: Hash) -> Self {
        Self { hash, state: RareHash::new(hash).map_or_else(|| State::Library(HashState::new(hash)), State::Rare) }
    }

    /// Appends to the message.
    pub fn update(&mut self, data: &[u8]) {
        match &mut self.state {
            State::Library(state) => state.update(data),
            State::Rare(state) => state.update(data),
        }
    }

    /// The state written down, for [`Hasher::restore`] in a program of the same build; SHA-1 and SHA-2 alone. It holds the last bytes of
    /// the message.
    #[must_use]
    pub fn save(&self) -> Option<Zeroizing<Vec<u8>>> {
        match &self.state {
            State::Library(state) => state.save(),
            _ => None,
        }
    }

    /// Goes on from a state; `None` where it is none of this hash.
    #[must_use]
    pub fn restore(hash: Hash, state: &[u8]) -> Option<Self> {
        HashState::restore(hash, state).map(|state| Self { hash, state: State::Library(state) })
    }

    /// The digest of all that was appended.
    pub fn finish(mut self) -> Digest {
        let mut bytes = [0; MAX_LEN];
        match &mut self.state {
            State::Library(state) => state.finish(&mut bytes),
            State::Rare(state) => state.finish(&mut bytes),
        }
        Digest { bytes, len: self.hash.len() }
    }
}
