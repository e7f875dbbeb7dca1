//! Keys that take over names: rekey, replace, rotation by policy; copies; and the links between sobjects.

use std::time::{Duration, Instant};

use base64_simd::STANDARD;
use dsma_testkit::{Dsm, Reply, Stack};
use serde_json::{Value, json};

fn post(dsm: &Dsm, path: &str, body: Value) -> Reply {
    dsm.request("POST", path, Some(body))
}

fn create(dsm: &Dsm, spec: Value) -> Value {
    post(dsm, "/crypto/v1/keys", spec).success().json()
}

fn aes(dsm: &Dsm, name: &str) -> Value {
    create(dsm, json!({"name": name, "obj_type": "AES", "key_size": 128, "key_ops": ["ENCRYPT", "DECRYPT", "EXPORT", "APPMANAGEABLE"]}))
}

fn show(dsm: &Dsm, kid: &Value) -> Value {
    dsm.request("GET", &format!("/crypto/v1/keys/{}", kid.as_str().unwrap()), None).success().json()
}

fn patch(dsm: &Dsm, kid: &Value, body: Value) -> Reply {
    dsm.request("PATCH", &format!("/crypto/v1/keys/{}", kid.as_str().unwrap()), Some(body))
}

fn value(dsm: &Dsm, kid: &Value) -> String {
    post(dsm, "/crypto/v1/keys/export", json!({"kid": kid})).success().json()["value"].as_str().unwrap().to_owned()
}

#[test]
fn rekey_moves_the_name_and_links_both() {
    let stack = Stack::start();
    let dsm = stack.dsm();
    let old = create(
        &dsm,
        json!({"name": "key", "obj_type": "AES", "key_size": 192, "description": "text", "custom_metadata": {"a": "1"}, "key_ops":
            ["ENCRYPT", "EXPORT", "APPMANAGEABLE"]}),
    );
    let reply = post(&dsm, "/crypto/v1/keys/rekey", json!({"name": "key", "deactivate_rotated_key": true, "group_id": null}));
    assert_eq!(reply.status, 201, "{}", reply.text);
    let new = reply.json();
    for member in ["name", "obj_type", "key_size", "description", "custom_metadata", "key_ops", "group_id"] {
        assert_eq!(new[member], old[member], "{member}");
    }
    assert_ne!(new["kid"], old["kid"]);
    assert_eq!(new["links"], json!({"replaced": old["kid"]}));
    let was = show(&dsm, &old["kid"]);
    assert_eq!(was["links"], json!({"replacement": new["kid"]}));
    assert!(was["name"].as_str().unwrap().starts_with("key (rotated at 2"), "{was}");
    assert_eq!((was["state"].as_str(), new["state"].as_str()), (Some("Deactivated"), Some("Active")));
    assert_ne!(value(&dsm, &old["kid"]), value(&dsm, &new["kid"]));

    let bigger = json!({"name": "key", "key_size": 256, "key_ops": ["ENCRYPT", "APPMANAGEABLE"], "custom_metadata": {}});
    let newer = post(&dsm, "/crypto/v1/keys/rekey", bigger).success().json();
    assert_eq!((newer["key_size"].as_u64(), &newer["key_ops"]), (Some(256), &json!(["ENCRYPT", "APPMANAGEABLE"])));
    assert_eq!(show(&dsm, &new["kid"])["state"], "Active", "only where that is asked for");

    let rotated = was["name"].clone();
    for (body, status) in [
        (json!({}), 400),
        (json!({"name": "nobody"}), 404),
        (json!({"name": rotated}), 409),
        (json!({"name": "key", "obj_type": "RSA"}), 400),
        (json!({"name": "key", "key_size": 7}), 400),
        (json!({"name": "key", "transient": true}), 400),
    ] {
        assert_eq!(post(&dsm, "/crypto/v1/keys/rekey", body.clone()).status, status, "{body}");
    }
    for spec in [
        json!({"name": "rsa", "obj_type": "RSA", "key_size": 2048, "rsa": {"signature_policy": [{"padding": {"PKCS1_V15": {}}}]}}),
        json!({"name": "ec", "obj_type": "EC", "elliptic_curve": "NistP384"}),
        json!({"name": "ed", "obj_type": "EC", "elliptic_curve": "Ed25519"}),
        json!({"name": "mac", "obj_type": "HMAC", "key_size": 160}),
    ] {
        let old = create(&dsm, spec.clone());
        let new = post(&dsm, "/crypto/v1/keys/rekey", json!({"name": spec["name"]})).success().json();
        for member in ["key_size", "elliptic_curve", "rsa", "key_ops"] {
            assert_eq!(new[member], old[member], "{spec}");
        }
    }
}

#[test]
fn replace_gives_the_name_to_an_existing_key() {
    let stack = Stack::start();
    let dsm = stack.dsm();
    let old = aes(&dsm, "service");
    let new = aes(&dsm, "prepared");
    patch(&dsm, &old["kid"], json!({"custom_metadata": {"owner": "me"}, "rotation_policy": {"interval_days": 30}})).success();
    let body = json!({"replaced": {"name": "service"}, "replaced_new_name": "service 1", "replacement": {"kid": new["kid"]}});
    assert_eq!(post(&dsm, "/crypto/v1/keys/replace", body).status, 204);
    let (was, is) = (show(&dsm, &old["kid"]), show(&dsm, &new["kid"]));
    assert_eq!((was["name"].as_str(), is["name"].as_str()), (Some("service 1"), Some("service")));
    assert_eq!((&was["links"], &is["links"]), (&json!({"replacement": new["kid"]}), &json!({"replaced": old["kid"]})));
    assert_eq!((&is["custom_metadata"], &is["rotation_policy"]), (&json!({"owner": "me"}), &json!({"interval_days": 30})));
    assert!(is["scheduled_rotation"].is_string() && was["rotation_policy"].is_null());
    create(&dsm, json!({"name": "mac", "obj_type": "HMAC", "key_size": 256}));
    for (body, status) in [
        (json!({"replaced": {"name": "service"}, "replaced_new_name": "x", "replacement": {"name": "mac"}}), 400),
        (json!({"replaced": {"name": "service"}, "replaced_new_name": "x", "replacement": {"name": "service"}}), 400),
        (json!({"replaced": {"name": "service 1"}, "replaced_new_name": "x", "replacement": {"name": "service"}}), 409),
        (json!({"replaced": {"name": "service"}, "replaced_new_name": " ", "replacement": {"name": "service 1"}}), 400),
        (json!({"replaced": {"transient_key": "AAAA"}, "replaced_new_name": "x", "replacement": {"name": "service"}}), 400),
    ] {
        assert_eq!(post(&dsm, "/crypto/v1/keys/replace", body.clone()).status, status, "{body}");
    }
}

#[test]
fn a_rotation_policy_is_kept_shown_and_followed() {
    let stack = Stack::start();
    let dsm = stack.dsm();
    let old = aes(&dsm, "rotating");
    let soon = dsma_testkit_time(8);
    let policy = json!({"interval_days": 7, "effective_at": soon, "deactivate_rotated_key": true});
    let changed = patch(&dsm, &old["kid"], json!({"rotation_policy": policy})).success().json();
    assert_eq!((&changed["rotation_policy"], changed["scheduled_rotation"].as_str()), (&policy, Some(soon.as_str())));

    let deadline = Instant::now() + Duration::from_secs(90);
    let new = loop {
        let named = post(&dsm, "/crypto/v1/keys/info", json!({"name": "rotating"})).json();
        if named["kid"] != old["kid"] && named["kid"].is_string() {
            break named;
        }
        assert!(Instant::now() < deadline, "no rotation came");
    };
    assert_eq!((&new["links"]["replaced"], &new["rotation_policy"]), (&old["kid"], &policy));
    assert!(new["scheduled_rotation"].as_str().unwrap() > soon.as_str());
    let was = show(&dsm, &old["kid"]);
    assert_eq!((was["state"].as_str(), &was["scheduled_rotation"]), (Some("Deactivated"), &Value::Null));

    let ended = patch(&dsm, &new["kid"], json!({"rotation_policy": {}})).success().json();
    assert!(ended["rotation_policy"].is_null() && ended["scheduled_rotation"].is_null());
    for bad in [json!({"interval_days": 0}), json!({"interval_days": 1, "interval_months": 1}), json!({"effective_at": soon})] {
        assert_eq!(patch(&dsm, &new["kid"], json!({"rotation_policy": bad})).status, 400, "{bad}");
    }
    let secret = json!({"name": "s", "obj_type": "SECRET", "value": "AAAA", "rotation_policy": {"interval_days": 1}});
    assert_eq!(dsm.request("PUT", "/crypto/v1/keys", Some(secret)).status, 400);
}

/// DSM's time, so many seconds from now.
fn dsma_testkit_time(seconds: u64) -> String {
    let text = String::from_utf8(
        std::process::Command::new("date").args(["-u", "-d", &format!("+{seconds} seconds"), "+%Y%m%dT%H%M%SZ"]).output().unwrap().stdout,
    );
    text.unwrap().trim().to_owned()
}

#[test]
fn a_copy_has_the_same_material_and_no_more_operations() {
    let stack = Stack::start();
    let dsm = stack.dsm();
    let group = dsm.new_group("other");
    let app = stack.dsm_as(&dsm.new_app("both", &[(&dsm.default_group(), &["MANAGE", "EXPORT"]), (&group, &["MANAGE", "EXPORT"])]));
    let key = aes(&app, "original");
    let copy = post(&app, "/crypto/v1/keys/copy", json!({"key": {"name": "original"}, "name": "copy", "group_id": group})).success().json();
    assert_eq!((&copy["links"], &copy["group_id"]), (&json!({"copiedFrom": key["kid"]}), &json!(group)));
    assert_eq!(show(&app, &key["kid"])["links"], json!({"copiedTo": [copy["kid"]]}));
    assert_eq!(value(&app, &copy["kid"]), value(&app, &key["kid"]));

    let closed = create(&app, json!({"name": "closed", "obj_type": "AES", "key_size": 128}));
    let with = |more: Value| {
        let mut body = json!({"key": {"kid": closed["kid"]}, "name": "x"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        post(&app, "/crypto/v1/keys/copy", body).status
    };
    assert_eq!(with(json!({"key_ops": ["EXPORT"]})), 403);
    assert_eq!(with(json!({"name": "copy"})), 409);
    assert_eq!(with(json!({"value": "AAAA"})), 400);
    assert_eq!(with(json!({"group_id": "00000000-0000-0000-0000-000000000001"})), 404);
    assert!(show(&app, &closed["kid"])["links"].is_null(), "nothing half-made");
    assert_eq!(with(json!({"key_ops": ["ENCRYPT"]})), 201);

    // What is deleted is linked no more.
    app.request("DELETE", &format!("/crypto/v1/keys/{}", copy["kid"].as_str().unwrap()), None).success();
    assert!(show(&app, &key["kid"])["links"].is_null());
}

#[test]
fn a_parent_lists_its_subkeys() {
    let stack = Stack::start();
    let dsm = stack.dsm();
    let (parent, other, child) = (aes(&dsm, "parent"), aes(&dsm, "other"), aes(&dsm, "child"));
    let links = |key: &Value| show(&dsm, &key["kid"])["links"].clone();
    patch(&dsm, &child["kid"], json!({"links": {"parent": parent["kid"], "subkeys": null, "copiedFrom": null}})).success();
    assert_eq!((links(&parent), links(&child)), (json!({"subkeys": [child["kid"]]}), json!({"parent": parent["kid"]})));
    patch(&dsm, &child["kid"], json!({"description": "links stay"})).success();
    patch(&dsm, &child["kid"], json!({"links": {"parent": other["kid"]}})).success();
    assert_eq!((links(&parent), links(&other)), (Value::Null, json!({"subkeys": [child["kid"]]})));

    for (key, bad, status) in [
        (&other, json!({"parent": child["kid"]}), 400),
        (&other, json!({"parent": other["kid"]}), 400),
        (&child, json!({"parent": "00000000-0000-0000-0000-000000000001"}), 404),
        (&child, json!({"subkeys": [parent["kid"]]}), 400),
        (&child, json!({"replacement": parent["kid"]}), 400),
    ] {
        assert_eq!(patch(&dsm, &key["kid"], json!({"links": bad})).status, status, "{bad}");
    }
    assert_eq!(links(&child), json!({"parent": other["kid"]}));
    patch(&dsm, &child["kid"], json!({"links": {}})).success();
    assert_eq!((links(&other), links(&child)), (Value::Null, Value::Null));

    let value = STANDARD.encode_to_string(b"belongs to it");
    let spec = json!({"name": "imported", "obj_type": "OPAQUE", "value": value, "links": {"parent": parent["kid"]}});
    let imported = dsm.request("PUT", "/crypto/v1/keys", Some(spec)).success().json();
    assert_eq!(links(&parent), json!({"subkeys": [imported["kid"]]}));
    // The DSM Accelerator finds a key's certificates so: in the export.
    let exported = post(&dsm, "/crypto/v1/keys/export", json!({"name": "parent"})).success().json();
    assert_eq!(exported["links"], json!({"subkeys": [imported["kid"]]}));
}

/// Two clients at the same thing at once: one wins, and nothing is lost or half-written.
#[test]
fn two_clients_change_one_object_at_once() {
    let stack = Stack::start();
    let dsm = stack.dsm();
    let key = aes(&dsm, "key");
    let rekeyed: Vec<u16> = at_once(2, |_| post(&dsm, "/crypto/v1/keys/rekey", json!({"name": "key"})).status);
    assert!(rekeyed.iter().all(|status| matches!(status, 201 | 409)) && rekeyed.contains(&201), "{rekeyed:?}");
    let all = dsm.request("GET", "/crypto/v1/keys", None).json();
    let successes = rekeyed.iter().filter(|status| **status == 201).count();
    assert_eq!(all.as_array().unwrap().len(), 1 + successes);

    let kid = key["kid"].as_str().unwrap();
    at_once(8, |number| {
        patch(&dsm, &key["kid"], json!({"description": format!("{number}"), "custom_metadata": {"number": format!("{number}")}})).success();
    });
    let shown = show(&dsm, &key["kid"]);
    assert_eq!(shown["description"], shown["custom_metadata"]["number"], "both members come from one request");
    let deleted: Vec<u16> = at_once(4, |_| dsm.request("DELETE", &format!("/crypto/v1/keys/{kid}"), None).status);
    assert_eq!(deleted.iter().filter(|status| **status == 204).count(), 1, "{deleted:?}");
    let named: Vec<u16> = at_once(4, |_| post(&dsm, "/crypto/v1/keys", json!({"name": "new", "obj_type": "AES", "key_size": 128})).status);
    assert_eq!(named.iter().filter(|status| **status == 201).count(), 1, "{named:?}");
    assert_eq!(named.iter().filter(|status| **status == 409).count(), 3, "{named:?}");
}

fn at_once<T: Send>(clients: usize, run: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let barrier = std::sync::Barrier::new(clients);
    let run = |number| {
        barrier.wait();
        run(number)
    };
    std::thread::scope(|scope| {
        let run = &run;
        let clients: Vec<_> = (0..clients).map(|number| scope.spawn(move || run(number))).collect();
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    })
}
