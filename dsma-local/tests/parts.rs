//! Messages in parts: the same as in one call, whichever parts, in both spellings; states that are not ours are refused.

mod openssl;

use base64_simd::STANDARD;
use dsma_testkit::{Dsm, Stack};
use openssl::openssl;
use serde_json::{Value, json};

const KEY: &str = "feffe9928665731c6d6a8f9467308308";

fn b64(bytes: &[u8]) -> String {
    STANDARD.encode_to_string(bytes)
}

fn bytes(value: &Value) -> Vec<u8> {
    STANDARD.decode_to_vec(value.as_str().unwrap_or_else(|| panic!("base64 expected: {value}"))).unwrap()
}

fn import_aes(dsm: &Dsm, name: &str) -> String {
    let body = json!({"name": name, "obj_type": "AES", "value": b64(&hex::decode(KEY).unwrap())});
    dsm.request("PUT", "/crypto/v1/keys", Some(body)).success().json()["kid"].as_str().unwrap().to_owned()
}

/// A key, and whether the path names it (as older clients do) or the body.
#[derive(Clone, Copy)]
struct Via<'a>(&'a Dsm, &'a str, bool);

/// One message through init, updates of `step` bytes and final. Returns what came out, and the answers of init and final.
fn run(via: Via<'_>, encrypt: bool, init: Value, input: &[u8], step: usize, end: Value) -> (Vec<u8>, Value, Value) {
    let Via(dsm, kid, by_path) = via;
    let (direction, given, made) = if encrypt { ("encrypt", "plain", "cipher") } else { ("decrypt", "cipher", "plain") };
    let call = |part: &str, mut body: Value| {
        let path = if by_path {
            format!("/crypto/v1/keys/{kid}/{direction}/{part}")
        } else {
            body["key"] = json!({"kid": kid});
            format!("/crypto/v1/{direction}/{part}")
        };
        dsm.request("POST", &path, Some(body)).success().json()
    };
    let init = call("init", init);
    assert_eq!(init["kid"], kid);
    let (mut state, mut output) = (init["state"].clone(), Vec::new());
    for part in input.chunks(step) {
        let reply = call("update", json!({given: b64(part), "state": state}));
        output.extend(bytes(&reply[made]));
        state = reply["state"].clone();
    }
    let mut body = end;
    body["state"] = state;
    let end = call("final", body);
    output.extend(bytes(&end[made]));
    (output, init, end)
}

#[test]
fn parts_agree_with_openssl_and_with_one_call() {
    let stack = Stack::start();
    let dsm = stack.dsm().login();
    let kid = import_aes(&dsm, "k");
    let iv = "000102030405060708090a0b0c0d0e0f";
    let plain: Vec<u8> = (0..112_u8).collect();
    for (mode, cipher) in [("CBC", "-aes-128-cbc"), ("CBCNOPAD", "-aes-128-cbc"), ("CTR", "-aes-128-ctr")] {
        let mut args = vec!["enc", cipher, "-K", KEY, "-iv", iv];
        args.extend((mode == "CBCNOPAD").then_some("-nopad"));
        let expected = openssl(&args, &plain);
        let params = json!({"alg": "AES", "mode": mode, "iv": b64(&hex::decode(iv).unwrap()), "ad": null});
        for (step, by_path) in [(1, false), (15, true), (16, false), (40, true), (1000, false)] {
            let (got, init, end) = run(Via(&dsm, &kid, by_path), true, params.clone(), &plain, step, json!({"tag_len": null}));
            assert_eq!((hex::encode(got), &init["iv"]), (hex::encode(&expected), &params["iv"]), "{mode} {step}");
            assert!(end["tag"].is_null());
            let (got, init, _) = run(Via(&dsm, &kid, by_path), false, params.clone(), &expected, step, json!({}));
            assert_eq!(hex::encode(got), hex::encode(&plain), "{mode} {step}");
            assert!(init["iv"].is_null());
        }
    }
    let one_call = json!({"key": {"kid": kid}, "alg": "AES", "mode": "CBC", "plain": ""});
    let whole = dsm.request("POST", "/crypto/v1/encrypt", Some(one_call)).success().json();
    let params = json!({"alg": "AES", "mode": "CBC", "iv": whole["iv"]});
    assert_eq!(run(Via(&dsm, &kid, false), true, params, &[], 1, json!({})).0, bytes(&whole["cipher"]), "the empty message");
}

/// McGrew and Viega, "The Galois/Counter Mode of Operation", test cases 4 and 6 (an IV of 60 bytes).
#[test]
fn gcm_in_parts_gives_the_published_vectors() {
    let stack = Stack::start();
    let dsm = stack.dsm();
    let kid = import_aes(&dsm, "gcm");
    let ad = "feedfacedeadbeeffeedfacedeadbeefabaddad2";
    let plain = "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39";
    let long_iv =
        "9313225df88406e555909c5aff5269aa6a7a9538534f7da1e4c303d2a318a728c3c0c95156809539fcf0e2429a6b525416aedbf5a0de6a57a637b39b";
    for (iv, cipher, tag) in [
        (
            "cafebabefacedbaddecaf888",
            "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091",
            "5bc94fbc3221a5db94fae95ae7121a47",
        ),
        (
            long_iv,
            "8ce24998625615b603a033aca13fb894be9112a5c3a211a8ba262a3cca7e2ca701e4a9a4fba43c90ccdcb281d48c7c6fd62875d2aca417034c34aee5",
            "619cc5aefffe0bfa462af43c1699d050",
        ),
    ] {
        let params = json!({"alg": "AES", "mode": "GCM", "iv": b64(&hex::decode(iv).unwrap()), "ad": b64(&hex::decode(ad).unwrap())});
        for step in [1, 16, 23, 1000] {
            // Without tag_len the tag is whole: older clients cannot send one here.
            for (tag_len, tag) in [(json!(null), tag), (json!(96), &tag[..24])] {
                let (got, _, end) =
                    run(Via(&dsm, &kid, false), true, params.clone(), &hex::decode(plain).unwrap(), step, json!({"tag_len": tag_len}));
                assert_eq!((hex::encode(got).as_str(), hex::encode(bytes(&end["tag"])).as_str()), (cipher, tag), "{step}");
                let end = json!({"tag": b64(&hex::decode(tag).unwrap())});
                let (got, ..) = run(Via(&dsm, &kid, true), false, params.clone(), &hex::decode(cipher).unwrap(), step, end);
                assert_eq!(hex::encode(got), plain, "{step}");
            }
        }
        let init = dsm.request("POST", &format!("/crypto/v1/keys/{kid}/decrypt/init"), Some(params)).success().json();
        let body = json!({"state": init["state"], "tag": b64(&[0; 16])});
        let refused = dsm.request("POST", &format!("/crypto/v1/keys/{kid}/decrypt/final"), Some(body));
        assert_eq!((refused.status, refused.text.as_str()), (400, "Decryption failed"));
    }
}

#[test]
fn a_state_serves_its_key_its_direction_and_who_may_use_the_key() {
    let stack = Stack::start();
    let dsm = stack.dsm();
    let (kid, other) = (import_aes(&dsm, "k"), import_aes(&dsm, "other"));
    let params = json!({"alg": "AES", "mode": "CTR", "iv": b64(&[0; 16])});
    let init = |direction: &str| {
        let path = format!("/crypto/v1/keys/{kid}/{direction}/init");
        dsm.request("POST", &path, Some(params.clone())).success().json()["state"].clone()
    };
    let state = init("encrypt");
    let update = |dsm: &Dsm, key: &str, direction: &str, state: &Value| {
        let body = json!({"key": {"kid": key}, "plain": "AAAA", "cipher": "AAAA", "state": state});
        let reply = dsm.request("POST", &format!("/crypto/v1/{direction}/update"), Some(body));
        (reply.status, reply.text)
    };
    assert_eq!(update(&dsm, &kid, "encrypt", &state).0, 200);
    let mut tampered = bytes(&state);
    *tampered.last_mut().unwrap() ^= 1;
    for (key, direction, state) in [
        (&kid, "encrypt", &json!(b64(&tampered))),
        (&kid, "encrypt", &json!("")),
        (&kid, "encrypt", &json!("AAAA")),
        (&kid, "decrypt", &state),
        (&other, "encrypt", &state),
        (&kid, "encrypt", &init("decrypt")),
    ] {
        let (status, text) = update(&dsm, key, direction, state);
        assert!(status == 400 && text.starts_with("Invalid state"), "{direction} {state}: {status} {text}");
    }
    let reader = dsm.new_app("reader", &[(&dsm.default_group(), &["DECRYPT"])]);
    let reader = stack.dsm_as(&reader);
    assert_eq!(update(&reader, &kid, "encrypt", &state).0, 403);
    let (status, text) = update(&reader, &kid, "decrypt", &init("decrypt"));
    assert!(status == 400 && text.starts_with("Invalid state"), "another app's state: {status} {text}");
    let again = dsm.login();
    assert_eq!(update(&again, &kid, "encrypt", &state).0, 200, "another session of the same app");

    stack.restart();
    assert_eq!(update(&stack.dsm(), &kid, "encrypt", &state).0, 200, "the server remembers nothing");
    dsm_disable(&stack.dsm(), &kid);
    assert_eq!(update(&stack.dsm(), &kid, "encrypt", &state).0, 403, "a key that was disabled meanwhile");
}

/// Transient keys have no id, and answers show none.
#[test]
fn a_state_of_a_transient_key_serves_that_key() {
    let stack = Stack::start();
    let dsm = stack.dsm().login();
    let make = || {
        let body = json!({"obj_type": "AES", "key_size": 128, "transient": true});
        json!({"transient_key": dsm.request("POST", "/crypto/v1/keys", Some(body)).success().json()["transient_key"]})
    };
    let (key, other) = (make(), make());
    let init = json!({"key": key, "alg": "AES", "mode": "CBC"});
    let init = dsm.request("POST", "/crypto/v1/encrypt/init", Some(init)).success().json();
    assert!(init["kid"].is_null(), "{init}");
    let update =
        |key: &Value| dsm.request("POST", "/crypto/v1/encrypt/update", Some(json!({"key": key, "plain": "AAAA", "state": init["state"]})));
    let reply = update(&other);
    assert!(reply.status == 400 && reply.text.starts_with("Invalid state"), "{} {}", reply.status, reply.text);
    let updated = update(&key).success().json();
    let end = dsm.request("POST", "/crypto/v1/encrypt/final", Some(json!({"key": key, "state": updated["state"]}))).success().json();
    let body = json!({"key": key, "alg": "AES", "mode": "CBC", "iv": init["iv"], "cipher": end["cipher"]});
    assert_eq!(dsm.request("POST", "/crypto/v1/decrypt", Some(body)).success().json()["plain"], "AAAA");
}

#[test]
fn triple_des_in_parts_agrees_with_openssl() {
    let stack = Stack::start();
    let dsm = stack.dsm();
    let (key, iv) = ("0123456789abcdef23456789abcdef01456789abcdef0123", "0001020304050607");
    let body = json!({"name": "des3", "obj_type": "DES3", "value": b64(&hex::decode(key).unwrap())});
    let kid = dsm.request("PUT", "/crypto/v1/keys", Some(body)).success().json()["kid"].as_str().unwrap().to_owned();
    let plain: Vec<u8> = (0..50).collect();
    let expected = openssl(&["enc", "-des-ede3-cbc", "-K", key, "-iv", iv], &plain);
    let params = json!({"alg": "DES3", "mode": "CBC", "iv": b64(&hex::decode(iv).unwrap())});
    for (step, by_path) in [(1, true), (8, false), (13, true), (100, false)] {
        let (got, ..) = run(Via(&dsm, &kid, by_path), true, params.clone(), &plain, step, json!({}));
        assert_eq!(hex::encode(got), hex::encode(&expected), "{step}");
        let (got, ..) = run(Via(&dsm, &kid, by_path), false, params.clone(), &expected, step, json!({}));
        assert_eq!(got, plain, "{step}");
    }
}

fn dsm_disable(dsm: &Dsm, kid: &str) {
    dsm.request("PATCH", &format!("/crypto/v1/keys/{kid}"), Some(json!({"enabled": false}))).success();
}

#[test]
fn bad_input() {
    let stack = Stack::start();
    let dsm = stack.dsm();
    let kid = import_aes(&dsm, "k");
    let key = json!({"kid": kid});
    let state =
        dsm.request("POST", "/crypto/v1/encrypt/init", Some(json!({"key": key, "alg": "AES", "mode": "CBC"}))).success().json()["state"]
            .clone();
    for (path, body, part) in [
        ("encrypt/init", json!({"key": key}), "alg"),
        ("encrypt/init", json!({"alg": "AES", "mode": "CBC"}), "Missing field `key`"),
        ("encrypt/init", json!({"key": key, "alg": "AES"}), "Missing field `mode`"),
        ("encrypt/init", json!({"key": key, "alg": "RSA", "mode": "CBC"}), "alg"),
        ("encrypt/init", json!({"key": key, "alg": "AES", "mode": "ECB"}), "not possible in parts"),
        ("encrypt/init", json!({"key": key, "alg": "AES", "mode": "CBC", "iv": "AAAA"}), "IV"),
        ("encrypt/init", json!({"key": key, "alg": "AES", "mode": "CTR", "ad": "AAAA"}), "`ad`"),
        ("decrypt/init", json!({"key": key, "mode": "GCM"}), "Missing field `iv`"),
        ("encrypt/update", json!({"key": key, "state": state}), "plain"),
        ("encrypt/update", json!({"key": key, "plain": "AAAA"}), "state"),
        ("encrypt/update", json!({"key": key, "plain": "AAAA", "state": 7}), "base64"),
        ("encrypt/update", json!({"key": key, "plain": "A", "state": state}), "base64"),
        ("encrypt/final", json!({"key": key, "state": null}), "state"),
        ("encrypt/final", json!({"key": key, "state": state, "tag_len": 128}), "`tag_len`"),
        ("decrypt/final", json!({"key": key, "state": state}), "Invalid state"),
    ] {
        let reply = dsm.request("POST", &format!("/crypto/v1/{path}"), Some(body.clone()));
        assert!(reply.status == 400 && reply.text.contains(part), "{path} {body}: {} {}", reply.status, reply.text);
    }
}
