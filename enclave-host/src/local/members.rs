//! Which members a JSON object has.

use std::fmt;

use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};

/// Whether `json` is an object with no other members than `known`. Values are skipped, not read.
pub(super) fn all_in(json: &[u8], known: &[&str]) -> bool {
    let mut parser = serde_json::Deserializer::from_slice(json);
    parser.deserialize_map(Members(known)).unwrap_or(false)
}

struct Members<'a>(&'a [&'a str]);

impl<'de> Visitor<'de> for Members<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<bool, A::Error> {
        while let Some(name) = members.next_key::<std::borrow::Cow<'de, str>>()? {
            if !self.0.contains(&&*name) {
                return Ok(false);
            }
            members.next_value::<IgnoredAny>()?;
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_unknown() {
        assert!(all_in(br#"{"a":{"x":[1]},"b":null}"#, &["a", "b", "c"]));
        assert!(all_in(b"{}", &[]));
        assert!(!all_in(br#"{"a":1,"d":2}"#, &["a", "b"]));
        assert!(!all_in(b"[]", &["a"]));
    }
}
