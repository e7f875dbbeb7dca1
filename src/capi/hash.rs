//! `dsma_hash`: the hash functions by number.
#![expect(non_camel_case_types, reason = "the header's names")]

use dsma_crypto::digest::Hash;

use super::error::Failure;

/// Hash functions. 0 stands for "not given".
#[derive(Clone, Copy)]
#[repr(u32)]
pub(crate) enum dsma_hash {
    /// SHA-1, for old data and as OAEP's default elsewhere; not for new signatures.
    DSMA_SHA1 = 1,
    /// SHA-224.
    DSMA_SHA224 = 2,
    /// SHA-256.
    DSMA_SHA256 = 3,
    /// SHA-384.
    DSMA_SHA384 = 4,
    /// SHA-512.
    DSMA_SHA512 = 5,
}

impl dsma_hash {
    /// The hash of this number, `None` for 0. `name` is the field that holds it.
    pub(super) fn read(number: u32, name: &'static str) -> Result<Option<Hash>, Failure> {
        use dsma_hash::*;
        let known = [DSMA_SHA1, DSMA_SHA224, DSMA_SHA256, DSMA_SHA384, DSMA_SHA512].into_iter().find(|hash| *hash as u32 == number);
        if known.is_none() && number != 0 {
            return Err(Failure::Argument { name, problem: "is no dsma_hash; give one of DSMA_SHA1 to DSMA_SHA512" });
        }
        Ok(known.map(|hash| match hash {
            DSMA_SHA1 => Hash::Sha1,
            DSMA_SHA224 => Hash::Sha224,
            DSMA_SHA256 => Hash::Sha256,
            DSMA_SHA384 => Hash::Sha384,
            DSMA_SHA512 => Hash::Sha512,
        }))
    }

    /// The same where a hash must be given.
    pub(super) fn required(number: u32, name: &'static str) -> Result<Hash, Failure> {
        Self::read(number, name)?.ok_or(Failure::Argument { name, problem: "is not given; give one of DSMA_SHA1 to DSMA_SHA512" })
    }
}
