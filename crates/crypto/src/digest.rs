//! SHA-1 and SHA-2 (FIPS 180-4) without allocation; SHA-3 (FIPS 202), BLAKE2b and RIPEMD-160. In one call or in parts.

use crate::aws_lc::HashState;

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
    /// RIPEMD-160, for what exists. No HMAC and no PKCS #1 signature is defined on it here.
    Ripemd160,
}

impl Hash {
    /// Length of the digest in bytes.
    #[allow(clippy::len_without_is_empty, reason = "a hash function is never empty")]
    pub fn len(self) -> usize {
        match self {
            Self::Sha1 | Self::Ripemd160 => 20,
            Self::Sha224 | Self::Sha3_224 => 28,
            Self::Sha256 | Self::Sha3_256 | Self::Blake2b256 => 32,
            Self::Sha384 | Self::Sha3_384 => 48,
            Self::Sha512 | Self::Sha3_512 => MAX_LEN,
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
    state: HashState,
}

impl Hasher {
    /// An empty message.
    pub fn new(hash: Hash) -> Self {
        Self { hash, state: HashState::new(hash) }
    }

    /// Appends to the message.
    pub fn update(&mut self, data: &[u8]) {
        self.state.update(data);
    }

    /// The digest of all that was appended.
    pub fn finish(mut self) -> Digest {
        let mut bytes = [0; MAX_LEN];
        self.state.finish(&mut bytes);
        Digest { bytes, len: self.hash.len() }
    }
}
