//! Derived and agreed keys, against RFC 5869, SP 800-38A and OpenSSL.

mod openssl;
mod wire;

use dsma_testkit::{Dsm, Stack};
use openssl::openssl;
use serde_json::{Value, json};
use wire::{all_refused, b64, bytes, from_hex, import, post, to_hex};

fn export(dsm: &Dsm, descriptor: Value) -> String {
    to_hex(&post(dsm, "keys/export", descriptor).success().json()["value"])
}

/// RFC 5869, test case 1.
#[test]
fn hkdf_gives_the_published_key() {
    let stack = Stack::start();
    let dsm = stack.dsm();
    let kid = import(&dsm, "HMAC", &[0x0b; 22]);
    let hkdf = json!({"hash_alg": "SHA256", "salt": from_hex("000102030405060708090a0b0c"), "info": from_hex("f0f1f2f3f4f5f6f7f8f9")});
    let okm = "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865";
    let body = |name: &str, mechanism: Value| json!({"name": name, "key_type": "HMAC", "key_size": 336, "mechanism": mechanism, "key_ops": ["EXPORT"], "key": null});
    let reply = post(&dsm, &format!("keys/{kid}/derive"), body("path", json!({"hkdf": hkdf, "encrypt_data": null})));
    assert_eq!(reply.status, 201);
    assert_eq!(export(&dsm, json!({"kid": reply.json()["kid"]})), okm);
    let mut modern = body("modern", json!({"hkdf": hkdf}));
    modern["key"] = json!({"kid": kid});
    let made = post(&dsm, "derive", modern).success().json();
    assert_eq!((export(&dsm, json!({"name": "modern"})).as_str(), &made["origin"]), (okm, &json!("FortanixHSM")));
    assert_eq!(dsm.uses_of(&kid, "derived from"), 2);

    // Without salt and info: RFC 5869, test case 3.
    let body = json!({"key": {"kid": kid}, "name": "bare", "key_type": "SECRET", "key_size": 336, "mechanism": {"hkdf": {"hash_alg": "SHA256"}}, "key_ops": ["EXPORT"]});
    post(&dsm, "derive", body).success();
    let okm = "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8";
    assert_eq!(export(&dsm, json!({"name": "bare"})), okm);
}

/// NIST SP 800-38A, F.1.1 and F.2.1.
#[test]
fn encrypted_data_gives_the_published_ciphertext() {
    let stack = Stack::start();
    let dsm = stack.dsm();
    let kid = import(&dsm, "AES", &hex::decode("2b7e151628aed2a6abf7158809cf4f3c").unwrap());
    let plain = from_hex("6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51");
    for (mode, iv, size, key) in [
        ("ECB", None, 256, "3ad77bb40d7a3660a89ecaf32466ef97f5d3d58503b9699de785895a96fdbaaf"),
        ("CBC", Some("000102030405060708090a0b0c0d0e0f"), 192, "7649abac8119b246cee98e9b12e9197d5086cb9b507219ee"),
    ] {
        let data = json!({"alg": "AES", "mode": mode, "iv": iv.map(from_hex), "plain": plain, "key": null});
        let body = json!({"key": {"kid": kid}, "name": mode, "key_type": "AES", "key_size": size, "mechanism": {"encrypt_data": data}, "key_ops": ["EXPORT"]});
        post(&dsm, "derive", body).success();
        assert_eq!(export(&dsm, json!({"name": mode})), key);
    }
}

#[test]
fn secrets_are_those_that_openssl_agrees_on() {
    let stack = Stack::start();
    let dsm = stack.dsm().login();
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &[u8]| {
        let path = dir.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    for (curve, bits) in [("NistP256", 256), ("NistP384", 384), ("NistP521", 528), ("SecP256K1", 256), ("X25519", 256)] {
        let ours = json!({"name": format!("ours {curve}"), "obj_type": "EC", "elliptic_curve": curve, "key_ops": ["AGREEKEY", "EXPORT"]});
        let ours = dsm.request("POST", "/crypto/v1/keys", Some(ours)).success().json();
        let option = format!(
            "ec_paramgen_curve:{}",
            match curve {
                "NistP256" => "P-256",
                "NistP384" => "P-384",
                "NistP521" => "P-521",
                _ => "secp256k1",
            }
        );
        let theirs = match curve {
            "X25519" => openssl(&["genpkey", "-algorithm", "X25519", "-outform", "DER"], &[]),
            _ => openssl(
                &["genpkey", "-algorithm", "EC", "-pkeyopt", &option, "-pkeyopt", "ec_param_enc:named_curve", "-outform", "DER"],
                &[],
            ),
        };
        let public = openssl(&["pkey", "-inform", "DER", "-pubout", "-outform", "DER"], &theirs);
        let (theirs_file, ours_file) = (file("theirs", &theirs), file("ours", &bytes(&ours["pub_key"])));
        let args = ["pkeyutl", "-derive", "-inkey", &theirs_file, "-keyform", "DER", "-peerkey", &ours_file, "-peerform", "DER"];
        let secret = hex::encode(openssl(&args, &[]));

        // The way of sq-dsm: nothing but our own key is stored.
        let peer = json!({"obj_type": "EC", "elliptic_curve": curve, "key_ops": ["AGREEKEY"], "transient": true, "value": b64(&public)});
        let peer = dsm.request("PUT", "/crypto/v1/keys", Some(peer)).success().json();
        let agree = |size: usize, more: Value| {
            let mut body = json!({
                "private_key": {"kid": ours["kid"]}, "public_key": {"transient_key": peer["transient_key"]}, "mechanism": "diffie_hellman",
                "key_type": "SECRET", "key_size": size, "key_ops": ["EXPORT"],
            });
            body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            post(&dsm, "agree", body)
        };
        let agreed = agree(bits, json!({"transient": true})).success().json();
        assert!(agreed["kid"].is_null());
        assert_eq!(export(&dsm, json!({"transient_key": agreed["transient_key"]})), secret, "{curve}");
        agree(128, json!({"name": format!("end {curve}")})).success();
        assert_eq!(
            export(&dsm, json!({"name": format!("end {curve}")})),
            secret[secret.len() - 32..],
            "a shorter key is the end of the secret"
        );
        let refused = agree(bits + 8, json!({"transient": true}));
        assert!(refused.status == 400 && refused.text.contains("key_size"), "{}", refused.text);
    }
}

#[test]
fn bad_input_and_permissions() {
    let stack = Stack::start();
    let dsm = stack.dsm();
    let aes = json!({"kid": import(&dsm, "AES", &[1; 16])});
    let ec = |name: &str, curve: &str| {
        dsm.create_key(json!({"name": name, "obj_type": "EC", "elliptic_curve": curve, "key_ops": if curve == "Ed25519" { json!(["SIGN"]) } else { json!(["AGREEKEY"]) }}));
        json!({"name": name})
    };
    let (p256, p384, ed25519) = (ec("p256", "NistP256"), ec("p384", "NistP384"), ec("ed25519", "Ed25519"));
    let hkdf = json!({"hkdf": {"hash_alg": "SHA256"}});
    let derive = |more: Value| {
        let mut body = json!({"key": aes, "name": "x", "key_type": "AES", "key_size": 128, "mechanism": hkdf});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        ("derive", body)
    };
    let agree = |more: Value| {
        let mut body = json!({"private_key": p256, "public_key": p256, "mechanism": "diffie_hellman", "name": "x", "key_type": "SECRET", "key_size": 256});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        ("agree", body)
    };
    let data = |data: Value| json!({"mechanism": {"encrypt_data": data}});
    for ((path, body), words) in [
        (derive(json!({"key": null})), "Missing field `key`"),
        (derive(json!({"key_type": null})), "key_type"),
        (derive(json!({"key_type": "RSA"})), "key_type"),
        (derive(json!({"key_size": null})), "Missing field `key_size`"),
        (derive(json!({"key_size": 0})), "key_size"),
        (derive(json!({"key_size": 127})), "key_size"),
        (derive(json!({"key_size": 100_000})), "key_size"),
        (derive(json!({"key_size": 136})), "AES key"),
        (derive(json!({"mechanism": {}})), "mechanism"),
        (derive(json!({"mechanism": 7})), "body"),
        (derive(json!({"mechanism": {"bip32_master_key": {}}})), "not supported"),
        (derive(json!({"mechanism": {"hkdf": {}}})), "hash_alg"),
        (derive(json!({"mechanism": {"hkdf": {"hash_alg": "SSL3"}}})), "not possible"),
        (derive(data(json!({"alg": "AES", "mode": "CBC", "plain": b64(&[1; 16])}))), "Missing field `iv`"),
        (derive(data(json!({"alg": "AES", "mode": "ECB", "plain": ""}))), "key_size"),
        (derive(data(json!({"alg": "AES", "mode": "ECB", "plain": "AAAA"}))), "length"),
        (derive(data(json!({"alg": "AES", "mode": "ECB", "plain": b64(&[1; 16]), "key": aes}))), "`key`"),
        (agree(json!({"mechanism": "x25519"})), "diffie_hellman"),
        (agree(json!({"private_key": null})), "private_key"),
        (agree(json!({"public_key": p384})), "different curves"),
        (agree(json!({"key_type": "EC"})), "key_type"),
        (("transform", json!({})), "BIP32"),
    ] {
        all_refused(&dsm, &[(path, body, words)]);
    }
    let (path, body) = agree(json!({"private_key": ed25519}));
    assert_eq!(post(&dsm, path, body).status, 403);
    let app = stack.dsm_as(&dsm.new_app("deriver", &[(&dsm.default_group(), &["DERIVEKEY"])]));
    let (path, body) = derive(json!({}));
    assert_eq!(post(&app, path, body).status, 403, "a derived key is a new sobject");
}
