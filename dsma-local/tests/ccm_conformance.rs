//! What this CCM answers is what the published OpenAPI says: each operation of it that dsma-local has is asked over TLS, under the newer
//! prefix too, and each refusal is an `Event` of the document.

mod ccm;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use base64_simd::STANDARD;
use ccm::{Ccm, event};
use dsma_attest::csr::{self, CsrRequest, KeyPair};
use dsma_testkit::{Credential, Reply, Stack};
use jsonschema::{Draft, Validator};
use serde_json::{Value, json};
use uuid::Uuid;

/// Made from the published document by `interop/openapi/reduce_ccm.py`.
const PUBLISHED: &str = include_str!("../../interop/openapi/ccm.json");
/// Operations that need an attested app: `ccm_issuance.rs` calls them.
const ELSEWHERE: &[&str] =
    &["GET /v1/apps/{app-id}/node/{node-id}/certificate", "GET /v1/apps/{app-id}/node/{node-id}/certificate-details"];

#[test]
fn good_requests_are_answered_as_published() {
    let stack = Stack::start();
    let walk = Walk::new(&stack);
    walk.sessions_and_accounts(&stack);
    walk.users();
    walk.zones_and_nodes();
    walk.apps_and_builds();
    let walked = walk.walked.borrow();
    let forgotten: Vec<&String> =
        walk.operations.keys().filter(|name| !walked.contains(*name) && !ELSEWHERE.contains(&name.as_str())).collect();
    assert!(forgotten.is_empty(), "in the document, and no good request of this walk asks for it: {forgotten:#?}");
}

#[test]
fn bad_requests_are_refused_with_events() {
    let stack = Stack::start();
    let walk = Walk::new(&stack);
    let published: Value = serde_json::from_str(PUBLISHED).unwrap();
    let judge = validator(&published, &json!({ "$ref": "#/definitions/Event" }));
    let (nobody, user) = (walk.ccm.http.with(Credential::None), &walk.ccm.http);
    for (name, _) in walk.operations.iter().filter(|(name, _)| !name.contains("terminate")) {
        let (method, path) = name.split_once(' ').unwrap();
        let shaped = |id: &str| path.split('/').map(|part| if part.starts_with('{') { id } else { part }).collect::<Vec<_>>().join("/");
        for client in [&nobody, user] {
            for path in [shaped(&Uuid::nil().to_string()), shaped("no-uuid"), format!("{}?limit=x&sort_by=a:b", shaped("%ff"))] {
                for body in ["", "{", "[]", "17", r#"{"name":17,"status":[],"roles":"x","user_email":{},"patch":1}"#] {
                    let body = (method != "GET" && method != "DELETE").then(|| body.as_bytes().to_vec());
                    let reply = client.try_request(method, &path, body).unwrap();
                    if reply.status >= 300 {
                        assert!((400..500).contains(&reply.status), "{method} {path}: {} {}", reply.status, reply.text);
                        judge.validate(&reply.json()).unwrap_or_else(|problem| panic!("{method} {path}: {problem}"));
                    }
                }
            }
        }
    }
    assert_eq!(walk.ccm.call("GET", "/v1/apps", None)["items"], json!([]), "nothing was made by halves");
    event(&user.request("PUT", "/v1/zones", None), 405, "METHOD_NOT_ALLOWED");
    event(&user.request("GET", "/v1/nonsense", None), 404, "NOT_FOUND");
    let wrong = Credential::Basic(STANDARD.encode_to_string("operator@dsma.local:wrong"));
    assert_eq!(event(&user.with(wrong).request("POST", "/v1/sys/auth", None), 401, "AUTH_FAILED"), "Wrong address or password");
}

#[test]
fn limits_duplicates_and_roles_are_those_that_the_vendor_documents() {
    let stack = Stack::start();
    let ccm = Ccm::log_in(&stack);
    let app = |name: &str| json!({ "name": name, "input_image_name": "in", "output_image_name": "out" });
    let first = ccm.app("app 0");
    ccm.refused(400, "UNIQUE_VIOLATION", "POST", "/v1/apps", app("app 0"));
    for number in 1..10 {
        ccm.call("POST", "/v1/apps", app(&format!("app {number}")));
    }
    ccm.refused(403, "QUOTA_EXCEEDED", "POST", "/v1/apps", app("app 10"));
    let build = |digit: u8| {
        let pcr = format!("{digit:02x}").repeat(48);
        json!({ "app_id": first["app_id"], "Measurements": { "HashAlgorithm": "Sha384 { ... }", "PCR0": pcr, "PCR1": pcr, "PCR2": pcr } })
    };
    for digit in 1..=10 {
        ccm.call("POST", "/v1/builds", build(digit));
    }
    ccm.refused(403, "QUOTA_EXCEEDED", "POST", "/v1/builds", build(11));
    let other = ccm.call("GET", "/v1/apps?name=app%201", None)["items"][0]["app_id"].clone();
    let mut again = build(1);
    again["app_id"] = other;
    ccm.refused(400, "UNIQUE_VIOLATION", "POST", "/v1/builds", again);
    let path = format!("/v1/apps/{}", first["app_id"].as_str().unwrap());
    ccm.call("PATCH", &path, json!({ "allowed_domains": ["a.example.com"] }));
    ccm.refused(400, "INVALID_STATE", "PATCH", &path, json!({ "allowed_domains": ["b.example.com"] }));

    let account = stack.env("CCM_ACCOUNT_ID");
    let member = |role: &str| {
        let email = format!("{}@example.com", role.to_lowercase());
        ccm.call("POST", "/v1/users", json!({ "user_email": email, "user_password": "correct horse" }));
        ccm.call("POST", "/v1/users/invite", json!({ "user_email": email, "roles": [role] }));
        let user = Ccm::log_in_as(&stack, &email, "correct horse");
        user.refused(403, "NO_ACCOUNT_SELECTED", "GET", "/v1/zones", None);
        user.refused(403, "USER_ACCOUNT_PENDING", "POST", &format!("/v1/sys/session/select_account/{account}"), None);
        user.call("POST", "/v1/users/process_invite", json!({ "accepts": [account] }));
        user.select(&account)
    };
    let (reader, writer) = (member("READER"), member("WRITER"));
    let zone = reader.call("GET", "/v1/zones", None)[0]["zone_id"].as_str().unwrap().to_owned();
    let task = ccm.call("GET", &path, None)["pending_task_id"].as_str().unwrap().to_owned();
    let approval = json!({ "status": "APPROVED" });
    reader.refused(403, "FORBIDDEN", "PATCH", &format!("/v1/tasks/{task}"), approval.clone());
    reader.refused(403, "FORBIDDEN", "PATCH", &path, json!({ "description": "x" }));
    writer.call("PATCH", &format!("/v1/tasks/{task}"), approval.clone());
    writer.refused(400, "INVALID_STATE", "PATCH", &format!("/v1/tasks/{task}"), approval);
    writer.refused(403, "FORBIDDEN", "GET", &format!("/v1/zones/{zone}/token"), None);
    writer.refused(403, "FORBIDDEN", "POST", "/v1/users/invite", json!({ "user_email": "x@example.com", "roles": ["MANAGER"] }));
}

/// A session, and the document that its answers are judged by.
struct Walk {
    ccm: Ccm,
    operations: BTreeMap<String, Option<Validator>>,
    walked: RefCell<BTreeSet<String>>,
}

impl Walk {
    fn new(stack: &Stack) -> Self {
        let published: Value = serde_json::from_str(PUBLISHED).unwrap();
        let mut operations = BTreeMap::new();
        for (path, methods) in published["paths"].as_object().unwrap() {
            for (method, operation) in methods.as_object().unwrap() {
                let success = operation["responses"].as_object().unwrap().values().next().unwrap();
                let schema = success["schema"].is_object().then(|| validator(&published, &success["schema"]));
                operations.insert(format!("{} {path}", method.to_uppercase()), schema);
            }
        }
        Self { ccm: Ccm::log_in(stack), operations, walked: RefCell::default() }
    }

    /// A request that must succeed as published.
    #[track_caller]
    fn call(&self, method: &str, path: &str, body: impl Into<Option<Value>>) -> Value {
        self.judge(method, path, &self.ccm.http.request(method, path, body.into()))
    }

    #[track_caller]
    fn judge(&self, method: &str, path: &str, reply: &Reply) -> Value {
        assert!(reply.status < 300, "{method} {path}: {} {}", reply.status, reply.text);
        let shape = |template: &str| {
            let path = path.split('?').next().unwrap();
            template.split('/').count() == path.split('/').count()
                && template.split('/').zip(path.split('/')).all(|(ours, theirs)| ours == theirs || ours.starts_with('{'))
        };
        let fitting =
            self.operations.iter().filter(|(name, _)| name.split_once(' ').is_some_and(|(verb, path)| verb == method && shape(path)));
        let (name, schema) = fitting.min_by_key(|(name, _)| name.matches('{').count()).unwrap_or_else(|| panic!("{method} {path}"));
        self.walked.borrow_mut().insert(name.clone());
        match schema {
            None => {
                assert!(reply.status == 204 && reply.text.is_empty(), "{name}: {} {}", reply.status, reply.text);
                Value::Null
            }
            Some(schema) => {
                let body = reply.json();
                let problems: Vec<String> = schema.iter_errors(&body).map(|error| format!("{}: {error}", error.instance_path())).collect();
                assert!(problems.is_empty(), "{name}: {problems:#?}");
                body
            }
        }
    }

    fn sessions_and_accounts(&self, stack: &Stack) {
        self.call("GET", "/v1/sys/version", None);
        let login = format!("{}:{}", stack.env("CCM_USERNAME"), stack.env("CCM_PASSWORD"));
        let basic = self.ccm.http.with(Credential::Basic(STANDARD.encode_to_string(login)));
        let session = self.judge("POST", "/v1/sys/auth", &basic.request("POST", "/v1/sys/auth", None));
        self.call("POST", "/v1/sys/auth/discover", json!({ "user_email": "anybody@example.com" }));
        self.call("POST", "/v1/sys/session/refresh", None);
        self.call("POST", &format!("/v1/sys/session/select_account/{}", stack.env("CCM_ACCOUNT_ID")), None);
        let token = session["access_token"].as_str().unwrap().to_owned();
        let other = self.ccm.http.with(Credential::Bearer(token));
        self.judge("POST", "/v1/sys/session/terminate", &other.request("POST", "/v1/sys/session/terminate", None));
        event(&other.request("GET", "/v1/user", None), 401, "INVALID_SESSION");
        assert_eq!(self.call("GET", "/v1/accounts", None)["items"].as_array().unwrap().len(), 1);
        let made = self.call("POST", "/v1/accounts", json!({ "name": "second" }));
        let path = format!("/v1/accounts/{}", made["acct_id"].as_str().unwrap());
        self.call("PATCH", &path, json!({ "name": "renamed" }));
        assert_eq!(self.call("GET", &path, None)["name"], "renamed");
        self.call("DELETE", &path, None);
    }

    fn users(&self) {
        let me = self.call("GET", "/v1/user", None)["user_id"].as_str().unwrap().to_owned();
        self.call("GET", &format!("/v1/users/{me}/accounts"), None);
        self.call("POST", "/v1/users", json!({ "user_email": "new@example.com", "user_password": "correct horse", "first_name": "New" }));
        let invited = self.call("POST", "/v1/users/invite", json!({ "user_email": "new@example.com", "roles": ["READER"] }));
        let path = format!("/v1/users/{}", invited["user_id"].as_str().unwrap());
        self.call("GET", &path, None);
        let named = self.ccm.refused(403, "FORBIDDEN", "PATCH", &path, json!({ "roles": ["MANAGER"], "first_name": "Ann" }));
        assert!(named.contains("their own names"), "{named}");
        assert_eq!(self.call("GET", &path, None)["roles"], json!(["READER"]), "what is refused changes nothing");
        self.call("PATCH", &path, json!({ "roles": ["WRITER"] }));
        assert_eq!(self.call("GET", "/v1/users?all_search=new&sort_by=user_email:DESC", None)["metadata"]["filtered_count"], 1);
        self.call("DELETE", &format!("{path}/accounts"), None);
        let new = self.ccm.http.with(Credential::Basic(STANDARD.encode_to_string("new@example.com:correct horse")));
        let token = new.request("POST", "/v1/sys/auth", None).success().json()["access_token"].as_str().unwrap().to_owned();
        self.judge("DELETE", &path, &new.with(Credential::Bearer(token)).request("DELETE", &path, None));
    }

    fn zones_and_nodes(&self) {
        let zones = self.call("GET", "/v1/zones", None);
        let newer = self.ccm.http.request("GET", "/api/v1/confidential_computing/zones", None).success().json();
        assert_eq!(newer, zones, "the newer prefix answers the same");
        let path = format!("/v1/zones/{}", zones[0]["zone_id"].as_str().unwrap());
        self.call("GET", &path, None);
        let token = self.call("GET", &format!("{path}/token"), None)["token"].as_str().unwrap().to_owned();
        let certificates = format!("{path}/certificates");
        let before = self.call("GET", &certificates, None)["current_certificate"].clone();
        let next = self.call("POST", &certificates, None)["next_certificate"].clone();
        let after = self.call("POST", &format!("{certificates}/rotate"), None);
        assert_eq!((&after["current_certificate"], &after["previous_certificates"]), (&next, &json!([before])));
        assert_eq!(self.call("GET", &path, None)["certificate"], next);

        let key = KeyPair::generate().unwrap();
        let csr = csr::build(&key, &CsrRequest { subject_common_name: None, dns_names: Vec::new() }, None).unwrap();
        let node = json!({ "name": "n", "ipaddress": "10.0.0.1", "sgx_version": "none", "attestation_request": { "csr": csr } });
        let joining = self.ccm.http.with(Credential::Bearer(token));
        let task = self.judge("POST", "/v1/nodes", &joining.request("POST", "/v1/nodes", Some(node)));
        let path = format!("/v1/nodes/{}", task["node_id"].as_str().unwrap());
        self.call("GET", "/v1/nodes?attestation_type=NITRO_ENCLAVE&status=RUNNING", None);
        self.call("GET", &path, None);
        let patched = self.call("PATCH", &path, json!({ "patch": [{ "op": "add", "path": "/labels/rack", "value": "7" }] }));
        assert_eq!(patched["labels"], json!({ "rack": "7" }));
        let certificate = self.call("GET", &format!("{path}/certificate"), None);
        self.call("GET", &format!("/v1/certificates/{}", certificate["certificate_id"].as_str().unwrap()), None);
        self.call("GET", &format!("{path}/certificate-details"), None);
        self.call("POST", &format!("{path}/deactivate"), None);
        self.call("GET", &format!("/v1/tasks/status/{}", task["task_id"].as_str().unwrap()), None);
    }

    fn apps_and_builds(&self) {
        let request = json!({ "name": "app", "input_image_name": "in", "output_image_name": "out", "allowed_domains": ["a.example.com"],
            "labels": { "a": "1" }, "signers": [{ "nitro_enclave": { "pcr8": "cd".repeat(48) } }],
            "certificate_policy": { "require_known_image": true, "require_known_signer": true } });
        let app = self.call("POST", "/v1/apps", request);
        let app_path = format!("/v1/apps/{}", app["app_id"].as_str().unwrap());
        let task_path = format!("/v1/tasks/{}", app["pending_task_id"].as_str().unwrap());
        self.call("GET", "/v1/tasks?task_type=DOMAIN_WHITELIST&status=PENDING&requester=operator", None);
        self.call("GET", &task_path, None);
        self.call("PATCH", &task_path, json!({ "status": "DENIED", "denial_reason": "no" }));
        self.call("DELETE", &task_path, None);
        let patched = self.call("PATCH", &app_path, json!({ "labels": [{ "op": "replace", "path": "/a", "value": "2" }], "signers": [] }));
        assert_eq!((&patched["labels"], &patched["allowed_domains"]), (&json!({ "a": "2" }), &json!([])));
        self.call("GET", "/v1/apps?name=app&limit=5&offset=0&sort_by=name:ASC", None);
        self.call("GET", "/v1/apps/unique_labels/count", None);
        let pcr = "ef".repeat(48);
        let measured =
            json!({ "nitro_enclave": { "nitro_enclave": { "hash_algorithm": "Sha384", "pcr0": pcr, "pcr1": pcr, "pcr2": pcr } } });
        let docker = json!({ "docker_image_name": "image", "docker_version": "1", "exposed_ports": [{ "port": 443, "protocol": "Tcp" }] });
        let build = self.call("POST", "/v1/builds", json!({ "app_name": "app", "docker_info": docker, "attributes": measured }));
        let path = format!("/v1/builds/{}", build["build_id"].as_str().unwrap());
        self.call("GET", "/v1/builds?docker_image_name=IMAGE&status=PENDING&deployed_status=UNDEPLOYED", None);
        self.call("PATCH", &path, json!({ "configs": { "0a".repeat(32): {} } }));
        assert_eq!(self.call("GET", &path, None)["attributes"], measured);
        self.call("GET", &format!("/v1/builds/deployments/{}", build["build_id"].as_str().unwrap()), None);
        self.call("DELETE", &path, None);
        self.call("GET", &app_path, None);
        self.call("DELETE", &app_path, None);
    }
}

fn validator(published: &Value, schema: &Value) -> Validator {
    // References in the schema are looked up from its own root. Swagger 2.0's schemas are an early draft's, with formats of their own.
    let schema = json!({ "allOf": [schema], "definitions": published["definitions"] });
    jsonschema::options()
        .with_draft(Draft::Draft4)
        .should_validate_formats(true)
        .with_format("uuid", |text: &str| Uuid::try_parse(text).is_ok_and(|uuid| uuid.to_string() == text))
        .build(&schema)
        .expect("the published schemas are valid")
}

#[test]
fn guessing_a_password_ends_in_a_lock() {
    let stack = Stack::start();
    let (name, password) = (stack.env("CCM_USERNAME"), stack.env("CCM_PASSWORD"));
    let ccm = Ccm::log_in(&stack);
    ccm.call("POST", "/v1/users", json!({ "user_email": "ann@example.com", "user_password": "correct horse" }));
    let login = |name: &str, password: &str| {
        let basic = Credential::Basic(STANDARD.encode_to_string(format!("{name}:{password}")));
        ccm.http.with(basic).request("POST", "/v1/sys/auth", None)
    };
    for _ in 0..5 {
        event(&login("ann@example.com", "a wrong password"), 401, "AUTH_FAILED");
    }
    login("Ann@example.com", "correct horse").success();
    for email in ["ann@example.com", "nobody@example.com"] {
        for _ in 0..10 {
            event(&login(email, "a wrong password"), 401, "AUTH_FAILED");
        }
        let words = event(&login(email, "correct horse"), 423, "LOCKED");
        assert!(words.contains("try again in"), "{words}");
    }
    login(&name, &password).success();
}

#[test]
fn many_logins_at_once_with_the_right_password_all_succeed() {
    let stack = Stack::start();
    let basic = Credential::Basic(STANDARD.encode_to_string(format!("{}:{}", stack.env("CCM_USERNAME"), stack.env("CCM_PASSWORD"))));
    let ccm = Ccm::log_in(&stack).http.with(basic);
    std::thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| ccm.request("POST", "/v1/sys/auth", None).success());
        }
    });
}
