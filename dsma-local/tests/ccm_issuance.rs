//! What is certified, and what is not, over the wire: an enclave under the emulated NSM asks the node agent, and each refusal has its own
//! words.
//!
//! The enclave is `examples/in_enclave.rs` under `dsma-local with-nsm`.

mod ccm;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use base64_simd::STANDARD;
use ccm::{Ccm, Node};
use dsma_attest::csr::{self, CsrRequest, KeyPair};
use dsma_testkit::{Credential, Dsm, Stack, target_dir};
use serde_json::{Value, json};

#[test]
fn what_passes_all_checks_gets_a_certificate_of_90_days_for_its_domain() {
    let (stack, ccm) = ready();
    let request = enclave(&stack, &[], &["fortanix.com"]);
    let answer = ask(&stack, &request);
    assert_eq!(answer["task_status"], "SUCCESS", "{answer}");
    assert!(answer["message"].as_str().unwrap().contains("INSECURE"), "a certificate on the emulator's word says so: {answer}");
    let zone = ccm.call("GET", "/v1/zones", None)[0]["certificate"].as_str().unwrap().to_owned();
    let dir = tempfile::tempdir().unwrap();
    let (leaf, ca, csr) = (dir.path().join("leaf.pem"), dir.path().join("ca.pem"), dir.path().join("csr.pem"));
    std::fs::write(&csr, &request).unwrap();
    std::fs::write(&leaf, answer["certificate"].as_str().unwrap()).unwrap();
    std::fs::write(&ca, zone).unwrap();
    let (leaf, ca) = (leaf.to_str().unwrap(), ca.to_str().unwrap());
    assert_eq!(openssl(&["x509", "-in", leaf, "-noout", "-pubkey"]), openssl(&["req", "-in", csr.to_str().unwrap(), "-noout", "-pubkey"]));
    for purpose in ["sslclient", "sslserver"] {
        openssl(&["verify", "-CAfile", ca, "-purpose", purpose, leaf]);
    }
    let text = openssl(&["x509", "-in", leaf, "-noout", "-subject", "-ext", "subjectAltName,extendedKeyUsage,basicConstraints"]);
    for expected in ["CN = fortanix.com", "DNS:fortanix.com", "TLS Web Server Authentication, TLS Web Client Authentication", "CA:FALSE"] {
        let swapped = "TLS Web Client Authentication, TLS Web Server Authentication";
        assert!(text.contains(expected) || expected.contains("TLS") && text.contains(swapped), "{expected} is not in {text}");
    }
    let day = 24 * 60 * 60;
    openssl(&["x509", "-in", leaf, "-noout", "-checkend", &(89 * day).to_string()]);
    openssl_refuses(&["x509", "-in", leaf, "-noout", "-checkend", &(91 * day).to_string()]);
    let task = ccm.call("GET", &format!("/v1/tasks/{}", answer["task_id"].as_str().unwrap()), None);
    assert_eq!(task["status"]["status"], "SUCCESS", "{task}");
    let builds = ccm.call("GET", "/v1/builds?deployed_status=DEPLOYED", None);
    assert_eq!(builds["items"].as_array().unwrap().len(), 1, "{builds}");
    let app = builds["items"][0]["app_id"].as_str().unwrap();
    let nodes = ccm.call("GET", "/v1/nodes", None);
    let here = format!("/v1/apps/{app}/node/{}", nodes["items"][0]["node_id"].as_str().unwrap());
    assert_eq!(ccm.call("GET", &format!("{here}/certificate"), None)["certificate"], answer["certificate"]);
    let details = ccm.call("GET", &format!("{here}/certificate-details"), None);
    assert!(details.to_string().contains("fortanix.com"), "{details}");
}

#[test]
fn each_refusal_says_what_an_operator_can_do() {
    let (stack, ccm) = ready();
    let good = enclave(&stack, &[], &["fortanix.com"]);
    assert_eq!(ask(&stack, &good)["task_status"], "SUCCESS");
    let certificates = deployments(&ccm);
    let pcr = "ab".repeat(48);
    let elsewhere = tempfile::tempdir().unwrap();
    let made = Command::new(target_dir().join("dsma-local")).arg("--state").arg(elsewhere.path()).arg("init").output().unwrap();
    assert!(made.status.success(), "{made:?}");
    let other_image = ["--pcr0", &pcr, "--pcr1", &pcr, "--pcr2", &pcr];
    for (request, status, words) in [
        (good, "FAILED", "presented before"),
        (enclave(&stack, &[], &["other.example.com"]), "DENIED", "domain other.example.com is not approved for app"),
        (enclave(&stack, &["--debug-mode"], &["fortanix.com"]), "FAILED", "debug mode"),
        (enclave(&stack, &other_image, &["fortanix.com"]), "DENIED", "it differs in PCR0 and PCR1 and PCR2"),
        (enclave(&stack, &[], &["fortanix.com", "another-key"]), "FAILED", "hash of another key"),
        (enclave(&stack, &[], &["fortanix.com", "configured"]), "DENIED", "may not use app configuration 0707"),
        (printed(&mut with_nsm(elsewhere.path(), &[], &["fortanix.com"])), "FAILED", "root"),
        (damaged(&enclave(&stack, &[], &["fortanix.com"])), "FAILED", "own signature does not fit"),
        (without_document(&[]), "FAILED", "no attestation document"),
        (without_document(&vec![0; 17_000]), "FAILED", "at most"),
        (without_document(b"no COSE"), "FAILED", "no COSE_Sign1"),
        ("no PEM".into(), "FAILED", "no PEM block"),
    ] {
        let answer = ask(&stack, &request);
        let (said, message) = (&answer["task_status"], answer["message"].as_str().unwrap());
        assert!(said == status && message.contains(words) && answer["certificate"].is_null(), "{words}: {answer}");
        let task = ccm.call("GET", &format!("/v1/tasks/{}", answer["task_id"].as_str().unwrap()), None);
        assert_eq!((&task["status"]["status"], &task["description"]), (said, &answer["message"]), "the operator sees the same");
    }
    let long = agent(&stack).request("POST", "/v1/certificate/issue", Some(json!({ "csr": "x".repeat(70_000) })));
    assert!(long.status == 413 && long.text.contains("70000 bytes"), "{} {}", long.status, long.text);
    assert_eq!(deployments(&ccm), certificates, "nothing was certified");

    let node = ccm.call("GET", "/v1/nodes?name=dsma-local", None)["items"][0]["node_id"].as_str().unwrap().to_owned();
    ccm.call("POST", &format!("/v1/nodes/{node}/deactivate"), None);
    let answer = ask(&stack, &enclave(&stack, &[], &["fortanix.com"]));
    assert!(answer["task_status"] == "DENIED" && answer["message"].as_str().unwrap().contains("is deactivated"), "{answer}");
}

#[test]
fn a_document_of_ten_minutes_ago_has_failed() {
    let (stack, _) = ready();
    let dir = tempfile::tempdir().unwrap();
    // The emulator's clock: the same NSM, and a document that is as genuine as it is old.
    let clock = clock(dir.path(), -600);
    let request = printed(with_nsm(stack.state_dir(), &[], &["fortanix.com"]).env("LD_PRELOAD", clock));
    let answer = ask(&stack, &request);
    let message = answer["message"].as_str().unwrap();
    let (_, age) = message.split_once("was signed ").unwrap_or_else(|| panic!("{answer}"));
    let age: u64 = age.split(' ').next().unwrap().parse().unwrap();
    // And what it took to ask.
    assert!(answer["task_status"] == "FAILED" && (600..900).contains(&age) && message.contains("at most 300 s are accepted"), "{answer}");
}

/// In the last fifth of its certificate's life the agent enrols again. Where it may not, the certificate is as good as ever.
#[test]
fn a_certificate_that_cannot_be_renewed_is_used_while_it_holds() {
    let stack = Stack::start();
    let ccm = Ccm::log_in(&stack);
    assert_eq!(ask(&stack, "no request")["task_status"], "FAILED", "it is enrolled");
    let node = ccm.call("GET", "/v1/nodes?name=dsma-local", None)["items"][0]["node_id"].as_str().unwrap().to_owned();
    ccm.call("POST", &format!("/v1/nodes/{node}/deactivate"), None);
    stack.stop();

    let dir = tempfile::tempdir().unwrap();
    let mut later = Command::new(target_dir().join("dsma-local"));
    later.args(["--port-base", "0", "--state"]).arg(stack.state_dir()).env("LD_PRELOAD", clock(dir.path(), 300 * 24 * 60 * 60));
    let mut later = Killed(later.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap());
    let mut ready = String::new();
    BufReader::new(later.0.stdout.take().unwrap()).read_line(&mut ready).unwrap();
    assert!(ready.starts_with("ready "), "{ready}");
    let env = std::fs::read_to_string(stack.state_dir().join("env")).unwrap();
    let agent = env.lines().find_map(|line| line.strip_prefix("export NODE_AGENT=")).unwrap().trim_matches('\'');
    let agent = Dsm::connect(agent, &stack.ca_file(), Credential::None);
    let answer = agent.request("POST", "/v1/certificate/issue", Some(json!({ "csr": "no request" }))).success().json();
    assert!(answer["task_status"] == "FAILED" && answer["message"].as_str().unwrap().contains("no PEM block"), "{answer}");
}

/// A process that ends with the test.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A library that puts a program's clock so many seconds ahead.
#[track_caller]
fn clock(dir: &Path, seconds: i64) -> PathBuf {
    let (source, library) = (dir.join("clock.c"), dir.join("clock.so"));
    std::fs::write(&source, CLOCK).unwrap();
    let ahead = format!("-DAHEAD=({seconds}L)");
    let built = Command::new("cc").args(["-shared", "-fPIC", &ahead, "-o"]).args([&library, &source]).args(["-ldl"]).output().unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    library
}

const CLOCK: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <time.h>
int clock_gettime(clockid_t id, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int status = real(id, now);
    if (id == CLOCK_REALTIME) now->tv_sec += AHEAD;
    return status;
}
"#;

#[test]
fn a_request_waits_for_approval_and_is_answered_at_once_when_it_comes() {
    let stack = Stack::start();
    let ccm = Ccm::log_in(&stack);
    let app = ccm.app("dsma-nitro");
    let unknown = ask(&stack, &enclave(&stack, &[], &["fortanix.com"]));
    let message = unknown["message"].as_str().unwrap();
    assert!(unknown["task_status"] == "DENIED" && message.contains("no build of this account"), "{unknown}");

    let build = ccm.build(&stack, &app);
    let request = enclave(&stack, &[], &["fortanix.com"]);
    let answer = std::thread::scope(|scope| {
        let asking = scope.spawn(|| ask(&stack, &request));
        // The task appears when the request has been looked at.
        let pending = loop {
            let tasks = ccm.call("GET", "/v1/tasks?task_type=CERTIFICATE_ISSUANCE&status=PENDING", None);
            if let Some(task) = tasks["items"].as_array().unwrap().first() {
                break task.clone();
            }
        };
        let waits = format!("is not approved: approve task {}", build["pending_task_id"].as_str().unwrap());
        assert!(pending["description"].as_str().unwrap().contains(&waits), "{pending}");
        let path = format!("/v1/tasks/{}", pending["task_id"].as_str().unwrap());
        ccm.refused(400, "INVALID_STATE", "PATCH", &path, json!({ "status": "APPROVED" }));
        ccm.approve(&build["pending_task_id"]);
        asking.join().unwrap()
    });
    assert_eq!(answer["task_status"], "SUCCESS", "{answer}");

    let other =
        ccm.call("PATCH", &format!("/v1/apps/{}", app["app_id"].as_str().unwrap()), json!({ "allowed_domains": ["b.example.com"] }));
    let request = enclave(&stack, &[], &["b.example.com"]);
    let task = std::thread::scope(|scope| {
        let asking = scope.spawn(|| ask(&stack, &request));
        while ccm.call("GET", "/v1/tasks?task_type=CERTIFICATE_ISSUANCE&status=PENDING", None)["items"].as_array().unwrap().is_empty() {}
        let path = format!("/v1/tasks/{}", other["pending_task_id"].as_str().unwrap());
        ccm.call("PATCH", &path, json!({ "status": "DENIED", "denial_reason": "not ours" }));
        asking.join().unwrap()
    });
    assert_eq!(task["task_status"], "DENIED", "{task}");
}

#[test]
fn an_account_without_the_mark_never_trusts_the_emulator_and_zones_are_kept_apart() {
    let stack = Stack::start();
    let first = Ccm::log_in(&stack);
    let account = first.call("POST", "/v1/accounts", json!({ "name": "strict" }));
    assert_eq!(account["node_enrollment"]["attestation_enforcement_disabled_insecure"], false);
    let strict =
        Ccm::log_in_as(&stack, &stack.env("CCM_USERNAME"), &stack.env("CCM_PASSWORD")).select(account["acct_id"].as_str().unwrap());
    let app = strict.app("dsma-nitro");
    strict.approve(&strict.build(&stack, &app)["pending_task_id"]);

    // The agent serves the first account alone.
    let node = Node::enrol(&stack, &strict, "n");
    let request = enclave(&stack, &[], &["fortanix.com"]);
    let (status, task) = node.post("/v1/certificates", &json!({ "csr": request, "node_id": node.id }));
    assert_eq!(status, 200, "{task}");
    assert_eq!(task["task_status"]["status"], "FAILED", "{task}");
    assert!(task["description"].as_str().unwrap().contains("root"), "{task}");

    // The agent enrols before it asks for anything: its answer means that the first account's node is there.
    assert_eq!(ask(&stack, "no request")["task_status"], "FAILED");
    let ours = first.call("GET", "/v1/nodes", None)["items"][0]["node_id"].clone();
    let (status, event) = node.post("/v1/certificates", &json!({ "csr": request, "node_id": ours }));
    assert!(status == 403 && event["message"].as_str().unwrap().contains("a node of another zone"), "{status} {event}");
    strict.refused(404, "NOT_FOUND", "GET", &format!("/v1/nodes/{}", ours.as_str().unwrap()), None);
}

/// Somebody else enrols under the agent's name and address, so that the agent's certificate is worth nothing.
#[test]
fn requests_that_find_the_agent_not_enrolled_enrol_it_once() {
    let stack = Stack::start();
    let ccm = Ccm::log_in(&stack);
    assert_eq!(ask(&stack, "no request")["task_status"], "FAILED", "it is enrolled");
    let enrolments = || ccm.call("GET", "/v1/tasks?task_type=NODE_ATTESTATION", None)["items"].as_array().unwrap().len();
    for _ in 0..3 {
        Node::enrol(&stack, &ccm, "dsma-local");
        let before = enrolments();
        std::thread::scope(|scope| {
            let asking: Vec<_> = (0..6).map(|_| scope.spawn(|| ask(&stack, "no request"))).collect();
            for answer in asking {
                assert_eq!(answer.join().unwrap()["task_status"], "FAILED");
            }
        });
        assert_eq!(enrolments(), before + 1);
    }
}

/// Anybody on the machine may send the agent anything: what came to nothing is forgotten in time.
#[test]
fn requests_that_came_to_nothing_do_not_pile_up() {
    let (stack, ccm) = ready();
    let granted = ask(&stack, &enclave(&stack, &[], &["fortanix.com"]));
    assert_eq!(granted["task_status"], "SUCCESS", "{granted}");
    let answers: Vec<Value> = (0..103).map(|number| ask(&stack, &format!("no request {number}"))).collect();
    let failed = ccm.call("GET", "/v1/tasks?task_type=CERTIFICATE_ISSUANCE&status=CLOSED", None);
    let count = failed["metadata"]["filtered_count"].as_u64().unwrap_or_else(|| panic!("{failed}"));
    assert_eq!(count, 101, "a hundred, and the one that was granted");
    let task = |answer: &Value| format!("/v1/tasks/{}", answer["task_id"].as_str().unwrap());
    ccm.refused(404, "NOT_FOUND", "GET", &task(&answers[0]), None);
    for kept in [&granted, &answers[3], &answers[102]] {
        ccm.call("GET", &task(kept), None);
    }
}

/// A stack whose build and domain are approved.
fn ready() -> (Stack, Ccm) {
    let stack = Stack::start();
    let ccm = Ccm::log_in(&stack);
    let app = ccm.app("dsma-nitro");
    ccm.approve(&ccm.build(&stack, &app)["pending_task_id"]);
    (stack, ccm)
}

/// The request of an enclave of this stack, PEM: `what` is the domain, and what is wrong with it.
#[track_caller]
fn enclave(stack: &Stack, measurements: &[&str], what: &[&str]) -> String {
    printed(&mut with_nsm(stack.state_dir(), measurements, what))
}

/// An enclave whose module is the emulated one of this state.
fn with_nsm(state: &Path, measurements: &[&str], what: &[&str]) -> Command {
    let mut command = Command::new(target_dir().join("dsma-local"));
    command.arg("with-nsm").args(measurements).arg("--").arg(target_dir().join("examples/in_enclave")).arg("request").args(what);
    command.env("DSMA_LOCAL_STATE", state);
    command
}

#[track_caller]
fn printed(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A request without a document, or with these bytes for one.
fn without_document(document: &[u8]) -> String {
    let request = CsrRequest { subject_common_name: Some("fortanix.com".into()), dns_names: Vec::new() };
    csr::build(&KeyPair::generate().unwrap(), &request, Some(document).filter(|document| !document.is_empty())).unwrap()
}

/// The same request with one bit of its signature changed.
fn damaged(pem: &str) -> String {
    let lines: Vec<&str> = pem.lines().collect();
    let mut der = STANDARD.decode_to_vec(lines[1..lines.len() - 1].concat()).unwrap();
    *der.last_mut().unwrap() ^= 1;
    format!("{}\n{}\n{}\n", lines[0], STANDARD.encode_to_string(der), lines[lines.len() - 1])
}

fn agent(stack: &Stack) -> Dsm {
    Dsm::connect(&stack.env("NODE_AGENT"), &stack.ca_file(), Credential::None)
}

#[track_caller]
fn ask(stack: &Stack, csr: &str) -> Value {
    agent(stack).request("POST", "/v1/certificate/issue", Some(json!({ "csr": csr }))).success().json()
}

fn deployments(ccm: &Ccm) -> Value {
    ccm.call("GET", "/v1/apps", None)["items"][0]["nodes"].clone()
}

fn openssl(arguments: &[&str]) -> String {
    let output = Command::new("openssl").args(arguments).output().unwrap();
    assert!(output.status.success(), "openssl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn openssl_refuses(arguments: &[&str]) {
    assert!(!Command::new("openssl").args(arguments).output().unwrap().status.success(), "openssl {arguments:?}");
}
