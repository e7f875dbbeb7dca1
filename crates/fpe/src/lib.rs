//! Tokenization: texts of a format that the key prescribes (`fpe`) become other texts of that format, by FF1 (NIST SP 800-38G).
//!
//! The wire knows three kinds of formats. The basic one is an alphabet, lengths and preserved places. The advanced one (`format`) is a tree of
//! literals, encrypted parts, choices, sequences and repetitions under constraints; the second generation (`format_v2`) is variants of
//! sections of words. Both of these are read into slots with so many values each, and the slots are encrypted together: see `walk.rs`.
//!
//! The engine and dsma-local work by this one reading of the format; its errors are DSM's answers.

#![forbid(unsafe_code)]

mod advanced;
mod basic;
mod characters;
mod constraints;
mod dates;
mod luhn;
mod numbers;
mod processing;
mod reading;
mod second;
mod walk;

use dsma_api::{ApiError, Sobject};
use dsma_crypto::{AesKey, Error};
use serde::Deserialize;
use serde_json::Value;
use zeroize::Zeroizing;

use self::advanced::Advanced;
use self::basic::Basic;
use self::reading::Side;
use self::second::Second;

/// What stands for what is masked.
const MASK: char = '*';
/// The longest text, in characters.
const MAX_LENGTH: usize = 4096;

/// The format of a key's texts.
pub struct Format(Kind);

enum Kind {
    Basic(Basic),
    Advanced(Box<Advanced>),
    Second(Second),
}

impl Format {
    /// Reads and checks a format (`fpe` of a sobject).
    ///
    /// # Errors
    /// 400 for what is no format.
    pub fn read(format: &Value) -> Result<Self, ApiError> {
        let member = |name| format.get(name).filter(|member| !member.is_null());
        let kind = match (member("format"), member("format_v2")) {
            (None, None) => Basic::read(format).map(Kind::Basic),
            (Some(part), None) => Advanced::read(part).map(|format| Kind::Advanced(Box::new(format))),
            (None, Some(second)) => Second::read(second).map(Kind::Second),
            (Some(_), Some(_)) => Err(invalid("`format` and `format_v2` exclude each other")),
        };
        kind.map(Self)
    }

    /// Whether clients of the classic interface can read it: they know the basic form alone.
    #[must_use]
    pub const fn is_classic(&self) -> bool {
        matches!(self.0, Kind::Basic(_))
    }

    /// Whether DSM's documentation leaves one way to make its tokens: the basic form, where it does not choose a Luhn digit. How texts of
    /// several parts are encrypted, and which digit gives way to the checksum, is this code's own choice.
    #[must_use]
    pub const fn is_determined(&self) -> bool {
        matches!(&self.0, Kind::Basic(basic) if !basic.luhn())
    }

    /// The format of this key.
    ///
    /// # Errors
    /// 400 for a key that was made without one.
    pub fn of(sobject: &Sobject) -> Result<Self, ApiError> {
        let format = sobject.fpe.as_ref().or_else(|| sobject.aes.as_ref()?.get("fpe"));
        Self::read(format.ok_or_else(|| ApiError::bad_request("The key has no tokenization format: it was made without `fpe`"))?)
    }

    /// The token of a text in UTF-8.
    ///
    /// # Errors
    /// 400 for a text that is not of the format.
    pub fn tokenize(&self, key: &AesKey, text: &[u8]) -> Result<Vec<u8>, ApiError> {
        self.exchange(key, text, Side::Plain, false).map(|token| token.to_vec())
    }

    /// The text of a token, masked where that is wanted.
    ///
    /// # Errors
    /// 400 for a token that is not of the format.
    pub fn detokenize(&self, key: &AesKey, token: &[u8], masked: bool) -> Result<Zeroizing<Vec<u8>>, ApiError> {
        self.exchange(key, token, Side::Token, masked)
    }

    fn exchange(&self, key: &AesKey, text: &[u8], side: Side, masked: bool) -> Result<Zeroizing<Vec<u8>>, ApiError> {
        let text = std::str::from_utf8(text).map_err(|_| bad_text("it is not UTF-8"))?;
        let text = Zeroizing::new(text.chars().collect::<Vec<char>>());
        if text.len() > MAX_LENGTH {
            return Err(bad_text("it has more than 4096 characters"));
        }
        let mut exchanged = match &self.0 {
            Kind::Basic(format) => format.exchange(key, &text, side)?,
            Kind::Advanced(format) => walk::exchange(key, format.as_ref(), &text, side)?,
            Kind::Second(format) => format.exchange(key, &text, side)?,
        };
        if masked {
            exchanged.mask();
        }
        Ok(Zeroizing::new(exchanged.text.iter().collect::<String>().into_bytes()))
    }
}

/// A text or a token, and which of its characters are hidden from who may see masked text only.
struct Exchanged {
    text: Zeroizing<Vec<char>>,
    masked: Vec<bool>,
}

impl Exchanged {
    fn mask(&mut self) {
        for (letter, masked) in self.text.iter_mut().zip(&self.masked) {
            if *masked {
                *letter = MASK;
            }
        }
    }
}

/// The places that these indices mean in a text of this length, in order and once each. They count from the end where negative; those
/// beyond the text are passed over.
fn indices(wanted: &[i64], length: usize) -> Vec<usize> {
    let length = i64::try_from(length).unwrap_or(i64::MAX);
    let places = wanted.iter().map(|index| if *index < 0 { index.saturating_add(length) } else { *index });
    let mut places: Vec<usize> = places.filter(|place| (0..length).contains(place)).filter_map(|place| place.try_into().ok()).collect();
    places.sort_unstable();
    places.dedup();
    places
}

/// A part of a format, read from JSON.
fn parse<T: for<'de> Deserialize<'de>>(value: &Value) -> Result<T, ApiError> {
    T::deserialize(value).map_err(|error| invalid(&error.to_string()))
}

fn invalid(why: &str) -> ApiError {
    ApiError::bad_request(format!("Invalid fpe: {why}"))
}

/// What the cipher says; the caller's text is at fault but for the last.
fn refused(error: Error) -> ApiError {
    match error {
        Error::Internal => ApiError::new(500, "Internal error"),
        Error::Unsupported => ApiError::bad_request("This mode is not possible with this key"),
        error => ApiError::bad_request(format!("Operation failed: {error}")),
    }
}

fn bad_text(why: &str) -> ApiError {
    ApiError::bad_request(format!("Invalid text: {why}"))
}

#[cfg(test)]
mod tests {
    use super::indices;

    #[test]
    fn indices_count_from_both_ends() {
        assert_eq!(indices(&[0, -1, 2, 2, 99, -99, 9], 10), [0, 2, 9]);
        assert_eq!(indices(&[i64::MIN, i64::MAX, -3], 3), [0]);
        assert_eq!(indices(&[0], 0), [0_usize; 0]);
    }
}
