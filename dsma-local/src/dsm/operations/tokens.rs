//! Tokenization: FF1 over texts of a format that the key prescribes (`fpe`, the basic form).
//!
//! A text is digits, then upper-case letters, as many as the radix. Preserved characters stay where they are and are FF1's tweak, in their
//! order. Where the format asks for a Luhn digit, texts and tokens hold it: the last character that is not preserved is not encrypted but
//! chosen so that the whole is valid again.

use dsma_api::{ApiError, Sobject};
use dsma_crypto::{Error, Key};
use serde::Deserialize;
use serde_json::Value;
use zeroize::Zeroizing;

use super::refused;

/// What stands for the numerals.
const ALPHABET: &[u8; 36] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
/// What stands for what is masked.
const MASK: u8 = b'*';

/// The format of a key's texts.
#[derive(Deserialize)]
pub(in crate::dsm) struct Format {
    radix: u32,
    min_length: usize,
    max_length: usize,
    /// Indices, from the end where negative; those beyond a text are passed over.
    #[serde(default)]
    preserve: Vec<i64>,
    #[serde(default)]
    mask: Option<Vec<i64>>,
    #[serde(default)]
    luhn_check: Option<bool>,
}

impl Format {
    /// Reads and checks a format.
    pub(in crate::dsm) fn read(format: &Value) -> Result<Self, ApiError> {
        let invalid = |why: &str| ApiError::bad_request(format!("Invalid fpe: {why}"));
        if format.get("format").is_some_and(|format| !format.is_null()) || format.get("format_v2").is_some_and(|format| !format.is_null()) {
            return Err(invalid("this version supports the basic form only, with radix, min_length and max_length"));
        }
        let read: Self = serde_json::from_value(format.clone()).map_err(|error| invalid(&error.to_string()))?;
        if !(2..=36).contains(&read.radix) {
            return Err(invalid("radix must be 2 to 36"));
        }
        if read.min_length > read.max_length || read.max_length == 0 {
            return Err(invalid("min_length must not exceed max_length"));
        }
        if read.luhn() && read.radix != 10 {
            return Err(invalid("luhn_check needs radix 10"));
        }
        Ok(read)
    }

    /// The format of this key.
    pub(super) fn of(sobject: &Sobject) -> Result<Self, ApiError> {
        let format = sobject.fpe.as_ref().or_else(|| sobject.aes.as_ref()?.get("fpe"));
        Self::read(format.ok_or_else(|| ApiError::bad_request("The key has no tokenization format: it was made without `fpe`"))?)
    }

    /// The token of a text.
    pub(super) fn tokenize(&self, key: &Key, text: &[u8]) -> Result<Vec<u8>, ApiError> {
        self.exchange(key, text, true).map(|token| token.to_vec())
    }

    /// The text of a token, masked where that is wanted.
    pub(super) fn detokenize(&self, key: &Key, token: &[u8], masked: bool) -> Result<Zeroizing<Vec<u8>>, ApiError> {
        let mut text = self.exchange(key, token, false)?;
        if masked {
            for index in indices(self.mask.as_deref().unwrap_or_default(), text.len()) {
                text[index] = MASK;
            }
        }
        Ok(text)
    }

    fn exchange(&self, key: &Key, text: &[u8], encrypt: bool) -> Result<Zeroizing<Vec<u8>>, ApiError> {
        let Key::Aes(key) = key else {
            return Err(ApiError::bad_request("Mode FF1 is for AES keys"));
        };
        if !(self.min_length..=self.max_length).contains(&text.len()) {
            return Err(ApiError::bad_request(format!(
                "Invalid length of the text: {} to {} characters",
                self.min_length, self.max_length
            )));
        }
        let mut numerals = Zeroizing::new(text.iter().map(|byte| self.numeral(*byte)).collect::<Result<Vec<u16>, _>>()?);
        if self.luhn() && luhn_sum(&numerals) != 0 {
            return Err(ApiError::bad_request("Invalid text: its Luhn check digit does not hold"));
        }
        let preserved = indices(&self.preserve, text.len());
        let tweak: Vec<u8> = preserved.iter().map(|index| text[*index]).collect();
        let mut free: Vec<usize> = (0..text.len()).filter(|index| !preserved.contains(index)).collect();
        let check = if self.luhn() { free.pop() } else { None };
        let part = Zeroizing::new(free.iter().map(|index| numerals[*index]).collect::<Vec<u16>>());
        let cipher = key.ff1(self.radix).map_err(refused)?;
        let exchanged = if encrypt { cipher.encrypt(&tweak, &part).map(Zeroizing::new) } else { cipher.decrypt(&tweak, &part) };
        let exchanged = exchanged.map_err(|error| match error {
            Error::Numerals => ApiError::bad_request(
                "Invalid text: what is not preserved must have a million possible values at least, and 4096 characters at most",
            ),
            error => refused(error),
        })?;
        for (index, numeral) in free.iter().zip(exchanged.iter()) {
            numerals[*index] = *numeral;
        }
        if let Some(check) = check {
            mend(&mut numerals, check);
        }
        Ok(Zeroizing::new(numerals.iter().map(|numeral| ALPHABET[usize::from(*numeral)]).collect()))
    }

    fn luhn(&self) -> bool {
        self.luhn_check == Some(true)
    }

    fn numeral(&self, byte: u8) -> Result<u16, ApiError> {
        let place = ALPHABET[..self.radix as usize].iter().position(|known| *known == byte);
        let place = place.and_then(|place| u16::try_from(place).ok());
        place.ok_or_else(|| ApiError::bad_request("Invalid text: a character is not in the alphabet of the format"))
    }
}

/// The places that these indices mean in a text of this length, in order and once each.
fn indices(wanted: &[i64], length: usize) -> Vec<usize> {
    let length = i64::try_from(length).unwrap_or(i64::MAX);
    let places = wanted.iter().map(|index| if *index < 0 { index.saturating_add(length) } else { *index });
    let mut places: Vec<usize> = places.filter(|place| (0..length).contains(place)).filter_map(|place| place.try_into().ok()).collect();
    places.sort_unstable();
    places.dedup();
    places
}

/// Luhn's sum of digits, modulo ten (ISO/IEC 7812-1, annex B): 0 for a valid number.
fn luhn_sum(digits: &[u16]) -> u16 {
    digits.iter().rev().enumerate().map(|(place, digit)| luhn_weight(place, *digit)).sum::<u16>() % 10
}

/// What a digit adds, `place` counting from the end.
const fn luhn_weight(place: usize, digit: u16) -> u16 {
    let doubled = digit * 2;
    if place.is_multiple_of(2) {
        digit
    } else if doubled > 9 {
        doubled - 9
    } else {
        doubled
    }
}

/// Sets the one digit at `index` with which the number is valid. Each digit adds another weight, so there is exactly one.
fn mend(digits: &mut [u16], index: usize) {
    for digit in 0..10 {
        digits[index] = digit;
        if luhn_sum(digits) == 0 {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dsma_crypto::AesKey;
    use serde_json::json;

    fn format(value: Value) -> Format {
        Format::read(&value).unwrap()
    }

    #[test]
    fn indices_count_from_both_ends() {
        assert_eq!(indices(&[0, -1, 2, 2, 99, -99, 9], 10), [0, 2, 9]);
        assert_eq!(indices(&[i64::MIN, i64::MAX, -3], 3), [0]);
        assert_eq!(indices(&[0], 0), [0_usize; 0]);
    }

    #[test]
    fn luhn_numbers_stay_luhn_numbers_and_come_back() {
        let key = Key::Aes(AesKey::from_bytes(&[9; 16]).unwrap());
        for preserve in [json!([]), json!([0, 1, 2, 3, 4, 5, -4, -3, -2, -1]), json!([-1])] {
            let format = format(json!({"radix": 10, "min_length": 13, "max_length": 19, "preserve": preserve, "luhn_check": true}));
            // Published test numbers of card schemes. Six free digits with one of them for the check are too few.
            for number in [&b"4111111111111111"[..], b"378282246310005", b"5555555555554444"] {
                let token = match format.tokenize(&key, number) {
                    Ok(token) => token,
                    Err(error) => {
                        assert!(preserve != json!([]) && preserve != json!([-1]) && error.message.contains("million"), "{error}");
                        continue;
                    }
                };
                let digits: Vec<u16> = token.iter().map(|byte| u16::from(byte - b'0')).collect();
                assert_eq!(luhn_sum(&digits), 0);
                assert_ne!(token, number);
                assert_eq!(preserve == json!([-1]), preserve == json!([-1]) && token.last() == number.last());
                assert_eq!(*format.detokenize(&key, &token, false).unwrap(), number);
            }
            assert_eq!(format.tokenize(&key, b"4111111111111112").unwrap_err().status, 400);
        }
    }

    #[test]
    fn bad_formats() {
        for (bad, words) in [
            (json!({}), "radix"),
            (json!({"radix": 10}), "min_length"),
            (json!({"radix": 37, "min_length": 1, "max_length": 2}), "radix"),
            (json!({"radix": 1, "min_length": 1, "max_length": 2}), "radix"),
            (json!({"radix": 10, "min_length": 3, "max_length": 2}), "min_length"),
            (json!({"radix": 10, "min_length": 0, "max_length": 0}), "min_length"),
            (json!({"radix": 16, "min_length": 1, "max_length": 2, "luhn_check": true}), "luhn"),
            (json!({"radix": 10, "min_length": 1, "max_length": 2, "preserve": ["a"]}), "i64"),
            (json!({"format": {"literal": ["a"]}}), "basic"),
            (json!(7), "fpe"),
        ] {
            let error = Format::read(&bad).err().unwrap();
            assert!(error.status == 400 && error.message.contains(words), "{bad}: {error}");
        }
    }
}
