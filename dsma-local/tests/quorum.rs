//! Quorum policies and approval requests. What is protected is a table written by hand from Fortanix's guide.

use std::time::{Duration, Instant};

use base64_simd::STANDARD;
use dsma_testkit::{Credential, Dsm, Reply, Stack};
use serde_json::{Value, json};

const REFUSED: &str = "This operation requires approval";
const REQUESTS: &str = "/sys/v1/approval_requests";
const PASSWORD: &str = "correct horse battery";
const ALL: &[&str] = &["SIGN", "VERIFY", "ENCRYPT", "DECRYPT", "EXPORT", "MANAGE"];

/// A group whose policy is given by its approvers, and a key in it.
struct Guarded {
    group: String,
    kid: String,
}

fn text(reply: Reply) -> (u16, String) {
    (reply.status, reply.text)
}

fn id_of(dsm: &Dsm) -> String {
    dsm.request("POST", "/sys/v1/session/auth", None).success().json()["entity_id"].as_str().unwrap().to_owned()
}

fn app(dsm: &Dsm) -> Value {
    json!({"app": id_of(dsm)})
}

fn quorum(n: u32, members: &[Value]) -> Value {
    json!({"quorum": {"n": n, "members": members}})
}

fn set_policy(stack: &Stack, group: &str, policy: &Value) -> Reply {
    stack.admin().request("PATCH", &format!("/sys/v1/groups/{group}"), Some(json!({"approval_policy": policy})))
}

/// Makes a member of `group` with every permission.
fn member(stack: &Stack, group: &str, name: &str) -> Dsm {
    stack.dsm_as(&stack.dsm().new_app(name, &[(group, ALL)]))
}

/// A group with an RSA key; `policy` is made from its first two members, whom it returns.
fn guarded(stack: &Stack, policy: impl FnOnce(&[Value]) -> Value) -> (Guarded, Vec<Dsm>) {
    let group = stack.dsm().new_group("guarded");
    let members: Vec<Dsm> = ["one", "two", "three"].iter().map(|name| member(stack, &group, name)).collect();
    let spec = json!({"obj_type": "RSA", "key_size": 2048, "group_id": group,
        "key_ops": ["SIGN", "VERIFY", "ENCRYPT", "DECRYPT", "EXPORT", "APPMANAGEABLE"]});
    let kid = members[0].create_key(spec);
    let policy = policy(&members.iter().map(app).collect::<Vec<_>>());
    set_policy(stack, &group, &policy).success();
    (Guarded { group, kid }, members)
}

fn crypto_only(mut policy: Value) -> Value {
    policy["protect_crypto_operations"] = json!(true);
    policy["protect_permissions"] = json!([]);
    policy
}

/// Whether the program writes this soon: what it prints is read beside the test.
fn logged(stack: &Stack, words: &str) -> bool {
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(60) {
        if stack.log().contains(words) {
            return true;
        }
        stack.dsm().request("GET", "/sys/v1/version", None).success();
    }
    false
}

fn export(dsm: &Dsm, kid: &str) -> Reply {
    dsm.request("POST", "/crypto/v1/keys/export", Some(json!({"kid": kid})))
}

fn request_export(dsm: &Dsm, kid: &str) -> Value {
    let body = json!({"method": "POST", "operation": "/crypto/v1/keys/export", "body": {"kid": kid}, "description": "for a test"});
    let reply = dsm.request("POST", REQUESTS, Some(body));
    assert_eq!(reply.status, 201, "{}", reply.text);
    reply.json()
}

fn act(dsm: &Dsm, request: &Value, verb: &str) -> Reply {
    dsm.request("POST", &format!("{REQUESTS}/{}/{verb}", request["request_id"].as_str().unwrap()), Some(json!({})))
}

#[test]
fn the_dance_of_an_export() {
    let stack = Stack::start_with(&["--quorum-auto-satisfy", "off"]);
    let (Guarded { group, kid }, members) = guarded(&stack, |ids| crypto_only(quorum(1, &ids[..1])));
    let [approver, other, _] = members.as_slice() else { panic!() };
    // Switched off, even the sole approver asks first.
    for dsm in [approver, other] {
        assert_eq!(text(export(dsm, &kid)), (403, REFUSED.into()));
        assert_eq!(text(dsm.request("GET", &format!("/crypto/v1/keys/{kid}/export"), None)), (403, REFUSED.into()));
        assert_eq!(text(dsm.request("GET", &format!("/crypto/v1/keys/{kid}?show_value=true"), None)), (403, REFUSED.into()));
    }
    let request = request_export(other, &kid);
    for (member, value) in [
        ("status", json!("PENDING")),
        ("method", json!("POST")),
        ("operation", json!("/crypto/v1/keys/export")),
        ("body", json!({"kid": kid})),
        ("description", json!("for a test")),
        ("approvers", json!([])),
        ("reviewers", json!([{"app": id_of(approver), "requires_password": false, "requires_2fa": false}])),
        ("subjects", json!([{"sobject": kid}])),
        ("requester", app(other)),
        ("result_viewed", json!(false)),
    ] {
        assert_eq!(request[member], value, "{member}");
    }
    assert_eq!(text(act(other, &request, "result")), (400, "Approval request is pending".into()));
    assert_eq!(act(other, &request, "approve").status, 403, "not a reviewer");
    assert_eq!(act(&stack.dsm(), &request, "approve").status, 404, "a stranger sees nothing");

    let approved = act(approver, &request, "approve").success().json();
    assert_eq!((&approved["status"], &approved["approvers"]), (&json!("APPROVED"), &json!([app(approver)])));
    assert_eq!(act(approver, &request, "approve").status, 400, "it is no longer pending");
    assert_eq!(act(approver, &request, "result").status, 403, "it is the requester's");
    let result = act(other, &request, "result").success().json();
    assert_eq!((&result["status"], &result["body"]["kid"]), (&json!(200), &json!(kid)));
    assert!(result["body"]["value"].as_str().unwrap().len() > 1000, "the key itself");
    assert_eq!(stack.admin().exports_of(&kid), 1);
    assert_eq!(act(other, &request, "result").status, 400, "one approval is one export");
    assert_eq!(text(export(other, &kid)), (403, REFUSED.into()), "and opens no door");
    let path = format!("{REQUESTS}/{}", request["request_id"].as_str().unwrap());
    assert_eq!(other.request("GET", &path, None).success().json()["result_viewed"], true);

    // The approver's own dance: asks, approves, fetches.
    let own = request_export(approver, &kid);
    act(approver, &own, "approve").success();
    assert_eq!(act(approver, &own, "result").success().json()["status"], 200);

    // The policy has changed meanwhile: what was approved under the old one does not hold.
    let late = request_export(other, &kid);
    act(approver, &late, "approve").success();
    let path = format!("/sys/v1/groups/{group}");
    let body = json!({"approval_policy": crypto_only(quorum(2, &[app(approver), app(other)]))});
    let change = json!({"method": "PATCH", "operation": path, "body": body});
    let change = stack.admin().request("POST", REQUESTS, Some(change)).success().json();
    act(approver, &change, "approve").success();
    assert_eq!(act(&stack.admin(), &change, "result").success().json()["status"], 200);
    assert_eq!(act(other, &late, "result").success().json(), json!({"status": 403, "body": REFUSED}));
    let status = &other.request("GET", &format!("{REQUESTS}/{}", late["request_id"].as_str().unwrap()), None).json()["status"];
    assert_eq!(status, "FAILED");
}

#[test]
fn a_sole_approver_acts_directly_and_nobody_else_does() {
    let stack = Stack::start();
    let (Guarded { kid, .. }, members) = guarded(&stack, |ids| crypto_only(quorum(1, &ids[..1])));
    assert!(logged(&stack, "add human reviewers"), "{}", stack.log());
    let value = export(&members[0], &kid).success().json();
    assert!(value["value"].is_string());
    let operation = |dsm: &Dsm, name: &str, body: Value| text(dsm.request("POST", &format!("/crypto/v1/keys/{kid}/{name}"), Some(body)));
    let encrypt = json!({"alg": "RSA", "mode": "OAEP_MGF1_SHA256", "plain": "AAAA"});
    let sign = json!({"hash_alg": "SHA256", "data": "AAAA"});
    let verify = json!({"hash_alg": "SHA256", "data": "AAAA", "signature": "AAAA"});
    let decrypt = json!({"alg": "RSA", "mode": "OAEP_MGF1_SHA256", "cipher": "AAAA"});
    assert_eq!(operation(&members[0], "encrypt", encrypt.clone()).0, 200);
    for (name, body) in [("encrypt", &encrypt), ("sign", &sign), ("decrypt", &decrypt)] {
        assert_eq!(operation(&members[1], name, body.clone()), (403, REFUSED.into()), "{name}");
    }
    assert_eq!(operation(&members[1], "verify", verify).0, 200, "checking is free");
    let batch = json!([{"kid": kid, "request": encrypt}]);
    let replies = members[1].request("POST", "/crypto/v1/keys/batch/encrypt", Some(batch)).success().json();
    assert_eq!((&replies[0]["status"], &replies[0]["error"]), (&json!(403), &json!(REFUSED)));
    assert_eq!(text(export(&members[1], &kid)), (403, REFUSED.into()));
    assert_eq!(members[1].request("GET", &format!("/crypto/v1/keys/{kid}"), None).status, 200, "the description is free");
    let patch = |body: Value| text(members[1].request("PATCH", &format!("/crypto/v1/keys/{kid}"), Some(body)));
    assert_eq!(patch(json!({"description": "x"})).0, 200, "only cryptographic operations are protected");
    assert_eq!(stack.admin().exports_of(&kid), 1);

    // Out of the group, the key would be out of the policy's reach.
    let elsewhere = stack.dsm().new_group("elsewhere");
    let id = id_of(&members[1]);
    let body = json!({"add_groups": {&elsewhere: ALL}});
    stack.admin().request("PATCH", &format!("/sys/v1/apps/{id}"), Some(body)).success();
    assert_eq!(patch(json!({"group_id": elsewhere})), (403, REFUSED.into()));
}

/// policy over apps 0, 1, 2; who approves; whether that is enough.
#[test]
fn approvals_add_up_to_nested_quorums() {
    let stack = Stack::start_with(&["--quorum-auto-satisfy", "off"]);
    let (Guarded { group, kid }, members) = guarded(&stack, |ids| crypto_only(quorum(1, &ids[..1])));
    let ids: Vec<Value> = members.iter().map(app).collect();
    let nested = quorum(2, &[ids[0].clone(), quorum(1, &ids[1..])]);
    let table: &[(Value, &[usize], bool)] = &[
        (ids[0].clone(), &[0], true),
        (quorum(2, &ids), &[0, 2], true),
        (quorum(2, &ids), &[1], false),
        (quorum(3, &ids), &[0, 1, 2], true),
        (quorum(3, &ids), &[0, 1], false),
        (nested.clone(), &[0, 2], true),
        (nested.clone(), &[1, 2], false),
        (nested, &[0], false),
    ];
    let mut approvers_of_policy = vec![0];
    for (policy, approving, enough) in table {
        let body = json!({"approval_policy": crypto_only(policy.clone())});
        let change = json!({"method": "patch", "operation": format!("sys/v1/groups/{group}?x=y"), "body": body});
        let change = stack.admin().request("POST", REQUESTS, Some(change)).success().json();
        for approver in &approvers_of_policy {
            act(&members[*approver], &change, "approve");
        }
        assert_eq!(act(&stack.admin(), &change, "result").success().json()["status"], 200);

        let request = request_export(&members[0], &kid);
        for approver in *approving {
            act(&members[*approver], &request, "approve").success();
        }
        let result = act(&members[0], &request, "result");
        assert_eq!(result.status, if *enough { 200 } else { 400 }, "{policy} {approving:?}: {}", result.text);
        approvers_of_policy = vec![0, 1, 2];
    }
}

#[test]
fn a_denial_ends_it() {
    let stack = Stack::start();
    let (Guarded { kid, .. }, members) = guarded(&stack, |ids| crypto_only(quorum(2, &ids[..2])));
    assert_eq!(text(export(&members[0], &kid)), (403, REFUSED.into()), "one of two is not enough");
    let request = request_export(&members[2], &kid);
    act(&members[0], &request, "approve").success();
    let path = format!("{REQUESTS}/{}", request["request_id"].as_str().unwrap());
    let denied = members[1].request("POST", &format!("{path}/deny"), Some(json!({"reason": "no"}))).success().json();
    assert_eq!((&denied["status"], &denied["denial_reason"]), (&json!("DENIED"), &json!("no")));
    assert_eq!(denied["denier"], app(&members[1]));
    assert_eq!(act(&members[0], &request, "approve").status, 400);
    assert_eq!(text(act(&members[2], &request, "result")), (400, "Approval request was denied".into()));
    assert_eq!(act(&members[2], &request, "challenge").status, 400);

    let list = |dsm: &Dsm, query: &str| dsm.request("GET", &format!("{REQUESTS}?{query}"), None);
    let count = |dsm: &Dsm, query: &str| list(dsm, query).success().json().as_array().unwrap().len();
    let [requester, reviewer] = [id_of(&members[2]), id_of(&members[0])];
    assert_eq!(count(&members[2], ""), 1);
    assert_eq!(count(&stack.dsm(), ""), 0);
    assert_eq!(count(&stack.admin(), &format!("requester={requester}&reviewer={reviewer}&subject={kid}&status=DENIED")), 1);
    for none in [format!("requester={reviewer}"), format!("reviewer={requester}"), "status=PENDING".into(), format!("subject={reviewer}")] {
        assert_eq!(count(&stack.admin(), &none), 0, "{none}");
    }
    assert_eq!(list(&stack.admin(), "status=MAYBE").status, 400);
    assert_eq!(members[0].request("DELETE", &path, None).status, 403, "a reviewer does not withdraw it");
    assert_eq!(members[2].request("DELETE", &path, None).status, 204);
    assert_eq!(members[2].request("GET", &path, None).status, 404);
}

#[test]
fn management_that_a_policy_names_needs_approval() {
    let stack = Stack::start();
    let names =
        ["CREATE_SOBJECTS", "UPDATE_SOBJECTS_PROFILE", "ACTIVATE_SOBJECTS", "REVOKE_SOBJECTS", "DESTROY_SOBJECTS", "DELETE_SOBJECTS"];
    let (Guarded { group, kid }, members) = guarded(&stack, |ids| {
        let mut policy = quorum(1, &ids[..1]);
        policy["protect_permissions"] = json!(names);
        policy
    });
    let key = format!("/crypto/v1/keys/{kid}");
    let spec = json!({"name": "new", "obj_type": "AES", "key_size": 128, "group_id": group});
    let revoke = json!({"code": "Superseded"});
    for (method, path, body) in [
        ("POST", "/crypto/v1/keys".to_owned(), Some(spec.clone())),
        ("PATCH", key.clone(), Some(json!({"description": "x"}))),
        ("POST", format!("{key}/activate"), None),
        ("POST", format!("{key}/revoke"), Some(revoke)),
        ("POST", format!("{key}/destroy"), None),
        ("DELETE", key.clone(), None),
    ] {
        assert_eq!(text(members[1].request(method, &path, body)), (403, REFUSED.into()), "{method} {path}");
    }
    assert_eq!(export(&members[1], &kid).status, 200, "cryptographic operations are not protected");
    assert_eq!(members[1].request("GET", "/crypto/v1/keys", None).success().json().as_array().unwrap().len(), 1);
    let request = json!({"method": "POST", "operation": "/crypto/v1/keys", "body": spec});
    let request = members[1].request("POST", REQUESTS, Some(request)).success().json();
    assert_eq!(request["subjects"], json!([{"group": group}]));
    act(&members[0], &request, "approve").success();
    let result = act(&members[1], &request, "result").success().json();
    assert_eq!((&result["status"], &result["body"]["creator"]), (&json!(201), &app(&members[1])));
    assert_eq!(members[0].request("DELETE", &key, None).status, 204, "the approver may");
}

#[test]
fn sobjects_may_be_hidden_until_approval() {
    let stack = Stack::start();
    let (Guarded { kid, .. }, members) = guarded(&stack, |ids| {
        let mut policy = quorum(1, &ids[..1]);
        policy["protect_permissions"] = json!(["GET_SOBJECTS"]);
        policy
    });
    for (dsm, count, status) in [(&members[0], 1, 200), (&members[1], 0, 403), (&stack.admin(), 1, 403)] {
        // The admin sees the TLS key that comes with each state.
        assert_eq!(dsm.request("GET", "/crypto/v1/keys", None).success().json().as_array().unwrap().len(), count);
        assert_eq!(dsm.request("GET", &format!("/crypto/v1/keys/{kid}"), None).status, status);
    }
}

#[test]
fn a_policy_guards_itself_and_its_approvers() {
    let stack = Stack::start();
    let (Guarded { group, .. }, members) = guarded(&stack, |ids| crypto_only(quorum(1, &ids[..1])));
    let (admin, path) = (stack.admin(), format!("/sys/v1/groups/{group}"));
    let shown = admin.request("GET", &path, None).success().json();
    assert_eq!(shown["approval_policy"]["quorum"]["n"], 1);
    assert_eq!(text(set_policy(&stack, &group, &json!("remove"))), (403, REFUSED.into()));
    assert_eq!(text(set_policy(&stack, &group, &app(&members[1]))), (403, REFUSED.into()));
    assert_eq!(text(admin.request("DELETE", &path, None)), (403, REFUSED.into()));
    assert_eq!(admin.request("PATCH", &path, Some(json!({"description": "x"}))).status, 200);

    let approver = format!("/sys/v1/apps/{}", id_of(&members[0]));
    assert_eq!(text(admin.request("GET", &format!("{approver}/credential"), None)), (403, REFUSED.into()));
    assert_eq!(text(admin.request("POST", &format!("{approver}/reset_secret"), None)), (403, REFUSED.into()));
    let body = json!({"credential": {"secret": "chosen by the administrator"}});
    assert_eq!(text(admin.request("PATCH", &approver, Some(body))), (403, REFUSED.into()));
    let reply = admin.request("DELETE", &approver, None);
    assert!(reply.status == 409 && reply.text.contains("guarded"), "{reply:?}");
    let other = format!("/sys/v1/apps/{}/credential", id_of(&members[1]));
    assert_eq!(admin.request("GET", &other, None).status, 200);

    let remove = json!({"method": "PATCH", "operation": path, "body": {"approval_policy": "remove"}});
    let remove = admin.request("POST", REQUESTS, Some(remove)).success().json();
    act(&members[0], &remove, "approve").success();
    assert_eq!(act(&admin, &remove, "result").success().json()["status"], 200);
    assert_eq!(admin.request("GET", &path, None).json()["approval_policy"], Value::Null);
}

/// A user who approves, in the account of the admin app.
fn reviewer(stack: &Stack, email: &str) -> (Dsm, Value) {
    let account = stack.admin().request("GET", "/sys/v1/accounts", None).success().json()[0]["acct_id"].clone();
    let nobody = stack.dsm().with(Credential::None);
    let user = nobody.request("POST", "/sys/v1/users", Some(json!({"user_email": email, "user_password": PASSWORD}))).success().json();
    stack.admin().request("POST", "/sys/v1/users/invite", Some(json!({"user_email": email}))).success();
    let dsm = nobody.with(Credential::Basic(STANDARD.encode_to_string(format!("{email}:{PASSWORD}")))).login();
    dsm.request("POST", "/sys/v1/users/process_invite", Some(json!({"accepts": [account]}))).success();
    dsm.request("POST", "/sys/v1/session/select_account", Some(json!({"acct_id": account}))).success();
    (dsm, json!({"user": user["user_id"]}))
}

#[test]
fn people_approve_with_their_password_where_the_policy_wants_it() {
    let stack = Stack::start();
    let (alice, alice_id) = reviewer(&stack, "alice@example.com");
    let (bob, bob_id) = reviewer(&stack, "bob@example.com");
    let people = json!({"quorum": {"n": 1, "members": [alice_id, bob_id], "require_password": true}});
    let (Guarded { kid, .. }, members) = guarded(&stack, |ids| crypto_only(quorum(2, &[ids[0].clone(), people])));
    assert!(!stack.log().contains("add human reviewers"));
    assert_eq!(text(export(&members[0], &kid)), (403, REFUSED.into()), "the app alone is not enough");
    let request = request_export(&members[0], &kid);
    act(&members[0], &request, "approve").success();
    let approve = |dsm: &Dsm, password: Option<&str>| {
        let path = format!("{REQUESTS}/{}/approve", request["request_id"].as_str().unwrap());
        dsm.request("POST", &path, Some(json!({"password": password})))
    };
    assert_eq!(text(approve(&alice, None)), (403, "This approval requires the password".into()));
    assert_eq!(text(approve(&alice, Some("wrong"))), (403, "The password is wrong".into()));
    assert_eq!(approve(&members[1], Some(PASSWORD)).status, 404, "neither requester nor reviewer");
    assert_eq!(approve(&members[0], Some(PASSWORD)).status, 400, "apps have none");
    let approved = approve(&bob, Some(PASSWORD)).success().json();
    assert_eq!((&approved["status"], &approved["approvers"][1]), (&json!("APPROVED"), &bob_id));
    assert_eq!(act(&members[0], &request, "result").success().json()["status"], 200);
    let path = format!("/sys/v1/users/{}/accounts", bob_id["user"].as_str().unwrap());
    assert_eq!(bob.request("DELETE", &path, None).status, 409, "an approver does not leave");
    assert_eq!(bob.request("DELETE", "/sys/v1/users", None).status, 409);
}

/// Waits for time itself to pass.
#[test]
fn what_has_expired_is_neither_approved_nor_carried_out() {
    let stack = Stack::start();
    let (Guarded { kid, .. }, members) = guarded(&stack, |ids| crypto_only(quorum(1, &ids[..1])));
    let account = stack.admin().request("GET", "/sys/v1/accounts", None).success().json()[0]["acct_id"].clone();
    let path = format!("/sys/v1/accounts/{}", account.as_str().unwrap());
    let expiry = Duration::from_secs(10);
    stack.admin().request("PATCH", &path, Some(json!({"approval_request_expiry": expiry.as_secs()}))).success();
    let (pending, approved) = (request_export(&members[1], &kid), request_export(&members[1], &kid));
    act(&members[0], &approved, "approve").success();
    let begin = Instant::now();
    while begin.elapsed() <= expiry {
        members[0].request("GET", REQUESTS, None).success();
    }
    let expired = (400, "Approval request has expired".to_owned());
    assert_eq!(text(act(&members[0], &pending, "approve")), expired);
    assert_eq!(text(act(&members[0], &pending, "deny")), expired);
    assert_eq!(text(act(&members[1], &approved, "result")), expired);
}

#[test]
fn what_is_no_policy_and_no_request() {
    let stack = Stack::start();
    let (group, dsm) = (stack.dsm().default_group(), stack.dsm());
    let me = app(&dsm);
    let with = |name: &str, value: Value| {
        let mut policy = me.clone();
        policy[name] = value;
        policy
    };
    for bad in [
        json!({}),
        json!("removed"),
        json!([]),
        json!({"app": "me"}),
        json!({"app": "00000000-0000-0000-0000-000000000001"}),
        json!({"user": id_of(&dsm)}),
        with("user", json!(id_of(&dsm))),
        quorum(0, std::slice::from_ref(&me)),
        quorum(2, std::slice::from_ref(&me)),
        quorum(1, &[]),
        json!({"quorum": {"n": 1, "members": [me], "require_2fa": true}}),
        json!({"quorum": {"n": -1, "members": [me]}}),
        with("protect_permissions", json!(["FLY"])),
        with("protect_crypto_operations", json!("yes")),
    ] {
        let reply = set_policy(&stack, &group, &bad);
        assert!(reply.status == 400 && !reply.text.is_empty(), "{bad}: {} {}", reply.status, reply.text);
    }
    let kid = dsm.create_key(json!({"obj_type": "AES", "key_size": 128}));
    for (body, status) in [
        (json!({}), 400),
        (json!({"operation": "/nowhere"}), 400),
        (json!({"operation": 7}), 400),
        (json!({"operation": "/crypto/v1/keys/export", "method": "DELETE"}), 400),
        (json!({"operation": "/sys/v1/session/auth"}), 400),
        (json!({"operation": REQUESTS, "body": {}}), 400),
        (json!({"operation": "/crypto/v1/keys/export", "body": {"kid": kid}}), 400),
        (json!({"operation": "/crypto/v1/keys/export", "body": {"name": "nobody's"}}), 404),
        (json!({"operation": "/crypto/v1/keys/export", "body": "text"}), 400),
        (json!({"operation": "/crypto/v1/keys/export"}), 400),
    ] {
        let reply = dsm.request("POST", REQUESTS, Some(body.clone()));
        assert_eq!(reply.status, status, "{body}: {}", reply.text);
    }
    for (method, path) in [("GET", ""), ("POST", "/approve"), ("POST", "/deny"), ("POST", "/result"), ("DELETE", "")] {
        let reply = dsm.request(method, &format!("{REQUESTS}/00000000-0000-0000-0000-000000000001{path}"), None);
        assert_eq!(text(reply), (404, "Approval request does not exist".into()), "{method} {path}");
    }
    assert_eq!(dsm.request("GET", &format!("{REQUESTS}/nonsense"), None).status, 400);
}
