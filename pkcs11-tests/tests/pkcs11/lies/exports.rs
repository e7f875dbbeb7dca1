//! Exported keys: the material of another key, or the description of one, does not become the key that was asked for.

use cryptoki_sys::*;
use dsma_testkit::Answer;
use serde_json::{Value, json};

use super::{Court, bytes_of, nobody, remove, set};
use crate::keys::Key;
use crate::module::{Mechanism, gcm};
use crate::session_objects::{FALSE, TRUE, create};

const EXPORT: &str = "POST /crypto/v1/keys/export";

impl Court {
    /// What DSM says when this key is exported.
    fn exported(&self, key: &Key) -> Value {
        self.bench.stack.dsm().request("POST", "/crypto/v1/keys/export", Some(json!({"kid": key.kid}))).success().json()
    }

    /// Each lie is about the export of a key of its own of this kind, which is used once DSM is honest again.
    fn finds_out(&self, make: impl Fn() -> Key, mechanism: &Mechanism, lies: Vec<(&str, Lie)>) {
        let keys: Vec<Key> = lies.iter().map(|_| make()).collect();
        let (module, honest) = (self.bench.another(), self.bench.another());
        let (session, there) = (module.logged_in(), honest.logged_in());
        let encrypts = matches!(mechanism, Mechanism::Gcm { .. });
        let class = if encrypts { CKO_SECRET_KEY } else { CKO_PRIVATE_KEY };
        let act = |key: &Key| {
            let object = module.object(session, class, &key.label);
            if encrypts { module.encrypt(session, mechanism, object, b"data") } else { module.sign(session, mechanism, object, b"data") }
        };
        for (key, (said, lie)) in keys.iter().zip(lies) {
            self.finds(EXPORT, lie, said, || act(key));
        }
        for key in &keys {
            let done = self.believes(|| act(key));
            if encrypts {
                let object = honest.object(there, class, &key.label);
                assert_eq!(honest.decrypt(there, mechanism, object, &done), Ok(b"data".to_vec()));
            } else {
                let public = honest.object(there, CKO_PUBLIC_KEY, &key.label);
                assert_eq!(honest.verify(there, mechanism, public, b"data", &done), CKR_OK);
            }
        }
    }
}

type Lie = Box<dyn FnOnce(&mut Answer) + Send>;

fn change(path: &'static str, value: Value) -> Lie {
    Box::new(move |answer| answer.set(path, value))
}

/// Everything is another key's but for its kid.
fn impostor(other: &Value) -> Lie {
    let mut other = other.clone();
    Box::new(move |answer| {
        other["kid"] = answer.json()["kid"].clone();
        answer.body = other.to_string().into_bytes();
    })
}

#[test]
fn of_secret_keys() {
    let court = Court::open();
    let (long, short) = (court.exported(&court.bench.aes()), court.exported(&court.bench.import("AES", &[1; 16], &["ENCRYPT"], true)));
    let rsa = court.exported(&court.bench.rsa());
    court.finds_out(
        || court.bench.aes(),
        &gcm(),
        vec![
            ("`kid` is another", change("/kid", nobody())),
            ("`kid` is missing", Box::new(|answer| answer.remove("/kid"))),
            ("`kid` is not what was expected", change("/kid", json!("no UUID"))),
            // With the check value that DSM tells, one AES key is not another.
            ("`kcv` is another", impostor(&long)),
            ("`key_size` is another", impostor(&short)),
            ("`obj_type` is another", impostor(&rsa)),
            ("`value` of key", change("/value", short["value"].clone())),
            ("`key_size` is another", change("/key_size", json!(128))),
            ("`obj_type` is another", change("/obj_type", json!("HMAC"))),
            ("`value` of key", change("/value", bytes_of(0))),
            ("`value` of key", change("/value", bytes_of(33))),
            ("`value` is not what was expected", change("/value", json!("%%%"))),
            ("`value` is not what was expected", change("/value", json!({"secret": true}))),
            ("`deactivation_date` is not what was expected", change("/deactivation_date", json!("20251399T250000Z"))),
            ("`created_at` is not what was expected", change("/created_at", json!("yesterday"))),
            ("`enabled` is missing", Box::new(|answer| answer.remove("/enabled"))),
            ("`key_ops` is not what was expected", change("/key_ops", json!("ENCRYPT"))),
        ],
    );
    let secrets = [long, short, rsa].map(|exported| exported["value"].as_str().expect("a value").to_owned());
    court.keeps_secret(&secrets.each_ref().map(String::as_str));
}

/// The description is the key's, the material another's: DSM does the work itself.
#[test]
fn a_secret_key_with_another_check_value_is_used_in_dsm() {
    let court = Court::open();
    let key = court.bench.aes();
    let (module, session, object) = court.bench.use_key(&key);
    court.liar.lie(EXPORT, |answer| answer.set("/value", bytes_of(32)));
    let encrypted = module.encrypt(session, &gcm(), object, b"data").expect("DSM encrypts");
    assert_eq!(court.liar.pending(), 0);
    assert_eq!(court.bench.stack.dsm().uses_of(&key.kid, "encrypt"), 1);
    assert!(court.read_log().lines().any(|line| line.contains("`value` of key") && line.contains("`kcv`")));
    let (honest, session, object) = court.bench.use_key(&key);
    assert_eq!(honest.decrypt(session, &gcm(), object, &encrypted), Ok(b"data".to_vec()));
}

#[test]
fn of_private_keys() {
    let court = Court::open();
    let (other_rsa, other_ec) = (court.exported(&court.bench.rsa()), court.exported(&court.bench.ec()));
    let curve = |name| court.bench.key(json!({"obj_type": "EC", "elliptic_curve": name, "key_ops": ["SIGN", "VERIFY", "EXPORT"]}));
    let p384 = court.exported(&curve("NistP384"));
    let ed = court.exported(&curve("Ed25519"));
    let aes = court.exported(&court.bench.aes());
    court.finds_out(
        || court.bench.rsa(),
        &Mechanism::Plain(CKM_SHA256_RSA_PKCS),
        vec![
            ("is not what `pub_key` tells", change("/value", other_rsa["value"].clone())),
            ("`pub_key` is another", impostor(&other_rsa)),
            ("`pub_key` is another", change("/pub_key", other_rsa["pub_key"].clone())),
            ("`value` of key", change("/value", other_ec["value"].clone())),
            ("`value` of key", change("/value", bytes_of(300))),
            ("`key_size` is another", change("/key_size", json!(4096))),
        ],
    );
    court.finds_out(
        || court.bench.ec(),
        &Mechanism::Plain(CKM_ECDSA_SHA256),
        vec![
            ("is not what `pub_key` tells", change("/value", other_ec["value"].clone())),
            ("`pub_key` is another", impostor(&other_ec)),
            ("is not what `elliptic_curve` tells", change("/value", p384["value"].clone())),
            ("`elliptic_curve` is another", change("/elliptic_curve", json!("NistP384"))),
            ("`elliptic_curve` is another", change("/elliptic_curve", json!("Ed25519"))),
            ("`value` of key", change("/value", ed["value"].clone())),
            ("`value` of key", change("/value", aes["value"].clone())),
        ],
    );
    court.finds_out(
        || curve("Ed25519"),
        &Mechanism::Plain(CKM_EDDSA),
        vec![
            ("is not what `pub_key` tells", change("/value", ed["value"].clone())),
            ("`value` of key", change("/value", other_ec["value"].clone())),
        ],
    );
    let secrets = [other_rsa, other_ec, p384, ed].map(|exported| exported["value"].as_str().expect("a value").to_owned());
    court.keeps_secret(&secrets.each_ref().map(String::as_str));
}

/// Where DSM keeps the key, its description alone comes, and is judged likewise.
#[test]
fn of_keys_that_stay_in_dsm() {
    let court = Court::open();
    let other = court.bench.aes();
    for (path, value, said) in [
        ("/kid", json!(other.kid), "`kid` is another"),
        ("/obj_type", json!("RSA"), "`obj_type` is another"),
        ("/key_size", json!(512), "`key_size` is another"),
    ] {
        let key = court.bench.import("AES", &[9; 32], &["ENCRYPT", "DECRYPT"], false);
        let (module, session, object) = court.bench.use_key(&key);
        court.catches_each("POST /crypto/v1/keys/info", [set(path, value, said)], || module.encrypt(session, &gcm(), object, b"data"));
    }
    let key = court.bench.import("AES", &[9; 32], &["ENCRYPT", "DECRYPT"], false);
    let (module, session, object) = court.bench.use_key(&key);
    let use_it = || module.encrypt(session, &gcm(), object, b"data");
    court.catches_each("POST /crypto/v1/keys/info", [remove("/obj_type", "`obj_type` is missing")], use_it);
}

/// A value that an application may read is the key's, too.
#[test]
fn of_keys_that_may_be_read() {
    let court = Court::open_with("allow_plaintext = true\n");
    let module = court.bench.another();
    let session = module.logged_in();
    let (class, kind, value) = (CKO_SECRET_KEY.to_ne_bytes(), CKK_AES.to_ne_bytes(), [7; 32]);
    let readable = [
        (CKA_CLASS, &class[..]),
        (CKA_KEY_TYPE, &kind),
        (CKA_TOKEN, TRUE),
        (CKA_SENSITIVE, FALSE),
        (CKA_EXTRACTABLE, TRUE),
        (CKA_VALUE, &value),
    ];
    for (lie, said) in [
        (change("/value", bytes_of(16)), "is not what `key_size` tells"),
        (change("/kid", nobody()), "`kid` is another"),
        (change("/value", json!(null)), "`value` is missing"),
    ] {
        let key = create(&module, session, &readable).expect("a token key");
        let read = court.catches(EXPORT, lie, said, || module.attribute(session, key, CKA_VALUE));
        assert_eq!(read, value);
    }
}
