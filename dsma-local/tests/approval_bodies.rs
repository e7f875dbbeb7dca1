//! Who sees what in the body of an approval request: reviewers what they approve, nobody but the requester a secret in it.

mod wire;

use base64_simd::STANDARD;
use dsma_testkit::{Credential, Dsm, Stack};
use serde_json::{Value, json};
use wire::b64;

const REQUESTS: &str = "/sys/v1/approval_requests";
const PASSWORD: &str = "correct horse battery";

/// A user with a role in the account of the admin app.
fn person(stack: &Stack, email: &str, role: &str) -> (Dsm, Value) {
    let account = stack.admin().request("GET", "/sys/v1/accounts", None).success().json()[0]["acct_id"].clone();
    let nobody = stack.dsm().with(Credential::None);
    let user = nobody.request("POST", "/sys/v1/users", Some(json!({"user_email": email, "user_password": PASSWORD}))).success().json();
    let invitation = json!({"user_email": email, "account_role": [role]});
    stack.admin().request("POST", "/sys/v1/users/invite", Some(invitation)).success();
    let dsm = nobody.with(Credential::Basic(STANDARD.encode_to_string(format!("{email}:{PASSWORD}")))).login();
    dsm.request("POST", "/sys/v1/users/process_invite", Some(json!({"accepts": [account]}))).success();
    dsm.request("POST", "/sys/v1/session/select_account", Some(json!({"acct_id": account}))).success();
    (dsm, json!({"user": user["user_id"]}))
}

#[test]
fn nobody_but_the_requester_sees_a_secret() {
    let stack = Stack::start();
    let group = stack.dsm().new_group("guarded");
    let requester = stack.dsm_as(&stack.dsm().new_app("requester", &[(&group, &["MANAGE", "EXPORT", "ENCRYPT", "SIGN"])]));
    let (reviewer, reviewer_id) = person(&stack, "reviewer@example.com", "ACCOUNTMEMBER");
    let (custodian, custodian_id) = person(&stack, "custodian@example.com", "ACCOUNTMEMBER");
    let (auditor, _) = person(&stack, "auditor@example.com", "ACCOUNTAUDITOR");
    let (manager, _) = person(&stack, "manager@example.com", "ACCOUNTADMINISTRATOR");
    let policy = json!({"quorum": {"n": 1, "members": [reviewer_id, custodian_id]}, "protect_permissions": ["CREATE_SOBJECTS"]});
    let policies = json!({"approval_policy": policy, "custodian_policy": {"quorum": {"n": 2, "members": [reviewer_id, custodian_id]}}});
    stack.admin().request("PATCH", &format!("/sys/v1/groups/{group}"), Some(policies)).success();

    let value = b64(&[0x5a; 32]);
    let import = json!({"name": "imported", "obj_type": "AES", "group_id": group, "value": value, "key_ops": ["ENCRYPT", "EXPORT"]});
    let certificate = json!({"name": "certificate", "obj_type": "CERTIFICATE", "group_id": group, "value": "MIIB"});
    let key = json!({"inline": {"value": value, "obj_type": "AES"}});
    let encrypt = json!({"key": key, "alg": "AES", "mode": "CBC", "iv": b64(&[0; 16]), "plain": b64(b"plain text"), "group_id": group});
    let sign = json!({"hash_alg": "SHA256", "hash": b64(&[7; 32]), "data": null, "group_id": group});
    let item = |operation: &str, body: &Value| json!({"method": "POST", "operation": operation, "body": body});
    let app =
        json!({"credential": {"secret": b64(b"secret of an app")}, "add_groups": {&group: ["SIGN"]}, "secret": "x", "group_id": group});
    let password = json!({"current_password": "before", "new_password": "after", "password": null, "group_id": group});
    let batch = |encrypt: &Value, app: &Value| {
        json!({"batch_execution_type": "ordered", "items": [
            {"single_item": item("/crypto/v1/encrypt", encrypt)},
            {"batch": {"items": [{"single_item": item("/sys/v1/apps", app)}]}},
        ]})
    };
    let hidden = |body: &Value, pointers: &[&str]| {
        let mut body = body.clone();
        for pointer in pointers {
            *body.pointer_mut(pointer).unwrap() = json!("redacted");
        }
        body
    };
    let shown_encrypt = hidden(&encrypt, &["/key/inline/value", "/plain"]);
    let shown_app = hidden(&app, &["/credential/secret", "/secret"]);
    let cases = [
        ("PUT", "/crypto/v1/keys", import.clone(), hidden(&import, &["/value"])),
        ("PUT", "/crypto/v1/keys", certificate.clone(), certificate),
        ("POST", "/crypto/v1/encrypt", encrypt.clone(), shown_encrypt.clone()),
        ("POST", "/crypto/v1/sign", sign.clone(), sign),
        ("POST", "/batch/v1", batch(&encrypt, &app), batch(&shown_encrypt, &shown_app)),
        ("POST", "/sys/v1/users/change_password", password.clone(), hidden(&password, &["/current_password", "/new_password"])),
    ];
    for (method, operation, body, shown) in cases {
        let request = json!({"method": method, "operation": operation, "body": body});
        let made = requester.request("POST", REQUESTS, Some(request)).success().json();
        assert_eq!(made["body"], body, "{operation}: the requester knows it anyhow");
        let path = format!("{REQUESTS}/{}", made["request_id"].as_str().unwrap());
        assert_eq!(requester.request("GET", &path, None).success().json()["body"], body, "{operation}");
        for (who, dsm) in [("reviewer", &reviewer), ("custodian", &custodian), ("auditor", &auditor), ("manager", &manager)] {
            assert_eq!(dsm.request("GET", &path, None).success().json()["body"], shown, "{operation}, one, to the {who}");
            let listed = dsm.request("GET", REQUESTS, None).success().json();
            let listed = listed.as_array().unwrap().iter().find(|listed| listed["request_id"] == made["request_id"]).unwrap();
            assert_eq!(listed["body"], shown, "{operation}, listed, to the {who}");
        }
        let verb = if operation == "/crypto/v1/keys" && shown["obj_type"] == "AES" { "approve" } else { "deny" };
        let answer = reviewer.request("POST", &format!("{path}/{verb}"), Some(json!({}))).success().json();
        assert_eq!(answer["body"], shown, "{operation}, the answer to {verb}");
        if verb == "approve" {
            let result = requester.request("POST", &format!("{path}/result"), None).success().json();
            assert_eq!(result["status"], 201, "{result}");
            let exported = requester.request("POST", "/crypto/v1/keys/export", Some(json!({"kid": result["body"]["kid"]}))).success();
            assert_eq!(exported.json()["value"], value, "what was carried out is what was asked for");
        }
    }
}
