//! Wrapped keys, against published vectors and OpenSSL; what the subject's key operations and export policy allow.

mod openssl;
mod wire;

use dsma_testkit::{Dsm, Stack};
use openssl::openssl;
use serde_json::{Value, json};
use wire::{all_refused, b64, both, bytes, from_hex, import, post, to_hex};

fn export(dsm: &Dsm, kid: &Value) -> Vec<u8> {
    bytes(&post(dsm, "keys/export", json!({"kid": kid})).success().json()["value"])
}

/// RFC 3394, section 4.6, and RFC 5649, section 6.
#[test]
fn key_wrap_of_published_keys() {
    let stack = Stack::start();
    let dsm = stack.dsm();
    for (key, mode, obj_type, subject, wrapped) in [
        (
            "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
            "KW",
            "AES",
            "00112233445566778899aabbccddeeff000102030405060708090a0b0c0d0e0f",
            "28c9f404c4b810f4cbccb35cfb87f8263f5786e2d80ed326cbc7f0e71a99f43bfb988b9b7a02dd21",
        ),
        (
            "5840df6e29b02af1ab493b705bf16ea1ae8338f4dcc176a8",
            "KWP",
            "HMAC",
            "c37b7e6492584340bed12207808941155068f738",
            "138bdeaa9b8fa7fc61f97742e72248ee5ae6ae5360d1ae6a5f54f373fa543b6a",
        ),
    ] {
        let (kid, subject_kid) = (import(&dsm, "AES", &hex::decode(key).unwrap()), import(&dsm, obj_type, &hex::decode(subject).unwrap()));
        for named in [json!({"subject": {"kid": subject_kid}}), json!({"kid": subject_kid, "subject": null})] {
            let mut body = json!({"alg": "AES", "mode": mode, "key_format": "Default"});
            body.as_object_mut().unwrap().extend(named.as_object().unwrap().clone());
            for reply in both(&dsm, &kid, "wrapkey", &body) {
                assert_eq!(to_hex(&reply["wrapped_key"]), wrapped, "{mode}");
            }
        }
        let body = json!({"key": {"kid": kid}, "alg": "AES", "mode": mode, "wrapped_key": from_hex(wrapped), "obj_type": obj_type});
        let mut named = body.clone();
        named["name"] = json!(format!("unwrapped {mode}"));
        let reply = post(&dsm, "unwrapkey", named);
        assert_eq!(reply.status, 201);
        assert_eq!(hex::encode(export(&dsm, &reply.json()["kid"])), subject);
        let mut broken = body;
        broken["wrapped_key"] = json!(from_hex(&wrapped.replacen(&wrapped[..2], "00", 1)));
        all_refused(&dsm, &[("unwrapkey", broken, "Decryption failed")]);
        assert_eq!((dsm.uses_of(&subject_kid, "wrapped"), dsm.uses_of(&kid, "unwrapped with")), (4, 1));
    }
}

#[test]
fn what_was_wrapped_is_what_openssl_unwraps() {
    let stack = Stack::start();
    let dsm = stack.dsm();
    let dir = tempfile::tempdir().unwrap();
    let key = "2b7e151628aed2a6abf7158809cf4f3c";
    let wrapping = import(&dsm, "AES", &hex::decode(key).unwrap());
    let ops = json!(["SIGN", "EXPORT"]);
    for spec in [json!({"obj_type": "RSA", "key_size": 2048}), json!({"obj_type": "EC", "elliptic_curve": "NistP256"})] {
        let mut spec = spec;
        (spec["key_ops"], spec["name"]) = (ops.clone(), json!(spec["obj_type"]));
        let made = dsm.request("POST", "/crypto/v1/keys", Some(spec)).success().json();
        for (format, differs) in [("Default", false), ("Pkcs8", true)] {
            let body = json!({"alg": "AES", "mode": "CBC", "subject": {"kid": made["kid"]}, "key_format": format});
            let [reply, _] = both(&dsm, &wrapping, "wrapkey", &body);
            let wrapped = bytes(&reply["wrapped_key"]);
            let value = openssl(&["enc", "-d", "-aes-128-cbc", "-K", key, "-iv", &to_hex(&reply["iv"])], &wrapped);
            let exported = export(&dsm, &made["kid"]);
            assert_eq!(value != exported, differs, "{format}");
            let public = openssl(&["pkey", "-inform", "DER", "-pubout", "-outform", "DER"], &value);
            assert_eq!(b64(&public), made["pub_key"], "{format}");
            if differs {
                openssl(&["pkcs8", "-inform", "DER", "-nocrypt"], &value);
            }
            // And back: whichever the form was, the sobject is the same.
            let body = json!({
                "alg": "AES", "mode": "CBC", "iv": reply["iv"], "wrapped_key": reply["wrapped_key"], "obj_type": made["obj_type"],
                "name": format!("{} {format}", made["obj_type"]), "key_ops": ["EXPORT"],
            });
            let again = post(&dsm, &format!("keys/{wrapping}/unwrapkey"), body).success().json();
            assert_eq!((export(&dsm, &again["kid"]), &again["pub_key"]), (exported, &made["pub_key"]));
        }
    }
    let rsa = dsm.create_key(json!({"obj_type": "RSA", "key_size": 2048, "key_ops": ["WRAPKEY", "UNWRAPKEY", "EXPORT"]}));
    let file = dir.path().join("rsa.der");
    std::fs::write(&file, export(&dsm, &json!(rsa))).unwrap();
    let body = json!({"alg": "RSA", "mode": "OAEP_MGF1_SHA256", "subject": {"kid": wrapping}});
    let [reply, _] = both(&dsm, &rsa, "wrapkey", &body);
    let mut args = vec!["pkeyutl", "-decrypt", "-keyform", "DER", "-inkey", file.to_str().unwrap()];
    args.extend(["-pkeyopt", "rsa_padding_mode:oaep", "-pkeyopt", "rsa_oaep_md:sha256", "-pkeyopt", "rsa_mgf1_md:sha256"]);
    assert_eq!(hex::encode(openssl(&args, &bytes(&reply["wrapped_key"]))), key);

    let body = json!({"alg": "AES", "mode": "GCM", "subject": {"kid": wrapping}, "tag_len": 128, "ad": "AAAA"});
    let [reply, _] = both(&dsm, &wrapping, "wrapkey", &body);
    let mut body = json!({"alg": "AES", "mode": "GCM", "iv": reply["iv"], "tag": reply["tag"], "ad": "AAAA"});
    body["cipher"] = reply["wrapped_key"].clone();
    assert_eq!(to_hex(&both(&dsm, &wrapping, "decrypt", &body)[0]["plain"]), key);
}

#[test]
fn the_subject_must_allow_it() {
    let stack = Stack::start();
    let dsm = stack.dsm();
    let wrapping = import(&dsm, "AES", &[1; 16]);
    let make = |spec: Value| {
        let mut body = json!({"obj_type": "AES", "key_size": 128, "key_ops": ["EXPORT"]});
        body.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        dsm.create_key(body)
    };
    let wrap = |dsm: &Dsm, subject: &str| {
        let reply = post(dsm, "wrapkey", json!({"key": {"kid": wrapping}, "alg": "AES", "mode": "KW", "subject": {"kid": subject}}));
        (reply.status, reply.text)
    };
    let only = |kid: &str| json!({"export_policy": {"$type": "Wrapped", "by": {"$type": "Only", "keys": [{"kid": kid}]}}});
    let any = make(json!({"export_policy": {"$type": "Wrapped", "by": {"$type": "Any"}}}));
    assert_eq!(post(&dsm, "keys/export", json!({"kid": any})).status, 403, "in the clear it does not leave");
    assert_eq!(wrap(&dsm, &any).0, 200);
    assert_eq!(wrap(&dsm, &make(only(&wrapping))).0, 200);
    let (status, text) = wrap(&dsm, &make(only(&any)));
    assert!(status == 403 && text.contains("wrapping key"), "{text}");
    let (status, text) = wrap(&dsm, &make(json!({"key_ops": ["ENCRYPT"]})));
    assert!(status == 403 && text.contains("EXPORT"), "{text}");
    let app = stack.dsm_as(&dsm.new_app("wrapper", &[(&dsm.default_group(), &["WRAPKEY"])]));
    assert_eq!(wrap(&app, &any).0, 403, "wrapping is an export");
    assert_eq!(wrap(&dsm, "00000000-0000-0000-0000-000000000001").0, 404);
}

#[test]
fn bad_input() {
    let stack = Stack::start();
    let dsm = stack.dsm();
    let kid = import(&dsm, "AES", &[1; 16]);
    let key = json!({"kid": kid});
    let ec = dsm.create_key(json!({"obj_type": "EC", "elliptic_curve": "NistP256", "key_ops": ["EXPORT"]}));
    let iv = b64(&[0; 16]);
    let no_key = post(&dsm, "encrypt", json!({"key": key, "alg": "AES", "mode": "CBC", "iv": iv, "plain": "AAAA"})).success().json();
    let cbc = |wrapped: &Value| json!({"key": key, "alg": "AES", "mode": "CBC", "iv": iv, "wrapped_key": wrapped, "obj_type": "AES", "name": "x"});
    let (no_key, broken) = (no_key["cipher"].clone(), json!(b64(&[7; 16])));
    all_refused(
        &dsm,
        &[
            ("wrapkey", json!({"key": key, "alg": "AES", "mode": "KW"}), "Missing field `subject`"),
            ("wrapkey", json!({"key": key, "alg": "AES", "mode": "KW", "subject": key, "kid": kid}), "Exactly one"),
            ("wrapkey", json!({"key": key, "mode": "KW", "subject": key}), "alg"),
            ("wrapkey", json!({"key": key, "alg": "RSA", "mode": "KW", "subject": key}), "alg"),
            ("wrapkey", json!({"key": key, "alg": "AES", "subject": key}), "Missing field `mode`"),
            ("wrapkey", json!({"key": key, "alg": "AES", "mode": "KW", "subject": key, "key_format": "Pkcs8"}), "Pkcs8"),
            ("wrapkey", json!({"key": key, "alg": "AES", "mode": "KW", "subject": key, "key_format": "Pem"}), "Pem"),
            ("wrapkey", json!({"key": key, "alg": "AES", "mode": "KW", "subject": {"kid": ec}}), "length"),
            ("wrapkey", json!({"key": key, "alg": "AES", "mode": "KW", "subject": 7}), "body"),
            ("unwrapkey", json!({"key": key, "alg": "AES", "mode": "KW", "obj_type": "AES"}), "wrapped_key"),
            ("unwrapkey", json!({"key": key, "alg": "AES", "mode": "KW", "wrapped_key": "AAAA", "obj_type": "AES"}), "length"),
            ("unwrapkey", json!({"key": key, "alg": "AES", "mode": "CTR", "iv": iv, "wrapped_key": "AAAA"}), "obj_type"),
            (
                "unwrapkey",
                json!({"key": key, "alg": "AES", "mode": "CTR", "iv": iv, "wrapped_key": "AAAA", "obj_type": "AES", "name": "x"}),
                "AES key",
            ),
            // A padding that holds around what is no key reads as one that does not hold.
            ("unwrapkey", cbc(&no_key), "Decryption failed"),
            ("unwrapkey", cbc(&broken), "Decryption failed"),
            (
                "unwrapkey",
                json!({"key": key, "alg": "AES", "mode": "CTR", "iv": iv, "wrapped_key": "AAAA", "obj_type": "RSA", "name": "x"}),
                "RSA key",
            ),
        ],
    );
    let nameless = json!({"key": key, "alg": "AES", "mode": "CTR", "iv": iv, "wrapped_key": b64(&[1; 16]), "obj_type": "AES"});
    assert_eq!(post(&dsm, "unwrapkey", nameless).status, 400);
}
