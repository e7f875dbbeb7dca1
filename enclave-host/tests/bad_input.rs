//! Bad input: DSM's status and text, and the service goes on.
#![forbid(unsafe_code)]

mod common;

use std::time::Duration;

use common::{Raw, base64, exportable_aes, exportable_ec, exportable_rsa, gcm, halves, open_gcm, token};
use dsma_testkit::{Host, Stack};
use serde_json::{Value, json};

#[test]
fn malformed_and_impossible_requests_are_answered_in_dsms_words() {
    let stack = Stack::start();
    let host = Host::start(&stack, &[]);
    let (dsm, client) = (stack.dsm(), host.client(&stack));
    let (aes, rsa, ec) = (exportable_aes(&dsm), exportable_rsa(&dsm), exportable_ec(&dsm));
    let sealed = client.request("POST", "/crypto/v1/encrypt", Some(gcm(&aes))).success().json();
    let with = |mut body: Value, name: &str, value: Value| {
        body[name] = value;
        body.to_string()
    };
    let seal = |name: &str, value: Value| with(gcm(&aes), name, value);
    let open = |name: &str, value: Value| with(open_gcm(&sealed), name, value);
    let signature = |name: &str, value: Value| with(common::sign(&ec), name, value);
    let cases = [
        ("encrypt", "not JSON", "{".to_owned()),
        ("encrypt", "not even text", "\u{0}\u{1}".to_owned()),
        ("encrypt", "nothing", String::new()),
        ("encrypt", "another shape", "[]".to_owned()),
        ("encrypt", "no key", seal("key", json!(null))),
        ("encrypt", "two keys", seal("key", json!({"kid": aes, "name": "x"}))),
        ("encrypt", "a transient key", seal("key", json!({"transient_key": "AAAA"}))),
        ("encrypt", "a malformed kid", seal("key", json!({"kid": "payroll"}))),
        ("encrypt", "an unknown name", seal("key", json!({"name": "nobody knows"}))),
        ("encrypt", "an unknown algorithm", seal("alg", json!("ROT13"))),
        ("encrypt", "another algorithm", seal("alg", json!("RSA"))),
        ("encrypt", "an unknown mode", seal("mode", json!("XTS"))),
        ("encrypt", "no mode", seal("mode", json!(null))),
        ("encrypt", "an RSA mode", seal("mode", json!("PKCS1_V15"))),
        ("encrypt", "a mode of DSM's", seal("mode", json!("KW"))),
        ("encrypt", "no tag length", seal("tag_len", json!(null))),
        ("encrypt", "a tag of no whole bytes", seal("tag_len", json!(127))),
        ("encrypt", "a tag that is too short", seal("tag_len", json!(8))),
        ("encrypt", "a tag that is too long", seal("tag_len", json!(256))),
        ("encrypt", "base64 without padding", seal("plain", json!("Zg"))),
        ("encrypt", "base64 of another alphabet", seal("plain", json!("Zm9v_-=="))),
        ("encrypt", "an empty IV", seal("iv", json!(""))),
        ("encrypt", "a label", seal("label", json!("AAAA"))),
        ("decrypt", "no IV", open("iv", json!(null))),
        ("decrypt", "no tag", open("tag", json!(null))),
        ("decrypt", "a short tag", open("tag", json!("AAAA"))),
        ("decrypt", "another tag", open("tag", json!(base64(&[0; 16])))),
        ("decrypt", "other data", open("ad", json!("AAAA"))),
        ("decrypt", "a CBC IV that is too short", open("mode", json!("CBC"))),
        ("sign", "no digest algorithm", signature("hash_alg", json!(null))),
        ("sign", "an unknown digest algorithm", signature("hash_alg", json!("MD5"))),
        ("sign", "a digest and a message", signature("hash", json!(base64(&[0; 32])))),
        ("sign", "neither", signature("data", json!(null))),
        ("sign", "a mode for EC", signature("mode", json!({"PKCS1_V15": {}}))),
        ("sign", "an AES key", signature("key", json!({"kid": aes}))),
        ("sign", "a digest of another length", json!({"key": {"kid": rsa}, "hash_alg": "SHA256", "hash": "AAAA"}).to_string()),
        ("verify", "no signature", json!({"key": {"kid": rsa}, "hash_alg": "SHA256", "data": "AAAA"}).to_string()),
        (
            "encrypt",
            "too much for RSA",
            json!({"key": {"kid": rsa}, "alg": "RSA", "mode": "OAEP_MGF1_SHA256", "plain": base64(&[0; 400])}).to_string(),
        ),
        (
            "decrypt",
            "no RSA ciphertext",
            json!({"key": {"kid": rsa}, "alg": "RSA", "mode": "OAEP_MGF1_SHA256", "cipher": base64(&[1; 256])}).to_string(),
        ),
    ];
    for (operation, what, body) in cases {
        let path = format!("/crypto/v1/{operation}");
        let expected = dsm.try_request("POST", &path, Some(body.clone().into_bytes())).unwrap();
        let got = client.try_request("POST", &path, Some(body.into_bytes())).unwrap();
        assert_eq!((got.status, &got.text), (expected.status, &expected.text), "{operation} with {what}");
        assert!(got.status >= 400 && !got.text.is_empty(), "{operation} with {what}: {}", got.status);
        assert_eq!(got.request_id.len(), 8, "{operation} with {what}");
    }
    // Still there.
    client.request("POST", "/crypto/v1/encrypt", Some(gcm(&aes))).success();
}

#[test]
fn a_body_over_the_limit_is_refused_as_dsm_does() {
    let stack = Stack::start();
    let host = Host::start(&stack, &[]);
    let (dsm, client) = (stack.dsm(), host.client(&stack));
    let kid = exportable_aes(&dsm);
    let mut request = gcm(&kid);
    request["plain"] = json!(base64(&vec![0; 1 << 20]));
    let body = request.to_string().into_bytes();
    let (expected, got) =
        (dsm.try_request("POST", "/crypto/v1/encrypt", Some(body.clone())), client.try_request("POST", "/crypto/v1/encrypt", Some(body)));
    let (expected, got) = (expected.unwrap(), got.unwrap());
    assert_eq!((got.status, &got.text), (expected.status, &expected.text));
    assert_eq!(got.status, 413);
    // The largest that fits is served here.
    request["plain"] = json!(base64(&vec![0; 700 << 10]));
    client.request("POST", "/crypto/v1/encrypt", Some(request)).success();
    assert_eq!((dsm.exports_of(&kid), dsm.uses_of(&kid, "encrypt")), (1, 0));
}

#[test]
fn clear_wants_a_credential_and_a_list() {
    let stack = Stack::start();
    let host = Host::start(&stack, &[("BEARER_AUTH_ENABLED", "true")]);
    let (dsm, client) = (stack.dsm(), host.client(&stack));
    let path = "/accelerator/v1/keys/clear";
    let (first, second) = (exportable_aes(&dsm), exportable_aes(&dsm));
    for kid in [&first, &second] {
        client.request("POST", "/crypto/v1/encrypt", Some(gcm(kid))).success();
    }
    for (who, stranger) in [
        ("nobody", client.with(dsma_testkit::Credential::None)),
        ("a stranger", client.with(dsma_testkit::Credential::Basic(base64(b"00000000-0000-4000-8000-000000000000:x")))),
        ("an invented session", client.with(dsma_testkit::Credential::Bearer("invented".into()))),
    ] {
        let reply = stranger.request("POST", path, None);
        assert_eq!(reply.status, 401, "{who}");
        assert!(!reply.text.is_empty(), "{who}");
    }
    for slip in [json!(["payroll"]), json!({"kid": [first]}), json!({"keys": [first]})] {
        let reply = client.request("POST", path, Some(slip));
        assert_eq!(reply.status, 400, "{}", reply.text);
        assert!(reply.text.contains("expected"), "{}", reply.text);
    }
    let cleared = |body: Option<Value>| client.request("POST", path, body).success().json()["cleared"].clone();
    assert_eq!(cleared(Some(json!({"kids": [first]}))), 1);
    assert_eq!(cleared(Some(json!([first]))), 0);
    // A session of the same app, whether the service saw it opened or not.
    for session in [client.login(), client.with(token(&dsm))] {
        session.request("POST", path, Some(json!({"key_ids": [first]}))).success();
    }
    assert_eq!(cleared(None), 1);
    client.request("POST", "/crypto/v1/encrypt", Some(gcm(&first))).success();
    assert_eq!((dsm.exports_of(&first), dsm.exports_of(&second)), (2, 1));
}

#[test]
fn what_is_nobodys_is_not_found_and_what_is_dsms_is_relayed() {
    let stack = Stack::start();
    let host = Host::start(&stack, &[]);
    let (dsm, client) = (stack.dsm(), host.client(&stack));
    for path in ["/nothing", "/accelerator/v1/nothing", "/crypto"] {
        assert_eq!(client.request("GET", path, None).status, 404, "{path}");
    }
    assert_eq!(client.request("GET", "/", None).success().json()["available"], true);
    for (method, path) in
        [("GET", "/sys/v1/version"), ("GET", "/sys/v1/health"), ("GET", "/crypto/v1/nothing"), ("PUT", "/crypto/v1/encrypt")]
    {
        let (expected, got) = (dsm.request(method, path, None), client.request(method, path, None));
        assert_eq!((got.status, &got.text), (expected.status, &expected.text), "{method} {path}");
        assert_eq!(got.request_id.len(), 8, "{method} {path}");
    }
    // Queries and bodies come through.
    let kid = client.create_key(json!({"name": "relayed", "obj_type": "AES", "key_size": 128}));
    let found = client.request("GET", "/crypto/v1/keys?name=relayed&limit=10", None).success().json();
    assert_eq!(found[0]["kid"], kid);
}

#[test]
fn what_cannot_be_worked_on_now_is_refused_with_the_time_to_come_back() {
    let stack = Stack::start();
    let host = Host::start(&stack, &[("MAX_IN_FLIGHT", "1")]);
    let kid = exportable_aes(&stack.dsm());
    let (most, last) = halves("/crypto/v1/encrypt", &stack.api_key(), &gcm(&kid));
    let client = host.client(&stack);
    let occupy = || {
        let mut slow = Raw::connect(&host, &[b"http/1.1"]);
        slow.send(&most);
        // The slow one is at work once another is refused; it may have come while another was at work, and been refused itself.
        let refused =
            (0..50).map(|_| client.request("GET", "/", None)).find(|reply| reply.status == 503 && reply.text.contains("try again"));
        refused.map(|_| slow)
    };
    let mut slow = (0..20).find_map(|_| occupy()).unwrap();
    let mut second = Raw::connect(&host, &[b"http/1.1"]);
    second.send(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let text = second.read_to_end().to_lowercase();
    assert!(text.starts_with("http/1.1 503") && text.contains("retry-after: 1"), "{text}");
    slow.send(&last);
    let text = slow.read_to_end();
    assert!(text.starts_with("HTTP/1.1 200") && text.contains(&kid), "{text}");
    client.request("GET", "/", None).success();
}

#[test]
fn connections_beyond_the_limit_wait_for_a_place() {
    let stack = Stack::start();
    let host = Host::start(&stack, &[("MAX_CONNECTIONS", "1")]);
    let mut first = Raw::connect(&host, &[b"http/1.1"]);
    assert!(first.handshake(Duration::from_secs(60)).is_ok());
    let mut second = Raw::connect(&host, &[b"http/1.1"]);
    assert!(second.handshake(Duration::from_millis(300)).is_err(), "a second connection was served");
    drop(first);
    second.handshake(Duration::from_secs(60)).unwrap();
}

#[test]
fn both_protocols_are_offered() {
    let stack = Stack::start();
    let host = Host::start(&stack, &[]);
    for protocol in [&b"h2"[..], b"http/1.1"] {
        let mut connection = Raw::connect(&host, &[protocol]);
        assert_eq!(connection.handshake(Duration::from_secs(60)).unwrap().as_deref(), Some(protocol));
    }
}
