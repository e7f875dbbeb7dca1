//! A DSM that lies to the service: what it says wrong of keys and callers is not believed and grants nothing; the operator is told where,
//! and the caller gets what DSM itself answers.
#![forbid(unsafe_code)]

mod common;

use std::net::TcpListener;
use std::time::{Duration, Instant};

use common::{MESSAGE, base64, exportable_aes, exportable_rsa, gcm, open_gcm, sign};
use dsma_testkit::{Answer, Dsm, Host, Liar, Stack};
use serde_json::{Value, json};

/// Longer than a refusal is remembered, on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(60);
const AUTH: &str = "POST /sys/v1/session/auth";
const EXPORT: &str = "POST /crypto/v1/keys/export";
const INFO: &str = "POST /crypto/v1/keys/info";
const ENCRYPT: &str = "POST /crypto/v1/encrypt";

struct Court {
    stack: Stack,
    liar: Liar,
    host: Host,
    client: Dsm,
    dsm: Dsm,
}

impl Court {
    fn open() -> Self {
        let stack = Stack::start();
        let liar = Liar::before(&stack);
        let host = start(&stack, &liar);
        // The service's own session is open: what comes next is about callers.
        host.wait_log("SETUP COMPLETE");
        let (client, dsm) = (host.client(&stack), stack.dsm());
        Self { stack, liar, host, client, dsm }
    }

    /// A caller whom the service does not know yet.
    fn stranger(&self) -> Dsm {
        let key = self.dsm.new_app(&format!("app {}", uuid()), &[(&self.dsm.default_group(), &["ENCRYPT", "DECRYPT", "SIGN", "VERIFY"])]);
        self.client.with(dsma_testkit::Credential::Basic(key))
    }

    /// What was encrypted is what DSM itself decrypts.
    fn seals(&self, client: &Dsm, kid: &str) {
        let sealed = client.request("POST", "/crypto/v1/encrypt", Some(gcm(kid))).success().json();
        let opened = self.dsm.request("POST", "/crypto/v1/decrypt", Some(open_gcm(&sealed))).success().json();
        assert_eq!(opened["plain"], base64(MESSAGE));
    }

    /// The key is served from the cache in the end.
    fn serves_locally(&self, kid: &str) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let before = self.dsm.uses_of(kid, "encrypt");
            self.seals(&self.client, kid);
            if self.dsm.uses_of(kid, "encrypt") == before {
                return;
            }
            assert!(Instant::now() < deadline, "{}", self.host.log());
        }
    }

    fn told(&self, path: &str, said: &str) {
        assert_eq!(self.liar.pending(), 0, "{path}, {said}: the lie was not told");
        let deadline = Instant::now() + PATIENCE;
        let names = |line: &str| line.contains("unusable reply") && line.contains(path) && line.contains(said);
        // The answer may be out before the line is.
        while !self.host.log().lines().any(names) {
            assert!(Instant::now() < deadline, "{path}, {said}:\n{}", self.host.log());
            std::thread::yield_now();
        }
    }
}

fn start(stack: &Stack, liar: &Liar) -> Host {
    let ca_file = liar.ca_file().display().to_string();
    Host::start(stack, &[("FORTANIX_API_ENDPOINT", &liar.endpoint()), ("FORTANIX_CA_FILE", &ca_file), ("BEARER_AUTH_ENABLED", "true")])
}

fn uuid() -> String {
    base64(format!("{:?}", Instant::now()).as_bytes())
}

fn set(path: &'static str, value: Value) -> impl FnOnce(&mut Answer) + Send {
    move |answer| answer.set(path, value)
}

#[test]
fn about_keys() {
    let court = Court::open();
    let other = exportable_rsa(&court.dsm);
    let other = court.dsm.request("POST", "/crypto/v1/keys/export", Some(json!({"kid": other}))).success().json();
    let secret = other["value"].as_str().unwrap().to_owned();
    type Lie = Box<dyn FnOnce(&mut Answer) + Send>;
    let aes: [(Lie, &str); 6] = [
        (Box::new(set("/kid", json!("00000000-0000-4000-8000-000000000000"))), "`kid` is another"),
        (Box::new(set("/kid", json!("none"))), "`kid` is not what was expected"),
        (Box::new(set("/value", json!(secret))), "`value` of key"),
        (Box::new(set("/key_size", json!(128))), "is not what `key_size` tells"),
        (Box::new(|answer| answer.body = b"<html>".to_vec()), "not JSON"),
        (Box::new(|answer| (answer.padding, answer.announced) = (1 << 30, false)), "a body of more than"),
    ];
    for (lie, said) in aes {
        let kid = exportable_aes(&court.dsm);
        court.liar.lie(EXPORT, lie);
        court.seals(&court.client, &kid);
        court.told("crypto/v1/keys/export", said);
        court.serves_locally(&kid);
    }
    let kid = exportable_rsa(&court.dsm);
    court.liar.lie(EXPORT, set("/value", other["value"].clone()));
    let signed = court.client.request("POST", "/crypto/v1/sign", Some(sign(&kid))).success().json();
    court.told("crypto/v1/keys/export", "is not what `pub_key` tells");
    let mut verify = sign(&kid);
    verify["signature"] = signed["signature"].clone();
    assert_eq!(court.dsm.request("POST", "/crypto/v1/verify", Some(verify)).success().json()["result"], true);
    let log = court.host.log();
    assert!(!log.contains(&secret) && !log.contains(&court.stack.api_key()), "{log}");
}

/// A caller of whom DSM tells nonsense is served by DSM alone.
#[test]
fn about_callers() {
    let court = Court::open();
    let kid = exportable_aes(&court.dsm);
    for (lie, said) in [
        (set("/access_token", json!("")), ""),
        (set("/access_token", json!("a\r\nX-Other: b")), ""),
        (set("/expires_in", json!(-1)), "opens no session"),
        (set("/expires_in", json!(1e30)), "opens no session"),
        (set("/expires_in", json!(0)), ""),
        (set("/expires_in", json!(u64::MAX)), ""),
        (set("/entity_id", json!("nobody")), "opens no session"),
        (set("/entity_id", json!("00000000-0000-4000-8000-000000000000")), ""),
    ] {
        let stranger = court.stranger();
        court.liar.lie(AUTH, lie);
        court.seals(&stranger, &kid);
        court.seals(&stranger, &kid);
        assert_eq!(court.liar.pending(), 0, "{said}");
        if !said.is_empty() {
            court.told("sys/v1/session/auth", said);
        }
    }
    for (lie, said) in [
        (set("/kid", json!("00000000-0000-4000-8000-000000000000")), "`kid` is another"),
        (set("/obj_type", json!(7)), "describes no sobject"),
        (set("/created_at", json!("yesterday")), "describes no sobject"),
    ] {
        let stranger = court.stranger();
        court.liar.lie(INFO, lie);
        court.seals(&stranger, &kid);
        court.told("crypto/v1/keys/info", said);
        court.seals(&stranger, &kid);
    }
    assert!(!court.host.log().contains("X-Other"));
    // Nobody else may what these may.
    assert_eq!(court.client.with(dsma_testkit::Credential::None).request("POST", "/crypto/v1/encrypt", Some(gcm(&kid))).status, 401);
}

/// The permissions of another app are not the caller's.
#[test]
fn about_permissions() {
    let court = Court::open();
    let kid = exportable_aes(&court.dsm);
    let group = court.dsm.default_group();
    let key = court.dsm.new_app("none of these", &[(&group, &["WRAPKEY"])]);
    let mighty = court.stack.api_key();
    let mighty = String::from_utf8(base64_simd::STANDARD.decode_to_vec(mighty).unwrap()).unwrap();
    let mighty = mighty.split(':').next().unwrap().to_owned();
    let weak = String::from_utf8(base64_simd::STANDARD.decode_to_vec(&key).unwrap()).unwrap();
    let weak = weak.split(':').next().unwrap().to_owned();
    let described = court.stack.admin().request("GET", &format!("/sys/v1/apps/{mighty}?group_permissions=true"), None).success();
    let caller = court.client.with(dsma_testkit::Credential::Basic(key));
    court.liar.lie(&format!("GET /sys/v1/apps/{weak}"), move |answer| {
        answer.status = 200;
        answer.body = described.text.into_bytes();
    });
    for _ in 0..3 {
        let reply = caller.request("POST", "/crypto/v1/encrypt", Some(gcm(&kid)));
        assert_eq!(reply.status, 403, "{}", reply.text);
    }
    court.told("sys/v1/apps", "`app_id` is another");
    assert_eq!(court.dsm.exports_of(&kid), 0);
}

/// Endless answers cost no memory, and redirects lead nowhere.
#[test]
fn about_what_an_answer_is() {
    let court = Court::open();
    let kid = exportable_aes(&court.dsm);
    let other = TcpListener::bind("localhost:0").unwrap();
    other.set_nonblocking(true).unwrap();
    let away = format!("https://localhost:{}/", other.local_addr().unwrap().port());
    court.seals(&court.client, &kid);
    let before = peak(&court.host);
    for request in [AUTH, INFO] {
        for announced in [true, false] {
            let stranger = court.stranger();
            court.liar.lie(request, move |answer| (answer.padding, answer.announced) = (1 << 30, announced));
            let reply = stranger.request("POST", "/crypto/v1/encrypt", Some(gcm(&kid)));
            assert_eq!(reply.status, 503, "{request}, announced: {announced}: {}", reply.text);
            assert_eq!(court.liar.pending(), 0);
            court.seals(&stranger, &kid);
        }
        for status in [301, 307] {
            let (stranger, away) = (court.stranger(), away.clone());
            court.liar.lie(request, move |answer| {
                answer.status = status;
                answer.headers.insert("location", away.parse().unwrap());
            });
            court.seals(&stranger, &kid);
            assert_eq!(court.liar.pending(), 0);
        }
    }
    let grown = peak(&court.host) - before;
    assert!(grown < 100 << 10, "{grown} KiB");
    // A key that is not cached, for an answer that the service reads to learn from it.
    let stranger = court.stranger();
    court.liar.lie(AUTH, |answer| answer.body = b"<html>".to_vec());
    court.liar.lie(ENCRYPT, |answer| answer.body = b"<html>".to_vec());
    let relayed = stranger.request("POST", "/crypto/v1/encrypt", Some(gcm(&kid)));
    assert_eq!((relayed.status, relayed.text.as_str()), (200, "<html>"), "what DSM says to the caller is the caller's");
    court.seals(&stranger, &kid);
    assert_eq!(other.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock, "nobody followed");
}

/// The most memory that the service had, in KiB.
fn peak(host: &Host) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", host.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Its own session, at the start.
#[test]
fn about_the_session_of_the_service() {
    let stack = Stack::start();
    let liar = Liar::before(&stack);
    liar.lie(AUTH, set("/access_token", json!("a\r\nX-Other: b")));
    liar.lie(AUTH, |answer| answer.body = b"<html>".to_vec());
    let host = start(&stack, &liar);
    let said = host.wait_log("The service starts and retries");
    assert!(said.contains("sys/v1/session/auth: `access_token` is no bearer token"), "{said}");
    host.wait_log("sys/v1/session/auth: not JSON");
    host.wait_log("Successfully connected to DSM");
    assert!(!host.log().contains("X-Other"));
    let kid = exportable_aes(&stack.dsm());
    host.client(&stack).request("POST", "/crypto/v1/encrypt", Some(gcm(&kid))).success();
    assert_eq!(stack.dsm().exports_of(&kid), 1);
}
