//! Making, finding, changing and ending sobjects, of each type.

use serde_json::{Value, json};

use super::{b64, key, key_if_supported, text};
use crate::client::Client;

pub(super) fn walk(app: &Client<'_>) {
    each_type(app);
    listings(app);
    life(app);
    descendants(app);
    checks(app);
}

/// What each type is made with.
fn types() -> Vec<(&'static str, Value)> {
    vec![
        ("aes", json!({"obj_type": "AES", "key_size": 256})),
        ("des3", json!({"obj_type": "DES3", "key_size": 168})),
        ("hmac", json!({"obj_type": "HMAC", "key_size": 256})),
        ("rsa", json!({"obj_type": "RSA", "key_size": 2048})),
        ("p256", json!({"obj_type": "EC", "elliptic_curve": "NistP256"})),
        ("p521", json!({"obj_type": "EC", "elliptic_curve": "NistP521"})),
        ("secp256k1", json!({"obj_type": "EC", "elliptic_curve": "SecP256K1"})),
        ("ed25519", json!({"obj_type": "EC", "elliptic_curve": "Ed25519"})),
        ("x25519", json!({"obj_type": "EC", "elliptic_curve": "X25519"})),
        ("mldsa", json!({"obj_type": "MLDSA", "mldsa": {"param_set": "MlDsa65"}})),
        ("mlkem", json!({"obj_type": "MLKEM", "mlkem": {"param_set": "MlKem768"}})),
    ]
}

fn each_type(app: &Client<'_>) {
    for (name, mut spec) in types() {
        spec["custom_metadata"] = json!({"made by": "conformance"});
        spec["description"] = json!("Ünïcode ✓");
        let Some(kid) = key_if_supported(app, &format!("type {name}"), spec) else { continue };
        app.call("POST", "/crypto/v1/keys/info", json!({"kid": kid}));
        app.call("GET", &format!("/crypto/v1/keys/{kid}"), None);
        app.call("PATCH", &format!("/crypto/v1/keys/{kid}"), json!({"enabled": false, "description": null}));
    }
    for obj_type in ["SECRET", "OPAQUE"] {
        let spec = json!({"name": format!("type {obj_type}"), "obj_type": obj_type, "value": b64(b"bytes")});
        app.call("PUT", "/crypto/v1/keys", spec);
        app.call("POST", "/crypto/v1/keys/export", json!({"name": format!("type {obj_type}")}));
    }
    let imported = app.call("PUT", "/crypto/v1/keys", json!({"name": "imported", "obj_type": "AES", "value": b64(&[7; 32])}));
    app.call("GET", &format!("/crypto/v1/keys/{}/export", text(&imported["kid"])), None);
}

fn listings(app: &Client<'_>) {
    for query in [
        "",
        "?",
        "?limit=2&offset=1&sort=name:desc",
        "?limit=3&sort=kid:asc&start=00000000-0000-0000-0000-000000000000",
        "?obj_type=RSA&show_pub_key=true&show_kcv=true&show_value=false",
        "?name=type%20aes",
        "?with_metadata=true",
        "?with_metadata=true&limit=1",
        "?show_destroyed=true&show_deleted=true",
        "?custom_metadata.made%20by=conformance",
        "?filter=%7B%22obj_type%22:%7B%22$eq%22:%22AES%22%7D%7D",
    ] {
        app.call_if_supported("GET", &format!("/crypto/v1/keys{query}"), None);
    }
}

fn life(app: &Client<'_>) {
    let ops = json!(["ENCRYPT", "DECRYPT", "EXPORT", "APPMANAGEABLE"]);
    let spec = json!({"obj_type": "AES", "key_size": 128, "activation_date": "20990101T000000Z", "key_ops": ops});
    let kid = key(app, "life", spec);
    app.call("POST", &format!("/crypto/v1/keys/{kid}/activate"), None);
    app.call("POST", "/crypto/v1/keys/export", json!({"kid": kid}));
    app.call("POST", &format!("/crypto/v1/keys/{kid}/revoke"), json!({"code": "Superseded", "message": "a test"}));
    app.call("POST", "/crypto/v1/keys/info", json!({"kid": kid}));
    app.call("POST", &format!("/crypto/v1/keys/{kid}/destroy"), None);
    app.call("POST", "/crypto/v1/keys/info?show_destroyed=true", json!({"kid": kid}));
    app.call("GET", "/crypto/v1/keys?show_destroyed=true", None);
    app.call("DELETE", &format!("/crypto/v1/keys/{kid}"), None);
    if app.has("DELETE", &format!("/crypto/v1/keys/{kid}/private")) {
        let kid = key(app, "public half", json!({"obj_type": "EC", "elliptic_curve": "NistP256"}));
        app.call("DELETE", &format!("/crypto/v1/keys/{kid}/private"), None);
        app.call("POST", "/crypto/v1/keys/info", json!({"kid": kid}));
    }
}

/// Keys that come of keys: copies, successors, components.
fn descendants(app: &Client<'_>) {
    let exportable = json!({"obj_type": "AES", "key_size": 256, "key_ops": ["ENCRYPT", "DECRYPT", "EXPORT", "APPMANAGEABLE"]});
    if app.has("POST", "/crypto/v1/keys/copy") {
        let kid = key(app, "original", exportable.clone());
        app.call("POST", "/crypto/v1/keys/copy", json!({"key": {"kid": kid}, "name": "copy"}));
        app.call("POST", "/crypto/v1/keys/info", json!({"kid": kid}));
    }
    if app.has("POST", "/crypto/v1/keys/rekey") {
        let old = key(app, "rotating", exportable.clone());
        let policy = json!({"interval_days": 30, "effective_at": "20990101T000000Z", "deactivate_rotated_key": true});
        app.call("PATCH", &format!("/crypto/v1/keys/{old}"), json!({"rotation_policy": policy}));
        app.call("POST", "/crypto/v1/keys/rekey", json!({"name": "rotating", "deactivate_rotated_key": true}));
        app.call("POST", "/crypto/v1/keys/info", json!({"kid": old}));
        if app.has("PUT", "/crypto/v1/keys/x/revert") {
            let kid = key(app, "changed", exportable.clone());
            let path = format!("/crypto/v1/keys/{kid}");
            let history = app.call("PATCH", &path, json!({"description": "another"}))["history"].clone();
            if let Some(id) = history[0]["id"].as_str() {
                app.call("PUT", &format!("{path}/revert"), json!({"ids": [id]}));
            }
        }
    }
    if app.has("POST", "/crypto/v1/keys/replace") {
        let (old, new) = (key(app, "replaced", exportable.clone()), key(app, "replacement", exportable.clone()));
        let body = json!({"replaced": {"kid": old}, "replaced_new_name": "replaced before", "replacement": {"kid": new}});
        app.call("POST", "/crypto/v1/keys/replace", body);
    }
    if app.has("POST", "/crypto/v1/keys/persist") {
        let session = app.with(app.dsm.login());
        let mut spec = exportable;
        spec["transient"] = json!(true);
        spec["name"] = json!("transient");
        let transient = session.call("POST", "/crypto/v1/keys", spec)["transient_key"].clone();
        session.call("POST", "/crypto/v1/keys/persist", json!({"name": "persisted", "transient_key": transient}));
    }
    app.refused(403, "POST", "/crypto/v1/keys/components/export", json!({"key": {"name": "persisted"}, "custodians": []}));
    app.refused(403, "POST", "/crypto/v1/keys/components/import", json!({"key": {"obj_type": "AES"}, "custodians": []}));
}

/// Digests, check values, published and attested keys.
fn checks(app: &Client<'_>) {
    let value = b64(&[7; 16]);
    let spec = json!({"name": "checked", "obj_type": "AES", "value": value});
    let made = app.call("PUT", "/crypto/v1/keys", spec);
    let kid = text(&made["kid"]);
    if app.has("POST", "/crypto/v1/keys/digest") {
        app.call("POST", "/crypto/v1/keys/digest", json!({"key": {"kid": kid}, "alg": "SHA256"}));
    }
    if app.has("POST", "/crypto/v1/keys/kcv") {
        let kcv = app.call("POST", "/crypto/v1/keys/kcv", json!({"kid": kid}))["kcv"].clone();
        app.call("POST", "/crypto/v1/keys/kcv/verify", json!({"kcv": kcv, "value": value, "obj_type": "AES"}));
    }
    if app.has("GET", "/crypto/v1/pubkey/a/b") {
        let publish = json!({"state": "enabled", "list_previous_version": true});
        key(app, "published", json!({"obj_type": "EC", "elliptic_curve": "NistP256", "publish_public_key": publish}));
        app.call("GET", &format!("/crypto/v1/pubkey/{}/published", text(&made["acct_id"])), None);
    }
}
