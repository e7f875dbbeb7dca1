//! Token objects: made, imported, changed and destroyed in DSM. What DSM holds afterwards is read over REST, by a client of its own.

use std::ptr::null_mut;

use cryptoki_sys::*;
use serde_json::{Value, json};

use crate::keys::{Bench, shared};
use crate::module::{Mechanism, Module, attributes, call, gcm, ok};
use crate::session_objects::{FALSE, TRUE, create};

pub(crate) type Template<'a> = Vec<(CK_ATTRIBUTE_TYPE, &'a [u8])>;

/// A label that no other test uses.
pub(crate) fn label() -> String {
    format!("tok {}", uuid::Uuid::new_v4())
}

pub(crate) fn generate(
    module: &Module,
    session: CK_SESSION_HANDLE,
    kind: CK_MECHANISM_TYPE,
    template: &Template<'_>,
) -> Result<CK_OBJECT_HANDLE, CK_RV> {
    let mut template = attributes(template);
    let mut key = 0;
    let code = Mechanism::Plain(kind).with(|mechanism| {
        call!(module, C_GenerateKey(session, mechanism, template.as_mut_ptr(), template.len() as CK_ULONG, &raw mut key))
    });
    ok(code).map(|()| key)
}

/// The public and the private key.
pub(crate) fn generate_pair(
    module: &Module,
    session: CK_SESSION_HANDLE,
    kind: CK_MECHANISM_TYPE,
    public: &Template<'_>,
    private: &Template<'_>,
) -> Result<(CK_OBJECT_HANDLE, CK_OBJECT_HANDLE), CK_RV> {
    let (mut public, mut private) = (attributes(public), attributes(private));
    let (mut public_key, mut private_key) = (0, 0);
    let code = Mechanism::Plain(kind).with(|mechanism| {
        let (public_len, private_len) = (public.len() as CK_ULONG, private.len() as CK_ULONG);
        call!(
            module,
            C_GenerateKeyPair(
                session,
                mechanism,
                public.as_mut_ptr(),
                public_len,
                private.as_mut_ptr(),
                private_len,
                &raw mut public_key,
                &raw mut private_key
            )
        )
    });
    ok(code).map(|()| (public_key, private_key))
}

pub(crate) fn set(module: &Module, session: CK_SESSION_HANDLE, object: CK_OBJECT_HANDLE, template: &Template<'_>) -> CK_RV {
    let mut template = attributes(template);
    call!(module, C_SetAttributeValue(session, object, template.as_mut_ptr(), template.len() as CK_ULONG))
}

/// What DSM shows of the sobject with this PKCS#11 label; null where there is none.
fn in_dsm(bench: &Bench, label: &str) -> Value {
    let all = bench.stack.dsm().request("GET", "/crypto/v1/keys?show_newer_types=true", None).success().json();
    let found = all.as_array().expect("a listing").iter().find(|sobject| sobject["custom_metadata"]["pkcs11_label"] == label).cloned();
    found.unwrap_or_default()
}

#[test]
fn a_secret_key_is_made_in_dsm_changed_and_destroyed() {
    let bench = shared();
    let (module, label) = (bench.another(), label());
    let session = module.logged_in();
    let template = vec![(CKA_TOKEN, TRUE), (CKA_LABEL, label.as_bytes()), (CKA_ID, b"my id"), (CKA_VALUE_LEN, &[32, 0, 0, 0, 0, 0, 0, 0])];
    let key = generate(&module, session, CKM_AES_KEY_GEN, &template).expect("an AES key");
    let sobject = in_dsm(bench, &label);
    assert_eq!((sobject["obj_type"].as_str(), sobject["key_size"].as_u64()), (Some("AES"), Some(256)));
    let kid = sobject["kid"].as_str().expect("a kid").to_owned();
    // Used at once, by the copy that the cache exported: DSM was not asked to encrypt.
    let encrypted = module.encrypt(session, &gcm(), key, b"data").expect("it encrypts");
    assert_eq!((bench.stack.dsm().exports_of(&kid), bench.stack.dsm().uses_of(&kid, "encrypt")), (1, 0));
    for (kind, value) in [
        (CKA_TOKEN, TRUE),
        (CKA_LOCAL, TRUE),
        (CKA_SENSITIVE, TRUE),
        (CKA_ALWAYS_SENSITIVE, TRUE),
        (CKA_EXTRACTABLE, FALSE),
        (CKA_COPYABLE, FALSE),
        (CKA_MODIFIABLE, TRUE),
        (CKA_DESTROYABLE, TRUE),
        (CKA_ID, b"my id"),
        (CKA_KEY_GEN_MECHANISM, &CKM_AES_KEY_GEN.to_ne_bytes()),
    ] {
        assert_eq!(module.attribute(session, key, kind), Ok(value.to_vec()), "{kind:#x}");
    }
    assert_eq!(module.attribute(session, key, CKA_VALUE), Err(CKR_ATTRIBUTE_SENSITIVE));

    // Label, id and usage are written to DSM, and seen by another process.
    assert_eq!(set(&module, session, key, &vec![(CKA_ID, b"new id"), (CKA_ENCRYPT, FALSE)]), CKR_OK);
    assert_eq!(module.encrypt(session, &gcm(), key, b"data"), Err(CKR_KEY_FUNCTION_NOT_PERMITTED));
    assert_eq!(module.decrypt(session, &gcm(), key, &encrypted), Ok(b"data".to_vec()));
    assert!(!in_dsm(bench, &label)["key_ops"].as_array().expect("operations").contains(&"ENCRYPT".into()));
    let other = bench.another();
    let other_session = other.logged_in();
    assert_eq!(other.find(other_session, &[(CKA_ID, b"new id"), (CKA_LABEL, label.as_bytes())]).len(), 1);

    assert_eq!(call!(module, C_DestroyObject(session, key)), CKR_OK);
    assert_eq!(in_dsm(bench, &label), Value::Null);
    assert_eq!(module.attribute(session, key, CKA_ID), Err(CKR_OBJECT_HANDLE_INVALID));
    assert_eq!(module.decrypt(session, &gcm(), key, &encrypted), Err(CKR_KEY_HANDLE_INVALID));
}

#[test]
fn key_pairs_of_every_type_are_made_in_the_session_and_in_dsm() {
    let bench = shared();
    let module = bench.another();
    let session = module.logged_in();
    let p256 = [0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
    let k256 = [0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x0a];
    let [bits, ml_dsa, ml_kem] = [2048, CKP_ML_DSA_65, CKP_ML_KEM_768].map(CK_ULONG::to_ne_bytes);
    for (mechanism, parameter, key_type, obj_type) in [
        (CKM_RSA_PKCS_KEY_PAIR_GEN, (CKA_MODULUS_BITS, &bits[..]), CKK_RSA, "RSA"),
        (CKM_EC_KEY_PAIR_GEN, (CKA_EC_PARAMS, &p256), CKK_EC, "EC"),
        (CKM_EC_KEY_PAIR_GEN, (CKA_EC_PARAMS, &k256), CKK_EC, "EC"),
        (CKM_EC_EDWARDS_KEY_PAIR_GEN, (CKA_EC_PARAMS, b"\x06\x03\x2b\x65\x70"), CKK_EC_EDWARDS, "EC"),
        (CKM_EC_EDWARDS_KEY_PAIR_GEN, (CKA_EC_PARAMS, b"\x13\x0cedwards25519"), CKK_EC_EDWARDS, "EC"),
        (CKM_EC_MONTGOMERY_KEY_PAIR_GEN, (CKA_EC_PARAMS, b"\x06\x03\x2b\x65\x6e"), CKK_EC_MONTGOMERY, "EC"),
        (CKM_ML_DSA_KEY_PAIR_GEN, (CKA_PARAMETER_SET, &ml_dsa), CKK_ML_DSA, "MLDSA"),
        (CKM_ML_KEM_KEY_PAIR_GEN, (CKA_PARAMETER_SET, &ml_kem), CKK_ML_KEM, "MLKEM"),
    ] {
        for token in [FALSE, TRUE] {
            let label = label();
            let common: Template<'_> = vec![(CKA_TOKEN, token), (CKA_LABEL, label.as_bytes()), (CKA_ID, b"pair")];
            let public: Template<'_> = common.iter().copied().chain([parameter]).collect();
            let (public, private) = generate_pair(&module, session, mechanism, &public, &common).expect(obj_type);
            assert_eq!(in_dsm(bench, &label)["obj_type"].as_str(), (token == TRUE).then_some(obj_type));
            let [public_info, private_info] =
                [public, private].map(|key| module.attribute(session, key, CKA_PUBLIC_KEY_INFO).expect(obj_type));
            assert_eq!(public_info, private_info);
            for key in [public, private] {
                assert_eq!(module.attribute(session, key, CKA_KEY_TYPE), Ok(key_type.to_ne_bytes().to_vec()), "{obj_type}");
                assert_eq!(module.attribute(session, key, CKA_LOCAL), Ok(TRUE.to_vec()));
                assert_eq!(module.attribute(session, key, CKA_LABEL), Ok(label.clone().into_bytes()));
                assert_eq!(module.attribute(session, key, CKA_KEY_GEN_MECHANISM), Ok(mechanism.to_ne_bytes().to_vec()));
            }
            assert_eq!(module.find(session, &[(CKA_LABEL, label.as_bytes())]).len(), 2);
            if key_type == CKK_RSA {
                let mechanism = Mechanism::Plain(CKM_SHA256_RSA_PKCS);
                let signature = module.sign(session, &mechanism, private, b"data").expect("it signs");
                assert_eq!(module.verify(session, &mechanism, public, b"data", &signature), CKR_OK);
            }
            if key_type == CKK_EC {
                let mechanism = Mechanism::Plain(CKM_ECDSA_SHA256);
                let signature = module.sign(session, &mechanism, private, b"data").expect("it signs");
                assert_eq!(module.verify(session, &mechanism, public, b"data", &signature), CKR_OK);
            }
        }
    }
}

#[test]
fn secret_keys_of_every_type_are_generated() {
    let bench = shared();
    let module = bench.another();
    let session = module.logged_in();
    let len = |len: CK_ULONG| len.to_ne_bytes();
    for (mechanism, given, key_type, expected) in [
        (CKM_AES_KEY_GEN, Some(len(16)), CKK_AES, 16),
        (CKM_DES2_KEY_GEN, None, CKK_DES2, 16),
        (CKM_DES3_KEY_GEN, None, CKK_DES3, 24),
        (CKM_CHACHA20_KEY_GEN, None, CKK_CHACHA20, 32),
        (CKM_GENERIC_SECRET_KEY_GEN, Some(len(5)), CKK_GENERIC_SECRET, 5),
        (CKM_GENERIC_SECRET_KEY_GEN, Some(len(48)), CKK_GENERIC_SECRET, 48),
        (CKM_SHA384_KEY_GEN, None, CKK_SHA384_HMAC, 48),
        (CKM_SHA_1_KEY_GEN, None, CKK_SHA_1_HMAC, 20),
        (CKM_HKDF_KEY_GEN, Some(len(32)), CKK_HKDF, 32),
    ] {
        for token in [FALSE, TRUE] {
            let label = label();
            let mut template = vec![(CKA_TOKEN, token), (CKA_LABEL, label.as_bytes())];
            if let Some(given) = &given {
                template.push((CKA_VALUE_LEN, given));
            }
            let made = generate(&module, session, mechanism, &template);
            if token == TRUE && (key_type == CKK_CHACHA20 || expected == 5) {
                // DSM has no type for the one, and keeps no HMAC key as short as the other.
                let refusal = if key_type == CKK_CHACHA20 { CKR_TEMPLATE_INCONSISTENT } else { CKR_KEY_SIZE_RANGE };
                assert_eq!((made, in_dsm(bench, &label)), (Err(refusal), Value::Null), "{mechanism:#x}");
                continue;
            }
            let key = made.expect("a key");
            assert_eq!(module.attribute(session, key, CKA_KEY_TYPE), Ok(key_type.to_ne_bytes().to_vec()), "{mechanism:#x}");
            assert_eq!(module.attribute(session, key, CKA_VALUE_LEN), Ok(len(expected).to_vec()), "{mechanism:#x}");
            assert_eq!(module.attribute(session, key, CKA_KEY_GEN_MECHANISM), Ok(len(mechanism).to_vec()), "{mechanism:#x}");
            let value = module.attribute(session, key, CKA_VALUE);
            assert_eq!(value.map(|value| value.len()), if token == TRUE { Err(CKR_ATTRIBUTE_SENSITIVE) } else { Ok(expected as usize) });
        }
    }
    for (mechanism, template, expected) in [
        (CKM_AES_KEY_GEN, vec![], CKR_TEMPLATE_INCOMPLETE),
        (CKM_AES_KEY_GEN, vec![(CKA_VALUE_LEN, len(17))], CKR_ATTRIBUTE_VALUE_INVALID),
        (CKM_DES3_KEY_GEN, vec![(CKA_VALUE_LEN, len(16))], CKR_TEMPLATE_INCONSISTENT),
        (CKM_AES_KEY_GEN, vec![(CKA_VALUE_LEN, len(16)), (CKA_CLASS, len(CKO_PUBLIC_KEY))], CKR_TEMPLATE_INCONSISTENT),
        (CKM_AES_KEY_GEN, vec![(CKA_VALUE_LEN, len(16)), (CKA_KEY_TYPE, len(CKK_DES3))], CKR_TEMPLATE_INCONSISTENT),
        (CKM_AES_KEY_GEN, vec![(CKA_VALUE, len(16))], CKR_ATTRIBUTE_READ_ONLY),
        (CKM_AES_ECB, vec![], CKR_MECHANISM_INVALID),
        (CKM_RSA_PKCS_KEY_PAIR_GEN, vec![], CKR_MECHANISM_INVALID),
    ] {
        let template = template.iter().map(|(kind, value)| (*kind, &value[..])).collect();
        assert_eq!(generate(&module, session, mechanism, &template), Err(expected), "{mechanism:#x}");
    }
}

#[test]
fn trap_21_token_objects_need_a_read_write_session_and_private_ones_a_login() {
    let module = shared().another();
    let (read_only, read_write) = (module.open(CKF_SERIAL_SESSION), module.open(CKF_SERIAL_SESSION | CKF_RW_SESSION));
    let len = [16, 0, 0, 0, 0, 0, 0, 0];
    let template = |private| vec![(CKA_TOKEN, TRUE), (CKA_PRIVATE, private), (CKA_VALUE_LEN, &len[..])];
    assert_eq!(generate(&module, read_only, CKM_AES_KEY_GEN, &template(FALSE)), Err(CKR_SESSION_READ_ONLY));
    assert_eq!(generate(&module, read_write, CKM_AES_KEY_GEN, &template(TRUE)), Err(CKR_USER_NOT_LOGGED_IN));
    module.logged_in();
    let key = generate(&module, read_write, CKM_AES_KEY_GEN, &template(TRUE)).expect("a key");
    assert_eq!(call!(module, C_DestroyObject(read_only, key)), CKR_SESSION_READ_ONLY);
    assert_eq!(set(&module, read_only, key, &vec![(CKA_LABEL, b"other")]), CKR_SESSION_READ_ONLY);
    assert_eq!(call!(module, C_DestroyObject(read_write, key)), CKR_OK);
}

#[test]
fn token_keys_stay_secret_unless_the_configuration_says_otherwise() {
    let len = [16, 0, 0, 0, 0, 0, 0, 0];
    for readable in [(CKA_SENSITIVE, FALSE), (CKA_EXTRACTABLE, TRUE)] {
        let module = shared().another();
        let session = module.logged_in();
        let template = vec![(CKA_TOKEN, TRUE), (CKA_VALUE_LEN, &len[..]), readable];
        assert_eq!(generate(&module, session, CKM_AES_KEY_GEN, &template), Err(CKR_TEMPLATE_INCONSISTENT));
    }
    let bench = Bench::start_with("allow_plaintext = true\n");
    let module = &bench.module;
    let session = module.logged_in();
    let template = vec![(CKA_TOKEN, TRUE), (CKA_VALUE_LEN, &len[..]), (CKA_SENSITIVE, FALSE), (CKA_EXTRACTABLE, TRUE)];
    let key = generate(module, session, CKM_AES_KEY_GEN, &template).expect("a key");
    assert_eq!(module.attribute(session, key, CKA_VALUE).map(|value| value.len()), Ok(16));
    assert_eq!(module.attribute(session, key, CKA_ALWAYS_SENSITIVE), Ok(FALSE.to_vec()));
    // Trap 22: the way back is closed.
    assert_eq!(set(module, session, key, &vec![(CKA_SENSITIVE, TRUE)]), CKR_OK);
    assert_eq!(module.attribute(session, key, CKA_VALUE), Err(CKR_ATTRIBUTE_SENSITIVE));
    assert_eq!(set(module, session, key, &vec![(CKA_SENSITIVE, FALSE)]), CKR_ATTRIBUTE_READ_ONLY);
    assert_eq!(module.attribute(session, key, CKA_ALWAYS_SENSITIVE), Ok(FALSE.to_vec()));
    // A key that was made elsewhere is nobody's to read here either.
    let foreign = bench.aes();
    let module = bench.another();
    let session = module.logged_in();
    let object = module.object(session, CKO_SECRET_KEY, &foreign.label);
    assert_eq!(module.attribute(session, object, CKA_VALUE), Err(CKR_ATTRIBUTE_SENSITIVE));
}

/// What others changed since this process listed its keys stays as they left it.
#[test]
fn a_change_undoes_no_other() {
    let bench = shared();
    let (module, label) = (bench.another(), label());
    let session = module.logged_in();
    let template = vec![(CKA_TOKEN, TRUE), (CKA_LABEL, label.as_bytes()), (CKA_VALUE_LEN, &[32, 0, 0, 0, 0, 0, 0, 0])];
    let key = generate(&module, session, CKM_AES_KEY_GEN, &template).expect("a key");
    let mut sobject = in_dsm(bench, &label);
    let kid = sobject["kid"].as_str().expect("a kid").to_owned();
    let operations = sobject["key_ops"].as_array_mut().expect("operations");
    operations.retain(|operation| operation != "DECRYPT");
    let mut metadata = sobject["custom_metadata"].clone();
    metadata["another's"] = json!("stays");
    metadata["pkcs11_object"] = json!(r#"{"CKA_WRAP_WITH_TRUSTED":"AQ=="}"#);
    let change = json!({"key_ops": sobject["key_ops"], "custom_metadata": metadata});
    bench.stack.dsm().request("PATCH", &format!("/crypto/v1/keys/{kid}"), Some(change)).success();
    assert_eq!(set(&module, session, key, &vec![(CKA_WRAP_WITH_TRUSTED, FALSE)]), CKR_ATTRIBUTE_READ_ONLY, "somebody set it for ever");
    assert_eq!(set(&module, session, key, &vec![(CKA_ID, b"new"), (CKA_ENCRYPT, FALSE)]), CKR_OK);
    let after = in_dsm(bench, &label);
    let operations = after["key_ops"].as_array().expect("operations");
    assert!(!operations.iter().any(|operation| operation == "DECRYPT" || operation == "ENCRYPT"), "{after}");
    assert_eq!(
        (&after["custom_metadata"]["another's"], &after["custom_metadata"]["pkcs11_object"]),
        (&metadata["another's"], &metadata["pkcs11_object"])
    );
    assert_eq!(module.attribute(session, key, CKA_DECRYPT), Ok(FALSE.to_vec()));
    assert_eq!(module.attribute(session, key, CKA_ID), Ok(b"new".to_vec()));
}

/// A key that somebody else deleted is gone when that is seen.
#[test]
fn a_key_that_is_not_there_any_more() {
    let bench = shared();
    let key = bench.key(json!({"obj_type": "AES", "key_size": 256, "key_ops": ["ENCRYPT", "APPMANAGEABLE"]}));
    let (module, session, object) = bench.use_key(&key);
    bench.stack.dsm().request("DELETE", &format!("/crypto/v1/keys/{}", key.kid), None).success();
    assert!(module.attribute(session, object, CKA_LABEL).is_ok(), "the listing is older");
    assert_eq!(call!(module, C_DestroyObject(session, object)), CKR_OBJECT_HANDLE_INVALID);
    assert_eq!(module.attribute(session, object, CKA_LABEL), Err(CKR_OBJECT_HANDLE_INVALID));
}

/// Trap 12: what DSM does not let this app read is sensitive, and the other entries are answered.
#[test]
fn trap_12_a_secret_that_is_not_ours_to_read() {
    let bench = shared();
    let secret = bench.import("SECRET", b"not to be exported", &[], false);
    let module = bench.another();
    let session = module.logged_in();
    let object = module.object(session, CKO_DATA, &secret.label);
    let (mut label, mut value) = (vec![0_u8; 64], [0_u8; 64]);
    let mut template = [(CKA_VALUE, &mut value[..]), (CKA_LABEL, &mut label)].map(|(kind, place)| CK_ATTRIBUTE {
        type_: kind,
        pValue: place.as_mut_ptr().cast(),
        ulValueLen: place.len() as CK_ULONG,
    });
    assert_eq!(call!(module, C_GetAttributeValue(session, object, template.as_mut_ptr(), 2)), CKR_ATTRIBUTE_SENSITIVE);
    assert_eq!(template.map(|entry| entry.ulValueLen), [CK_UNAVAILABLE_INFORMATION, secret.label.len() as CK_ULONG]);
    assert_eq!(&label[..secret.label.len()], secret.label.as_bytes());
    assert_eq!(value, [0; 64]);
}

/// What DSM cannot change, and a use that it has no word for, is refused.
#[test]
fn trap_22_no_change_is_lost() {
    let bench = shared();
    let module = bench.another();
    let session = module.logged_in();
    let class = CKO_DATA.to_ne_bytes();
    for private in [FALSE, TRUE] {
        let template = [(CKA_CLASS, &class[..]), (CKA_TOKEN, TRUE), (CKA_PRIVATE, private), (CKA_VALUE, b"old")];
        let data = create(&module, session, &template).expect("data");
        assert_eq!(set(&module, session, data, &vec![(CKA_APPLICATION, b"app"), (CKA_VALUE, b"new")]), CKR_ATTRIBUTE_READ_ONLY);
        assert_eq!(module.attribute(session, data, CKA_VALUE), Ok(b"old".to_vec()));
        assert_eq!(module.attribute(session, data, CKA_APPLICATION), Ok(Vec::new()));
        assert_eq!(set(&module, session, data, &vec![(CKA_APPLICATION, b"app")]), CKR_OK);
        assert_eq!(module.attribute(session, data, CKA_APPLICATION), Ok(b"app".to_vec()));
    }
    let template = vec![(CKA_TOKEN, TRUE), (CKA_VALUE_LEN, &[32, 0, 0, 0, 0, 0, 0, 0][..])];
    let key = generate(&module, session, CKM_GENERIC_SECRET_KEY_GEN, &template).expect("a key");
    assert_eq!(set(&module, session, key, &vec![(CKA_ENCRYPT, TRUE)]), CKR_ATTRIBUTE_VALUE_INVALID);
    assert_eq!(set(&module, session, key, &vec![(CKA_ENCRYPT, FALSE), (CKA_VERIFY, FALSE)]), CKR_OK);
    assert_eq!(module.attribute(session, key, CKA_VERIFY), Ok(FALSE.to_vec()));
}

/// A key of the token is private unless its template says otherwise, also where nobody is logged in who would see it.
#[test]
fn trap_20_a_token_key_is_private_by_default() {
    let module = shared().another();
    let session = module.open(CKF_SERIAL_SESSION | CKF_RW_SESSION);
    let template = vec![(CKA_TOKEN, TRUE), (CKA_VALUE_LEN, &[16, 0, 0, 0, 0, 0, 0, 0][..])];
    assert_eq!(generate(&module, session, CKM_AES_KEY_GEN, &template), Err(CKR_USER_NOT_LOGGED_IN));
    let p256 = [0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
    let public = vec![(CKA_TOKEN, TRUE), (CKA_EC_PARAMS, &p256[..])];
    let pair = generate_pair(&module, session, CKM_EC_KEY_PAIR_GEN, &public, &vec![(CKA_TOKEN, TRUE)]);
    assert_eq!(pair, Err(CKR_USER_NOT_LOGGED_IN));
    let open: Template<'_> = template.iter().copied().chain([(CKA_PRIVATE, FALSE)]).collect();
    let key = generate(&module, session, CKM_AES_KEY_GEN, &open).expect("a key that anybody sees");
    assert_eq!(call!(module, C_DestroyObject(session, key)), CKR_OK);
}

/// Whoever may change a sobject writes its metadata: what this library would not have written there does not count, and an object whose
/// limits cannot be read is not shown without them.
#[test]
fn metadata_of_others() {
    let bench = shared();
    let key = |object: &str| {
        bench.key(json!({"obj_type": "AES", "key_size": 256, "key_ops": ["ENCRYPT"], "custom_metadata": {"pkcs11_object": object}}))
    };
    let told = key(
        r#"{"CKA_KEY_GEN_MECHANISM":"AQAAAAAAAAA=","CKA_TOKEN":"AA==","CKA_VALUE_LEN":"AQAAAAAAAAA=","CKA_ENCRYPT":"AA==","CKA_SUBJECT":"AQ=="}"#,
    );
    let broken =
        ["no JSON", "7", r#"{"CKA_PRIVATE":1}"#, r#"{"CKA_ALLOWED_MECHANISMS":"AQ=="}"#, r#"{"CKA_WRAP_WITH_TRUSTED":"!"}"#].map(key);
    let (module, session, object) = bench.use_key(&told);
    let made_by = CKM_AES_KEY_GEN.to_ne_bytes();
    let expected = [(CKA_KEY_GEN_MECHANISM, &made_by[..]), (CKA_TOKEN, TRUE), (CKA_ENCRYPT, TRUE), (CKA_VALUE_LEN, &32_u64.to_ne_bytes())];
    for (attribute, value) in expected {
        assert_eq!(module.attribute(session, object, attribute), Ok(value.to_vec()), "{attribute:#x}");
    }
    for key in broken {
        assert!(module.find(session, &[(CKA_LABEL, key.label.as_bytes())]).is_empty());
    }
}

/// What may not be changed is refused with the value that it has, too; what may be, leaves no trace where it is so already.
#[test]
fn trap_22_a_change_that_changes_nothing() {
    let bench = shared();
    let (module, label) = (bench.another(), label());
    let session = module.logged_in();
    let template = vec![(CKA_TOKEN, TRUE), (CKA_LABEL, label.as_bytes()), (CKA_VALUE_LEN, &[32, 0, 0, 0, 0, 0, 0, 0])];
    let key = generate(&module, session, CKM_GENERIC_SECRET_KEY_GEN, &template).expect("a key");
    let before = in_dsm(bench, &label);
    for (attribute, value) in [(CKA_KEY_TYPE, &CKK_GENERIC_SECRET.to_ne_bytes()[..]), (CKA_LOCAL, TRUE), (CKA_TOKEN, TRUE)] {
        assert_eq!(set(&module, session, key, &vec![(attribute, value)]), CKR_ATTRIBUTE_READ_ONLY, "{attribute:#x}");
    }
    let same = vec![(CKA_SENSITIVE, TRUE), (CKA_EXTRACTABLE, FALSE), (CKA_LABEL, label.as_bytes()), (CKA_SIGN, TRUE)];
    assert_eq!(set(&module, session, key, &same), CKR_OK);
    assert_eq!(in_dsm(bench, &label), before);
    assert_eq!(module.attribute(session, key, CKA_ALWAYS_SENSITIVE), Ok(TRUE.to_vec()));
    assert!(module.find(session, &[(CKA_CLASS, &CKO_DATA.to_ne_bytes()), (CKA_LABEL, label.as_bytes())]).is_empty());
}

#[test]
fn a_pair_is_made_whole_or_not_at_all() {
    let bench = shared();
    let (module, label) = (bench.another(), label());
    let session = module.logged_in();
    let p256 = [0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
    let private = vec![(CKA_TOKEN, TRUE), (CKA_LABEL, label.as_bytes())];
    // No fresh key is this one.
    let public = vec![(CKA_TOKEN, FALSE), (CKA_EC_PARAMS, &p256[..]), (CKA_PUBLIC_KEY_INFO, b"another key")];
    assert_eq!(generate_pair(&module, session, CKM_EC_KEY_PAIR_GEN, &public, &private), Err(CKR_ATTRIBUTE_VALUE_INVALID));
    assert!(module.find(session, &[(CKA_LABEL, label.as_bytes())]).is_empty());
    assert_eq!(in_dsm(bench, &label), Value::Null);
}

#[test]
fn the_halves_of_a_pair_are_set_apart_and_destroyed_apart() {
    let bench = shared();
    let (module, label) = (bench.another(), label());
    let session = module.logged_in();
    let p256 = [0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
    let common: Template<'_> = vec![(CKA_TOKEN, TRUE), (CKA_LABEL, label.as_bytes())];
    let public: Template<'_> = common.iter().copied().chain([(CKA_EC_PARAMS, &p256[..])]).collect();
    let (public, private) = generate_pair(&module, session, CKM_EC_KEY_PAIR_GEN, &public, &common).expect("a pair");
    assert_eq!(set(&module, session, public, &vec![(CKA_LABEL, b"the public half"), (CKA_SUBJECT, b"subject")]), CKR_OK);
    assert_eq!(module.attribute(session, public, CKA_LABEL), Ok(b"the public half".to_vec()));
    assert_eq!(module.attribute(session, public, CKA_SUBJECT), Ok(b"subject".to_vec()));
    assert_eq!(module.attribute(session, private, CKA_LABEL), Ok(label.clone().into_bytes()));
    let spki = module.attribute(session, public, CKA_PUBLIC_KEY_INFO).expect("a public key");
    let point = module.attribute(session, public, CKA_EC_POINT).expect("a point");

    // Destroyed, the public half is hidden; made again, it is back, and no second sobject is.
    assert_eq!(call!(module, C_DestroyObject(session, public)), CKR_OK);
    assert_eq!(module.attribute(session, public, CKA_LABEL), Err(CKR_OBJECT_HANDLE_INVALID));
    assert_eq!(module.find(session, &[(CKA_LABEL, label.as_bytes())]), [private]);
    assert_ne!(in_dsm(bench, &label), Value::Null);
    let [class, key_type] = [CKO_PUBLIC_KEY, CKK_EC].map(CK_ULONG::to_ne_bytes);
    let template = [
        (CKA_CLASS, &class[..]),
        (CKA_KEY_TYPE, &key_type),
        (CKA_TOKEN, TRUE),
        (CKA_LABEL, label.as_bytes()),
        (CKA_EC_PARAMS, &p256),
        (CKA_EC_POINT, &point),
    ];
    let public = create(&module, session, &template).expect("a public key");
    assert_eq!(module.attribute(session, public, CKA_PUBLIC_KEY_INFO), Ok(spki));
    assert_eq!(module.find(session, &[(CKA_LABEL, label.as_bytes())]).len(), 2);
    assert_eq!(in_dsm(bench, &label)["public_only"], false);

    // The private half takes the sobject with it. Programs that go on and destroy the public half succeed, once (`pkcs11-tool --test-ec`).
    assert_eq!(call!(module, C_DestroyObject(session, private)), CKR_OK);
    assert_eq!(in_dsm(bench, &label), Value::Null);
    assert_eq!(module.attribute(session, public, CKA_LABEL), Err(CKR_OBJECT_HANDLE_INVALID));
    assert_eq!(call!(module, C_DestroyObject(module.open(CKF_SERIAL_SESSION), public)), CKR_OBJECT_HANDLE_INVALID);
    assert_eq!(call!(module, C_DestroyObject(session, public)), CKR_OK);
    assert_eq!(call!(module, C_DestroyObject(session, public)), CKR_OBJECT_HANDLE_INVALID);
}

#[test]
fn labels_repeat_and_names_do_not() {
    let bench = shared();
    let (module, label) = (bench.another(), label());
    let session = module.logged_in();
    let template = vec![(CKA_TOKEN, TRUE), (CKA_LABEL, label.as_bytes()), (CKA_VALUE_LEN, &[16, 0, 0, 0, 0, 0, 0, 0])];
    let [one, two] = [(); 2].map(|()| generate(&module, session, CKM_AES_KEY_GEN, &template).expect("a key"));
    assert_ne!(one, two);
    assert_eq!(module.find(session, &[(CKA_LABEL, label.as_bytes())]).len(), 2);
}

#[test]
fn certificates_and_data_are_kept_in_dsm() {
    let bench = shared();
    let module = bench.another();
    let session = module.logged_in();
    let der = bench.certificate();
    let (certificate_label, data_label, secret_label) = (label(), label(), label());
    let [certificate, x509, data] = [CKO_CERTIFICATE, CKC_X_509, CKO_DATA].map(CK_ULONG::to_ne_bytes);
    let template = [
        (CKA_CLASS, &certificate[..]),
        (CKA_CERTIFICATE_TYPE, &x509),
        (CKA_TOKEN, TRUE),
        (CKA_LABEL, certificate_label.as_bytes()),
        (CKA_VALUE, &der),
    ];
    let object = create(&module, session, &template).expect("a certificate");
    assert_eq!(in_dsm(bench, &certificate_label)["obj_type"], "CERTIFICATE");
    assert_eq!(module.attribute(session, object, CKA_VALUE), Ok(der.clone()));
    let subject = module.attribute(session, object, CKA_SUBJECT).expect("a subject");
    assert_eq!((subject[0], subject == module.attribute(session, object, CKA_ISSUER).expect("an issuer")), (0x30, true));
    assert_eq!(module.attribute(session, object, CKA_SERIAL_NUMBER).expect("a serial number")[0], 0x02);
    assert_eq!(
        module.find(session, &[(CKA_CLASS, &certificate), (CKA_SUBJECT, &subject), (CKA_LABEL, certificate_label.as_bytes())]),
        [object]
    );

    for (label, private, obj_type) in [(&data_label, FALSE, "OPAQUE"), (&secret_label, TRUE, "SECRET")] {
        let template = [
            (CKA_CLASS, &data[..]),
            (CKA_TOKEN, TRUE),
            (CKA_PRIVATE, private),
            (CKA_LABEL, label.as_bytes()),
            (CKA_APPLICATION, b"app"),
            (CKA_VALUE, b"content"),
        ];
        let object = create(&module, session, &template).expect("data");
        assert_eq!(in_dsm(bench, label)["obj_type"], obj_type);
        // Another process sees the same.
        let other = bench.another();
        let other_session = other.logged_in();
        let found = other.object(other_session, CKO_DATA, label);
        for (module, session, object) in [(&module, session, object), (&other, other_session, found)] {
            assert_eq!(module.attribute(session, object, CKA_VALUE), Ok(b"content".to_vec()));
            assert_eq!(module.attribute(session, object, CKA_APPLICATION), Ok(b"app".to_vec()));
            assert_eq!(module.attribute(session, object, CKA_PRIVATE), Ok(private.to_vec()));
        }
        assert_eq!(call!(module, C_DestroyObject(session, object)), CKR_OK);
    }
    // A certificate that is none.
    let mut broken = template;
    broken[4].1 = &der[..40];
    assert_eq!(create(&module, session, &broken), Err(CKR_ATTRIBUTE_VALUE_INVALID));
}

#[test]
fn trap_3_token_keys_are_not_copied_and_session_keys_are() {
    let bench = shared();
    let module = bench.another();
    let session = module.logged_in();
    let len = [16, 0, 0, 0, 0, 0, 0, 0];
    let mut copy = 0;
    let token = generate(&module, session, CKM_AES_KEY_GEN, &vec![(CKA_TOKEN, TRUE), (CKA_VALUE_LEN, &len[..])]).expect("a key");
    assert_eq!(call!(module, C_CopyObject(session, token, null_mut(), 0, &raw mut copy)), CKR_ACTION_PROHIBITED);
    let template = vec![(CKA_VALUE_LEN, &len[..]), (CKA_SENSITIVE, TRUE), (CKA_EXTRACTABLE, FALSE)];
    let original = generate(&module, session, CKM_AES_KEY_GEN, &template).expect("a key");
    let copied = |template: &Template<'_>| {
        let (mut template, mut copy) = (attributes(template), 0);
        let code = call!(module, C_CopyObject(session, original, template.as_mut_ptr(), template.len() as CK_ULONG, &raw mut copy));
        ok(code).map(|()| copy)
    };
    let copy = copied(&vec![(CKA_LABEL, b"copy")]).expect("a copy");
    let encrypted = module.encrypt(session, &gcm(), original, b"data").expect("it encrypts");
    assert_eq!(module.decrypt(session, &gcm(), copy, &encrypted), Ok(b"data".to_vec()));
    assert_eq!(module.attribute(session, copy, CKA_LABEL), Ok(b"copy".to_vec()));
    assert_eq!(module.attribute(session, copy, CKA_VALUE), Err(CKR_ATTRIBUTE_SENSITIVE));
    for (template, expected) in [
        (vec![(CKA_EXTRACTABLE, TRUE)], CKR_ATTRIBUTE_READ_ONLY),
        (vec![(CKA_SENSITIVE, FALSE)], CKR_ATTRIBUTE_READ_ONLY),
        (vec![(CKA_MODULUS, &len[..])], CKR_ATTRIBUTE_TYPE_INVALID),
    ] {
        assert_eq!(copied(&template), Err(expected));
    }
}

#[test]
fn a_session_key_that_is_copied_onto_the_token_is_hidden_there() {
    let bench = shared();
    let (module, label) = (bench.another(), label());
    let session = module.logged_in();
    let original = generate(&module, session, CKM_AES_KEY_GEN, &vec![(CKA_VALUE_LEN, &[16, 0, 0, 0, 0, 0, 0, 0])]).expect("a key");
    assert_eq!(module.attribute(session, original, CKA_EXTRACTABLE), Ok(TRUE.to_vec()));
    let copied = |template: &Template<'_>| {
        let (mut template, mut copy) = (attributes(template), 0);
        let code = call!(module, C_CopyObject(session, original, template.as_mut_ptr(), template.len() as CK_ULONG, &raw mut copy));
        ok(code).map(|()| copy)
    };
    let onto_the_token = vec![(CKA_TOKEN, TRUE), (CKA_LABEL, label.as_bytes())];
    let copy = copied(&onto_the_token).expect("a copy");
    assert_eq!(module.attribute(session, copy, CKA_SENSITIVE), Ok(TRUE.to_vec()));
    assert_eq!(module.attribute(session, copy, CKA_EXTRACTABLE), Ok(FALSE.to_vec()));
    let encrypted = module.encrypt(session, &gcm(), original, b"data").expect("it encrypts");
    assert_eq!(module.decrypt(session, &gcm(), copy, &encrypted), Ok(b"data".to_vec()));
    let readable: Template<'_> = onto_the_token.iter().copied().chain([(CKA_EXTRACTABLE, TRUE)]).collect();
    assert_eq!(copied(&readable), Err(CKR_TEMPLATE_INCONSISTENT));
}

#[test]
fn a_copy_keeps_to_the_rules_of_new_objects() {
    let module = shared().another();
    let session = module.open(CKF_SERIAL_SESSION | CKF_RW_SESSION);
    let copied = |original, template: &Template<'_>| {
        let (mut template, mut copy) = (attributes(template), 0);
        let code = call!(module, C_CopyObject(session, original, template.as_mut_ptr(), template.len() as CK_ULONG, &raw mut copy));
        ok(code).map(|()| copy)
    };
    // Made before the login, a session key is everybody's. On the token it is the user's.
    let early = generate(&module, session, CKM_AES_KEY_GEN, &vec![(CKA_VALUE_LEN, &[16, 0, 0, 0, 0, 0, 0, 0])]).expect("a key");
    assert_eq!(module.attribute(session, early, CKA_PRIVATE), Ok(FALSE.to_vec()));
    assert_eq!(copied(early, &vec![(CKA_TOKEN, TRUE)]), Err(CKR_USER_NOT_LOGGED_IN));
    assert_eq!(module.login(session, None), CKR_OK);
    for (asked, expected) in [(None, TRUE), (Some(TRUE), TRUE), (Some(FALSE), FALSE)] {
        let template = [(CKA_TOKEN, TRUE)].into_iter().chain(asked.map(|asked| (CKA_PRIVATE, asked))).collect();
        let copy = copied(early, &template).expect("a copy");
        assert_eq!(module.attribute(session, copy, CKA_PRIVATE), Ok(expected.to_vec()), "{asked:?}");
        assert_eq!(call!(module, C_DestroyObject(session, copy)), CKR_OK);
    }
    // What anybody may see asks nobody for a PIN.
    let p256 = [0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
    let asks = vec![(CKA_PRIVATE, TRUE), (CKA_ALWAYS_AUTHENTICATE, TRUE)];
    let (_, private) = generate_pair(&module, session, CKM_EC_KEY_PAIR_GEN, &vec![(CKA_EC_PARAMS, &p256[..])], &asks).expect("a pair");
    for token in [FALSE, TRUE] {
        assert_eq!(copied(private, &vec![(CKA_TOKEN, token), (CKA_PRIVATE, FALSE)]), Err(CKR_TEMPLATE_INCONSISTENT));
        let copy = copied(private, &vec![(CKA_TOKEN, token)]).expect("a copy");
        assert_eq!(module.attribute(session, copy, CKA_PRIVATE), Ok(TRUE.to_vec()));
        assert_eq!(module.attribute(session, copy, CKA_ALWAYS_AUTHENTICATE), Ok(TRUE.to_vec()));
        assert_eq!(call!(module, C_DestroyObject(session, copy)), CKR_OK);
    }
}

#[test]
fn a_search_goes_on_while_keys_come_go_and_change_their_names() {
    let module = shared().another();
    let session = module.logged_in();
    let (old, new) = (label(), label());
    let make = |label: &str| {
        let template = vec![(CKA_TOKEN, TRUE), (CKA_LABEL, label.as_bytes()), (CKA_VALUE_LEN, &[16, 0, 0, 0, 0, 0, 0, 0])];
        generate(&module, session, CKM_AES_KEY_GEN, &template).expect("a key")
    };
    let keys = [(); 5].map(|()| make(&old));
    let mut template = attributes(&[(CKA_LABEL, old.as_bytes())]);
    assert_eq!(call!(module, C_FindObjectsInit(session, template.as_mut_ptr(), 1)), CKR_OK);
    assert_eq!(call!(module, C_DestroyObject(session, keys[0])), CKR_OK);
    assert_eq!(set(&module, session, keys[1], &vec![(CKA_LABEL, new.as_bytes())]), CKR_OK);
    let sixth = make(&old);
    let (mut found, mut count) = ([0; 8], 0);
    assert_eq!(call!(module, C_FindObjects(session, found.as_mut_ptr(), 8, &raw mut count)), CKR_OK);
    let mut found = found[..count as usize].to_vec();
    found.sort_unstable();
    assert_eq!(found, keys, "what there was when it began");
    assert_eq!(call!(module, C_FindObjectsFinal(session)), CKR_OK);

    let search = |label: &str| {
        let mut found = module.find(session, &[(CKA_LABEL, label.as_bytes())]);
        found.sort_unstable();
        found
    };
    assert_eq!((search(&old), search(&new)), (vec![keys[2], keys[3], keys[4], sixth], vec![keys[1]]));
    assert_eq!(module.attribute(session, keys[0], CKA_LABEL), Err(CKR_OBJECT_HANDLE_INVALID));
    // More changes than a listing remembers, each with a certificate of its own to look after.
    let (_dir, path) = crate::slots::config(shared(), "generate_certs = true\n");
    let module = Module::with_config(&path);
    let session = module.logged_in();
    let key = module.find(session, &[(CKA_LABEL, new.as_bytes())])[0];
    for turn in 0..70_u8 {
        assert_eq!(set(&module, session, key, &vec![(CKA_ID, &[turn, 1, 2])]), CKR_OK);
        assert_eq!(module.find(session, &[(CKA_ID, &[turn, 1, 2]), (CKA_LABEL, new.as_bytes())]), [key]);
        assert!(module.find(session, &[(CKA_ID, &[turn.wrapping_sub(1), 1, 2]), (CKA_LABEL, new.as_bytes())]).is_empty());
    }
}
