//! Session objects: keys, certificates and data that live in the process.

use std::ptr::null_mut;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use cryptoki_sys::*;

use crate::keys::shared;
use crate::module::{Mechanism, Module, attributes, call, gcm, nowhere};
use crate::token_objects::generate_pair;

pub(crate) const TRUE: &[u8] = &[CK_TRUE];
pub(crate) const FALSE: &[u8] = &[CK_FALSE];

/// C_CreateObject.
pub(crate) fn create(
    module: &Module,
    session: CK_SESSION_HANDLE,
    template: &[(CK_ATTRIBUTE_TYPE, &[u8])],
) -> Result<CK_OBJECT_HANDLE, CK_RV> {
    let mut template = attributes(template);
    let mut object = 0;
    crate::module::ok(call!(module, C_CreateObject(session, template.as_mut_ptr(), template.len() as CK_ULONG, &raw mut object)))?;
    assert_ne!(object, 0);
    Ok(object)
}

/// A secret session key of these bytes.
pub(crate) fn secret(module: &Module, session: CK_SESSION_HANDLE, key_type: CK_KEY_TYPE, value: &[u8]) -> Result<CK_OBJECT_HANDLE, CK_RV> {
    let (class, kind) = (CKO_SECRET_KEY.to_ne_bytes(), key_type.to_ne_bytes());
    create(module, session, &[(CKA_CLASS, &class), (CKA_KEY_TYPE, &kind), (CKA_VALUE, value)])
}

/// A key pair of the session: public, private.
pub(crate) fn pair(
    module: &Module,
    session: CK_SESSION_HANDLE,
    kind: CK_MECHANISM_TYPE,
    public: &[(CK_ATTRIBUTE_TYPE, &[u8])],
) -> [CK_OBJECT_HANDLE; 2] {
    let (mut public, mut made) = (attributes(public), [0; 2]);
    let [first, second] = &mut made;
    let (template, count) = (public.as_mut_ptr(), public.len() as CK_ULONG);
    let code = Mechanism::Plain(kind)
        .with(|m| call!(module, C_GenerateKeyPair(session, m, template, count, null_mut(), 0, &raw mut *first, &raw mut *second)));
    assert_eq!(code, CKR_OK, "{kind:#x}");
    made
}

/// The template of an AES session key, with more or other attributes.
fn aes(more: &[(CK_ATTRIBUTE_TYPE, &'static [u8])]) -> Vec<(CK_ATTRIBUTE_TYPE, Vec<u8>)> {
    let mut template = vec![
        (CKA_CLASS, CKO_SECRET_KEY.to_ne_bytes().to_vec()),
        (CKA_KEY_TYPE, CKK_AES.to_ne_bytes().to_vec()),
        (CKA_VALUE, (0..32).collect()),
    ];
    template.extend(more.iter().map(|(kind, value)| (*kind, value.to_vec())));
    template
}

fn borrowed(template: &[(CK_ATTRIBUTE_TYPE, Vec<u8>)]) -> Vec<(CK_ATTRIBUTE_TYPE, &[u8])> {
    template.iter().map(|(kind, value)| (*kind, value.as_slice())).collect()
}

#[test]
fn a_session_key_encrypts_shows_its_value_and_ends_with_its_session() {
    let module = shared().another();
    let (owner, other) = (module.logged_in(), module.open(CKF_SERIAL_SESSION));
    let key = create(&module, owner, &borrowed(&aes(&[(CKA_LABEL, b"mine")]))).expect("a session key");
    // Every session of the token sees it, whatever the usage attributes were left out.
    let encrypted = module.encrypt(other, &gcm(), key, b"data").expect("it encrypts");
    assert_eq!(module.decrypt(owner, &gcm(), key, &encrypted), Ok(b"data".to_vec()));
    assert_eq!(module.attribute(other, key, CKA_VALUE), Ok((0..32).collect()));
    for (kind, value) in [
        (CKA_TOKEN, FALSE),
        (CKA_PRIVATE, TRUE),
        (CKA_SENSITIVE, FALSE),
        (CKA_EXTRACTABLE, TRUE),
        (CKA_ALWAYS_SENSITIVE, FALSE),
        (CKA_NEVER_EXTRACTABLE, FALSE),
        (CKA_LOCAL, FALSE),
        (CKA_SIGN, TRUE),
        (CKA_DERIVE, TRUE),
        (CKA_TRUSTED, FALSE),
        (CKA_LABEL, b"mine"),
        (CKA_VALUE_LEN, &32u64.to_ne_bytes()),
        (CKA_KEY_GEN_MECHANISM, &CK_UNAVAILABLE_INFORMATION.to_ne_bytes()),
        // AES-256 of the zero block under 00 01 .. 1f, from FIPS 197's key.
        (CKA_CHECK_VALUE, &[0xf2, 0x90, 0x00]),
    ] {
        assert_eq!(module.attribute(other, key, kind), Ok(value.to_vec()), "{kind:#x}");
    }
    assert_eq!(module.find(other, &[(CKA_LABEL, b"mine")]), [key]);
    assert_eq!(module.find(other, &[(CKA_LABEL, b"mine"), (CKA_TOKEN, TRUE)]).len(), 0);
    assert_eq!(call!(module, C_CloseSession(owner)), CKR_OK);
    assert_eq!(module.attribute(other, key, CKA_VALUE), Err(CKR_OBJECT_HANDLE_INVALID));
    assert_eq!(module.encrypt(other, &gcm(), key, b"data"), Err(CKR_KEY_HANDLE_INVALID));
}

#[test]
fn trap_12_a_sensitive_or_unextractable_key_hides_its_value() {
    let module = shared().another();
    let session = module.logged_in();
    for hidden in [(CKA_SENSITIVE, TRUE), (CKA_EXTRACTABLE, FALSE)] {
        let key = create(&module, session, &borrowed(&aes(&[hidden]))).expect("a session key");
        assert_eq!(module.attribute(session, key, CKA_VALUE), Err(CKR_ATTRIBUTE_SENSITIVE));
        assert!(module.encrypt(session, &gcm(), key, b"data").is_ok());
    }
}

#[test]
fn trap_20_private_session_objects_need_a_login_and_end_with_it() {
    let module = shared().another();
    let session = module.open(CKF_SERIAL_SESSION);
    assert_eq!(create(&module, session, &borrowed(&aes(&[(CKA_PRIVATE, TRUE)]))), Err(CKR_USER_NOT_LOGGED_IN));
    let public = create(&module, session, &borrowed(&aes(&[]))).expect("a session key");
    assert_eq!(module.attribute(session, public, CKA_PRIVATE), Ok(FALSE.to_vec()));
    assert_eq!(module.login(session, None), CKR_OK);
    let private = create(&module, session, &borrowed(&aes(&[]))).expect("a session key");
    assert_eq!(call!(module, C_Logout(session)), CKR_OK);
    assert_eq!(module.attribute(session, private, CKA_CLASS), Err(CKR_OBJECT_HANDLE_INVALID));
    assert!(module.attribute(session, public, CKA_CLASS).is_ok());
}

#[test]
fn trap_23_templates_are_refused_for_the_right_reason() {
    let module = shared().another();
    let session = module.logged_in();
    let wrong = |more: &[(CK_ATTRIBUTE_TYPE, &'static [u8])]| create(&module, session, &borrowed(&aes(more))).err();
    let unknown = CKA_VENDOR_DEFINED | 0x4711;
    for (more, expected) in [
        (&[(unknown, TRUE)][..], CKR_ATTRIBUTE_TYPE_INVALID),
        // An unknown type comes before a bad value, and that before a contradiction.
        (&[(CKA_ENCRYPT, b"long"), (unknown, TRUE)], CKR_ATTRIBUTE_TYPE_INVALID),
        (&[(CKA_ENCRYPT, &[2])], CKR_ATTRIBUTE_VALUE_INVALID),
        (&[(CKA_ENCRYPT, &[])], CKR_ATTRIBUTE_VALUE_INVALID),
        (&[(CKA_START_DATE, b"2026")], CKR_ATTRIBUTE_VALUE_INVALID),
        (&[(CKA_LABEL, b"\xff")], CKR_ATTRIBUTE_VALUE_INVALID),
        (&[(CKA_ALLOWED_MECHANISMS, b"1")], CKR_ATTRIBUTE_VALUE_INVALID),
        (&[(CKA_CHECK_VALUE, b"abc")], CKR_ATTRIBUTE_VALUE_INVALID),
        (&[(CKA_LABEL, b"one"), (CKA_LABEL, b"two")], CKR_TEMPLATE_INCONSISTENT),
        (&[(CKA_MODULUS, b"for RSA")], CKR_TEMPLATE_INCONSISTENT),
        (&[(CKA_SUBJECT, b"for key pairs")], CKR_TEMPLATE_INCONSISTENT),
        (&[(CKA_VALUE_LEN, &[16, 0, 0, 0, 0, 0, 0, 0])], CKR_TEMPLATE_INCONSISTENT),
        (&[(CKA_LOCAL, TRUE)], CKR_ATTRIBUTE_READ_ONLY),
        (&[(CKA_ALWAYS_SENSITIVE, TRUE)], CKR_ATTRIBUTE_READ_ONLY),
        (&[(CKA_NEVER_EXTRACTABLE, TRUE)], CKR_ATTRIBUTE_READ_ONLY),
        (&[(CKA_KEY_GEN_MECHANISM, &[0; 8])], CKR_ATTRIBUTE_READ_ONLY),
        (&[(CKA_UNIQUE_ID, b"id")], CKR_ATTRIBUTE_READ_ONLY),
        (&[(CKA_TRUSTED, TRUE)], CKR_ATTRIBUTE_READ_ONLY),
    ] {
        assert_eq!(wrong(more), Some(expected), "{more:?}");
    }
    let number = |value: CK_ULONG| value.to_ne_bytes().to_vec();
    for (template, expected) in [
        (vec![], CKR_TEMPLATE_INCOMPLETE),
        (vec![(CKA_CLASS, number(CKO_SECRET_KEY))], CKR_TEMPLATE_INCOMPLETE),
        (vec![(CKA_CLASS, number(CKO_SECRET_KEY)), (CKA_KEY_TYPE, number(CKK_AES))], CKR_TEMPLATE_INCOMPLETE),
        (vec![(CKA_CLASS, number(CKO_PROFILE))], CKR_ATTRIBUTE_VALUE_INVALID),
        (vec![(CKA_CLASS, number(CKO_SECRET_KEY)), (CKA_KEY_TYPE, number(CKK_BLOWFISH))], CKR_ATTRIBUTE_VALUE_INVALID),
        (vec![(CKA_CLASS, number(CKO_SECRET_KEY)), (CKA_KEY_TYPE, number(CKK_AES)), (CKA_VALUE, vec![1; 17])], CKR_ATTRIBUTE_VALUE_INVALID),
        (vec![(CKA_CLASS, number(CKO_PUBLIC_KEY)), (CKA_KEY_TYPE, number(CKK_RSA))], CKR_TEMPLATE_INCOMPLETE),
        (
            vec![(CKA_CLASS, number(CKO_PUBLIC_KEY)), (CKA_KEY_TYPE, number(CKK_EC)), (CKA_EC_PARAMS, b"\x06\x01\x01".to_vec())],
            CKR_CURVE_NOT_SUPPORTED,
        ),
    ] {
        assert_eq!(create(&module, session, &borrowed(&template)), Err(expected), "{template:?}");
    }
}

#[test]
fn templates_that_cannot_be_are_no_crash() {
    let module = shared().another();
    let session = module.logged_in();
    let mut object = 0;
    assert_eq!(call!(module, C_CreateObject(session, null_mut(), 3, &raw mut object)), CKR_ARGUMENTS_BAD);
    assert_eq!(call!(module, C_CreateObject(session, nowhere().cast(), 1 << 40, &raw mut object)), CKR_ARGUMENTS_BAD);
    assert_eq!(call!(module, C_CreateObject(session, nowhere().cast(), CK_UNAVAILABLE_INFORMATION, &raw mut object)), CKR_ARGUMENTS_BAD);
    assert_eq!(call!(module, C_CreateObject(session, null_mut(), 0, null_mut())), CKR_ARGUMENTS_BAD);
    assert_eq!(call!(module, C_CreateObject(0, null_mut(), 0, &raw mut object)), CKR_SESSION_HANDLE_INVALID);
    for len in [8, CK_UNAVAILABLE_INFORMATION] {
        let mut bad = CK_ATTRIBUTE { type_: CKA_CLASS, pValue: null_mut(), ulValueLen: len };
        assert_eq!(call!(module, C_CreateObject(session, &raw mut bad, 1, &raw mut object)), CKR_ATTRIBUTE_VALUE_INVALID);
    }
}

#[test]
fn trap_24_allowed_mechanisms_and_usage_are_enforced() {
    let module = shared().another();
    let session = module.logged_in();
    let mut template = aes(&[]);
    template.push((CKA_ALLOWED_MECHANISMS, CKM_AES_CTR.to_ne_bytes().to_vec()));
    let key = create(&module, session, &borrowed(&template)).expect("a session key");
    assert_eq!(module.encrypt(session, &gcm(), key, b"data"), Err(CKR_MECHANISM_INVALID));
    assert!(module.encrypt(session, &Mechanism::Ctr([0; 16]), key, b"data").is_ok());
    let key = create(&module, session, &borrowed(&aes(&[(CKA_ENCRYPT, FALSE)]))).expect("a session key");
    assert_eq!(module.encrypt(session, &gcm(), key, b"data"), Err(CKR_KEY_FUNCTION_NOT_PERMITTED));
}

#[test]
fn data_objects_are_kept() {
    let module = shared().another();
    let session = module.open(CKF_SERIAL_SESSION);
    let class = CKO_DATA.to_ne_bytes();
    let data = create(&module, session, &[(CKA_CLASS, &class), (CKA_APPLICATION, b"app"), (CKA_VALUE, b"content")]).expect("data");
    assert_eq!(module.attribute(session, data, CKA_VALUE), Ok(b"content".to_vec()));
    assert_eq!(module.attribute(session, data, CKA_OBJECT_ID), Ok(vec![]));
    assert_eq!(module.attribute(session, data, CKA_KEY_TYPE), Err(CKR_ATTRIBUTE_TYPE_INVALID));
    assert_eq!(module.find(session, &[(CKA_CLASS, &class), (CKA_TOKEN, FALSE)]), [data]);
    assert_eq!(module.encrypt(session, &gcm(), data, b"data"), Err(CKR_KEY_HANDLE_INVALID));
}

/// A longer RSA key than C_GetMechanismInfo names could be made here, and not be used.
#[test]
fn an_rsa_key_that_is_too_long() {
    let module = shared().another();
    let session = module.logged_in();
    let (class, kind) = (CKO_PUBLIC_KEY.to_ne_bytes(), CKK_RSA.to_ne_bytes());
    for (len, fits) in [(1024, true), (1026, false), (2048, false)] {
        let modulus = vec![0xff; len];
        let template = [(CKA_CLASS, &class[..]), (CKA_KEY_TYPE, &kind), (CKA_MODULUS, &modulus), (CKA_PUBLIC_EXPONENT, &[1, 0, 1])];
        assert_eq!(create(&module, session, &template).err(), (!fits).then_some(CKR_KEY_SIZE_RANGE), "{len}");
    }
}

/// Two threads at one object: what was destroyed stays destroyed, and what was set once stays set.
#[test]
fn traps_21_and_22_a_change_beside_another() {
    let module = shared().another();
    let session = module.logged_in();
    let set = |key, attribute, value: &[u8]| {
        let mut template = attributes(&[(attribute, value)]);
        call!(module, C_SetAttributeValue(session, key, template.as_mut_ptr(), 1))
    };
    for _ in 0..300 {
        let key = create(&module, session, &borrowed(&aes(&[]))).expect("a session key");
        let (start, busy, end) = (Barrier::new(2), AtomicBool::new(false), AtomicBool::new(false));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                start.wait();
                let mut labels = 0_u32;
                while !end.load(SeqCst) && set(key, CKA_LABEL, labels.to_string().as_bytes()) == CKR_OK {
                    labels += 1;
                    busy.store(labels > 20, SeqCst);
                }
            });
            start.wait();
            assert_eq!(set(key, CKA_SENSITIVE, TRUE), CKR_OK);
            while !busy.load(SeqCst) {
                std::thread::yield_now();
            }
            assert_eq!(module.attribute(session, key, CKA_SENSITIVE), Ok(TRUE.to_vec()));
            assert_eq!(call!(module, C_DestroyObject(session, key)), CKR_OK);
            end.store(true, SeqCst);
        });
        assert_eq!(module.attribute(session, key, CKA_LABEL), Err(CKR_OBJECT_HANDLE_INVALID));
    }
}

#[test]
fn an_rsa_key_needs_no_primes() {
    let module = shared().another();
    let session = module.logged_in();
    let bits = 2048_u64.to_ne_bytes();
    let private = vec![(CKA_SENSITIVE, FALSE), (CKA_EXTRACTABLE, TRUE)];
    let (public, original) =
        generate_pair(&module, session, CKM_RSA_PKCS_KEY_PAIR_GEN, &vec![(CKA_MODULUS_BITS, &bits)], &private).expect("a pair");
    let get = |key, kind| module.attribute(session, key, kind).expect("a number");
    let [modulus, exponent, secret, prime] =
        [CKA_MODULUS, CKA_PUBLIC_EXPONENT, CKA_PRIVATE_EXPONENT, CKA_PRIME_1].map(|kind| get(original, kind));
    let (class, kind) = (CKO_PRIVATE_KEY.to_ne_bytes(), CKK_RSA.to_ne_bytes());
    let make = |numbers: &[(CK_ATTRIBUTE_TYPE, &[u8])]| {
        let common = [(CKA_CLASS, &class[..]), (CKA_KEY_TYPE, &kind), (CKA_SENSITIVE, FALSE), (CKA_EXTRACTABLE, TRUE)];
        create(&module, session, &[&common[..], numbers].concat())
    };
    let three = [(CKA_MODULUS, &modulus[..]), (CKA_PUBLIC_EXPONENT, &exponent), (CKA_PRIVATE_EXPONENT, &secret)];
    let rsa = Mechanism::Plain(CKM_SHA256_RSA_PKCS);
    for numbers in [three.to_vec(), [&three[..], &[(CKA_PRIME_1, &prime[..])]].concat()] {
        let made = make(&numbers).expect("a private key");
        let mut primes = [CKA_PRIME_1, CKA_PRIME_2].map(|kind| get(made, kind));
        let mut expected = [CKA_PRIME_1, CKA_PRIME_2].map(|kind| get(original, kind));
        primes.sort();
        expected.sort();
        assert_eq!(primes, expected);
        let signature = module.sign(session, &rsa, made, b"data").expect("a signature");
        assert_eq!(module.verify(session, &rsa, public, b"data", &signature), CKR_OK);
    }
    let mut other = secret.clone();
    other[100] ^= 1;
    let zeros = [0; 256];
    for (numbers, expected) in [
        (vec![three[0], three[1]], CKR_TEMPLATE_INCOMPLETE),
        (vec![three[0], three[2]], CKR_TEMPLATE_INCOMPLETE),
        (vec![three[1], three[2]], CKR_TEMPLATE_INCOMPLETE),
        // Too small for the recovery that there is; a real one has its primes given.
        (vec![three[0], (CKA_PUBLIC_EXPONENT, &[3]), three[2]], CKR_TEMPLATE_INCOMPLETE),
        (vec![three[0], three[1], (CKA_PRIVATE_EXPONENT, &other)], CKR_TEMPLATE_INCONSISTENT),
        (vec![three[0], three[1], (CKA_PRIVATE_EXPONENT, &zeros)], CKR_TEMPLATE_INCONSISTENT),
        (vec![(CKA_MODULUS, &zeros), three[1], three[2]], CKR_TEMPLATE_INCONSISTENT),
        (vec![(CKA_MODULUS, &[]), three[1], three[2]], CKR_TEMPLATE_INCONSISTENT),
        (vec![three[0], three[1], three[2], (CKA_PRIME_2, &modulus[..128])], CKR_TEMPLATE_INCONSISTENT),
    ] {
        assert_eq!(make(&numbers), Err(expected), "{numbers:x?}");
    }
}
