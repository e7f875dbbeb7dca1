//! Good requests for every operation. What this DSM does not have is passed over.

mod authority;
mod operations;
mod people;
mod sobjects;

use base64_simd::STANDARD;
use dsma_testkit::{Credential, Stack};
use serde_json::{Value, json};

use crate::client::{Client, Journal};

pub(crate) fn good_requests(stack: &Stack, journal: &Journal) {
    let app = journal.client(stack.dsm());
    let admin = journal.client(stack.admin());
    system(&app);
    sessions(&app);
    sobjects::walk(&app);
    operations::walk(&app);
    authority::walk(&app, &admin, stack);
    people::walk(&app);
}

fn system(app: &Client<'_>) {
    let nobody = app.with(app.dsm.with(Credential::None));
    for path in ["/sys/v1/health", "/sys/v1/version", "/sys/v1/info"] {
        if nobody.has("GET", path) {
            nobody.call("GET", path, None);
        }
    }
}

fn sessions(app: &Client<'_>) {
    app.call("POST", "/sys/v1/session/auth", None);
    let session = app.with(app.dsm.login());
    session.call("POST", "/sys/v1/session/refresh", None);
    session.call("POST", "/sys/v1/session/reauth", None);
    let account = session.call("GET", "/crypto/v1/keys?limit=1", None)[0]["acct_id"].clone();
    session.call("POST", "/sys/v1/session/select_account", json!({"acct_id": account}));
    session.call("POST", "/sys/v1/session/terminate", None);
    session.refused(401, "POST", "/sys/v1/session/refresh", None);
}

/// A key that may do all that its type can. Returns its kid.
#[track_caller]
fn key(app: &Client<'_>, name: &str, mut spec: Value) -> String {
    spec["name"] = json!(name);
    text(&app.call("POST", "/crypto/v1/keys", spec)["kid"])
}

/// As [`key`]; `None` where this DSM does not make keys of such a type.
#[track_caller]
fn key_if_supported(app: &Client<'_>, name: &str, mut spec: Value) -> Option<String> {
    spec["name"] = json!(name);
    Some(text(&app.call_if_supported("POST", "/crypto/v1/keys", spec)?["kid"]))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no string")).to_owned()
}

fn b64(bytes: &[u8]) -> String {
    STANDARD.encode_to_string(bytes)
}
