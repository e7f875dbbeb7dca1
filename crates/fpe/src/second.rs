//! The second generation (`format_v2`): variants of sections of groups of codes, which are words again and again.
//!
//! A text is of the first variant that it fits, each repetition taking as much as it can. Its token keeps variant, repetitions and lengths:
//! the strictest of what `mode` can ask for, and good under each of its values.

use dsma_api::ApiError;
use dsma_crypto::AesKey;
use serde::Deserialize;
use serde_json::Value;

use super::characters::CharSet;
use super::numbers::{MAX_WIDTH, Numbers, number};
use super::processing::Processing;
use super::reading::{Piece, Reading, Side};
use super::walk::{self, Grammar};
use super::{Exchanged, MAX_LENGTH, bad_text, invalid, parse};

/// A format of this form.
#[derive(Deserialize)]
pub(crate) struct Second {
    variants: Vec<Variant>,
    #[serde(rename = "mode")]
    _mode: Option<Mode>,
    input_processing: Option<Processing>,
}

/// How much of a text's form its token may change; here it changes none of it.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::enum_variant_names, reason = "the names of the published schema")]
enum Mode {
    PreserveFormat,
    PreserveVariant,
    PreserveLength,
}

#[derive(Deserialize)]
struct Variant {
    sections: Vec<Section>,
}

#[derive(Deserialize)]
struct Section {
    groups: Vec<Group>,
    checksum: Option<Checksum>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Checksum {
    Luhn,
}

#[derive(Deserialize)]
struct Group {
    codes: Vec<Code>,
    min_repetitions: Option<usize>,
    max_repetitions: Option<usize>,
    /// Characters at the beginning and at the end of the group that stay.
    preserve: Option<(usize, usize)>,
}

#[derive(Deserialize)]
struct Code {
    words: Words,
    min_repetitions: Option<usize>,
    max_repetitions: Option<usize>,
}

/// A set of words.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Words {
    /// Numbers; zeros in front are required or possible, up to the length of the highest.
    #[serde(alias = "int_ranges")]
    IntegerRanges { ranges: Vec<(u64, u64)>, padding_required: bool },
    /// Single characters.
    Alphabet(CharSet),
    /// A list.
    Custom { list: Vec<String> },
}

impl Second {
    /// Reads and checks a format.
    pub(crate) fn read(format: &Value) -> Result<Self, ApiError> {
        let read: Self = parse(format)?;
        let groups = || read.variants.iter().flat_map(|variant| &variant.sections).flat_map(|section| &section.groups);
        if groups().next().is_none() || groups().any(|group| group.codes.is_empty()) {
            return Err(invalid("it needs a variant with a section with a group with a code"));
        }
        for group in groups() {
            repetitions(group.min_repetitions, group.max_repetitions)?;
            if group.min_repetitions == Some(0) {
                return Err(invalid("a group cannot be left out: its min_repetitions must be positive"));
            }
            for code in &group.codes {
                repetitions(code.min_repetitions, code.max_repetitions)?;
                code.words.check()?;
            }
        }
        Ok(read)
    }

    /// The token of a text, or the text of a token. Masked is all that is not preserved: the format has no word of its own for it.
    pub(crate) fn exchange(&self, key: &AesKey, text: &[char], side: Side) -> Result<Exchanged, ApiError> {
        let core = Processing::split(self.input_processing.as_ref(), text, |letter| self.knows(letter))?;
        Ok(core.join(walk::exchange(key, self, &core.text, side)?))
    }

    fn knows(&self, letter: char) -> bool {
        let groups = self.variants.iter().flat_map(|variant| &variant.sections).flat_map(|section| &section.groups);
        groups.flat_map(|group| &group.codes).any(|code| code.words.knows(letter))
    }
}

impl Grammar for Second {
    fn read<'a>(&'a self, text: &[char], _side: Side) -> Result<Reading<'a>, ApiError> {
        let fits = |variant: &'a Variant| {
            let mut reading = Reading::default();
            variant.sections.iter().try_for_each(|section| section.read(text, &mut reading)).ok()?;
            (reading.len() == text.len()).then_some(reading)
        };
        self.variants.iter().find_map(fits).ok_or_else(does_not_fit)
    }
}

impl Section {
    fn read<'a>(&'a self, text: &[char], reading: &mut Reading<'a>) -> Result<(), ApiError> {
        let from = reading.len();
        self.groups.iter().try_for_each(|group| group.read(text, reading))?;
        match self.checksum {
            Some(Checksum::Luhn) => {
                let places = (from..reading.len()).filter(|place| text[*place].is_ascii_digit()).collect();
                reading.demand_luhn(text, places)
            }
            None => Ok(()),
        }
    }
}

impl Group {
    fn read<'a>(&'a self, text: &[char], whole: &mut Reading<'a>) -> Result<(), ApiError> {
        // On its own first: what is preserved is counted from both its ends.
        let rest = &text[whole.len()..];
        let mut group = Reading::default();
        let (least, most) = bounds(self.min_repetitions, self.max_repetitions);
        let mut count = 0;
        while count < most {
            let place = group.place();
            let good = self.codes.iter().try_for_each(|code| code.read(rest, &mut group)).is_ok();
            if !good || group.len() == place.len() {
                group.back(place);
                break;
            }
            count += 1;
        }
        if count < least {
            return Err(does_not_fit());
        }
        let (leading, trailing) = self.preserve.unwrap_or_default();
        let end = group.len().saturating_sub(trailing);
        let mut at = 0;
        // All of its pieces are slots.
        for (piece, value) in std::mem::take(&mut group.pieces).into_iter().zip(group.values.iter().copied()) {
            let size = piece.len();
            // A word that is preserved in part is preserved.
            if at < leading || at + size > end {
                whole.push_fixed(&rest[at..at + size], true, false);
            } else {
                whole.push_slot(piece, value, &vec![true; size]);
            }
            at += size;
        }
        Ok(())
    }
}

impl Code {
    fn read<'a>(&'a self, text: &[char], reading: &mut Reading<'a>) -> Result<(), ApiError> {
        let (least, most) = bounds(self.min_repetitions, self.max_repetitions);
        let mut count = 0;
        while count < most
            && let Some((piece, value)) = self.words.first(&text[reading.len()..])
        {
            let masked = vec![true; piece.len()];
            reading.push_slot(piece, value, &masked);
            count += 1;
        }
        if count < least { Err(does_not_fit()) } else { Ok(()) }
    }
}

impl Words {
    fn check(&self) -> Result<(), ApiError> {
        match self {
            Self::Alphabet(set) => set.check(),
            Self::Custom { list } if list.is_empty() || list.iter().any(String::is_empty) => {
                Err(invalid("a list has no words, or an empty one"))
            }
            Self::Custom { .. } => Ok(()),
            Self::IntegerRanges { ranges, .. } => {
                if ranges.is_empty() || ranges.iter().any(|(low, high)| low > high) {
                    return Err(invalid("a range of integers ends before it begins, or there is none"));
                }
                if padded_width(ranges) > MAX_WIDTH { Err(invalid("integers have 18 digits at most")) } else { Ok(()) }
            }
        }
    }

    fn knows(&self, letter: char) -> bool {
        match self {
            Self::Alphabet(set) => set.value(letter).is_some(),
            Self::Custom { list } => list.iter().any(|word| word.contains(letter)),
            Self::IntegerRanges { .. } => letter.is_ascii_digit(),
        }
    }

    /// The longest word that the text begins with, and its value among those of its length.
    fn first<'a>(&'a self, text: &[char]) -> Option<(Piece<'a>, u64)> {
        match self {
            Self::Alphabet(set) => Some((Piece::Letter { plain: set, token: set }, set.value(*text.first()?)?)),
            Self::Custom { list } => {
                let begins =
                    |word: &&String| word.chars().count() <= text.len() && word.chars().zip(text).all(|(wanted, found)| wanted == *found);
                let longest = list.iter().filter(begins).max_by_key(|word| word.chars().count())?;
                let length = longest.chars().count();
                let mut alike: Vec<&str> = list.iter().map(String::as_str).filter(|word| word.chars().count() == length).collect();
                alike.sort_unstable();
                alike.dedup();
                let value = u64::try_from(alike.iter().position(|word| word == longest)?).ok()?;
                Some((Piece::Word(alike), value))
            }
            Self::IntegerRanges { ranges, padding_required } => {
                let widest = padded_width(ranges);
                let narrowest = if *padding_required { widest } else { 1 };
                (narrowest..=widest.min(text.len())).rev().find_map(|width| {
                    let numbers = Numbers::new(ranges, width, &[]);
                    let value = numbers.value(number(&text[..width])?)?;
                    Some((Piece::Number(numbers), value))
                })
            }
        }
    }
}

/// Digits of the highest number.
fn padded_width(ranges: &[(u64, u64)]) -> usize {
    ranges.iter().map(|(_, high)| high.to_string().len()).max().unwrap_or_default()
}

/// Once, where nothing is said; as often as a text allows, where only the least is.
fn bounds(least: Option<usize>, most: Option<usize>) -> (usize, usize) {
    (least.unwrap_or(1), most.unwrap_or_else(|| if least.is_some() { MAX_LENGTH } else { 1 }))
}

fn repetitions(least: Option<usize>, most: Option<usize>) -> Result<(), ApiError> {
    let (least, most) = bounds(least, most);
    if least > most || most == 0 { Err(invalid("min_repetitions must not exceed max_repetitions")) } else { Ok(()) }
}

fn does_not_fit() -> ApiError {
    bad_text("it does not fit the format")
}
