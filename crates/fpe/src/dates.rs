//! Dates in texts: which days there are, and which lie between two others.

use serde::Deserialize;

use super::invalid;
use dsma_api::ApiError;

/// Which part of a date a number is.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum DatePart {
    Month,
    Day,
    Year,
}

/// The form of a date, and the dates that it lies before and after, these not included.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::enum_variant_names, reason = "the names of the published schema")]
pub(crate) enum DateForm {
    DmyDate(Limits),
    MonthDayDate(Limits),
    MonthYearDate(Limits),
}

#[derive(Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Limits {
    before: Option<Date>,
    after: Option<Date>,
}

/// A date, or the parts of it that the form has.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) struct Date {
    pub(crate) year: Option<u64>,
    pub(crate) month: Option<u64>,
    pub(crate) day: Option<u64>,
}

impl DateForm {
    /// # Errors
    /// 400 where a limit is no date of this form.
    pub(crate) fn check(&self) -> Result<(), ApiError> {
        let limits = self.limits();
        for limit in limits.before.iter().chain(&limits.after) {
            if !self.is_date(*limit) {
                return Err(invalid("a limit of a date is none of its form"));
            }
        }
        Ok(())
    }

    /// Whether there is such a date, between the limits.
    pub(crate) fn holds(&self, date: Date) -> bool {
        let limits = self.limits();
        let place = (date.year, date.month, date.day);
        let inside = limits.before.is_none_or(|limit| place < (limit.year, limit.month, limit.day))
            && limits.after.is_none_or(|limit| place > (limit.year, limit.month, limit.day));
        self.is_date(date) && inside
    }

    /// The years that can be between the limits.
    pub(crate) fn years(&self) -> (u64, u64) {
        let year = |limit: &Option<Date>| limit.and_then(|limit| limit.year);
        (year(&self.limits().after).unwrap_or(0), year(&self.limits().before).unwrap_or(u64::MAX))
    }

    fn is_date(&self, date: Date) -> bool {
        let days = |year| match date.month {
            Some(2) if is_leap(year) => 29,
            Some(2) => 28,
            Some(4 | 6 | 9 | 11) => 30,
            Some(1..=12) => 31,
            _ => 0,
        };
        match (self, date) {
            (Self::DmyDate(_), Date { year: Some(year), month: Some(_), day: Some(day) }) => (1..=days(year)).contains(&day),
            // Without a year, February has 29 days.
            (Self::MonthDayDate(_), Date { year: None, month: Some(_), day: Some(day) }) => (1..=days(0)).contains(&day),
            (Self::MonthYearDate(_), Date { year: Some(_), month: Some(month), day: None }) => (1..=12).contains(&month),
            _ => false,
        }
    }

    const fn limits(&self) -> &Limits {
        let (Self::DmyDate(limits) | Self::MonthDayDate(limits) | Self::MonthYearDate(limits)) = self;
        limits
    }
}

impl DatePart {
    /// The numbers that this part can be, where years lie within `years`.
    pub(crate) const fn range(self, years: (u64, u64)) -> (u64, u64) {
        match self {
            Self::Month => (1, 12),
            Self::Day => (1, 31),
            Self::Year => years,
        }
    }
}

/// Gregorian; the year zero is one.
const fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_that_there_are() {
        let form: DateForm =
            serde_json::from_str(r#"{"dmy_date":{"after":{"year":1999,"month":12,"day":31},"before":{"year":2024,"month":3,"day":1}}}"#)
                .unwrap();
        let date = |year, month, day| Date { year: Some(year), month: Some(month), day: Some(day) };
        assert!(form.check().is_ok() && form.years() == (1999, 2024));
        for (date, holds) in [
            (date(2000, 1, 1), true),
            (date(1999, 12, 31), false),
            (date(2024, 2, 29), true),
            (date(2023, 2, 29), false),
            (date(2024, 3, 1), false),
            (date(2001, 4, 31), false),
            (date(2001, 13, 1), false),
            (date(2001, 1, 0), false),
            (Date { year: None, ..date(0, 1, 1) }, false),
        ] {
            assert_eq!(form.holds(date), holds);
        }
        let form: DateForm = serde_json::from_str(r#"{"month_day_date":{}}"#).unwrap();
        assert!(form.holds(Date { year: None, month: Some(2), day: Some(29) }));
        let form: DateForm = serde_json::from_str(r#"{"month_year_date":{"after":{"year":1,"month":13}}}"#).unwrap();
        assert_eq!(form.check().err().map(|error| error.status), Some(400));
    }
}
