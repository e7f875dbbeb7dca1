//! What tests of operations say on the wire: base64, keys from known bytes, both spellings of a request.
#![allow(dead_code, reason = "each test takes what it needs")]

use base64_simd::STANDARD;
use dsma_testkit::{Dsm, Reply};
use serde_json::{Value, json};

pub(crate) fn b64(bytes: &[u8]) -> String {
    STANDARD.encode_to_string(bytes)
}

/// Base64 of hexadecimal.
pub(crate) fn from_hex(text: &str) -> String {
    b64(&hex::decode(text).unwrap())
}

/// The bytes of a base64 member.
#[track_caller]
pub(crate) fn bytes(value: &Value) -> Vec<u8> {
    STANDARD.decode_to_vec(value.as_str().unwrap_or_else(|| panic!("base64 expected: {value}"))).unwrap()
}

#[track_caller]
pub(crate) fn to_hex(value: &Value) -> String {
    hex::encode(bytes(value))
}

/// Imports a key with all operations and returns its kid.
#[track_caller]
pub(crate) fn import(dsm: &Dsm, obj_type: &str, value: &[u8]) -> String {
    let name = format!("{obj_type} {}", number());
    let body = json!({"name": name, "obj_type": obj_type, "value": b64(value)});
    dsm.request("PUT", "/crypto/v1/keys", Some(body)).success().json()["kid"].as_str().unwrap().to_owned()
}

#[track_caller]
pub(crate) fn post(dsm: &Dsm, path: &str, body: Value) -> Reply {
    dsm.request("POST", &format!("/crypto/v1/{path}"), Some(body))
}

/// Sends a request in both spellings, with the key in the body and in the path; both must succeed. The answers need not be equal.
#[track_caller]
pub(crate) fn both(dsm: &Dsm, kid: &str, operation: &str, body: &Value) -> [Value; 2] {
    let mut with_key = body.clone();
    with_key["key"] = json!({"kid": kid});
    [post(dsm, operation, with_key), post(dsm, &format!("keys/{kid}/{operation}"), body.clone())].map(|reply| reply.success().json())
}

/// Each request is refused with 400 and a text that holds the words beside it.
#[track_caller]
pub(crate) fn all_refused(dsm: &Dsm, requests: &[(&str, Value, &str)]) {
    for (path, body, words) in requests {
        let reply = post(dsm, path, body.clone());
        assert!(reply.status == 400 && reply.text.contains(words), "{path} {body}: {} {}", reply.status, reply.text);
    }
}

/// Names are unique within an account.
fn number() -> String {
    static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed).to_string()
}
