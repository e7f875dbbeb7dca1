//! The attested service and a group that nobody may export from without approval: who may do what, with and without DSM's shortcut.
#![forbid(unsafe_code)]

mod common;

use common::agent::Scene;
use common::gcm;
use dsma_testkit::{Credential, Stack};
use serde_json::json;

const DAY: i64 = 86_400;

#[test]
fn it_exports_under_a_quorum_policy_and_serves_who_has_the_permission() {
    // Whether an approver may act without an approval request, or must make one, approve it and fetch the result.
    for auto_satisfy in ["on", "off"] {
        let scene = Scene::new(Stack::start_with(&["--quorum-auto-satisfy", auto_satisfy]), DAY);
        let reader = scene.stack.dsm().new_app("reader", &[(&scene.group, &["DECRYPT", "EXPORT"])]);
        let host = scene.start(&[]);
        host.wait_log("Successfully connected to DSM at ");
        let at_dsm = scene.stack.dsm_as(&scene.client);
        for (path, body) in [("/crypto/v1/keys/export", json!({"kid": scene.kid})), ("/crypto/v1/encrypt", gcm(&scene.kid))] {
            let reply = at_dsm.request("POST", path, Some(body));
            assert_eq!((reply.status, reply.text.as_str()), (403, "This operation requires approval"), "{path}");
        }
        let through = |api_key: &str| host.client(&scene.stack).with(Credential::Basic(api_key.to_owned()));
        let sealed = through(&scene.client).request("POST", "/crypto/v1/encrypt", Some(gcm(&scene.kid))).success().json();
        assert_eq!(sealed["kid"], json!(scene.kid), "{auto_satisfy}");
        let reply = through(&scene.client).request("POST", "/crypto/v1/keys/export", Some(json!({"kid": scene.kid})));
        assert_eq!((reply.status, reply.text.as_str()), (403, "This operation requires approval"));
        let reply = through(&reader).request("POST", "/crypto/v1/encrypt", Some(gcm(&scene.kid)));
        assert_eq!(reply.status, 403, "{}", reply.text);
        let line = "POST sys/v1/approval_requests";
        if auto_satisfy == "off" {
            host.wait_log(line);
        } else {
            assert!(!host.log().contains(line), "{}", host.log());
        }
    }
}

#[test]
fn a_node_agent_that_is_not_there_is_named_and_tried_again() {
    let scene = Scene::new(Stack::start(), DAY);
    let host = scene.start(&[("NODE_AGENT", "http://localhost:1")]);
    let line = host.wait_log("The service starts and retries");
    assert!(line.starts_with("WARN dsma - node agent http://localhost:1"), "{line}");
    let reply = host.client(&scene.stack).request("GET", "/", None);
    assert_eq!(reply.status, 503, "{}", reply.text);
    host.wait_log("Connection will retry in: 500 millis");
}
