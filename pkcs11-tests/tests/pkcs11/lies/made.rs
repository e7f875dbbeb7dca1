//! New sobjects: what DSM says to have made is what was asked for, and none that was there before.

use cryptoki_sys::*;
use serde_json::json;

use super::{Court, bytes_of, remove, set};
use crate::in_dsm::{AES, SECRET_KEY, derive, let_encapsulate, template};
use crate::module::{Mechanism, Module, attributes, bytes, call, ok};

const LEN: &[u8] = &32_u64.to_ne_bytes();

fn generate(module: &Module, session: CK_SESSION_HANDLE) -> Result<CK_OBJECT_HANDLE, CK_RV> {
    let (mut template, mut key) = (attributes(&[(CKA_TOKEN, &[CK_TRUE]), (CKA_VALUE_LEN, LEN)]), 0);
    let (first, count) = (template.as_mut_ptr(), template.len() as CK_ULONG);
    ok(Mechanism::Plain(CKM_AES_KEY_GEN).with(|m| call!(module, C_GenerateKey(session, m, first, count, &raw mut key))))?;
    Ok(key)
}

#[test]
fn by_generation() {
    let court = Court::open();
    let old = court.bench.aes();
    let (module, session, _) = court.bench.use_key(&old);
    let lies = [
        ("kid", json!(old.kid), "is that of another"),
        ("kid", json!("no UUID"), ""),
        ("obj_type", json!("RSA"), "another than was asked for"),
        ("obj_type", json!("HMAC"), "another than was asked for"),
        ("key_size", json!(128), "another than was asked for"),
        ("key_size", json!(-1), ""),
        ("created_at", json!("yesterday"), ""),
        ("creator", json!(7), ""),
    ];
    for (member, value, said) in lies {
        let path = format!("/{member}");
        let log = court.read_log().len();
        court.liar.lie("POST /crypto/v1/keys", move |answer| answer.set(&path, value));
        assert_eq!(generate(&module, session), Err(CKR_DEVICE_ERROR), "{member}");
        let log = court.read_log()[log..].to_owned();
        let names = |line: &str| line.contains("unusable reply") && line.contains(&format!("`{member}`")) && line.contains(said);
        assert!(log.lines().any(names), "{member} {said}: {log}");
    }
    court.catches_each("POST /crypto/v1/keys", [remove("/obj_type", "`obj_type` is missing")], || generate(&module, session));
    // The one whose kid was used for it is what it was.
    assert_eq!(court.bench.stack.dsm().request("GET", &format!("/crypto/v1/keys/{}", old.kid), None).status, 200);
    let found = module.find(session, &[(CKA_LABEL, old.label.as_bytes())]);
    assert_eq!(found.len(), 1, "the listing shows the old key as it was");
    assert_eq!(module.attribute(session, found[0], CKA_VALUE_LEN), Ok(LEN.to_vec()));
}

#[test]
fn by_agreement_and_derivation() {
    let court = Court::open();
    let bench = &court.bench;
    let (old, base) = (bench.aes(), bench.import("HMAC", &[7; 32], &["DERIVEKEY"], false));
    let ours = bench.key(json!({"obj_type": "EC", "elliptic_curve": "NistP256", "key_ops": ["AGREEKEY"]}));
    let theirs = bench.key(json!({"obj_type": "EC", "elliptic_curve": "NistP256", "key_ops": ["AGREEKEY"]}));
    let (module, session, [base, private, old_object]) = bench.use_keys([&base, &ours, &old]);
    let spki = bench.public_key(&theirs);
    let ecdh = Mechanism::Ecdh { kdf: CKD_NULL, shared: Vec::new(), point: spki[spki.len() - 65..].to_vec() };
    let hkdf = Mechanism::Hkdf { hash: CKM_SHA256, steps: (true, true), salt: b"salt".to_vec(), info: b"info".to_vec() };
    let honest = [&hkdf, &ecdh].map(|m| {
        let key = if std::ptr::eq(m, &raw const hkdf) { base } else { private };
        module.derive(session, m, key, &template(SECRET_KEY, AES, Some(LEN), false)).expect("a session key")
    });
    for ((mechanism, key, path), honest) in
        [(&hkdf, base, "POST /crypto/v1/derive"), (&ecdh, private, "POST /crypto/v1/agree")].into_iter().zip(honest)
    {
        // On the token: another sobject's kid, none, and another kind of key.
        let make = || derive(&module, session, mechanism, key, &template(SECRET_KEY, AES, Some(LEN), true));
        for (member, value) in [("kid", json!(old.kid)), ("kid", json!(null)), ("obj_type", json!("HMAC")), ("key_size", json!(192))] {
            let lie = format!("/{member}");
            let log = court.read_log().len();
            court.liar.lie(path, move |answer| answer.set(&lie, value));
            assert_eq!(make(), Err(CKR_DEVICE_ERROR), "{path} {member}");
            let log = court.read_log()[log..].to_owned();
            assert!(log.lines().any(|line| line.contains("unusable reply") && line.contains(&format!("`{member}`"))), "{member}: {log}");
        }
        make().expect("an honest reply");
        // In the session: what was made has to be there, and as long as was asked.
        let reveal = || {
            let value = module.derive(session, mechanism, key, &template(SECRET_KEY, AES, Some(LEN), false))?;
            assert_eq!(value, honest);
            Ok(())
        };
        court.catches("POST /crypto/v1/keys/export", |answer| answer.set("/value", bytes_of(31)), "`value` has a length", reveal);
        court.catches("POST /crypto/v1/keys/export", |answer| answer.set("/value", bytes_of(64)), "`value` has a length", reveal);
        let log = court.read_log().len();
        court.liar.lie(path, |answer| answer.remove("/transient_key"));
        assert_eq!(reveal(), Err(CKR_DEVICE_ERROR));
        assert!(court.read_log()[log..].contains("`transient_key`"));
        court.believes(reveal);
    }
    // Nothing happened to the key whose kid was told.
    assert_eq!(bench.stack.dsm().request("GET", &format!("/crypto/v1/keys/{}", old.kid), None).status, 200);
    assert!(module.encrypt(session, &crate::module::gcm(), old_object, b"data").is_ok());
}

#[test]
fn by_encapsulation() {
    let court = Court::open();
    let_encapsulate(&court.bench);
    let old = court.bench.aes();
    let key = court.bench.key(json!({"obj_type": "MLKEM", "mlkem": {"param_set": "MlKem768"}, "key_ops": ["ENCAPSULATE", "DECAPSULATE"]}));
    let (module, session, [private, _]) = court.bench.use_keys([&key, &old]);
    let public = module.object(session, CKO_PUBLIC_KEY, &key.label);
    let kem = Mechanism::Plain(CKM_ML_KEM);
    let encapsulate = || {
        let mut template = attributes(&template(SECRET_KEY, AES, None, true));
        let (first, count) = (template.as_mut_ptr(), template.len() as CK_ULONG);
        let (mut out, mut len, mut made) = ([0xee_u8; 2000], 2000, 0);
        let code =
            kem.with(|m| call!(module, C_EncapsulateKey(session, m, public, first, count, out.as_mut_ptr(), &raw mut len, &raw mut made)));
        if code != CKR_OK {
            assert!(out == [0xee; 2000], "nothing is written");
        }
        ok(code).map(|()| out[..len as usize].to_vec())
    };
    let honest = encapsulate().expect("an encapsulation");
    court.catches_each(
        "POST /crypto/v1/encapsulate",
        [
            set("/ciphertext", bytes_of(1087), "`ciphertext` has a length"),
            set("/ciphertext", bytes_of(1089), "`ciphertext` has a length"),
            set("/ciphertext", bytes_of(0), "`ciphertext` has a length"),
            remove("/ciphertext", "`ciphertext` is missing"),
            remove("/key", "`key` is missing"),
        ],
        encapsulate,
    );
    // A secret without its encapsulation is taken back, but never on the word of such a reply a key that was there before.
    court.liar.lie("POST /crypto/v1/encapsulate", {
        let kid = old.kid.clone();
        move |answer| {
            answer.set("/key/kid", json!(kid));
            answer.set("/ciphertext", bytes_of(3));
        }
    });
    assert_eq!(encapsulate(), Err(CKR_DEVICE_ERROR));
    assert_eq!(court.bench.stack.dsm().request("GET", &format!("/crypto/v1/keys/{}", old.kid), None).status, 200);

    let decapsulate = || {
        let mut template = attributes(&template(SECRET_KEY, AES, None, false));
        let (first, count, mut made) = (template.as_mut_ptr(), template.len() as CK_ULONG, 0);
        let len = honest.len() as CK_ULONG;
        ok(kem.with(|m| call!(module, C_DecapsulateKey(session, m, private, first, count, bytes(&honest), len, &raw mut made))))?;
        assert_eq!(module.attribute(session, made, CKA_VALUE).map(|value| value.len()), Ok(32));
        Ok(())
    };
    decapsulate().expect("the key is known from here on");
    for len in [16, 31, 64] {
        court.catches(
            "POST /crypto/v1/keys/export",
            move |answer| answer.set("/value", bytes_of(len)),
            "`value` has a length",
            decapsulate,
        );
    }
}
