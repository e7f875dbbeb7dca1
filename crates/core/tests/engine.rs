//! The engine against a real DSM: what the cache promises, seen from DSM's audit log.

use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use dsma_api::{ObjectType, SobjectRequest};
use dsma_core::{Accelerator, ApiKey, Config, Error, Identity, KeyRef};
use dsma_crypto::digest::Hash;
use dsma_crypto::{Buffers, CipherParams};
use dsma_testkit::Stack;
use serde_json::json;

const DEADLINE: Duration = Duration::from_secs(60);

/// No test waits for a timeout unless it sets one: on a loaded machine everything takes longer, and a request has no more time than a retry.
fn config(stack: &Stack) -> Config {
    Config {
        api_endpoint: stack.endpoint(),
        identity: Identity::ApiKey(ApiKey::parse(&stack.api_key()).unwrap()),
        ca_certs_file: Some(stack.ca_file()),
        connect_timeout: DEADLINE,
        retry_timeout: DEADLINE,
        ..Config::default()
    }
}

fn aes_key(stack: &Stack, exportable: bool) -> String {
    let mut ops = vec!["ENCRYPT", "DECRYPT", "APPMANAGEABLE"];
    if exportable {
        ops.push("EXPORT");
    }
    stack.dsm().create_key(json!({"obj_type": "AES", "key_size": 256, "key_ops": ops}))
}

fn kid(text: &str) -> KeyRef {
    KeyRef::Kid(text.parse().unwrap())
}

fn encrypt(engine: &Accelerator, key: &KeyRef) -> Result<Vec<u8>, Error> {
    let mut out = [0; 16];
    let mut tag = [0; 16];
    let params = CipherParams::AesGcm { iv: &[1; 12], aad: b"context" };
    let len = engine.encrypt(key, &params, Buffers::new(b"sixteen byte msg", &mut out), &mut tag)?;
    Ok([&out[..len], &tag].concat())
}

/// Operates until `done`: the event to wait for is the engine's own answer.
fn until<T>(mut operate: impl FnMut() -> T, done: impl Fn(&T) -> bool) -> T {
    let end = Instant::now() + DEADLINE;
    loop {
        let answer = operate();
        if done(&answer) {
            return answer;
        }
        assert!(Instant::now() < end, "did not happen within {DEADLINE:?}");
        thread::yield_now();
    }
}

#[test]
fn a_thousand_first_uses_by_name_and_by_kid_are_one_export() {
    let stack = Stack::start();
    let kid_text = stack.dsm().create_key(json!({
        "name": "crowd", "obj_type": "AES", "key_size": 256, "key_ops": ["ENCRYPT", "EXPORT"]
    }));
    let engine = Accelerator::open(config(&stack)).unwrap();
    let names = [kid(&kid_text), KeyRef::Name("crowd".to_owned())];
    let start = Barrier::new(1000);
    thread::scope(|scope| {
        for number in 0..1000 {
            let (engine, start, name) = (&engine, &start, &names[number % 2]);
            scope.spawn(move || {
                start.wait();
                encrypt(engine, name).unwrap();
            });
        }
    });
    assert_eq!(stack.dsm().exports_of(&kid_text), 1);
    assert_eq!(stack.dsm().uses_of(&kid_text, "encrypt"), 0);
    assert_eq!(engine.stats().exports, 1);
}

#[test]
fn local_and_forwarded_results_are_the_same() {
    let stack = Stack::start();
    let value = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    let import = |ops: &[&str]| {
        let name = format!("k{}", ops.len());
        let body = json!({"name": name, "obj_type": "AES", "value": value, "key_ops": ops});
        let reply = stack.dsm().request("PUT", "/crypto/v1/keys", Some(body)).success().json();
        reply["kid"].as_str().unwrap().to_owned()
    };
    let exportable = import(&["ENCRYPT", "DECRYPT", "EXPORT"]);
    let captive = import(&["ENCRYPT", "DECRYPT"]);
    let engine = Accelerator::open(config(&stack)).unwrap();
    assert_eq!(encrypt(&engine, &kid(&exportable)).unwrap(), encrypt(&engine, &kid(&captive)).unwrap());
    assert_eq!((engine.stats().forwards, stack.dsm().uses_of(&captive, "encrypt")), (1, 1));
    // "Not exportable" is remembered: the second use goes straight to DSM.
    encrypt(&engine, &kid(&captive)).unwrap();
    assert_eq!(engine.stats().exports, 2);
}

#[test]
fn an_entry_is_refreshed_before_its_end_and_a_clear_forgets_it() {
    let stack = Stack::start();
    let text = aes_key(&stack, true);
    let engine = Accelerator::open(Config { cache_ttl: Duration::from_secs(2), ..config(&stack) }).unwrap();
    let start = Instant::now();
    until(|| encrypt(&engine, &kid(&text)).map(|_| engine.stats().exports).unwrap(), |exports| *exports == 2);
    let took = start.elapsed();
    assert!(took >= Duration::from_millis(1500), "refreshed after {took:?}, before four fifths of its life");
    assert_eq!(engine.clear(Some(&[text.parse().unwrap()])), 1);
    encrypt(&engine, &kid(&text)).unwrap();
    assert_eq!((engine.stats().exports, stack.dsm().exports_of(&text)), (3, 3));
}

#[test]
fn what_dsm_takes_away_ends_with_the_refresh() {
    let stack = Stack::start();
    let text = aes_key(&stack, true);
    let engine = Accelerator::open(Config { cache_ttl: Duration::from_secs(1), ..config(&stack) }).unwrap();
    encrypt(&engine, &kid(&text)).unwrap();
    let _done = stack.dsm().request("PATCH", &format!("/crypto/v1/keys/{text}"), Some(json!({"enabled": false}))).success();
    let refusal = until(|| encrypt(&engine, &kid(&text)), Result::is_err).unwrap_err();
    assert_eq!(refusal.status(), 403, "{refusal}");
    let _done = stack.dsm().request("DELETE", &format!("/crypto/v1/keys/{text}"), None).success();
    until(|| encrypt(&engine, &kid(&text)), |answer| matches!(answer, Err(error) if error.status() == 404)).unwrap_err();
}

#[test]
fn a_dead_session_is_opened_again() {
    let stack = Stack::start();
    let text = aes_key(&stack, false);
    let engine = Accelerator::open(config(&stack)).unwrap();
    encrypt(&engine, &kid(&text)).unwrap();
    let reply = engine.dsm().request("POST", "/sys/v1/session/terminate", None::<&()>).unwrap();
    assert_eq!(reply.status, 204);
    encrypt(&engine, &kid(&text)).unwrap();
}

#[test]
fn a_wrong_key_is_refused_in_dsm_s_words() {
    let stack = Stack::start();
    let text = aes_key(&stack, true);
    let own = stack.api_key();
    let app = String::from_utf8(base64_simd::STANDARD.decode_to_vec(&own).unwrap()).unwrap();
    let forged = base64_simd::STANDARD.encode_to_string(format!("{}:wrong", app.split(':').next().unwrap()));
    let engine = Accelerator::open(config(&stack).with_api_key(ApiKey::parse(&forged).unwrap())).unwrap();
    assert_eq!(engine.login().unwrap_err().status(), 401);
    let refusal = encrypt(&engine, &kid(&text)).unwrap_err();
    assert_eq!(refusal.status(), 401);
    assert!(!refusal.to_string().contains(&forged));
}

#[test]
fn an_outage_ends_use_at_expiry_unless_availability_is_on() {
    let stack = Stack::start();
    let text = aes_key(&stack, true);
    let short = Config { cache_ttl: Duration::from_secs(1), retry_timeout: Duration::from_secs(2), ..config(&stack) };
    let strict = Accelerator::open(short.clone()).unwrap();
    let available = Accelerator::open(Config {
        availability: true,
        availability_grace: Duration::from_secs(60),
        refresh_wait: Duration::from_millis(100),
        ..short
    })
    .unwrap();
    encrypt(&strict, &kid(&text)).unwrap();
    encrypt(&available, &kid(&text)).unwrap();
    stack.stop();
    let error = until(|| encrypt(&strict, &kid(&text)), Result::is_err).unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }) && error.to_string().contains("cannot be reached"), "{error}");
    until(|| encrypt(&available, &kid(&text)).map(|_| available.stats().served_in_outage).unwrap(), |served| *served >= 3);
    stack.restart();
    until(|| encrypt(&strict, &kid(&text)), Result::is_ok).unwrap();
}

#[test]
fn listing_pages_through_everything_and_is_kept() {
    let stack = Stack::start();
    for _ in 0..5 {
        aes_key(&stack, true);
    }
    let engine = Accelerator::open(config(&stack)).unwrap();
    assert!(engine.cached_sobjects().is_none());
    let first = engine.sobjects(Duration::ZERO).unwrap();
    assert_eq!(first.sobjects.len(), 5);
    aes_key(&stack, true);
    assert_eq!(engine.sobjects(DEADLINE).unwrap().version, first.version);
    let second = engine.sobjects(Duration::ZERO).unwrap();
    assert_eq!((second.sobjects.len(), second.version), (6, first.version + 1));
}

fn import_2001(stack: &Stack) {
    let spec = |number: usize| json!({"name": format!("note {number}"), "obj_type": "OPAQUE", "value": "AAAA"});
    let import = |number| json!({"SingleItem": {"method": "PUT", "operation": "/crypto/v1/keys", "body": spec(number)}});
    let items: Vec<_> = (0..2001).map(import).collect();
    let batch = json!({"Batch": {"batch_execution_type": "Unordered", "items": items}});
    let _done = stack.dsm().request("POST", "/batch/v1", Some(batch)).success();
}

/// DSM gives a thousand at a time.
#[test]
fn a_listing_of_several_pages_is_whole() {
    let stack = Stack::start();
    import_2001(&stack);
    let listing = Accelerator::open(config(&stack)).unwrap().sobjects(Duration::ZERO).unwrap();
    let kids: std::collections::BTreeSet<_> = listing.sobjects.iter().map(|sobject| sobject.kid).collect();
    assert_eq!((listing.sobjects.len(), kids.len()), (2001, 2001));
}

/// Without any time for it, a caller reads one page. Changes of ours are in the old listing at once, and in the new one.
#[test]
fn a_listing_is_taken_by_several_callers_while_the_old_one_serves() {
    let stack = Stack::start();
    let engine = Accelerator::open(Config { refresh_wait: Duration::ZERO, ..config(&stack) }).unwrap();
    let empty = engine.sobjects_or_older(Duration::ZERO).unwrap();
    assert!(empty.sobjects.is_empty(), "there is none that is older");
    import_2001(&stack);
    let [first, second] = [(); 2].map(|()| engine.sobjects_or_older(Duration::ZERO).unwrap());
    assert_eq!((first.version, second.version), (empty.version, empty.version));
    let name = Some("ours".to_owned());
    let request = SobjectRequest { name, obj_type: Some(ObjectType::Aes), key_size: Some(256), ..SobjectRequest::default() };
    let ours = engine.generate(request).unwrap().kid.unwrap();
    assert_eq!(engine.cached_sobjects().unwrap().sobjects.len(), 1);
    let whole = engine.sobjects_or_older(Duration::ZERO).unwrap();
    assert_eq!((whole.sobjects.len(), whole.sobjects.get(ours).is_some()), (2002, true));
    // Who wants it whole and new does not go on with what others began.
    assert_eq!(engine.sobjects_or_older(Duration::ZERO).unwrap().version, whole.version);
    let _done = stack.dsm().request("DELETE", &format!("/crypto/v1/keys/{ours}"), None).success();
    assert_eq!(engine.sobjects(Duration::ZERO).unwrap().sobjects.len(), 2001);
}

/// While DSM does not answer the one caller that asks it for a newer listing, the others have the old one.
#[test]
fn nobody_but_the_one_who_lists_waits_for_dsm() {
    let stack = Stack::start();
    let patient = Duration::from_secs(60);
    let engine =
        Accelerator::open(Config { refresh_wait: patient, retry_timeout: patient, request_timeout: patient, ..config(&stack) }).unwrap();
    let first = engine.sobjects(Duration::ZERO).unwrap();
    aes_key(&stack, true);
    let signal = |name: &str| {
        let pid = stack.pid().unwrap().to_string();
        assert!(std::process::Command::new("kill").args([name, &pid]).status().unwrap().success());
    };
    signal("-STOP");
    thread::scope(|scope| {
        let (tell, told) = std::sync::mpsc::channel();
        for _ in 0..4 {
            let (engine, tell) = (&engine, tell.clone());
            scope.spawn(move || tell.send(engine.sobjects_or_older(Duration::ZERO).map(|listing| listing.version)).unwrap());
        }
        let answers = [(); 3].map(|()| told.recv_timeout(DEADLINE));
        signal("-CONT");
        assert_eq!(answers.map(|answer| answer.unwrap().unwrap()), [first.version; 3]);
        assert_eq!(told.recv().unwrap().unwrap(), first.version + 1);
    });
}

#[test]
fn without_ttl_nothing_is_exported() {
    let stack = Stack::start();
    let text = aes_key(&stack, true);
    let engine = Accelerator::open(Config { cache_ttl: Duration::ZERO, ..config(&stack) }).unwrap();
    encrypt(&engine, &kid(&text)).unwrap();
    assert_eq!((stack.dsm().exports_of(&text), engine.stats().forwards), (0, 1));
}

/// DSM's default policy of a new RSA key allows OAEP alone: the accelerator does not do more than DSM would.
#[test]
fn an_rsa_key_s_own_policy_holds_on_this_side_too() {
    let stack = Stack::start();
    let ops = ["ENCRYPT", "DECRYPT", "EXPORT"];
    let text = stack.dsm().create_key(json!({"obj_type": "RSA", "key_size": 2048, "key_ops": ops}));
    let engine = Accelerator::open(config(&stack)).unwrap();
    let mut out = [0; 256];
    let oaep = CipherParams::RsaOaep { hash: Hash::Sha256, mgf1: Hash::Sha256, label: b"" };
    assert_eq!(engine.encrypt(&kid(&text), &oaep, Buffers::new(b"text", &mut out), &mut []).unwrap(), 256);
    let refusal = engine.encrypt(&kid(&text), &CipherParams::RsaPkcs1, Buffers::new(b"text", &mut out), &mut []).unwrap_err();
    assert_eq!(refusal.status(), 403, "{refusal}");
    assert!(refusal.to_string().contains("policy"), "{refusal}");
}

/// DSM would cut the connection, which looks like an outage to all. Nobody answers here: that it was not asked is the point.
#[test]
fn a_request_that_is_too_large_is_not_sent() {
    let engine = Accelerator::open(Config { api_endpoint: "https://dsm.invalid".into(), ..Config::default() }).unwrap();
    let error = engine.dsm().request("POST", "/crypto/v1/encrypt", Some(&"x".repeat(1 << 20))).unwrap_err();
    assert!(matches!(&error, Error::Api(refusal) if refusal.status == 413), "{error}");
    assert!(!engine.dsm().is_down());
}
