//! What an advanced format demands of parts of a text beside their characters.

use std::collections::BTreeMap;
use std::ops::Range;

use dsma_api::ApiError;
use serde::Deserialize;

use super::dates::{Date, DateForm, DatePart};
use super::numbers::{Numbers, number};
use super::reading::Reading;
use super::{bad_text, invalid};

/// Demands on a part.
#[derive(Default, Deserialize)]
pub(crate) struct Constraints {
    luhn_check: Option<bool>,
    num_gt: Option<i64>,
    num_lt: Option<i64>,
    num_ne: Option<Vec<i64>>,
    date: Option<DateConstraint>,
    applies_to: Option<AppliesTo>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum DateConstraint {
    Part(DatePart),
    Form(DateForm),
}

/// The subparts that demands are for.
#[derive(Deserialize)]
#[serde(untagged)]
enum AppliesTo {
    All(All),
    Subparts(BTreeMap<String, Self>),
}

/// The word `all`.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum All {
    All,
}

/// Where a part lies in a text, and its subparts with their indices in the format.
pub(crate) struct Node {
    pub(crate) range: Range<usize>,
    pub(crate) date: Option<DatePart>,
    pub(crate) subparts: Vec<(usize, Self)>,
}

impl Constraints {
    /// # Errors
    /// 400 for demands that a part of several parts cannot have.
    pub(crate) fn check_compound(&self, is_or: bool) -> Result<(), ApiError> {
        if self.num_gt.is_some() || self.num_lt.is_some() || self.num_ne.is_some() {
            return Err(invalid("num_gt, num_lt and num_ne are for encrypted parts"));
        }
        if is_or && self.applies_to.is_some() {
            return Err(invalid("applies_to is not for `or`: constrain its parts"));
        }
        match &self.date {
            Some(DateConstraint::Part(_)) => Err(invalid("a month, a day or a year is an encrypted part")),
            Some(DateConstraint::Form(form)) => form.check(),
            None => Ok(()),
        }
    }

    /// # Errors
    /// 400 for demands that an encrypted part cannot have. `whole` tells that it preserves everything or nothing.
    pub(crate) fn check_encrypted(&self, numeric: bool, whole: bool) -> Result<(), ApiError> {
        let number = self.is_numeric();
        if (number || self.luhn()) && !numeric {
            return Err(invalid("luhn_check, num_gt, num_lt, num_ne and date are for parts of the digits 0 to 9"));
        }
        if number && !whole {
            return Err(invalid("a part under num_gt, num_lt, num_ne or date preserves everything or nothing"));
        }
        if number && self.luhn() {
            return Err(invalid("luhn_check excludes other constraints of the part"));
        }
        if self.applies_to.as_ref().is_some_and(|to| matches!(to, AppliesTo::Subparts(_))) {
            return Err(invalid("an encrypted part has no subparts to apply to"));
        }
        if matches!(self.date, Some(DateConstraint::Form(_))) {
            return Err(invalid("a date has several parts: an encrypted part is a month, a day or a year"));
        }
        Ok(())
    }

    pub(crate) fn luhn(&self) -> bool {
        self.luhn_check == Some(true)
    }

    /// Whether the part is a number as a whole.
    pub(crate) const fn is_numeric(&self) -> bool {
        self.num_gt.is_some() || self.num_lt.is_some() || self.num_ne.is_some() || self.date.is_some()
    }

    pub(crate) const fn date_part(&self) -> Option<DatePart> {
        match self.date {
            Some(DateConstraint::Part(part)) => Some(part),
            _ => None,
        }
    }

    /// The years that dates below this part can have.
    pub(crate) fn years(&self, outer: (u64, u64)) -> (u64, u64) {
        match &self.date {
            Some(DateConstraint::Form(form)) => form.years(),
            _ => outer,
        }
    }

    /// The numbers of so many digits that satisfy the demands.
    pub(crate) fn numbers(&self, width: usize, years: (u64, u64)) -> Numbers {
        let not_negative = |limit: i64| u64::try_from(limit).ok();
        let (mut low, mut high) = self.date_part().map_or((0, u64::MAX), |part| part.range(years));
        if let Some(limit) = self.num_gt {
            low = low.max(not_negative(limit).map_or(0, |limit| limit.saturating_add(1)));
        }
        if let Some(limit) = self.num_lt {
            // Below a number that is not positive there is none.
            match not_negative(limit).and_then(|limit| limit.checked_sub(1)) {
                Some(limit) => high = high.min(limit),
                None => return Numbers::new(&[], width, &[]),
            }
        }
        let without: Vec<u64> = self.num_ne.iter().flatten().filter_map(|gone| not_negative(*gone)).collect();
        Numbers::new(&[(low, high)], width, &without)
    }

    /// Demands of `reading` what is said of the part at `node`.
    ///
    /// # Errors
    /// 400 where the text does not satisfy it.
    pub(crate) fn demand(&self, reading: &mut Reading<'_>, text: &[char], node: &Node) -> Result<(), ApiError> {
        let mut parts = Vec::new();
        applied(node, self.applies_to.as_ref(), &mut parts);
        if self.luhn() {
            let places = parts.iter().flat_map(|part| part.range.clone()).filter(|place| text[*place].is_ascii_digit()).collect();
            reading.demand_luhn(text, places)?;
        }
        if let Some(DateConstraint::Form(form)) = &self.date {
            let mut date = Date { year: None, month: None, day: None };
            parts.iter().for_each(|part| collect(part, text, &mut date));
            if !form.holds(date) {
                return Err(bad_text("a date in it is none, or beyond its limits"));
            }
        }
        Ok(())
    }
}

/// The parts that demands are for.
fn applied<'n>(node: &'n Node, to: Option<&AppliesTo>, parts: &mut Vec<&'n Node>) {
    match to {
        None | Some(AppliesTo::All(All::All)) => parts.push(node),
        Some(AppliesTo::Subparts(chosen)) => {
            for (index, subpart) in &node.subparts {
                if let Some(to) = chosen.get(&index.to_string()) {
                    applied(subpart, Some(to), parts);
                }
            }
        }
    }
}

/// The month, the day and the year at or below a part.
fn collect(node: &Node, text: &[char], date: &mut Date) {
    let found = number(&text[node.range.clone()]);
    match node.date {
        Some(DatePart::Month) => date.month = found,
        Some(DatePart::Day) => date.day = found,
        Some(DatePart::Year) => date.year = found,
        None => node.subparts.iter().for_each(|(_, subpart)| collect(subpart, text, date)),
    }
}
