//! Keys from keys that stay in DSM: agreed on, derived, decapsulated, wrapped and unwrapped there. A token key never comes here; the bytes
//! of a session key do, where DSM's policies let them. `openssl`, and keys that may be exported, say what is right.

use cryptoki_sys::*;
use serde_json::json;

use crate::keys::{Bench, Key, shared};
use crate::module::{Mechanism, Module, attributes, bytes, call, ok, output};
use crate::openssl::Openssl;
use crate::session_objects::{FALSE, TRUE, create, secret};

pub(crate) type Template<'a> = &'a [(CK_ATTRIBUTE_TYPE, &'a [u8])];

/// A template with a type, on the token or not.
pub(crate) fn template<'a>(class: &'a [u8], key_type: &'a [u8], len: Option<&'a [u8]>, token: bool) -> Vec<(CK_ATTRIBUTE_TYPE, &'a [u8])> {
    let mut template = vec![(CKA_CLASS, class), (CKA_KEY_TYPE, key_type), (CKA_TOKEN, if token { TRUE } else { FALSE })];
    template.extend(len.map(|len| (CKA_VALUE_LEN, len)));
    if !token {
        template.extend([(CKA_SENSITIVE, FALSE), (CKA_EXTRACTABLE, TRUE)]);
    }
    template
}

pub(crate) const SECRET_KEY: &[u8] = &CKO_SECRET_KEY.to_ne_bytes();
const PRIVATE_KEY: &[u8] = &CKO_PRIVATE_KEY.to_ne_bytes();
pub(crate) const AES: &[u8] = &CKK_AES.to_ne_bytes();
pub(crate) const GENERIC: &[u8] = &CKK_GENERIC_SECRET.to_ne_bytes();

pub(crate) fn derive(
    module: &Module,
    session: CK_SESSION_HANDLE,
    mechanism: &Mechanism,
    base: CK_OBJECT_HANDLE,
    template: Template<'_>,
) -> Result<CK_OBJECT_HANDLE, CK_RV> {
    let (mut template, mut key) = (attributes(template), 0);
    let count = template.len() as CK_ULONG;
    ok(mechanism.with(|m| call!(module, C_DeriveKey(session, m, base, template.as_mut_ptr(), count, &raw mut key))))?;
    Ok(key)
}

pub(crate) fn unwrap(
    module: &Module,
    session: CK_SESSION_HANDLE,
    mechanism: &Mechanism,
    by: CK_OBJECT_HANDLE,
    wrapped: &[u8],
    template: Template<'_>,
) -> Result<CK_OBJECT_HANDLE, CK_RV> {
    let (mut template, mut key) = (attributes(template), 0);
    let (data, len, count) = (bytes(wrapped), wrapped.len() as CK_ULONG, template.len() as CK_ULONG);
    ok(mechanism.with(|m| call!(module, C_UnwrapKey(session, m, by, data, len, template.as_mut_ptr(), count, &raw mut key))))?;
    Ok(key)
}

pub(crate) fn wrap(
    module: &Module,
    session: CK_SESSION_HANDLE,
    mechanism: &Mechanism,
    by: CK_OBJECT_HANDLE,
    key: CK_OBJECT_HANDLE,
) -> Result<Vec<u8>, CK_RV> {
    mechanism.with(|m| output(|out, len| call!(module, C_WrapKey(session, m, by, key, out, len))))
}

/// What DSM has for the token key that was just made: the library gives every key it makes EXPORT.
fn value_in_dsm(bench: &Bench, module: &Module, session: CK_SESSION_HANDLE, key: CK_OBJECT_HANDLE) -> Vec<u8> {
    let unique = String::from_utf8(module.attribute(session, key, CKA_UNIQUE_ID).expect("an id")).expect("text");
    let kid = unique.split('/').next().expect("a kid");
    assert_eq!(bench.stack.dsm().exports_of(kid), 0, "it was never here");
    let exported = bench.stack.dsm().request("POST", "/crypto/v1/keys/export", Some(json!({"kid": kid}))).success().json();
    base64_simd::STANDARD.decode_to_vec(exported["value"].as_str().expect("a value")).expect("base64")
}

#[test]
fn agreements_with_a_key_that_stays_in_dsm() {
    let bench = shared();
    for (spec, name) in [
        (json!({"elliptic_curve": "NistP384"}), "-algorithm EC -pkeyopt ec_paramgen_curve:P-384"),
        (json!({"elliptic_curve": "X25519"}), "-algorithm X25519"),
    ] {
        let mut spec = spec;
        (spec["obj_type"], spec["key_ops"]) = (json!("EC"), json!(["AGREEKEY"]));
        let key = bench.key(spec);
        let (module, session, private) = bench.use_key(&key);
        let openssl = Openssl::new();
        let (spki, expected) = openssl.agree(name, &bench.public_key(&key));
        let point = spki[spki.len() - if name.contains("EC") { 97 } else { 32 }..].to_vec();
        let ecdh = |kdf, shared: &[u8]| Mechanism::Ecdh { kdf, shared: shared.to_vec(), point: point.clone() };

        assert_eq!(module.derive(session, &ecdh(CKD_NULL, b""), private, &[]), Ok(expected.clone()), "a session key");
        let hex: String = expected.iter().map(|byte| format!("{byte:02x}")).collect();
        openssl.run(&format!("kdf -keylen 32 -kdfopt digest:SHA256 -kdfopt hexkey:{hex} -kdfopt info:shared -binary -out derived X963KDF"));
        let (len, long) = (32_u64.to_ne_bytes(), 200_u64.to_ne_bytes());
        let through_kdf = module.derive(session, &ecdh(CKD_SHA256_KDF, b"shared"), private, &template(SECRET_KEY, AES, Some(&len), false));
        assert_eq!(through_kdf, Ok(openssl.read("derived")));

        let made =
            derive(&module, session, &ecdh(CKD_NULL, b""), private, &template(SECRET_KEY, AES, Some(&len), true)).expect("a token key");
        for (kind, value) in [(CKA_TOKEN, TRUE), (CKA_SENSITIVE, TRUE), (CKA_EXTRACTABLE, FALSE), (CKA_LOCAL, FALSE), (CKA_KEY_TYPE, AES)] {
            assert_eq!(module.attribute(session, made, kind), Ok(value.to_vec()), "{kind:#x}");
        }
        assert_eq!(module.attribute(session, made, CKA_VALUE_LEN), Ok(len.to_vec()));
        let generated_by = CK_UNAVAILABLE_INFORMATION.to_ne_bytes().to_vec();
        assert_eq!(module.attribute(session, made, CKA_KEY_GEN_MECHANISM), Ok(generated_by));
        assert_eq!(value_in_dsm(bench, &module, session, made), expected[expected.len() - 32..]);
        let whole =
            derive(&module, session, &ecdh(CKD_NULL, b""), private, &template(SECRET_KEY, GENERIC, None, true)).expect("a token key");
        assert_eq!(value_in_dsm(bench, &module, session, whole), expected);
        // What DSM's agreement does not have comes here and goes back.
        let kdf = derive(&module, session, &ecdh(CKD_SHA256_KDF, b"shared"), private, &template(SECRET_KEY, AES, Some(&len), true));
        assert_eq!(value_in_dsm(bench, &module, session, kdf.expect("a token key")), openssl.read("derived"));

        for token in [true, false] {
            let code = derive(&module, session, &ecdh(CKD_NULL, b""), private, &template(SECRET_KEY, GENERIC, Some(&long), token));
            assert_eq!(code, Err(CKR_KEY_SIZE_RANGE));
        }
        let odd = 20_u64.to_ne_bytes();
        let code = derive(&module, session, &ecdh(CKD_NULL, b""), private, &template(SECRET_KEY, AES, Some(&odd), true));
        assert_eq!(code, Err(CKR_KEY_SIZE_RANGE));
        assert_eq!(bench.stack.dsm().exports_of(&key.kid), 0);
    }
}

#[test]
fn hkdf_of_a_key_that_stays_in_dsm() {
    let bench = shared();
    let (module, session, base) = bench.use_key(&bench.import("HMAC", &[7; 32], &["DERIVEKEY"], false));
    let hkdf = |steps| Mechanism::Hkdf { hash: CKM_SHA256, steps, salt: b"salt".to_vec(), info: b"info".to_vec() };
    let openssl = Openssl::new();
    let key: String = "07".repeat(32);
    openssl.run(&format!(
        "kdf -keylen 42 -kdfopt digest:SHA256 -kdfopt hexkey:{key} -kdfopt salt:salt -kdfopt info:info -binary -out derived HKDF"
    ));
    let expected = openssl.read("derived");
    let derive_token = |len: &[u8]| derive(&module, session, &hkdf((true, true)), base, &template(SECRET_KEY, GENERIC, Some(len), true));
    for len in [42_u64, 10] {
        assert_eq!(
            module.derive(session, &hkdf((true, true)), base, &[(CKA_VALUE_LEN, &len.to_ne_bytes())]),
            Ok(expected[..len as usize].to_vec())
        );
    }
    let made = derive_token(&42_u64.to_ne_bytes()).expect("a token key");
    assert_eq!(value_in_dsm(bench, &module, session, made), expected);
    assert_eq!(derive_token(&10_u64.to_ne_bytes()), Err(CKR_KEY_SIZE_RANGE), "DSM keeps no HMAC key as short");
    let len = 24_u64.to_ne_bytes();
    let made = derive(&module, session, &hkdf((true, true)), base, &template(SECRET_KEY, AES, Some(&len), true)).expect("a token key");
    let held = secret(&module, session, CKK_AES, &expected[..24]).expect("a session key");
    let ecb = Mechanism::Plain(CKM_AES_ECB);
    assert_eq!(module.encrypt(session, &ecb, made, &[5; 16]), module.encrypt(session, &ecb, held, &[5; 16]));
    // DSM has both steps together alone.
    for steps in [(true, false), (false, true)] {
        assert_eq!(module.derive(session, &hkdf(steps), base, &[(CKA_VALUE_LEN, &32_u64.to_ne_bytes())]), Err(CKR_MECHANISM_INVALID));
    }
    let endless = (255_u64 * 32 + 1).to_ne_bytes();
    for token in [true, false] {
        let code = derive(&module, session, &hkdf((true, true)), base, &template(SECRET_KEY, GENERIC, Some(&endless), token));
        assert_eq!(code, Err(CKR_KEY_SIZE_RANGE));
    }
}

/// Where no material may leave in the clear, no session key comes of a key in DSM; a token key does.
#[test]
fn a_policy_against_export_holds() {
    let bench = Bench::start();
    let group = bench.stack.dsm().default_group();
    let key = bench.import("HMAC", &[7; 32], &["DERIVEKEY"], false);
    let policy = json!({"export_policy": {"$type": "Wrapped", "by": {"$type": "Any"}}});
    bench.stack.admin().request("PATCH", &format!("/sys/v1/groups/{group}"), Some(policy)).success();
    let (module, session, base) = bench.use_key(&key);
    let hkdf = Mechanism::Hkdf { hash: CKM_SHA256, steps: (true, true), salt: Vec::new(), info: Vec::new() };
    let len = 32_u64.to_ne_bytes();
    let derived = derive(&module, session, &hkdf, base, &template(SECRET_KEY, AES, Some(&len), false));
    assert_eq!(derived, Err(CKR_KEY_FUNCTION_NOT_PERMITTED));
    let made = derive(&module, session, &hkdf, base, &template(SECRET_KEY, AES, Some(&len), true)).expect("a token key");
    assert!(module.encrypt(session, &Mechanism::Plain(CKM_AES_ECB), made, &[5; 16]).is_ok());
}

fn mechanisms() -> [Mechanism; 4] {
    [
        Mechanism::Plain(CKM_AES_KEY_WRAP),
        Mechanism::Plain(CKM_AES_KEY_WRAP_KWP),
        Mechanism::With(CKM_AES_CBC_PAD, vec![3; 16]),
        Mechanism::Gcm { iv: vec![9; 12], aad: b"context".to_vec(), tag_bits: 128 },
    ]
}

#[test]
fn wrapping_by_a_key_that_stays_in_dsm() {
    let bench = shared();
    let remote = bench.import("AES", &[9; 32], &["WRAPKEY", "UNWRAPKEY"], false);
    let (module, session, remote_key) = bench.use_key(&remote);
    let same = secret(&module, session, CKK_AES, &[9; 32]).expect("a session key");
    let value = [7; 32];
    let subject = secret(&module, session, CKK_AES, &value).expect("a session key");
    for mechanism in &mechanisms() {
        let wrapped = wrap(&module, session, mechanism, remote_key, subject).expect("DSM wraps");
        assert_eq!(Ok(&wrapped), wrap(&module, session, mechanism, same, subject).as_ref(), "as here");
        let back = unwrap(&module, session, mechanism, remote_key, &wrapped, &template(SECRET_KEY, AES, None, false)).expect("DSM unwraps");
        assert_eq!(module.attribute(session, back, CKA_VALUE), Ok(value.to_vec()));
        let kept = unwrap(&module, session, mechanism, remote_key, &wrapped, &template(SECRET_KEY, AES, None, true)).expect("a token key");
        assert_eq!(value_in_dsm(bench, &module, session, kept), value);
        assert_eq!(module.attribute(session, kept, CKA_LOCAL), Ok(FALSE.to_vec()));
        let mut wrong = wrapped.clone();
        let last = wrong.len() - 1;
        wrong[last] ^= 1;
        for token in [false, true] {
            let code =
                unwrap(&module, session, mechanism, remote_key, &wrong, &template(SECRET_KEY, AES, None, token)).expect_err("a wrong byte");
            assert!(matches!(code, CKR_WRAPPED_KEY_INVALID | CKR_WRAPPED_KEY_LEN_RANGE), "{code:#x}");
            let code = unwrap(&module, session, mechanism, remote_key, &wrapped[..3], &template(SECRET_KEY, AES, None, token));
            assert_eq!(code, Err(CKR_WRAPPED_KEY_LEN_RANGE));
        }
        // DSM alone sees how long is what it decrypts.
        for len in [16, 200] {
            let value = vec![6; len];
            let subject = secret(&module, session, CKK_GENERIC_SECRET, &value).expect("a session key");
            let wrapped = wrap(&module, session, mechanism, remote_key, subject).expect("DSM wraps");
            let kept = unwrap(&module, session, mechanism, remote_key, &wrapped, &template(SECRET_KEY, GENERIC, None, true));
            assert_eq!(value_in_dsm(bench, &module, session, kept.expect("a token key")), value);
        }
    }
    assert_eq!(bench.stack.dsm().exports_of(&remote.kid), 0);
}

#[test]
fn private_keys_wrapped_by_a_key_that_stays_in_dsm() {
    // libp11 finds no key at all where there is one on Ed25519: others use the shared token.
    let bench = Bench::start();
    let remote = bench.import("AES", &[9; 32], &["WRAPKEY", "UNWRAPKEY"], false);
    let (module, session, remote_key) = bench.use_key(&remote);
    let openssl = Openssl::new();
    let kwp = Mechanism::Plain(CKM_AES_KEY_WRAP_KWP);
    let same = secret(&module, session, CKK_AES, &[9; 32]).expect("a session key");
    for (name, key_type, mechanism) in [
        ("-algorithm EC -pkeyopt ec_paramgen_curve:P-256", CKK_EC, CKM_ECDSA_SHA256),
        ("-algorithm RSA -pkeyopt rsa_keygen_bits:2048", CKK_RSA, CKM_SHA256_RSA_PKCS),
        ("-algorithm ED25519", CKK_EC_EDWARDS, CKM_EDDSA),
    ] {
        openssl.run(&format!("genpkey {name} -outform DER -out private.der"));
        openssl.run("pkcs8 -topk8 -nocrypt -inform DER -in private.der -outform DER -out pkcs8.der");
        let wrapped = module.encrypt(session, &kwp, same, &openssl.read("pkcs8.der")).expect("it encrypts");
        let key_type = key_type.to_ne_bytes();
        let held =
            unwrap(&module, session, &kwp, remote_key, &wrapped, &template(PRIVATE_KEY, &key_type, None, false)).expect("a session key");
        let label = format!("p11 {}", uuid::Uuid::new_v4());
        let mut wanted = template(PRIVATE_KEY, &key_type, None, true);
        wanted.push((CKA_LABEL, label.as_bytes()));
        let kept = unwrap(&module, session, &kwp, remote_key, &wrapped, &wanted).expect("a token key");
        let signed = module.sign(session, &Mechanism::Plain(mechanism), kept, b"data").expect("it signs");
        if mechanism != CKM_ECDSA_SHA256 {
            assert_eq!(module.sign(session, &Mechanism::Plain(mechanism), held, b"data"), Ok(signed), "the same key");
        }
        let public = [(CKA_CLASS, &CKO_PUBLIC_KEY.to_ne_bytes()[..]), (CKA_LABEL, label.as_bytes())];
        assert!(module.find(session, &public).is_empty(), "nobody asked for it");
        // The session's private key leaves through DSM as it came.
        openssl.write(
            "back.der",
            &module.decrypt(session, &kwp, same, &wrap(&module, session, &kwp, remote_key, held).expect("DSM wraps")).expect("PKCS #8"),
        );
        for file in ["back", "pkcs8"] {
            openssl.run(&format!("pkey -inform DER -in {file}.der -pubout -out {file}.pem"));
        }
        assert_eq!(openssl.read("back.pem"), openssl.read("pkcs8.pem"));
    }
}

/// DSM goes by the material: what it says of itself has to be what was asked for.
#[test]
fn a_key_of_another_kind_is_not_unwrapped() {
    let bench = shared();
    let remote = bench.import("AES", &[9; 32], &["WRAPKEY", "UNWRAPKEY"], false);
    let (module, session, by) = bench.use_key(&remote);
    let same = secret(&module, session, CKK_AES, &[9; 32]).expect("a session key");
    let (kw, kwp) = (Mechanism::Plain(CKM_AES_KEY_WRAP), Mechanism::Plain(CKM_AES_KEY_WRAP_KWP));
    let openssl = Openssl::new();
    openssl.run("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -outform DER -out private.der");
    openssl.run("pkcs8 -topk8 -nocrypt -inform DER -in private.der -outform DER -out pkcs8.der");
    let label = format!("p11 {}", uuid::Uuid::new_v4());
    let pkcs8 = openssl.read("pkcs8.der");
    for (mechanism, class, key_type, material, expected) in [
        (&kw, SECRET_KEY, CKK_DES3, &[7; 16][..], CKR_WRAPPED_KEY_LEN_RANGE),
        (&kw, SECRET_KEY, CKK_DES2, &[7; 24], CKR_WRAPPED_KEY_LEN_RANGE),
        // Padding hides the length: DSM alone sees it.
        (&kwp, SECRET_KEY, CKK_DES3, &[7; 16], CKR_WRAPPED_KEY_LEN_RANGE),
        (&kwp, SECRET_KEY, CKK_DES2, &[7; 24], CKR_WRAPPED_KEY_LEN_RANGE),
        (&kwp, PRIVATE_KEY, CKK_EC_EDWARDS, &pkcs8, CKR_WRAPPED_KEY_INVALID),
        (&kwp, PRIVATE_KEY, CKK_EC_MONTGOMERY, &pkcs8, CKR_WRAPPED_KEY_INVALID),
        (&kwp, PRIVATE_KEY, CKK_RSA, &pkcs8, CKR_WRAPPED_KEY_INVALID),
    ] {
        let wrapped = module.encrypt(session, mechanism, same, material).expect("it encrypts");
        let key_type = key_type.to_ne_bytes();
        for token in [false, true] {
            let mut wanted = template(class, &key_type, None, token);
            wanted.push((CKA_LABEL, label.as_bytes()));
            let made = unwrap(&module, session, mechanism, by, &wrapped, &wanted);
            assert_eq!(made, Err(expected), "{key_type:?} of {} bytes, token: {token}", material.len());
        }
    }
    assert!(module.find(session, &[(CKA_LABEL, label.as_bytes())]).is_empty(), "nothing stays");
    let other = bench.another();
    let other_session = other.logged_in();
    assert!(other.find(other_session, &[(CKA_LABEL, label.as_bytes())]).is_empty(), "nor in DSM");
}

/// Only a configuration that lets keys be read has such token keys.
#[test]
fn both_keys_in_dsm() {
    let bench = Bench::start_with("allow_plaintext = true\n");
    let remote = bench.import("AES", &[9; 32], &["WRAPKEY", "UNWRAPKEY"], false);
    let (module, session, by) = bench.use_key(&remote);
    let same = secret(&module, session, CKK_AES, &[9; 32]).expect("a session key");
    let kw = Mechanism::Plain(CKM_AES_KEY_WRAP);
    let free = [
        (CKA_CLASS, SECRET_KEY),
        (CKA_KEY_TYPE, AES),
        (CKA_TOKEN, TRUE),
        (CKA_SENSITIVE, FALSE),
        (CKA_EXTRACTABLE, TRUE),
        (CKA_VALUE, &[4; 16]),
    ];
    let subject = create(&module, session, &free).expect("a token key");
    let wrapped = wrap(&module, session, &kw, by, subject).expect("DSM wraps");
    let copy = secret(&module, session, CKK_AES, &[4; 16]).expect("a session key");
    assert_eq!(Ok(&wrapped), wrap(&module, session, &kw, same, copy).as_ref());
    assert_eq!(bench.stack.dsm().uses_of(&remote.kid, "Wrapped with"), 1, "the length is known here");
}

#[test]
fn rsa_keys_that_stay_in_dsm_unwrap() {
    let bench = shared();
    let rsa = bench.rsa_with(&["WRAPKEY", "UNWRAPKEY"]);
    let (module, session, private) = bench.use_key(&rsa);
    let public = module.object(session, CKO_PUBLIC_KEY, &rsa.label);
    let value = [5; 32];
    let subject = secret(&module, session, CKK_AES, &value).expect("a session key");
    for mechanism in [Mechanism::Plain(CKM_RSA_PKCS), Mechanism::Oaep, Mechanism::RsaAes(256), Mechanism::RsaAes(128)] {
        let wrapped = wrap(&module, session, &mechanism, public, subject).expect("it wraps");
        let held = unwrap(&module, session, &mechanism, private, &wrapped, &template(SECRET_KEY, AES, None, false)).expect("a session key");
        assert_eq!(module.attribute(session, held, CKA_VALUE), Ok(value.to_vec()));
        let kept = unwrap(&module, session, &mechanism, private, &wrapped, &template(SECRET_KEY, AES, None, true)).expect("a token key");
        assert_eq!(value_in_dsm(bench, &module, session, kept), value);
        for token in [false, true] {
            assert!(unwrap(&module, session, &mechanism, private, &wrapped[1..], &template(SECRET_KEY, AES, None, token)).is_err());
            assert!(unwrap(&module, session, &mechanism, private, &[], &template(SECRET_KEY, AES, None, token)).is_err());
        }
    }
    // DSM has no label.
    let labelled = Mechanism::OaepOf { hash: CKM_SHA_1, mgf: CKG_MGF1_SHA1, label: b"label".to_vec() };
    let wrapped = wrap(&module, session, &labelled, public, subject).expect("it wraps here");
    for token in [false, true] {
        let code = unwrap(&module, session, &labelled, private, &wrapped, &template(SECRET_KEY, AES, None, token));
        assert_eq!(code, Err(CKR_MECHANISM_INVALID), "token: {token}");
    }
    assert_eq!(bench.stack.dsm().exports_of(&rsa.kid), 0);
}

/// An app of old has no such permission.
pub(crate) fn let_encapsulate(bench: &Bench) {
    let api_key = base64_simd::STANDARD.decode_to_vec(bench.stack.api_key()).expect("base64");
    let api_key = String::from_utf8(api_key).expect("text");
    let app = api_key.split(':').next().expect("an app");
    let path = format!("/sys/v1/apps/{app}");
    let group = bench.stack.dsm().default_group();
    let described = bench.stack.admin().request("GET", &format!("{path}?group_permissions=true"), None).success().json();
    let mut permissions = described["groups"][&group].as_array().expect("permissions").clone();
    permissions.extend([json!("ENCAPSULATE"), json!("DECAPSULATE")]);
    bench.stack.admin().request("PATCH", &path, Some(json!({"mod_groups": {group: permissions}}))).success();
}

#[test]
fn ml_kem_keys_that_stay_in_dsm() {
    let bench = &Bench::start();
    let_encapsulate(bench);
    let kem = |key_ops| -> Key { bench.key(json!({"obj_type": "MLKEM", "mlkem": {"param_set": "MlKem768"}, "key_ops": key_ops})) };
    let key = kem(json!(["ENCAPSULATE", "DECAPSULATE"]));
    let (module, session, private) = bench.use_key(&key);
    let public = module.object(session, CKO_PUBLIC_KEY, &key.label);
    let m = Mechanism::Plain(CKM_ML_KEM);
    let encapsulate = |template: Template<'_>| {
        let (mut template, made) = (attributes(template), std::cell::Cell::new(0));
        let (first, count) = (template.as_mut_ptr(), template.len() as CK_ULONG);
        let ciphertext = m.with(|m| {
            output(|out, len| {
                let mut key = 0;
                let code = call!(module, C_EncapsulateKey(session, m, public, first, count, out, len, &raw mut key));
                made.set(key);
                code
            })
        });
        ciphertext.map(|ciphertext| (ciphertext, made.get()))
    };
    let decapsulate = |ciphertext: &[u8], template: Template<'_>| {
        let (mut template, mut made) = (attributes(template), 0);
        let (first, count) = (template.as_mut_ptr(), template.len() as CK_ULONG);
        let len = ciphertext.len() as CK_ULONG;
        ok(m.with(|m| call!(module, C_DecapsulateKey(session, m, private, first, count, bytes(ciphertext), len, &raw mut made))))
            .map(|()| made)
    };
    let (session_key, token_key) = (template(SECRET_KEY, AES, None, false), template(SECRET_KEY, AES, None, true));
    let (ciphertext, ours) = encapsulate(&session_key).expect("it encapsulates");
    let expected = module.attribute(session, ours, CKA_VALUE).expect("a value");
    let theirs = decapsulate(&ciphertext, &session_key).expect("DSM decapsulates");
    assert_eq!(module.attribute(session, theirs, CKA_VALUE), Ok(expected.clone()));
    let kept = decapsulate(&ciphertext, &token_key).expect("a token key");
    assert_eq!(value_in_dsm(bench, &module, session, kept), expected);
    let len = 16_u64.to_ne_bytes();
    let shorter = decapsulate(&ciphertext, &template(SECRET_KEY, AES, Some(&len), true)).expect("a token key");
    assert_eq!(value_in_dsm(bench, &module, session, shorter), expected[..16]);

    let (ciphertext, ours) = encapsulate(&token_key).expect("DSM encapsulates");
    let theirs = decapsulate(&ciphertext, &session_key).expect("DSM decapsulates");
    assert_eq!(module.attribute(session, theirs, CKA_VALUE), Ok(value_in_dsm(bench, &module, session, ours)));
    assert_eq!(decapsulate(&ciphertext[1..], &token_key), Err(CKR_WRAPPED_KEY_LEN_RANGE));
    let long = 33_u64.to_ne_bytes();
    for token in [true, false] {
        assert_eq!(decapsulate(&ciphertext, &template(SECRET_KEY, GENERIC, Some(&long), token)), Err(CKR_KEY_SIZE_RANGE));
    }
    assert_eq!(bench.stack.dsm().exports_of(&key.kid), 0);
}
