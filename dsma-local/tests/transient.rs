//! Transient keys, what can be learnt about a key without exporting it, published keys, and export policies.

mod openssl;

use base64_simd::STANDARD;
use dsma_testkit::{Credential, Dsm, Reply, Stack};
use openssl::openssl;
use serde_json::{Value, json};

fn post(dsm: &Dsm, path: &str, body: Value) -> Reply {
    dsm.request("POST", path, Some(body))
}

fn create(dsm: &Dsm, spec: Value) -> Value {
    post(dsm, "/crypto/v1/keys", spec).success().json()
}

#[test]
fn a_transient_key_is_not_stored_and_belongs_to_its_session() {
    let stack = Stack::start();
    let dsm = stack.dsm().login();
    let spec = json!({"obj_type": "AES", "key_size": 256, "transient": true, "key_ops": ["ENCRYPT", "DECRYPT", "EXPORT"]});
    let key = create(&dsm, spec.clone());
    assert!(key["kid"].is_null() && key["name"].is_null(), "{key}");
    let descriptor = json!({"transient_key": key["transient_key"]});
    assert_eq!(dsm.request("GET", "/crypto/v1/keys", None).json(), json!([]));

    let info = post(&dsm, "/crypto/v1/keys/info", descriptor.clone()).success().json();
    assert_eq!((info["obj_type"].as_str(), info["key_size"].as_u64()), (Some("AES"), Some(256)));
    let exported = post(&dsm, "/crypto/v1/keys/export", descriptor.clone()).success().json();
    let value = STANDARD.decode_to_vec(exported["value"].as_str().unwrap()).unwrap();
    let body = json!({"key": descriptor, "alg": "AES", "mode": "ECB", "plain": STANDARD.encode_to_string([0; 16])});
    let encrypted = post(&dsm, "/crypto/v1/encrypt", body).success().json();
    let expected = openssl(&["enc", "-aes-256-ecb", "-nopad", "-K", &hex::encode(value)], &[0; 16]);
    assert_eq!(encrypted["cipher"], STANDARD.encode_to_string(expected));
    assert!(encrypted["kid"].is_null(), "{encrypted}");
    let sign = json!({"key": descriptor, "hash_alg": "SHA256", "data": "AAAA"});
    assert_eq!(post(&dsm, "/crypto/v1/sign", sign).status, 403, "what a key allows holds for transient ones");

    let persisted = post(
        &dsm,
        "/crypto/v1/keys/persist",
        json!({"name": "kept", "transient_key": key["transient_key"], "custom_metadata": {"a": "b"}}),
    );
    assert_eq!(persisted.status, 201, "{}", persisted.text);
    let persisted = persisted.json();
    assert_eq!((persisted["origin"].as_str(), persisted["name"].as_str()), (Some("Transient"), Some("kept")));
    let again = post(&dsm, "/crypto/v1/keys/export", json!({"name": "kept"})).success().json();
    assert_eq!((&again["value"], &again["kcv"]), (&exported["value"], &key["kcv"]));
    assert!(again["transient_key"].is_null());

    let other = stack.dsm().login();
    for (client, what) in [(&other, "another session"), (&stack.dsm(), "no session")] {
        assert_eq!(post(client, "/crypto/v1/keys/info", descriptor.clone()).status, 400, "{what}");
    }
    assert_eq!(post(&stack.dsm(), "/crypto/v1/keys", spec).status, 400);
    for bad in ["", "AAAA", "%", &key["transient_key"].as_str().unwrap()[4..]] {
        assert_eq!(post(&dsm, "/crypto/v1/keys/info", json!({"transient_key": bad})).status, 400, "{bad}");
    }
    // The way of a peer's public key into an agreement.
    let pkcs8 = openssl(&["genpkey", "-algorithm", "X25519", "-outform", "DER"], &[]);
    let public = openssl(&["pkey", "-inform", "DER", "-pubout", "-outform", "DER"], &pkcs8);
    let peer = json!({"obj_type": "EC", "elliptic_curve": "X25519", "key_ops": ["AGREEKEY"], "transient": true, "value": STANDARD.encode_to_string(public)});
    let peer = dsm.request("PUT", "/crypto/v1/keys", Some(peer)).success().json();
    assert_eq!((peer["public_only"].as_bool(), peer["origin"].as_str()), (Some(true), Some("External")));
}

#[test]
fn check_values_and_digests() {
    let stack = Stack::start();
    let dsm = stack.dsm();
    let import = |name: &str, obj_type: &str, value: &[u8], more: Value| {
        let mut spec = json!({"name": name, "obj_type": obj_type, "value": STANDARD.encode_to_string(value)});
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        dsm.request("PUT", "/crypto/v1/keys", Some(spec))
    };
    let (aes, des3) = ([7_u8; 32], hex::decode("0123456789abcdef23456789abcdef01456789abcdef0123").unwrap());
    import("aes", "AES", &aes, json!({})).success();
    import("des3", "DES3", &des3, json!({})).success();
    let aes_block = openssl(&["enc", "-aes-256-ecb", "-nopad", "-K", &hex::encode(aes)], &[0; 16]);
    let des_block = openssl(&["enc", "-des-ede3", "-nopad", "-K", &hex::encode(&des3)], &[0; 8]);
    let mac = |cipher: &str, key: &[u8], block: usize| {
        let args = ["mac", "-cipher", cipher, "-macopt", &format!("hexkey:{}", hex::encode(key)), "-binary", "CMAC"];
        hex::encode_upper(&openssl(&args, &vec![0; block])[..5])
    };
    for (name, value, encrypt, cmac) in
        [("aes", &aes[..], &aes_block, mac("AES-256-CBC", &aes, 16)), ("des3", &des3, &des_block, mac("DES-EDE3-CBC", &des3, 8))]
    {
        let encrypt = hex::encode_upper(&encrypt[..3]);
        let kcv =
            |method: Value| post(&dsm, "/crypto/v1/keys/kcv", json!({"name": name, "kcv_method": method})).success().json()["kcv"].clone();
        assert_eq!((kcv(Value::Null), kcv(json!("Cmac"))), (json!(encrypt), json!(cmac)), "{name}");
        let shown = post(&dsm, "/crypto/v1/keys/info", json!({"name": name})).json();
        assert_eq!(shown["kcv"], encrypt);
        let verify = |kcv: &str, method: Value| {
            let body = json!({"kcv": kcv, "value": STANDARD.encode_to_string(value), "obj_type": shown["obj_type"], "kcv_method": method});
            post(&dsm, "/crypto/v1/keys/kcv/verify", body).success().json()["verified"].clone()
        };
        assert_eq!((verify(&encrypt.to_lowercase(), Value::Null), verify(&cmac, json!("Cmac"))), (json!(true), json!(true)));
        assert_eq!(verify("000000", Value::Null), false);
        assert_eq!(
            import("right", shown["obj_type"].as_str().unwrap(), value, json!({"kcv": cmac, "name": format!("{name} 2")})).status,
            201
        );
        assert_eq!(import("wrong", shown["obj_type"].as_str().unwrap(), value, json!({"kcv": "000000"})).status, 400);
    }
    import("secret", "SECRET", b"words", json!({})).success();
    assert_eq!(post(&dsm, "/crypto/v1/keys/kcv", json!({"name": "secret"})).status, 400);
    let digest = post(&dsm, "/crypto/v1/keys/digest", json!({"key": {"name": "secret"}, "alg": "SHA256"})).success().json();
    assert_eq!(digest["digest"], STANDARD.encode_to_string(openssl(&["dgst", "-sha256", "-binary"], b"words")));
    create(&dsm, json!({"name": "closed", "obj_type": "AES", "key_size": 128}));
    assert_eq!(post(&dsm, "/crypto/v1/keys/digest", json!({"key": {"name": "closed"}, "alg": "SHA256"})).status, 403);
    assert_eq!(post(&dsm, "/crypto/v1/keys/key_attestation", json!({"key": {"name": "closed"}})).status, 400);
}

#[test]
fn published_public_keys_need_no_credential() {
    let stack = Stack::start();
    let dsm = stack.dsm();
    let anybody = dsm.with(Credential::None);
    let publish = json!({"state": "enabled", "list_previous_version": true});
    let spec = json!({"name": "web/ü key", "obj_type": "EC", "elliptic_curve": "Ed25519", "publish_public_key": publish});
    let key = create(&dsm, spec);
    let path = format!("/crypto/v1/pubkey/{}/web%2F%C3%BC%20key", key["acct_id"].as_str().unwrap());
    assert_eq!(anybody.request("GET", &path, None).success().json(), json!({"web/ü key": key["pub_key"]}));
    let new = post(&dsm, "/crypto/v1/keys/rekey", json!({"name": "web/ü key"})).success().json();
    let both = anybody.request("GET", &path, None).success().json();
    assert_eq!((both.as_object().unwrap().len(), &both["web/ü key"]), (2, &new["pub_key"]));
    let kid = new["kid"].as_str().unwrap();
    dsm.request("PATCH", &format!("/crypto/v1/keys/{kid}"), Some(json!({"publish_public_key": {"state": "disabled"}}))).success();
    assert_eq!(anybody.request("GET", &path, None).status, 404);
    let aes = json!({"name": "aes", "obj_type": "AES", "key_size": 128, "publish_public_key": {"state": "enabled"}});
    assert_eq!(post(&dsm, "/crypto/v1/keys", aes).status, 400);

    assert_eq!(dsm.request("DELETE", &format!("/crypto/v1/keys/{kid}/private"), None).status, 204);
    let shown = dsm.request("GET", &format!("/crypto/v1/keys/{kid}"), None).json();
    assert_eq!((shown["public_only"].as_bool(), &shown["key_ops"]), (Some(true), &json!(["VERIFY", "APPMANAGEABLE"])));
    assert_eq!(dsm.request("DELETE", &format!("/crypto/v1/keys/{kid}/private"), None).status, 400);
}

#[test]
fn export_policies() {
    let stack = Stack::start();
    let dsm = stack.dsm();
    let wrapped = json!({"$type": "Wrapped", "by": {"$type": "Any"}, "allow_weakening": false});
    let spec = json!({"name": "k", "obj_type": "AES", "key_size": 128, "key_ops": ["EXPORT", "ENCRYPT", "APPMANAGEABLE"], "export_policy": wrapped});
    let key = create(&dsm, spec);
    assert_eq!(key["export_policy"], wrapped);
    let reply = post(&dsm, "/crypto/v1/keys/export", json!({"name": "k"}));
    assert_eq!(reply.status, 403, "{}", reply.text);
    let path = format!("/crypto/v1/keys/{}", key["kid"].as_str().unwrap());
    let free = json!({"export_policy": {"$type": "Unrestricted", "allow_weakening": false}});
    assert_eq!(dsm.request("PATCH", &path, Some(free)).status, 403);
    let narrower = json!({"$type": "Wrapped", "by": {"$type": "Only", "keys": [{"name": "w"}]}, "allow_weakening": false});
    dsm.request("PATCH", &path, Some(json!({"export_policy": narrower}))).success();
    let shown = dsm.request("GET", &format!("{path}?show_effective_export_policy=true"), None).success().json();
    assert_eq!(shown["effective_key_policy"]["key_ops"], json!(["ENCRYPT", "EXPORT", "APPMANAGEABLE"]));
    assert_eq!(shown["effective_key_policy"]["export_policy"]["by"]["$type"], "Only");
    for bad in [json!({"$type": "Wrapped"}), json!({"$type": "Open"}), json!("x"), json!({"$type": "Wrapped", "by": {"$type": "Only"}})] {
        assert_eq!(dsm.request("PATCH", &path, Some(json!({"export_policy": bad}))).status, 400, "{bad}");
    }
}
