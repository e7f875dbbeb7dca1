//! Credentials and sessions.

use std::time::{Duration, Instant};

use base64_simd::STANDARD;
use dsma_testkit::{Credential, Dsm, Stack};
use serde_json::json;

const WHO: &str = "/sys/v1/apps/client_configs";

fn status_and_text(dsm: &Dsm, method: &str, path: &str) -> (u16, String) {
    let reply = dsm.request(method, path, None);
    assert_eq!(reply.request_id.len(), 8, "{path}");
    (reply.status, reply.text)
}

#[test]
fn health_and_version_need_no_credentials() {
    let stack = Stack::start();
    let nobody = stack.dsm().with(Credential::None);
    assert_eq!(status_and_text(&nobody, "GET", "/sys/v1/health?consistency=Quorum"), (204, String::new()));
    let version = nobody.request("GET", "/sys/v1/version", None).success().json();
    let numbers: Vec<u32> = version["version"].as_str().unwrap().split('.').map(|number| number.parse().unwrap()).collect();
    assert_eq!(numbers.len(), 3);
    assert_eq!(version["server_mode"], "Software");
}

#[test]
fn the_life_of_a_session() {
    let stack = Stack::start();
    let dsm = stack.dsm();
    let auth = dsm.request("POST", "/sys/v1/session/auth", None).success().json();
    assert_eq!((auth["token_type"].as_str(), auth["expires_in"].as_u64()), (Some("Bearer"), Some(600)));
    let app_id = auth["entity_id"].as_str().unwrap();
    let me = dsm.request("GET", &format!("/sys/v1/apps/{app_id}"), None).success().json();
    assert_eq!(me["app_id"], app_id);

    let session = dsm.with(Credential::Bearer(auth["access_token"].as_str().unwrap().into()));
    assert_eq!(session.request("GET", WHO, None).status, 200);
    assert_eq!(status_and_text(&session, "POST", "/sys/v1/session/refresh"), (204, String::new()));
    assert_eq!(session.request("POST", "/sys/v1/session/select_account", Some(json!({"acct_id": app_id}))).status, 200);

    let second = session.request("POST", "/sys/v1/session/reauth", None).success().json();
    let second = dsm.with(Credential::Bearer(second["access_token"].as_str().unwrap().into()));
    assert_eq!(status_and_text(&session, "POST", "/sys/v1/session/terminate"), (204, String::new()));
    for (method, path) in [("GET", WHO), ("POST", "/sys/v1/session/terminate"), ("POST", "/sys/v1/session/refresh")] {
        assert_eq!(status_and_text(&session, method, path), (401, "Session does not exist".into()), "{path}");
    }
    assert_eq!(second.request("GET", WHO, None).status, 200, "the other session goes on");
}

#[test]
fn credentials_that_do_not_hold() {
    let stack = Stack::start();
    let dsm = stack.dsm();
    let key = String::from_utf8(STANDARD.decode_to_vec(stack.api_key()).unwrap()).unwrap();
    let (app_id, secret) = key.split_once(':').unwrap();
    let basic = |text: String| Credential::Basic(STANDARD.encode_to_string(text));
    let wrong = "Invalid credentials";
    let malformed = "Missing or malformed credentials";
    for (credential, text) in [
        (Credential::None, malformed),
        (Credential::Basic("no base64!".into()), malformed),
        (basic("no colon".into()), malformed),
        (basic(format!("{app_id}:")), wrong),
        (basic(format!("{app_id}:{secret}x")), wrong),
        (basic(format!("{app_id}:{}", &secret[1..])), wrong),
        (basic(format!("00000000-0000-0000-0000-000000000000:{secret}")), wrong),
        (basic(format!("somebody@example.com:{secret}")), wrong),
        (Credential::Bearer("nonsense".into()), "Session does not exist"),
        (Credential::Bearer(stack.api_key()), "Session does not exist"),
    ] {
        let client = dsm.with(credential);
        for (method, path) in [("GET", WHO), ("POST", "/sys/v1/session/auth"), ("POST", "/crypto/v1/keys/export")] {
            assert_eq!(status_and_text(&client, method, path), (401, text.into()), "{method} {path}");
        }
    }
}

#[test]
fn a_token_opens_no_further_session_by_auth() {
    let stack = Stack::start();
    let reply = stack.dsm().login().request("POST", "/sys/v1/session/auth", None);
    assert_eq!((reply.status, reply.text.as_str()), (401, "Invalid credentials"));
}

#[test]
fn an_app_that_is_disabled_deleted_or_has_a_new_secret_loses_its_sessions() {
    let stack = Stack::start();
    let (dsm, admin) = (stack.dsm(), stack.admin());
    let group = dsm.default_group();
    let new_app = |name: &str| {
        let key = dsm.new_app(name, &[(&group, &["ENCRYPT"])]);
        let client = stack.dsm_as(&key);
        let app_id = client.request("POST", "/sys/v1/session/auth", None).success().json()["entity_id"].as_str().unwrap().to_owned();
        (client.clone(), client.login(), format!("/sys/v1/apps/{app_id}"))
    };
    let ended = (401, "Session does not exist".to_owned());

    let (basic, session, path) = new_app("disabled");
    admin.request("PATCH", &path, Some(json!({"enabled": false}))).success();
    assert_eq!(status_and_text(&session, "GET", WHO), ended);
    assert_eq!(status_and_text(&basic, "GET", WHO), (403, "App is disabled".into()));
    admin.request("PATCH", &path, Some(json!({"enabled": true}))).success();
    assert_eq!(status_and_text(&session, "GET", WHO), ended, "it is gone for good");
    assert_eq!(basic.request("GET", WHO, None).status, 200);

    let (basic, session, path) = new_app("reset");
    admin.request("POST", &format!("{path}/reset_secret"), None).success();
    assert_eq!(status_and_text(&session, "GET", WHO), ended);
    assert_eq!(basic.request("GET", WHO, None).status, 401);

    let (basic, session, path) = new_app("deleted");
    assert_eq!(admin.request("DELETE", &path, None).status, 204);
    assert_eq!(status_and_text(&session, "GET", WHO), ended);
    assert_eq!(basic.request("GET", WHO, None).status, 401);
}

/// The one test that waits for time itself to pass.
#[test]
fn an_idle_session_ends_and_a_used_one_does_not() {
    // Long enough for a machine that stands still for a while between two calls.
    let life = Duration::from_secs(10);
    let stack = Stack::start_with(&["--session-idle-seconds", "10"]);
    let dsm = stack.dsm();
    assert_eq!(dsm.request("POST", "/sys/v1/session/auth", None).json()["expires_in"], 10);
    let (used, idle) = (dsm.login(), dsm.login());
    let begin = Instant::now();
    while begin.elapsed() < life + Duration::from_secs(1) {
        assert_eq!(used.request("POST", "/sys/v1/session/refresh", None).status, 204);
    }
    assert_eq!(status_and_text(&idle, "GET", WHO), (401, "Session does not exist".into()));
}
