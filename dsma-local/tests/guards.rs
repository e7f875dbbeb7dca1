//! Ways around permissions and quorum policies that must be shut, and two clients that change one object at once.

use dsma_testkit::{Dsm, Stack};
use serde_json::{Value, json};

const APPROVAL: &str = "This operation requires approval";

/// A group whose policy names `approver` and says `rules` besides.
fn guarded(stack: &Stack, name: &str, approver: &Value, rules: Value) -> String {
    let group = stack.dsm().new_group(name);
    protect(stack, &group, approver, rules);
    group
}

fn protect(stack: &Stack, group: &str, approver: &Value, rules: Value) {
    let mut policy = rules;
    policy["quorum"] = json!({"n": 1, "members": [{"app": approver}]});
    stack.admin().request("PATCH", &format!("/sys/v1/groups/{group}"), Some(json!({"approval_policy": policy}))).success();
}

fn app_id(app: &Dsm) -> Value {
    app.request("POST", "/sys/v1/session/auth", None).success().json()["entity_id"].clone()
}

fn key(app: &Dsm, name: &str, group: &str, spec: Value) -> String {
    let mut spec = spec;
    (spec["name"], spec["group_id"]) = (json!(name), json!(group));
    app.request("POST", "/crypto/v1/keys", Some(spec)).success().json()["kid"].as_str().unwrap().to_owned()
}

fn aes() -> Value {
    json!({"obj_type": "AES", "key_size": 256})
}

/// member that is changed, the permission that it takes.
fn changes(other_group: &str) -> Vec<(Value, &'static str)> {
    vec![
        (json!({"description": "text"}), "UPDATE_SOBJECTS_PROFILE"),
        (json!({"custom_metadata": {"a": "b"}}), "UPDATE_SOBJECTS_PROFILE"),
        (json!({"key_ops": ["ENCRYPT", "EXPORT", "APPMANAGEABLE"]}), "UPDATE_KEY_OPS"),
        (json!({"enabled": false}), "UPDATE_SOBJECTS_ENABLED_STATE"),
        (json!({"rotation_policy": {"interval_days": 5}}), "UPDATE_SOBJECT_POLICIES"),
        (json!({"export_policy": {"$type": "Wrapped", "by": {"$type": "Any"}, "allow_weakening": true}}), "UPDATE_SOBJECT_POLICIES"),
        (json!({"state": "Active"}), "ACTIVATE_SOBJECTS"),
        (json!({"group_id": other_group}), "MOVE_SOBJECTS"),
    ]
}

/// Each member of an update takes its own permission, and no other will do.
#[test]
fn an_update_takes_the_permission_for_what_it_changes() {
    let stack = Stack::start();
    let dsm = stack.dsm();
    let (group, other) = (dsm.new_group("one"), dsm.new_group("other"));
    let maker = stack.dsm_as(&dsm.new_app("maker", &[(&group, &["MANAGE"])]));
    let all: Vec<&str> = changes(&other).into_iter().map(|(_, permission)| permission).collect();
    for (number, (change, permission)) in changes(&other).into_iter().enumerate() {
        let mut spec = aes();
        spec["activation_date"] = json!("20990101T000000Z");
        let path = format!("/crypto/v1/keys/{}", key(&maker, &format!("key {number}"), &group, spec));
        let others: Vec<&str> = all.iter().copied().filter(|name| *name != permission).collect();
        let without = stack.dsm_as(&dsm.new_app(&format!("without {number}"), &[(&group, &others), (&other, &["MANAGE"])]));
        let refused = without.request("PATCH", &path, Some(change.clone()));
        assert_eq!(refused.status, 403, "{change} without {permission}: {}", refused.text);
        let with = stack.dsm_as(&dsm.new_app(&format!("with {number}"), &[(&group, &[permission]), (&other, &["CREATE_SOBJECTS"])]));
        with.request("PATCH", &path, Some(change)).success();
    }
}

/// What a policy names is protected in whatever request it comes.
#[test]
fn a_policy_protects_each_member_of_an_update() {
    let stack = Stack::start();
    let dsm = stack.dsm();
    let approver = app_id(&stack.dsm_as(&dsm.new_app("approver", &[])));
    let other = dsm.new_group("other");
    for (number, (change, permission)) in changes(&other).into_iter().enumerate() {
        let group = dsm.new_group(&format!("guarded {number}"));
        let app = stack.dsm_as(&dsm.new_app(&format!("app {number}"), &[(&group, &["MANAGE"]), (&other, &["MANAGE"])]));
        let mut spec = aes();
        spec["activation_date"] = json!("20990101T000000Z");
        let path = format!("/crypto/v1/keys/{}", key(&app, &format!("key {number}"), &group, spec));
        protect(&stack, &group, &approver, json!({"protect_permissions": [permission]}));
        for (other, its) in changes(&other) {
            let reply = app.request("PATCH", &path, Some(other.clone()));
            if its == permission {
                assert_eq!((reply.status, reply.text.as_str()), (403, APPROVAL), "{other} where {permission} is protected");
            } else if its != "MOVE_SOBJECTS" {
                reply.success();
            }
        }
        let reply = app.request("PATCH", &path, Some(change));
        assert!(reply.status == 403 || reply.status == 200, "{}", reply.text);
    }
}

/// An approval is for the sobject that its reviewers saw, whoever bears the name by then.
#[test]
fn a_renaming_after_the_approval_changes_nothing() {
    let stack = Stack::start();
    let dsm = stack.dsm();
    let group = dsm.new_group("guarded");
    let app = stack.dsm_as(&dsm.new_app("asking", &[(&group, &["MANAGE", "EXPORT"])]));
    let reviewer = stack.dsm_as(&dsm.new_app("reviewer", &[(&group, &["ENCRYPT"])]));
    let ops = json!({"obj_type": "AES", "key_size": 256, "key_ops": ["ENCRYPT", "EXPORT", "APPMANAGEABLE"]});
    let (harmless, secret) = (key(&app, "harmless", &group, ops.clone()), key(&app, "secret", &group, ops));
    // Names are free to change under this policy.
    protect(&stack, &group, &app_id(&reviewer), json!({"protect_crypto_operations": true, "protect_permissions": []}));

    let ask = |operation: &str, body: &Value| {
        let request = json!({"method": "POST", "operation": operation, "body": body});
        let request = app.request("POST", "/sys/v1/approval_requests", Some(request)).success().json();
        let path = format!("/sys/v1/approval_requests/{}", request["request_id"].as_str().unwrap());
        reviewer.request("POST", &format!("{path}/approve"), None).success();
        path
    };
    let by_name = json!({"name": "harmless"});
    let item = json!({"SingleItem": {"method": "POST", "operation": "/crypto/v1/keys/export", "body": by_name}});
    let batch = json!({"Batch": {"batch_execution_type": "Serial", "items": [item]}});
    let asked = [ask("/crypto/v1/keys/export", &by_name), ask("/batch/v1", &batch)];
    let good = ask("/crypto/v1/keys/export", &by_name);
    let result = app.request("POST", &format!("{good}/result"), None).success().json();
    assert_eq!((&result["status"], &result["body"]["kid"]), (&json!(200), &json!(harmless)));

    let rename = |kid: &str, name: &str| {
        app.request("PATCH", &format!("/crypto/v1/keys/{kid}"), Some(json!({"name": name}))).success();
    };
    rename(&harmless, "out of the way");
    rename(&secret, "harmless");
    for path in asked {
        let result = app.request("POST", &format!("{path}/result"), None).success().json();
        assert_eq!(result["status"], 409, "{result}");
        assert!(result["body"].as_str().unwrap().contains("another sobject"), "{result}");
    }
}

/// A digest of the value tells as much of a guessable value as its export.
#[test]
fn a_digest_is_guarded_as_an_export() {
    let stack = Stack::start();
    let dsm = stack.dsm();
    let approver = app_id(&stack.dsm_as(&dsm.new_app("approver", &[])));
    let group = guarded(&stack, "guarded", &approver, json!({"protect_crypto_operations": true}));
    let permissions: &[&str] = &["CREATE_SOBJECTS", "CALCULATE_DIGEST", "UPDATE_SOBJECTS_ENABLED_STATE"];
    let app = stack.dsm_as(&dsm.new_app("app", &[(&group, permissions), (&dsm.default_group(), permissions)]));
    let secret = |name: &str, group: &str| {
        let spec = json!({"name": name, "obj_type": "SECRET", "value": "MTIzNA==", "group_id": group});
        app.request("PUT", "/crypto/v1/keys", Some(spec)).success().json()["kid"].clone()
    };
    let digest = |kid: &Value| app.request("POST", "/crypto/v1/keys/digest", Some(json!({"key": {"kid": kid}, "alg": "SHA256"})));
    let reply = digest(&secret("guarded", &group));
    assert_eq!((reply.status, reply.text.as_str()), (403, APPROVAL));
    let free = secret("free", &dsm.default_group());
    digest(&free).success();
    app.request("PATCH", &format!("/crypto/v1/keys/{}", free.as_str().unwrap()), Some(json!({"enabled": false}))).success();
    assert_eq!(digest(&free).status, 403);
}

/// A key's subkeys are what clients take its certificates from: not everybody who sees a key may add one.
#[test]
fn a_parent_is_changed_by_those_who_manage_its_group() {
    let stack = Stack::start();
    let dsm = stack.dsm();
    let (theirs, ours) = (dsm.new_group("theirs"), dsm.new_group("ours"));
    let owner = stack.dsm_as(&dsm.new_app("owner", &[(&theirs, &["MANAGE"])]));
    let stranger = stack.dsm_as(&dsm.new_app("stranger", &[(&theirs, &["VERIFY"]), (&ours, &["MANAGE"])]));
    let parent = key(&owner, "tls", &theirs, json!({"obj_type": "EC", "elliptic_curve": "NistP256"}));
    let mut spec = json!({"name": "child", "obj_type": "OPAQUE", "value": "AAAA", "group_id": ours, "links": {"parent": parent}});
    assert_eq!(stranger.request("PUT", "/crypto/v1/keys", Some(spec.clone())).status, 403);
    spec["group_id"] = json!(theirs);
    owner.request("PUT", "/crypto/v1/keys", Some(spec)).success();
}

/// One client changes the description, the other the policy, again and again: neither loses what the other wrote.
#[test]
fn two_clients_change_one_group() {
    let stack = Stack::start();
    let admin = stack.admin();
    let group = stack.dsm().new_group("shared");
    let path = format!("/sys/v1/groups/{group}");
    let me = app_id(&admin);
    let policy = json!({"quorum": {"n": 1, "members": [{"app": me}]}, "protect_crypto_operations": true});
    let change = |body: Value| admin.request("PATCH", &path, Some(body)).success().json();
    std::thread::scope(|scope| {
        let describing = scope.spawn(|| {
            for number in 0..100 {
                change(json!({"description": format!("{number}")}));
                assert_eq!(admin.request("GET", &path, None).success().json()["description"], format!("{number}"));
            }
        });
        for _ in 0..50 {
            change(json!({"approval_policy": policy}));
            assert!(admin.request("GET", &path, None).success().json()["approval_policy"].is_object(), "the policy was lost");
            change(json!({"approval_policy": "remove"}));
            assert!(admin.request("GET", &path, None).success().json()["approval_policy"].is_null(), "the policy came back");
        }
        describing.join().unwrap();
    });
}

/// A user's own group is made with its administrator, and forgets everybody when it ends.
#[test]
fn a_group_ends_with_all_that_names_it() {
    let stack = Stack::start();
    let admin = stack.admin();
    let group = stack.dsm().new_group("short-lived");
    let body = json!({"name": "app", "add_groups": {&group: ["SIGN"]}, "default_group": group});
    let app = admin.request("POST", "/sys/v1/apps", Some(body)).success().json();
    admin.request("DELETE", &format!("/sys/v1/groups/{group}"), None).success();
    let app = admin.request("GET", &format!("/sys/v1/apps/{}", app["app_id"].as_str().unwrap()), None).success().json();
    assert!(app["default_group"].is_null() && app["groups"] == json!([]), "{app}");
}
