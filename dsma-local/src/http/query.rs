//! Query strings as real clients send them: `?` with nothing after it, and values that are not percent-encoded.

use std::str::FromStr;

use dsma_api::ApiError;

/// The decoded pairs of a query, in order.
#[derive(Debug, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    /// Splits at `&` and the first `=`. Nothing is refused: what is no escape stands for itself.
    pub(crate) fn parse(query: &str) -> Self {
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        Self(pairs.map(|pair| pair.split_once('=').unwrap_or((pair, ""))).map(|(key, value)| (decode(key), decode(value))).collect())
    }

    /// The value of a parameter; an empty one counts as absent.
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(name, value)| name == key && !value.is_empty()).map(|(_, value)| value.as_str())
    }

    /// Whether a parameter is `true`.
    pub(crate) fn flag(&self, key: &str) -> bool {
        self.get(key).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    /// A parameter with a form of its own: a number, a UUID.
    pub(crate) fn parsed<T: FromStr>(&self, key: &str) -> Result<Option<T>, ApiError> {
        self.get(key)
            .map(|value| value.parse().map_err(|_| ApiError::bad_request(format!("Invalid value of query parameter {key}"))))
            .transpose()
    }

    /// The parameters whose names begin with `prefix`, without it.
    pub(crate) fn with_prefix<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.0.iter().filter_map(move |(key, value)| Some((key.strip_prefix(prefix)?, value.as_str())))
    }
}

/// A segment of a path, percent-decoded.
pub(crate) fn decode_path(segment: &str) -> String {
    unescape(segment, false)
}

/// Percent-decoding (RFC 3986) and `+` for a space, as forms are sent.
fn decode(text: &str) -> String {
    unescape(text, true)
}

fn unescape(text: &str, plus_is_space: bool) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let escape = (*byte == b'%').then(|| text.get(at + 1..at + 3)).flatten();
        match escape.filter(|hex| hex.bytes().all(|digit| digit.is_ascii_hexdigit())).and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(escaped) => {
                decoded.push(escaped);
                at += 3;
            }
            None => {
                decoded.push(if plus_is_space && *byte == b'+' { b' ' } else { *byte });
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_spellings() {
        assert_eq!(Query::parse("").get("name"), None);
        let query = Query::parse("name=a%20b+c&limit=&sort=name:asc&custom_metadata.x%2Ey=1=2&odd=100%&ü=é%C3%A9&flag&on=TRUE");
        assert_eq!(query.get("name"), Some("a b c"));
        assert_eq!(query.get("limit"), None);
        assert_eq!(query.get("odd"), Some("100%"));
        assert_eq!(query.get("ü"), Some("éé"));
        assert_eq!(query.with_prefix("custom_metadata.").collect::<Vec<_>>(), [("x.y", "1=2")]);
        assert!(query.flag("on") && !query.flag("flag"));
        assert_eq!(query.parsed::<u32>("sort").unwrap_err().status, 400);
    }
}
