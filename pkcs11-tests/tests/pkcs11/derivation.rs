//! Derived and encapsulated keys: ECDH, HKDF, ML-KEM, passwords; the functions of SP 800-108 and the simple mechanisms have files of their own.

mod simple;
mod sp800_108;

use std::ptr::null_mut;

use cryptoki_sys::*;
use serde_json::json;

use crate::keys::shared;
use crate::module::{Mechanism, Module, attributes, call, ok, output};
use crate::openssl::Openssl;
use crate::session_objects::{FALSE, TRUE, secret};

/// A key in DSM and `openssl` agree on the same secret, which a session key takes.
#[test]
fn dsm_s_keys_agree_with_openssl() {
    let bench = shared();
    for (spec, name) in [
        (
            json!({"obj_type": "EC", "elliptic_curve": "NistP256", "key_ops": ["AGREEKEY", "EXPORT"]}),
            "-algorithm EC -pkeyopt ec_paramgen_curve:P-256",
        ),
        (json!({"obj_type": "EC", "elliptic_curve": "X25519", "key_ops": ["AGREEKEY", "EXPORT"]}), "-algorithm X25519"),
    ] {
        let key = bench.key(spec);
        let (module, session, private) = bench.use_key(&key);
        let (spki, expected) = Openssl::new().agree(name, &bench.public_key(&key));
        let point = spki[spki.len() - if name.contains("EC") { 65 } else { 32 }..].to_vec();
        let wrapped = [&[4, point.len() as u8], &point[..]].concat();
        for point in [point, wrapped] {
            let ecdh = Mechanism::Ecdh { kdf: CKD_NULL, shared: Vec::new(), point };
            assert_eq!(module.derive(session, &ecdh, private, &[]), Ok(expected.clone()));
            // A shorter key is the end of it.
            let (kind, len) = (CKK_AES.to_ne_bytes(), 16_u64.to_ne_bytes());
            let template =
                [(CKA_KEY_TYPE, &kind[..]), (CKA_VALUE_LEN, &len), (CKA_TOKEN, FALSE), (CKA_SENSITIVE, FALSE), (CKA_EXTRACTABLE, TRUE)];
            assert_eq!(module.derive(session, &ecdh, private, &template), Ok(expected[16..].to_vec()));
            let len = 33_u64.to_ne_bytes();
            assert_eq!(module.derive(session, &ecdh, private, &[(CKA_VALUE_LEN, &len)]), Err(CKR_KEY_SIZE_RANGE));
        }
        let bad = |kdf, point: &[u8]| Mechanism::Ecdh { kdf, shared: Vec::new(), point: point.to_vec() };
        for mechanism in
            [bad(CKD_NULL, &[]), bad(CKD_NULL, &[4; 64]), bad(99, &[9; 32]), bad(0, &[9; 32]), Mechanism::Plain(CKM_ECDH1_DERIVE)]
        {
            assert_eq!(module.derive(session, &mechanism, private, &[]), Err(CKR_MECHANISM_PARAM_INVALID));
        }
        assert_eq!(bench.stack.dsm().exports_of(&key.kid), 1);
    }
}

/// `openssl` has the function of X9.63 as a KDF of its own.
#[test]
fn x9_63_after_the_agreement() {
    let bench = shared();
    let key = bench.key(json!({"obj_type": "EC", "elliptic_curve": "NistP256", "key_ops": ["AGREEKEY", "EXPORT"]}));
    let (module, session, private) = bench.use_key(&key);
    let spki = bench.public_key(&key);
    let point = spki[spki.len() - 65..].to_vec();
    let plain = Mechanism::Ecdh { kdf: CKD_NULL, shared: Vec::new(), point: point.clone() };
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let secret = hex(&module.derive(session, &plain, private, &[]).expect("a secret"));
    let len = 70_u64.to_ne_bytes();
    for (kdf, name) in [(CKD_SHA1_KDF, "SHA1"), (CKD_SHA256_KDF, "SHA256"), (CKD_SHA512_KDF, "SHA512")] {
        let ecdh = Mechanism::Ecdh { kdf, shared: b"shared".to_vec(), point: point.clone() };
        let derived = module.derive(session, &ecdh, private, &[(CKA_VALUE_LEN, &len)]);
        let openssl = Openssl::new();
        openssl.run(&format!(
            "kdf -keylen 70 -kdfopt digest:{name} -kdfopt hexkey:{secret} -kdfopt hexinfo:{} -binary -out derived X963KDF",
            hex(b"shared")
        ));
        assert_eq!(derived, Ok(openssl.read("derived")), "{name}");
    }
}

/// The concatenation KDF, with and without the mechanism that names the cofactor, which is 1.
#[test]
fn the_kdf_of_sp800_56a_after_the_agreement() {
    let bench = shared();
    let key = bench.key(json!({"obj_type": "EC", "elliptic_curve": "NistP256", "key_ops": ["AGREEKEY", "EXPORT"]}));
    let (module, session, private) = bench.use_key(&key);
    let spki = bench.public_key(&key);
    let point = spki[spki.len() - 65..].to_vec();
    let ecdh = |kdf, shared: &[u8]| Mechanism::Ecdh { kdf, shared: shared.to_vec(), point: point.clone() };
    let secret: String =
        module.derive(session, &ecdh(CKD_NULL, b""), private, &[]).expect("a secret").iter().map(|byte| format!("{byte:02x}")).collect();
    let len = 70_u64.to_ne_bytes();
    for (kdf, name) in [(CKD_SHA1_KDF_SP800, "SHA1"), (CKD_SHA256_KDF_SP800, "SHA256"), (CKD_SHA3_512_KDF_SP800, "SHA3-512")] {
        let openssl = Openssl::new();
        openssl
            .run(&format!("kdf -keylen 70 -kdfopt digest:{name} -kdfopt hexkey:{secret} -kdfopt info:shared -binary -out derived SSKDF"));
        let mechanism = ecdh(kdf, b"shared");
        assert_eq!(module.derive(session, &mechanism, private, &[(CKA_VALUE_LEN, &len)]), Ok(openssl.read("derived")), "{name}");
        let with_cofactor = mechanism.with(|m| {
            // SAFETY: the mechanism is the test's own, and lives over the call.
            unsafe { (*m).mechanism = CKM_ECDH1_COFACTOR_DERIVE };
            let (mut template, mut made) = (attributes(&[(CKA_VALUE_LEN, &len)]), 0);
            ok(call!(module, C_DeriveKey(session, m, private, template.as_mut_ptr(), 1, &raw mut made)))?;
            module.attribute(session, made, CKA_VALUE)
        });
        assert_eq!(with_cofactor, Ok(openssl.read("derived")));
    }
}

/// The salt is a key; what comes out is a key, or data.
#[test]
fn hkdf_with_a_key_as_salt_and_to_data() {
    let bench = shared();
    let (imported, salt) = (bench.import("HMAC", &[7; 32], &["DERIVEKEY"], true), bench.import("HMAC", &[8; 20], &["DERIVEKEY"], true));
    let (module, session, [base, salt]) = bench.use_keys([&imported, &salt]);
    let openssl = Openssl::new();
    let (key, hex_salt) = ("07".repeat(32), "08".repeat(20));
    openssl.run(&format!("kdf -keylen 42 -kdfopt digest:SHA256 -kdfopt hexkey:{key} -kdfopt hexsalt:{hex_salt} -binary -out derived HKDF"));
    let len = 42_u64.to_ne_bytes();
    let template = [(CKA_VALUE_LEN, &len[..])];
    let held = secret(&module, session, CKK_GENERIC_SECRET, &[8; 20]).expect("a session key");
    for salt in [salt, held] {
        assert_eq!(module.derive(session, &Mechanism::HkdfSalted(CKM_HKDF_DERIVE, salt), base, &template), Ok(openssl.read("derived")));
    }
    let data = module.derive_key(session, &Mechanism::HkdfSalted(CKM_HKDF_DATA, salt), base, &template).expect("data");
    assert_eq!(module.attribute(session, data, CKA_VALUE), Ok(openssl.read("derived")));
    assert_eq!(module.attribute(session, data, CKA_CLASS), Ok(CKO_DATA.to_ne_bytes().to_vec()));
    assert_eq!(module.attribute(session, data, CKA_PRIVATE), Ok(TRUE.to_vec()), "as the base key");
    assert_eq!(module.attribute(session, data, CKA_VALUE_LEN), Err(CKR_ATTRIBUTE_TYPE_INVALID));
    let to_data = Mechanism::HkdfSalted(CKM_HKDF_DATA, held);
    assert_eq!(module.derive_key(session, &to_data, base, &[(CKA_VALUE, b"mine")]), Err(CKR_TEMPLATE_INCONSISTENT));
    assert_eq!(module.derive_key(session, &to_data, base, &[]), Err(CKR_TEMPLATE_INCOMPLETE));

    let class = CKO_SECRET_KEY.to_ne_bytes();
    let kind = CKK_GENERIC_SECRET.to_ne_bytes();
    let not_for_that = [(CKA_CLASS, &class[..]), (CKA_KEY_TYPE, &kind), (CKA_VALUE, &[8; 20]), (CKA_DERIVE, FALSE)];
    let not_for_that = crate::session_objects::create(&module, session, &not_for_that).expect("a session key");
    for (salt, code) in [(not_for_that, CKR_KEY_FUNCTION_NOT_PERMITTED), (0, CKR_KEY_HANDLE_INVALID), (data, CKR_KEY_HANDLE_INVALID)] {
        assert_eq!(module.derive(session, &Mechanism::HkdfSalted(CKM_HKDF_DERIVE, salt), base, &template), Err(code));
    }
}

#[test]
fn hkdf_by_steps_from_a_key_in_dsm_and_one_of_the_session() {
    let bench = shared();
    let imported = bench.import("HMAC", &[7; 32], &["DERIVEKEY"], true);
    let (module, session, token) = bench.use_key(&imported);
    let held = secret(&module, session, CKK_HKDF, &[7; 32]).expect("a session key");
    let len = 42_u64.to_ne_bytes();
    let hkdf = |steps| Mechanism::Hkdf { hash: CKM_SHA256, steps, salt: b"salt".to_vec(), info: b"info".to_vec() };
    let openssl = Openssl::new();
    let key: String = "07".repeat(32);
    openssl.run(&format!(
        "kdf -keylen 42 -kdfopt digest:SHA256 -kdfopt hexkey:{key} -kdfopt salt:salt -kdfopt info:info -binary -out derived HKDF"
    ));
    for base in [token, held] {
        assert_eq!(module.derive(session, &hkdf((true, true)), base, &[(CKA_VALUE_LEN, &len)]), Ok(openssl.read("derived")));
        let extracted = module.derive(session, &hkdf((true, false)), base, &[]).expect("a pseudo-random key");
        let extracted = secret(&module, session, CKK_HKDF, &extracted).expect("a session key");
        assert_eq!(module.derive(session, &hkdf((false, true)), extracted, &[(CKA_VALUE_LEN, &len)]), Ok(openssl.read("derived")));
        assert_eq!(module.derive(session, &hkdf((true, true)), base, &[]), Err(CKR_TEMPLATE_INCOMPLETE));
        assert_eq!(module.derive(session, &hkdf((false, false)), base, &[]), Err(CKR_MECHANISM_PARAM_INVALID));
    }
}

#[test]
fn ml_kem_gives_both_sides_the_same_key() {
    let bench = shared();
    for (set, len) in [("MlKem512", 768), ("MlKem768", 1088), ("MlKem1024", 1568)] {
        let key = bench.key(json!({"obj_type": "MLKEM", "mlkem": {"param_set": set}, "key_ops": ["ENCAPSULATE", "DECAPSULATE", "EXPORT"]}));
        let (module, session, private) = bench.use_key(&key);
        let public = module.object(session, CKO_PUBLIC_KEY, &key.label);
        let (class, kind) = (CKO_SECRET_KEY.to_ne_bytes(), CKK_AES.to_ne_bytes());
        let template = [(CKA_CLASS, &class[..]), (CKA_KEY_TYPE, &kind), (CKA_SENSITIVE, FALSE), (CKA_EXTRACTABLE, TRUE)];
        let mut template = attributes(&template);
        let count = template.len() as CK_ULONG;
        let template = template.as_mut_ptr();
        let ours = std::cell::Cell::new(0);
        let ciphertext = Mechanism::Plain(CKM_ML_KEM).with(|m| {
            output(|out, out_len| {
                let mut made = 0;
                let code = call!(module, C_EncapsulateKey(session, m, public, template, count, out, out_len, &raw mut made));
                ours.set(made);
                code
            })
        });
        let mut ciphertext = ciphertext.expect("it encapsulates");
        assert_eq!(ciphertext.len(), len);
        let decapsulate = |ciphertext: &mut [u8]| {
            let mut theirs = 0;
            let (data, len) = (ciphertext.as_mut_ptr(), ciphertext.len() as CK_ULONG);
            let code = Mechanism::Plain(CKM_ML_KEM)
                .with(|m| call!(module, C_DecapsulateKey(session, m, private, template, count, data, len, &raw mut theirs)));
            ok(code)?;
            module.attribute(session, theirs, CKA_VALUE)
        };
        let secret = module.attribute(session, ours.get(), CKA_VALUE).expect("a value");
        assert_eq!((secret.len(), decapsulate(&mut ciphertext)), (32, Ok(secret.clone())), "{set}");
        ciphertext[5] ^= 1;
        assert_ne!(decapsulate(&mut ciphertext), Ok(secret), "a forged one gives another secret");
        assert_eq!(decapsulate(&mut ciphertext[1..]), Err(CKR_WRAPPED_KEY_LEN_RANGE));
    }
}

/// A thousand rounds of HMAC-SHA-256.
const fn pbkdf2(salt: &mut [u8; 4], password: &mut [u8; 8]) -> CK_PKCS5_PBKD2_PARAMS2 {
    CK_PKCS5_PBKD2_PARAMS2 {
        saltSource: CKZ_SALT_SPECIFIED,
        pSaltSourceData: salt.as_mut_ptr().cast(),
        ulSaltSourceDataLen: 4,
        iterations: 1000,
        prf: CKP_PKCS5_PBKD2_HMAC_SHA256,
        pPrfData: null_mut(),
        ulPrfDataLen: 0,
        pPassword: password.as_mut_ptr(),
        ulPasswordLen: 8,
    }
}

fn from_password(
    (module, session): (&Module, CK_SESSION_HANDLE),
    params: &mut CK_PKCS5_PBKD2_PARAMS2,
    template: &[(CK_ATTRIBUTE_TYPE, &[u8])],
) -> Result<Vec<u8>, CK_RV> {
    let size = size_of_val(params) as CK_ULONG;
    let mut mechanism = CK_MECHANISM { mechanism: CKM_PKCS5_PBKD2, pParameter: (&raw mut *params).cast(), ulParameterLen: size };
    let (mut template, mut key) = (attributes(template), 0);
    let count = template.len() as CK_ULONG;
    ok(call!(module, C_GenerateKey(session, &raw mut mechanism, template.as_mut_ptr(), count, &raw mut key)))?;
    module.attribute(session, key, CKA_VALUE)
}

#[test]
fn keys_from_passwords_are_those_of_openssl() {
    let module = shared().another();
    let session = module.logged_in();
    let (mut salt, mut password) = (*b"salt", *b"password");
    let mut params = pbkdf2(&mut salt, &mut password);
    let generate = |params: &mut CK_PKCS5_PBKD2_PARAMS2, template: &[_]| from_password((&module, session), params, template);
    let (len, aes) = (32_u64.to_ne_bytes(), CKK_AES.to_ne_bytes());
    let openssl = Openssl::new();
    openssl.run("kdf -keylen 32 -kdfopt digest:SHA256 -kdfopt pass:password -kdfopt salt:salt -kdfopt iter:1000 -binary -out key PBKDF2");
    assert_eq!(generate(&mut params, &[(CKA_VALUE_LEN, &len)]), Ok(openssl.read("key")));
    assert_eq!(generate(&mut params, &[(CKA_KEY_TYPE, &aes), (CKA_VALUE_LEN, &len)]), Ok(openssl.read("key")));
    assert_eq!(generate(&mut params, &[]), Err(CKR_TEMPLATE_INCOMPLETE));
    let bad = |change: fn(&mut CK_PKCS5_PBKD2_PARAMS2)| {
        let mut changed = params;
        change(&mut changed);
        changed
    };
    for mut params in [
        bad(|params| params.iterations = 0),
        // Weeks of work, for which every fork would wait.
        bad(|params| params.iterations = u64::from(u32::MAX)),
        bad(|params| params.prf = 99),
        bad(|params| params.saltSource = 0),
        bad(|params| params.pPassword = null_mut()),
        bad(|params| params.ulPasswordLen = CK_UNAVAILABLE_INFORMATION),
        bad(|params| params.ulSaltSourceDataLen = CK_UNAVAILABLE_INFORMATION),
    ] {
        assert_eq!(generate(&mut params, &[(CKA_VALUE_LEN, &len)]), Err(CKR_MECHANISM_PARAM_INVALID));
    }
}

/// In the structure of version 2.20, which NSS gives, the length is a pointer. What lies so high is no length.
#[test]
fn a_pointer_to_the_length_of_a_password_is_taken_as_nss_gives_it() {
    let module = shared().another();
    let session = module.logged_in();
    let (mut salt, mut password) = (*b"salt", *b"password");
    let mut params = pbkdf2(&mut salt, &mut password);
    let len = 32_u64.to_ne_bytes();
    let mut generate = |password_len| {
        params.ulPasswordLen = password_len;
        from_password((&module, session), &mut params, &[(CKA_VALUE_LEN, &len)])
    };
    let key = generate(8);
    assert!(key.is_ok());
    for (password_len, expected) in [(8, key), (CK_UNAVAILABLE_INFORMATION, Err(CKR_MECHANISM_PARAM_INVALID))] {
        assert_eq!(generate((&raw const password_len) as CK_ULONG), expected);
    }
}
