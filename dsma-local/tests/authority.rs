//! Apps, groups and permissions. The table of operations is written by hand from DSM's documentation.

use dsma_testkit::{Authority, Dsm, Reply, Stack};
use serde_json::{Value, json};

/// What the OpenAPI and the published clients require.
const REQUIRED_OF_APPS: &[&str] = &[
    "acct_id",
    "app_id",
    "app_type",
    "client_configurations",
    "created_at",
    "creator",
    "default_group",
    "enabled",
    "groups",
    "ip_address_policy",
    "last_operations",
    "legacy_access",
    "name",
    "role",
];

fn text(reply: Reply) -> (u16, String) {
    (reply.status, reply.text)
}

fn id_of(dsm: &Dsm) -> String {
    dsm.request("POST", "/sys/v1/session/auth", None).success().json()["entity_id"].as_str().unwrap().to_owned()
}

/// operation, method and path (`{}` is the kid), body, status where it is allowed.
fn operations() -> Vec<(&'static str, &'static str, &'static str, Value, u16)> {
    let sign = json!({"hash_alg": "SHA256", "data": "AAAA"});
    let verify = json!({"hash_alg": "SHA256", "data": "AAAA", "signature": "AAAA"});
    let oaep = "OAEP_MGF1_SHA256";
    vec![
        ("SIGN", "POST", "/crypto/v1/keys/{}/sign", sign, 200),
        ("VERIFY", "POST", "/crypto/v1/keys/{}/verify", verify, 200),
        ("ENCRYPT", "POST", "/crypto/v1/keys/{}/encrypt", json!({"alg": "RSA", "mode": oaep, "plain": "AAAA"}), 200),
        // The ciphertext is none: permission is asked first.
        ("DECRYPT", "POST", "/crypto/v1/keys/{}/decrypt", json!({"alg": "RSA", "mode": oaep, "cipher": "AAAA"}), 400),
        ("EXPORT", "GET", "/crypto/v1/keys/{}/export", Value::Null, 200),
        ("MANAGE", "PATCH", "/crypto/v1/keys/{}", json!({"description": "x"}), 200),
        ("MANAGE", "POST", "/crypto/v1/keys/{}/activate", Value::Null, 204),
    ]
}

#[test]
fn each_operation_needs_its_permission_and_its_key_operation() {
    let stack = Stack::start();
    let dsm = stack.dsm();
    let group = dsm.default_group();
    let all = ["SIGN", "VERIFY", "ENCRYPT", "DECRYPT", "EXPORT", "APPMANAGEABLE"];
    let key = |name: &str, ops: Vec<&str>| dsm.create_key(json!({"name": name, "obj_type": "RSA", "key_size": 2048, "key_ops": ops}));
    let capable = key("capable", all.to_vec());
    let member = stack.dsm_as(&dsm.new_app("member", &[(&group, &[])]));
    let outsider = stack.dsm_as(&dsm.new_app("outsider", &[(&dsm.new_group("elsewhere"), &all_permissions())]));

    for (permission, method, path, body, allowed) in operations() {
        let body = (!body.is_null()).then_some(body);
        let ask = |dsm: &Dsm, kid: &str| dsm.request(method, &path.replace("{}", kid), body.clone());

        let only = stack.dsm_as(&dsm.new_app(&format!("{permission} {path}"), &[(&group, &[permission])]));
        let reply = ask(&only, &capable);
        assert_eq!(reply.status, allowed, "{permission} {path}: {}", reply.text);
        assert_eq!(text(ask(&member, &capable)), (403, "App does not have permission to perform this operation".into()), "{path}");
        assert_eq!(text(ask(&outsider, &capable)), (404, "Sobject does not exist".into()), "{path}");

        let op = if permission == "MANAGE" { "APPMANAGEABLE" } else { permission };
        let incapable = key(&format!("without {permission} {path}"), all.into_iter().filter(|name| *name != op).collect());
        assert_eq!(text(ask(&dsm, &incapable)), (403, format!("Sobject does not allow operation {op}")), "{path}");
    }
    assert_eq!(member.request("GET", &format!("/crypto/v1/keys/{capable}"), None).status, 200, "members may look");
    assert_eq!(outsider.request("GET", &format!("/crypto/v1/keys/{capable}"), None).status, 404);
    assert_eq!(outsider.request("GET", "/crypto/v1/keys", None).json(), json!([]));
}

fn all_permissions() -> Vec<&'static str> {
    vec!["SIGN", "VERIFY", "ENCRYPT", "DECRYPT", "EXPORT", "MANAGE"]
}

#[test]
fn making_sobjects_needs_manage_in_the_target_group() {
    let stack = Stack::start();
    let dsm = stack.dsm();
    let other = dsm.new_group("other");
    let create = |dsm: &Dsm, name: &str, group: Option<&str>| {
        let body = json!({"name": name, "group_id": group, "obj_type": "AES", "key_size": 128});
        text(dsm.request("POST", "/crypto/v1/keys", Some(body)))
    };
    let user = stack.dsm_as(&dsm.new_app("user", &[(&other, &["ENCRYPT"])]));
    let homeless = stack.dsm_as(&dsm.new_app("homeless", &[]));
    let newer = stack.dsm_as(&dsm.new_app("newer", &[(&other, &["CREATE_SOBJECTS"])]));
    assert_eq!(create(&user, "a", None).0, 403);
    assert_eq!(create(&homeless, "a", None), (400, "Missing field `group_id`: the app has no default group".into()));
    assert_eq!(create(&dsm, "a", Some(&other)), (404, "Group does not exist".into()));
    assert_eq!(create(&newer, "a", None).0, 201);
    assert_eq!(create(&dsm, "a", None), (409, "Sobject with this name already exists".into()));
    assert_eq!(create(&stack.admin(), "b", Some(&other)).0, 201);
    assert_eq!(create(&stack.admin(), "c", Some("00000000-0000-0000-0000-000000000001")).0, 404);
}

#[test]
fn apps_are_managed_by_admin_apps_and_may_read_themselves() {
    let stack = Stack::start();
    let (dsm, admin) = (stack.dsm(), stack.admin());
    let group = dsm.default_group();
    let me = id_of(&dsm);
    let admin_id = id_of(&admin);

    let plain = dsm.request("GET", &format!("/sys/v1/apps/{me}"), None).success().json();
    for member in REQUIRED_OF_APPS {
        assert!(!plain[*member].is_null(), "{member} is missing in {plain}");
    }
    assert_eq!(plain["groups"], json!([group]));
    // Published clients do not know the creator `system`.
    assert_eq!(plain["creator"]["app"], admin_id);
    let with = dsm.request("GET", &format!("/sys/v1/apps/{me}?group_permissions=true"), None).success().json();
    let permissions = with["groups"][&group].as_array().unwrap();
    // The names that the published Rust client knows; a newer one makes it fail.
    let classic = "SIGN VERIFY ENCRYPT DECRYPT WRAPKEY UNWRAPKEY DERIVEKEY MACGENERATE MACVERIFY EXPORT MANAGE AGREEKEY MASKDECRYPT";
    assert_eq!(permissions.iter().map(|name| name.as_str().unwrap()).collect::<Vec<_>>().join(" "), classic);

    for (method, path, body) in [
        ("GET", "/sys/v1/apps".to_owned(), None),
        ("POST", "/sys/v1/apps".to_owned(), Some(json!({"name": "x"}))),
        ("GET", format!("/sys/v1/apps/{admin_id}"), None),
        ("GET", format!("/sys/v1/apps/{me}/credential"), None),
        ("PATCH", format!("/sys/v1/apps/{me}"), Some(json!({"role": "admin"}))),
        ("DELETE", format!("/sys/v1/apps/{admin_id}"), None),
        ("POST", format!("/sys/v1/apps/{me}/reset_secret"), None),
        ("POST", "/sys/v1/groups".to_owned(), Some(json!({"name": "x"}))),
        ("PATCH", format!("/sys/v1/groups/{group}"), Some(json!({"name": "x"}))),
        ("DELETE", format!("/sys/v1/groups/{group}"), None),
    ] {
        let reply = dsm.request(method, &path, body);
        assert_eq!((reply.status, reply.text.as_str()), (403, "Only an app with role admin may do this"), "{method} {path}");
    }
    assert_eq!(admin.request("GET", "/sys/v1/apps", None).success().json().as_array().unwrap().len(), 4);
}

#[test]
fn the_life_of_an_app() {
    let stack = Stack::start();
    let (dsm, admin) = (stack.dsm(), stack.admin());
    let (first, second) = (dsm.default_group(), dsm.new_group("second"));
    let spec = json!({"name": "app", "add_groups": {&first: ["ENCRYPT"]}, "default_group": first, "credential": {"secret": {"size": 32}}});
    let reply = admin.request("POST", "/sys/v1/apps?group_permissions=true", Some(spec.clone()));
    assert_eq!(reply.status, 201, "{}", reply.text);
    let app = reply.json();
    assert_eq!((app["auth_type"].as_str(), &app["groups"]), (Some("Secret"), &json!({&first: ["ENCRYPT"]})));
    let path = format!("/sys/v1/apps/{}", app["app_id"].as_str().unwrap());
    let credential = admin.request("GET", &format!("{path}/credential"), None).success().json();
    assert_eq!(credential["app_id"], app["app_id"]);
    assert_eq!(credential["credential"]["secret"].as_str().unwrap().len(), 43, "32 bytes in base64 without padding");

    assert_eq!(text(admin.request("POST", "/sys/v1/apps", Some(spec))), (409, "App with this name already exists".into()));
    let patch = |body: Value| admin.request("PATCH", &format!("{path}?group_permissions=true"), Some(body));
    let body = json!({"name": "renamed", "add_groups": {&second: ["SIGN"]}, "mod_groups": {&first: ["DECRYPT"]}, "default_group": second});
    let changed = patch(body).success().json();
    assert_eq!((changed["name"].as_str(), &changed["groups"]), (Some("renamed"), &json!({&first: ["DECRYPT"], &second: ["SIGN"]})));
    let changed = patch(json!({"del_groups": [second]})).success().json();
    assert_eq!((&changed["groups"], &changed["default_group"]), (&json!({&first: ["DECRYPT"]}), &Value::Null));
    for (body, status) in [
        (json!({"add_groups": {&first: ["FLY"]}}), 400),
        (json!({"add_groups": {"00000000-0000-0000-0000-000000000001": ["SIGN"]}}), 404),
        (json!({"mod_groups": {&second: ["SIGN"]}}), 400),
        (json!({"default_group": second}), 400),
        (json!({"name": "Default app"}), 409),
        (json!({"name": "two\nlines"}), 400),
        (json!({"credential": {"certificate": "AAAA"}}), 400),
        (json!({"credential": {"secret": {"size": 4}}}), 400),
    ] {
        let reply = patch(body.clone());
        assert_eq!(reply.status, status, "{body}: {}", reply.text);
    }
    assert_eq!(patch(json!({})).success().json()["groups"], json!({&first: ["DECRYPT"]}), "a refusal changes nothing");
    assert_eq!(admin.request("DELETE", &path, None).status, 204);
    assert_eq!(text(admin.request("GET", &path, None)), (404, "App does not exist".into()));
}

#[test]
fn the_life_of_a_group() {
    let stack = Stack::start();
    let (dsm, admin) = (stack.dsm(), stack.admin());
    let reply = admin.request("POST", "/sys/v1/groups", Some(json!({"name": "group", "description": "text"})));
    assert_eq!(reply.status, 201, "{}", reply.text);
    let group = reply.json();
    for member in ["acct_id", "client_configurations", "created_at", "creator", "group_id", "name"] {
        assert!(!group[member].is_null(), "{member} is missing in {group}");
    }
    let id = group["group_id"].as_str().unwrap();
    let path = format!("/sys/v1/groups/{id}");
    assert_eq!(text(dsm.request("GET", &path, None)), (404, "Group does not exist".into()), "not a member");
    assert_eq!(dsm.request("GET", "/sys/v1/groups", None).success().json().as_array().unwrap().len(), 1);
    assert_eq!(admin.request("GET", &path, None).success().json(), group);
    assert_eq!(admin.request("PATCH", &path, Some(json!({"name": "renamed"}))).success().json()["description"], "text");
    assert_eq!(admin.request("PATCH", &path, Some(json!({"name": "Default group"}))).status, 409);
    assert_eq!(admin.request("POST", "/sys/v1/groups", Some(json!({"name": "renamed"}))).status, 409);
    assert_eq!(admin.request("POST", "/sys/v1/groups", Some(json!({}))).status, 400);

    let spec = json!({"name": "inhabitant", "group_id": id, "obj_type": "AES", "key_size": 128});
    let kid = admin.create_key(spec);
    assert_eq!(admin.request("DELETE", &path, None).status, 409);
    assert_eq!(admin.request("DELETE", &format!("/crypto/v1/keys/{kid}"), None).status, 204);
    assert_eq!(admin.request("DELETE", &path, None).status, 204);
    assert_eq!(admin.request("GET", &path, None).status, 404);
}

#[test]
fn an_app_calls_from_where_it_may() {
    let stack = Stack::start();
    let (dsm, admin) = (stack.dsm(), stack.admin());
    let path = format!("/sys/v1/apps/{}", id_of(&dsm));
    let session = dsm.login();
    let patch = |policy: Value| admin.request("PATCH", &path, Some(json!({"ip_address_policy": policy})));
    for (policy, status) in [
        (json!({"whitelist": ["192.0.2.0/24"]}), 403),
        (json!({"whitelist": []}), 403),
        (json!({"whitelist": ["192.0.2.1", "127.0.0.0/8", "::1"]}), 200),
        (json!("allow_all"), 200),
    ] {
        assert_eq!(patch(policy.clone()).success().json()["ip_address_policy"], policy);
        for client in [&dsm, &session] {
            let reply = client.request("GET", "/crypto/v1/keys", None);
            assert_eq!(reply.status, status, "{policy}: {}", reply.text);
        }
    }
    for bad in [json!({"whitelist": ["localhost"]}), json!("nobody"), json!({"whitelist": "127.0.0.1"})] {
        assert_eq!(patch(bad.clone()).status, 400, "{bad}");
    }
}

#[test]
fn clients_are_told_what_account_group_and_app_say() {
    let stack = Stack::start();
    let (dsm, admin) = (stack.dsm(), stack.admin());
    let told = || dsm.request("GET", "/sys/v1/apps/client_configs", None).success().json();
    assert_eq!(told(), json!({}));
    let account = admin.request("GET", "/sys/v1/accounts", None).success().json()[0]["acct_id"].as_str().unwrap().to_owned();
    let set = |path: String, configs: Value| admin.request("PATCH", &path, Some(json!({"client_configurations": configs})));
    let group = format!("/sys/v1/groups/{}", dsm.default_group());
    let app = format!("/sys/v1/apps/{}", id_of(&dsm));
    set(format!("/sys/v1/accounts/{account}"), json!({"common": {"cache_ttl": 1, "retry_timeout_millis": 5}, "kmip": {}})).success();
    set(group.clone(), json!({"common": {"cache_ttl": 2}})).success();
    assert_eq!(told(), json!({"common": {"cache_ttl": 2, "retry_timeout_millis": 5}, "kmip": {}}));
    let shown = set(app.clone(), json!({"common": {"cache_ttl": 3}, "pkcs11": {"exact_key_ops": true}})).success().json();
    assert_eq!(shown["client_configurations"]["pkcs11"]["exact_key_ops"], true);
    assert_eq!(told()["common"]["cache_ttl"], 3);
    set(app, json!({"common": "remove", "pkcs11": null})).success();
    assert_eq!(told()["common"]["cache_ttl"], 2);
    assert_eq!(told()["pkcs11"]["exact_key_ops"], true);
    for bad in [json!({"x": {}}), json!({"common": 7}), json!([])] {
        assert_eq!(set(group.clone(), bad.clone()).status, 400, "{bad}");
    }
}

#[test]
fn an_old_secret_holds_for_the_migration_period() {
    let stack = Stack::start();
    let (dsm, admin) = (stack.dsm(), stack.admin());
    let old = stack.dsm_as(&dsm.new_app("migrating", &[(&dsm.default_group(), &["ENCRYPT"])]));
    let path = format!("/sys/v1/apps/{}", id_of(&old));
    let session = old.login();
    let credential = || admin.request("GET", &format!("{path}/credential"), None).success().json();
    let first = credential()["credential"]["secret"].clone();
    admin.request("POST", &format!("{path}/reset_secret"), Some(json!({"credential_migration_period": 3600}))).success();
    let shown = credential();
    assert_eq!(shown["previous_credential"]["credential"]["secret"], first);
    assert!(shown["previous_credential"]["valid_until"].is_string() && shown["credential"]["secret"] != first);
    for client in [&old, &session] {
        assert_eq!(client.request("GET", "/crypto/v1/keys", None).status, 200);
    }
    admin.request("POST", &format!("{path}/reset_secret"), None).success();
    assert_eq!(credential()["previous_credential"], Value::Null);
    for client in [&old, &session] {
        assert_eq!(client.request("GET", "/crypto/v1/keys", None).status, 401);
    }
}

#[test]
fn certificates_are_kept_and_shown_and_login_with_them_is_sent_to_the_right_endpoint() {
    let stack = Stack::start();
    let admin = stack.admin();
    let der = &base64_simd::STANDARD.encode_to_string(Authority::root("x", |_| ()).certificate());
    let create =
        |credential: &Value| admin.request("POST", "/sys/v1/apps", Some(json!({"name": credential.to_string(), "credential": credential})));
    for (credential, auth_type) in [
        (json!({"certificate": der}), "Certificate"),
        (
            json!({"trustedca": {"ca_certificates": [der, der], "subjects": [{"dns_name": "x.example"}, {"ip_address": "10.0.0.1"}]}}),
            "TrustedCa",
        ),
        (json!({"trustedca": {"ca_certificate": der, "subject_general": {"directory_name": [["2.5.4.3", "x"]]}}}), "TrustedCa"),
        (json!({"trustedca": {"ca_certificate": der, "subject": [["2.5.4.3", "x"]], "check_revocation": false}}), "TrustedCa"),
    ] {
        let reply = create(&credential);
        assert_eq!(reply.status, 201, "{credential}: {}", reply.text);
        let app = reply.json();
        assert_eq!(app["auth_type"], auth_type);
        let id = app["app_id"].as_str().unwrap();
        let path = format!("/sys/v1/apps/{id}");
        assert_eq!(admin.request("GET", &format!("{path}/credential"), None).success().json()["credential"], credential);
        assert_eq!(admin.request("POST", &format!("{path}/reset_secret"), None).status, 400);
        let login = stack.dsm_as(&base64_simd::STANDARD.encode_to_string(format!("{id}:"))).request("POST", "/sys/v1/session/auth", None);
        assert!(login.status == 401 && login.text.contains(&stack.apps_endpoint()), "{login:?}");
        let migration = json!({"credential": {"secret": {"size": 32}}, "credential_migration_period": 60});
        assert_eq!(admin.request("PATCH", &path, Some(migration)).status, 400, "a certificate does not migrate");
        let changed = admin.request("PATCH", &path, Some(json!({"credential": {"secret": "a secret of its own"}}))).success().json();
        assert_eq!(changed["auth_type"], "Secret");
        let login = stack.dsm_as(&base64_simd::STANDARD.encode_to_string(format!("{id}:a secret of its own")));
        assert_eq!(login.request("POST", "/sys/v1/session/auth", None).status, 200);
    }
    for bad in [
        json!({"certificate": "no base64!"}),
        json!({"certificate": "MAA="}),
        json!({"certificate": &der[..der.len() / 8 * 4]}),
        json!({"trustedca": {"ca_certificate": "MAA=", "subject_general": {"dns_name": "x"}}}),
        json!({"trustedca": {"ca_certificates": vec![der; 17], "subject_general": {"dns_name": "x"}}}),
        json!({"trustedca": {"ca_certificate": der, "subjects": vec![json!({"dns_name": "x"}); 17]}}),
        json!({"trustedca": {"ca_certificate": der, "subject": [["CN", "x"]]}}),
        json!({"trustedca": {"ca_certificate": der, "subject_general": {"dns_name": "x"}, "check_revocation": true}}),
        json!({"trustedca": {}}),
        json!({"trustedca": {"ca_certificate": der}}),
        json!({"trustedca": {"ca_certificate": der, "ca_certificates": [der], "subject_general": {"dns_name": "x"}}}),
        json!({"trustedca": {"ca_certificate": der, "subjects": []}}),
        json!({"trustedca": {"ca_certificate": der, "subject_general": {"dns_name": " "}}}),
        json!({"trustedca": {"ca_certificate": der, "subject_general": {"ip_address": "x"}}}),
        json!({"awsiam": {}}),
    ] {
        let reply = create(&bad);
        assert_eq!(reply.status, 400, "{bad}: {}", reply.text);
    }
}

fn list(client: &Dsm, path: &str) -> Vec<String> {
    let answer = client.request("GET", path, None).success().json();
    let items = if answer.is_array() { answer } else { answer["items"].clone() };
    items.as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn listings_of_apps_and_groups_come_in_pages() {
    let stack = Stack::start();
    let (dsm, admin) = (stack.dsm(), stack.admin());
    for name in ["one", "two", "three"] {
        dsm.new_group(name);
        dsm.new_app(name, &[]);
    }
    let filter = "filter=%7B%22name%22:%7B%22$in%22:%5B%22one%22,%22two%22,%22three%22%5D%7D%7D";
    assert_eq!(list(&admin, &format!("/sys/v1/apps?{filter}&sort=app_name:asc")), ["one", "three", "two"]);
    assert_eq!(list(&admin, &format!("/sys/v1/apps?{filter}&sort=app_name:desc&limit=2")), ["two", "three"]);
    assert_eq!(list(&admin, &format!("/sys/v1/apps?{filter}&sort=app_name:asc&start=one")), ["three", "two"]);
    assert_eq!(list(&admin, "/sys/v1/apps?role=admin"), ["Default admin"]);
    assert_eq!(list(&admin, &format!("/sys/v1/groups?{filter}")), ["one", "three", "two"]);
    assert_eq!(list(&admin, &format!("/sys/v1/groups?{filter}&sort_by=group_name:asc&previous_sort_value=one&limit=1")), ["three"]);

    let mut path = format!("/sys/v1/apps?{filter}&continuation_token=&limit=2");
    let mut seen = Vec::new();
    loop {
        let page = admin.request("GET", &path, None).success().json();
        assert_eq!(page["metadata"]["count"], 3);
        seen.extend(list(&admin, &path));
        let Some(token) = page["metadata"]["continuation_token"].as_str() else { break };
        path = format!("/sys/v1/apps?{filter}&limit=2&continuation_token={token}");
    }
    seen.sort();
    assert_eq!(seen, ["one", "three", "two"]);
    for bad in
        ["apps?sort=x:asc", "apps?role=king", "apps?continuation_token=x", "apps?filter=%7B%22state%22:1%7D", "groups?sort_by=app_id:asc"]
    {
        assert_eq!(admin.request("GET", &format!("/sys/v1/{bad}"), None).status, 400, "{bad}");
    }
}

/// A key that comes with the request is used, and leaves nothing behind.
#[test]
fn keys_that_requests_bring_along() {
    let stack = Stack::start();
    let dsm = stack.dsm();
    // FIPS 197, appendix C.1.
    let value = "AAECAwQFBgcICQoLDA0ODw==";
    let inline = json!({"inline": {"value": value, "obj_type": "AES"}});
    let body = json!({"key": inline, "alg": "AES", "mode": "ECB", "plain": "ABEiM0RVZneImaq7zN3u/w=="});
    let sealed = dsm.request("POST", "/crypto/v1/encrypt", Some(body)).success().json();
    assert_eq!((&sealed["cipher"], &sealed["kid"]), (&json!("acTg2Gp7BDDYzbeAcLTFWg=="), &Value::Null));
    let wrong = json!({"inline": {"value": "AAEC", "obj_type": "AES"}});
    for (path, body, status) in [
        ("encrypt", json!({"key": wrong, "alg": "AES", "mode": "ECB", "plain": "AA=="}), 400),
        ("keys/export", inline.clone(), 403),
        ("keys/copy", json!({"key": inline, "name": "copy"}), 400),
        ("wrapkey", json!({"key": inline, "subject": inline, "alg": "AES", "mode": "KW"}), 403),
        ("keys/info", json!({"inline": {"value": value}}), 400),
    ] {
        let reply = dsm.request("POST", &format!("/crypto/v1/{path}"), Some(body));
        assert_eq!(reply.status, status, "{path}: {}", reply.text);
    }
    assert_eq!(dsm.request("GET", "/crypto/v1/keys", None).json(), json!([]));
}
