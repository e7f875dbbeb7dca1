//! IVs that the token makes: never the same twice under one key, in this process or another.
//!
//! A counter that begins at 0 would repeat itself in the next process that uses the key. So the counter is one for the whole process, and
//! begins at a random number, which is drawn anew after a fork.

use std::sync::Mutex;

use cryptoki_sys::CK_ULONG;
use dsma_core::gate;
use dsma_crypto::random;

use super::sync::lock;
use super::{Error, Result};

/// Fewer free bits than this repeat themselves too soon.
const FEWEST_BITS: usize = 32;
/// Random bits collide sooner than counted ones: NIST SP 800-38D, 8.2.2, asks for as many.
const FEWEST_RANDOM_BITS: usize = 96;

/// How an IV is made.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    /// The free bits are random.
    Random,
    /// The free bits are a counter.
    Counter,
    /// The free bits, as the caller gave them, combined with a counter.
    CounterXor,
}

/// Fills the bits of `iv` after the first `fixed_bits`.
///
/// # Errors
/// [`Error::MechanismParamInvalid`] where too few bits are free.
pub(super) fn make(iv: &mut [u8], fixed_bits: CK_ULONG, wish: Wish) -> Result {
    let fixed = usize::try_from(fixed_bits).ok().filter(|fixed| *fixed <= 8 * iv.len()).ok_or(Error::MechanismParamInvalid)?;
    let free = 8 * iv.len() - fixed;
    let fewest = if wish == Wish::Random { FEWEST_RANDOM_BITS.min(8 * iv.len()).max(FEWEST_BITS) } else { FEWEST_BITS };
    if free < fewest {
        return Err(Error::MechanismParamInvalid);
    }
    let mut made = vec![0; iv.len()];
    if wish == Wish::Random {
        random::fill(&mut made).map_err(|_| Error::FunctionFailed)?;
    } else {
        let count = count()?.to_be_bytes();
        let len = made.len().min(count.len());
        let start = made.len() - len;
        made[start..].copy_from_slice(&count[count.len() - len..]);
    }
    for (index, (byte, made)) in iv.iter_mut().zip(made).enumerate() {
        // The bits of this byte that are free.
        let mask = match fixed.saturating_sub(8 * index) {
            0 => 0xff,
            bits @ 1..=7 => 0xff >> bits,
            _ => 0,
        };
        *byte = if wish == Wish::CounterXor { *byte ^ (made & mask) } else { (*byte & !mask) | (made & mask) };
    }
    Ok(())
}

/// The next number of this process.
fn count() -> Result<u128> {
    static NEXT: Mutex<Option<(u64, u128)>> = Mutex::new(None);
    let mut next = lock(&NEXT);
    let generation = gate::generation();
    let count = match *next {
        Some((of, count)) if of == generation => count,
        _ => {
            let mut start = [0; 16];
            random::fill(&mut start).map_err(|_| Error::FunctionFailed)?;
            u128::from_be_bytes(start)
        }
    };
    *next = Some((generation, count.wrapping_add(1)));
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fixed_bits_stay_and_the_others_are_counted() {
        let (mut first, mut second) = ([0xab; 12], [0xab; 12]);
        make(&mut first, 36, Wish::Counter).unwrap();
        make(&mut second, 36, Wish::Counter).unwrap();
        for iv in [first, second] {
            assert_eq!((&iv[..4], iv[4] >> 4), (&[0xab; 4][..], 0xa));
        }
        let last = |iv: [u8; 12]| u64::from_be_bytes(iv[4..].try_into().unwrap()) & (u64::MAX >> 4);
        assert_eq!(last(second), (last(first) + 1) & (u64::MAX >> 4));
        let mut mixed = [0; 12];
        make(&mut mixed, 0, Wish::CounterXor).unwrap();
        assert_ne!(mixed, [0; 12]);
    }

    #[test]
    fn too_few_free_bits_are_refused() {
        assert_eq!(make(&mut [0; 12], 65, Wish::Counter), Err(Error::MechanismParamInvalid));
        assert_eq!(make(&mut [0; 12], 97, Wish::Counter), Err(Error::MechanismParamInvalid));
        assert_eq!(make(&mut [0; 12], 1, Wish::Random), Err(Error::MechanismParamInvalid));
        assert_eq!(make(&mut [0; 3], 0, Wish::Counter), Err(Error::MechanismParamInvalid));
        make(&mut [0; 12], 0, Wish::Random).unwrap();
        make(&mut [0; 12], 64, Wish::Counter).unwrap();
    }
}
