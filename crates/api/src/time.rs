//! DSM's time: `YYYYMMDDTHHMMSSZ`, UTC, seconds.

use std::fmt;
use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime};

const COMPACT: &[BorrowedFormatItem<'static>] = format_description!("[year][month][day]T[hour][minute][second]Z");

/// Seconds since the epoch, written as `20200315T012345Z`: clients accept no other shape.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub i64);

impl Time {
    /// What DSM writes for "never".
    pub const EPOCH: Self = Self(0);

    /// The wall clock.
    #[must_use]
    pub fn now() -> Self {
        Self(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| i64::try_from(d.as_secs()).unwrap_or(i64::MAX)))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = OffsetDateTime::from_unix_timestamp(self.0).map_err(|_| fmt::Error)?;
        f.write_str(&at.format(COMPACT).map_err(|_| fmt::Error)?)
    }
}

impl FromStr for Time {
    type Err = time::error::Parse;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        PrimitiveDateTime::parse(text, COMPACT).map(|at| Self(at.assume_utc().unix_timestamp()))
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(|_| serde::de::Error::custom("invalid time: YYYYMMDDTHHMMSSZ expected"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compact_form_only() {
        let time: Time = "20200315T012345Z".parse().unwrap();
        assert_eq!(time.0, 1_584_235_425);
        assert_eq!(time.to_string(), "20200315T012345Z");
        for bad in ["2020-03-15T01:23:45Z", "20200315T012345", "20201315T012345Z", ""] {
            assert!(bad.parse::<Time>().is_err(), "{bad}");
        }
        assert_eq!(Time::EPOCH.to_string(), "19700101T000000Z");
    }
}
