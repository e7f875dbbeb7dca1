//! What newer and older key types do: Ed25519 signatures, and triple DES, against OpenSSL.

mod openssl;
mod wire;

use dsma_testkit::Stack;
use openssl::openssl;
use serde_json::json;
use wire::{all_refused, b64, both, bytes, from_hex, import, post};

#[test]
fn ed25519_signatures_agree_with_openssl_and_rfc_8032() {
    let stack = Stack::start();
    let dsm = stack.dsm();
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &[u8]| {
        let path = dir.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    // RFC 8032, section 7.1, test 2, as PKCS #8 of RFC 8410.
    let seed = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb";
    let signature =
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00";
    let kid = import(&dsm, "EC", &hex::decode(format!("302e020100300506032b657004220420{seed}")).unwrap());
    for reply in both(&dsm, &kid, "sign", &json!({"hash_alg": "SHA512", "data": from_hex("72")})) {
        assert_eq!(hex::encode(bytes(&reply["signature"])), signature);
    }
    let made = json!({"name": "ed25519", "obj_type": "EC", "elliptic_curve": "Ed25519"});
    let made = dsm.request("POST", "/crypto/v1/keys", Some(made)).success().json();
    let public = file("public", &bytes(&made["pub_key"]));
    let message = file("message", b"a message");
    let request = json!({"hash_alg": "SHA512", "data": b64(b"a message")});
    for reply in both(&dsm, made["kid"].as_str().unwrap(), "sign", &request) {
        let signature = file("signature", &bytes(&reply["signature"]));
        openssl(
            &["pkeyutl", "-verify", "-rawin", "-in", &message, "-pubin", "-keyform", "DER", "-inkey", &public, "-sigfile", &signature],
            &[],
        );
        let mut check = request.clone();
        check["signature"] = reply["signature"].clone();
        assert_eq!(both(&dsm, made["kid"].as_str().unwrap(), "verify", &check)[1]["result"], true);
        check["data"] = json!(b64(b"another"));
        assert_eq!(both(&dsm, made["kid"].as_str().unwrap(), "verify", &check)[0]["result"], false);
    }
    let key = json!({"kid": kid});
    all_refused(
        &dsm,
        &[
            ("sign", json!({"key": key, "hash_alg": "SHA256", "data": "AAAA"}), "SHA512"),
            ("sign", json!({"key": key, "hash_alg": "SHA512", "hash": b64(&[0; 64])}), "`data`"),
            ("sign", json!({"key": key, "data": "AAAA"}), "hash_alg"),
            ("sign", json!({"key": key, "hash_alg": "SHA512", "data": "AAAA", "mode": {"PKCS1_V15": {}}}), "`mode`"),
            ("sign", json!({"key": key, "hash_alg": "SHA512", "data": "AAAA", "context": "AAAA"}), "`context`"),
        ],
    );
}

#[test]
fn triple_des_agrees_with_openssl() {
    let stack = Stack::start();
    let dsm = stack.dsm();
    let (key, iv) = ("0123456789abcdef23456789abcdef01456789abcdef0123", "0001020304050607");
    let kid = import(&dsm, "DES3", &hex::decode(key).unwrap());
    let plain = b"sixteen bytes...and some more";
    for (mode, cipher, iv, plain) in [
        ("CBC", "-des-ede3-cbc", Some(iv), &plain[..]),
        ("CBCNOPAD", "-des-ede3-cbc", Some(iv), &plain[..24]),
        ("ECB", "-des-ede3", None, &plain[..16]),
    ] {
        let mut args = vec!["enc", cipher, "-K", key];
        args.extend(iv.iter().flat_map(|iv| ["-iv", iv]));
        args.extend((mode != "CBC").then_some("-nopad"));
        let expected = openssl(&args, plain);
        for reply in both(&dsm, &kid, "encrypt", &json!({"alg": "DES3", "mode": mode, "iv": iv.map(from_hex), "plain": b64(plain)})) {
            assert_eq!(bytes(&reply["cipher"]), expected, "{mode}");
        }
        for reply in both(&dsm, &kid, "decrypt", &json!({"alg": "DES3", "mode": mode, "iv": iv.map(from_hex), "cipher": b64(&expected)})) {
            assert_eq!(bytes(&reply["plain"]), plain, "{mode}");
        }
    }
    let args = ["mac", "-binary", "-cipher", "DES-EDE3-CBC", "-macopt", &format!("hexkey:{key}"), "-in", "-", "CMAC"];
    let mac = post(&dsm, "mac", json!({"key": {"kid": kid}, "data": b64(plain)})).success().json();
    assert_eq!(bytes(&mac["mac"]), openssl(&args, plain));
    let key = json!({"kid": kid});
    all_refused(
        &dsm,
        &[
            ("encrypt", json!({"key": key, "alg": "DES3", "mode": "GCM", "plain": "AAAA", "tag_len": 128}), "not supported"),
            ("encrypt", json!({"key": key, "alg": "DES3", "mode": "CBC", "plain": "AAAA", "iv": b64(&[0; 16])}), "IV"),
            ("encrypt", json!({"key": key, "alg": "AES", "mode": "CBC", "plain": "AAAA"}), "alg"),
        ],
    );
}
