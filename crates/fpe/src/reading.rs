//! A text, taken apart along a format: what stays, and slots with so many values each.

use dsma_api::ApiError;
use zeroize::Zeroizing;

use super::characters::CharSet;
use super::numbers::Numbers;
use super::{bad_text, luhn};

/// Which of the two a text is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Plain,
    Token,
}

/// One piece of a text.
#[derive(PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    /// Stays as it is; what is preserved is FF1's tweak as well, what is literal is not.
    Fixed { text: Vec<char>, tweak: bool },
    /// One character, in an alphabet for texts and one of the same size for tokens.
    Letter { plain: &'a CharSet, token: &'a CharSet },
    /// A number.
    Number(Numbers),
    /// A word of a list, all of one length.
    Word(Vec<&'a str>),
}

/// A digit that makes the Luhn sum of others right and is not encrypted itself.
#[derive(PartialEq, Eq)]
pub(crate) struct CheckDigit {
    /// Places of the digits in the text, this one among them.
    pub(crate) digits: Vec<usize>,
    /// Its place.
    pub(crate) at: usize,
}

/// The reading of a text. Two readings have one layout where all but the values is the same.
#[derive(Default)]
pub(crate) struct Reading<'a> {
    pub(crate) pieces: Vec<Piece<'a>>,
    /// Of the slots, in their order.
    pub(crate) values: Zeroizing<Vec<u64>>,
    pub(crate) checks: Vec<CheckDigit>,
    /// For each character of the text, whether it is masked.
    pub(crate) masked: Vec<bool>,
    /// For each character of the text, whether it is of a slot.
    pub(crate) free: Vec<bool>,
}

/// How far a reading has come.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    pieces: usize,
    values: usize,
    checks: usize,
    length: usize,
}

impl Place {
    /// Characters read by then.
    pub(crate) const fn len(self) -> usize {
        self.length
    }
}

impl<'a> Reading<'a> {
    pub(crate) fn push_fixed(&mut self, text: &[char], tweak: bool, masked: bool) {
        self.pieces.push(Piece::Fixed { text: text.to_vec(), tweak });
        self.masked.extend(text.iter().map(|_| masked));
        self.free.resize(self.masked.len(), false);
    }

    pub(crate) fn push_slot(&mut self, piece: Piece<'a>, value: u64, masked: &[bool]) {
        self.pieces.push(piece);
        self.values.push(value);
        self.masked.extend_from_slice(masked);
        self.free.resize(self.masked.len(), true);
    }

    /// Characters read so far.
    pub(crate) fn len(&self) -> usize {
        self.masked.len()
    }

    /// Where it stands, to come [`back`](Self::back) to.
    pub(crate) fn place(&self) -> Place {
        Place { pieces: self.pieces.len(), values: self.values.len(), checks: self.checks.len(), length: self.len() }
    }

    /// Forgets what was read since.
    pub(crate) fn back(&mut self, Place { pieces, values, checks, length }: Place) {
        self.pieces.truncate(pieces);
        self.checks.truncate(checks);
        self.values.truncate(values);
        self.masked.truncate(length);
        self.free.truncate(length);
    }

    pub(crate) fn same_layout(&self, other: &Self) -> bool {
        self.pieces == other.pieces && self.checks == other.checks
    }

    /// Demands that the digits at these places have a Luhn sum of 0. The last that is free is a check digit from now on.
    ///
    /// # Errors
    /// 400 where it has not.
    pub(crate) fn demand_luhn(&mut self, text: &[char], places: Vec<usize>) -> Result<(), ApiError> {
        let digits = digits(text, &places).ok_or_else(|| bad_text("a part under a Luhn check is no number"))?;
        if luhn::sum(&digits) != 0 {
            return Err(bad_text("its Luhn check digit does not hold"));
        }
        if let Some(at) = places.iter().rev().copied().find(|place| self.free[*place]) {
            self.checks.push(CheckDigit { digits: places, at });
        }
        Ok(())
    }

    /// FF1's tweak: what is preserved, in its order.
    pub(crate) fn tweak(&self) -> String {
        let preserved = self.pieces.iter().filter_map(|piece| match piece {
            Piece::Fixed { text, tweak: true } => Some(text),
            _ => None,
        });
        preserved.flatten().collect()
    }

    /// The slots that are encrypted, as indices among all slots, with the number of their values. Check digits follow from the others.
    pub(crate) fn slots(&self) -> Vec<(usize, u64)> {
        let (mut slots, mut index, mut at) = (Vec::new(), 0, 0);
        for piece in &self.pieces {
            if let Some(count) = piece.count() {
                if !self.checks.iter().any(|check| check.at == at) {
                    slots.push((index, count));
                }
                index += 1;
            }
            at += piece.len();
        }
        slots
    }

    /// The text in which the slots hold these values, check digits mended; `None` for a value that a slot does not have.
    pub(crate) fn write(&self, values: &[u64], side: Side) -> Option<Zeroizing<Vec<char>>> {
        let (mut text, mut values) = (Zeroizing::new(Vec::with_capacity(self.len())), values.iter());
        for piece in &self.pieces {
            match piece {
                Piece::Fixed { text: fixed, .. } => text.extend_from_slice(fixed),
                Piece::Letter { plain, token } => {
                    let letters = if side == Side::Plain { plain } else { token };
                    text.push(letters.letter(*values.next()?)?);
                }
                Piece::Number(numbers) => text.extend(numbers.write(*values.next()?)?.chars()),
                Piece::Word(words) => text.extend(words.get(usize::try_from(*values.next()?).ok()?)?.chars()),
            }
        }
        for check in &self.checks {
            let mut digits = digits(&text, &check.digits)?;
            let index = check.digits.iter().position(|place| *place == check.at)?;
            luhn::mend(&mut digits, index);
            text[check.at] = char::from(b'0' + digits[index]);
        }
        Some(text)
    }
}

impl Piece<'_> {
    /// How many values a slot has; `None` for what stays.
    fn count(&self) -> Option<u64> {
        match self {
            Self::Fixed { .. } => None,
            Self::Letter { plain, .. } => Some(plain.count()),
            Self::Number(numbers) => Some(numbers.count()),
            Self::Word(words) => u64::try_from(words.len()).ok(),
        }
    }

    /// Characters of it.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Fixed { text, .. } => text.len(),
            Self::Letter { .. } => 1,
            Self::Number(numbers) => numbers.width(),
            Self::Word(words) => words.first().map_or(0, |word| word.chars().count()),
        }
    }
}

/// The digits at these places; `None` where one is no digit.
pub(crate) fn digits(text: &[char], places: &[usize]) -> Option<Zeroizing<Vec<u8>>> {
    let digit = |place: &usize| text.get(*place)?.to_digit(10).and_then(|digit| u8::try_from(digit).ok());
    places.iter().map(digit).collect::<Option<Vec<u8>>>().map(Zeroizing::new)
}
