//! One export per key and process, however many ask at once, and DSM's own log as the witness.
#![forbid(unsafe_code)]

mod common;

use std::sync::{Barrier, Mutex};

use common::{MESSAGE, base64, exportable_aes, exportable_ec, exportable_rsa, gcm, open_gcm, sign, token};
use dsma_testkit::{Host, Stack};
use serde_json::json;

const CALLERS: usize = 1000;

#[test]
fn a_thousand_first_uses_of_a_key_export_it_once() {
    let (stack, host) = start(&[]);
    let dsm = stack.dsm();
    let kid = exportable_aes(&dsm);
    // Connected before, one after the other: a thousand handshakes at once would take longer than the service waits for one.
    let (turn, start) = (Mutex::new(()), Barrier::new(CALLERS));
    let connected = || {
        let _turn = turn.lock().unwrap();
        let client = host.client(&stack);
        client.request("GET", "/", None).success();
        client
    };
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let call = || {
            let client = connected();
            start.wait();
            client.request("POST", "/crypto/v1/encrypt", Some(gcm(&kid))).status
        };
        let spawn = |_| std::thread::Builder::new().stack_size(256 << 10).spawn_scoped(scope, call).unwrap();
        let callers: Vec<_> = (0..CALLERS).map(spawn).collect();
        callers.into_iter().map(|caller| caller.join().unwrap()).collect()
    });
    assert_eq!(statuses, vec![200; CALLERS]);
    assert_eq!((dsm.exports_of(&kid), dsm.uses_of(&kid, "encrypt")), (1, 0));
    // One confirmation of the caller as well: our own login and this one.
    let logins = dsm.audit().iter().filter(|record| record["message"].as_str().unwrap().starts_with("Authenticated")).count();
    assert_eq!(logins, 2);
}

#[test]
fn every_operation_is_done_here_and_dsm_understands_the_result() {
    let (stack, host) = start(&[]);
    let (dsm, client) = (stack.dsm(), host.client(&stack));
    let (aes, rsa, ec) = (exportable_aes(&dsm), exportable_rsa(&dsm), exportable_ec(&dsm));
    let post = |path: &str, body| client.request("POST", path, Some(body)).success().json();

    let sealed = post("/crypto/v1/encrypt", gcm(&aes));
    assert_eq!(post("/crypto/v1/decrypt", open_gcm(&sealed))["plain"], base64(MESSAGE));
    let modes = [("CBC", base64(&[7; 16])), ("CTR", base64(&[8; 16]))];
    let mut sealed_by_mode = Vec::new();
    for (mode, iv) in &modes {
        let request = json!({"alg": "AES", "mode": mode, "iv": iv, "plain": base64(MESSAGE)});
        let sealed = post(&format!("/crypto/v1/keys/{aes}/encrypt"), request);
        let request = json!({"alg": "AES", "mode": mode, "iv": iv, "cipher": sealed["cipher"]});
        assert_eq!(post(&format!("/crypto/v1/keys/{aes}/decrypt"), request)["plain"], base64(MESSAGE), "{mode}");
        sealed_by_mode.push((mode, iv, sealed["cipher"].clone()));
    }
    let oaep = json!({"OAEP": {"mgf": {"mgf1": {"hash": "SHA256"}}}});
    let wrapped = post("/crypto/v1/encrypt", json!({"key": {"kid": rsa}, "alg": "RSA", "mode": oaep, "plain": base64(MESSAGE)}));
    let unwrap = json!({"key": {"kid": rsa}, "alg": "RSA", "mode": oaep, "cipher": wrapped["cipher"]});
    assert_eq!(post("/crypto/v1/decrypt", unwrap.clone())["plain"], base64(MESSAGE));
    let mut signatures = Vec::new();
    for (kid, mode) in [(&rsa, json!(null)), (&rsa, json!({"PSS": {"mgf": {"mgf1": {"hash": "SHA256"}}}})), (&ec, json!(null))] {
        let mut request = sign(kid);
        request["mode"] = mode;
        request["signature"] = post("/crypto/v1/sign", request.clone())["signature"].clone();
        assert_eq!(post("/crypto/v1/verify", request.clone())["result"], true);
        signatures.push(request);
    }
    let mut forged = signatures[2].clone();
    forged["data"] = json!(base64(b"another message"));
    assert_eq!(post("/crypto/v1/verify", forged)["result"], false);

    for kid in [&aes, &rsa, &ec] {
        let uses = ["encrypt", "decrypt", "sign", "verif"].map(|verb| dsm.uses_of(kid, verb));
        assert_eq!((dsm.exports_of(kid), uses), (1, [0; 4]), "{kid}");
    }

    // And now DSM itself.
    let ask = |path: &str, body| dsm.request("POST", path, Some(body)).success().json();
    assert_eq!(ask("/crypto/v1/decrypt", open_gcm(&sealed))["plain"], base64(MESSAGE));
    for (mode, iv, cipher) in sealed_by_mode {
        let request = json!({"key": {"kid": aes}, "alg": "AES", "mode": mode, "iv": iv, "cipher": cipher});
        assert_eq!(ask("/crypto/v1/decrypt", request)["plain"], base64(MESSAGE), "{mode}");
    }
    assert_eq!(ask("/crypto/v1/decrypt", unwrap)["plain"], base64(MESSAGE));
    for request in signatures {
        assert_eq!(ask("/crypto/v1/verify", request)["result"], true);
    }
    // The other way around.
    assert_eq!(post("/crypto/v1/decrypt", open_gcm(&ask("/crypto/v1/encrypt", gcm(&aes))))["plain"], base64(MESSAGE));
    let mut request = sign(&ec);
    request["signature"] = ask("/crypto/v1/sign", request.clone())["signature"].clone();
    assert_eq!(post("/crypto/v1/verify", request)["result"], true);
}

#[test]
fn bearer_callers_are_served_here_only_where_the_flag_says_so() {
    let stack = Stack::start();
    let dsm = stack.dsm();
    for (flag, expected) in [("true", (1, 0)), ("false", (0, 3))] {
        let host = Host::start(&stack, &[("BEARER_AUTH_ENABLED", flag)]);
        let kid = exportable_aes(&dsm);
        let session = host.client(&stack).login();
        for _ in 0..3 {
            session.request("POST", "/crypto/v1/encrypt", Some(gcm(&kid))).success();
        }
        assert_eq!((dsm.exports_of(&kid), dsm.uses_of(&kid, "encrypt")), expected, "BEARER_AUTH_ENABLED={flag}");
        assert_eq!(host.stop(), 0);
    }
}

#[test]
fn a_token_that_was_issued_elsewhere_earns_its_grant_by_one_use_in_dsm() {
    let (stack, host) = start(&[("BEARER_AUTH_ENABLED", "true")]);
    let dsm = stack.dsm();
    let kid = exportable_aes(&dsm);
    let session = host.client(&stack).with(token(&dsm));
    let sealed = session.request("POST", "/crypto/v1/encrypt", Some(gcm(&kid))).success().json();
    for _ in 0..3 {
        session.request("POST", "/crypto/v1/encrypt", Some(gcm(&kid))).success();
    }
    assert_eq!((dsm.exports_of(&kid), dsm.uses_of(&kid, "encrypt")), (1, 1));
    // Another operation is another grant.
    for _ in 0..3 {
        session.request("POST", "/crypto/v1/decrypt", Some(open_gcm(&sealed))).success();
    }
    assert_eq!((dsm.exports_of(&kid), dsm.uses_of(&kid, "decrypt")), (1, 1));
}

#[test]
fn a_key_that_may_not_be_exported_is_used_in_dsm() {
    let (stack, host) = start(&[]);
    let (dsm, client) = (stack.dsm(), host.client(&stack));
    let kid = common::aes_key(&dsm, &["ENCRYPT", "DECRYPT", "APPMANAGEABLE"]);
    let sealed = client.request("POST", "/crypto/v1/encrypt", Some(gcm(&kid))).success().json();
    let opened = client.request("POST", "/crypto/v1/decrypt", Some(open_gcm(&sealed))).success().json();
    assert_eq!(opened["plain"], base64(MESSAGE));
    assert_eq!((dsm.exports_of(&kid), dsm.uses_of(&kid, "encrypt"), dsm.uses_of(&kid, "decrypt")), (0, 1, 1));
}

#[test]
fn a_request_with_a_member_that_is_not_known_here_is_dsms() {
    let (stack, host) = start(&[]);
    let (dsm, client) = (stack.dsm(), host.client(&stack));
    let kid = exportable_aes(&dsm);
    let mut request = gcm(&kid);
    request["from_the_future"] = json!(true);
    client.request("POST", "/crypto/v1/encrypt", Some(request)).success();
    assert_eq!((dsm.exports_of(&kid), dsm.uses_of(&kid, "encrypt")), (0, 1));
}

#[test]
fn without_a_ttl_everything_passes_through() {
    let (stack, host) = start(&[("CACHE_TTL", "0")]);
    let (dsm, client) = (stack.dsm(), host.client(&stack));
    let kid = exportable_aes(&dsm);
    for _ in 0..2 {
        client.request("POST", "/crypto/v1/encrypt", Some(gcm(&kid))).success();
    }
    assert_eq!((dsm.exports_of(&kid), dsm.uses_of(&kid, "encrypt")), (0, 2));
}

fn start(env: &[(&str, &str)]) -> (Stack, Host) {
    let stack = Stack::start();
    let host = Host::start(&stack, env);
    (stack, host)
}
