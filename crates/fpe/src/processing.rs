//! What becomes of characters that a format does not know (`input_processing`): they go, pass through, or are refused.

use dsma_api::ApiError;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::{Exchanged, bad_text};

/// What to do.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Processing {
    /// They are left out, of tokens as of texts.
    StripUnknown,
    /// They stay where they are.
    PassthroughUnknown,
    /// Some stay where they are; others are left out, or refused.
    PassthroughSpecific { passthrough: Vec<char>, other: Other },
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Other {
    Strip,
    Reject,
}

/// A text without the characters that the format does not know.
pub(crate) struct Core {
    pub(crate) text: Zeroizing<Vec<char>>,
    /// Characters that come back, and their places in the whole.
    passed: Vec<(usize, char)>,
}

impl Processing {
    /// Takes a text apart; `knows` tells what the format knows.
    ///
    /// # Errors
    /// 400 for a character that is to be refused.
    pub(crate) fn split(processing: Option<&Self>, text: &[char], knows: impl Fn(char) -> bool) -> Result<Core, ApiError> {
        let mut core = Core { text: Zeroizing::new(Vec::with_capacity(text.len())), passed: Vec::new() };
        for letter in text {
            let place = core.text.len() + core.passed.len();
            match processing {
                _ if knows(*letter) && !passes(processing, *letter) => core.text.push(*letter),
                Some(Self::PassthroughUnknown) => core.passed.push((place, *letter)),
                Some(Self::PassthroughSpecific { .. }) if passes(processing, *letter) => core.passed.push((place, *letter)),
                Some(Self::StripUnknown | Self::PassthroughSpecific { other: Other::Strip, .. }) => {}
                Some(Self::PassthroughSpecific { other: Other::Reject, .. }) | None => {
                    return Err(bad_text("a character is not in the alphabet of the format"));
                }
            }
        }
        Ok(core)
    }
}

/// Whether it stays where it is, known or not.
fn passes(processing: Option<&Processing>, letter: char) -> bool {
    matches!(processing, Some(Processing::PassthroughSpecific { passthrough, .. }) if passthrough.contains(&letter))
}

impl Core {
    /// Puts the characters that passed through back to their places.
    pub(crate) fn join(&self, mut exchanged: Exchanged) -> Exchanged {
        for (place, letter) in &self.passed {
            exchanged.text.insert(*place, *letter);
            exchanged.masked.insert(*place, false);
        }
        exchanged
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_characters() {
        let run = |json: &str, text: &str| {
            let processing: Option<Processing> = serde_json::from_str(json).unwrap();
            let text: Vec<char> = text.chars().collect();
            let core = Processing::split(processing.as_ref(), &text, |letter| letter.is_ascii_digit()).ok()?;
            let exchanged = Exchanged { text: core.text.clone(), masked: vec![true; core.text.len()] };
            Some((core.text.iter().collect::<String>(), core.join(exchanged).text.iter().collect::<String>()))
        };
        let both = |core: &str, whole: &str| Some((core.to_owned(), whole.to_owned()));
        assert_eq!(run("null", "12"), both("12", "12"));
        assert_eq!(run("null", "1-2"), None);
        assert_eq!(run(r#""strip_unknown""#, "-1-2-"), both("12", "12"));
        assert_eq!(run(r#""passthrough_unknown""#, "-1-2-"), both("12", "-1-2-"));
        assert_eq!(run(r#"{"passthrough_specific":{"passthrough":["-"],"other":"strip"}}"#, "-1-x2-"), both("12", "-1-2-"));
        assert_eq!(run(r#"{"passthrough_specific":{"passthrough":["-"],"other":"reject"}}"#, "-1-x2-"), None);
        assert_eq!(run(r#"{"passthrough_specific":{"passthrough":["1"],"other":"reject"}}"#, "121"), both("2", "121"));
    }
}
