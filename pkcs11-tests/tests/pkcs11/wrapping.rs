//! C_WrapKey and C_UnwrapKey: what leaves comes back, what may not leave stays, and a wrong key is not taken for one.

use cryptoki_sys::*;
use serde_json::json;

use crate::keys::{Bench, shared};
use crate::module::{Mechanism, Module, attributes, bytes, call, ok, output};
use crate::openssl::Openssl;
use crate::session_objects::{FALSE, TRUE, create, secret};

pub(crate) fn wrap(
    module: &Module,
    session: CK_SESSION_HANDLE,
    mechanism: &Mechanism,
    wrapping: CK_OBJECT_HANDLE,
    key: CK_OBJECT_HANDLE,
) -> Result<Vec<u8>, CK_RV> {
    mechanism.with(|m| output(|out, len| call!(module, C_WrapKey(session, m, wrapping, key, out, len))))
}

fn unwrap(
    module: &Module,
    session: CK_SESSION_HANDLE,
    mechanism: &Mechanism,
    unwrapping: CK_OBJECT_HANDLE,
    wrapped: &[u8],
    (class, key_type): (CK_OBJECT_CLASS, CK_KEY_TYPE),
) -> Result<CK_OBJECT_HANDLE, CK_RV> {
    let (class, key_type) = (class.to_ne_bytes(), key_type.to_ne_bytes());
    let template = [(CKA_CLASS, &class[..]), (CKA_KEY_TYPE, &key_type), (CKA_SENSITIVE, FALSE), (CKA_EXTRACTABLE, TRUE)];
    let (mut template, mut key) = (attributes(&template), 0);
    let (data, len) = (bytes(wrapped), wrapped.len() as CK_ULONG);
    ok(mechanism.with(|m| call!(module, C_UnwrapKey(session, m, unwrapping, data, len, template.as_mut_ptr(), 4, &raw mut key))))?;
    Ok(key)
}

fn aes_wrapping(bench: &Bench) -> crate::keys::Key {
    bench.key(json!({"obj_type": "AES", "key_size": 256, "key_ops": ["WRAPKEY", "UNWRAPKEY", "EXPORT"]}))
}

fn mechanisms() -> Vec<Mechanism> {
    vec![
        Mechanism::Plain(CKM_AES_KEY_WRAP),
        Mechanism::Plain(CKM_AES_KEY_WRAP_KWP),
        Mechanism::With(CKM_AES_CBC_PAD, vec![3; 16]),
        Mechanism::Gcm { iv: vec![9; 12], aad: Vec::new(), tag_bits: 128 },
    ]
}

#[test]
fn secret_and_private_keys_come_back_as_they_were() {
    let bench = shared();
    let (module, session, token) = bench.use_key(&aes_wrapping(bench));
    let held = secret(&module, session, CKK_AES, &[1; 32]).expect("a session key");
    let value = [7; 24];
    let subject = secret(&module, session, CKK_AES, &value).expect("a session key");
    for wrapping in [token, held] {
        for mechanism in &mechanisms() {
            let wrapped = wrap(&module, session, mechanism, wrapping, subject).expect("it wraps");
            let back = unwrap(&module, session, mechanism, wrapping, &wrapped, (CKO_SECRET_KEY, CKK_AES)).expect("it unwraps");
            assert_eq!(module.attribute(session, back, CKA_VALUE), Ok(value.to_vec()));
            // A wrong byte is seen by what has an integrity check; CBC's padding mostly sees it too.
            let mut wrong = wrapped.clone();
            let last = wrong.len() - 1;
            wrong[last] ^= 1;
            let code = unwrap(&module, session, mechanism, wrapping, &wrong, (CKO_SECRET_KEY, CKK_AES)).expect_err("a wrong byte");
            assert!(matches!(code, CKR_WRAPPED_KEY_INVALID | CKR_WRAPPED_KEY_LEN_RANGE), "{code:#x}");
            let code = unwrap(&module, session, mechanism, wrapping, &[], (CKO_SECRET_KEY, CKK_AES));
            assert_eq!(code, Err(CKR_WRAPPED_KEY_LEN_RANGE));
        }
    }
    // A private key that openssl made comes in wrapped, signs, and leaves again.
    let openssl = Openssl::new();
    openssl.run("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -outform DER -out private.der");
    openssl.run("pkcs8 -topk8 -nocrypt -inform DER -in private.der -outform DER -out pkcs8.der");
    let kwp = Mechanism::Plain(CKM_AES_KEY_WRAP_KWP);
    let encrypted = module.encrypt(session, &kwp, held, &openssl.read("pkcs8.der")).expect("it encrypts");
    let private = unwrap(&module, session, &kwp, token, &encrypted, (CKO_PRIVATE_KEY, CKK_EC)).err();
    assert_eq!(private, Some(CKR_WRAPPED_KEY_INVALID), "wrapped by another key");
    let private = unwrap(&module, session, &kwp, held, &encrypted, (CKO_PRIVATE_KEY, CKK_EC)).expect("it unwraps");
    let signature = module.sign(session, &Mechanism::Plain(CKM_ECDSA_SHA256), private, b"data").expect("it signs");
    assert_eq!(signature.len(), 64);
    let wrapped = wrap(&module, session, &kwp, held, private).expect("it wraps");
    openssl.write("back.der", &module.decrypt(session, &kwp, held, &wrapped).expect("PKCS #8"));
    openssl.run("pkey -inform DER -in back.der -pubout -out back.pem");
    openssl.run("pkey -inform DER -in private.der -pubout -out private.pem");
    assert_eq!(openssl.read("back.pem"), openssl.read("private.pem"));
}

#[test]
fn rsa_wraps_with_its_public_half() {
    let bench = shared();
    let policy = json!({"encryption_policy": [{}], "signature_policy": [{}]});
    let rsa = bench.key(json!({"obj_type": "RSA", "key_size": 2048, "key_ops": ["WRAPKEY", "UNWRAPKEY", "EXPORT"], "rsa": policy}));
    let (module, session, private) = bench.use_key(&rsa);
    let public = module.object(session, CKO_PUBLIC_KEY, &rsa.label);
    let subject = secret(&module, session, CKK_GENERIC_SECRET, b"a secret of some bytes").expect("a session key");
    for mechanism in [Mechanism::Plain(CKM_RSA_PKCS), Mechanism::Oaep, Mechanism::RsaAes(256), Mechanism::RsaAes(128)] {
        let wrapped = wrap(&module, session, &mechanism, public, subject).expect("it wraps");
        let back = unwrap(&module, session, &mechanism, private, &wrapped, (CKO_SECRET_KEY, CKK_GENERIC_SECRET)).expect("it unwraps");
        assert_eq!(module.attribute(session, back, CKA_VALUE), Ok(b"a secret of some bytes".to_vec()));
        assert!(unwrap(&module, session, &mechanism, private, &wrapped[1..], (CKO_SECRET_KEY, CKK_GENERIC_SECRET)).is_err());
    }
    assert_eq!(wrap(&module, session, &Mechanism::RsaAes(129), public, subject), Err(CKR_MECHANISM_PARAM_INVALID));
    let long = secret(&module, session, CKK_GENERIC_SECRET, &[1; 300]).expect("a session key");
    for mechanism in [Mechanism::Oaep, Mechanism::Plain(CKM_RSA_PKCS)] {
        // A length query has the same answer.
        assert_eq!(wrap(&module, session, &mechanism, public, long), Err(CKR_KEY_SIZE_RANGE), "longer than the modulus");
    }
    assert!(wrap(&module, session, &Mechanism::RsaAes(256), public, long).is_ok(), "of any length");
}

#[test]
fn what_may_not_leave_stays() {
    let bench = shared();
    let token = bench.aes();
    let (module, session, [wrapping, token]) = bench.use_keys([&aes_wrapping(bench), &token]);
    let (class, kind) = (CKO_SECRET_KEY.to_ne_bytes(), CKK_AES.to_ne_bytes());
    let key = |attribute, value: &'static [u8]| {
        create(&module, session, &[(CKA_CLASS, &class), (CKA_KEY_TYPE, &kind), (CKA_VALUE, &[1; 16]), (attribute, value)]).expect("a key")
    };
    let kw = Mechanism::Plain(CKM_AES_KEY_WRAP);
    assert_eq!(wrap(&module, session, &kw, wrapping, key(CKA_EXTRACTABLE, FALSE)), Err(CKR_KEY_UNEXTRACTABLE));
    assert_eq!(wrap(&module, session, &kw, wrapping, token), Err(CKR_KEY_UNEXTRACTABLE), "EXPORT serves the cache alone");
    assert_eq!(wrap(&module, session, &kw, wrapping, key(CKA_WRAP_WITH_TRUSTED, TRUE)), Err(CKR_KEY_NOT_WRAPPABLE));
    assert_eq!(wrap(&module, session, &kw, key(CKA_WRAP, FALSE), key(CKA_LABEL, b"x")), Err(CKR_KEY_FUNCTION_NOT_PERMITTED));
    assert_eq!(wrap(&module, session, &kw, 0, key(CKA_LABEL, b"x")), Err(CKR_WRAPPING_KEY_HANDLE_INVALID));
    assert_eq!(wrap(&module, session, &kw, wrapping, 0), Err(CKR_KEY_HANDLE_INVALID));
    assert_eq!(wrap(&module, session, &Mechanism::Oaep, wrapping, key(CKA_LABEL, b"x")), Err(CKR_WRAPPING_KEY_TYPE_INCONSISTENT));
    assert_eq!(unwrap(&module, session, &kw, 0, &[1; 24], (CKO_SECRET_KEY, CKK_AES)), Err(CKR_UNWRAPPING_KEY_HANDLE_INVALID));
    assert_eq!(
        unwrap(&module, session, &Mechanism::Oaep, wrapping, &[1; 24], (CKO_SECRET_KEY, CKK_AES)),
        Err(CKR_UNWRAPPING_KEY_TYPE_INCONSISTENT)
    );
    // A sensitive key may leave wrapped: that is what wrapping is for.
    assert!(wrap(&module, session, &kw, wrapping, key(CKA_SENSITIVE, TRUE)).is_ok());
}

/// What the metadata of a key says counts only where the configuration allows such keys: anybody who may change the sobject can write it.
#[test]
fn a_token_key_leaves_where_the_configuration_allows_it() {
    let bench = Bench::start_with("allow_plaintext = true\n");
    let key = bench.key(json!({"obj_type": "AES", "key_size": 128, "key_ops": ["ENCRYPT", "EXPORT", "APPMANAGEABLE"], "custom_metadata": {
        // CKA_SENSITIVE is false, CKA_EXTRACTABLE true.
        "pkcs11_object": r#"{"CKA_SENSITIVE":"AA==","CKA_EXTRACTABLE":"AQ=="}"#,
    }}));
    let kw = Mechanism::Plain(CKM_AES_KEY_WRAP);
    let (module, session, token) = bench.use_key(&key);
    let held = secret(&module, session, CKK_AES, &[1; 32]).expect("a session key");
    let wrapped = wrap(&module, session, &kw, held, token).expect("it wraps");
    assert_eq!(module.decrypt(session, &kw, held, &wrapped), module.attribute(session, token, CKA_VALUE));

    let given = std::fs::read_to_string(bench.stack.pkcs11_conf()).expect("a configuration");
    std::fs::write(bench.stack.pkcs11_conf(), given.replace("allow_plaintext = true\n", "")).expect("a file is written");
    let (module, session, token) = bench.use_key(&key);
    let held = secret(&module, session, CKK_AES, &[1; 32]).expect("a session key");
    assert_eq!(wrap(&module, session, &kw, held, token), Err(CKR_KEY_UNEXTRACTABLE));
    assert_eq!(module.attribute(session, token, CKA_VALUE), Err(CKR_ATTRIBUTE_SENSITIVE));
    for (attribute, value) in
        [(CKA_SENSITIVE, TRUE), (CKA_EXTRACTABLE, FALSE), (CKA_ALWAYS_SENSITIVE, FALSE), (CKA_NEVER_EXTRACTABLE, FALSE)]
    {
        assert_eq!(module.attribute(session, token, attribute), Ok(value.to_vec()), "{attribute:#x}");
    }
}
