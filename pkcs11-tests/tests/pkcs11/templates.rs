//! What a key says of other keys: CKA_WRAP_TEMPLATE and its kin (trap 13), CKA_TRUSTED; and of its mechanisms, CKA_ALLOWED_MECHANISMS.

use std::ptr::null_mut;

use cryptoki_sys::*;

use crate::keys::shared;
use crate::module::{Mechanism, Module, attributes, bytes, call, gcm, ok};
use crate::session_objects::{FALSE, TRUE, create, secret};
use crate::token_objects::{Template, generate, generate_pair, label, set};
use crate::wrapping::wrap;

const KWP: Mechanism = Mechanism::Plain(CKM_AES_KEY_WRAP_KWP);
const LEN_16: &[u8] = &[16, 0, 0, 0, 0, 0, 0, 0];
const UNAVAILABLE: CK_ULONG = CK_UNAVAILABLE_INFORMATION;

/// Attributes as the value of an attribute.
fn array(inner: &[CK_ATTRIBUTE]) -> &[u8] {
    // SAFETY: plain numbers and pointers, without padding.
    unsafe { std::slice::from_raw_parts(inner.as_ptr().cast(), size_of_val(inner)) }
}

fn unwrap(
    module: &Module,
    session: CK_SESSION_HANDLE,
    key: CK_OBJECT_HANDLE,
    wrapped: &[u8],
    template: &Template<'_>,
) -> Result<CK_OBJECT_HANDLE, CK_RV> {
    let (mut template, mut made) = (attributes(template), 0);
    let (count, data, len) = (template.len() as CK_ULONG, bytes(wrapped), wrapped.len() as CK_ULONG);
    ok(KWP.with(|m| call!(module, C_UnwrapKey(session, m, key, data, len, template.as_mut_ptr(), count, &raw mut made))))?;
    Ok(made)
}

#[test]
fn a_wrapping_key_takes_what_matches_its_template() {
    let bench = shared();
    let module = bench.another();
    let session = module.logged_in();
    let (class, aes) = (CKO_SECRET_KEY.to_ne_bytes(), CKK_AES.to_ne_bytes());
    let wanted = attributes(&[(CKA_KEY_TYPE, &aes), (CKA_LABEL, b"may leave"), (CKA_ENCRYPT, FALSE)]);
    let subject = |label: &'static [u8], encrypt| {
        let template = [(CKA_CLASS, &class[..]), (CKA_KEY_TYPE, &aes), (CKA_VALUE, &[1; 16]), (CKA_LABEL, label), (CKA_ENCRYPT, encrypt)];
        create(&module, session, &template).expect("a session key")
    };
    let subjects = [subject(b"may leave", FALSE), subject(b"may leave", TRUE), subject(b"may not", FALSE)];
    let expected = [true, false, false].map(|wraps| if wraps { Ok(24) } else { Err(CKR_KEY_HANDLE_INVALID) });
    let try_all = |module: &Module, wrapping| subjects.map(|key| wrap(module, session, &KWP, wrapping, key).map(|wrapped| wrapped.len()));
    for token in [FALSE, TRUE] {
        let label = label();
        let template =
            vec![(CKA_TOKEN, token), (CKA_VALUE_LEN, LEN_16), (CKA_LABEL, label.as_bytes()), (CKA_WRAP_TEMPLATE, array(&wanted))];
        let wrapping = generate(&module, session, CKM_AES_KEY_GEN, &template).expect("a wrapping key");
        assert_eq!(try_all(&module, wrapping), expected);
        // Found by it, whatever the order and the addresses of its attributes are.
        let other_order = attributes(&[(CKA_ENCRYPT, FALSE), (CKA_KEY_TYPE, &aes), (CKA_LABEL, b"may leave")]);
        let search = |wanted: &[CK_ATTRIBUTE]| module.find(session, &[(CKA_LABEL, label.as_bytes()), (CKA_WRAP_TEMPLATE, array(wanted))]);
        assert_eq!((search(&other_order), search(&wanted[..2])), (vec![wrapping], vec![]));
        assert_eq!(set(&module, session, wrapping, &vec![(CKA_WRAP_TEMPLATE, array(&wanted[..1]))]), CKR_ATTRIBUTE_READ_ONLY);
        if token == TRUE {
            let other = bench.another();
            let other_session = other.logged_in();
            let found = other.object(other_session, CKO_SECRET_KEY, &label);
            let key = secret(&other, other_session, CKK_AES, &[1; 16]).expect("a session key");
            assert_eq!(wrap(&other, other_session, &KWP, found, key), Err(CKR_KEY_HANDLE_INVALID));
        }
    }
}

#[test]
fn an_unwrapping_key_adds_its_template_and_bears_no_contradiction() {
    let module = shared().another();
    let session = module.logged_in();
    let (class, aes) = (CKO_SECRET_KEY.to_ne_bytes(), CKK_AES.to_ne_bytes());
    let implied = attributes(&[(CKA_EXTRACTABLE, FALSE), (CKA_SENSITIVE, TRUE), (CKA_LABEL, b"from outside"), (CKA_KEY_TYPE, &aes)]);
    for token in [FALSE, TRUE] {
        let template = vec![(CKA_TOKEN, token), (CKA_VALUE_LEN, LEN_16), (CKA_UNWRAP_TEMPLATE, array(&implied))];
        let key = generate(&module, session, CKM_AES_KEY_GEN, &template).expect("an unwrapping key");
        let subject = secret(&module, session, CKK_AES, &[1; 32]).expect("a session key");
        let wrapped = wrap(&module, session, &KWP, key, subject).expect("it wraps");
        let made = unwrap(&module, session, key, &wrapped, &vec![(CKA_CLASS, &class), (CKA_SENSITIVE, TRUE)]).expect("a key");
        for (kind, value) in [(CKA_EXTRACTABLE, FALSE), (CKA_SENSITIVE, TRUE), (CKA_LABEL, b"from outside"), (CKA_KEY_TYPE, &aes)] {
            assert_eq!(module.attribute(session, made, kind), Ok(value.to_vec()), "{kind:#x}");
        }
        assert_eq!(module.attribute(session, made, CKA_VALUE), Err(CKR_ATTRIBUTE_SENSITIVE));
        // The key is one of 32 bytes.
        for (len, expected) in [(32_u64, None), (16, Some(CKR_WRAPPED_KEY_LEN_RANGE)), (0, Some(CKR_WRAPPED_KEY_LEN_RANGE))] {
            let (base, len) = ([(CKA_CLASS, &class[..]), (CKA_SENSITIVE, TRUE)], len.to_ne_bytes());
            let template = [&base[..], &[(CKA_VALUE_LEN, &len)]].concat();
            assert_eq!(unwrap(&module, session, key, &wrapped, &template).err(), expected);
        }
        for (kind, value) in [(CKA_EXTRACTABLE, TRUE), (CKA_LABEL, b"mine"), (CKA_KEY_TYPE, &CKK_GENERIC_SECRET.to_ne_bytes())] {
            let template = vec![(CKA_CLASS, &class[..]), (kind, value)];
            assert_eq!(unwrap(&module, session, key, &wrapped, &template), Err(CKR_TEMPLATE_INCONSISTENT), "{kind:#x}");
        }
    }
}

#[test]
fn derived_and_encapsulated_keys_follow_their_key_too() {
    let module = shared().another();
    let session = module.logged_in();
    let aes = CKK_AES.to_ne_bytes();
    let implied = attributes(&[(CKA_KEY_TYPE, &aes), (CKA_VALUE_LEN, LEN_16), (CKA_DECRYPT, FALSE)]);
    let (class, generic) = (CKO_SECRET_KEY.to_ne_bytes(), CKK_GENERIC_SECRET.to_ne_bytes());
    let base = [(CKA_CLASS, &class[..]), (CKA_KEY_TYPE, &generic), (CKA_VALUE, &[5; 32]), (CKA_DERIVE_TEMPLATE, array(&implied))];
    let base = create(&module, session, &base).expect("a base key");
    let hkdf = Mechanism::Hkdf { hash: CKM_SHA256, steps: (true, true), salt: Vec::new(), info: Vec::new() };
    assert_eq!(module.derive(session, &hkdf, base, &[(CKA_LABEL, b"derived")]).map(|value| value.len()), Ok(16));
    let derived = module.find(session, &[(CKA_LABEL, b"derived")])[0];
    for (kind, value) in [(CKA_KEY_TYPE, &aes[..]), (CKA_DECRYPT, FALSE), (CKA_ENCRYPT, TRUE)] {
        assert_eq!(module.attribute(session, derived, kind), Ok(value.to_vec()), "{kind:#x}");
    }
    for contradiction in [(CKA_DECRYPT, TRUE), (CKA_VALUE_LEN, &[32, 0, 0, 0, 0, 0, 0, 0]), (CKA_KEY_TYPE, &generic)] {
        assert_eq!(module.derive(session, &hkdf, base, &[contradiction]), Err(CKR_TEMPLATE_INCONSISTENT));
    }

    let set = CKP_ML_KEM_512.to_ne_bytes();
    let (shown, hidden) = (attributes(&[(CKA_LABEL, b"sent")]), attributes(&[(CKA_LABEL, b"received")]));
    let public = vec![(CKA_PARAMETER_SET, &set[..]), (CKA_ENCAPSULATE_TEMPLATE, array(&shown))];
    let private = vec![(CKA_DECAPSULATE_TEMPLATE, array(&hidden))];
    let (public, private) = generate_pair(&module, session, CKM_ML_KEM_KEY_PAIR_GEN, &public, &private).expect("a pair");
    let (mut ciphertext, mut len, mut sent, mut received) = ([0; 768], 768, 0, 0);
    let ml_kem = Mechanism::Plain(CKM_ML_KEM);
    let code = ml_kem
        .with(|m| call!(module, C_EncapsulateKey(session, m, public, null_mut(), 0, ciphertext.as_mut_ptr(), &raw mut len, &raw mut sent)));
    assert_eq!(code, CKR_OK);
    let code = ml_kem
        .with(|m| call!(module, C_DecapsulateKey(session, m, private, null_mut(), 0, ciphertext.as_mut_ptr(), len, &raw mut received)));
    assert_eq!(code, CKR_OK);
    let label = |key| module.attribute(session, key, CKA_LABEL);
    assert_eq!((label(sent), label(received)), (Ok(b"sent".to_vec()), Ok(b"received".to_vec())));
}

#[test]
fn trap_13_the_lengths_of_an_array_of_attributes() {
    let module = shared().another();
    let session = module.logged_in();
    let wanted = attributes(&[(CKA_LABEL, b"four"), (CKA_ENCRYPT, TRUE)]);
    let template = vec![(CKA_VALUE_LEN, LEN_16), (CKA_WRAP_TEMPLATE, array(&wanted))];
    let key = generate(&module, session, CKM_AES_KEY_GEN, &template).expect("a key");
    let (whole, one) = (size_of_val(&wanted[..]) as CK_ULONG, size_of::<CK_ATTRIBUTE>() as CK_ULONG);
    let ask = |kind, inner: &mut [CK_ATTRIBUTE], len: CK_ULONG| {
        let pointer = if inner.is_empty() { null_mut() } else { inner.as_mut_ptr().cast() };
        let mut outer = CK_ATTRIBUTE { type_: kind, pValue: pointer, ulValueLen: len };
        let code = call!(module, C_GetAttributeValue(session, key, &raw mut outer, 1));
        (code, outer.ulValueLen)
    };
    let empty = CK_ATTRIBUTE { type_: 0, pValue: null_mut(), ulValueLen: 77 };
    assert_eq!(ask(CKA_WRAP_TEMPLATE, &mut [], 0), (CKR_OK, whole));
    let mut inner = [empty; 2];
    for short in [0, 1, one, whole - 1] {
        assert_eq!(ask(CKA_WRAP_TEMPLATE, &mut inner, short), (CKR_BUFFER_TOO_SMALL, UNAVAILABLE), "{short}");
        assert!(inner.iter().all(|entry| entry.ulValueLen == 77));
    }
    // Types and lengths, then the values.
    assert_eq!(ask(CKA_WRAP_TEMPLATE, &mut inner, whole), (CKR_OK, whole));
    assert_eq!(inner.map(|entry| (entry.type_, entry.ulValueLen)), [(CKA_LABEL, 4), (CKA_ENCRYPT, 1)]);
    let (mut label, mut flag) = ([0; 4], [7]);
    (inner[0].pValue, inner[1].pValue) = (label.as_mut_ptr().cast(), flag.as_mut_ptr().cast());
    inner[0].ulValueLen = 3;
    assert_eq!(ask(CKA_WRAP_TEMPLATE, &mut inner, whole), (CKR_BUFFER_TOO_SMALL, whole));
    assert_eq!((inner[0].ulValueLen, inner[1].ulValueLen, label, flag), (UNAVAILABLE, 1, [0; 4], [CK_TRUE]));
    inner[0].ulValueLen = 4;
    assert_eq!(ask(CKA_WRAP_TEMPLATE, &mut inner, whole + 5), (CKR_OK, whole));
    assert_eq!((label, inner[0].ulValueLen), (*b"four", 4));
    // Nobody set the other, and such keys have no third.
    assert_eq!(ask(CKA_UNWRAP_TEMPLATE, &mut [], 0), (CKR_OK, 0));
    assert_eq!(ask(CKA_ENCAPSULATE_TEMPLATE, &mut [], 0), (CKR_ATTRIBUTE_TYPE_INVALID, UNAVAILABLE));
}

#[test]
fn arrays_of_attributes_that_cannot_be_are_refused() {
    let module = shared().another();
    let session = module.logged_in();
    let refused = |value: &[u8]| {
        let template = vec![(CKA_VALUE_LEN, LEN_16), (CKA_UNWRAP_TEMPLATE, value)];
        generate(&module, session, CKM_AES_KEY_GEN, &template).expect_err("no such array")
    };
    let innermost = attributes(&[(CKA_ENCRYPT, TRUE)]);
    for inner in [
        attributes(&[(CKA_WRAP_TEMPLATE, array(&innermost))]),
        attributes(&[(CKA_VALUE, &[1; 16])]),
        attributes(&[(CKA_ENCRYPT, &[2])]),
        attributes(&[(0x8765_4321, &[1])]),
        attributes(&[(CKA_ENCRYPT, TRUE), (CKA_ENCRYPT, FALSE)]),
        vec![CK_ATTRIBUTE { type_: CKA_LABEL, pValue: null_mut(), ulValueLen: 4 }],
        vec![CK_ATTRIBUTE { type_: CKA_LABEL, pValue: bytes(b"x").cast(), ulValueLen: UNAVAILABLE }],
    ] {
        assert_eq!(refused(array(&inner)), CKR_ATTRIBUTE_VALUE_INVALID);
    }
    assert_eq!(refused(&array(&innermost)[..23]), CKR_ATTRIBUTE_VALUE_INVALID);
    let mut template = attributes(&[(CKA_VALUE_LEN, LEN_16)]);
    template.push(CK_ATTRIBUTE { type_: CKA_UNWRAP_TEMPLATE, pValue: null_mut(), ulValueLen: 24 });
    let mut key = 0;
    let code = Mechanism::Plain(CKM_AES_KEY_GEN).with(|m| call!(module, C_GenerateKey(session, m, template.as_mut_ptr(), 2, &raw mut key)));
    assert_eq!(code, CKR_ATTRIBUTE_VALUE_INVALID);
}

#[test]
fn a_key_for_trusted_keys_waits_for_the_security_officer_s_word() {
    let stack = dsma_testkit::Stack::start();
    let module = Module::with_config(&crate::keys::conformance(&stack));
    let label = [b' '; 32];
    assert_eq!(call!(module, C_InitToken(0, bytes(b"so pin"), 6, bytes(&label))), CKR_OK);
    let session = module.open(CKF_SERIAL_SESSION | CKF_RW_SESSION);
    let officer = || assert_eq!(call!(module, C_Login(session, CKU_SO, bytes(b"so pin"), 6)), CKR_OK);
    officer();
    assert_eq!(call!(module, C_InitPIN(session, bytes(b"1234"), 4)), CKR_OK);
    assert_eq!(call!(module, C_Logout(session)), CKR_OK);
    assert_eq!(module.login(session, Some("1234")), CKR_OK);

    let bits = 2048_u64.to_ne_bytes();
    let public = vec![(CKA_TOKEN, TRUE), (CKA_MODULUS_BITS, &bits[..]), (CKA_LABEL, b"wrapping")];
    let (wrapping, _) = generate_pair(&module, session, CKM_RSA_PKCS_KEY_PAIR_GEN, &public, &vec![(CKA_TOKEN, TRUE)]).expect("a pair");
    let template =
        vec![(CKA_TOKEN, TRUE), (CKA_VALUE_LEN, LEN_16), (CKA_EXTRACTABLE, TRUE), (CKA_WRAP_WITH_TRUSTED, TRUE), (CKA_LABEL, b"guarded")];
    let key = generate(&module, session, CKM_AES_KEY_GEN, &template).expect("a key");
    assert_eq!(wrap(&module, session, &Mechanism::Oaep, wrapping, key), Err(CKR_KEY_NOT_WRAPPABLE));
    assert_eq!(set(&module, session, wrapping, &vec![(CKA_TRUSTED, TRUE)]), CKR_ATTRIBUTE_READ_ONLY, "not the user's to say");
    assert_eq!(set(&module, session, key, &vec![(CKA_WRAP_WITH_TRUSTED, FALSE)]), CKR_ATTRIBUTE_READ_ONLY);
    assert_eq!(call!(module, C_Logout(session)), CKR_OK);

    officer();
    assert_eq!(set(&module, session, wrapping, &vec![(CKA_TRUSTED, TRUE)]), CKR_OK);
    assert_eq!(module.attribute(session, wrapping, CKA_TRUSTED), Ok(TRUE.to_vec()));
    assert_eq!(call!(module, C_Logout(session)), CKR_OK);
    assert_eq!(module.login(session, Some("1234")), CKR_OK);
    let key = module.object(session, CKO_SECRET_KEY, "guarded");
    assert!(wrap(&module, session, &Mechanism::Oaep, wrapping, key).is_ok());
}

#[test]
fn trap_24_a_token_key_keeps_to_its_mechanisms() {
    let bench = shared();
    let module = bench.another();
    let session = module.logged_in();
    let list = [CKM_AES_GCM, CKM_AES_KEY_WRAP_KWP].map(CK_ULONG::to_ne_bytes).concat();
    let (some, none) = (label(), label());
    let make = |label: &str, list: &[u8]| {
        let template = vec![(CKA_TOKEN, TRUE), (CKA_VALUE_LEN, LEN_16), (CKA_LABEL, label.as_bytes()), (CKA_ALLOWED_MECHANISMS, list)];
        generate(&module, session, CKM_AES_KEY_GEN, &template)
    };
    assert_eq!(make(&some, &list[..15]), Err(CKR_ATTRIBUTE_VALUE_INVALID));
    make(&some, &list).expect("a key");
    make(&none, &[]).expect("a key");
    let other = bench.another();
    let other_session = other.logged_in();
    for (module, session) in [(&module, session), (&other, other_session)] {
        let [some, none] = [&some, &none].map(|label| module.object(session, CKO_SECRET_KEY, label));
        assert_eq!(module.attribute(session, some, CKA_ALLOWED_MECHANISMS), Ok(list.clone()));
        assert_eq!(module.attribute(session, none, CKA_ALLOWED_MECHANISMS), Ok(Vec::new()));
        let ecb = Mechanism::Plain(CKM_AES_ECB);
        let cmac = Mechanism::Plain(CKM_AES_CMAC);
        let encrypted = module.encrypt(session, &gcm(), some, b"data").expect("it encrypts");
        assert_eq!(module.decrypt(session, &gcm(), some, &encrypted), Ok(b"data".to_vec()));
        assert_eq!(module.encrypt(session, &ecb, some, &[0; 16]), Err(CKR_MECHANISM_INVALID));
        assert_eq!(module.encrypt(session, &gcm(), none, b"data"), Err(CKR_MECHANISM_INVALID), "an empty list is none at all");
        for key in [some, none] {
            assert_eq!(module.decrypt(session, &ecb, key, &[0; 16]), Err(CKR_MECHANISM_INVALID));
            assert_eq!(module.sign(session, &cmac, key, b"data"), Err(CKR_MECHANISM_INVALID));
            assert_eq!(module.verify(session, &cmac, key, b"data", &[0; 16]), CKR_MECHANISM_INVALID);
            assert_eq!(wrap(module, session, &Mechanism::Plain(CKM_AES_KEY_WRAP), key, key), Err(CKR_MECHANISM_INVALID));
        }
        let message_init = |key| gcm().with(|m| call!(module, C_MessageEncryptInit(session, m, key)));
        assert_eq!((message_init(none), message_init(some)), (CKR_MECHANISM_INVALID, CKR_OK));
        assert_eq!(call!(module, C_MessageEncryptFinal(session)), CKR_OK);
        let subject = secret(module, session, CKK_AES, &[1; 16]).expect("a session key");
        assert!(wrap(module, session, &KWP, some, subject).is_ok());
    }
}
