//! A group's cryptographic, export and metadata policies; and settings that are refused because nothing would follow them.

mod wire;

use dsma_testkit::{Dsm, Stack};
use serde_json::{Value, json};
use wire::{b64, post};

struct House {
    stack: Stack,
    group: String,
    app: Dsm,
}

impl House {
    fn new() -> Self {
        let stack = Stack::start();
        let dsm = stack.dsm();
        let group = dsm.new_group("strict");
        let permissions: &[&str] = &["MANAGE", "ENCRYPT", "DECRYPT", "SIGN", "EXPORT", "WRAPKEY"];
        let app = stack.dsm_as(&dsm.new_app("app", &[(&group, permissions), (&dsm.default_group(), permissions)]));
        Self { stack, group, app }
    }

    fn set(&self, policies: Value) -> dsma_testkit::Reply {
        self.stack.admin().request("PATCH", &format!("/sys/v1/groups/{}", self.group), Some(policies))
    }

    fn make(&self, name: &str, mut spec: Value) -> dsma_testkit::Reply {
        spec["name"] = json!(name);
        if spec["group_id"].is_null() {
            spec["group_id"] = json!(self.group);
        }
        self.app.request("POST", "/crypto/v1/keys", Some(spec))
    }

    fn kid(&self, name: &str, spec: Value) -> String {
        self.make(name, spec).success().json()["kid"].as_str().unwrap().to_owned()
    }
}

fn names(reply: &dsma_testkit::Reply) -> Vec<String> {
    reply.json().as_array().unwrap().iter().map(|sobject| sobject["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_cryptographic_policy_decides_what_enters_and_what_may_be_used() {
    let house = House::new();
    let old = house.kid("old", json!({"obj_type": "AES", "key_size": 128}));
    let elsewhere = house.kid("elsewhere", json!({"obj_type": "AES", "key_size": 128, "group_id": house.stack.dsm().default_group()}));
    let policy = |legacy: &str| {
        json!({"cryptographic_policy": {
            "aes": {"key_sizes": [256]}, "ec": {"elliptic_curves": ["NistP256"]}, "rsa": {"minimum_key_length": 2048,
            "signature_policy": [{"padding": {"PSS": {}}}]}, "key_ops": ["ENCRYPT", "DECRYPT", "SIGN", "APPMANAGEABLE"], "legacy_policy": legacy,
        }})
    };
    let shown = house.set(policy("unprotect_only")).success().json();
    assert_eq!(shown["cryptographic_policy"]["aes"]["key_sizes"], json!([256]));

    let made = house.make("good", json!({"obj_type": "AES", "key_size": 256})).success().json();
    assert_eq!(made["key_ops"], json!(["ENCRYPT", "DECRYPT", "APPMANAGEABLE"]), "the default is what the group allows");
    let rsa = house.make("rsa", json!({"obj_type": "RSA", "key_size": 2048})).success().json();
    assert_eq!(rsa["rsa"]["signature_policy"], json!([{"padding": {"PSS": {}}}]));
    for (spec, words) in [
        (json!({"obj_type": "AES", "key_size": 128}), "128 bits"),
        (json!({"obj_type": "HMAC", "key_size": 256}), "type HMAC"),
        (json!({"obj_type": "EC", "elliptic_curve": "Ed25519"}), "Ed25519"),
        (json!({"obj_type": "AES", "key_size": 256, "key_ops": ["ENCRYPT", "EXPORT"]}), "EXPORT"),
        (json!({"obj_type": "RSA", "key_size": 2048, "rsa": {"signature_policy": [{}]}}), "signature_policy"),
    ] {
        let refused = house.make("bad", spec.clone());
        assert!(refused.status == 403 && refused.text.contains(words), "{spec}: {} {}", refused.status, refused.text);
    }
    // Neither a copy nor a move brings in what may not be made here, and no change makes a sobject worse.
    let copy = json!({"key": {"kid": elsewhere}, "name": "copy", "group_id": house.group});
    assert_eq!(post(&house.app, "keys/copy", copy).status, 403);
    let patch = |kid: &str, body: Value| house.app.request("PATCH", &format!("/crypto/v1/keys/{kid}"), Some(body));
    assert_eq!(patch(&elsewhere, json!({"group_id": house.group})).status, 403);
    let good = made["kid"].as_str().unwrap();
    assert_eq!(patch(good, json!({"key_ops": ["ENCRYPT", "WRAPKEY"]})).status, 403);
    patch(&old, json!({"description": "still mine"})).success();
    assert_eq!(post(&house.app, "keys/rekey", json!({"name": "old"})).status, 403, "the successor would be as weak");

    // Old keys open what they protected, and then not even that.
    let encrypt =
        |kid: &str| post(&house.app, "encrypt", json!({"key": {"kid": kid}, "alg": "AES", "mode": "ECB", "plain": b64(&[0; 16])}));
    let decrypt = |kid: &str| {
        post(
            &house.app,
            "decrypt",
            json!({"key": {"kid": kid}, "alg": "AES", "mode": "CBCNOPAD", "cipher": b64(&[0; 16]), "iv": b64(&[0; 16])}),
        )
    };
    encrypt(good).success();
    assert_eq!((encrypt(&old).status, decrypt(&old).status), (403, 200));
    house.set(policy("prohibited")).success();
    assert_eq!((encrypt(&old).status, decrypt(&old).status, encrypt(good).status), (403, 403, 200));

    let list = |query: &str| names(&house.app.request("GET", &format!("/crypto/v1/keys?sort=name:asc&{query}"), None).success());
    assert_eq!(list(&format!("group_id={}", house.group)), ["good", "old", "rsa"]);
    assert_eq!(list(&format!("group_id={}&compliant_with_policies=true", house.group)), ["good", "rsa"]);
    assert_eq!(list("compliant_with_policies=true&limit=2"), ["elsewhere", "good"]);
    assert_eq!(list("compliant_with_policies=true&limit=3"), ["elsewhere", "good", "rsa"], "in the place of \"old\"");
    assert_eq!(list("compliant_with_policies=true&limit=1&offset=2"), ["rsa"]);
    assert_eq!(list("compliant_with_policies=true&limit=2&start=good"), ["rsa"]);
    house.set(json!({"cryptographic_policy": "remove"})).success();
    encrypt(&old).success();
}

#[test]
fn an_export_policy_of_the_group_holds_beside_the_key_s_own() {
    let house = House::new();
    let ops = json!({"obj_type": "AES", "key_size": 256, "key_ops": ["EXPORT", "WRAPKEY", "ENCRYPT", "APPMANAGEABLE"]});
    let [subject, allowed, other] = ["subject", "allowed", "other"].map(|name| house.kid(name, ops.clone()));
    house.set(json!({"export_policy": {"$type": "Wrapped", "by": {"$type": "Only", "keys": [{"kid": allowed}]}}})).success();
    assert_eq!(post(&house.app, "keys/export", json!({"kid": subject})).status, 403);
    let wrap =
        |by: &str| post(&house.app, "wrapkey", json!({"key": {"kid": by}, "subject": {"kid": subject}, "alg": "AES", "mode": "KWP"}));
    assert_eq!((wrap(&other).status, wrap(&allowed).status), (403, 200));
    house.set(json!({"export_policy": {"$type": "Unrestricted"}})).success();
    post(&house.app, "keys/export", json!({"kid": subject})).success();
}

#[test]
fn a_metadata_policy_asks_for_what_it_names() {
    let house = House::new();
    let owner = json!({"required": {"non_empty_after_trim": true, "allowed_values": []}});
    let policy = json!({"base": {"custom_metadata": {"owner": owner}}, "for_obj_type": {}, "legacy_objects": "allowed"});
    house.set(json!({"key_metadata_policy": policy})).success();
    let spec = |owner: Value| json!({"obj_type": "AES", "key_size": 128, "custom_metadata": owner});
    for bad in [json!({}), json!({"owner": " "}), Value::Null] {
        let refused = house.make("bad", spec(bad));
        assert!(refused.status == 403 && refused.text.contains("custom_metadata.owner"), "{}", refused.text);
    }
    let kid = house.kid("good", spec(json!({"owner": "me"})));
    let patch = |metadata: Value| house.app.request("PATCH", &format!("/crypto/v1/keys/{kid}"), Some(json!({"custom_metadata": metadata})));
    assert_eq!(patch(json!({"owner": ""})).status, 403);
    patch(json!({"owner": "you"})).success();
}

/// What would be passed over in silence is refused: whoever asks for it must not believe that it holds.
#[test]
fn settings_that_nothing_follows_are_refused() {
    let house = House::new();
    for (member, value) in [
        ("aes", json!({"cipher_mode": "GCM"})),
        ("aes", json!({"random_iv": true, "fpe": null})),
        ("des3", json!({"iv_length": 8})),
        ("lms", json!({"heights": [5]})),
        ("google_access_reason_policy", json!({"allow": []})),
        ("allow_sign_hash", json!(false)),
    ] {
        let mut spec = json!({"obj_type": "AES", "key_size": 128});
        spec[member] = value;
        let refused = house.make("bad", spec.clone());
        assert!(
            refused.status == 400 && refused.text.contains(member) && refused.text.contains("leave it out"),
            "{spec}: {}",
            refused.text
        );
    }
    let nulls = json!({"obj_type": "AES", "key_size": 128, "lms": null, "des3": null, "aes": null, "allow_sign_hash": true, "unknown": 17});
    house.make("good", nulls).success();
    for (policy, words) in [
        (json!({"cryptographic_policy": {"aes": {"random_iv": true}}}), "random_iv"),
        (json!({"cryptographic_policy": []}), "cryptographic_policy"),
        (json!({"key_metadata_policy": {"base": {}}}), "key_metadata_policy"),
        (json!({"custodian_policy": {"user": "00000000-0000-0000-0000-000000000000"}}), "custodian_policy"),
        (json!({"hmg_sync": true}), "hmg_sync"),
        (json!({"key_history_policy": {"undo_time_window": 60}}), "key_history_policy"),
    ] {
        let refused = house.set(policy.clone());
        assert!(refused.status == 400 && refused.text.contains(words), "{policy}: {} {}", refused.status, refused.text);
    }
    let account = house.stack.dsm().request("GET", "/sys/v1/accounts", None).success().json()[0]["acct_id"].as_str().unwrap().to_owned();
    let refused = house.stack.admin().request("PATCH", &format!("/sys/v1/accounts/{account}"), Some(json!({"enabled": false})));
    assert!(refused.status == 400 && refused.text.contains("cannot be disabled"), "{}", refused.text);
}
