//! Replies that are no DSM's at all: other formats, no end, other hosts, and sessions that cannot be.

use std::io::Read;
use std::net::TcpListener;

use cryptoki_sys::*;
use dsma_testkit::Answer;
use serde_json::json;

use super::{Court, remove, set};
use crate::isolated::isolated;
use crate::module::{call, gcm, ok};

const ENCRYPT: &str = "POST /crypto/v1/encrypt";
const LOGIN: &str = "POST /sys/v1/session/auth";

#[test]
fn bodies_that_are_none() {
    let court = Court::open();
    let key = court.bench.import("AES", &[9; 32], &["ENCRYPT", "DECRYPT"], false);
    let (module, session, object) = court.bench.use_key(&key);
    let honest = module.encrypt(session, &gcm(), object, b"data").expect("it encrypts");
    let act = || {
        assert_eq!(module.encrypt(session, &gcm(), object, b"data")?, honest);
        Ok(())
    };
    type Lie = fn(&mut Answer);
    let lies: [(Lie, &str); 8] = [
        (|answer| answer.body = b"<!DOCTYPE html><html><body>Sign in</body></html>".to_vec(), "not JSON"),
        (|answer| answer.body.clear(), "not the JSON that was expected"),
        (|answer| answer.body = b"null".to_vec(), "not the JSON that was expected"),
        (|answer| answer.body = b"[]".to_vec(), "not the JSON that was expected"),
        (|answer| answer.body.truncate(answer.body.len() / 2), "not "),
        (|answer| answer.body = [b"[".repeat(1 << 20)].concat(), "not"),
        // Nobody asked for it, and nobody unpacks it.
        (
            |answer| {
                answer.headers.insert("content-encoding", "gzip".parse().expect("a value"));
                answer.body = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0];
            },
            "not JSON",
        ),
        (
            |answer| {
                answer.status = 204;
                answer.body.clear();
            },
            "not the JSON that was expected",
        ),
    ];
    for (lie, said) in lies {
        court.catches(ENCRYPT, lie, said, act);
    }
    // What the body is tells the body, not its header.
    court.liar.lie(ENCRYPT, |answer| drop(answer.headers.insert("content-type", "text/html".parse().expect("a value"))));
    act().expect("JSON by another name");
    assert_eq!(court.liar.pending(), 0);
}

/// A gibibyte, announced or not, is not read to its end, and not again. In a process of its own, because its memory is measured.
#[test]
fn bodies_without_end() {
    isolated("lies::wire::bodies_without_end", Vec::new, || {
        let court = Court::open();
        let key = court.bench.import("AES", &[9; 32], &["ENCRYPT", "DECRYPT"], false);
        let (module, session, object) = court.bench.use_key(&key);
        let before = peak();
        for announced in [true, false] {
            let lie = move |answer: &mut Answer| (answer.padding, answer.announced) = (1 << 30, announced);
            court.catches(ENCRYPT, lie, "a body of more than", || module.encrypt(session, &gcm(), object, b"data"));
        }
        // The longest reply that is read, and room to grow into.
        let grown = peak() - before;
        assert!(grown < 160 << 10, "{grown} KiB");
        // An end that comes is an end.
        court.liar.lie(ENCRYPT, |answer| (answer.padding, answer.announced) = (1 << 20, false));
        assert!(module.encrypt(session, &gcm(), object, b"data").is_ok());
    });
}

/// The most memory that this process had, in KiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("a status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a high-water mark");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// Where DSM sends to is not where the credentials go.
#[test]
fn ways_to_other_hosts() {
    let court = Court::open();
    let key = court.bench.import("AES", &[9; 32], &["ENCRYPT", "DECRYPT"], false);
    let other = TcpListener::bind("localhost:0").expect("a free port");
    other.set_nonblocking(true).expect("a socket");
    let port = other.local_addr().expect("an address").port();
    let away = move |status| {
        move |answer: &mut Answer| {
            answer.status = status;
            answer.headers.insert("location", format!("https://localhost:{port}/").parse().expect("a value"));
        }
    };
    let (module, session, object) = court.bench.use_key(&key);
    for status in [301, 302, 303, 307, 308] {
        court.liar.lie(ENCRYPT, away(status));
        assert_eq!(module.encrypt(session, &gcm(), object, b"data"), Err(CKR_DEVICE_ERROR), "{status}");
        assert!(module.encrypt(session, &gcm(), object, b"data").is_ok(), "{status}");
        let fresh = court.bench.another();
        let session = fresh.open(CKF_SERIAL_SESSION);
        court.liar.lie(LOGIN, away(status));
        assert_eq!(fresh.login(session, None), CKR_DEVICE_ERROR, "{status}");
        assert_eq!(fresh.login(session, None), CKR_OK, "{status}");
    }
    assert_eq!(court.liar.pending(), 0);
    match other.accept() {
        Err(nobody) => assert_eq!(nobody.kind(), std::io::ErrorKind::WouldBlock),
        Ok((mut connection, _)) => {
            let mut came = Vec::new();
            let _ = connection.read_to_end(&mut came);
            panic!("somebody followed with {} bytes", came.len());
        }
    }
}

#[test]
fn sessions_that_cannot_be() {
    let court = Court::open();
    let key = court.bench.aes();
    let log_in = || {
        let module = court.bench.another();
        let session = module.open(CKF_SERIAL_SESSION);
        ok(module.login(session, None))?;
        let object = module.object(session, CKO_SECRET_KEY, &key.label);
        module.encrypt(session, &gcm(), object, b"data")
    };
    court.catches_each(
        LOGIN,
        [
            set("/access_token", json!(""), "`access_token` is no bearer token"),
            set("/access_token", json!("token\r\nX-Other: header"), "`access_token` is no bearer token"),
            set("/access_token", json!("a token"), "`access_token` is no bearer token"),
            set("/access_token", json!("tökén"), "`access_token` is no bearer token"),
            set("/access_token", json!("t\0"), "`access_token` is no bearer token"),
            remove("/access_token", "`access_token` is missing"),
            set("/expires_in", json!(-1), "`expires_in` is not what was expected"),
            set("/expires_in", json!(1e30), "`expires_in` is not what was expected"),
            set("/entity_id", json!("nobody"), "`entity_id` is not what was expected"),
        ],
        log_in,
    );
    // How long it lives is DSM's to say when it is over.
    for expires_in in [json!(0), json!(u64::MAX)] {
        court.liar.lie(LOGIN, move |answer| answer.set("/expires_in", expires_in));
        assert!(log_in().is_ok());
    }
    // A token that DSM does not know is given up for another at once.
    court.liar.lie(LOGIN, |answer| answer.set("/access_token", json!("somebody-elses")));
    assert!(log_in().is_ok());
    assert_eq!(court.liar.pending(), 0);
    court.keeps_secret(&["X-Other", "tökén", "somebody-elses"]);
}

/// Every login is a lie: nobody asks again for the same caller.
#[test]
fn a_dsm_that_never_opens_a_session() {
    let court = Court::open();
    let module = court.bench.another();
    let session = module.open(CKF_SERIAL_SESSION);
    for _ in 0..3 {
        for _ in 0..2 {
            court.liar.lie(LOGIN, |answer| answer.body = b"<html>".to_vec());
        }
        assert_eq!(module.login(session, None), CKR_DEVICE_ERROR);
        assert_eq!(call!(module, C_FindObjectsInit(session, std::ptr::null_mut(), 0)), CKR_DEVICE_ERROR);
        assert_eq!(court.liar.pending(), 0, "each of the two asked once");
    }
    assert_eq!(module.login(session, None), CKR_OK);
}
