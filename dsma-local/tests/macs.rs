//! Authentication codes, against OpenSSL.

mod openssl;
mod wire;

use dsma_testkit::Stack;
use openssl::openssl;
use serde_json::{Value, json};
use wire::{all_refused, b64, both, bytes, import, post};

const MESSAGE: &[u8] = b"a message to be authenticated";

#[test]
fn codes_agree_with_openssl_and_verify() {
    let stack = Stack::start();
    let dsm = stack.dsm();
    let key = "2b7e151628aed2a6abf7158809cf4f3c";
    let hmac = import(&dsm, "HMAC", &hex::decode(key).unwrap());
    let aes = import(&dsm, "AES", &hex::decode(key).unwrap());
    let hex_key = format!("hexkey:{key}");
    for (kid, alg, name, options) in [
        (&hmac, json!("SHA1"), "HMAC", ["-digest", "SHA1"]),
        (&hmac, json!("sha256"), "HMAC", ["-digest", "SHA256"]),
        (&hmac, json!("SHA384"), "HMAC", ["-digest", "SHA384"]),
        (&hmac, json!("Sha512"), "HMAC", ["-digest", "SHA512"]),
        (&aes, Value::Null, "CMAC", ["-cipher", "AES-128-CBC"]),
    ] {
        let args = ["mac", "-binary", options[0], options[1], "-macopt", &hex_key, "-in", "-", name];
        let expected = openssl(&args, MESSAGE);
        for reply in both(&dsm, kid, "mac", &json!({"alg": alg, "data": b64(MESSAGE)})) {
            assert_eq!((&bytes(&reply["mac"]), &reply["kid"]), (&expected, &json!(kid)), "{name} {alg}");
            assert_eq!(reply["digest"], reply["mac"], "where older clients look");
        }
        let mut wrong = expected.clone();
        wrong[0] ^= 1;
        for (member, mac, result) in [
            ("mac", &expected[..], true),
            ("digest", &expected, true),
            ("mac", &wrong, false),
            ("mac", &expected[..8], false),
            ("mac", &[], false),
        ] {
            for reply in both(&dsm, kid, "macverify", &json!({"alg": alg, "data": b64(MESSAGE), member: b64(mac)})) {
                assert_eq!(reply, json!({"kid": kid, "result": result}), "{name} {alg} {member}");
            }
        }
    }
    assert_eq!((dsm.uses_of(&hmac, "computed mac"), dsm.uses_of(&hmac, "verified mac")), (8, 40));
}

#[test]
fn batches() {
    let stack = Stack::start();
    let dsm = stack.dsm();
    let kid = import(&dsm, "HMAC", &[7; 32]);
    let request = json!({"key": {"kid": kid}, "alg": "SHA256", "data": "AAAA"});
    let one = post(&dsm, "mac", request.clone()).success().json();
    let replies = post(&dsm, "keys/batch/mac", json!([request, {"alg": "SHA256", "data": "AAAA"}])).success().json();
    assert_eq!(replies, json!([{"status": 200, "body": one}, {"status": 400, "error": "Missing field `key`"}]));
    let mut request = request;
    request["mac"] = one["mac"].clone();
    let replies = post(&dsm, "keys/batch/macverify", json!([request])).success().json();
    assert_eq!(replies, json!([{"status": 200, "body": {"kid": kid, "result": true}}]));
}

#[test]
fn bad_input_and_permissions() {
    let stack = Stack::start();
    let dsm = stack.dsm();
    let kid = import(&dsm, "HMAC", &[7; 32]);
    let (hmac, aes) = (json!({"kid": kid}), json!({"kid": import(&dsm, "AES", &[7; 32])}));
    all_refused(
        &dsm,
        &[
            ("mac", json!({"key": hmac, "data": "AAAA"}), "Missing field `alg`"),
            ("mac", json!({"key": hmac, "alg": "SHA256"}), "data"),
            ("mac", json!({"key": hmac, "alg": "SHA-257", "data": "AAAA"}), "SHA-257"),
            ("mac", json!({"key": hmac, "alg": "SHA256", "data": "A"}), "base64"),
            ("mac", json!({"key": aes, "alg": "SHA256", "data": "AAAA"}), "`alg`"),
            ("macverify", json!({"key": hmac, "alg": "SHA256", "data": "AAAA"}), "Missing field `mac`"),
            ("macverify", json!({"key": hmac, "alg": "SHA256", "data": "AAAA", "mac": "AAAA", "digest": "AAA="}), "contradict"),
        ],
    );
    let app = stack.dsm_as(&dsm.new_app("verifier", &[(&dsm.default_group(), &["MACVERIFY"])]));
    assert_eq!(post(&app, "mac", json!({"key": hmac, "alg": "SHA256", "data": "AAAA"})).status, 403);
    assert_eq!(post(&app, "macverify", json!({"key": hmac, "alg": "SHA256", "data": "AAAA", "mac": "AAAA"})).status, 200);
}
