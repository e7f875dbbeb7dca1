//! Starting, stopping, DSM's absence, and how changes in DSM are seen.
#![forbid(unsafe_code)]

mod common;

use std::process::Command;
use std::time::{Duration, Instant};

use common::{MESSAGE, Raw, base64, exportable_aes, exportable_rsa, gcm, halves, open_gcm};
use dsma_testkit::{Credential, Host, Stack};
use serde_json::json;

/// Longer than any TTL here, on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn the_start_is_told_line_by_line() {
    let stack = Stack::start();
    let host = Host::start(&stack, &[("CACHE_TTL", "600")]);
    host.wait_log("SETUP COMPLETE");
    let log = host.log();
    let mut rest = log.as_str();
    for line in [
        "INFO dsma - =========== DSMA SERVER START UP =================\n",
        "INFO dsma - Listening on port: ",
        &format!("INFO dsma - CA File path: {}\n", stack.ca_file().display()),
        "INFO dsma - Connection will retry in: 30000 millis\n",
        "INFO dsma - Availability set to false\n",
        "INFO dsma - TTL used by the key cache: 600 sec\n",
        "INFO dsma - =============== SETTING UP DSMA SERVER ===============\n",
        "INFO dsma::server - Initialized DsmAServer\n",
        "Proxy config: None\n",
        "OUTBOUND REQ POST sys/v1/session/auth\n",
        "INBOUND RESP X-Request-ID: ",
        &format!("INFO dsma - Successfully connected to DSM at \"{}\"\n", stack.endpoint()),
        "INFO dsma::api - Building router\n",
        "INFO dsma - =============== DSMA SERVER SETUP COMPLETE ===============\n",
    ] {
        let at = rest.find(line).unwrap_or_else(|| panic!("{line:?} is missing or out of order:\n{log}"));
        rest = &rest[at + line.len()..];
    }
    assert!(!log.contains("self-signed"), "{log}");
    assert_eq!(host.stop(), 0);
}

#[test]
fn dsm_may_come_later_and_go_again() {
    let stack = Stack::start();
    let kid = exportable_aes(&stack.dsm());
    stack.stop();
    let host = Host::start(&stack, &[]);
    host.wait_log("The service starts and retries");
    host.wait_log("SETUP COMPLETE");
    let client = host.client(&stack);
    for (method, path, body) in [
        ("POST", "/crypto/v1/encrypt", Some(gcm(&kid))),
        ("GET", "/sys/v1/version", None),
        ("GET", "/", None),
        ("POST", "/sys/v1/session/auth", None),
    ] {
        let reply = client.request(method, path, body);
        assert_eq!(reply.status, 503, "{method} {path}");
        assert!(!reply.text.is_empty(), "{method} {path}");
    }

    stack.restart();
    host.wait_log("Successfully connected to DSM");
    let sealed = client.request("POST", "/crypto/v1/encrypt", Some(gcm(&kid))).success().json();
    assert_eq!(client.request("GET", "/", None).success().json()["dsm"], "reachable");

    // What was learnt serves on within its life; what is new cannot be.
    stack.stop();
    assert_eq!(client.request("POST", "/crypto/v1/decrypt", Some(open_gcm(&sealed))).success().json()["plain"], base64(MESSAGE));
    let stranger = client.with(Credential::Basic(base64(b"00000000-0000-4000-8000-000000000000:x")));
    assert_eq!(stranger.request("POST", "/crypto/v1/encrypt", Some(gcm(&kid))).status, 503);
    assert_eq!(client.request("GET", "/sys/v1/version", None).status, 503);
    assert_eq!(client.request("GET", "/", None).success().json()["dsm"], "unreachable");

    stack.restart();
    client.request("GET", "/sys/v1/version", None).success();
    host.wait_log("answers again");
    assert_eq!(stack.dsm().exports_of(&kid), 1);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a test may start threads")]
fn a_dsm_that_does_not_answer_leaves_room_for_cached_keys() {
    let stack = Stack::start();
    let host = Host::start(&stack, &[("MAX_IN_FLIGHT", "2")]);
    let kid = exportable_aes(&stack.dsm());
    let client = host.client(&stack);
    client.request("POST", "/crypto/v1/encrypt", Some(gcm(&kid))).success();
    let dsm = stack.pid().unwrap();
    // Connections stand, and nothing comes back.
    signal_process(dsm, "-STOP");
    let (told, answers) = std::sync::mpsc::channel();
    for _ in 0..2 {
        let mut connection = Raw::connect(&host, &[b"http/1.1"]);
        connection.send(b"GET /sys/v1/version HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        let told = told.clone();
        std::thread::spawn(move || told.send(connection.read_to_end()));
    }
    let first = answers.recv().unwrap();
    let served = client.request("POST", "/crypto/v1/encrypt", Some(gcm(&kid)));
    signal_process(dsm, "-CONT");
    assert!(first.starts_with("HTTP/1.1 503") && first.contains("Too many requests wait for DSM"), "{first}");
    served.success();
    let second = answers.recv().unwrap();
    assert!(second.starts_with("HTTP/1.1 200"), "{second}");
}

#[test]
fn a_change_in_dsm_is_seen_after_a_clear() {
    let stack = Stack::start();
    let host = Host::start(&stack, &[]);
    let (dsm, client) = (stack.dsm(), host.client(&stack));
    let kid = exportable_aes(&dsm);
    client.request("POST", "/crypto/v1/encrypt", Some(gcm(&kid))).success();
    dsm.request("PATCH", &format!("/crypto/v1/keys/{kid}"), Some(json!({"enabled": false}))).success();
    // The cache does not know yet: that is what the TTL means.
    client.request("POST", "/crypto/v1/encrypt", Some(gcm(&kid))).success();
    client.request("POST", "/accelerator/v1/keys/clear", Some(json!([kid]))).success();
    let (expected, got) =
        (dsm.request("POST", "/crypto/v1/encrypt", Some(gcm(&kid))), client.request("POST", "/crypto/v1/encrypt", Some(gcm(&kid))));
    assert_eq!((got.status, got.text), (expected.status, expected.text));
}

#[test]
fn changes_in_dsm_are_seen_when_the_ttl_is_over() {
    let stack = Stack::start();
    let host = Host::start(&stack, &[("CACHE_TTL", "1")]);
    let (dsm, client, admin) = (stack.dsm(), host.client(&stack), stack.admin());
    let encrypt = |client: &dsma_testkit::Dsm, kid: &str| client.request("POST", "/crypto/v1/encrypt", Some(gcm(kid))).status;

    let kid = exportable_aes(&dsm);
    assert_eq!(encrypt(&client, &kid), 200);
    dsm.request("PATCH", &format!("/crypto/v1/keys/{kid}"), Some(json!({"enabled": false}))).success();
    eventually(|| encrypt(&client, &kid) == 403);

    // A permission, and then the app, taken away.
    let kid = exportable_aes(&dsm);
    let group = dsm.default_group();
    let key = dsm.new_app("leaver", &[(&group, &["ENCRYPT"])]);
    let leaver = client.with(Credential::Basic(key.clone()));
    assert_eq!(encrypt(&leaver, &kid), 200);
    let decoded = String::from_utf8(base64_simd::STANDARD.decode_to_vec(&key).unwrap()).unwrap();
    let app = format!("/sys/v1/apps/{}", decoded.split(':').next().unwrap());
    admin.request("PATCH", &app, Some(json!({"mod_groups": {group.clone(): ["DECRYPT"]}}))).success();
    eventually(|| encrypt(&leaver, &kid) == 403);
    admin.request("PATCH", &app, Some(json!({"mod_groups": {group: ["ENCRYPT"]}}))).success();
    assert_eq!(encrypt(&leaver, &kid), 200, "a right that was given is seen at once: DSM is asked before anybody is refused");
    admin.request("DELETE", &app, None).success();
    eventually(|| encrypt(&leaver, &kid) == 401);
}

#[test]
fn a_change_that_passes_through_is_seen_at_once() {
    let stack = Stack::start();
    let host = Host::start(&stack, &[]);
    let (dsm, client) = (stack.dsm(), host.client(&stack));
    let kid = exportable_aes(&dsm);
    client.request("POST", "/crypto/v1/encrypt", Some(gcm(&kid))).success();
    client.request("PATCH", &format!("/crypto/v1/keys/{kid}"), Some(json!({"enabled": false}))).success();
    assert_eq!(client.request("POST", "/crypto/v1/encrypt", Some(gcm(&kid))).status, 403);
}

#[test]
fn a_steady_caller_is_served_here_across_renewals() {
    let stack = Stack::start();
    let host = Host::start(&stack, &[("CACHE_TTL", "1"), ("BEARER_AUTH_ENABLED", "true")]);
    let (dsm, client) = (stack.dsm(), host.client(&stack));
    let kid = exportable_aes(&dsm);
    let callers = [client.login(), client];
    eventually(|| {
        for caller in &callers {
            caller.request("POST", "/crypto/v1/encrypt", Some(gcm(&kid))).success();
        }
        dsm.exports_of(&kid) >= 3
    });
    assert_eq!(dsm.uses_of(&kid, "encrypt"), 0);
}

#[test]
fn a_hangup_clears_the_cache() {
    let stack = Stack::start();
    let host = Host::start(&stack, &[]);
    let (dsm, client) = (stack.dsm(), host.client(&stack));
    let kid = exportable_aes(&dsm);
    client.request("POST", "/crypto/v1/encrypt", Some(gcm(&kid))).success();
    signal(&host, "-HUP");
    host.wait_log("cleared 1 keys from the cache on SIGHUP");
    client.request("POST", "/crypto/v1/encrypt", Some(gcm(&kid))).success();
    assert_eq!(dsm.exports_of(&kid), 2);
    assert_eq!(host.stop(), 0);
}

#[test]
fn no_core_file_holds_a_key() {
    let stack = Stack::start();
    let host = Host::start(&stack, &[]);
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", host.pid())).unwrap();
    let core: Vec<_> = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap().split_whitespace().collect();
    assert_eq!(core[4..6], ["0", "0"], "{limits}");
}

#[test]
fn a_stop_lets_the_request_under_way_end() {
    let stack = Stack::start();
    let host = Host::start(&stack, &[]);
    let kid = exportable_aes(&stack.dsm());
    let (most, last) = halves("/crypto/v1/encrypt", &stack.api_key(), &gcm(&kid));
    let mut slow = Raw::connect(&host, &[b"http/1.1"]);
    slow.send(&most);
    // An answer on another connection says that the service has come to work.
    host.client(&stack).request("GET", "/", None).success();
    signal(&host, "-TERM");
    host.wait_log("Stopping");
    slow.send(&last);
    let text = slow.read_to_end();
    assert!(text.starts_with("HTTP/1.1 200") && text.contains(&kid), "{text}");
    host.wait_log("Stopped");
    assert_eq!(host.stop(), 0);
}

#[test]
fn nothing_secret_is_logged_at_the_most_talkative_level() {
    let stack = Stack::start();
    let host = Host::start(&stack, &[("RUST_LOG", "trace"), ("BEARER_AUTH_ENABLED", "true")]);
    let (dsm, client) = (stack.dsm(), host.client(&stack));
    let material = base64(&[0xa5; 32]);
    let spec =
        json!({"name": "imported", "obj_type": "AES", "value": material, "key_ops": ["ENCRYPT", "DECRYPT", "EXPORT", "APPMANAGEABLE"]});
    let kid = client.request("PUT", "/crypto/v1/keys", Some(spec)).success().json()["kid"].as_str().unwrap().to_owned();
    let rsa = exportable_rsa(&dsm);
    let session = client.request("POST", "/sys/v1/session/auth", None).success().json();
    let token = session["access_token"].as_str().unwrap();
    for caller in [client.clone(), client.with(Credential::Bearer(token.to_owned()))] {
        let sealed = caller.request("POST", "/crypto/v1/encrypt", Some(gcm(&kid))).success().json();
        caller.request("POST", "/crypto/v1/decrypt", Some(open_gcm(&sealed))).success();
        caller.request("POST", "/crypto/v1/sign", Some(common::sign(&rsa))).success();
        caller.request("POST", "/crypto/v1/keys/export", Some(json!({"kid": kid}))).success();
        let mut broken = open_gcm(&sealed);
        broken["tag"] = json!(base64(&[0; 16]));
        assert_eq!(caller.request("POST", "/crypto/v1/decrypt", Some(broken)).status, 400);
    }
    let api_key = stack.api_key();
    let decoded = String::from_utf8(base64_simd::STANDARD.decode_to_vec(&api_key).unwrap()).unwrap();
    let rsa_value = dsm.request("POST", "/crypto/v1/keys/export", Some(json!({"kid": rsa}))).success().json()["value"].clone();
    let log = host.log();
    assert!(log.contains("OUTBOUND REQ POST crypto/v1/keys/export"), "{log}");
    for (what, secret) in [
        ("the API key", api_key.as_str()),
        ("the API key's secret", decoded.split(':').nth(1).unwrap()),
        ("a token", token),
        ("key bytes", &material),
        ("key bytes in hex", &"a5".repeat(16)),
        ("an RSA key", &rsa_value.as_str().unwrap()[..64]),
        ("plaintext", std::str::from_utf8(MESSAGE).unwrap()),
        ("plaintext in base64", &base64(MESSAGE)[..24]),
    ] {
        assert!(!log.to_lowercase().contains(&secret.to_lowercase()), "{what} is in the log:\n{log}");
    }
}

fn signal(host: &Host, name: &str) {
    signal_process(host.pid(), name);
}

fn signal_process(pid: u32, name: &str) {
    assert!(Command::new("kill").args([name, &pid.to_string()]).status().unwrap().success());
}

/// Asks until it is so. There is no event to wait for: the passing of a TTL tells nobody.
#[track_caller]
#[expect(clippy::disallowed_methods, reason = "polls for the end of a TTL")]
fn eventually(mut so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !so() {
        assert!(Instant::now() < deadline, "it did not come to pass within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(100));
    }
}
