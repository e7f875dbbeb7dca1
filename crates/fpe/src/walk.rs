//! The encryption of a reading's slots, together.
//!
//! Slots of one size are FF1's numerals as they are. Others are first counted: their values, taken as the digits of a number in a mixed
//! radix, are one number below the product of the sizes, and its bits are FF1's numerals. Where FF1 gives what is no text of the format, or
//! one that reads otherwise, it is applied again until it does ("cycle walking", Black and Rogaway 2002): that is a permutation of the texts
//! of the same layout, and the way back walks back.

use dsma_api::ApiError;
use dsma_crypto::{AesKey, Error, Ff1};
use num_bigint::BigUint;
use zeroize::Zeroizing;

use super::reading::{Reading, Side};
use super::{Exchanged, bad_text, refused};

/// The fewest values that all slots together may have (NIST SP 800-38G, section 5.2).
const MIN_VALUES: u32 = 100;
/// The fewest that FF1 takes at once (revision 1 of the standard): fewer are walked within so many, in bits.
const MIN_BITS: u64 = 20;
/// The longest number, in bits: as many numerals as FF1 takes here.
const MAX_BITS: u64 = 4096;
/// So often FF1 is applied at most. A format of 100 values needs 10,000 steps on average.
const MAX_STEPS: usize = 200_000;

/// What takes texts apart.
pub(crate) trait Grammar {
    /// # Errors
    /// 400 for what is no text of the format.
    fn read<'a>(&'a self, text: &[char], side: Side) -> Result<Reading<'a>, ApiError>;
}

/// The token of a text, or the text of a token.
pub(crate) fn exchange(key: &AesKey, grammar: &impl Grammar, text: &[char], from: Side) -> Result<Exchanged, ApiError> {
    let to = if from == Side::Plain { Side::Token } else { Side::Plain };
    let reading = grammar.read(text, from)?;
    let domain = Domain::of(&reading)?;
    let (ff1, tweak) = (key.ff1(domain.radix()).map_err(refused)?, reading.tweak());
    let mut numerals = domain.numerals(&reading.values)?;
    if domain.values(&numerals, &reading.values).is_none_or(|values| accepted(grammar, &reading, &values, from, to).is_none()) {
        return Err(bad_text("it can be read in more than one way"));
    }
    for _ in 0..MAX_STEPS {
        numerals = step(&ff1, &tweak, &numerals, from)?;
        let Some(values) = domain.values(&numerals, &reading.values) else { continue };
        if let Some(text) = accepted(grammar, &reading, &values, from, to) {
            return Ok(Exchanged { text, masked: reading.masked });
        }
    }
    Err(bad_text("too few others have its form"))
}

fn step(ff1: &Ff1, tweak: &str, numerals: &[u16], from: Side) -> Result<Zeroizing<Vec<u16>>, ApiError> {
    let next = match from {
        Side::Plain => ff1.encrypt(tweak.as_bytes(), numerals).map(Zeroizing::new),
        Side::Token => ff1.decrypt(tweak.as_bytes(), numerals),
    };
    next.map_err(|error| match error {
        Error::Numerals | Error::TooLong => bad_text("it is too long to be encrypted in its form"),
        error => refused(error),
    })
}

/// The text that holds these values, where it is of the format and reads back the same, on both sides.
fn accepted(grammar: &impl Grammar, reading: &Reading<'_>, values: &[u64], from: Side, to: Side) -> Option<Zeroizing<Vec<char>>> {
    let holds = |side| {
        let text = reading.write(values, side)?;
        let read = grammar.read(&text, side).ok()?;
        let slots = reading.slots();
        (read.same_layout(reading) && slots.iter().all(|(index, _)| read.values[*index] == values[*index])).then_some(text)
    };
    holds(from)?;
    holds(to)
}

/// How the values of the slots are FF1's numerals.
struct Domain {
    slots: Vec<(usize, u64)>,
    form: Form,
}

enum Form {
    /// Each value a numeral.
    Numerals { radix: u32 },
    /// All values one number below `total`, its bits the numerals.
    Bits { total: BigUint, bits: u64 },
}

impl Domain {
    fn of(reading: &Reading<'_>) -> Result<Self, ApiError> {
        let slots = reading.slots();
        let total: BigUint = slots.iter().map(|(_, count)| BigUint::from(*count)).product();
        if slots.is_empty() || total < BigUint::from(MIN_VALUES) {
            return Err(bad_text("what is not preserved must have a hundred possible values at least"));
        }
        let bits = (total.clone() - 1_u32).bits().max(MIN_BITS);
        if bits > MAX_BITS {
            return Err(bad_text("it is too long to be encrypted in its form"));
        }
        let first = slots[0].1;
        let alike = slots.iter().all(|(_, count)| *count == first) && total >= BigUint::from(1_000_000_u32);
        let form = match u32::try_from(first) {
            Ok(radix) if alike && (2..=1 << 16).contains(&radix) => Form::Numerals { radix },
            _ => Form::Bits { total, bits },
        };
        Ok(Self { slots, form })
    }

    const fn radix(&self) -> u32 {
        match self.form {
            Form::Numerals { radix } => radix,
            Form::Bits { .. } => 2,
        }
    }

    fn numerals(&self, values: &[u64]) -> Result<Zeroizing<Vec<u16>>, ApiError> {
        let slots = self.slots.iter();
        let numerals: Vec<u16> = match &self.form {
            Form::Numerals { .. } => slots.filter_map(|(index, _)| u16::try_from(values[*index]).ok()).collect(),
            Form::Bits { bits, .. } => {
                let number = slots.fold(BigUint::ZERO, |number, (index, count)| number * *count + values[*index]);
                (0..*bits).rev().map(|bit| u16::from(number.bit(bit))).collect()
            }
        };
        Ok(Zeroizing::new(numerals))
    }

    /// The values of all slots, where those that are not encrypted hold what they do in `others`; `None` where the numerals are beyond the
    /// last values.
    fn values(&self, numerals: &[u16], others: &[u64]) -> Option<Zeroizing<Vec<u64>>> {
        let mut values = Zeroizing::new(others.to_vec());
        match &self.form {
            Form::Numerals { .. } => {
                for ((index, _), numeral) in self.slots.iter().zip(numerals) {
                    values[*index] = u64::from(*numeral);
                }
            }
            Form::Bits { total, .. } => {
                let mut number = numerals.iter().fold(BigUint::ZERO, |number, bit| (number << 1_u32) + *bit);
                if number >= *total {
                    return None;
                }
                for (index, count) in self.slots.iter().rev() {
                    values[*index] = u64::try_from(&number % *count).ok()?;
                    number /= *count;
                }
            }
        }
        Some(values)
    }
}
