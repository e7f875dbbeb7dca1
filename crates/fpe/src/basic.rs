//! The basic form: an alphabet of digits, then upper-case letters, as many as the radix.
//!
//! Preserved characters stay where they are and are FF1's tweak, in their order. Where the format asks for a Luhn digit, texts and tokens
//! hold it: the last character that is not preserved is not encrypted but chosen so that the whole is valid again.

use dsma_api::ApiError;
use dsma_crypto::{AesKey, Error};
use serde::Deserialize;
use serde_json::Value;
use zeroize::Zeroizing;

use super::reading::Side;
use super::{Exchanged, bad_text, indices, invalid, luhn, parse, refused};

/// What stands for the numerals.
const ALPHABET: &[u8; 36] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";

/// The format of a key's texts.
#[derive(Deserialize)]
pub(crate) struct Basic {
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

impl Basic {
    /// Reads and checks a format.
    pub(crate) fn read(format: &Value) -> Result<Self, ApiError> {
        let read: Self = parse(format)?;
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

    /// The token of a text, or the text of a token.
    pub(crate) fn exchange(&self, key: &AesKey, text: &[char], side: Side) -> Result<Exchanged, ApiError> {
        if !(self.min_length..=self.max_length).contains(&text.len()) {
            return Err(ApiError::bad_request(format!(
                "Invalid length of the text: {} to {} characters",
                self.min_length, self.max_length
            )));
        }
        let mut numerals = Zeroizing::new(text.iter().map(|letter| self.numeral(*letter)).collect::<Result<Vec<u8>, _>>()?);
        if self.luhn() && luhn::sum(&numerals) != 0 {
            return Err(bad_text("its Luhn check digit does not hold"));
        }
        let preserved = indices(&self.preserve, text.len());
        let tweak: String = preserved.iter().map(|index| text[*index]).collect();
        let mut free: Vec<usize> = (0..text.len()).filter(|index| !preserved.contains(index)).collect();
        let check = if self.luhn() { free.pop() } else { None };
        let part = Zeroizing::new(free.iter().map(|index| u16::from(numerals[*index])).collect::<Vec<u16>>());
        let cipher = key.ff1(self.radix).map_err(refused)?;
        let exchanged = match side {
            Side::Plain => cipher.encrypt(tweak.as_bytes(), &part).map(Zeroizing::new),
            Side::Token => cipher.decrypt(tweak.as_bytes(), &part),
        };
        let exchanged = exchanged.map_err(|error| match error {
            Error::Numerals => bad_text("what is not preserved must have a million possible values at least, and 4096 characters at most"),
            error => refused(error),
        })?;
        for (index, numeral) in free.iter().zip(exchanged.iter()) {
            // A numeral is below the radix, 36 at most.
            numerals[*index] = (*numeral).to_le_bytes()[0];
        }
        if let Some(check) = check {
            luhn::mend(&mut numerals, check);
        }
        let text = numerals.iter().map(|numeral| char::from(ALPHABET[usize::from(*numeral)])).collect::<Vec<char>>();
        let hidden = indices(self.mask.as_deref().unwrap_or_default(), text.len());
        let masked = (0..text.len()).map(|index| hidden.contains(&index)).collect();
        Ok(Exchanged { text: Zeroizing::new(text), masked })
    }

    pub(crate) const fn luhn(&self) -> bool {
        matches!(self.luhn_check, Some(true))
    }

    fn numeral(&self, letter: char) -> Result<u8, ApiError> {
        let place = ALPHABET[..self.radix as usize].iter().position(|known| char::from(*known) == letter);
        let place = place.and_then(|place| u8::try_from(place).ok());
        place.ok_or_else(|| bad_text("a character is not in the alphabet of the format"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::Format;
    use super::*;

    fn format(value: Value) -> Format {
        Format::read(&value).unwrap()
    }

    #[test]
    fn luhn_numbers_stay_luhn_numbers_and_come_back() {
        let key = AesKey::from_bytes(&[9; 16]).unwrap();
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
                let digits: Vec<u8> = token.iter().map(|byte| byte - b'0').collect();
                assert_eq!(luhn::sum(&digits), 0);
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
            (json!(7), "fpe"),
        ] {
            let error = Format::read(&bad).err().unwrap();
            assert!(error.status == 400 && error.message.contains(words), "{bad}: {error}");
        }
    }
}
