//! Apps, groups, accounts, users, approvals and the audit log.

use dsma_testkit::Stack;
use serde_json::{Value, json};

use super::text;
use crate::client::Client;

pub(super) fn walk(app: &Client<'_>, admin: &Client<'_>, stack: &Stack) {
    groups(admin);
    apps(app, admin);
    app.call("GET", "/sys/v1/logs?size=10", None);
    admin.call("GET", "/sys/v1/logs?size=5&from=1&action_type=CRYPTOOPERATION&severity=INFO", None);
    approvals(app, admin, stack);
}

fn groups(admin: &Client<'_>) {
    let made =
        admin.call("POST", "/sys/v1/groups", json!({"name": "conformance", "description": "a group", "custom_metadata": {"a": "b"}}));
    let path = format!("/sys/v1/groups/{}", text(&made["group_id"]));
    admin.call("GET", &path, None);
    admin.call("PATCH", &path, json!({"name": "renamed", "description": "another"}));
    let metadata = json!({"base": {"custom_metadata": {"owner": {"required": {}}}}, "for_obj_type": {}, "legacy_objects": "allowed"});
    let policies = json!({
        "cryptographic_policy": {"aes": {"key_sizes": [256]}, "secret": {}, "legacy_policy": "unprotect_only", "key_ops": ["ENCRYPT"]},
        "export_policy": {"$type": "Wrapped", "by": {"$type": "Any"}}, "key_metadata_policy": metadata,
        "custodian_policy": {"quorum": {"n": 1, "members": [{"app": made["creator"]["app"]}]}}, "custom_metadata": {"c": "d"},
    });
    admin.call("PATCH", &path, policies);
    admin.call("GET", "/sys/v1/groups", None);
    admin.call("GET", "/sys/v1/groups?limit=1&offset=0", None);
    admin.call("GET", "/sys/v1/groups?continuation_token=&limit=1&sort_by=group_id:desc", None);
    admin.call("GET", "/sys/v1/apps?continuation_token=&limit=1&sort=app_name:asc&role=admin", None);
    admin.call("DELETE", &path, None);
}

fn apps(app: &Client<'_>, admin: &Client<'_>) {
    let group = app.dsm.default_group();
    let body = json!({"name": "conformance", "add_groups": {&group: ["ENCRYPT", "MANAGE"]}, "default_group": group, "app_type": "a test"});
    let made = admin.call("POST", "/sys/v1/apps?group_permissions=true", body);
    let path = format!("/sys/v1/apps/{}", text(&made["app_id"]));
    admin.call("GET", &path, None);
    admin.call("GET", &format!("{path}?group_permissions=true"), None);
    admin.call("PATCH", &path, json!({"description": "changed", "mod_groups": {&group: ["SIGN"]}}));
    admin.call("GET", &format!("{path}/credential"), None);
    admin.call("POST", &format!("{path}/reset_secret"), json!({"secret_size": 32}));
    admin.call("GET", "/sys/v1/apps", None);
    admin.call("GET", "/sys/v1/apps?group_permissions=true&limit=2&sort=app_id:asc", None);
    app.call("GET", "/sys/v1/apps/client_configs", None);
    admin.call("DELETE", &path, None);
}

/// A key under a quorum: the refusal that clients compare, the request, an approval, its result, and a denial.
fn approvals(app: &Client<'_>, admin: &Client<'_>, stack: &Stack) {
    if !app.has("POST", "/sys/v1/approval_requests") {
        return;
    }
    let group = text(&admin.call("POST", "/sys/v1/groups", json!({"name": "guarded"}))["group_id"]);
    let permissions: &[&str] = &["EXPORT", "SIGN", "ENCRYPT", "DECRYPT", "MANAGE"];
    let [asking, first, second] = ["asking", "first reviewer", "second reviewer"]
        .map(|name| app.with(stack.dsm_as(&app.dsm.new_app(name, &[(&group, permissions)]))));
    let kid = super::key(&asking, "guarded", json!({"obj_type": "AES", "key_size": 256, "group_id": group}));
    let id = |client: &Client<'_>| client.call("POST", "/sys/v1/session/auth", None)["entity_id"].clone();
    let members = json!([{"app": id(&first)}, {"app": id(&second)}]);
    let policy =
        json!({"quorum": {"n": 2, "members": members, "require_password": false, "require_2fa": false}, "protect_crypto_operations": true});
    admin.call("PATCH", &format!("/sys/v1/groups/{group}"), json!({"approval_policy": policy}));

    let body = json!({"key": {"kid": kid}, "alg": "AES", "mode": "CBC", "plain": "AAAA"});
    let refusal = asking.refused(403, "POST", "/crypto/v1/encrypt", body.clone());
    assert_eq!(refusal, "This operation requires approval");
    let file = || {
        let request = json!({"method": "POST", "operation": "/crypto/v1/encrypt", "body": body, "description": "a test"});
        text(&asking.call("POST", "/sys/v1/approval_requests", request)["request_id"])
    };
    let request = format!("/sys/v1/approval_requests/{}", file());
    first.call("POST", &format!("{request}/approve"), json!({}));
    second.call("POST", &format!("{request}/approve"), Value::Null);
    asking.call("GET", &request, None);
    asking.call("POST", &format!("{request}/result"), None);
    for query in ["", "?", "?status=PENDING"] {
        asking.call("GET", &format!("/sys/v1/approval_requests{query}"), None);
    }
    let denied = format!("/sys/v1/approval_requests/{}", file());
    first.call("POST", &format!("{denied}/deny"), json!({"reason": "a test"}));
    asking.call("DELETE", &format!("/sys/v1/approval_requests/{}", file()), None);
}
