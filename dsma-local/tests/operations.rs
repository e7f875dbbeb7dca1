//! Operations over the wire, against published vectors and OpenSSL, in both spellings.

mod openssl;

use base64_simd::STANDARD;
use dsma_testkit::{Dsm, Stack};
use openssl::openssl;
use serde_json::{Value, json};

/// NIST SP 800-38A, appendix F: the key, and the first block of the plaintext.
const KEY: &str = "2b7e151628aed2a6abf7158809cf4f3c";
const BLOCK: &str = "6bc1bee22e409f96e93d7e117393172a";

fn b64(bytes: &[u8]) -> String {
    STANDARD.encode_to_string(bytes)
}

fn from_hex(text: &str) -> String {
    b64(&hex::decode(text).unwrap())
}

fn to_hex(value: &Value) -> String {
    hex::encode(STANDARD.decode_to_vec(value.as_str().expect("base64")).unwrap())
}

fn import_aes(dsm: &Dsm, name: &str, key: &str) -> String {
    let body = json!({"name": name, "obj_type": "AES", "value": from_hex(key)});
    dsm.request("PUT", "/crypto/v1/keys", Some(body)).success().json()["kid"].as_str().unwrap().to_owned()
}

/// The request with a key in the body, and the path and request without.
fn spellings(kid: &str, operation: &str, body: &Value) -> [(String, Value); 2] {
    let mut with_key = body.clone();
    with_key["key"] = json!({"kid": kid});
    [(format!("/crypto/v1/{operation}"), with_key), (format!("/crypto/v1/keys/{kid}/{operation}"), body.clone())]
}

#[test]
fn aes_modes_give_the_published_vectors_in_both_spellings() {
    let stack = Stack::start();
    let dsm = stack.dsm();
    let kid = import_aes(&dsm, "800-38a", KEY);
    for (mode, iv, cipher) in [
        ("ECB", None, "3ad77bb40d7a3660a89ecaf32466ef97"),
        ("CBCNOPAD", Some("000102030405060708090a0b0c0d0e0f"), "7649abac8119b246cee98e9b12e9197d"),
        ("CTR", Some("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff"), "874d6191b620e3261bef6864990db6ce"),
    ] {
        let iv = iv.map(from_hex);
        let body = json!({"alg": "AES", "mode": mode, "iv": iv, "plain": from_hex(BLOCK), "ad": null, "tag_len": null});
        for (path, body) in spellings(&kid, "encrypt", &body) {
            let reply = dsm.request("POST", &path, Some(body)).success().json();
            assert_eq!((to_hex(&reply["cipher"]).as_str(), &reply["iv"]), (cipher, &json!(iv)), "{path} {mode}");
            assert_eq!(reply["kid"], kid);
            assert!(reply["tag"].is_null());
        }
        let body = json!({"alg": "AES", "mode": mode, "iv": iv, "cipher": from_hex(cipher)});
        for (path, body) in spellings(&kid, "decrypt", &body) {
            assert_eq!(to_hex(&dsm.request("POST", &path, Some(body)).success().json()["plain"]), BLOCK, "{path} {mode}");
        }
    }
}

/// McGrew and Viega, "The Galois/Counter Mode of Operation", test case 4.
#[test]
fn gcm_gives_the_published_vector_and_refuses_a_wrong_tag() {
    let stack = Stack::start();
    let dsm = stack.dsm();
    let kid = import_aes(&dsm, "gcm", "feffe9928665731c6d6a8f9467308308");
    let (iv, ad) = (from_hex("cafebabefacedbaddecaf888"), from_hex("feedfacedeadbeeffeedfacedeadbeefabaddad2"));
    let plain = "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39";
    let cipher = "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091";
    let tag = "5bc94fbc3221a5db94fae95ae7121a47";
    let body = json!({"key": {"name": "gcm"}, "alg": "AES", "mode": "GCM", "iv": iv, "ad": ad, "plain": from_hex(plain), "tag_len": 128});
    let reply = dsm.request("POST", "/crypto/v1/encrypt", Some(body)).success().json();
    assert_eq!((to_hex(&reply["cipher"]).as_str(), to_hex(&reply["tag"]).as_str()), (cipher, tag));

    let decrypt = |tag: &str, ad: &str| {
        let body = json!({"key": {"kid": kid}, "mode": "GCM", "iv": iv, "ad": ad, "cipher": from_hex(cipher), "tag": from_hex(tag)});
        dsm.request("POST", "/crypto/v1/decrypt", Some(body))
    };
    assert_eq!(to_hex(&decrypt(tag, &ad).success().json()["plain"]), plain);
    assert_eq!(to_hex(&decrypt(&tag[..24], &ad).success().json()["plain"]), plain, "a shorter tag");
    for reply in [decrypt("5bc94fbc3221a5db94fae95ae7121a48", &ad), decrypt(tag, "")] {
        assert_eq!((reply.status, reply.text.as_str()), (400, "Decryption failed"));
    }
}

#[test]
fn an_iv_is_made_where_none_is_given_and_cbc_pads() {
    let stack = Stack::start();
    let dsm = stack.dsm();
    let kid = import_aes(&dsm, "aes", KEY);
    for (mode, iv_len, tag_len) in [("GCM", 12, Some(96)), ("CBC", 16, None), ("CTR", 16, None)] {
        let body = json!({"key": {"kid": kid}, "alg": "AES", "mode": mode, "plain": b64(b"a text of 19 bytes."), "tag_len": tag_len});
        let [first, second] = [(); 2].map(|()| dsm.request("POST", "/crypto/v1/encrypt", Some(body.clone())).success().json());
        assert_ne!(first["iv"], second["iv"], "{mode}");
        assert_eq!(to_hex(&first["iv"]).len() / 2, iv_len, "{mode}");
        assert_eq!(first["tag"].is_string(), tag_len.is_some(), "{mode}");
        if mode == "CBC" {
            let cipher = hex::decode(to_hex(&first["cipher"])).unwrap();
            assert_eq!(openssl(&["enc", "-d", "-aes-128-cbc", "-K", KEY, "-iv", &to_hex(&first["iv"])], &cipher), b"a text of 19 bytes.");
        }
        let body = json!({"key": {"kid": kid}, "mode": mode, "cipher": first["cipher"], "iv": first["iv"], "tag": first["tag"]});
        let plain = dsm.request("POST", "/crypto/v1/decrypt", Some(body)).success().json();
        assert_eq!(STANDARD.decode_to_vec(plain["plain"].as_str().unwrap()).unwrap(), b"a text of 19 bytes.", "{mode}");
    }
}

#[test]
fn rsa_encryption_in_object_and_legacy_spelling_agrees_with_openssl() {
    let stack = Stack::start();
    let dsm = stack.dsm();
    let dir = tempfile::tempdir().unwrap();
    let policy = json!({"encryption_policy": [{}]});
    let ops = json!(["ENCRYPT", "DECRYPT", "EXPORT"]);
    let kid = dsm.create_key(json!({"name": "rsa", "obj_type": "RSA", "key_size": 2048, "key_ops": ops, "rsa": policy}));
    let exported = dsm.request("POST", "/crypto/v1/keys/export", Some(json!({"kid": kid}))).json();
    let key_file = dir.path().join("key.der");
    std::fs::write(&key_file, STANDARD.decode_to_vec(exported["value"].as_str().unwrap()).unwrap()).unwrap();
    let key_file = key_file.to_str().unwrap();

    let oaep = |hash: &str| json!({"OAEP": {"mgf": {"mgf1": {"hash": hash}}}});
    for (mode, same, options) in [
        (json!("PKCS1_V15"), json!({"PKCS1_V15": {}}), vec!["rsa_padding_mode:pkcs1"]),
        (json!("OAEP_MGF1_SHA1"), oaep("SHA1"), vec!["rsa_padding_mode:oaep", "rsa_oaep_md:sha1", "rsa_mgf1_md:sha1"]),
        (json!("OAEP_MGF1_SHA256"), oaep("sha256"), vec!["rsa_padding_mode:oaep", "rsa_oaep_md:sha256", "rsa_mgf1_md:sha256"]),
        (json!("OAEP_MGF1_SHA512"), oaep("SHA512"), vec!["rsa_padding_mode:oaep", "rsa_oaep_md:sha512", "rsa_mgf1_md:sha512"]),
    ] {
        let body = json!({"alg": "RSA", "mode": mode, "plain": b64(b"attack at dawn")});
        let reply = dsm.request("POST", &format!("/crypto/v1/keys/{kid}/encrypt"), Some(body)).success().json();
        let mut args = vec!["pkeyutl", "-decrypt", "-inkey", key_file, "-keyform", "DER"];
        args.extend(options.iter().flat_map(|option| ["-pkeyopt", option]));
        let cipher = STANDARD.decode_to_vec(reply["cipher"].as_str().unwrap()).unwrap();
        assert_eq!(openssl(&args, &cipher), b"attack at dawn", "{mode}");

        let body = json!({"key": {"kid": kid}, "alg": "RSA", "mode": same, "cipher": reply["cipher"]});
        let plain = dsm.request("POST", "/crypto/v1/decrypt", Some(body)).success().json();
        assert_eq!(plain["plain"], b64(b"attack at dawn"), "{same}");
    }
    let labelled = |label: Option<&str>| json!({"alg": "RSA", "mode": oaep("SHA256"), "label": label});
    let mut body = labelled(Some("bGFiZWw="));
    body["plain"] = json!("AAAA");
    let cipher = dsm.request("POST", &format!("/crypto/v1/keys/{kid}/encrypt"), Some(body)).success().json()["cipher"].clone();
    for (label, status) in [(Some("bGFiZWw="), 200), (None, 400)] {
        let mut body = labelled(label);
        body["cipher"] = cipher.clone();
        assert_eq!(dsm.request("POST", &format!("/crypto/v1/keys/{kid}/decrypt"), Some(body)).status, status, "{label:?}");
    }
}

#[test]
fn a_keys_padding_policy_holds_and_is_the_default() {
    let stack = Stack::start();
    let dsm = stack.dsm();
    dsm.create_key(json!({"name": "default", "obj_type": "RSA", "key_size": 2048}));
    let pss = json!([{"padding": {"PSS": {"mgf": {"mgf1": {"hash": "SHA256"}}}}}]);
    dsm.create_key(json!({"name": "pss", "obj_type": "RSA", "key_size": 2048, "rsa": {"signature_policy": pss}}));
    let encrypt = |mode: Value| {
        let body = json!({"key": {"name": "default"}, "alg": "RSA", "mode": mode, "plain": "AAAA"});
        dsm.request("POST", "/crypto/v1/encrypt", Some(body)).status
    };
    assert_eq!((encrypt(Value::Null), encrypt(json!("OAEP_MGF1_SHA1")), encrypt(json!("PKCS1_V15"))), (200, 200, 403));
    let sign = |mode: Value| {
        let body = json!({"key": {"name": "pss"}, "hash_alg": "SHA256", "mode": mode, "data": "AAAA"});
        dsm.request("POST", "/crypto/v1/sign", Some(body)).status
    };
    assert_eq!(sign(json!({"PSS": {"mgf": {"mgf1": {"hash": "SHA256"}}}})), 200);
    assert_eq!(sign(json!({"PSS": {"mgf": {"mgf1": {"hash": "SHA1"}}}})), 403);
    assert_eq!(sign(Value::Null), 403);
}

#[test]
fn signatures_are_accepted_by_openssl_and_by_verify() {
    let stack = Stack::start();
    let dsm = stack.dsm();
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let message = b"a message to be signed";
    let message_file = file("message", message);
    let pss = json!({"PSS": {"mgf": {"mgf1": {"hash": "SHA384"}}}});
    for (name, spec, hash, mode, options) in [
        ("rsa", json!({"obj_type": "RSA", "key_size": 2048}), "SHA256", json!(null), vec![]),
        ("rsa 512", json!({"obj_type": "RSA", "key_size": 3072}), "SHA512", json!({"PKCS1_V15": {}}), vec![]),
        (
            "pss",
            json!({"obj_type": "RSA", "key_size": 2048}),
            "SHA384",
            pss,
            vec!["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest", "-sigopt", "rsa_mgf1_md:sha384"],
        ),
        ("p256", json!({"obj_type": "EC", "elliptic_curve": "NistP256"}), "SHA256", json!(null), vec![]),
        ("p384", json!({"obj_type": "EC", "elliptic_curve": "NistP384"}), "SHA384", json!(null), vec![]),
        ("k256", json!({"obj_type": "EC", "elliptic_curve": "SecP256K1"}), "SHA1", json!(null), vec![]),
    ] {
        let mut spec = spec;
        spec["name"] = json!(name);
        let kid = dsm.create_key(spec);
        let shown = dsm.request("GET", &format!("/crypto/v1/keys/{kid}"), None).json();
        let public_file = file("public", &STANDARD.decode_to_vec(shown["pub_key"].as_str().unwrap()).unwrap());
        let digest_arg = format!("-{}", hash.to_lowercase());
        let digest = openssl(&["dgst", &digest_arg, "-binary"], message);
        let wire_digest = dsm.request("POST", "/crypto/v1/digest", Some(json!({"alg": hash, "data": b64(message)}))).success().json();
        assert_eq!(wire_digest["digest"], b64(&digest));

        for message_part in [json!({"data": b64(message)}), json!({"hash": b64(&digest)})] {
            let body = body_of(&message_part, hash, &mode);
            for (path, sign) in spellings(&kid, "sign", &body) {
                let reply = dsm.request("POST", &path, Some(sign)).success().json();
                let signature = STANDARD.decode_to_vec(reply["signature"].as_str().unwrap()).unwrap();
                let signature_file = file("signature", &signature);
                let mut args = vec!["dgst", &digest_arg, "-keyform", "DER", "-verify", &public_file, "-signature", &signature_file];
                args.extend(&options);
                args.push(&message_file);
                openssl(&args, &[]);

                let mut body = body.clone();
                body["signature"] = json!(b64(&signature));
                for (path, body) in spellings(&kid, "verify", &body) {
                    assert_eq!(dsm.request("POST", &path, Some(body)).success().json()["result"], true, "{name} {path}");
                }
                let mut wrong = signature.clone();
                *wrong.last_mut().unwrap() ^= 1;
                body["signature"] = json!(b64(&wrong));
                let reply = dsm.request("POST", &format!("/crypto/v1/keys/{kid}/verify"), Some(body)).success().json();
                assert_eq!(reply["result"], false, "{name}");
            }
        }
    }
}

fn body_of(message: &Value, hash: &str, mode: &Value) -> Value {
    let mut body = message.clone();
    body["hash_alg"] = json!(hash);
    body["mode"] = mode.clone();
    body
}

#[test]
fn batches_answer_each_item_on_its_own() {
    let stack = Stack::start();
    let dsm = stack.dsm();
    let aes = import_aes(&dsm, "aes", KEY);
    let ec = dsm.create_key(json!({"name": "ec", "obj_type": "EC", "elliptic_curve": "NistP256"}));
    let missing = "00000000-0000-0000-0000-000000000001";
    let batch =
        |operation: &str, items: Value| dsm.request("POST", &format!("/crypto/v1/keys/batch/{operation}"), Some(items)).success().json();

    let request = json!({"alg": "AES", "mode": "ECB", "plain": from_hex(BLOCK)});
    let replies =
        batch("encrypt", json!([{"kid": aes, "request": request}, {"kid": missing, "request": request}, {"kid": aes, "request": {}}]));
    assert_eq!(
        (replies[0]["status"].as_u64(), to_hex(&replies[0]["body"]["cipher"]).as_str()),
        (Some(200), "3ad77bb40d7a3660a89ecaf32466ef97")
    );
    assert_eq!(replies[1], json!({"status": 404, "error": "Sobject does not exist"}));
    assert_eq!(replies[2]["status"], 400);

    let request = json!({"mode": "ECB", "cipher": replies[0]["body"]["cipher"]});
    let replies = batch("decrypt", json!([{"kid": aes, "request": request}]));
    assert_eq!(to_hex(&replies[0]["body"]["plain"]), BLOCK);

    let replies =
        batch("sign", json!([{"key": {"kid": ec}, "hash_alg": "SHA256", "data": "AAAA"}, {"hash_alg": "SHA256", "data": "AAAA"}]));
    assert_eq!((replies[0]["status"].as_u64(), replies[1]["error"].as_str()), (Some(200), Some("Missing field `key`")));
    let verify = json!([{"key": {"name": "ec"}, "hash_alg": "SHA256", "data": "AAAA", "signature": replies[0]["body"]["signature"]}]);
    assert_eq!(batch("verify", verify), json!([{"status": 200, "body": {"kid": ec, "result": true}}]));
}
