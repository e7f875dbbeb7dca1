//! Tokenization in the advanced form and in that of the second generation.

mod wire;

use dsma_testkit::{Dsm, Stack};
use serde_json::{Value, json};
use wire::{b64, bytes, post};

/// The first key of NIST's samples with this format.
fn key(dsm: &Dsm, format: &Value) -> String {
    static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let name = format!("format {}", COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
    let value = b64(&hex::decode("2b7e151628aed2a6abf7158809cf4f3c").unwrap());
    let body = json!({"name": name, "obj_type": "AES", "value": value, "fpe": format});
    dsm.request("PUT", "/crypto/v1/keys", Some(body)).success().json()["kid"].as_str().unwrap().to_owned()
}

fn tokenize(dsm: &Dsm, kid: &str, text: &str) -> (u16, String) {
    let reply = post(dsm, "encrypt", json!({"key": {"kid": kid}, "alg": "AES", "mode": "FF1", "plain": b64(text.as_bytes())}));
    match reply.status {
        200 => (200, String::from_utf8(bytes(&reply.json()["cipher"])).unwrap()),
        status => (status, reply.text),
    }
}

#[track_caller]
fn detokenize(dsm: &Dsm, kid: &str, token: &str, masked: bool) -> String {
    let body = json!({"key": {"kid": kid}, "alg": "AES", "mode": "FF1", "cipher": b64(token.as_bytes()), "masked": masked});
    String::from_utf8(bytes(&post(dsm, "decrypt", body).success().json()["plain"])).unwrap()
}

/// Tokenizes, and expects the text back. Returns the token.
#[track_caller]
fn exchange(dsm: &Dsm, kid: &str, text: &str) -> String {
    let (status, token) = tokenize(dsm, kid, text);
    assert_eq!(status, 200, "{text}: {token}");
    assert_eq!(detokenize(dsm, kid, &token, false), text, "{token}");
    token
}

const DIGITS: [[&str; 2]; 1] = [["0", "9"]];

/// NIST, "FF1samples", numbers 1, 2 and 3: where there is one alphabet, tokens are FF1's own.
#[test]
fn tokens_of_the_published_samples() {
    let stack = Stack::start();
    let dsm = stack.dsm();
    let first = json!({"format": {"min_length": 10, "max_length": 10, "char_set": DIGITS}});
    assert_eq!(exchange(&dsm, &key(&dsm, &first), "0123456789"), "2433477484");
    let second = json!({"format": {"concat": [
        {"min_length": 10, "max_length": 10, "char_set": DIGITS, "preserve": "all"},
        {"literal": ["-", ""]},
        {"min_length": 10, "max_length": 10, "char_set": DIGITS},
    ]}, "description": "the tweak is preserved, the hyphen is literal"});
    assert_eq!(exchange(&dsm, &key(&dsm, &second), "9876543210-0123456789"), "9876543210-6124200773");
    let letters = [["0", "9"], ["a", "z"]];
    let third = json!({"format": {"concat": [
        {"min_length": 11, "max_length": 11, "char_set": [["7", "7"], ["p", "s"]], "preserve": [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]},
        {"min_length": 1, "max_length": 30, "char_set": letters},
    ]}});
    assert_eq!(exchange(&dsm, &key(&dsm, &third), "7777pqrs7770123456789abcdefghi"), "7777pqrs777a9tv40mll9kdu509eum");
    let second_generation = json!({"format_v2": {"variants": [{"sections": [{"groups": [
        {"codes": [{"words": {"alphabet": DIGITS}, "min_repetitions": 10, "max_repetitions": 20}], "preserve": [10, 0]},
    ]}]}], "mode": "preserve_length"}});
    assert_eq!(exchange(&dsm, &key(&dsm, &second_generation), "98765432100123456789"), "98765432106124200773");
}

/// A card's number is tokenized alike, whichever form says what it is.
#[test]
fn the_forms_agree_on_what_each_can_say() {
    let stack = Stack::start();
    let dsm = stack.dsm();
    let basic = json!({"radix": 10, "min_length": 13, "max_length": 19, "preserve": [0, 1, -1], "mask": [3, 4], "luhn_check": true});
    let advanced = json!({"format": {"min_length": 13, "max_length": 19, "char_set": DIGITS, "preserve": [0, 1, -1], "mask": [3, 4],
        "constraints": {"luhn_check": true}}});
    let in_parts = json!({"format": {"concat": [
        {"min_length": 2, "max_length": 2, "char_set": DIGITS, "preserve": "all"},
        {"min_length": 10, "max_length": 16, "char_set": DIGITS, "preserve": [-1], "mask": [1, 2]},
    ], "constraints": {"luhn_check": true, "applies_to": {"0": "all", "1": "all"}}}});
    let second = json!({"format_v2": {"variants": [{"sections": [{"checksum": "luhn", "groups": [
        {"codes": [{"words": {"alphabet": DIGITS}, "min_repetitions": 13, "max_repetitions": 19}], "preserve": [2, 1]},
    ]}]}]}});
    let kids = [&basic, &advanced, &in_parts, &second].map(|format| key(&dsm, format));
    for number in ["4111111111111111", "378282246310005", "5555555555554444"] {
        let tokens: Vec<String> = kids.iter().map(|kid| exchange(&dsm, kid, number)).collect();
        assert!(tokens.iter().all(|token| *token == tokens[0] && token != number), "{tokens:?}");
        assert_eq!(detokenize(&dsm, &kids[0], &tokens[0], true), detokenize(&dsm, &kids[2], &tokens[0], true));
    }
    for kid in &kids {
        let (status, text) = tokenize(&dsm, kid, "4111111111111112");
        assert!(status == 400 && text.starts_with("Invalid text"), "{text}");
    }
}

/// An American social security number: 000, 666 and 900 to 999 are no first parts, 00 and 0000 no others.
#[test]
fn numbers_that_some_values_are_not() {
    let stack = Stack::start();
    let dsm = stack.dsm();
    let part = |length: u32, constraints: Value| json!({"min_length": length, "max_length": length, "char_set": DIGITS, "constraints": constraints});
    let format = json!({"format": {"concat": [
        part(3, json!({"num_gt": 0, "num_lt": 900, "num_ne": [666]})),
        {"literal": ["-", " "]},
        part(2, json!({"num_gt": 0})),
        {"literal": ["-", " "]},
        part(4, json!({"num_gt": 0})),
    ]}});
    let kid = key(&dsm, &format);
    for text in ["123-45-6789", "899 99 9999", "001-01 0001"] {
        let token = exchange(&dsm, &kid, text);
        let shape = |text: &str| text.replace(|letter: char| letter.is_ascii_digit(), "0");
        assert_eq!(shape(&token), shape(text));
        let number = |range: std::ops::Range<usize>| token[range].parse::<u32>().unwrap();
        assert!((1..900).contains(&number(0..3)) && number(0..3) != 666 && number(4..6) > 0 && number(7..11) > 0, "{token}");
    }
    for text in ["000-12-3456", "666-12-3456", "900-12-3456", "123-00-4567", "123-45-0000", "123456789", "123-45-678", "123-45-67890", ""] {
        let (status, why) = tokenize(&dsm, &kid, text);
        assert!(status == 400 && why.starts_with("Invalid text"), "{text}: {why}");
    }
}

#[test]
fn dates_stay_dates() {
    let stack = Stack::start();
    let dsm = stack.dsm();
    let part = |least: u32, most: u32, part: &str| json!({"min_length": least, "max_length": most, "char_set": DIGITS, "constraints": {"date": part}});
    let limits = json!({"after": {"year": 1919, "month": 12, "day": 31}, "before": {"year": 2030, "month": 1, "day": 1}});
    let format = json!({"format": {"concat": [
        part(2, 2, "day"), {"literal": ["."]}, part(2, 2, "month"), {"literal": ["."]}, part(4, 4, "year"),
    ], "constraints": {"date": {"dmy_date": limits}}}});
    let kid = key(&dsm, &format);
    let days = |month: u32, year: u32| match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    for text in ["29.02.2024", "01.01.1920", "31.12.2029", "15.08.1999"] {
        let token = exchange(&dsm, &kid, text);
        let numbers: Vec<u32> = token.split('.').map(|number| number.parse().unwrap()).collect();
        let [day, month, year] = numbers[..] else { panic!("{token}") };
        assert!((1920..2030).contains(&year) && (1..=12).contains(&month) && (1..=days(month, year)).contains(&day), "{token}");
    }
    for text in ["29.02.2023", "31.04.2000", "31.12.1919", "01.01.2030", "00.01.2000", "01.13.2000"] {
        assert_eq!(tokenize(&dsm, &kid, text).0, 400, "{text}");
    }
    // Few dates: they are walked among many numbers.
    let of_a_year = json!({"format": {"concat": [part(1, 2, "month"), {"literal": ["/"]}, part(2, 2, "day")],
        "constraints": {"date": {"month_day_date": {}}}}});
    let kid = key(&dsm, &of_a_year);
    let token = exchange(&dsm, &kid, "02/29");
    assert!(token.len() == 5 && tokenize(&dsm, &kid, "02/30").0 == 400, "{token}");
}

/// Choices, repetitions, other alphabets, masks and what is preserved as a whole.
#[test]
fn texts_of_several_parts() {
    let stack = Stack::start();
    let dsm = stack.dsm();
    let small = [["a", "z"]];
    let mail = json!({"format": {"concat": [
        {"multiple": {"concat": [{"min_length": 1, "max_length": 64, "char_set": small}, {"literal": [".", "_", ""]}]}, "min_repetitions": 1, "mask": true},
        {"literal": ["@"]},
        {"or": [
            {"concat": [{"literal": ["example."]}, {"min_length": 2, "max_length": 3, "char_set": small}], "preserve": true},
            {"min_length": 1, "max_length": 60, "char_set": [["a", "z"], [".", "."]]},
        ]},
    ], "max_length": 100}});
    let kid = key(&dsm, &mail);
    let token = exchange(&dsm, &kid, "john.middle_name@example.com");
    assert!(
        token.ends_with("@example.com") && &token[4..5] == "." && &token[11..12] == "_" && token != "john.middle_name@example.com",
        "{token}"
    );
    assert_eq!(detokenize(&dsm, &kid, &token, true), "****************@example.com");
    let token = exchange(&dsm, &kid, "a.b.c@some.where.org");
    assert!(!token.ends_with("org") || token != "a.b.c@some.where.org", "{token}");
    for text in ["@example.com", "john@", "JOHN@example.com", "john"] {
        assert_eq!(tokenize(&dsm, &kid, text).0, 400, "{text}");
    }
    let emoji = json!({"format": {"min_length": 4, "max_length": 30, "char_set": [["0", "9"], ["a", "f"]], "cipher_char_set": [["\u{1f600}", "\u{1f60f}"]]}});
    let kid = key(&dsm, &emoji);
    let token = exchange(&dsm, &kid, "deadbeef0123");
    assert!(token.chars().count() == 12 && token.chars().all(|letter| ('\u{1f600}'..='\u{1f60f}').contains(&letter)), "{token}");
    assert_eq!(tokenize(&dsm, &kid, &token).0, 400, "a token is no text");
}

#[test]
fn the_second_generation() {
    let stack = Stack::start();
    let dsm = stack.dsm();
    let digits = |least: u32, most: u32| json!({"words": {"alphabet": DIGITS}, "min_repetitions": least, "max_repetitions": most});
    let phone = json!({"format_v2": {"variants": [
        {"sections": [{"groups": [
            {"codes": [{"words": {"custom": {"list": ["+49", "+33", "+1"]}}}], "preserve": [3, 0]}, {"codes": [digits(7, 11)]},
        ]}]},
        {"sections": [{"groups": [
            {"codes": [{"words": {"integer_ranges": {"ranges": [[0, 665], [667, 899]], "padding_required": true}}}]}, {"codes": [digits(4, 8)]},
        ]}]},
    ], "mode": "preserve_format", "input_processing": {"passthrough_specific": {"passthrough": ["-", " "], "other": "reject"}}}});
    let kid = key(&dsm, &phone);
    let token = exchange(&dsm, &kid, "+49 30-1234567");
    assert!(token.starts_with("+49 ") && &token[6..7] == "-" && token.len() == 14 && token != "+49 30-1234567", "{token}");
    assert_eq!(detokenize(&dsm, &kid, &token, true), "+49 **-*******");
    let token = exchange(&dsm, &kid, "123-45678");
    assert!(token[..3].parse::<u32>().unwrap() < 900 && &token[..3] != "666", "{token}");
    for text in ["666-45678", "+49 x", "+44 1234567", "12", ""] {
        assert_eq!(tokenize(&dsm, &kid, text).0, 400, "{text}");
    }
    let stripped =
        json!({"format_v2": {"variants": [{"sections": [{"groups": [{"codes": [digits(9, 9)]}]}]}], "input_processing": "strip_unknown"}});
    let kid = key(&dsm, &stripped);
    let (_, token) = tokenize(&dsm, &kid, "123-45-6789");
    assert_eq!((token.len(), detokenize(&dsm, &kid, &token, false)), (9, "123456789".to_owned()));
}

/// Published clients cannot read such keys: a listing that they ask for has none of them.
#[test]
fn formats_of_these_forms_are_shown_to_who_asks() {
    let stack = Stack::start();
    let dsm = stack.dsm();
    let format = json!({"format": {"min_length": 10, "max_length": 10, "char_set": DIGITS}, "description": "ten digits"});
    let kid = key(&dsm, &format);
    key(&dsm, &json!({"radix": 10, "min_length": 6, "max_length": 6, "preserve": []}));
    assert_eq!(dsm.request("GET", &format!("/crypto/v1/keys/{kid}"), None).json()["fpe"], format);
    let listed = |query: &str| dsm.request("GET", &format!("/crypto/v1/keys?{query}"), None).json().as_array().unwrap().len();
    assert_eq!((listed("limit=10"), listed("show_newer_types=true")), (1, 2));
}

#[test]
fn bad_formats() {
    let stack = Stack::start();
    let dsm = stack.dsm();
    let part = |more: Value| {
        let mut part = json!({"min_length": 6, "max_length": 9, "char_set": DIGITS});
        part.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"format": part})
    };
    let group = |more: Value| json!({"format_v2": {"variants": [{"sections": [{"groups": [more]}]}]}});
    let mut deep = json!({"literal": ["x"]});
    for _ in 0..40 {
        deep = json!({"concat": [deep]});
    }
    for (format, words) in [
        (json!({"format": {}}), "did not match"),
        (json!({"format": 7}), "did not match"),
        (json!({"format": deep}), "too deep"),
        (json!({"format": {"literal": []}}), "no choices"),
        (json!({"format": {"or": []}}), "no subparts"),
        (json!({"format": {"literal": ["a"]}, "format_v2": {"variants": []}}), "exclude"),
        (part(json!({"min_length": 10})), "min_length"),
        (part(json!({"char_set": []})), "empty"),
        (part(json!({"char_set": [["9", "0"]]})), "before it begins"),
        (part(json!({"char_set": [["0", "5"], ["5", "9"]]})), "overlap"),
        (part(json!({"char_set": [["ab", "z"]]})), "did not match"),
        (part(json!({"cipher_char_set": [["a", "b"]]})), "same number"),
        (part(json!({"cipher_char_set": [["a", "j"]], "preserve": [0]})), "preserved"),
        (part(json!({"char_set": [["a", "j"]], "constraints": {"luhn_check": true}})), "digits"),
        (part(json!({"constraints": {"num_gt": 3}, "preserve": [0]})), "everything or nothing"),
        (part(json!({"constraints": {"num_gt": 3, "luhn_check": true}})), "excludes"),
        (part(json!({"constraints": {"date": {"dmy_date": {}}}})), "several parts"),
        (part(json!({"constraints": {"num_gt": 3}, "max_length": 30})), "18"),
        (json!({"format": {"concat": [part(json!({}))["format"]], "constraints": {"num_gt": 3}}}), "encrypted parts"),
        (json!({"format": {"concat": [part(json!({"preserve": []}))["format"]], "preserve": true}}), "say so again"),
        (json!({"format": {"multiple": part(json!({}))["format"], "min_repetitions": 3, "max_repetitions": 2}}), "min_repetitions"),
        (json!({"format_v2": {"variants": []}}), "variant"),
        (group(json!({"codes": []})), "code"),
        (group(json!({"codes": [{"words": {"alphabet": []}}]})), "empty"),
        (group(json!({"codes": [{"words": {"custom": {"list": []}}}]})), "no words"),
        (group(json!({"codes": [{"words": {"alphabet": DIGITS}, "min_repetitions": 2, "max_repetitions": 1}]})), "min_repetitions"),
        (group(json!({"codes": [{"words": {"alphabet": DIGITS}}], "min_repetitions": 0})), "left out"),
        (group(json!({"codes": [{"words": {"integer_ranges": {"ranges": [[2, 1]], "padding_required": false}}}]})), "before it begins"),
        (json!({"format_v2": {"variants": [], "mode": "fast"}}), "fast"),
    ] {
        let body = json!({"name": "bad", "obj_type": "AES", "key_size": 128, "fpe": format});
        let reply = dsm.request("POST", "/crypto/v1/keys", Some(body));
        assert!(reply.status == 400 && reply.text.starts_with("Invalid fpe") && reply.text.contains(words), "{format}: {}", reply.text);
    }
    let small = key(&dsm, &json!({"format": {"min_length": 1, "max_length": 9, "char_set": DIGITS}}));
    assert_eq!(tokenize(&dsm, &small, "1").0, 400, "ten values are none to hide among");
    let token = exchange(&dsm, &small, "42");
    assert!(token.len() == 2 && token.bytes().all(|byte| byte.is_ascii_digit()), "{token}");
}
