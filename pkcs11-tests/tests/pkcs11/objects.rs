//! Finding objects and reading attributes: traps 12, 14 and 27.

use std::ptr::null_mut;

use cryptoki_sys::*;
use serde_json::json;

use crate::keys::shared;
use crate::module::{Module, attributes, call};
use crate::openssl::Openssl;
use crate::session_objects::{FALSE, TRUE, create};
use crate::slots::config;

const UNAVAILABLE: CK_ULONG = CK_UNAVAILABLE_INFORMATION;

#[test]
fn trap_12_every_entry_is_answered() {
    let bench = shared();
    let key = bench.aes();
    let (module, session, object) = bench.use_key(&key);
    let (mut class, mut value, mut label, mut short) = ([0_u8; 8], [0_u8; 64], [0_u8; 64], [0_u8; 2]);
    let entry =
        |kind, buffer: &mut [u8]| CK_ATTRIBUTE { type_: kind, pValue: buffer.as_mut_ptr().cast(), ulValueLen: buffer.len() as CK_ULONG };
    let ask = |mut template: Vec<CK_ATTRIBUTE>| {
        let code = call!(module, C_GetAttributeValue(session, object, template.as_mut_ptr(), template.len() as CK_ULONG));
        (code, template.iter().map(|attribute| attribute.ulValueLen).collect::<Vec<_>>())
    };
    let name_len = key.label.len() as CK_ULONG;

    let answer = ask(vec![entry(CKA_VALUE, &mut value), entry(CKA_CLASS, &mut class), entry(CKA_LABEL, &mut label)]);
    assert_eq!(answer, (CKR_ATTRIBUTE_SENSITIVE, vec![UNAVAILABLE, 8, name_len]));
    assert_eq!(class, CKO_SECRET_KEY.to_ne_bytes());
    assert_eq!(&label[..key.label.len()], key.label.as_bytes());
    assert_eq!(value, [0; 64]);

    assert_eq!(ask(vec![entry(CKA_MODULUS, &mut value), entry(CKA_CLASS, &mut class)]), (CKR_ATTRIBUTE_TYPE_INVALID, vec![UNAVAILABLE, 8]));
    assert_eq!(ask(vec![entry(CKA_LABEL, &mut short), entry(CKA_CLASS, &mut class)]), (CKR_BUFFER_TOO_SMALL, vec![UNAVAILABLE, 8]));
    let sizes = [CKA_LABEL, CKA_VALUE_LEN].map(|kind| CK_ATTRIBUTE { type_: kind, pValue: null_mut(), ulValueLen: 77 });
    assert_eq!(ask(sizes.to_vec()), (CKR_OK, vec![name_len, 8]));
    assert_eq!(ask(Vec::new()), (CKR_OK, Vec::new()));
    assert_eq!(call!(module, C_GetAttributeValue(session, object, null_mut(), 1)), CKR_ARGUMENTS_BAD);
}

#[test]
fn trap_14_searches() {
    let bench = shared();
    let (aes, rsa) = (bench.aes(), bench.rsa());
    let module = bench.another();
    let session = module.open(CKF_SERIAL_SESSION);
    let classes = |key: &crate::keys::Key| {
        let class =
            |object| CK_ULONG::from_ne_bytes(module.attribute(session, object, CKA_CLASS).expect("a class").try_into().expect("a number"));
        let mut found: Vec<_> = module.find(session, &[(CKA_ID, &key.id())]).into_iter().map(class).collect();
        found.sort_unstable();
        found
    };
    assert_eq!((classes(&aes), classes(&rsa)), (vec![], vec![CKO_PUBLIC_KEY]));
    assert_eq!(module.login(session, None), CKR_OK);
    assert_eq!((classes(&aes), classes(&rsa)), (vec![CKO_SECRET_KEY], vec![CKO_PUBLIC_KEY, CKO_PRIVATE_KEY]));

    let class = CKO_PRIVATE_KEY.to_ne_bytes();
    assert_eq!(module.find(session, &[(CKA_CLASS, &class), (CKA_ID, &rsa.id()), (CKA_SIGN, &[1])]).len(), 1);
    for nothing in [
        &[(CKA_ID, &rsa.id()[..15])][..],
        &[(CKA_LABEL, rsa.label.to_uppercase().as_bytes())],
        &[(CKA_CLASS, &CKO_CERTIFICATE.to_ne_bytes())],
        &[(CKA_CLASS, &[4])],
        &[(CKA_ID, &aes.id()), (CKA_VALUE, &[0; 32])],
        &[(CKA_ID, &aes.id()), (CKA_MODULUS, &[0; 256])],
        &[(0x8765_4321, &[1])],
        &[(CKA_TOKEN, &[0])],
    ] {
        assert!(module.find(session, nothing).is_empty(), "{nothing:x?}");
    }
    assert!(module.find(session, &[]).len() >= 3);
}

#[test]
fn trap_14_one_search_at_a_time_that_nothing_disturbs() {
    let bench = shared();
    let key = bench.rsa();
    let module = bench.another();
    let session = module.logged_in();
    let mut template = attributes(&[(CKA_LABEL, key.label.as_bytes())]);
    let (mut object, mut count) = (0, 0);
    assert_eq!(call!(module, C_FindObjects(session, &raw mut object, 1, &raw mut count)), CKR_OPERATION_NOT_INITIALIZED);
    assert_eq!(call!(module, C_FindObjectsFinal(session)), CKR_OPERATION_NOT_INITIALIZED);
    assert_eq!(call!(module, C_FindObjectsInit(session, template.as_mut_ptr(), 1)), CKR_OK);
    assert_eq!(call!(module, C_FindObjectsInit(session, null_mut(), 0)), CKR_OPERATION_ACTIVE);
    assert_eq!(call!(module, C_FindObjects(session, null_mut(), 1, &raw mut count)), CKR_ARGUMENTS_BAD);
    assert_eq!(call!(module, C_FindObjects(session, &raw mut object, 0, &raw mut count)), CKR_OK);
    assert_eq!(count, 0);
    for expected in [1, 1, 0, 0] {
        // Another key appears, and another search runs elsewhere.
        bench.aes();
        module.find(module.logged_in(), &[(CKA_LABEL, b"nothing")]);
        assert_eq!(call!(module, C_FindObjects(session, &raw mut object, 1, &raw mut count)), CKR_OK);
        assert_eq!(count, expected);
    }
    assert_eq!(call!(module, C_FindObjectsFinal(session)), CKR_OK);
    assert_eq!(call!(module, C_FindObjectsFinal(session)), CKR_OPERATION_NOT_INITIALIZED);
}

#[test]
fn a_key_that_was_just_made_is_found_and_keeps_its_handle() {
    let bench = shared();
    let module = bench.another();
    let session = module.logged_in();
    let first = bench.aes();
    let object = module.object(session, CKO_SECRET_KEY, &first.label);
    let second = bench.aes();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    let template: &[(CK_ATTRIBUTE_TYPE, &[u8])] = &[(CKA_LABEL, second.label.as_bytes())];
    while module.find(session, template).is_empty() {
        assert!(std::time::Instant::now() < deadline, "the listing is refreshed after two seconds");
        std::thread::yield_now();
    }
    assert_eq!(module.object(session, CKO_SECRET_KEY, &first.label), object);
}

#[test]
fn attributes_of_a_secret_key() {
    let bench = shared();
    let key = bench.key(json!({"obj_type": "AES", "key_size": 256, "key_ops": ["ENCRYPT", "EXPORT"],
        "activation_date": "20200315T012345Z", "deactivation_date": "20991231T000000Z"}));
    let (module, session, object) = bench.use_key(&key);
    let get = |kind| module.attribute(session, object, kind);
    let number = |value: CK_ULONG| Ok(value.to_ne_bytes().to_vec());
    for (kind, expected) in [
        (CKA_CLASS, number(CKO_SECRET_KEY)),
        (CKA_KEY_TYPE, number(CKK_AES)),
        (CKA_VALUE_LEN, number(32)),
        (CKA_KEY_GEN_MECHANISM, number(CKM_AES_KEY_GEN)),
        (CKA_ID, Ok(key.id().to_vec())),
        (CKA_LABEL, Ok(key.label.clone().into_bytes())),
        (CKA_UNIQUE_ID, Ok(format!("{}/secret", key.kid).into_bytes())),
        (CKA_START_DATE, Ok(b"20200315".to_vec())),
        (CKA_END_DATE, Ok(b"20991231".to_vec())),
        (CKA_TOKEN, Ok(vec![1])),
        (CKA_PRIVATE, Ok(vec![1])),
        (CKA_SENSITIVE, Ok(vec![1])),
        (CKA_ALWAYS_SENSITIVE, Ok(vec![1])),
        (CKA_EXTRACTABLE, Ok(vec![0])),
        // DSM would export it, so "never" is not true.
        (CKA_NEVER_EXTRACTABLE, Ok(vec![0])),
        (CKA_LOCAL, Ok(vec![1])),
        (CKA_COPYABLE, Ok(vec![0])),
        (CKA_ENCRYPT, Ok(vec![1])),
        (CKA_DECRYPT, Ok(vec![0])),
        (CKA_SIGN, Ok(vec![0])),
        (CKA_WRAP, Ok(vec![0])),
        (CKA_VALUE, Err(CKR_ATTRIBUTE_SENSITIVE)),
        (CKA_ALLOWED_MECHANISMS, Err(CKR_ATTRIBUTE_TYPE_INVALID)),
        (CKA_PUBLIC_KEY_INFO, Err(CKR_ATTRIBUTE_TYPE_INVALID)),
    ] {
        assert_eq!(get(kind), expected, "{kind:#x}");
    }
    assert_eq!(get(CKA_CHECK_VALUE).map(|value| value.len()), Ok(3));
}

#[test]
fn attributes_of_an_rsa_pair() {
    let bench = shared();
    let key = bench.key(json!({"obj_type": "RSA", "key_size": 2048, "key_ops": ["SIGN", "VERIFY"]}));
    let (module, session, private) = bench.use_key(&key);
    let public = module.object(session, CKO_PUBLIC_KEY, &key.label);
    let get = |object, kind| module.attribute(session, object, kind);
    let spki = get(public, CKA_PUBLIC_KEY_INFO).expect("a public key");
    let openssl = Openssl::new();
    openssl.write("public.der", &spki);
    let printed = openssl.run("rsa -pubin -inform DER -in public.der -noout -modulus");
    let modulus = get(public, CKA_MODULUS).expect("a modulus");
    let hex: String = modulus.iter().map(|byte| format!("{byte:02X}")).collect();
    assert_eq!(printed.trim(), format!("Modulus={hex}"));
    for kind in [CKA_MODULUS, CKA_PUBLIC_EXPONENT, CKA_PUBLIC_KEY_INFO, CKA_ID, CKA_LABEL] {
        assert_eq!(get(private, kind), get(public, kind), "{kind:#x}");
    }
    assert_eq!(get(public, CKA_PUBLIC_EXPONENT), Ok(vec![1, 0, 1]));
    assert_eq!(get(public, CKA_MODULUS_BITS), Ok(2048_u64.to_ne_bytes().to_vec()));
    assert_eq!(get(private, CKA_NEVER_EXTRACTABLE), Ok(vec![1]));
    for (private_flag, public_flag) in [(CKA_SIGN, CKA_VERIFY), (CKA_PRIVATE, CKA_TOKEN)] {
        assert_eq!((get(private, private_flag), get(public, public_flag)), (Ok(vec![1]), Ok(vec![1])));
    }
    assert_eq!((get(private, CKA_DECRYPT), get(public, CKA_ENCRYPT)), (Ok(vec![0]), Ok(vec![0])));
    assert_eq!((get(public, CKA_PRIVATE), get(private, CKA_ALWAYS_AUTHENTICATE)), (Ok(vec![0]), Ok(vec![0])));
    for kind in [CKA_PRIVATE_EXPONENT, CKA_PRIME_1, CKA_PRIME_2, CKA_EXPONENT_1, CKA_EXPONENT_2, CKA_COEFFICIENT] {
        assert_eq!(get(private, kind), Err(CKR_ATTRIBUTE_SENSITIVE), "{kind:#x}");
        assert_eq!(get(public, kind), Err(CKR_ATTRIBUTE_TYPE_INVALID), "{kind:#x}");
    }
    let mut size = 0;
    assert_eq!(call!(module, C_GetObjectSize(session, private, &raw mut size)), CKR_OK);
    assert!(size > 256);
}

#[test]
fn trap_27_points_are_octet_strings_and_labels_come_from_metadata() {
    let bench = shared();
    for (curve, oid, coordinate) in [
        ("NistP256", &[6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7][..], 32),
        ("NistP384", &[6, 5, 0x2b, 0x81, 4, 0, 0x22], 48),
        ("NistP521", &[6, 5, 0x2b, 0x81, 4, 0, 0x23], 66),
    ] {
        let label = format!("label {}", uuid::Uuid::new_v4());
        let key = bench.key(json!({"obj_type": "EC", "elliptic_curve": curve, "key_ops": ["SIGN", "VERIFY", "EXPORT"],
            "custom_metadata": {"pkcs11_label": label, "pkcs11_id": "AQID"}}));
        let module = bench.another();
        let session = module.logged_in();
        for class in [CKO_PRIVATE_KEY, CKO_PUBLIC_KEY] {
            let object = module.object(session, class, &label);
            let get = |kind| module.attribute(session, object, kind).expect("the attribute is there");
            assert_eq!(get(CKA_EC_PARAMS), oid);
            let point = get(CKA_EC_POINT);
            let header = if coordinate < 64 { 2 } else { 3 };
            assert_eq!((point[0], point[header], point.len()), (4, 4, header + 1 + 2 * coordinate), "{curve}");
            assert!(get(CKA_PUBLIC_KEY_INFO).ends_with(&point[header..]));
            assert_eq!(get(CKA_ID), [1, 2, 3]);
        }
        assert!(module.find(session, &[(CKA_LABEL, key.label.as_bytes())]).is_empty());
    }
}

#[test]
fn trap_27_points_on_curve25519_are_raw_or_der_as_configured_and_read_either_way() {
    let bench = shared();
    let keys = ["Ed25519", "X25519"].map(|curve| {
        let key_ops = if curve == "Ed25519" { ["SIGN", "VERIFY", "EXPORT"].as_slice() } else { &["AGREEKEY", "EXPORT"] };
        (curve, bench.key(json!({"obj_type": "EC", "elliptic_curve": curve, "key_ops": key_ops})))
    });
    let (_dir, path) = config(bench, "ec_point_encoding = \"der\"\n");
    let class = CKO_PUBLIC_KEY.to_ne_bytes();
    for (module, header) in [(bench.another(), &[][..]), (Module::with_config(&path), &[4, 32])] {
        let session = module.logged_in();
        for (curve, key) in &keys {
            let public = module.object(session, CKO_PUBLIC_KEY, &key.label);
            let get = |object, kind| module.attribute(session, object, kind).expect("the attribute is there");
            let raw = bench.public_key(key).split_off(12);
            let shown = [header, &raw].concat();
            assert_eq!(get(public, CKA_EC_POINT), shown, "{curve}");
            assert_eq!(module.find(session, &[(CKA_CLASS, &class), (CKA_EC_POINT, &shown)]), [public]);
            // Created from either form.
            let kind = if *curve == "Ed25519" { CKK_EC_EDWARDS } else { CKK_EC_MONTGOMERY }.to_ne_bytes();
            for form in [raw.clone(), [&[4, 32][..], &raw].concat()] {
                let params = get(public, CKA_EC_PARAMS);
                let template = [(CKA_CLASS, &class[..]), (CKA_KEY_TYPE, &kind), (CKA_EC_PARAMS, &params), (CKA_EC_POINT, &form)];
                let made = create(&module, session, &template).expect("a public key");
                assert_eq!((get(made, CKA_EC_POINT), get(made, CKA_PUBLIC_KEY_INFO)), (shown.clone(), bench.public_key(key)));
            }
        }
        // A point that begins as an OCTET STRING of thirty bytes does is a point.
        let odd: Vec<u8> = [4, 30].into_iter().chain(1..=30).collect();
        let (kind, params) = (CKK_EC_MONTGOMERY.to_ne_bytes(), [6, 3, 0x2b, 0x65, 0x6e]);
        let template = [(CKA_CLASS, &class[..]), (CKA_KEY_TYPE, &kind), (CKA_EC_PARAMS, &params), (CKA_EC_POINT, &odd)];
        let made = create(&module, session, &template).expect("a public key");
        assert!(module.attribute(session, made, CKA_PUBLIC_KEY_INFO).expect("a public key").ends_with(&odd));
    }
}

#[test]
fn what_a_template_says_of_a_certificate_or_a_date_is_kept_or_refused() {
    let bench = shared();
    let module = bench.another();
    let session = module.logged_in();
    let der = bench.certificate();
    let number = CK_ULONG::to_ne_bytes;
    let (class, x509, authority) = (number(CKO_CERTIFICATE), number(CKC_X_509), number(CK_CERTIFICATE_CATEGORY_AUTHORITY));
    let (zero, sha1) = (number(0), number(CKM_SHA_1));
    for token in [FALSE, TRUE] {
        let common = [(CKA_CLASS, &class[..]), (CKA_CERTIFICATE_TYPE, &x509), (CKA_VALUE, &der), (CKA_TOKEN, token)];
        let make = |more: &[(CK_ATTRIBUTE_TYPE, &[u8])]| create(&module, session, &[&common[..], more].concat());
        let plain = make(&[]).expect("a certificate");
        let said: [(CK_ATTRIBUTE_TYPE, &[u8]); 5] = [
            (CKA_CERTIFICATE_CATEGORY, &authority),
            (CKA_URL, b"https://ca.example/"),
            (CKA_HASH_OF_SUBJECT_PUBLIC_KEY, &[1; 20]),
            (CKA_START_DATE, b"20240229"),
            (CKA_END_DATE, b"20991231"),
        ];
        let told = make(&said).expect("a certificate");
        let usual: [(CK_ATTRIBUTE_TYPE, &[u8]); 7] = [
            (CKA_CERTIFICATE_CATEGORY, &zero),
            (CKA_URL, b""),
            (CKA_HASH_OF_SUBJECT_PUBLIC_KEY, b""),
            (CKA_START_DATE, b""),
            (CKA_END_DATE, b""),
            (CKA_NAME_HASH_ALGORITHM, &sha1),
            (CKA_JAVA_MIDP_SECURITY_DOMAIN, &zero),
        ];
        for (object, expected) in [(plain, &usual[..]), (told, &said[..])] {
            for (kind, value) in expected {
                assert_eq!(module.attribute(session, object, *kind), Ok(value.to_vec()), "{kind:#x}");
            }
            assert_eq!(module.attribute(session, object, CKA_CHECK_VALUE).map(|value| value.len()), Ok(3));
        }
        for (kind, value) in [
            (CKA_START_DATE, &b"20241301"[..]),
            (CKA_END_DATE, b"20240100"),
            (CKA_END_DATE, b"2024010"),
            (CKA_CHECK_VALUE, &[1, 2, 3]),
            (CKA_CERTIFICATE_TYPE, &[0; 4]),
        ] {
            let template: Vec<_> = common.iter().copied().filter(|(known, _)| *known != kind).chain([(kind, value)]).collect();
            assert_eq!(create(&module, session, &template), Err(CKR_ATTRIBUTE_VALUE_INVALID), "{kind:#x}");
        }
    }
}
