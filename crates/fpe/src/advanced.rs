//! The advanced form: a tree of literals, encrypted parts, choices, sequences and repetitions.
//!
//! A text is read as DSM documents it: each part takes as much as it can, a choice takes the first of its parts that fits, and nothing is
//! tried a second time. Which literals and choices a text has, how often parts repeat and how long they are stays as it is.

use dsma_api::ApiError;
use serde::Deserialize;
use serde_json::Value;

use super::characters::CharSet;
use super::constraints::{All, Constraints, Node};
use super::numbers::{MAX_WIDTH, number};
use super::reading::{Piece, Reading, Side};
use super::walk::Grammar;
use super::{MAX_LENGTH, bad_text, indices, invalid, parse};

/// How deep parts nest.
const MAX_DEPTH: usize = 32;

/// A format of this form.
pub(crate) struct Advanced(Part);

#[derive(Deserialize)]
#[serde(untagged)]
enum Part {
    Literal {
        literal: Vec<String>,
    },
    Or {
        or: Vec<Self>,
        #[serde(flatten)]
        common: Common,
    },
    Concat {
        concat: Vec<Self>,
        #[serde(flatten)]
        common: Common,
    },
    Multiple {
        multiple: Box<Self>,
        min_repetitions: Option<usize>,
        max_repetitions: Option<usize>,
        #[serde(flatten)]
        common: Common,
    },
    Encrypted(Box<Encrypted>),
}

/// What parts of several parts have in common. Lengths count characters.
#[derive(Deserialize)]
struct Common {
    constraints: Option<Constraints>,
    preserve: Option<bool>,
    mask: Option<bool>,
    min_length: Option<usize>,
    max_length: Option<usize>,
}

#[derive(Deserialize)]
struct Encrypted {
    min_length: usize,
    max_length: usize,
    char_set: CharSet,
    /// Of tokens, where it is another one.
    cipher_char_set: Option<CharSet>,
    constraints: Option<Constraints>,
    preserve: Option<Places>,
    mask: Option<Places>,
}

/// Characters of a part.
#[derive(Deserialize)]
#[serde(untagged)]
enum Places {
    All(All),
    Some(Vec<i64>),
}

/// What parts say of those below them.
#[derive(Clone, Copy)]
struct Above {
    preserve: bool,
    mask: bool,
    years: (u64, u64),
}

const TOP: Above = Above { preserve: false, mask: false, years: (0, u64::MAX) };

impl Advanced {
    /// Reads and checks a format.
    pub(crate) fn read(format: &Value) -> Result<Self, ApiError> {
        let root: Part = parse(format)?;
        root.check(TOP, false, 0)?;
        Ok(Self(root))
    }
}

impl Grammar for Advanced {
    fn read<'a>(&'a self, text: &[char], side: Side) -> Result<Reading<'a>, ApiError> {
        let mut reader = Reader { text, side, reading: Reading::default() };
        reader.part(&self.0, TOP)?;
        if reader.reading.len() == text.len() { Ok(reader.reading) } else { Err(does_not_fit()) }
    }
}

impl Part {
    /// `luhn`: whether a Luhn check is demanded above.
    fn check(&self, above: Above, luhn: bool, depth: usize) -> Result<(), ApiError> {
        if depth > MAX_DEPTH {
            return Err(invalid("its parts nest too deep"));
        }
        match self {
            Self::Literal { literal } if literal.is_empty() => Err(invalid("a literal has no choices")),
            Self::Literal { .. } => Ok(()),
            Self::Encrypted(part) => part.check(above, luhn),
            Self::Or { or: subparts, common } | Self::Concat { concat: subparts, common } => {
                let (above, luhn) = common.check(above, luhn, matches!(self, Self::Or { .. }))?;
                if subparts.is_empty() {
                    return Err(invalid("a part has no subparts"));
                }
                subparts.iter().try_for_each(|subpart| subpart.check(above, luhn, depth + 1))
            }
            Self::Multiple { multiple, min_repetitions, max_repetitions, common } => {
                let (above, luhn) = common.check(above, luhn, false)?;
                if max_repetitions.is_some_and(|most| most < min_repetitions.unwrap_or(0) || most == 0) {
                    return Err(invalid("min_repetitions must not exceed max_repetitions"));
                }
                multiple.check(above, luhn, depth + 1)
            }
        }
    }
}

impl Common {
    fn check(&self, above: Above, luhn: bool, is_or: bool) -> Result<(Above, bool), ApiError> {
        if above.preserve && self.preserve.is_some() || above.mask && self.mask.is_some() {
            return Err(invalid("below a part that is preserved or masked as a whole, none can say so again"));
        }
        if self.min_length.unwrap_or(0) > self.max_length.unwrap_or(usize::MAX) {
            return Err(invalid("min_length must not exceed max_length"));
        }
        let demanded = self.constraints.as_ref().is_some_and(Constraints::luhn);
        if luhn && demanded {
            return Err(invalid("a part is under more than one luhn_check"));
        }
        self.constraints.as_ref().map_or(Ok(()), |constraints| constraints.check_compound(is_or))?;
        Ok((self.below(above), luhn || demanded))
    }

    fn below(&self, above: Above) -> Above {
        Above {
            preserve: above.preserve || self.preserve == Some(true),
            mask: above.mask || self.mask == Some(true),
            years: self.constraints.as_ref().map_or(above.years, |constraints| constraints.years(above.years)),
        }
    }
}

impl Encrypted {
    fn check(&self, above: Above, luhn: bool) -> Result<(), ApiError> {
        if above.preserve && self.preserve.is_some() || above.mask && self.mask.is_some() {
            return Err(invalid("below a part that is preserved or masked as a whole, none can say so again"));
        }
        if self.min_length > self.max_length || self.max_length == 0 || self.min_length > MAX_LENGTH {
            return Err(invalid("min_length must not exceed max_length, nor 4096"));
        }
        self.char_set.check()?;
        let numeric = self.char_set.is_numeric() && self.cipher_char_set.is_none();
        if let Some(other) = &self.cipher_char_set {
            other.check()?;
            if other.count() != self.char_set.count() {
                return Err(invalid("char_set and cipher_char_set must have the same number of characters"));
            }
            if self.preserve.is_some() || above.preserve {
                return Err(invalid("what is preserved cannot have a cipher_char_set"));
            }
        }
        let whole = match &self.preserve {
            None | Some(Places::All(All::All)) => true,
            Some(Places::Some(places)) => places.is_empty(),
        };
        let constraints = self.constraints.as_ref();
        if luhn && constraints.is_some_and(Constraints::luhn) {
            return Err(invalid("a part is under more than one luhn_check"));
        }
        if luhn && constraints.is_some_and(Constraints::is_numeric) && !self.is_preserved(above) {
            return Err(invalid("luhn_check excludes other constraints of the part"));
        }
        let Some(constraints) = constraints else { return Ok(()) };
        if constraints.is_numeric() && self.max_length > MAX_WIDTH {
            return Err(invalid("a part under num_gt, num_lt, num_ne or date has 18 digits at most"));
        }
        constraints.check_encrypted(numeric, whole)
    }

    const fn is_preserved(&self, above: Above) -> bool {
        above.preserve || matches!(self.preserve, Some(Places::All(All::All)))
    }
}

/// A text on its way through the parts. What was read so far is the beginning of the text.
struct Reader<'a, 't> {
    text: &'t [char],
    side: Side,
    reading: Reading<'a>,
}

impl<'a> Reader<'a, '_> {
    fn part(&mut self, part: &'a Part, above: Above) -> Result<Node, ApiError> {
        let from = self.reading.len();
        let node = |reader: &Self, subparts| Node { range: from..reader.reading.len(), date: None, subparts };
        match part {
            Part::Literal { literal } => {
                self.literal(literal, above)?;
                Ok(node(self, Vec::new()))
            }
            Part::Encrypted(part) => self.encrypted(part, above),
            Part::Or { or, common } => {
                let subpart = self.first(or, common.below(above))?;
                self.end(common, node(self, vec![subpart]))
            }
            Part::Concat { concat, common } => {
                let below = common.below(above);
                let subparts = concat.iter().enumerate().map(|(index, part)| Ok((index, self.part(part, below)?)));
                let subparts = subparts.collect::<Result<Vec<_>, ApiError>>()?;
                self.end(common, node(self, subparts))
            }
            Part::Multiple { multiple, min_repetitions, max_repetitions, common } => {
                let subparts = self.repeated(multiple, max_repetitions.unwrap_or(MAX_LENGTH), common.below(above));
                if subparts.len() < min_repetitions.unwrap_or(0) {
                    return Err(does_not_fit());
                }
                self.end(common, node(self, subparts))
            }
        }
    }

    /// The first choice that the text goes on with.
    fn literal(&mut self, choices: &[String], above: Above) -> Result<(), ApiError> {
        let rest = &self.text[self.reading.len()..];
        let fits =
            |choice: &&String| choice.chars().count() <= rest.len() && choice.chars().zip(rest).all(|(wanted, found)| wanted == *found);
        let length = choices.iter().find(fits).ok_or_else(does_not_fit)?.chars().count();
        self.reading.push_fixed(&rest[..length], false, above.mask);
        Ok(())
    }

    /// The first subpart that fits.
    fn first(&mut self, subparts: &'a [Part], below: Above) -> Result<(usize, Node), ApiError> {
        let place = self.reading.place();
        for (index, subpart) in subparts.iter().enumerate() {
            match self.part(subpart, below) {
                Ok(node) => return Ok((index, node)),
                Err(_) => self.reading.back(place),
            }
        }
        Err(does_not_fit())
    }

    /// As many repetitions as fit.
    fn repeated(&mut self, subpart: &'a Part, most: usize, below: Above) -> Vec<(usize, Node)> {
        let mut nodes = Vec::new();
        while nodes.len() < most {
            let place = self.reading.place();
            match self.part(subpart, below) {
                // One that takes nothing would repeat for ever.
                Ok(node) if !node.range.is_empty() => nodes.push((0, node)),
                _ => {
                    self.reading.back(place);
                    break;
                }
            }
        }
        nodes
    }

    /// The end of a part of several parts: its length and its demands.
    fn end(&mut self, common: &Common, node: Node) -> Result<Node, ApiError> {
        if !(common.min_length.unwrap_or(0)..=common.max_length.unwrap_or(usize::MAX)).contains(&node.range.len()) {
            return Err(does_not_fit());
        }
        if let Some(constraints) = &common.constraints {
            constraints.demand(&mut self.reading, self.text, &node)?;
        }
        Ok(node)
    }

    fn encrypted(&mut self, part: &'a Encrypted, above: Above) -> Result<Node, ApiError> {
        let plain = &part.char_set;
        let token = part.cipher_char_set.as_ref().unwrap_or(plain);
        let alphabet = if self.side == Side::Plain { plain } else { token };
        let from = self.reading.len();
        let rest = &self.text[from..];
        let values: Vec<u64> = rest.iter().take(part.max_length).map_while(|letter| alphabet.value(*letter)).collect();
        if values.len() < part.min_length {
            return Err(does_not_fit());
        }
        let text = &rest[..values.len()];
        let masked = flags(part.mask.as_ref(), above.mask, text.len());
        let preserved = flags(part.preserve.as_ref(), above.preserve, text.len());
        let constraints = part.constraints.as_ref();
        match constraints.filter(|constraints| constraints.is_numeric() && !text.is_empty()) {
            Some(constraints) => {
                let numbers = constraints.numbers(text.len(), above.years);
                let value = number(text).and_then(|number| numbers.value(number));
                let value = value.ok_or_else(|| bad_text("a number in it is one that the format excludes"))?;
                if part.is_preserved(above) {
                    text.iter().zip(&masked).for_each(|(letter, masked)| self.reading.push_fixed(&[*letter], true, *masked));
                } else {
                    self.reading.push_slot(Piece::Number(numbers), value, &masked);
                }
            }
            None => {
                for (index, letter) in text.iter().enumerate() {
                    if preserved[index] {
                        self.reading.push_fixed(&[*letter], true, masked[index]);
                    } else {
                        self.reading.push_slot(Piece::Letter { plain, token }, values[index], &[masked[index]]);
                    }
                }
            }
        }
        let node = Node { range: from..self.reading.len(), date: constraints.and_then(Constraints::date_part), subparts: Vec::new() };
        if let Some(constraints) = constraints {
            constraints.demand(&mut self.reading, self.text, &node)?;
        }
        Ok(node)
    }
}

/// For each character of a part, whether it is among the places.
fn flags(places: Option<&Places>, all: bool, length: usize) -> Vec<bool> {
    let mut flags = vec![all || matches!(places, Some(Places::All(All::All))); length];
    if let Some(Places::Some(places)) = places {
        indices(places, length).into_iter().for_each(|index| flags[index] = true);
    }
    flags
}

fn does_not_fit() -> ApiError {
    bad_text("it does not fit the format")
}
