//! IVs that the token makes.
//!
//! Random ones have 96 free bits, so that no process ever meets another's. Counted ones do not repeat in a process: the counter is one for
//! all keys, and ends where its free bits are used up. It begins at a random number, drawn anew after a fork, so that two processes do not
//! begin alike; where few bits are free they may meet all the same, and the fixed bits have to set them apart (NIST SP 800-38D, 8.2.1).
//!
//! The standard lets a counter begin at zero (section 6.13 of version 3.2), with IVs that differ in a session alone. Here that is not
//! followed on purpose: the next session with the same key, the process after a restart or fork, and the next host would all begin with
//! the same IVs, and an IV that comes twice gives away GCM's authentication key and the difference of two messages. Whoever decrypts
//! is given the IV, and needs no number of its own.

use std::sync::Mutex;

use cryptoki_sys::{
    CK_GENERATOR_FUNCTION, CK_ULONG, CKG_GENERATE, CKG_GENERATE_COUNTER, CKG_GENERATE_COUNTER_XOR, CKG_GENERATE_RANDOM, CKG_NO_GENERATE,
};
use dsma_core::gate;
use dsma_crypto::random;

use super::sync::lock;
use super::{Error, Result};

/// Fewer free bits than this repeat themselves too soon.
const FEWEST_BITS: usize = 32;
/// Random bits collide sooner than counted ones: NIST SP 800-38D, 8.2.2, asks for as many. CCM's shorter nonces are for counting.
const FEWEST_RANDOM_BITS: usize = 96;

/// The longest IV that is made for a wrapping. The example of C_WrapKeyAuthenticated (section 5.18.6 of version 3.2) gives bits where
/// bytes are meant, 96 for a place of 12: who follows it is refused, rather than written over.
pub(super) const LONGEST_MADE: usize = 64;

/// How an IV is made.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    /// As the token sees fit: random where there are bits enough.
    Any,
    /// The free bits are random.
    Random,
    /// The free bits are a counter.
    Counter,
    /// The free bits, as the caller gave them, combined with a counter.
    CounterXor,
}

impl Wish {
    /// The wish behind a `CKG_` number; `None` where the caller makes the IV.
    ///
    /// # Errors
    /// [`Error::MechanismParamInvalid`] for a number that is none.
    pub(super) const fn of(generator: CK_GENERATOR_FUNCTION) -> Result<Option<Self>> {
        Ok(match generator {
            CKG_NO_GENERATE => None,
            CKG_GENERATE => Some(Self::Any),
            CKG_GENERATE_RANDOM => Some(Self::Random),
            CKG_GENERATE_COUNTER => Some(Self::Counter),
            CKG_GENERATE_COUNTER_XOR => Some(Self::CounterXor),
            _ => return Err(Error::MechanismParamInvalid),
        })
    }
}

/// Fills the bits of `iv` after the first `fixed_bits`.
///
/// # Errors
/// [`Error::MechanismParamInvalid`] where too few bits are free; [`Error::KeyExhausted`] where the next counted IV would be the first one
/// again.
pub(super) fn make(iv: &mut [u8], fixed_bits: CK_ULONG, wish: Wish) -> Result {
    let fixed = usize::try_from(fixed_bits).ok().filter(|fixed| *fixed <= 8 * iv.len()).ok_or(Error::MechanismParamInvalid)?;
    let free = 8 * iv.len() - fixed;
    let random = wish == Wish::Random || (wish == Wish::Any && free >= FEWEST_RANDOM_BITS);
    if free < if random { FEWEST_RANDOM_BITS } else { FEWEST_BITS } {
        return Err(Error::MechanismParamInvalid);
    }
    let mut made = vec![0; iv.len()];
    if random {
        random::fill(&mut made).map_err(|_| Error::FunctionFailed)?;
    } else {
        let count = lock(&COUNTER).next(free)?.to_be_bytes();
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

static COUNTER: Mutex<Counter> = Mutex::new(Counter { generation: None, first: 0, used: 0 });

/// The numbers of this process.
struct Counter {
    /// The fork generation that drew the first number.
    generation: Option<u64>,
    first: u128,
    used: u128,
}

impl Counter {
    /// The next number, of which `bits` are looked at.
    fn next(&mut self, bits: usize) -> Result<u128> {
        let generation = Some(gate::generation());
        if self.generation != generation {
            let mut first = [0; 16];
            random::fill(&mut first).map_err(|_| Error::FunctionFailed)?;
            *self = Self { generation, first: u128::from_be_bytes(first), used: 0 };
        }
        if bits < 128 && self.used >> bits != 0 {
            return Err(Error::KeyExhausted);
        }
        let number = self.first.wrapping_add(self.used);
        self.used += 1;
        Ok(number)
    }
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
        assert_eq!(make(&mut [0; 4], 0, Wish::Random), Err(Error::MechanismParamInvalid));
        make(&mut [0; 4], 0, Wish::Any).unwrap();
        make(&mut [0; 12], 0, Wish::Random).unwrap();
        make(&mut [0; 12], 64, Wish::Counter).unwrap();
    }

    #[test]
    fn counted_bits_are_used_once() {
        let mut counter = Counter { generation: Some(gate::generation()), first: u128::MAX, used: (1 << 32) - 2 };
        let low = |number: u128| number as u32;
        assert_eq!((counter.next(32).map(low), counter.next(32).map(low)), (Ok(u32::MAX - 2), Ok(u32::MAX - 1)));
        assert_eq!(counter.next(32), Err(Error::KeyExhausted));
        assert_eq!(counter.next(64).map(|number| number as u64), Ok(u64::from(u32::MAX)));
    }
}
