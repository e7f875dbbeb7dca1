//! The hashes that aws-lc lacks, from RustCrypto's crates.

use blake2::digest::consts::U48;
use blake2::digest::{FixedOutputReset, Update};
use blake2::{Blake2b, Blake2b512, Blake2s256};
use streebog::{Streebog256, Streebog512};

use crate::digest::Hash;

/// A running hash. The message's last bytes stay in memory until it is overwritten: none of these hashes a secret here.
#[derive(Clone)]
pub(crate) enum RareHash {
    Blake2b384(Blake2b<U48>),
    Blake2b512(Blake2b512),
    Blake2s256(Blake2s256),
    Streebog256(Streebog256),
    Streebog512(Streebog512),
}

/// The same expression for each kind of state.
macro_rules! each {
    ($state:expr, $hasher:ident => $do:expr) => {
        match $state {
            RareHash::Blake2b384($hasher) => $do,
            RareHash::Blake2b512($hasher) => $do,
            RareHash::Blake2s256($hasher) => $do,
            RareHash::Streebog256($hasher) => $do,
            RareHash::Streebog512($hasher) => $do,
        }
    };
}

impl RareHash {
    /// An empty message; `None` for a hash of the library's.
    pub(crate) fn new(hash: Hash) -> Option<Self> {
        Some(match hash {
            Hash::Blake2b384 => Self::Blake2b384(Blake2b::default()),
            Hash::Blake2b512 => Self::Blake2b512(Blake2b::default()),
            Hash::Blake2s256 => Self::Blake2s256(Blake2s256::default()),
            Hash::Streebog256 => Self::Streebog256(Streebog256::default()),
            Hash::Streebog512 => Self::Streebog512(Streebog512::default()),
            _ => return None,
        })
    }

    pub(crate) fn update(&mut self, data: &[u8]) {
        each!(self, hasher => Update::update(hasher, data));
    }

    /// Writes the digest to the start of `out`.
    pub(crate) fn finish(&mut self, out: &mut [u8; 64]) {
        each!(self, hasher => {
            let digest = hasher.finalize_fixed_reset();
            out[..digest.len()].copy_from_slice(&digest);
        });
    }
}
