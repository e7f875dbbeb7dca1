//! Alphabets of formats: ranges of characters, in an order of their own.

use dsma_api::ApiError;
use serde::Deserialize;

use super::invalid;

/// As many as FF1 has numerals.
const MAX_CHARACTERS: u64 = 1 << 16;
/// The first character after the code points that are none, and how many these are.
const SURROGATES: (char, u32) = ('\u{e000}', 0x800);

/// Ranges of characters, both ends included. A character's value is its place, counted through the ranges in their order.
#[derive(Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct CharSet(Vec<(char, char)>);

impl CharSet {
    /// # Errors
    /// 400 where a range runs backwards or meets another, or there are none or too many characters.
    pub(crate) fn check(&self) -> Result<(), ApiError> {
        if self.0.iter().any(|(first, last)| first > last) {
            return Err(invalid("a range of characters ends before it begins"));
        }
        let mut ranges = self.0.clone();
        ranges.sort_unstable();
        if ranges.windows(2).any(|pair| pair[0].1 >= pair[1].0) {
            return Err(invalid("ranges of characters overlap"));
        }
        match self.count() {
            0 => Err(invalid("a set of characters is empty")),
            count if count > MAX_CHARACTERS => Err(invalid("a set has more than 65536 characters")),
            _ => Ok(()),
        }
    }

    /// How many characters it has.
    pub(crate) fn count(&self) -> u64 {
        self.0.iter().map(|range| len(*range)).sum()
    }

    /// The value of a character; `None` for one that is not in it.
    pub(crate) fn value(&self, letter: char) -> Option<u64> {
        let mut before = 0;
        for range in &self.0 {
            if (range.0..=range.1).contains(&letter) {
                return Some(before + len((range.0, letter)) - 1);
            }
            before += len(*range);
        }
        None
    }

    /// The character of a value.
    pub(crate) fn letter(&self, mut value: u64) -> Option<char> {
        for range in &self.0 {
            if value < len(*range) {
                let code = u32::from(range.0) + u32::try_from(value).ok()?;
                let jumps = range.0 < SURROGATES.0 && code + SURROGATES.1 >= u32::from(SURROGATES.0);
                return char::from_u32(if jumps { code + SURROGATES.1 } else { code });
            }
            value -= len(*range);
        }
        None
    }

    /// Whether it is the ten digits in their order, so that texts are numbers.
    pub(crate) fn is_numeric(&self) -> bool {
        self.count() == 10 && (0..10).all(|value| self.value(char::from(b'0' + value)) == Some(u64::from(value)))
    }
}

/// Characters of a range; the surrogates in between are none.
fn len((first, last): (char, char)) -> u64 {
    let hole = if first < SURROGATES.0 && last >= SURROGATES.0 { SURROGATES.1 } else { 0 };
    u64::from(u32::from(last) - u32::from(first) - hole) + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(json: &str) -> CharSet {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn values_follow_the_ranges() {
        let letters = set(r#"[["a","z"],["0","9"]]"#);
        assert_eq!((letters.count(), letters.value('b'), letters.value('0'), letters.value('A')), (36, Some(1), Some(26), None));
        assert_eq!((letters.letter(35), letters.letter(36)), (Some('9'), None));
        let over_the_hole = set("[[\"\u{d7ff}\",\"\u{e000}\"]]");
        assert_eq!((over_the_hole.count(), over_the_hole.letter(1), over_the_hole.value('\u{e000}')), (2, Some('\u{e000}'), Some(1)));
        assert!(set(r#"[["0","4"],["5","9"]]"#).is_numeric() && !set(r#"[["5","9"],["0","4"]]"#).is_numeric());
        for bad in ["[]", r#"[["b","a"]]"#, r#"[["a","c"],["c","d"]]"#, "[[\" \",\"\u{10ffff}\"]]"] {
            assert_eq!(set(bad).check().err().map(|error| error.status), Some(400), "{bad}");
        }
        assert!(letters.check().is_ok());
    }
}
