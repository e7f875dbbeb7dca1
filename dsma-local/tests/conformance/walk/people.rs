//! Users and accounts.

use base64_simd::STANDARD;
use dsma_testkit::Credential;
use serde_json::{Value, json};

use super::text;
use crate::client::Client;

const PASSWORD: &str = "correct horse battery";

pub(super) fn walk(app: &Client<'_>) {
    let nobody = app.with(app.dsm.with(Credential::None));
    if !nobody.has("POST", "/sys/v1/users") {
        return;
    }
    nobody.call("POST", "/sys/v1/session/auth/discover", json!({"user_email": "first@example.com"}));
    let (first, first_id) = user(&nobody, "first@example.com");
    let (second, second_id) = user(&nobody, "second@example.com");

    let account = text(&first.call("POST", "/sys/v1/accounts", json!({"name": "conformance", "description": "an account"}))["acct_id"]);
    first.call("POST", "/sys/v1/session/select_account", json!({"acct_id": account}));
    first.call("GET", "/sys/v1/accounts", None);
    first.call("GET", &format!("/sys/v1/accounts/{account}"), None);
    let change =
        json!({"approval_request_expiry": 3600, "custom_metadata": {"a": "b"}, "client_configurations": {"common": {"cache_ttl": 60}}});
    first.call("PATCH", &format!("/sys/v1/accounts/{account}"), change);
    first.call("GET", &format!("/sys/v1/accounts/{account}/usage?range_from=0"), None);

    let group = text(&first.call("POST", "/sys/v1/groups", json!({"name": "people"}))["group_id"]);
    let invitation =
        json!({"user_email": "second@example.com", "account_role": ["ACCOUNTMEMBER"], "add_groups": {&group: ["GROUPAUDITOR"]}});
    first.call("POST", "/sys/v1/users/invite", invitation);
    first.call("POST", &format!("/sys/v1/users/{second_id}/resend_invite"), None);
    second.call("GET", "/sys/v1/users/accounts", None);
    second.call("POST", "/sys/v1/users/process_invite", json!({"accepts": [account], "rejects": null}));
    first.call("GET", "/sys/v1/users", None);
    first.call("GET", "/sys/v1/users?limit=1&sort=user_id:asc", None);
    first.call("GET", &format!("/sys/v1/users/{second_id}"), None);
    first.call("PATCH", &format!("/sys/v1/users/{second_id}"), json!({"account_role": ["ACCOUNTAUDITOR"], "enable": true}));
    first.call("PATCH", &format!("/sys/v1/users/{first_id}"), json!({"first_name": "First", "last_name": "User"}));
    first.call("DELETE", &format!("/sys/v1/users/{second_id}/accounts"), None);
    second.call("POST", "/sys/v1/users/change_password", json!({"current_password": PASSWORD, "new_password": "another long password"}));
    let (third, _) = user(&nobody, "third@example.com");
    let account = text(&third.call("POST", "/sys/v1/accounts", json!({"name": "short-lived"}))["acct_id"]);
    third.call("GET", "/sys/v1/accounts?sort_by=acct_id:desc&limit=1", None);
    third.call("POST", "/sys/v1/session/select_account", json!({"acct_id": account}));
    third.call("DELETE", &format!("/sys/v1/accounts/{account}"), None);
    third.call("DELETE", "/sys/v1/users", None);
}

/// Signs a user up. Returns a session and the id.
fn user<'a>(nobody: &Client<'a>, email: &str) -> (Client<'a>, String) {
    let signup = json!({"user_email": email, "user_password": PASSWORD, "recaptcha_response": Value::Null});
    let user_id = text(&nobody.call("POST", "/sys/v1/users", signup)["user_id"]);
    let basic = Credential::Basic(STANDARD.encode_to_string(format!("{email}:{PASSWORD}")));
    let session = nobody.with(nobody.dsm.with(basic).login());
    (session, user_id)
}
