//! Keys from secrets: HKDF (RFC 5869), PBKDF2 (RFC 8018, 5.2), the KDF of ANSI X9.63, that of NIST SP 800-56C in one step, and those of
//! NIST SP 800-108.

use zeroize::Zeroizing;

use crate::digest::{Hash, Hasher};
use crate::{Error, Key, Mac, MacScheme, aws_lc};

/// Fills `out` with HKDF's output: extract with `salt` (an empty one is as good as zeros), then expand with `info`.
///
/// # Errors
/// [`Error::TooLong`] where more than 255 times the hash's length is asked for, [`Error::Unsupported`] for a hash without HMAC.
pub fn hkdf(hash: Hash, secret: &[u8], salt: &[u8], info: &[u8], out: &mut [u8]) -> Result<(), Error> {
    if out.len() > 255 * hash.len() {
        return Err(Error::TooLong);
    }
    aws_lc::hkdf(hash, secret, salt, info, out)
}

/// HKDF's first step alone: the pseudo-random key, as long as the hash.
///
/// # Errors
/// [`Error::Unsupported`] for a hash without HMAC.
pub fn hkdf_extract(hash: Hash, secret: &[u8], salt: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
    aws_lc::hkdf_extract(hash, secret, salt)
}

/// HKDF's second step alone: fills `out` from a pseudo-random key.
///
/// # Errors
/// As [`hkdf`].
pub fn hkdf_expand(hash: Hash, key: &[u8], info: &[u8], out: &mut [u8]) -> Result<(), Error> {
    if out.len() > 255 * hash.len() {
        return Err(Error::TooLong);
    }
    aws_lc::hkdf_expand(hash, key, info, out)
}

/// Fills `out` with the KDF of ANSI X9.63 (SEC 1, 3.6.1): digests of the secret, a counter of 32 bits from 1 on, and the shared
/// information.
///
/// # Errors
/// [`Error::TooLong`] where the counter would run over.
pub fn x9_63(hash: Hash, secret: &[u8], shared_info: &[u8], out: &mut [u8]) -> Result<(), Error> {
    let blocks = u32::try_from(out.len().div_ceil(hash.len())).map_err(|_| Error::TooLong)?;
    for (counter, block) in (1..=blocks).zip(out.chunks_mut(hash.len())) {
        let mut hasher = Hasher::new(hash);
        hasher.update(secret);
        hasher.update(&counter.to_be_bytes());
        hasher.update(shared_info);
        block.copy_from_slice(&hasher.finish().as_ref()[..block.len()]);
    }
    Ok(())
}

/// Fills `out` with the one-step KDF of NIST SP 800-56C, 4.1, over a hash (the concatenation KDF of SP 800-56A, 5.8.1): digests of a counter
/// of 32 bits from 1 on, the secret, and the other information.
///
/// # Errors
/// [`Error::Unsupported`] for a hash that aws-lc does not have, for no output, and for more than a GiB of anything.
pub fn single_step(hash: Hash, secret: &[u8], other_info: &[u8], out: &mut [u8]) -> Result<(), Error> {
    aws_lc::single_step(hash, secret, other_info, out)
}

/// The three functions of NIST SP 800-108r1.
#[derive(Clone, Copy, Debug)]
pub enum Mode<'a> {
    /// 4.1: the rounds differ by a counter, a field like any other.
    Counter,
    /// 4.2: [`Field::Iteration`] is what the function gave in the round before.
    Feedback {
        /// What it is in the first round.
        initial: &'a [u8],
    },
    /// 4.3: [`Field::Iteration`] comes from a pipeline of its own, which begins with all [`Field::Fixed`] and [`Field::Length`].
    DoublePipeline,
}

/// A part of what the pseudo-random function of SP 800-108 is fed with in each round.
#[derive(Clone, Copy, Debug)]
pub enum Field<'a> {
    /// The number of the round, from 1 on, in so many bytes (1 to 8).
    Counter {
        /// Bytes.
        width: usize,
        /// The lowest byte first.
        little_endian: bool,
    },
    /// What the mode hands from round to round; nothing in counter mode.
    Iteration,
    /// The number of bits that are derived, in so many bytes (1 to 8).
    Length {
        /// Bytes.
        width: usize,
        /// The lowest byte first.
        little_endian: bool,
    },
    /// Label, zero byte, context: whatever is the same in all rounds.
    Fixed(&'a [u8]),
}

/// Fills `out` with a KDF of NIST SP 800-108r1. `key` is one for `prf`: HMAC or CMAC. `derived_bits` is what [`Field::Length`] says.
///
/// # Errors
/// [`Error::TooLong`] where a counter would run over or a number does not fit its field, [`Error::Unsupported`] where the key does not fit
/// the function, or a field is wider than eight bytes.
pub fn sp800_108(key: &Key, prf: &MacScheme, mode: Mode<'_>, fields: &[Field<'_>], derived_bits: u64, out: &mut [u8]) -> Result<(), Error> {
    // Sections 4.2 and 4.3 call the first K(i-1), the second A(i).
    let (mut previous, mut pipeline): (Option<Mac>, Option<Mac>) = (None, None);
    let (mut round, mut done) = (0_u64, 0);
    while done < out.len() {
        round += 1;
        if matches!(mode, Mode::DoublePipeline) {
            pipeline = Some(match pipeline {
                Some(before) => key.mac(prf, before.as_ref())?,
                None => key.mac(prf, &unvaried(fields, derived_bits)?)?,
            });
        }
        let iteration = match mode {
            Mode::Counter => &[],
            Mode::Feedback { initial } => previous.as_ref().map_or(initial, AsRef::as_ref),
            Mode::DoublePipeline => pipeline.as_ref().map_or(&[][..], AsRef::as_ref),
        };
        let mut stream = key.start_mac(prf)?;
        for field in fields {
            match *field {
                Field::Counter { width, little_endian } => stream.update(&number(round, width, little_endian)?)?,
                Field::Length { width, little_endian } => stream.update(&number(derived_bits, width, little_endian)?)?,
                Field::Iteration => stream.update(iteration)?,
                Field::Fixed(bytes) => stream.update(bytes)?,
            }
        }
        let block = stream.finish()?;
        let take = block.as_ref().len().min(out.len() - done);
        out[done..done + take].copy_from_slice(&block.as_ref()[..take]);
        done += take;
        previous = Some(block);
    }
    Ok(())
}

/// What is the same in all rounds.
fn unvaried(fields: &[Field<'_>], derived_bits: u64) -> Result<Zeroizing<Vec<u8>>, Error> {
    let mut all = Zeroizing::new(Vec::new());
    for field in fields {
        match *field {
            Field::Length { width, little_endian } => all.extend_from_slice(&number(derived_bits, width, little_endian)?),
            Field::Fixed(bytes) => all.extend_from_slice(bytes),
            Field::Counter { .. } | Field::Iteration => {}
        }
    }
    Ok(all)
}

fn number(value: u64, width: usize, little_endian: bool) -> Result<Vec<u8>, Error> {
    if !(1..=8).contains(&width) {
        return Err(Error::Unsupported);
    }
    if width < 8 && value >> (8 * width) != 0 {
        return Err(Error::TooLong);
    }
    let mut bytes = value.to_be_bytes()[8 - width..].to_vec();
    if little_endian {
        bytes.reverse();
    }
    Ok(bytes)
}

/// Fills `out` from a password with PBKDF2 over HMAC.
///
/// # Errors
/// [`Error::Unsupported`] for no iterations, and for a hash without HMAC.
pub fn pbkdf2(hash: Hash, password: &[u8], salt: &[u8], iterations: u32, out: &mut [u8]) -> Result<(), Error> {
    if iterations == 0 {
        return Err(Error::Unsupported);
    }
    aws_lc::pbkdf2(hash, password, salt, iterations, out)
}
