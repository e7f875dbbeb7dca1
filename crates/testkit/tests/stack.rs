//! The kit against the real local stack: what other crates' tests take for granted.

use dsma_testkit::{Credential, Stack};
use serde_json::json;

#[test]
fn a_stack_answers_counts_exports_and_survives_a_restart() {
    let stack = Stack::start();
    let dsm = stack.dsm();
    let kid = dsm.create_key(json!({"obj_type": "AES", "key_size": 256, "key_ops": ["ENCRYPT", "DECRYPT", "EXPORT"]}));
    assert_eq!(dsm.exports_of(&kid), 0);
    let exported = dsm.request("POST", "/crypto/v1/keys/export", Some(json!({"kid": kid}))).success().json();
    assert!(exported["value"].is_string(), "an export has a value");
    assert_eq!((dsm.exports_of(&kid), dsm.uses_of(&kid, "encrypt")), (1, 0));

    let endpoint = stack.endpoint();
    stack.restart();
    assert_eq!(stack.endpoint(), endpoint);
    assert_eq!(dsm.request("GET", &format!("/crypto/v1/keys/{kid}"), None).status, 200);
    assert_eq!(dsm.exports_of(&kid), 1);

    let state = stack.state_dir().to_owned();
    stack.stop();
    assert!(dsm.try_request("GET", "/sys/v1/version", None).is_err(), "nobody listens after a stop");
    drop(stack);
    assert!(!state.exists(), "the state goes with the stack");
}

#[test]
fn an_app_has_the_permissions_that_it_was_made_with() {
    let stack = Stack::start();
    let group = stack.dsm().default_group();
    let other = stack.dsm().new_group("other");
    let key = stack.dsm().new_app("signer", &[(&group, &["SIGN", "VERIFY"]), (&other, &["EXPORT"])]);
    let signer = stack.dsm_as(&key).login();
    let kid = stack.dsm().create_key(json!({"obj_type": "AES", "key_size": 256, "key_ops": ["ENCRYPT", "DECRYPT"]}));
    let refused = signer.request(
        "POST",
        "/crypto/v1/encrypt",
        Some(json!({"key": {"kid": kid}, "alg": "AES", "mode": "GCM", "tag_len": 128, "plain": "aGVsbG8="})),
    );
    assert_eq!(refused.status, 403, "{}", refused.text);
    assert_eq!(signer.with(Credential::None).request("GET", "/crypto/v1/keys", None).status, 401);
}
