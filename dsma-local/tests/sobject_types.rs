//! Each type of sobject: what it takes, what it shows, and what `value` holds. OpenSSL says whether a value is what it should be.

mod openssl;

use base64_simd::STANDARD;
use dsma_testkit::{Dsm, Reply, Stack};
use openssl::openssl;
use serde_json::{Value, json};

fn create(dsm: &Dsm, spec: Value) -> Reply {
    dsm.request("POST", "/crypto/v1/keys", Some(spec))
}

fn import(dsm: &Dsm, name: &str, obj_type: &str, value: &[u8]) -> Reply {
    let spec = json!({"name": name, "obj_type": obj_type, "value": STANDARD.encode_to_string(value)});
    dsm.request("PUT", "/crypto/v1/keys", Some(spec))
}

fn bytes(value: &Value) -> Vec<u8> {
    STANDARD.decode_to_vec(value.as_str().expect("base64")).unwrap()
}

fn exported(dsm: &Dsm, name: &str) -> Vec<u8> {
    bytes(&dsm.request("POST", "/crypto/v1/keys/export", Some(json!({"name": name}))).success().json()["value"])
}

fn info(dsm: &Dsm, name: &str) -> Value {
    dsm.request("POST", "/crypto/v1/keys/info", Some(json!({"name": name}))).success().json()
}

#[test]
fn hmac_keys_are_raw_bytes_of_112_to_8192_bits() {
    let stack = Stack::start();
    let dsm = stack.dsm();
    let key = create(&dsm, json!({"name": "mac", "obj_type": "HMAC", "key_size": 256})).success().json();
    assert_eq!(key["key_ops"], json!(["DERIVEKEY", "MACGENERATE", "MACVERIFY", "APPMANAGEABLE"]));
    assert_eq!((key["key_size"].as_u64(), &key["kcv"]), (Some(256), &Value::Null));
    for size in [104, 120 + 4, 8200] {
        assert_eq!(create(&dsm, json!({"name": "bad", "obj_type": "HMAC", "key_size": size})).status, 400, "{size}");
    }
    for length in [14, 1024] {
        let name = format!("{length}");
        assert_eq!(import(&dsm, &name, "HMAC", &vec![7; length]).status, 201);
        assert_eq!(exported(&dsm, &name), vec![7; length]);
    }
    for length in [13, 1025] {
        assert_eq!(import(&dsm, "bad", "HMAC", &vec![7; length]).status, 400, "{length}");
    }
}

#[test]
fn secrets_leave_by_export_alone_and_opaque_data_is_seen_by_members() {
    let stack = Stack::start();
    let dsm = stack.dsm();
    for obj_type in ["SECRET", "OPAQUE"] {
        let made = import(&dsm, obj_type, obj_type, b"\0any bytes\xff").success().json();
        assert_eq!(made["key_ops"], json!(["EXPORT", "APPMANAGEABLE"]));
        assert_eq!((made["key_size"].as_u64(), &made["value"]), (Some(88), &Value::Null));
        assert_eq!(exported(&dsm, obj_type), b"\0any bytes\xff");
        assert_eq!(create(&dsm, json!({"name": "x", "obj_type": obj_type, "key_size": 128})).status, 400);
        assert_eq!(import(&dsm, "x", obj_type, b"").status, 400);
        assert_eq!(import(&dsm, "x", obj_type, &vec![0; (512 << 10) + 1]).status, 400);
    }
    assert!(info(&dsm, "SECRET")["value"].is_null());
    assert_eq!(bytes(&info(&dsm, "OPAQUE")["value"]), b"\0any bytes\xff");
    let refused = dsm.request("POST", "/crypto/v1/sign", Some(json!({"key": {"name": "SECRET"}, "hash_alg": "SHA256", "data": "AAAA"})));
    assert_eq!(refused.status, 403);
}

#[test]
fn certificates_show_themselves_and_their_public_key() {
    let stack = Stack::start();
    let dsm = stack.dsm();
    let dir = tempfile::tempdir().unwrap();
    let key = dir.path().join("key.pem").display().to_string();
    let subject = ["-subj", "/CN=bäcker", "-days", "2", "-nodes", "-keyout", &key];
    for (name, algorithm) in [("ec", &["ec", "-pkeyopt", "ec_paramgen_curve:P-256"][..]), ("ed", &["ed25519"]), ("rsa", &["rsa:2048"])] {
        let args = [&["req", "-x509", "-utf8", "-outform", "DER", "-newkey"], algorithm, &subject].concat();
        let certificate = openssl(&args, &[]);
        let made = import(&dsm, name, "CERTIFICATE", &certificate).success().json();
        assert_eq!((made["public_only"].as_bool(), made["key_size"].as_u64()), (Some(true), Some(certificate.len() as u64 * 8)));
        let public = openssl(&["x509", "-inform", "DER", "-pubkey", "-noout"], &certificate);
        assert_eq!(bytes(&made["pub_key"]), openssl(&["pkey", "-pubin", "-outform", "DER"], &public));
        assert_eq!(bytes(&info(&dsm, name)["value"]), certificate);
        assert_eq!(exported(&dsm, name), certificate);
        for cut in [1, certificate.len() / 2, certificate.len() - 1] {
            assert_eq!(import(&dsm, "x", "CERTIFICATE", &certificate[..cut]).status, 400, "{cut}");
        }
    }
    assert_eq!(create(&dsm, json!({"name": "x", "obj_type": "CERTIFICATE"})).status, 400);
}

#[test]
fn triple_des_keys_have_two_or_three_keys_with_odd_parity() {
    let stack = Stack::start();
    let dsm = stack.dsm();
    for (bits, length) in [(112, 16), (168, 24)] {
        let name = format!("{bits}");
        let spec = json!({"name": name, "obj_type": "DES3", "key_size": bits, "key_ops": ["ENCRYPT", "EXPORT", "APPMANAGEABLE"]});
        let made = create(&dsm, spec).success().json();
        assert_eq!(made["key_size"], bits);
        let value = exported(&dsm, &name);
        assert_eq!(value.len(), length);
        assert!(value.iter().all(|byte| byte.count_ones() % 2 == 1), "{value:02x?}");
        let imported = import(&dsm, &format!("again {bits}"), "DES3", &value).success().json();
        assert_eq!((&imported["key_size"], &imported["kcv"]), (&made["key_size"], &made["kcv"]));
    }
    assert_eq!(create(&dsm, json!({"name": "x", "obj_type": "DES3", "key_size": 192})).status, 400);
    assert_eq!(import(&dsm, "x", "DES3", &[0; 8]).status, 400);
}

/// RFC 8410, version 1, without the public key: 48 bytes, as DSM exports them.
#[test]
fn ed25519_and_x25519_keys_are_48_bytes_of_pkcs8() {
    let stack = Stack::start();
    let dsm = stack.dsm();
    for (curve, prefix, ops) in [
        ("Ed25519", "302e020100300506032b657004220420", json!(["SIGN", "VERIFY", "APPMANAGEABLE"])),
        ("X25519", "302e020100300506032b656e04220420", json!(["APPMANAGEABLE", "AGREEKEY"])),
    ] {
        let made = create(&dsm, json!({"name": format!("made {curve}"), "obj_type": "EC", "elliptic_curve": curve})).success().json();
        assert_eq!((&made["key_ops"], made["elliptic_curve"].as_str()), (&ops, Some(curve)));
        let pkcs8 = openssl(&["genpkey", "-algorithm", curve, "-outform", "DER"], &[]);
        let imported = import(&dsm, curve, "EC", &pkcs8).success().json();
        assert_eq!(imported["elliptic_curve"], curve);
        let value = exported(&dsm, curve);
        assert_eq!(value, pkcs8);
        assert_eq!((hex::encode(&value[..16]).as_str(), value.len()), (prefix, 48));
        let public = openssl(&["pkey", "-inform", "DER", "-pubout", "-outform", "DER"], &value);
        assert_eq!(bytes(&imported["pub_key"]), public);
        let alone = import(&dsm, &format!("public {curve}"), "EC", &public).success().json();
        assert_eq!((alone["public_only"].as_bool(), bytes(&alone["pub_key"])), (Some(true), public));
    }
    let wrong =
        json!({"name": "x", "obj_type": "EC", "elliptic_curve": "NistP256", "value": STANDARD.encode_to_string(exported(&dsm, "X25519"))});
    assert_eq!(dsm.request("PUT", "/crypto/v1/keys", Some(wrong)).status, 400);
}

/// Newer than what clients of the classic interface can read: such a client's listing must not show them.
#[test]
fn lattice_keys_are_pkcs8_and_hidden_from_classic_listings() {
    let stack = Stack::start();
    let dsm = stack.dsm();
    create(&dsm, json!({"name": "classic", "obj_type": "AES", "key_size": 128})).success();
    for (obj_type, member, set, ops) in [
        ("MLDSA", "mldsa", "MlDsa65", json!(["SIGN", "VERIFY", "EXPORT"])),
        ("MLKEM", "mlkem", "MlKem768", json!(["EXPORT", "ENCAPSULATE", "DECAPSULATE"])),
    ] {
        let spec = json!({"name": set, "obj_type": obj_type, member: {"param_set": set}, "key_ops": ops});
        let made = create(&dsm, spec).success().json();
        assert_eq!((&made[member]["param_set"], &made["key_ops"], &made["key_size"]), (&json!(set), &ops, &Value::Null));
        let value = exported(&dsm, set);
        let again = import(&dsm, &format!("again {set}"), obj_type, &value).success().json();
        assert_eq!((&again["pub_key"], &again[member]), (&made["pub_key"], &made[member]));
        let public = import(&dsm, &format!("public {set}"), obj_type, &bytes(&made["pub_key"])).success().json();
        assert_eq!(public["public_only"], true);
        assert_eq!(create(&dsm, json!({"name": "x", "obj_type": obj_type})).status, 400);
        assert_eq!(create(&dsm, json!({"name": "x", "obj_type": obj_type, member: {"param_set": "Kyber"}})).status, 400);
        assert_eq!(import(&dsm, "x", obj_type, &value[..value.len() - 1]).status, 400);
        let count = |query: &str| dsm.request("GET", &format!("/crypto/v1/keys?{query}"), None).success().json().as_array().unwrap().len();
        assert_eq!((count(""), count(&format!("obj_type={obj_type}"))), (1, 3));
        assert!(count("show_newer_types=true") > 3 && count("filter=%7B%7D") > 3);
    }
}
