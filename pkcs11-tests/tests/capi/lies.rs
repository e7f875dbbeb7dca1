//! A DSM that lies: the caller of the C API gets DSM's fault as the result, a sentence that says where, and untouched buffers.

use std::time::{Duration, Instant};

use dsma_testkit::{Answer, Liar};
use serde_json::{Value, json};

use crate::api::{AES_CBC, AES_GCM, CipherParams, Client, DSM, ECDSA_DER, Failed, Key, RSA_PKCS1_SIGNATURE, SHA256, SignatureParams};
use crate::stack::{AES_OPS, Bench, SIGN_OPS};

/// Longer than a refusal is remembered, on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(60);

struct Court {
    bench: Bench,
    liar: Liar,
    client: Client,
}

impl Court {
    fn open(lines: &str) -> Self {
        let bench = Bench::start();
        let liar = Liar::before(&bench.stack);
        let given = std::fs::read_to_string(bench.stack.pkcs11_conf()).expect("a configuration");
        let truth = bench.stack.ca_file().display().to_string();
        let text = given.replace(&bench.stack.endpoint(), &liar.endpoint()).replace(&truth, &liar.ca_file().display().to_string());
        let config = bench.stack.state_dir().join("liar.conf");
        std::fs::write(&config, format!("{lines}{}", text.replace("cache_ttl = 900", ""))).expect("a file is written");
        let client = Client::open(&config).expect("the client opens");
        Self { bench, liar, client }
    }

    /// The next reply to this request is found out, and the one after it believed.
    fn catches<T>(
        &self,
        request: &str,
        lie: impl FnOnce(&mut Answer) + Send + 'static,
        said: &str,
        act: impl Fn() -> Result<T, Failed>,
    ) -> T {
        self.liar.lie(request, lie);
        let Failed { code, text } = act().map(drop).expect_err(said);
        let path = request.split_once(" /").expect("a method and a path").1;
        assert!(code == DSM && text.contains(path) && text.contains(said), "{request}: {code}: {text}, expected {said}");
        assert_eq!(self.liar.pending(), 0, "{request}, {said}: the lie was not told");
        let deadline = Instant::now() + PATIENCE;
        loop {
            match act() {
                Ok(done) => return done,
                Err(failed) => assert!(Instant::now() < deadline, "{failed:?}"),
            }
        }
    }

    fn key(&self, spec: Value) -> Key {
        self.client.kid(&self.bench.make("POST", spec).1).expect("the key opens")
    }
}

fn set(path: &'static str, value: Value) -> impl FnOnce(&mut Answer) + Send {
    move |answer| answer.set(path, value)
}

fn bytes_of(len: usize) -> Value {
    json!(base64_simd::STANDARD.encode_to_string(vec![0x5a; len]))
}

#[test]
fn about_what_it_did() {
    let court = Court::open("");
    let aes = court.key(json!({"obj_type": "AES", "key_size": 256, "key_ops": ["ENCRYPT", "DECRYPT"]}));
    let (iv, mut tag) = ([7; 12], [0; 16]);
    let params = CipherParams::new(AES_GCM, &iv).tag(&mut tag);
    for (path, value, said) in [
        ("/cipher", bytes_of(3), "`cipher` has a length"),
        ("/cipher", bytes_of(5), "`cipher` has a length"),
        ("/cipher", bytes_of(1 << 16), "`cipher` has a length"),
        ("/iv", bytes_of(12), "`iv` is another"),
        ("/tag", bytes_of(12), "`tag` has a length"),
        ("/kid", json!(uuid::Uuid::new_v4()), "`kid` is another"),
    ] {
        let encrypted = court.catches("POST /crypto/v1/encrypt", set(path, value), said, || aes.encrypt(&params, b"data"));
        assert_eq!(encrypted.len(), 4);
    }
    let cbc = CipherParams::new(AES_CBC, &[3; 16]);
    let padded = aes.encrypt(&cbc, b"some more data").expect("it encrypts");
    for len in [16, 17, 4096] {
        let plain = court.catches("POST /crypto/v1/decrypt", set("/plain", bytes_of(len)), "`plain` has a length", || {
            aes.decrypt_into(&cbc, &padded, 16).0
        });
        assert_eq!(plain, b"some more data");
    }

    let rsa = court.key(json!({"obj_type": "RSA", "key_size": 2048, "key_ops": ["SIGN", "VERIFY"], "rsa": {"signature_policy": [{}]}}));
    let ec = court.key(json!({"obj_type": "EC", "elliptic_curve": "NistP256", "key_ops": ["SIGN", "VERIFY"]}));
    for (key, scheme, said) in
        [(&rsa, RSA_PKCS1_SIGNATURE, "`signature` has a length"), (&ec, ECDSA_DER, "`signature` is no ECDSA signature")]
    {
        let params = SignatureParams { scheme, hash: SHA256, ..SignatureParams::default() };
        for len in [0, 64, 255, 257] {
            let signature = court.catches("POST /crypto/v1/sign", set("/signature", bytes_of(len)), said, || key.sign(&params, b"data"));
            key.verify(&params, b"data", &signature).expect("an honest signature holds");
        }
    }
}

/// A name that means a key of another name.
#[test]
fn about_names() {
    let court = Court::open("");
    let (name, _) = court.bench.make("POST", json!({"obj_type": "AES", "key_size": 256, "key_ops": AES_OPS}));
    let (other, other_kid) = court.bench.make("POST", json!({"obj_type": "AES", "key_size": 256, "key_ops": AES_OPS}));
    let described = court.bench.stack.dsm().request("GET", &format!("/crypto/v1/keys/{other_kid}"), None).success();
    let key = court.client.key(&name).expect("the key opens");
    let lie = move |answer: &mut Answer| answer.body = described.text.into_bytes();
    court.catches("POST /crypto/v1/keys/info", lie, "`name` is another than was asked for", || key.load());
    assert_ne!(key.kid().expect("a kid"), other_kid);
    court.client.key(&other).expect("the key opens").load().expect("it loads");
}

/// A key that is cached is not replaced by another one that comes under its kid.
#[test]
fn about_a_key_that_was_known() {
    let court = Court::open("cache_ttl = 1\n");
    let (_, other) = court.bench.make("POST", json!({"obj_type": "RSA", "key_size": 2048, "key_ops": SIGN_OPS}));
    let impostor = court.bench.stack.dsm().request("POST", "/crypto/v1/keys/export", Some(json!({"kid": other}))).success().json();
    let key = court.key(json!({"obj_type": "RSA", "key_size": 2048, "key_ops": SIGN_OPS, "rsa": {"signature_policy": [{}]}}));
    let params = SignatureParams { scheme: RSA_PKCS1_SIGNATURE, hash: SHA256, ..SignatureParams::default() };
    let honest = key.sign(&params, b"data").expect("it signs");
    let lie = move |answer: &mut Answer| {
        let mut impostor = impostor;
        impostor["kid"] = answer.json()["kid"].clone();
        answer.body = impostor.to_string().into_bytes();
    };
    court.liar.lie("POST /crypto/v1/keys/export", lie);
    // RSA's PKCS #1 signatures are the same each time: one that differs would be the other key's.
    let deadline = Instant::now() + PATIENCE;
    let failed = loop {
        assert!(Instant::now() < deadline, "the key is refreshed");
        match key.sign(&params, b"data") {
            Ok(signature) => assert_eq!(signature, honest),
            Err(failed) => break failed,
        }
    };
    assert!(failed.code == DSM && failed.text.contains("crypto/v1/keys/export: `pub_key` is another than before"), "{}", failed.text);
    assert_eq!(court.liar.pending(), 0);
    while let Err(failed) = key.sign(&params, b"data").map(|signature| assert_eq!(signature, honest)) {
        assert!(Instant::now() < deadline, "{failed:?}");
    }
}

#[test]
fn about_itself() {
    let court = Court::open("");
    for (lie, said) in [
        (set("/access_token", json!("a\r\nb")), "`access_token` is no bearer token"),
        (set("/access_token", json!("")), "`access_token` is no bearer token"),
        (set("/expires_in", json!(-5)), "`expires_in` is not what was expected"),
        (set("/expires_in", json!(1e30)), "`expires_in` is not what was expected"),
    ] {
        court.liar.lie("POST /sys/v1/session/auth", lie);
        let failed = court.client.login().expect_err(said);
        assert!(failed.code == DSM && failed.text.contains(said) && failed.text.contains("sys/v1/session/auth"), "{}", failed.text);
    }
    court.client.login().expect("an honest session");
}
