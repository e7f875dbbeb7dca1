//! CKM_DSMA_FF1: texts and tokens in the format that the key has in DSM.

use cryptoki_sys::*;
use proptest::prop_assert_eq;
use proptest::test_runner::{Config, TestRunner};
use serde_json::json;

use crate::keys::{Bench, Key, shared};
use crate::module::Mechanism;

const FF1: CK_MECHANISM_TYPE = CKM_VENDOR_DEFINED | 0x4453_4d01;
const MASKED: CK_ULONG = 1;

fn key(bench: &Bench, value: Option<&[u8]>, fpe: serde_json::Value) -> Key {
    key_with(bench, value, fpe, &["ENCRYPT", "DECRYPT"])
}

fn key_with(bench: &Bench, value: Option<&[u8]>, fpe: serde_json::Value, key_ops: &[&str]) -> Key {
    let label = format!("p11 {}", uuid::Uuid::new_v4());
    let mut spec = json!({"name": label, "obj_type": "AES", "key_size": 128, "key_ops": key_ops, "fpe": fpe});
    let method = if let Some(value) = value {
        spec["value"] = json!(base64_simd::STANDARD.encode_to_string(value));
        spec.as_object_mut().expect("an object").remove("key_size");
        "PUT"
    } else {
        "POST"
    };
    let made = bench.stack.dsm().request(method, "/crypto/v1/keys", Some(spec)).success().json();
    Key { kid: made["kid"].as_str().expect("a kid").to_owned(), label }
}

/// NIST's samples of FF1, 1 and 3: the first without tweak, the other's tweak is what the format preserves (none here, so sample 1).
#[test]
fn nist_s_first_sample() {
    let bench = shared();
    let value: Vec<u8> = vec![0x2b, 0x7e, 0x15, 0x16, 0x28, 0xae, 0xd2, 0xa6, 0xab, 0xf7, 0x15, 0x88, 0x09, 0xcf, 0x4f, 0x3c];
    for (key_ops, exports) in [(&["ENCRYPT", "DECRYPT"][..], 0), (&["ENCRYPT", "DECRYPT", "EXPORT"], 1)] {
        let key = key_with(bench, Some(&value), json!({"radix": 10, "min_length": 6, "max_length": 20}), key_ops);
        let (module, session, object) = bench.use_key(&key);
        let ff1 = Mechanism::Plain(FF1);
        assert_eq!(module.encrypt(session, &ff1, object, b"0123456789"), Ok(b"2433477484".to_vec()));
        assert_eq!(module.decrypt(session, &ff1, object, b"2433477484"), Ok(b"0123456789".to_vec()));
        assert_eq!(bench.stack.dsm().exports_of(&key.kid), exports);
        assert_eq!(bench.stack.dsm().uses_of(&key.kid, "encrypted"), 1 - exports, "here, or there");
    }
}

/// Luhn's sum: every second digit from the end is doubled, and its digits are added.
fn luhn(digits: &[u8]) -> u32 {
    let counted = digits.iter().rev().enumerate().map(|(place, digit)| {
        let digit = u32::from(digit - b'0') * if place % 2 == 0 { 1 } else { 2 };
        digit / 10 + digit % 10
    });
    counted.sum()
}

fn with_check_digit(text: String) -> String {
    let sum = luhn(format!("{text}0").as_bytes());
    format!("{text}{}", (10 - sum % 10) % 10)
}

/// The tokens of a key that is here are those that DSM makes with the same key. Where its documentation leaves room, DSM makes them.
#[test]
fn here_as_in_dsm() {
    let bench = shared();
    let number = json!({"radix": 10, "min_length": 12, "max_length": 19, "preserve": [0, -1, -2, -3], "mask": [0, 1, 2, 3]});
    let mut card = number.clone();
    card["luhn_check"] = json!(true);
    let word = json!({"radix": 36, "min_length": 5, "max_length": 12});
    let digits = json!({"min_length": 3, "max_length": 3, "char_set": [["0", "9"]]});
    let tail = json!({"min_length": 4, "max_length": 6, "char_set": [["a", "z"]], "mask": [0]});
    let parts = json!({"format": {"concat": [digits, {"literal": ["-"]}, tail]}});
    let as_it_is: fn(String) -> String = |text| text;
    for (fpe, texts, finish, is_local) in [
        (number, "[0-9]{11,20}", as_it_is, true),
        (word, "[0-9A-Z]{4,13}", as_it_is, true),
        (card, "[0-9]{10,19}", with_check_digit as fn(String) -> String, false),
        (parts, "[0-9]{3}-[a-z]{3,6}", as_it_is, false),
    ] {
        let ops = ["ENCRYPT", "DECRYPT", "EXPORT"];
        let (here, there) = (key_with(bench, Some(&[5; 16]), fpe.clone(), &ops), key(bench, Some(&[5; 16]), fpe));
        let (module, session, [local, remote]) = bench.use_keys([&here, &there]);
        let (ff1, masked) = (Mechanism::Plain(FF1), Mechanism::Number(FF1, MASKED));
        let made = std::cell::Cell::new(0);
        let mut runner = TestRunner::new(Config { cases: 32, failure_persistence: None, ..Config::default() });
        let same = |text: String| {
            let text = finish(text);
            let token = module.encrypt(session, &ff1, local, text.as_bytes());
            prop_assert_eq!(&token, &module.encrypt(session, &ff1, remote, text.as_bytes()));
            let token = token.unwrap_or_else(|_| text.clone().into_bytes());
            for mechanism in [&ff1, &masked] {
                let back = module.decrypt(session, mechanism, local, &token);
                prop_assert_eq!(&back, &module.decrypt(session, mechanism, remote, &token));
                made.set(made.get() + usize::from(back.is_ok()));
            }
            Ok(())
        };
        runner.run(&proptest::string::string_regex(texts).expect("a pattern"), same).expect("the same");
        assert!(made.get() > 0, "some are of the format");
        let dsm = bench.stack.dsm();
        assert_eq!((dsm.exports_of(&here.kid), dsm.exports_of(&there.kid)), (1, 0));
        assert_eq!(dsm.uses_of(&here.kid, "encrypted") == 0, is_local);
    }
}

#[test]
fn the_format_is_honoured() {
    let bench = shared();
    let fpe = json!({"radix": 10, "min_length": 12, "max_length": 19, "preserve": [-1, -2, -3], "mask": [0, 1, 2, 3], "luhn_check": true});
    let key = key(bench, None, fpe);
    let (module, session, object) = bench.use_key(&key);
    let number = b"4111111111111111";
    let token = module.encrypt(session, &Mechanism::Plain(FF1), object, number).expect("a token");
    assert_eq!((token.len(), &token[13..]), (16, &number[13..]), "preserved");
    assert_ne!(token, number);
    assert_eq!(luhn(&token) % 10, 0);
    assert_eq!(module.decrypt(session, &Mechanism::Plain(FF1), object, &token), Ok(number.to_vec()));
    assert_eq!(module.decrypt(session, &Mechanism::Number(FF1, MASKED), object, &token), Ok(b"****111111111111".to_vec()));
    assert_eq!(module.encrypt(session, &Mechanism::Plain(FF1), object, b"4111111111111112"), Err(CKR_DATA_INVALID), "Luhn");
    assert_eq!(module.encrypt(session, &Mechanism::Plain(FF1), object, b"41111"), Err(CKR_DATA_INVALID), "too short");
    assert_eq!(module.encrypt(session, &Mechanism::Plain(FF1), object, b"411111111111111x"), Err(CKR_DATA_INVALID), "no digit");
    assert_eq!(module.encrypt(session, &Mechanism::Number(FF1, 2), object, number), Err(CKR_MECHANISM_PARAM_INVALID));
    // Such a key does nothing else.
    assert!(module.encrypt(session, &Mechanism::Plain(CKM_AES_ECB), object, &[0; 16]).is_err());
    assert!(bench.stack.dsm().uses_of(&key.kid, "encrypted") > 0);
}

#[test]
fn a_key_without_format_has_no_tokens() {
    let bench = shared();
    let (module, session, object) = bench.use_key(&bench.aes());
    assert!(module.encrypt(session, &Mechanism::Plain(FF1), object, b"0123456789").is_err());
}
