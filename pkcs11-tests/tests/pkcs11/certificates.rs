//! Certificates that the library makes for private keys without one (`generate_certs`). OpenSSL is the judge.

use cryptoki_sys::*;
use serde_json::{Value, json};

use crate::keys::{Key, shared};
use crate::module::{Mechanism, Module, call};
use crate::openssl::Openssl;
use crate::session_objects::{FALSE, TRUE, create};
use crate::slots::config;
use crate::token_objects::{generate_pair, label, set};

const GENERATE: &str = "generate_certs = true\n";

/// A session of a library that makes certificates.
fn start() -> (tempfile::TempDir, Module, CK_SESSION_HANDLE) {
    let (dir, path) = config(shared(), GENERATE);
    let module = Module::with_config(&path);
    let session = module.logged_in();
    (dir, module, session)
}

fn certificates(module: &Module, session: CK_SESSION_HANDLE, id: &[u8]) -> Vec<CK_OBJECT_HANDLE> {
    module.find(session, &[(CKA_CLASS, &CKO_CERTIFICATE.to_ne_bytes()), (CKA_ID, id)])
}

fn ec(curve: &str) -> Value {
    json!({"obj_type": "EC", "elliptic_curve": curve, "key_ops": ["SIGN", "VERIFY", "EXPORT"]})
}

fn rsa(policy: &Value) -> Value {
    json!({"obj_type": "RSA", "key_size": 2048, "key_ops": ["SIGN", "VERIFY", "EXPORT"], "rsa": {"signature_policy": [policy]}})
}

#[test]
fn a_private_key_without_a_certificate_gets_one_that_openssl_accepts() {
    let bench = shared();
    let pss = json!({"padding": {"PSS": {"mgf": {"mgf1": {"hash": "SHA256"}}}}});
    let keys = [
        (rsa(&json!({})), "sha256WithRSAEncryption"),
        (rsa(&pss), "rsassaPss"),
        (ec("NistP256"), "ecdsa-with-SHA256"),
        (ec("NistP384"), "ecdsa-with-SHA384"),
        (ec("NistP521"), "ecdsa-with-SHA512"),
        (ec("SecP256K1"), "ecdsa-with-SHA256"),
        (ec("Ed25519"), "ED25519"),
    ]
    .map(|(spec, algorithm)| (bench.key(spec), algorithm));
    let (_dir, module, session) = start();
    for (key, algorithm) in &keys {
        let found = certificates(&module, session, &key.id());
        assert_eq!(found.len(), 1, "{algorithm}");
        let get = |kind| module.attribute(session, found[0], kind).expect("the attribute is there");
        // Neither the search nor what the key tells is a use of it.
        let (subject, spki) = (get(CKA_SUBJECT), get(CKA_PUBLIC_KEY_INFO));
        let serial = get(CKA_SERIAL_NUMBER);
        assert_eq!((bench.stack.dsm().exports_of(&key.kid), bench.stack.dsm().uses_of(&key.kid, "sign")), (0, 0), "{algorithm}");
        let der = get(CKA_VALUE);
        assert_eq!((bench.stack.dsm().exports_of(&key.kid), bench.stack.dsm().uses_of(&key.kid, "sign")), (1, 0), "{algorithm}");
        let openssl = Openssl::new();
        openssl.write("cert.der", &der);
        openssl.write("spki.der", &spki);
        openssl.run("x509 -inform DER -in cert.der -out cert.pem");
        openssl.run("verify -check_ss_sig -CAfile cert.pem cert.pem");
        let text = openssl.run("x509 -in cert.pem -noout -subject -issuer -serial -enddate -text");
        for expected in [
            format!("subject=CN = {}", key.label),
            format!("issuer=CN = {}", key.label),
            "notAfter=Dec 31 23:59:59 9999 GMT".to_owned(),
            format!("Signature Algorithm: {algorithm}"),
            "Version: 3".to_owned(),
        ] {
            assert!(text.contains(&expected), "{expected}: {text}");
        }
        let printed = |words| openssl.run(words);
        assert_eq!(printed("x509 -in cert.pem -noout -pubkey"), printed("pkey -pubin -inform DER -in spki.der"), "{algorithm}");
        assert!(der.windows(subject.len()).any(|window| window == subject));
        assert!(der.windows(serial.len()).any(|window| window == serial));
        for (kind, value) in [
            (CKA_TOKEN, TRUE),
            (CKA_PRIVATE, TRUE),
            (CKA_MODIFIABLE, FALSE),
            (CKA_COPYABLE, FALSE),
            (CKA_LABEL, key.label.as_bytes()),
            (CKA_ISSUER, &subject),
            (CKA_CERTIFICATE_TYPE, &CKC_X_509.to_ne_bytes()),
            (CKA_CERTIFICATE_CATEGORY, &CK_CERTIFICATE_CATEGORY_TOKEN_USER.to_ne_bytes()),
        ] {
            assert_eq!(get(kind), value, "{kind:#x}");
        }
        // Signed once: a key that is made meanwhile renews the listing.
        let added = generate_pair(&module, session, CKM_EC_KEY_PAIR_GEN, &vec![(CKA_EC_PARAMS, P256)], &vec![(CKA_TOKEN, TRUE)]);
        assert_eq!(call!(module, C_DestroyObject(session, added.expect("a pair").1)), CKR_OK);
        assert_eq!((certificates(&module, session, &key.id()), get(CKA_VALUE)), (found.clone(), der.clone()));
        assert_eq!(set(&module, session, found[0], &vec![(CKA_LABEL, b"other")]), CKR_ACTION_PROHIBITED);
    }
}

const P256: &[u8] = &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];

#[test]
fn an_ml_dsa_key_signs_its_certificate_too() {
    let key = shared().key(json!({"obj_type": "MLDSA", "mldsa": {"param_set": "MlDsa65"}, "key_ops": ["SIGN", "VERIFY", "EXPORT"]}));
    let (_dir, module, session) = start();
    let der = module.attribute(session, certificates(&module, session, &key.id())[0], CKA_VALUE).expect("a certificate");
    // SEQUENCE { body SEQUENCE, algorithm, signature BIT STRING }, each longer than 255 bytes but the algorithm.
    let len = usize::from(u16::from_be_bytes([der[6], der[7]])) + 4;
    let (body, signature) = (&der[4..4 + len], &der[der.len() - 3309..]);
    let public = module.object(session, CKO_PUBLIC_KEY, &key.label);
    assert_eq!(module.verify(session, &Mechanism::Plain(CKM_ML_DSA), public, body, signature), CKR_OK);
}

#[test]
fn there_is_none_for_keys_that_may_not_sign_nor_without_the_option() {
    let bench = shared();
    let silent = [
        json!({"obj_type": "RSA", "key_size": 2048, "key_ops": ["DECRYPT", "ENCRYPT"]}),
        json!({"obj_type": "EC", "elliptic_curve": "NistP256", "key_ops": ["VERIFY", "AGREEKEY"]}),
        json!({"obj_type": "EC", "elliptic_curve": "X25519", "key_ops": ["AGREEKEY"]}),
        json!({"obj_type": "EC", "elliptic_curve": "NistP256", "key_ops": ["SIGN"], "deactivation_date": "20200315T012345Z",
            "activation_date": "20200314T012345Z"}),
        json!({"obj_type": "AES", "key_size": 128, "key_ops": ["ENCRYPT"]}),
    ]
    .map(|spec| bench.key(spec));
    let signing = bench.ec();
    let (_dir, module, session) = start();
    for key in &silent {
        assert!(certificates(&module, session, &key.id()).is_empty());
        assert!(!module.find(session, &[(CKA_ID, &key.id())]).is_empty());
    }
    assert_eq!(certificates(&module, session, &signing.id()).len(), 1);
    let (plain, plain_session, _) = bench.use_key(&signing);
    assert!(certificates(&plain, plain_session, &signing.id()).is_empty());
    // Who may not use the key does not have it sign.
    assert_eq!(call!(module, C_Logout(session)), CKR_OK);
    assert!(certificates(&module, session, &signing.id()).is_empty());
}

#[test]
fn a_key_that_stays_in_dsm_signs_there_once() {
    let bench = shared();
    let key = bench.key(json!({"obj_type": "EC", "elliptic_curve": "NistP256", "key_ops": ["SIGN", "VERIFY"]}));
    let (_dir, module, session) = start();
    let certificate = certificates(&module, session, &key.id())[0];
    let values = [CKA_VALUE, CKA_CHECK_VALUE, CKA_VALUE].map(|kind| module.attribute(session, certificate, kind).expect("a value"));
    assert_eq!(values[0], values[2]);
    assert_eq!(bench.stack.dsm().uses_of(&key.kid, "sign"), 1);
    let openssl = Openssl::new();
    openssl.write("cert.der", &values[0]);
    let digest = openssl.run("dgst -sha1 -r cert.der");
    assert!(digest.starts_with(&values[1].iter().map(|byte| format!("{byte:02x}")).collect::<String>()), "{digest}");
}

#[test]
fn a_real_certificate_takes_its_place_and_a_destroyed_one_stays_away() {
    let key = shared().ec();
    let Key { label: name, .. } = &key;
    let (_dir, module, session) = start();
    let id = key.id();
    let made = certificates(&module, session, &id)[0];
    let der = module.attribute(session, made, CKA_VALUE).expect("a certificate");
    let (class, x509, own) = (CKO_CERTIFICATE.to_ne_bytes(), CKC_X_509.to_ne_bytes(), label());
    let template = [
        (CKA_CLASS, &class[..]),
        (CKA_CERTIFICATE_TYPE, &x509),
        (CKA_TOKEN, TRUE),
        (CKA_LABEL, own.as_bytes()),
        (CKA_ID, &id),
        (CKA_VALUE, &der),
    ];
    let real = create(&module, session, &template).expect("a certificate");
    assert_eq!(certificates(&module, session, &id), [real]);
    assert_eq!(module.attribute(session, made, CKA_LABEL), Err(CKR_OBJECT_HANDLE_INVALID));
    assert_eq!(call!(module, C_DestroyObject(session, real)), CKR_OK);
    assert_eq!(certificates(&module, session, &id), [made]);

    // As keytool does before it stores a chain of its own; the key stays, and DSM hears of nothing.
    assert_eq!(call!(module, C_DestroyObject(session, made)), CKR_OK);
    assert!(certificates(&module, session, &id).is_empty());
    assert_eq!(module.find(session, &[(CKA_LABEL, name.as_bytes())]).len(), 2);
    let (_other_dir, other, other_session) = start();
    assert_eq!(certificates(&other, other_session, &id).len(), 1);
}
