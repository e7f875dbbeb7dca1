//! Answers that get lost on the way: what may be asked twice is, and nothing is made twice.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dsma_api::{ObjectType, SobjectRequest};
use dsma_core::{Accelerator, ApiKey, Config, Error, Identity, KeyFrom, KeyRef};
use dsma_crypto::CipherParams;
use dsma_crypto::digest::Hash;
use dsma_testkit::Stack;

/// A wire to DSM that can be told to break when DSM answers.
struct Wire {
    endpoint: String,
    loses_next: Arc<AtomicBool>,
    refuses_next: Arc<AtomicBool>,
    /// The client's end of the connection that was made last.
    last: Arc<Mutex<Option<TcpStream>>>,
}

impl Wire {
    fn to(stack: &Stack) -> Self {
        let listener = TcpListener::bind("localhost:0").unwrap();
        let endpoint = format!("https://localhost:{}", listener.local_addr().unwrap().port());
        let target = stack.endpoint().trim_start_matches("https://").to_owned();
        let (loses_next, refuses_next, last) = (Arc::<AtomicBool>::default(), Arc::<AtomicBool>::default(), Arc::<Mutex<_>>::default());
        let (lose, refuse, newest) = (Arc::clone(&loses_next), Arc::clone(&refuses_next), Arc::clone(&last));
        spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if refuse.swap(false, Ordering::SeqCst) {
                    continue;
                }
                *newest.lock().unwrap() = Some(client.try_clone().unwrap());
                let server = TcpStream::connect(&target).unwrap();
                let (from_client, to_server, lose) = (client.try_clone().unwrap(), server.try_clone().unwrap(), Arc::clone(&lose));
                spawn(move || relay(from_client, to_server, || false));
                spawn(move || relay(server, client, || lose.swap(false, Ordering::SeqCst)));
            }
        });
        Self { endpoint, loses_next, refuses_next, last }
    }

    /// DSM gets the next request, and its answer does not arrive.
    fn lose_next(&self) {
        self.loses_next.store(true, Ordering::SeqCst);
    }

    /// The connection breaks, and the next one while TLS is set up.
    fn break_twice(&self) {
        self.refuses_next.store(true, Ordering::SeqCst);
        self.last.lock().unwrap().take().unwrap().shutdown(Shutdown::Both).unwrap();
    }

    fn engine(&self, stack: &Stack) -> Accelerator {
        let engine = Accelerator::open(Config {
            api_endpoint: self.endpoint.clone(),
            identity: Identity::ApiKey(ApiKey::parse(&stack.api_key()).unwrap()),
            ca_certs_file: Some(stack.ca_file()),
            ..Config::default()
        })
        .unwrap();
        // The connection stands from here on, and bytes from DSM are answers.
        engine.login().unwrap();
        engine
    }
}

/// Until either side ends it, or `breaks` says so when something comes.
fn relay(mut from: TcpStream, mut to: TcpStream, breaks: impl Fn() -> bool) {
    let mut buffer = [0; 16 << 10];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        if breaks() || to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}

#[expect(clippy::disallowed_methods, reason = "the wire works while the test does")]
fn spawn(work: impl FnOnce() + Send + 'static) {
    std::thread::spawn(work);
}

fn names(stack: &Stack) -> Vec<String> {
    let listed = stack.dsm().request("GET", "/crypto/v1/keys", None).success().json();
    listed.as_array().unwrap().iter().map(|sobject| sobject["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_creation_whose_answer_is_lost_is_done_once() {
    let stack = Stack::start();
    let wire = Wire::to(&stack);
    let engine = wire.engine(&stack);
    let key = || SobjectRequest {
        name: Some("payroll".into()),
        obj_type: Some(ObjectType::Aes),
        key_size: Some(256),
        ..SobjectRequest::default()
    };
    wire.lose_next();
    let error = engine.generate(key()).unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }) && error.to_string().contains("may have been done"), "{error}");
    assert_eq!(names(&stack), ["payroll"]);
    // Who asks again gets another, under a name that is free.
    let second = engine.generate(key()).unwrap();
    assert!(second.name.as_deref().is_some_and(|name| name.starts_with("payroll ")), "{:?}", second.name);
    assert_eq!(names(&stack).len(), 2);
}

#[test]
fn a_creation_that_found_no_connection_is_asked_again() {
    let stack = Stack::start();
    let wire = Wire::to(&stack);
    let engine = wire.engine(&stack);
    wire.break_twice();
    let key =
        SobjectRequest { name: Some("payroll".into()), obj_type: Some(ObjectType::Aes), key_size: Some(256), ..SobjectRequest::default() };
    engine.generate(key).unwrap();
    assert!(!wire.refuses_next.load(Ordering::SeqCst));
    assert_eq!(names(&stack), ["payroll"]);
}

#[test]
fn a_transient_key_whose_answer_is_lost_is_made_again() {
    let stack = Stack::start();
    let wire = Wire::to(&stack);
    let engine = wire.engine(&stack);
    let (key_ops, aes) = (Some(vec!["DERIVEKEY".into()]), Some(ObjectType::Aes));
    let base = SobjectRequest { name: Some("base".into()), obj_type: aes, key_size: Some(256), key_ops, ..SobjectRequest::default() };
    let base = engine.generate(base).unwrap().kid.unwrap();
    wire.lose_next();
    let from = KeyFrom::Hkdf { hash: Hash::Sha256, salt: b"salt", info: b"info" };
    let wanted = SobjectRequest { obj_type: aes, key_size: Some(256), ..SobjectRequest::default() };
    assert_eq!(engine.reveal_from(&KeyRef::Kid(base), from, wanted).unwrap().0.len(), 32);
    assert!(!wire.loses_next.load(Ordering::SeqCst));
    assert_eq!(names(&stack), ["base"]);
}

#[test]
fn a_question_whose_answer_is_lost_is_asked_again() {
    let stack = Stack::start();
    let wire = Wire::to(&stack);
    let engine = wire.engine(&stack);
    wire.lose_next();
    assert!(engine.sobjects(Duration::ZERO).unwrap().sobjects.is_empty());
    assert!(!wire.loses_next.load(Ordering::SeqCst));
}

/// DSM may have gone on: a state that was used twice would be another message.
#[test]
fn a_part_whose_answer_is_lost_is_not_given_again() {
    let stack = Stack::start();
    let wire = Wire::to(&stack);
    let engine = wire.engine(&stack);
    let key_ops = Some(vec!["ENCRYPT".into()]);
    let key = SobjectRequest {
        obj_type: Some(ObjectType::Aes),
        key_size: Some(256),
        key_ops,
        name: Some("k".into()),
        ..SobjectRequest::default()
    };
    let key = KeyRef::Kid(engine.generate(key).unwrap().kid.unwrap());
    let mut parts = engine.start_parts(&key, &CipherParams::AesCtr { iv: &[0; 16] }, false).unwrap();
    assert_eq!(parts.update(&[1; 100]).unwrap().len(), 100);
    wire.lose_next();
    let error = parts.update(&[1; 100]).unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }) && error.to_string().contains("may have been done"), "{error}");
    assert_eq!(stack.log().matches("POST /crypto/v1/encrypt/update").count(), 2);
}
