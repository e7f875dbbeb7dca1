//! Request bodies: bounded in length and time, and JSON as clients write it.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_LENGTH, EXPECT};
use dsma_api::{ApiError, text};
use http_body_util::BodyExt;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Longest body that is read. DSM's own limit is not published; its stream interface is for more than 512 KiB.
const BODY_LIMIT: usize = 1 << 20;
/// A longer body is read to its end all the same, up to here, so that the client reads the refusal and not a broken pipe.
const DRAIN_LIMIT: usize = 64 << 20;
/// The time that a client has for its body.
const BODY_TIME: Duration = Duration::from_secs(60);

/// Reads a body to its end.
///
/// # Errors
/// 400, 408 and 413: it ends early, comes too slowly, or is too large.
pub(crate) async fn read(headers: &HeaderMap, body: Body) -> Result<Bytes, ApiError> {
    let read = tokio::time::timeout(BODY_TIME, read_all(headers, body)).await;
    read.unwrap_or_else(|_| Err(ApiError::new(408, "Request body did not arrive in time")))
}

/// Reads a document that begins with `first`: the derived parsers would take an array for an object.
///
/// Explicit nulls equal absent members. The wire types take them for optional members already; where that is not enough, the document
/// is read again without them.
pub(crate) fn parse<T: DeserializeOwned>(body: &[u8], first: u8) -> Result<T, ApiError> {
    let invalid = |error: serde_json::Error| ApiError::bad_request(format!("Invalid request body: {error}"));
    match body.trim_ascii().first() {
        None => return Err(ApiError::bad_request("Request body is empty: JSON is expected")),
        Some(byte) if *byte != first => {
            let expected = if first == b'{' { "an object" } else { "an array" };
            return Err(ApiError::bad_request(format!("Invalid request body: {expected} in JSON is expected")));
        }
        Some(_) => {}
    }
    serde_json::from_slice(body).or_else(|_| {
        let mut value: Value = serde_json::from_slice(body).map_err(invalid)?;
        strip_nulls(&mut value);
        serde_json::from_value(value).map_err(invalid)
    })
}

fn strip_nulls(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|_, member| !member.is_null());
            members.values_mut().for_each(strip_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(strip_nulls),
        _ => {}
    }
}

async fn read_all(headers: &HeaderMap, mut body: Body) -> Result<Bytes, ApiError> {
    let too_large = || ApiError::new(413, text::TOO_LARGE);
    let announced = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    // A client that asks first has not begun to send.
    if announced.is_some_and(|length| length > DRAIN_LIMIT || length > BODY_LIMIT && headers.contains_key(EXPECT)) {
        return Err(too_large());
    }
    let mut bytes = Vec::with_capacity(announced.unwrap_or_default().min(BODY_LIMIT));
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| ApiError::bad_request("Request body ended early"))?;
        if let Some(data) = frame.data_ref() {
            length += data.len();
            if length > DRAIN_LIMIT {
                return Err(too_large());
            }
            if length <= BODY_LIMIT {
                bytes.extend_from_slice(data);
            }
        }
    }
    if length > BODY_LIMIT { Err(too_large()) } else { Ok(bytes.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nulls_equal_absent_members_even_where_a_list_is_expected() {
        #[derive(serde::Deserialize)]
        struct Request {
            #[serde(default)]
            list: Vec<u8>,
        }
        assert!(parse::<Request>(br#"{"list":null}"#, b'{').unwrap().list.is_empty());
        for (bad, words) in [
            ("{", "Invalid request body: EOF"),
            (r#"{"list":{}}"#, "expected a sequence"),
            (r#"{"list":[1"#, "EOF"),
            ("[[]]", "an object in JSON is expected"),
            (" ", "empty"),
        ] {
            let error = parse::<Request>(bad.as_bytes(), b'{').err().unwrap();
            assert!(error.status == 400 && error.message.contains(words), "{error}");
        }
    }
}
