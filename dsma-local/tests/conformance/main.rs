//! What this DSM answers is what the published OpenAPI says: each implemented operation is asked, well and badly, over TLS.
//!
//! A success must fit the operation's schema, nulls counting as absent; a refusal must be text for a person. Where the document and
//! the published clients disagree, docs/dsm-compatibility.md tells what was chosen.

mod client;
mod document;
mod walk;

use client::Journal;
use document::Operation;
use dsma_testkit::{Credential, Stack};
use serde_json::{Value, json};

/// Operations that look implemented where they are not: a path with this word for an id answers in their place.
const SHADOWED: &[&str] = &["POST /crypto/v1/keys/kcv/verify", "GET /sys/v1/users/permissions"];
/// Operations that answer with the reason why they are not possible here.
const REFUSED: &[&str] = &[
    "POST /crypto/v1/keys/key_attestation",
    "POST /crypto/v1/transform",
    "POST /crypto/v1/keys/components/export",
    "POST /crypto/v1/keys/components/import",
    "POST /sys/v1/users/forgot_password",
    "POST /sys/v1/users/{user_id}/reset_password",
];

#[test]
fn good_requests_are_answered_as_published() {
    let stack = Stack::start();
    let journal = Journal::new();
    walk::good_requests(&stack, &journal);
    journal.assert_clean();
    let anybody = stack.dsm();
    let forgotten = journal.implemented(&anybody).filter(|operation| !journal.has_walked(operation)).map(Operation::name);
    let forgotten: Vec<String> = forgotten.filter(|name| !SHADOWED.contains(&name.as_str()) && !REFUSED.contains(&name.as_str())).collect();
    assert!(forgotten.is_empty(), "implemented, and no good request of this walk asks for it: {forgotten:#?}");
}

#[test]
fn bad_requests_are_refused_in_plain_text() {
    let stack = Stack::start();
    let journal = Journal::new();
    let app = journal.client(stack.dsm());
    let admin = journal.client(stack.admin());
    let nobody = journal.client(stack.dsm().with(Credential::None));
    for operation in journal.implemented(&app.dsm) {
        let nil = operation.path_with("00000000-0000-0000-0000-000000000000");
        for client in [&app, &admin, &nobody] {
            for path in [nil.clone(), operation.path_with("no-uuid"), operation.path_with("%ff"), format!("{nil}?limit=x&%zz=&&=")] {
                client.send(&operation.method, &path, None);
            }
        }
        for body in bad_bodies(operation) {
            app.send(&operation.method, &nil, Some(body.clone()));
            admin.send(&operation.method, &nil, Some(body));
        }
    }
    assert_eq!(app.call("GET", "/crypto/v1/keys", None), json!([]), "nothing was made by halves");
    journal.assert_clean();
}

/// Bodies that are no JSON, JSON of another shape, and each member of the request with values of wrong types.
fn bad_bodies(operation: &Operation) -> Vec<Vec<u8>> {
    let mut bodies: Vec<Vec<u8>> = ["", " ", "{", "null", "17", "\"text\"", "[]", "[{}]", "[17]", "{}", "{\"unknown\":17}", "\u{0}"]
        .iter()
        .map(|text| text.as_bytes().to_vec())
        .collect();
    bodies.push(b"\xff\xfe".to_vec());
    for member in &operation.members {
        for value in [Value::Null, json!(-1), json!("\u{0}no such thing\u{1f511}"), json!([17]), json!({"a": {}}), json!(true)] {
            bodies.push(json!({ member: value }).to_string().into_bytes());
        }
    }
    bodies
}
