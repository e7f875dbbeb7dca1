//! What a caller may not do: refused in DSM's own words, and without a trace of the key here.
//!
//! The oracle is DSM itself: each request is sent to both, and status and text must be equal.
#![forbid(unsafe_code)]

mod common;

use common::{MESSAGE, aes_key, base64, exportable_aes, exportable_ec, gcm, open_gcm, sign, token};
use dsma_testkit::{Credential, Dsm, Host, Stack};
use serde_json::{Value, json};

struct Fixture {
    stack: Stack,
    /// A client of the service and one of DSM itself, both with the default app's API key.
    client: Dsm,
    dsm: Dsm,
    _host: Host,
}

impl Fixture {
    fn start() -> Self {
        let stack = Stack::start();
        let host = Host::start(&stack, &[("BEARER_AUTH_ENABLED", "true")]);
        Self { client: host.client(&stack), dsm: stack.dsm(), stack, _host: host }
    }

    /// The answer of both, which must be the same. Twice, because the second may find something remembered.
    #[track_caller]
    fn refused(&self, who: &str, credential: &Credential, path: &str, body: &Value) -> (u16, String) {
        let (host, dsm) = (self.client.with(credential.clone()), self.dsm.with(credential.clone()));
        let expected = dsm.request("POST", path, Some(body.clone()));
        assert!(expected.status >= 400, "{who} {path}: DSM allows it: {}", expected.text);
        for round in 1..=2 {
            let got = host.request("POST", path, Some(body.clone()));
            assert_eq!((got.status, &got.text), (expected.status, &expected.text), "{who} {path}, round {round}");
        }
        (expected.status, expected.text)
    }
}

#[test]
fn a_caller_without_the_right_gets_what_dsm_says_and_causes_no_export() {
    let fixture = Fixture::start();
    let dsm = &fixture.dsm;
    let group = dsm.default_group();
    let elsewhere = dsm.new_group("elsewhere");
    let (aes, ec) = (exportable_aes(dsm), exportable_ec(dsm));
    let sealed = open_gcm(&dsm.request("POST", "/crypto/v1/encrypt", Some(gcm(&aes))).success().json());
    let mut signed = sign(&ec);
    signed["signature"] = dsm.request("POST", "/crypto/v1/sign", Some(sign(&ec))).success().json()["signature"].clone();
    let requests =
        [("/crypto/v1/encrypt", gcm(&aes)), ("/crypto/v1/decrypt", sealed), ("/crypto/v1/sign", sign(&ec)), ("/crypto/v1/verify", signed)];

    let none_of_these = dsm.new_app("none-of-these", &[(&group, &["WRAPKEY", "EXPORT"])]);
    let outsider = dsm.new_app("outsider", &[(&elsewhere, &["ENCRYPT", "DECRYPT", "SIGN", "VERIFY", "EXPORT"])]);
    let disabled = dsm.new_app("disabled", &[(&group, &["ENCRYPT", "DECRYPT", "SIGN", "VERIFY"])]);
    let app_id = app_id(&disabled);
    let admin = fixture.stack.admin();
    admin.request("PATCH", &format!("/sys/v1/apps/{app_id}"), Some(json!({"enabled": false}))).success();
    let ended_token = token(&fixture.stack.dsm_as(&outsider));
    dsm.with(ended_token.clone()).request("POST", "/sys/v1/session/terminate", None).success();

    let basic = |key: &str| Credential::Basic(key.to_owned());
    let mut callers = vec![
        ("without the permissions", basic(&none_of_these), 403),
        ("from another group", basic(&outsider), 404),
        ("disabled", basic(&disabled), 403),
        ("with a wrong secret", basic(&base64(format!("{app_id}:wrong").as_bytes())), 401),
        ("with a malformed key", basic("@@@"), 401),
        ("with an ended session", ended_token, 401),
        ("with an invented session", Credential::Bearer("invented".into()), 401),
        ("with no credential", Credential::None, 401),
    ];
    for (who, key, status) in [("without the permissions", &none_of_these, 403), ("from another group", &outsider, 404)] {
        // A token that the service saw issued, and one that it did not.
        callers.push((who, token(&fixture.client.with(basic(key))), status));
        callers.push((who, token(&dsm.with(basic(key))), status));
    }
    for (who, credential, status) in &callers {
        for (path, body) in &requests {
            assert_eq!(fixture.refused(who, credential, path, body).0, *status, "{who} {path}");
        }
    }
    assert_eq!((dsm.exports_of(&aes), dsm.exports_of(&ec)), (0, 0));

    // Now that the keys are in the cache, nothing changes for those who may not use them.
    let client = &fixture.client;
    for (path, body) in &requests {
        client.request("POST", path, Some(body.clone())).success();
    }
    for (who, credential, status) in &callers {
        for (path, body) in &requests {
            assert_eq!(fixture.refused(who, credential, path, body).0, *status, "{who} {path}, with the key in the cache");
        }
    }
    assert_eq!((dsm.exports_of(&aes), dsm.exports_of(&ec)), (1, 1));
}

#[test]
fn a_caller_may_do_what_it_may_do_and_no_more() {
    let fixture = Fixture::start();
    let dsm = &fixture.dsm;
    let kid = exportable_aes(dsm);
    let key = dsm.new_app("encrypts", &[(&dsm.default_group(), &["ENCRYPT"])]);
    let caller = Credential::Basic(key);
    let client = fixture.client.with(caller.clone());
    let sealed = client.request("POST", "/crypto/v1/encrypt", Some(gcm(&kid))).success().json();
    assert_eq!((dsm.exports_of(&kid), dsm.uses_of(&kid, "encrypt")), (1, 0));
    assert_eq!(fixture.refused("who may encrypt only", &caller, "/crypto/v1/decrypt", &open_gcm(&sealed)).0, 403);
    // It may use the key here and still not have it.
    assert_eq!(fixture.refused("who may encrypt only", &caller, "/crypto/v1/keys/export", &json!({"kid": kid})).0, 403);
}

#[test]
fn the_keys_own_state_counts() {
    let fixture = Fixture::start();
    let dsm = &fixture.dsm;
    let caller = Credential::Basic(fixture.stack.api_key());
    let patch = |kid: &str, change: Value| dsm.request("PATCH", &format!("/crypto/v1/keys/{kid}"), Some(change)).success();

    let disabled = exportable_aes(dsm);
    patch(&disabled, json!({"enabled": false}));
    let without_encrypt = aes_key(dsm, &["DECRYPT", "EXPORT", "APPMANAGEABLE"]);
    let future = dsm.create_key(json!({"obj_type": "AES", "key_size": 128, "activation_date": "20990101T000000Z",
        "key_ops": ["ENCRYPT", "EXPORT", "APPMANAGEABLE"]}));
    let revoked = exportable_aes(dsm);
    dsm.request("POST", &format!("/crypto/v1/keys/{revoked}/revoke"), Some(json!({"code": "Superseded"}))).success();
    let destroyed = exportable_aes(dsm);
    dsm.request("POST", &format!("/crypto/v1/keys/{destroyed}/destroy"), None).success();
    for (what, kid) in [
        ("a disabled key", &disabled),
        ("a key without ENCRYPT", &without_encrypt),
        ("a key of the future", &future),
        ("a revoked key", &revoked),
        ("a destroyed key", &destroyed),
    ] {
        assert_eq!(fixture.refused(what, &caller, "/crypto/v1/encrypt", &gcm(kid)).0, 403, "{what}");
    }
    let unknown = "00000000-0000-4000-8000-000000000000";
    assert_eq!(fixture.refused("an unknown key", &caller, "/crypto/v1/encrypt", &gcm(unknown)).0, 404);
}

#[test]
fn a_deactivated_key_still_opens_what_it_sealed() {
    let fixture = Fixture::start();
    let dsm = &fixture.dsm;
    let kid = exportable_aes(dsm);
    let client = &fixture.client;
    let sealed = client.request("POST", "/crypto/v1/encrypt", Some(gcm(&kid))).success().json();
    // Through the service, so that it is seen at once.
    client.request("POST", &format!("/crypto/v1/keys/{kid}/revoke"), Some(json!({"code": "Superseded"}))).success();
    let opened = client.request("POST", "/crypto/v1/decrypt", Some(open_gcm(&sealed))).success().json();
    assert_eq!(opened["plain"], base64(MESSAGE));
    assert_eq!(fixture.refused("a revoked key", &Credential::Basic(fixture.stack.api_key()), "/crypto/v1/encrypt", &gcm(&kid)).0, 403);
}

#[test]
fn a_session_that_ends_here_is_dead_at_once() {
    let fixture = Fixture::start();
    let dsm = &fixture.dsm;
    let kid = exportable_aes(dsm);
    let credential = token(&fixture.client);
    let session = fixture.client.with(credential.clone());
    session.request("POST", "/crypto/v1/encrypt", Some(gcm(&kid))).success();
    session.request("POST", "/sys/v1/session/terminate", None).success();
    let (status, text) = fixture.refused("with an ended session", &credential, "/crypto/v1/encrypt", &gcm(&kid));
    assert_eq!((status, text.as_str()), (401, "Session does not exist"));
}

#[test]
fn a_name_means_what_it_means_to_the_caller_and_moves_with_it() {
    let fixture = Fixture::start();
    let dsm = &fixture.dsm;
    let spec = json!({"name": "payroll", "obj_type": "AES", "key_size": 256, "key_ops": ["ENCRYPT", "EXPORT", "APPMANAGEABLE"]});
    let first = dsm.create_key(spec.clone());
    let client = &fixture.client;
    let mut request = gcm(&first);
    request["key"] = json!({"name": "payroll"});
    let used = |request: &Value| client.request("POST", "/crypto/v1/encrypt", Some(request.clone())).success().json()["kid"].clone();
    assert_eq!(used(&request), first);
    dsm.request("PATCH", &format!("/crypto/v1/keys/{first}"), Some(json!({"name": "payroll (old)"}))).success();
    let second = dsm.create_key(spec);
    client.request("POST", "/accelerator/v1/keys/clear", None).success();
    assert_eq!(used(&request), second);
}

#[test]
fn a_name_that_moves_through_the_service_moves_at_once() {
    let fixture = Fixture::start();
    let client = &fixture.client;
    let spec = |name: &str| json!({"name": name, "obj_type": "AES", "key_size": 256, "key_ops": ["ENCRYPT", "EXPORT", "APPMANAGEABLE"]});
    let used = |name: &str| {
        let mut request = gcm("");
        request["key"] = json!({"name": name});
        client.request("POST", "/crypto/v1/encrypt", Some(request)).success().json()["kid"].clone()
    };
    let rename = |kid: &str, name: &str| ("PATCH", format!("/crypto/v1/keys/{kid}"), json!({"name": name}));

    let first = client.create_key(spec("payroll"));
    assert_eq!(used("payroll"), first);
    let (method, path, body) = rename(&first, "payroll (old)");
    client.request(method, &path, Some(body)).success();
    let second = client.create_key(spec("payroll"));
    assert_eq!(used("payroll"), second);

    // The same, carried by a batch.
    let (method, path, body) = rename(&second, "payroll (older)");
    let item = |method: &str, operation: &str, body: Value| json!({"SingleItem": {"method": method, "operation": operation, "body": body}});
    let items = [item(method, &path, body), item("POST", "/crypto/v1/keys", spec("payroll"))];
    let batch = json!({"Batch": {"batch_execution_type": "Serial", "items": items}});
    let answers = client.request("POST", "/batch/v1", Some(batch)).success().json();
    let third = &answers["Batch"]["items"][1]["SingleItem"]["Result"]["body"]["kid"];
    assert!(third.is_string(), "{answers}");
    assert_eq!(used("payroll"), *third);
    // And a key that a batch takes away.
    let disable = item("PATCH", &format!("/crypto/v1/keys/{first}"), json!({"enabled": false}));
    client.request("POST", "/crypto/v1/encrypt", Some(gcm(&first))).success();
    client.request("POST", "/batch/v1", Some(disable)).success();
    assert_eq!(client.request("POST", "/crypto/v1/encrypt", Some(gcm(&first))).status, 403);
}

#[test]
fn a_key_that_goes_away_costs_others_nothing() {
    let fixture = Fixture::start();
    let dsm = &fixture.dsm;
    let (kid, deleted) = (exportable_aes(dsm), exportable_aes(dsm));
    let key = dsm.new_app("encrypts", &[(&dsm.default_group(), &["ENCRYPT"])]);
    let other = fixture.client.with(Credential::Basic(key));
    let encrypt = |kid: &str| other.request("POST", "/crypto/v1/encrypt", Some(gcm(kid)));
    encrypt(&kid).success();
    encrypt(&deleted).success();
    fixture.client.request("DELETE", &format!("/crypto/v1/keys/{deleted}"), None).success();
    assert_eq!(encrypt(&deleted).status, 404);
    // With nobody to confirm the caller anew, or its right.
    fixture.stack.stop();
    encrypt(&kid).success();
}

fn app_id(api_key: &str) -> String {
    let decoded = base64_simd::STANDARD.decode_to_vec(api_key).unwrap();
    String::from_utf8(decoded).unwrap().split(':').next().unwrap().to_owned()
}
