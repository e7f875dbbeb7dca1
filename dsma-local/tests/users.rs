//! Users, accounts and roles. The table of roles is written by hand from Fortanix's documentation.

use base64_simd::STANDARD;
use dsma_testkit::{Credential, Dsm, Reply, Stack};
use serde_json::{Value, json};

const PASSWORD: &str = "correct horse battery";

fn text(reply: Reply) -> (u16, String) {
    (reply.status, reply.text)
}

fn basic(name: &str, secret: &str) -> Credential {
    Credential::Basic(STANDARD.encode_to_string(format!("{name}:{secret}")))
}

fn signup(stack: &Stack, email: &str) -> String {
    let body = json!({"user_email": email, "user_password": PASSWORD, "recaptcha_response": "x"});
    let reply = stack.dsm().with(Credential::None).request("POST", "/sys/v1/users", Some(body));
    assert_eq!(reply.status, 201, "{}", reply.text);
    reply.json()["user_id"].as_str().unwrap().to_owned()
}

/// A session of a user who has signed up; no account is selected.
fn session(stack: &Stack, email: &str) -> Dsm {
    stack.dsm().with(basic(email, PASSWORD)).login()
}

fn select(dsm: &Dsm, account: &str) -> Reply {
    dsm.request("POST", "/sys/v1/session/select_account", Some(json!({"acct_id": account})))
}

/// A user with an account of their own, which is selected.
fn owner(stack: &Stack, email: &str, account: &str) -> (Dsm, String) {
    signup(stack, email);
    let dsm = session(stack, email);
    let account = dsm.request("POST", "/sys/v1/accounts", Some(json!({"name": account}))).success().json();
    let acct_id = account["acct_id"].as_str().unwrap().to_owned();
    assert_eq!(select(&dsm, &acct_id).success().json()["cookie"], Value::Null);
    (dsm, acct_id)
}

/// A member of the account that `admin` manages, with this role and these roles in groups.
fn member(stack: &Stack, admin: &Dsm, account: &str, email: &str, role: &str, groups: Value) -> (Dsm, String) {
    let user_id = signup(stack, email);
    let body = json!({"user_email": email, "account_role": [role], "add_groups": groups});
    let invited = admin.request("POST", "/sys/v1/users/invite", Some(body));
    assert_eq!((invited.status, &invited.json()["account_role"]), (201, &json!([role, "PENDINGINVITE"])));
    let dsm = session(stack, email);
    assert_eq!(select(&dsm, account).status, 403, "not before the invitation is accepted");
    dsm.request("POST", "/sys/v1/users/process_invite", Some(json!({"accepts": [account]}))).success();
    select(&dsm, account).success();
    (dsm, user_id)
}

#[test]
fn names_of_people_are_one_line_each() {
    let stack = Stack::start();
    let user_id = signup(&stack, "ann@example.com");
    let user = session(&stack, "ann@example.com");
    let nobody = stack.dsm().with(Credential::None);
    for (member, name) in [("first_name", ""), ("first_name", " \t"), ("last_name", "two\nlines"), ("last_name", &"x".repeat(4097))] {
        let mut signup = json!({"user_email": "bob@example.com", "user_password": PASSWORD});
        signup[member] = json!(name);
        for (status, said) in [
            text(nobody.request("POST", "/sys/v1/users", Some(signup))),
            text(user.request("PATCH", &format!("/sys/v1/users/{user_id}"), Some(json!({member: name})))),
        ] {
            assert!(status == 400 && said.contains(member) && said.contains("one line"), "{status} {said}");
        }
    }
    signup(&stack, "bob@example.com");
    let shown = user.request("GET", &format!("/sys/v1/users/{user_id}"), None).success().json();
    assert_eq!((&shown["first_name"], &shown["last_name"]), (&Value::Null, &Value::Null));
}

/// The calls of the vendor's performance tool, in its order, without its plugins.
#[test]
fn the_bootstrap_of_the_performance_tool() {
    let stack = Stack::start();
    let nobody = stack.dsm().with(Credential::None);
    let methods = nobody.request("POST", "/sys/v1/session/auth/discover", Some(json!({"user_email": "perf@example.com"})));
    assert_eq!(methods.success().json(), json!([{"method": "password"}]));
    let (user, account) = owner(&stack, "perf@example.com", "perf");
    let group = user.request("POST", "/sys/v1/groups", Some(json!({"name": "perf"}))).success().json();
    let group = group["group_id"].as_str().unwrap();
    let body = json!({"name": "perf app", "add_groups": {group: ["SIGN", "VERIFY", "ENCRYPT", "DECRYPT", "EXPORT", "MANAGE"]}, "default_group": group});
    let app = user.request("POST", "/sys/v1/apps?group_permissions=true", Some(body)).success().json();
    assert_eq!((app["acct_id"].as_str(), &app["creator"]["user"].is_string()), (Some(account.as_str()), &true));
    let app_id = app["app_id"].as_str().unwrap();
    let credential = user.request("GET", &format!("/sys/v1/apps/{app_id}/credential"), None).success().json();
    let app = stack.dsm().with(basic(app_id, credential["credential"]["secret"].as_str().unwrap()));
    for (name, spec) in [
        ("ec", json!({"obj_type": "EC", "elliptic_curve": "NistP256"})),
        ("rsa", json!({"obj_type": "RSA", "key_size": 2048})),
        ("aes", json!({"obj_type": "AES", "key_size": 256})),
    ] {
        let mut spec = spec.clone();
        spec["name"] = json!(name);
        spec["group_id"] = json!(group);
        let key = user.request("POST", "/crypto/v1/keys", Some(spec));
        assert_eq!(key.status, 201, "{}", key.text);
    }
    let encrypt = json!({"key": {"name": "aes"}, "alg": "AES", "mode": "CBC", "plain": "AAAA"});
    assert_eq!(app.request("POST", "/crypto/v1/encrypt", Some(encrypt.clone())).status, 200);
    assert_eq!(user.request("POST", "/crypto/v1/encrypt", Some(encrypt)).status, 403, "users use no keys");
    let body =
        json!({"method": "auth-by-app-name", "acct_id": account, "name": "perf app", "password": credential["credential"]["secret"]});
    assert_eq!(nobody.request("POST", "/sys/v1/session/auth", Some(body)).success().json()["entity_id"], app_id);
    let plugin = json!({"name": "hello", "source": {"language": "LUA", "code": "function run() end"}, "add_groups": [group]});
    let refused = text(user.request("POST", "/sys/v1/plugins", Some(plugin)));
    assert_eq!(refused, (404, "Plugins are outside this product: this DSM keeps and runs none".into()));
    assert_eq!(user.request("POST", "/sys/v1/session/terminate", None).status, 204);
    assert_eq!(text(user.request("GET", "/sys/v1/groups", None)), (401, "Session does not exist".into()));
}

#[test]
fn two_accounts_know_nothing_of_each_other() {
    let stack = Stack::start();
    let (alice, account) = owner(&stack, "alice@example.com", "shared name");
    let (bob, other) = owner(&stack, "Bob@Example.com", "shared name");
    let make = |user: &Dsm| {
        let group = user.request("POST", "/sys/v1/groups", Some(json!({"name": "group"}))).success().json()["group_id"].clone();
        let group = group.as_str().unwrap().to_owned();
        let app = json!({"name": "app", "add_groups": {&group: ["EXPORT", "MANAGE", "ENCRYPT"]}, "role": "crypto"});
        let app = user.request("POST", "/sys/v1/apps", Some(app)).success().json()["app_id"].as_str().unwrap().to_owned();
        let key = json!({"name": "key", "obj_type": "AES", "key_size": 128, "group_id": group,
            "key_ops": ["ENCRYPT", "EXPORT", "APPMANAGEABLE"]});
        let kid = user.request("POST", "/crypto/v1/keys", Some(key)).success().json()["kid"].as_str().unwrap().to_owned();
        let credential = user.request("GET", &format!("/sys/v1/apps/{app}/credential"), None).success().json();
        let app_client = stack.dsm().with(basic(&app, credential["credential"]["secret"].as_str().unwrap()));
        (group, app, kid, app_client)
    };
    // The same names on both sides.
    let (group, app, kid, _) = make(&alice);
    let (_, _, own, bobs_app) = make(&bob);
    for client in [&bob, &bobs_app, &stack.admin(), &stack.dsm()] {
        for (method, path, body) in [
            ("GET", format!("/crypto/v1/keys/{kid}"), None),
            ("DELETE", format!("/crypto/v1/keys/{kid}"), None),
            ("PATCH", format!("/crypto/v1/keys/{kid}"), Some(json!({"description": "x"}))),
            ("POST", "/crypto/v1/keys/export".into(), Some(json!({"kid": kid}))),
            ("GET", format!("/sys/v1/groups/{group}"), None),
            ("POST", "/crypto/v1/keys".into(), Some(json!({"name": "n", "obj_type": "AES", "key_size": 128, "group_id": group}))),
            ("GET", format!("/sys/v1/accounts/{account}"), None),
        ] {
            let reply = client.request(method, &path, body);
            assert_eq!(reply.status, 404, "{method} {path}: {}", reply.text);
        }
    }
    for client in [&bob, &stack.admin()] {
        for (method, path) in [
            ("GET", format!("/sys/v1/apps/{app}")),
            ("GET", format!("/sys/v1/apps/{app}/credential")),
            ("POST", format!("/sys/v1/apps/{app}/reset_secret")),
            ("DELETE", format!("/sys/v1/apps/{app}")),
            ("DELETE", format!("/sys/v1/groups/{group}")),
        ] {
            assert_eq!(client.request(method, &path, None).status, 404, "{method} {path}");
        }
        let body = json!({"name": "spy", "add_groups": {&group: ["EXPORT"]}});
        assert_eq!(client.request("POST", "/sys/v1/apps", Some(body)).status, 404);
    }
    let keys = bob.request("GET", "/crypto/v1/keys", None).success().json();
    assert_eq!((keys.as_array().unwrap().len(), keys[0]["kid"].as_str()), (1, Some(own.as_str())));
    let named = bobs_app.request("POST", "/crypto/v1/keys/export", Some(json!({"name": "key"}))).success().json();
    assert_eq!(named["kid"], own.as_str(), "a name means the own account's");
    let messages = alice.audit();
    assert!(messages.iter().all(|line| line["acct_id"] == account.as_str()), "{messages:?}");
    assert!(messages.iter().any(|line| line["actor_type"] == "User"));
    assert_eq!(select(&alice, &other).status, 403);
    let accounts = alice.request("GET", "/sys/v1/accounts", None).success().json();
    assert_eq!((accounts.as_array().unwrap().len(), &accounts[0]["acct_id"]), (1, &json!(account)));
    stack.restart();
    assert_eq!(
        session(&stack, "bob@example.com").request("GET", "/sys/v1/users/accounts", None).json()[&other],
        json!(["ACCOUNTADMINISTRATOR", "STATEENABLED"])
    );
}

/// What is asked, and the statuses for administrator, member outside the group, group administrator, group auditor, account auditor.
#[test]
fn roles() {
    let stack = Stack::start();
    let (admin, account) = owner(&stack, "admin@example.com", "roles");
    let group = admin.request("POST", "/sys/v1/groups", Some(json!({"name": "group"}))).success().json()["group_id"].clone();
    let group = group.as_str().unwrap();
    let key = |name: &str| json!({"name": name, "obj_type": "AES", "key_size": 128, "group_id": group});
    let kid = admin.request("POST", "/crypto/v1/keys", Some(key("key"))).success().json()["kid"].as_str().unwrap().to_owned();
    let app = admin.request("POST", "/sys/v1/apps", Some(json!({"name": "app"}))).success().json()["app_id"].as_str().unwrap().to_owned();
    let new = |email: &str, role: &str, groups: Value| member(&stack, &admin, &account, email, role, groups);
    let (outside, outside_id) = new("m@example.com", "ACCOUNTMEMBER", json!({}));
    let (manager, _) = new("g@example.com", "ACCOUNTMEMBER", json!({group: ["GROUPADMINISTRATOR"]}));
    let (looker, _) = new("l@example.com", "ACCOUNTMEMBER", json!({group: ["GROUPAUDITOR"]}));
    let (auditor, _) = new("a@example.com", "ACCOUNTAUDITOR", json!({group: ["GROUPADMINISTRATOR"]}));
    let clients = [&admin, &outside, &manager, &looker, &auditor];

    let (groups, apps, keys) = (format!("/sys/v1/groups/{group}"), format!("/sys/v1/apps/{app}"), format!("/crypto/v1/keys/{kid}"));
    let users = format!("/sys/v1/users/{outside_id}");
    let change = Some(json!({"description": "x"}));
    let table: Vec<(&str, &str, Option<Value>, [u16; 5])> = vec![
        ("GET", &keys, None, [200, 404, 200, 200, 200]),
        ("PATCH", &keys, change.clone(), [200, 404, 200, 403, 403]),
        ("GET", &groups, None, [200, 404, 200, 200, 200]),
        ("PATCH", &groups, change.clone(), [200, 404, 200, 403, 403]),
        ("GET", &apps, None, [200, 403, 403, 403, 200]),
        ("PATCH", &apps, change, [200, 403, 403, 403, 403]),
        ("GET", "/sys/v1/apps", None, [200, 403, 403, 403, 200]),
        ("GET", "/sys/v1/users", None, [200, 200, 200, 200, 200]),
        ("PATCH", &users, Some(json!({"account_role": ["ACCOUNTMEMBER"]})), [200, 403, 403, 403, 403]),
        ("PATCH", "/sys/v1/accounts/ACCOUNT", Some(json!({"description": "x"})), [200, 403, 403, 403, 403]),
        ("GET", "/sys/v1/accounts/ACCOUNT", None, [200, 200, 200, 200, 200]),
        ("GET", "/sys/v1/logs", None, [200, 200, 200, 200, 200]),
        ("POST", "/crypto/v1/keys/export", Some(json!({"kid": kid})), [403, 404, 403, 403, 403]),
    ];
    for (method, path, body, statuses) in table {
        let path = path.replace("ACCOUNT", &account);
        for (client, status) in clients.iter().zip(statuses) {
            let reply = client.request(method, &path, body.clone());
            assert_eq!(reply.status, status, "{method} {path}: {}", reply.text);
        }
    }
    for (number, (client, status)) in clients.iter().zip([201, 404, 201, 403, 403]).enumerate() {
        let reply = client.request("POST", "/crypto/v1/keys", Some(key(&format!("new {number}"))));
        assert_eq!(reply.status, status, "{number}: {}", reply.text);
    }
    // Whoever makes a group administers it.
    for (number, (client, status)) in clients.iter().zip([201, 201, 201, 201, 403]).enumerate() {
        let reply = client.request("POST", "/sys/v1/groups", Some(json!({"name": format!("new {number}")})));
        assert_eq!(reply.status, status, "{number}: {}", reply.text);
        if status == 201 {
            let path = format!("/sys/v1/groups/{}", reply.json()["group_id"].as_str().unwrap());
            assert_eq!(client.request("DELETE", &path, None).status, 204);
        }
    }
}

#[test]
fn memberships_come_and_go() {
    let stack = Stack::start();
    let (admin, account) = owner(&stack, "admin@example.com", "account");
    let (user, user_id) = member(&stack, &admin, &account, "user@example.com", "ACCOUNTADMINISTRATOR", json!({}));
    let path = format!("/sys/v1/users/{user_id}");
    let patch = |body: Value| admin.request("PATCH", &path, Some(body));
    assert_eq!(patch(json!({"enable": false})).success().json()["account_role"], json!(["ACCOUNTADMINISTRATOR"]));
    assert_eq!(text(user.request("GET", "/sys/v1/groups", None)), (403, "User is not a member of this account".into()));
    patch(json!({"enable": true, "account_role": ["ACCOUNTMEMBER", "STATEENABLED"]})).success();
    assert_eq!(user.request("GET", "/sys/v1/groups", None).status, 200, "the session goes on");
    assert_eq!(patch(json!({"first_name": "X"})).status, 403, "a name is its owner's");
    assert_eq!(patch(json!({"first_name": "X", "account_role": ["ACCOUNTADMINISTRATOR"]})).status, 403);
    let role = user.request("GET", &path, None).success().json()["account_role"].clone();
    assert_eq!(role, json!(["ACCOUNTMEMBER", "STATEENABLED"]), "what is refused changes nothing");
    assert_eq!(user.request("PATCH", &path, Some(json!({"first_name": "X"}))).success().json()["first_name"], "X");
    for bad in [json!({"account_role": []}), json!({"account_role": ["KING"]}), json!({"add_groups": {account.as_str(): ["GROUPAUDITOR"]}})]
    {
        let status = patch(bad.clone()).status;
        assert!(status == 400 || status == 404, "{bad}: {status}");
    }
    let me = admin.request("POST", "/sys/v1/session/reauth", None).success().json()["entity_id"].as_str().unwrap().to_owned();
    let own = format!("/sys/v1/users/{me}");
    let refused = admin.request("PATCH", &own, Some(json!({"account_role": ["ACCOUNTMEMBER"]})));
    assert!(refused.status == 409 && refused.text.contains("last administrator"), "{refused:?}");
    assert_eq!(admin.request("DELETE", &format!("{own}/accounts"), None).status, 409);
    assert_eq!(admin.request("DELETE", &format!("{path}/accounts"), None).status, 204);
    assert_eq!(user.request("GET", "/sys/v1/groups", None).status, 403);
    assert_eq!(user.request("GET", "/sys/v1/users/accounts", None).success().json(), json!({}));

    let new = "another long password";
    let change = |current: &str| {
        user.request("POST", "/sys/v1/users/change_password", Some(json!({"current_password": current, "new_password": new})))
    };
    assert_eq!(change("wrong").status, 403);
    assert_eq!(change(PASSWORD).status, 204);
    assert_eq!(user.request("GET", &path, None).status, 401, "its sessions are over");
    assert_eq!(stack.dsm().with(basic("user@example.com", PASSWORD)).request("POST", "/sys/v1/session/auth", None).status, 401);
    let user = stack.dsm().with(basic("user@example.com", new)).login();
    assert_eq!(user.request("DELETE", "/sys/v1/users", None).status, 204);
    assert_eq!(stack.dsm().with(basic("user@example.com", new)).request("POST", "/sys/v1/session/auth", None).status, 401);
}

#[test]
fn credentials_of_users_that_do_not_hold() {
    let stack = Stack::start();
    signup(&stack, "user@example.com");
    let nobody = stack.dsm().with(Credential::None);
    let wrong = (401, "Invalid credentials".to_owned());
    for (email, password) in [("user@example.com", "wrong"), ("nobody@example.com", PASSWORD), ("user@example.com", ""), ("", "")] {
        let auth = |dsm: &Dsm, body: Option<Value>| text(dsm.request("POST", "/sys/v1/session/auth", body));
        assert_eq!(auth(&stack.dsm().with(basic(email, password)), None), wrong, "{email}");
        assert_eq!(auth(&nobody, Some(json!({"method": "password", "email": email, "password": password}))), wrong, "{email}");
    }
    let user = stack.dsm().with(basic("USER@example.com", PASSWORD)).login();
    let unselected = text(user.request("GET", "/crypto/v1/keys", None));
    assert!(unselected.0 == 403 && unselected.1.contains("select_account"), "{unselected:?}");
    for (path, body, status) in [
        ("/sys/v1/users", json!({"user_email": "user@example.com", "user_password": PASSWORD}), 409),
        ("/sys/v1/users", json!({"user_email": "no address", "user_password": PASSWORD}), 400),
        ("/sys/v1/users", json!({"user_email": "a:b@example.com", "user_password": PASSWORD}), 400),
        ("/sys/v1/users", json!({"user_email": "a@example.com", "user_password": "short"}), 400),
        ("/sys/v1/users", json!({"user_email": 7, "user_password": null}), 400),
        ("/sys/v1/session/auth", json!({"method": "telepathy"}), 400),
        ("/sys/v1/session/auth", json!({"method": "password"}), 400),
        ("/sys/v1/session/auth", json!({}), 401),
        ("/sys/v1/session/auth/discover", json!({"user_email": []}), 400),
    ] {
        assert_eq!(nobody.request("POST", path, Some(body.clone())).status, status, "{path} {body}");
    }
    for (path, body, status) in [
        ("/sys/v1/accounts", json!({}), 400),
        ("/sys/v1/accounts", json!({"name": "two\nlines"}), 400),
        ("/sys/v1/accounts", json!({"name": "a", "approval_policy": {"policy": {}}}), 400),
        ("/sys/v1/accounts", json!({"name": "a", "approval_request_expiry": 0}), 400),
        ("/sys/v1/accounts", json!({"name": "a", "client_configurations": {"unknown": {}}}), 400),
        ("/sys/v1/session/select_account", json!({}), 400),
        ("/sys/v1/session/select_account", json!({"acct_id": "00000000-0000-0000-0000-000000000001"}), 403),
        ("/sys/v1/users/process_invite", json!({"accepts": ["00000000-0000-0000-0000-000000000001"]}), 404),
    ] {
        assert_eq!(user.request("POST", path, Some(body.clone())).status, status, "{path} {body}");
    }
    assert_eq!(user.request("GET", "/sys/v1/accounts", None).success().json(), json!([]));
    assert_eq!(stack.dsm().request("POST", "/sys/v1/accounts", Some(json!({"name": "an app's"}))).status, 403);
}

/// Whoever guesses passwords has to wait, and nobody else has to.
#[test]
fn guessing_a_password_ends_in_a_lock() {
    let stack = Stack::start();
    for email in ["ann@example.com", "bob@example.com"] {
        signup(&stack, email);
    }
    let login = |email: &str, password: &str| stack.dsm().with(basic(email, password)).request("POST", "/sys/v1/session/auth", None);
    for _ in 0..5 {
        assert_eq!(login("ann@example.com", "a wrong password").status, 401);
    }
    login("Ann@example.com", PASSWORD).success();
    for email in ["ann@example.com", "nobody@example.com"] {
        let statuses: Vec<u16> = (0..11).map(|_| login(email, "a wrong password").status).collect();
        assert!(statuses[..10] == [401; 10] && statuses[10] == 423, "{email}: {statuses:?}");
    }
    let locked = login("ann@example.com", PASSWORD);
    assert!(locked.status == 423 && locked.text.contains("try again in"), "{}", locked.text);
    login("bob@example.com", PASSWORD).success();
}

/// A script that opens its sessions all at once is nobody who guesses.
#[test]
fn many_logins_at_once_with_the_right_password_all_succeed() {
    let stack = Stack::start();
    signup(&stack, "ann@example.com");
    let ann = stack.dsm().with(basic("ann@example.com", PASSWORD));
    std::thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| ann.request("POST", "/sys/v1/session/auth", None).success());
        }
    });
}

#[test]
fn an_account_ends_when_it_is_empty() {
    let stack = Stack::start();
    let (owner, account) = owner(&stack, "ann@example.com", "short-lived");
    let path = format!("/sys/v1/accounts/{account}");
    let group = owner.request("POST", "/sys/v1/groups", Some(json!({"name": "group"}))).success().json()["group_id"].clone();
    let app = json!({"name": "app", "add_groups": {group.as_str().unwrap(): ["ENCRYPT"]}});
    let app = owner.request("POST", "/sys/v1/apps", Some(app)).success().json()["app_id"].as_str().unwrap().to_owned();
    let secret = owner.request("GET", &format!("/sys/v1/apps/{app}/credential"), None).success().json()["credential"]["secret"].clone();
    let app = stack.dsm().with(basic(&app, secret.as_str().unwrap()));
    let spec = json!({"name": "key", "obj_type": "AES", "key_size": 128, "group_id": group});
    let kid = owner.request("POST", "/crypto/v1/keys", Some(spec)).success().json()["kid"].as_str().unwrap().to_owned();

    assert_eq!(app.request("DELETE", &path, None).status, 403);
    assert_eq!(stack.admin().request("DELETE", &path, None).status, 404, "another account's admin");
    assert_eq!(owner.request("DELETE", &path, None).status, 409, "a key is left");
    owner.request("DELETE", &format!("/crypto/v1/keys/{kid}"), None).success();
    assert_eq!(owner.request("DELETE", &path, None).status, 204);
    assert_eq!(owner.request("GET", "/sys/v1/accounts", None).success().json(), json!([]));
    assert_eq!(app.request("POST", "/sys/v1/session/auth", None).status, 401, "its apps are gone");
    let first = stack.admin().request("GET", "/sys/v1/accounts", None).success().json()[0]["acct_id"].as_str().unwrap().to_owned();
    assert_eq!(stack.admin().request("DELETE", &format!("/sys/v1/accounts/{first}"), None).status, 409);
}
