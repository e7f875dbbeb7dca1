//! Tokenization, against NIST's samples of FF1.

mod wire;

use dsma_testkit::{Dsm, Stack};
use serde_json::{Value, json};
use wire::{b64, both, bytes, post, to_hex};

/// A key of NIST's samples with this format.
fn token_key(dsm: &Dsm, name: &str, format: &Value) -> String {
    let value = b64(&hex::decode("2b7e151628aed2a6abf7158809cf4f3c").unwrap());
    let body = json!({"name": name, "obj_type": "AES", "value": value, "fpe": format});
    dsm.request("PUT", "/crypto/v1/keys", Some(body)).success().json()["kid"].as_str().unwrap().to_owned()
}

#[track_caller]
fn run(dsm: &Dsm, kid: &str, encrypt: bool, text: &str, more: &Value) -> (u16, String) {
    let mut body =
        json!({"key": {"kid": kid}, "alg": "AES", "mode": "FF1", (if encrypt { "plain" } else { "cipher" }): b64(text.as_bytes())});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let reply = post(dsm, if encrypt { "encrypt" } else { "decrypt" }, body);
    match reply.status {
        200 => (200, String::from_utf8(bytes(&reply.json()[if encrypt { "cipher" } else { "plain" }])).unwrap()),
        status => (status, reply.text),
    }
}

/// NIST, "FF1samples", numbers 1 and 2: what is preserved is the tweak.
#[test]
fn tokens_of_the_published_samples() {
    let stack = Stack::start();
    let dsm = stack.dsm();
    let plain = token_key(&dsm, "plain", &json!({"radix": 10, "min_length": 6, "max_length": 30, "preserve": []}));
    let tweaked = json!({"radix": 10, "min_length": 20, "max_length": 20, "preserve": [0, 1, 2, 3, 4, 5, 6, 7, 8, 9], "name": "tweaked"});
    let tweaked = token_key(&dsm, "tweaked", &tweaked);
    let backwards =
        json!({"radix": 10, "min_length": 20, "max_length": 20, "preserve": [-20, -19, -18, -17, -16, 5, 6, 7, 8, 9], "mask": null});
    let backwards = token_key(&dsm, "backwards", &backwards);
    for (kid, text, token) in [
        (&plain, "0123456789", "2433477484"),
        (&tweaked, "98765432100123456789", "98765432106124200773"),
        (&backwards, "98765432100123456789", "98765432106124200773"),
    ] {
        // Older clients call the mode FPE.
        for mode in ["FF1", "FPE"] {
            for reply in both(&dsm, kid, "encrypt", &json!({"alg": "AES", "mode": mode, "plain": b64(text.as_bytes())})) {
                assert_eq!(bytes(&reply["cipher"]), token.as_bytes());
                assert!(reply["iv"].is_null() && reply["tag"].is_null());
            }
            for reply in both(&dsm, kid, "decrypt", &json!({"alg": "AES", "mode": mode, "cipher": b64(token.as_bytes())})) {
                assert_eq!(bytes(&reply["plain"]), text.as_bytes());
            }
        }
    }
    let shown = dsm.request("GET", &format!("/crypto/v1/keys/{plain}"), None).json();
    assert_eq!(shown["fpe"], json!({"radix": 10, "min_length": 6, "max_length": 30, "preserve": []}));
}

#[test]
fn masking() {
    let stack = Stack::start();
    let dsm = stack.dsm();
    let format = json!({"radix": 36, "min_length": 8, "max_length": 16, "preserve": [0, -1], "mask": [1, 2, 3, -1, 99]});
    let kid = token_key(&dsm, "masked", &format);
    let (_, token) = run(&dsm, &kid, true, "AB12CD34EF", &json!({}));
    assert!(token.starts_with('A') && token.ends_with('F') && token.len() == 10 && token != "AB12CD34EF", "{token}");
    assert_eq!(run(&dsm, &kid, false, &token, &json!({"masked": false})), (200, "AB12CD34EF".into()));
    assert_eq!(run(&dsm, &kid, false, &token, &json!({"masked": true})), (200, "A***CD34E*".into()));
    let app = |name: &str, permissions: &[&str]| stack.dsm_as(&dsm.new_app(name, &[(&dsm.default_group(), permissions)]));
    let (masker, reader, nobody) = (app("masker", &["MASKDECRYPT"]), app("reader", &["DECRYPT"]), app("nobody", &["ENCRYPT"]));
    assert_eq!(run(&masker, &kid, false, &token, &json!({"masked": false})), (200, "A***CD34E*".into()), "never more");
    assert_eq!(run(&reader, &kid, false, &token, &json!({})), (200, "AB12CD34EF".into()));
    assert_eq!(run(&nobody, &kid, false, &token, &json!({})).0, 403);
    let aes = dsm.create_key(json!({"obj_type": "AES", "key_size": 128}));
    let body = json!({"mode": "ECB", "cipher": b64(&[0; 16])});
    assert_eq!(post(&masker, &format!("keys/{aes}/decrypt"), body).status, 403, "it is no permission to decrypt");
}

#[test]
fn card_numbers_stay_card_numbers() {
    let stack = Stack::start();
    let dsm = stack.dsm();
    // The first four and the last one; the form that newer clients write.
    let format = json!({"radix": 10, "min_length": 13, "max_length": 19, "preserve": [0, 1, 2, 3, -1], "luhn_check": true});
    let kid = dsm.create_key(json!({"obj_type": "AES", "key_size": 256, "aes": {"fpe": format}}));
    let (_, token) = run(&dsm, &kid, true, "4111111111111111", &json!({}));
    let digits = token.bytes().rev().map(|byte| u32::from(byte - b'0')).enumerate();
    let sum: u32 = digits.map(|(place, digit)| if place % 2 == 0 { digit } else { digit * 2 / 10 + digit * 2 % 10 }).sum();
    assert!(sum.is_multiple_of(10) && token.starts_with("4111") && token.ends_with('1') && token != "4111111111111111", "{token}");
    assert_eq!(run(&dsm, &kid, false, &token, &json!({})), (200, "4111111111111111".into()));
    assert!(run(&dsm, &kid, true, "4111111111111112", &json!({})).1.contains("Luhn"));
    let rotated = json!({"name": dsm.request("GET", &format!("/crypto/v1/keys/{kid}"), None).json()["name"]});
    let rotated = dsm.request("POST", "/crypto/v1/keys/rekey", Some(rotated)).success().json();
    assert_eq!(rotated["fpe"], format, "the successor has the format");
}

#[test]
fn bad_input() {
    let stack = Stack::start();
    let dsm = stack.dsm();
    let kid = token_key(&dsm, "k", &json!({"radix": 10, "min_length": 4, "max_length": 8}));
    let aes = dsm.create_key(json!({"obj_type": "AES", "key_size": 128}));
    for (kid, text, more, words) in [
        (&kid, "123", json!({}), "length"),
        (&kid, "123456789", json!({}), "length"),
        (&kid, "12345", json!({}), "million"),
        (&kid, "12345A", json!({}), "alphabet"),
        (&kid, "1234 6", json!({}), "alphabet"),
        (&kid, "12345\u{663}", json!({}), "alphabet"),
        (&kid, "123456", json!({"iv": "AAAA"}), "`iv`"),
        (&kid, "123456", json!({"ad": "AAAA"}), "`ad`"),
        (&kid, "123456", json!({"tag_len": 128}), "`tag_len`"),
        (&kid, "123456", json!({"mode": "CTR"}), "tokenization"),
        (&aes, "123456", json!({}), "no tokenization format"),
    ] {
        let (status, answer) = run(&dsm, kid, true, text, &more);
        assert!(status == 400 && answer.contains(words), "{text} {more}: {status} {answer}");
    }
    let masked = json!({"mode": "ECB", "cipher": b64(&[0; 16]), "masked": true});
    assert_eq!(post(&dsm, &format!("keys/{aes}/decrypt"), masked).status, 400);
    let wrap = json!({"alg": "AES", "mode": "FF1", "subject": {"kid": aes}});
    assert_eq!(post(&dsm, &format!("keys/{kid}/wrapkey"), wrap).status, 403, "the subject is not exportable");
    for (format, words) in [(json!({"radix": 99, "min_length": 4, "max_length": 8}), "radix"), (json!("FF1"), "fpe")] {
        let body = json!({"name": "x", "obj_type": "AES", "key_size": 128, "fpe": format});
        let reply = dsm.request("POST", "/crypto/v1/keys", Some(body));
        assert!(reply.status == 400 && reply.text.contains(words), "{format}: {}", reply.text);
    }
    let restricted = json!({"name": "x", "obj_type": "AES", "key_size": 128, "aes": {"random_iv": true, "key_sizes": null}});
    let reply = dsm.request("POST", "/crypto/v1/keys", Some(restricted));
    assert!(reply.status == 400 && reply.text.contains("`aes.random_iv`"), "{}", reply.text);
    let body = json!({"name": "x", "obj_type": "RSA", "key_size": 2048, "fpe": {"radix": 10, "min_length": 4, "max_length": 8}});
    assert_eq!(dsm.request("POST", "/crypto/v1/keys", Some(body)).status, 400);
    assert_eq!(to_hex(&post(&dsm, "encrypt", json!({"key": {"kid": kid}, "alg": "AES", "mode": "fpe", "plain": b64(b"123456")})).success().json()["cipher"]).len(), 12);
}
