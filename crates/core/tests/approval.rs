//! Export under a quorum policy, against a real DSM: who is let through, who waits, and who is asked how often.

use std::time::{Duration, Instant};

use dsma_core::{Accelerator, ApiKey, Config, Error, Identity, KeyRef};
use dsma_crypto::{Buffers, CipherParams};
use dsma_testkit::{Dsm, Stack};
use serde_json::{Value, json};

const REQUESTS: &str = "/sys/v1/approval_requests";

/// A group with a key, guarded by a policy over its two members.
struct Guarded {
    stack: Stack,
    kid: String,
    /// API keys.
    members: [String; 2],
}

impl Guarded {
    fn new(args: &[&str], policy: impl FnOnce(&Value, &Value) -> Value) -> Self {
        let stack = Stack::start_with(args);
        let group = stack.dsm().new_group("guarded");
        let members = ["one", "two"].map(|name| stack.dsm().new_app(name, &[(&group, &["ENCRYPT", "EXPORT", "MANAGE"])]));
        let ops = json!(["ENCRYPT", "EXPORT", "APPMANAGEABLE"]);
        let spec = json!({"obj_type": "AES", "key_size": 256, "group_id": group, "key_ops": ops});
        let kid = stack.dsm_as(&members[0]).create_key(spec);
        let [one, two] = [0, 1].map(|at| json!({"app": id_of(&stack.dsm_as(&members[at]))}));
        let mut policy = policy(&one, &two);
        policy["protect_crypto_operations"] = json!(true);
        policy["protect_permissions"] = json!([]);
        stack.admin().request("PATCH", &format!("/sys/v1/groups/{group}"), Some(json!({"approval_policy": policy}))).success();
        Self { stack, kid, members }
    }

    fn engine(&self, member: usize) -> Accelerator {
        let config = Config {
            api_endpoint: self.stack.endpoint(),
            identity: Identity::ApiKey(ApiKey::parse(&self.members[member]).unwrap()),
            ca_certs_file: Some(self.stack.ca_file()),
            ..Config::default()
        };
        Accelerator::open(config).unwrap()
    }

    fn client(&self, member: usize) -> Dsm {
        self.stack.dsm_as(&self.members[member])
    }

    fn encrypt(&self, engine: &Accelerator) -> Result<(), Error> {
        let (mut out, mut tag) = ([0; 16], [0; 16]);
        let params = CipherParams::AesGcm { iv: &[1; 12], aad: b"" };
        let key = KeyRef::Kid(self.kid.parse().unwrap());
        engine.encrypt(&key, &params, Buffers::new(b"sixteen byte msg", &mut out), &mut tag).map(|_| ())
    }

    fn requests(&self) -> Vec<Value> {
        self.stack.admin().request("GET", REQUESTS, None).success().json().as_array().unwrap().clone()
    }
}

fn id_of(dsm: &Dsm) -> String {
    dsm.request("POST", "/sys/v1/session/auth", None).success().json()["entity_id"].as_str().unwrap().to_owned()
}

fn one_of(members: &[&Value], n: u32) -> Value {
    json!({"quorum": {"n": n, "members": members}})
}

#[test]
fn an_approver_exports_where_dsm_lets_its_own_approval_count() {
    let guarded = Guarded::new(&[], |one, _| one_of(&[one], 1));
    let engine = guarded.engine(0);
    guarded.encrypt(&engine).unwrap();
    assert_eq!((guarded.stack.dsm_as(&guarded.stack.admin_key()).exports_of(&guarded.kid), guarded.requests().len()), (1, 0));
}

#[test]
fn an_approver_asks_approves_and_fetches_where_it_does_not() {
    let guarded = Guarded::new(&["--quorum-auto-satisfy", "off"], |one, _| one_of(&[one], 1));
    let engine = guarded.engine(0);
    for _ in 0..3 {
        guarded.encrypt(&engine).unwrap();
    }
    assert_eq!(engine.stats().forwards, 0);
    assert_eq!(guarded.stack.admin().exports_of(&guarded.kid), 1);
    let requests = guarded.requests();
    assert_eq!(requests.len(), 1, "{requests:?}");
    assert_eq!((requests[0]["status"].as_str(), requests[0]["result_viewed"].as_bool()), (Some("APPROVED"), Some(true)));
    let messages: Vec<String> = guarded.stack.admin().audit().iter().map(|line| line["message"].as_str().unwrap().to_owned()).collect();
    for verb in ["Created", "Approved", "Fetched result of"] {
        let line = format!("{verb} approval request for POST /crypto/v1/keys/export");
        assert!(messages.contains(&line), "{line} is not in {messages:?}");
    }
}

#[test]
fn an_app_that_others_must_approve_is_told_whom_and_asks_once() {
    for args in [&[][..], &["--quorum-auto-satisfy", "off"]] {
        let guarded = Guarded::new(args, |one, _| one_of(&[one], 1));
        // Not an approver: DSM's word to a client without the engine.
        let reply = guarded.client(1).request("POST", "/crypto/v1/keys/export", Some(json!({"kid": guarded.kid})));
        assert_eq!((reply.status, reply.text.as_str()), (403, "This operation requires approval"));
        let approver = id_of(&guarded.client(0));
        // New processes, each of which asks: one request.
        for _ in 0..3 {
            let engine = guarded.engine(1);
            for _ in 0..2 {
                let refusal = guarded.encrypt(&engine).unwrap_err();
                assert_eq!(refusal.status(), 403);
                let request = guarded.requests()[0]["request_id"].as_str().unwrap().to_owned();
                let text = refusal.to_string();
                for words in [&guarded.kid, &format!("approval request {request} waits for app {approver}"), "have it approved in DSM"] {
                    assert!(text.contains(words), "{words:?} is not in {text}");
                }
            }
        }
        assert_eq!(guarded.requests().len(), 1);
        assert_eq!(guarded.stack.admin().exports_of(&guarded.kid), 0);

        // Once the approver has said yes, the next process gets the key.
        let path = format!("{REQUESTS}/{}/approve", guarded.requests()[0]["request_id"].as_str().unwrap());
        guarded.client(0).request("POST", &path, Some(json!({}))).success();
        let engine = guarded.engine(1);
        guarded.encrypt(&engine).unwrap();
        assert_eq!((engine.stats().forwards, guarded.stack.admin().exports_of(&guarded.kid)), (0, 1));
    }
}

#[test]
fn a_waiting_engine_finds_the_approval_by_itself() {
    let guarded = Guarded::new(&[], |one, two| one_of(&[one, two], 2));
    let engine = guarded.engine(0);
    let text = guarded.encrypt(&engine).unwrap_err().to_string();
    // Its own half is given.
    assert!(text.contains(&format!("waits for app {}", id_of(&guarded.client(1)))), "{text}");
    assert_eq!(guarded.requests()[0]["approvers"].as_array().unwrap().len(), 1);
    let path = format!("{REQUESTS}/{}/approve", guarded.requests()[0]["request_id"].as_str().unwrap());
    guarded.client(1).request("POST", &path, Some(json!({}))).success();
    engine.clear(None);
    guarded.encrypt(&engine).unwrap();
    assert_eq!((guarded.requests().len(), guarded.stack.admin().exports_of(&guarded.kid)), (1, 1));
}

#[test]
fn a_denial_is_an_answer() {
    let guarded = Guarded::new(&[], |one, _| one_of(&[one], 1));
    let engine = guarded.engine(1);
    guarded.encrypt(&engine).unwrap_err();
    let path = format!("{REQUESTS}/{}/deny", guarded.requests()[0]["request_id"].as_str().unwrap());
    guarded.client(0).request("POST", &path, Some(json!({"reason": "not on a Friday"}))).success();
    let begin = Instant::now();
    for engine in [&engine, &guarded.engine(1)] {
        engine.clear(None);
        let text = guarded.encrypt(engine).unwrap_err().to_string();
        let expected = format!("app {} has denied approval request", id_of(&guarded.client(0)));
        assert!(text.contains(&expected) && text.contains("not on a Friday"), "{text}");
    }
    assert!(begin.elapsed() < Duration::from_secs(60));
    assert_eq!(guarded.requests().len(), 1);
}
