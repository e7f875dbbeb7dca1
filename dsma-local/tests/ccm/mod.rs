//! What the tests of CCM have in common: a session, and an app whose build and domain are approved.

// Each test program uses a part of it.
#![allow(dead_code, unused_imports)]

mod node;

use base64_simd::STANDARD;
use dsma_testkit::{Credential, Dsm, Reply, Stack};
use serde_json::{Value, json};

pub(crate) use self::node::Node;

/// A client with a session in the account that came with the stack.
pub(crate) struct Ccm {
    pub(crate) http: Dsm,
}

impl Ccm {
    /// Logs in and selects the account.
    pub(crate) fn log_in(stack: &Stack) -> Self {
        Self::log_in_as(stack, &stack.env("CCM_USERNAME"), &stack.env("CCM_PASSWORD")).select(&stack.env("CCM_ACCOUNT_ID"))
    }

    /// Logs in, without an account.
    pub(crate) fn log_in_as(stack: &Stack, username: &str, password: &str) -> Self {
        let basic = Credential::Basic(STANDARD.encode_to_string(format!("{username}:{password}")));
        let http = Dsm::connect(&stack.env("CCM_ENDPOINT"), &stack.ca_file(), basic);
        let token = http.request("POST", "/v1/sys/auth", None).success().json()["access_token"].as_str().unwrap().to_owned();
        Self { http: http.with(Credential::Bearer(token)) }
    }

    /// The same session in this account.
    pub(crate) fn select(self, account: &str) -> Self {
        self.call("POST", &format!("/v1/sys/session/select_account/{account}"), None);
        self
    }

    /// A request that must succeed; null where nothing comes back.
    #[track_caller]
    pub(crate) fn call(&self, method: &str, path: &str, body: impl Into<Option<Value>>) -> Value {
        let reply = self.http.request(method, path, body.into()).success();
        if reply.text.is_empty() { Value::Null } else { reply.json() }
    }

    /// A request that must be refused so; returns the words.
    #[track_caller]
    pub(crate) fn refused(&self, status: u16, code: &str, method: &str, path: &str, body: impl Into<Option<Value>>) -> String {
        event(&self.http.request(method, path, body.into()), status, code)
    }

    /// Approves a task.
    #[track_caller]
    pub(crate) fn approve(&self, task: &Value) {
        let path = format!("/v1/tasks/{}", task.as_str().expect("a task awaits a decision"));
        let result = self.call("PATCH", &path, json!({ "status": "APPROVED" }));
        assert_eq!(result["task_status"]["status"], "SUCCESS", "{result}");
    }

    /// Makes an app with an approved domain.
    pub(crate) fn app(&self, name: &str) -> Value {
        let request = json!({ "name": name, "input_image_name": "in", "output_image_name": "out", "allowed_domains": ["fortanix.com"] });
        let app = self.call("POST", "/v1/apps", request);
        self.approve(&app["pending_task_id"]);
        app
    }

    /// Registers the stack's build, not approved yet.
    pub(crate) fn build(&self, stack: &Stack, app: &Value) -> Value {
        let mut request: Value = serde_json::from_slice(&std::fs::read(stack.state_dir().join("build_info.json")).unwrap()).unwrap();
        request["app_id"] = app["app_id"].clone();
        self.call("POST", "/v1/builds", request)
    }
}

/// The words of a refusal, after its status and code.
#[track_caller]
pub(crate) fn event(reply: &Reply, status: u16, code: &str) -> String {
    assert_eq!(reply.status, status, "{}", reply.text);
    let event = reply.json();
    assert_eq!(event["code"], code, "{event}");
    event["message"].as_str().unwrap().to_owned()
}
