//! Cryptographic operations, in each spelling.

use dsma_testkit::Credential;
use serde_json::{Value, json};

use super::{b64, key, key_if_supported, text};
use crate::client::Client;

pub(super) fn walk(app: &Client<'_>) {
    ciphers(app);
    signatures(app);
    macs(app);
    parts(app);
    batches(app);
    wrapping(app);
    derivation(app);
    post_quantum(app);
    app.call("POST", "/crypto/v1/digest", json!({"alg": "SHA256", "data": b64(b"data")}));
}

/// The two spellings: the key in the body, and in the path.
fn both(app: &Client<'_>, kid: &str, operation: &str, body: &Value) -> Value {
    app.call("POST", &format!("/crypto/v1/keys/{kid}/{operation}"), body.clone());
    let mut body = body.clone();
    body["key"] = json!({"kid": kid});
    app.call("POST", &format!("/crypto/v1/{operation}"), body)
}

fn ciphers(app: &Client<'_>) {
    let aes = key(app, "cipher aes", json!({"obj_type": "AES", "key_size": 256}));
    for (mode, tag_len) in [("ECB", None), ("CBC", None), ("CBCNOPAD", None), ("CTR", None), ("GCM", Some(128))] {
        let sealed = both(app, &aes, "encrypt", &json!({"alg": "AES", "mode": mode, "plain": b64(&[1; 32]), "tag_len": tag_len}));
        let body = json!({"alg": "AES", "mode": mode, "cipher": sealed["cipher"], "iv": sealed["iv"], "tag": sealed["tag"]});
        assert_eq!(both(app, &aes, "decrypt", &body)["plain"], b64(&[1; 32]), "{mode}");
    }
    let rsa = key(app, "cipher rsa", json!({"obj_type": "RSA", "key_size": 2048, "rsa": {"encryption_policy": [{}]}}));
    for mode in [json!({"OAEP": {"mgf": {"mgf1": {"hash": "SHA256"}}}}), json!("OAEP_MGF1_SHA1"), json!({"PKCS1_V15": {}}), Value::Null] {
        let sealed = both(app, &rsa, "encrypt", &json!({"alg": "RSA", "mode": mode, "plain": b64(b"text")}));
        let opened = both(app, &rsa, "decrypt", &json!({"alg": "RSA", "mode": mode, "cipher": sealed["cipher"]}));
        assert_eq!(opened["plain"], b64(b"text"), "{mode}");
    }
}

fn signatures(app: &Client<'_>) {
    let pss = json!({"PSS": {"mgf": {"mgf1": {"hash": "SHA256"}}}});
    for (name, spec, modes) in [
        ("rsa", json!({"obj_type": "RSA", "key_size": 2048}), vec![Value::Null, json!({"PKCS1_V15": {}}), pss]),
        ("p256", json!({"obj_type": "EC", "elliptic_curve": "NistP256"}), vec![Value::Null]),
        ("ed25519", json!({"obj_type": "EC", "elliptic_curve": "Ed25519"}), vec![Value::Null]),
    ] {
        let Some(kid) = key_if_supported(app, &format!("signing {name}"), spec) else { continue };
        let hash_alg = if name == "ed25519" { "SHA512" } else { "SHA256" };
        for mode in modes {
            let body = json!({"hash_alg": hash_alg, "data": b64(b"message"), "mode": mode});
            let mut check = body.clone();
            check["signature"] = both(app, &kid, "sign", &body)["signature"].clone();
            assert_eq!(both(app, &kid, "verify", &check)["result"], true, "{name}");
            check["data"] = json!(b64(b"another"));
            assert_eq!(both(app, &kid, "verify", &check)["result"], false, "{name}");
        }
    }
}

fn macs(app: &Client<'_>) {
    if !app.has("POST", "/crypto/v1/mac") {
        return;
    }
    let hmac = key(app, "mac hmac", json!({"obj_type": "HMAC", "key_size": 256}));
    let cmac = key(app, "mac cmac", json!({"obj_type": "AES", "key_size": 256}));
    for (kid, alg) in [(hmac, json!("SHA256")), (cmac, Value::Null)] {
        let body = json!({"alg": alg, "data": b64(b"message")});
        let mut check = body.clone();
        check["mac"] = both(app, &kid, "mac", &body)["mac"].clone();
        assert_eq!(both(app, &kid, "macverify", &check)["result"], true);
    }
}

/// init, update and final.
fn parts(app: &Client<'_>) {
    if !app.has("POST", "/crypto/v1/encrypt/init") {
        return;
    }
    let key = json!({"kid": key(app, "in parts aes", json!({"obj_type": "AES", "key_size": 128}))});
    for mode in ["CBC", "CBCNOPAD", "CTR", "GCM"] {
        let begun = app.call("POST", "/crypto/v1/encrypt/init", json!({"key": key, "alg": "AES", "mode": mode}));
        let first = app.call("POST", "/crypto/v1/encrypt/update", json!({"key": key, "plain": b64(&[3; 16]), "state": begun["state"]}));
        let tag_len = (mode == "GCM").then_some(128);
        let body = json!({"key": key, "state": first["state"], "tag_len": tag_len});
        let last = app.call("POST", "/crypto/v1/encrypt/final", body);

        let begun = app.call("POST", "/crypto/v1/decrypt/init", json!({"key": key, "alg": "AES", "mode": mode, "iv": begun["iv"]}));
        let body = json!({"key": key, "cipher": first["cipher"], "state": begun["state"]});
        let mut state = app.call("POST", "/crypto/v1/decrypt/update", body)["state"].clone();
        if last["cipher"] != "" {
            let body = json!({"key": key, "cipher": last["cipher"], "state": state});
            state = app.call("POST", "/crypto/v1/decrypt/update", body)["state"].clone();
        }
        app.call("POST", "/crypto/v1/decrypt/final", json!({"key": key, "state": state, "tag": last["tag"]}));
    }
}

fn batches(app: &Client<'_>) {
    let aes = key(app, "batch aes", json!({"obj_type": "AES", "key_size": 128}));
    let ec = json!({"kid": key(app, "batch ec", json!({"obj_type": "EC", "elliptic_curve": "NistP256"}))});
    let nobody = "00000000-0000-0000-0000-000000000000";
    let encrypt = json!({"alg": "AES", "mode": "CBC", "plain": b64(b"text")});
    let items = json!([{"kid": aes, "request": encrypt}, {"kid": nobody, "request": encrypt}]);
    let sealed = app.call("POST", "/crypto/v1/keys/batch/encrypt", items)[0]["body"].clone();
    let decrypt = json!({"alg": "AES", "mode": "CBC", "cipher": sealed["cipher"], "iv": sealed["iv"]});
    app.call("POST", "/crypto/v1/keys/batch/decrypt", json!([{"kid": aes, "request": decrypt}, {"kid": nobody, "request": decrypt}]));
    let sign = json!({"key": ec, "hash_alg": "SHA256", "data": b64(b"message")});
    let mut verify = sign.clone();
    let items = json!([sign, {"key": {"name": "nobody"}, "hash_alg": "SHA256", "data": ""}]);
    verify["signature"] = app.call("POST", "/crypto/v1/keys/batch/sign", items)[0]["body"]["signature"].clone();
    app.call("POST", "/crypto/v1/keys/batch/verify", json!([verify]));

    if app.has("POST", "/batch/v1") {
        let item = |operation: &str, body: Value| json!({"SingleItem": {"method": "POST", "operation": operation, "body": body}});
        let good = item("/crypto/v1/digest", json!({"alg": "SHA256", "data": ""}));
        let items = json!([good, item("/crypto/v1/digest", json!({})), item("/no/such", Value::Null)]);
        let list = json!({"Batch": {"batch_execution_type": "Unordered", "items": items}});
        let serial = json!({"Batch": {"batch_execution_type": "Serial", "items": [good, list]}});
        app.call("POST", "/batch/v1", serial);
        app.call("POST", "/batch/v1", good);
    }
}

fn wrapping(app: &Client<'_>) {
    if !app.has("POST", "/crypto/v1/wrapkey") {
        return;
    }
    let wrapping = key(app, "wrapping", json!({"obj_type": "AES", "key_size": 256}));
    let ops = json!(["ENCRYPT", "DECRYPT", "EXPORT"]);
    let subject = key(app, "wrapped", json!({"obj_type": "AES", "key_size": 256, "key_ops": ops}));
    for (mode, tag_len) in [("KWP", None), ("KW", None), ("CBC", None), ("GCM", Some(128))] {
        let body = json!({"alg": "AES", "mode": mode, "subject": {"kid": subject}, "tag_len": tag_len});
        let sealed = both(app, &wrapping, "wrapkey", &body);
        let body = json!({
            "key": {"kid": wrapping}, "alg": "AES", "mode": mode, "obj_type": "AES", "wrapped_key": sealed["wrapped_key"],
            "iv": sealed["iv"], "tag": sealed["tag"], "name": format!("unwrapped {mode}"),
        });
        app.call("POST", "/crypto/v1/unwrapkey", body);
    }
}

fn derivation(app: &Client<'_>) {
    if app.has("POST", "/crypto/v1/derive") {
        let aes = key(app, "deriving", json!({"obj_type": "AES", "key_size": 256}));
        let hkdf = json!({"hkdf": {"hash_alg": "SHA256", "info": b64(b"info"), "salt": b64(b"salt")}});
        let data = json!({"encrypt_data": {"alg": "AES", "mode": "ECB", "plain": b64(&[5; 32])}});
        let hmac = key(app, "deriving hkdf", json!({"obj_type": "HMAC", "key_size": 256}));
        for (name, kid, mechanism) in [("derived by hkdf", hmac, hkdf), ("derived by encryption", aes, data)] {
            let body = json!({"key": {"kid": kid}, "name": name, "key_type": "AES", "key_size": 256, "mechanism": mechanism});
            app.call("POST", "/crypto/v1/derive", body);
        }
    }
    if app.has("POST", "/crypto/v1/agree") {
        let spec = json!({"obj_type": "EC", "elliptic_curve": "NistP256", "key_ops": ["AGREEKEY"]});
        let (ours, theirs) = (key(app, "agreeing", spec.clone()), key(app, "agreed with", spec));
        let body = json!({
            "private_key": {"kid": ours}, "public_key": {"kid": theirs}, "mechanism": "diffie_hellman", "name": "agreed",
            "key_type": "SECRET", "key_size": 256, "enabled": true, "transient": false,
        });
        app.call("POST", "/crypto/v1/agree", body);
    }
}

fn post_quantum(app: &Client<'_>) {
    let spec = json!({"obj_type": "MLDSA", "mldsa": {"param_set": "MlDsa44"}});
    if let Some(kid) = key_if_supported(app, "signing mldsa", spec) {
        let kid = json!({"kid": kid});
        let body = json!({"key": kid, "data": b64(b"message"), "mode": {"variant": "PURE"}});
        let mut check = body.clone();
        if let Some(signed) = app.call_if_supported("POST", "/crypto/v1/sign", body) {
            check["signature"] = signed["signature"].clone();
            assert_eq!(app.call("POST", "/crypto/v1/verify", check)["result"], true);
        }
    }
    if app.has("POST", "/crypto/v1/encapsulate") {
        // The default app has the classic permissions only.
        let group = app.dsm.default_group();
        let permissions: &[&str] = &["MANAGE", "ENCAPSULATE", "DECAPSULATE"];
        let credential = Credential::Basic(app.dsm.new_app("kem", &[(&group, permissions)]));
        let app = &app.with(app.dsm.with(credential));
        let kid = json!({"kid": key(app, "kem", json!({"obj_type": "MLKEM", "mlkem": {"param_set": "MlKem512"}}))});
        let body = json!({"key": kid, "name": "encapsulated", "key_type": "AES", "key_size": 256});
        let ciphertext = text(&app.call("POST", "/crypto/v1/encapsulate", body)["ciphertext"]);
        let body = json!({"key": kid, "name": "decapsulated", "key_type": "AES", "key_size": 256, "ciphertext": ciphertext});
        app.call("POST", "/crypto/v1/decapsulate", body);
    }
}
