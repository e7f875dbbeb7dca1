//! The facts of the standard that modules most often get wrong: 32 traps, each with tests that bear its number.
//!
//! | trap | about | tests |
//! |---|---|---|
//! | 1 | asking for a length | here |
//! | 2 | short buffers | `encryption`, `sequences` |
//! | 3 | errors end operations | `arguments`, `sequences`, `session_objects` |
//! | 4 | a failed verification ends; one call cannot finish parts | `signing`, `sequences` |
//! | 5 | what updates put out | here, `encryption` |
//! | 6 | in place | `encryption`, `signing` |
//! | 7 | cancelling | `cancelling`, `sequences` |
//! | 8 | a second init, and kinds that do not meet | `signing`, `sequences` |
//! | 9 | nothing before C_Initialize | `arguments` |
//! | 10 | what callers say of threads | `general` |
//! | 11 | C_Finalize | `general`, `slots` |
//! | 12 | every entry of a template is answered | `objects` |
//! | 13 | arrays as attributes | here |
//! | 14 | searches | `objects`, `sequences` |
//! | 15 | lists | `general`, `arguments` |
//! | 16 | flags of C_OpenSession | `sessions` |
//! | 17 | logins | `sessions`, `sequences` |
//! | 18 | logins of single keys | `sessions` |
//! | 19 | PINs | `sessions` |
//! | 20 | logouts | `sessions`, `session_objects`, `sequences` |
//! | 21 | objects of sessions and of the token | `token_objects`, `sequences` |
//! | 22 | attributes that go one way | here |
//! | 23 | errors of templates | `session_objects`, `arguments` |
//! | 24 | usage flags, allowed mechanisms | `signing`, `session_objects` |
//! | 25 | what is told of token and library | `general` |
//! | 26 | parameters of GCM | here, `messages` |
//! | 27 | points of curves | here, `objects` |
//! | 28 | raw signatures | `signing` |
//! | 29 | random numbers | `general` |
//! | 30 | interfaces | `general`, `arguments` |
//! | 31 | parallel functions | `general`, `arguments` |
//! | 32 | handles | `sessions`, `arguments`, `sequences` |

use std::ptr::null_mut;

use cryptoki_sys::*;
use serde_json::json;

use crate::keys::shared;
use crate::module::{Mechanism, Module, attributes, bytes, call, gcm, ok};
use crate::session_objects::{FALSE, TRUE, create, secret};

/// The test program knows its tests: each number is in the name of one.
#[test]
fn every_trap_has_a_test() {
    let program = std::env::current_exe().expect("the path of the test program");
    let listed = std::process::Command::new(program).arg("--list").output().expect("the test program runs");
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    let missing: Vec<_> = (1..=32).filter(|number| !listed.contains(&format!("::trap_{number}_"))).collect();
    assert!(missing.is_empty(), "no test for {missing:?}");
}

/// A call that gives output, asked three times for the length; then a buffer of just that length is enough.
#[track_caller]
fn asked_then_answered(function: &dyn Fn(*mut u8, *mut CK_ULONG) -> CK_RV) -> Vec<u8> {
    let mut told = None;
    for _ in 0..3 {
        let mut len = CK_UNAVAILABLE_INFORMATION;
        assert_eq!(function(null_mut(), &raw mut len), CKR_OK);
        assert_eq!(*told.get_or_insert(len), len, "each question has the same answer");
    }
    let mut len = told.unwrap_or_default();
    let mut out = vec![0; len as usize];
    assert_eq!(function(out.as_mut_ptr(), &raw mut len), CKR_OK);
    assert!(len as usize <= out.len());
    out.truncate(len as usize);
    out
}

#[test]
fn trap_1_a_question_for_the_length_consumes_nothing() {
    let bench = shared();
    let (rsa, remote) = (bench.rsa(), bench.key(json!({"obj_type": "AES", "key_size": 256, "key_ops": ["ENCRYPT", "DECRYPT"]})));
    let (module, session, [private, cached, remote]) = bench.use_keys([&rsa, &bench.aes(), &remote]);
    let public = module.object(session, CKO_PUBLIC_KEY, &rsa.label);
    let data = b"some data that is not a whole number of blocks";
    let (input, len) = (bytes(data), data.len() as CK_ULONG);
    let cbc = || Mechanism::With(CKM_AES_CBC_PAD, vec![7; 16]);
    let ciphers = [
        (gcm(), cached, cached),
        (gcm(), remote, remote),
        (cbc(), cached, cached),
        (cbc(), remote, remote),
        (Mechanism::Ctr([3; 16]), cached, cached),
        (Mechanism::Plain(CKM_AES_KEY_WRAP_KWP), cached, cached),
        (Mechanism::Plain(CKM_RSA_PKCS), public, private),
        (Mechanism::Oaep, public, private),
    ];
    for (mechanism, to, from) in ciphers {
        mechanism.with(|m| assert_eq!(call!(module, C_EncryptInit(session, m, to)), CKR_OK));
        let encrypted = asked_then_answered(&|out, out_len| call!(module, C_Encrypt(session, input, len, out, out_len)));
        mechanism.with(|m| assert_eq!(call!(module, C_DecryptInit(session, m, from)), CKR_OK));
        let (from, from_len) = (bytes(&encrypted), encrypted.len() as CK_ULONG);
        let plain = asked_then_answered(&|out, out_len| call!(module, C_Decrypt(session, from, from_len, out, out_len)));
        assert_eq!(plain, data);
    }
    for kind in [CKM_SHA256_RSA_PKCS, CKM_RSA_PKCS] {
        Mechanism::Plain(kind).with(|m| assert_eq!(call!(module, C_SignInit(session, m, private)), CKR_OK));
        let signature = asked_then_answered(&|out, out_len| call!(module, C_Sign(session, input, len, out, out_len)));
        assert_eq!(module.verify(session, &Mechanism::Plain(kind), public, data, &signature), CKR_OK);
    }
    Mechanism::Plain(CKM_SHA256_RSA_PKCS).with(|m| assert_eq!(call!(module, C_SignInit(session, m, private)), CKR_OK));
    assert_eq!(call!(module, C_SignUpdate(session, input, len)), CKR_OK);
    let signature = asked_then_answered(&|out, out_len| call!(module, C_SignFinal(session, out, out_len)));
    assert_eq!(module.verify(session, &Mechanism::Plain(CKM_SHA256_RSA_PKCS), public, data, &signature), CKR_OK);
    Mechanism::Plain(CKM_SHA3_256).with(|m| assert_eq!(call!(module, C_DigestInit(session, m)), CKR_OK));
    assert_eq!(asked_then_answered(&|out, out_len| call!(module, C_Digest(session, input, len, out, out_len))).len(), 32);
    // In parts, where a question must not feed the part twice.
    cbc().with(|m| assert_eq!(call!(module, C_EncryptInit(session, m, cached)), CKR_OK));
    let first = asked_then_answered(&|out, out_len| call!(module, C_EncryptUpdate(session, input, len, out, out_len)));
    let rest = asked_then_answered(&|out, out_len| call!(module, C_EncryptFinal(session, out, out_len)));
    assert_eq!(module.decrypt(session, &cbc(), cached, &[first, rest].concat()).as_deref(), Ok(&data[..]));
}

/// As much as is determined comes out, and no more: a decryption with padding holds one block back.
#[test]
fn trap_5_updates_put_out_what_is_determined() {
    let module = shared().another();
    let session = module.logged_in();
    let key = secret(&module, session, CKK_AES, &[6; 16]).expect("a session key");
    let cbc = |kind| Mechanism::With(kind, vec![7; 16]);
    let ctr = || Mechanism::Ctr([0; 16]);
    // Bytes that go in one after the other, and how many have come out after each.
    let encrypted: [(Mechanism, &[(usize, usize)]); 4] = [
        (cbc(CKM_AES_CBC), &[(5, 0), (10, 0), (1, 16), (31, 32), (17, 64)]),
        (cbc(CKM_AES_CBC_PAD), &[(5, 0), (11, 16), (0, 16), (16, 32), (3, 32)]),
        (ctr(), &[(5, 5), (0, 5), (1, 6), (20, 26)]),
        (gcm(), &[(5, 5), (0, 5), (12, 17)]),
    ];
    let decrypted: [(Mechanism, &[(usize, usize)]); 4] = [
        (cbc(CKM_AES_CBC), &[(5, 0), (11, 16), (16, 32)]),
        (cbc(CKM_AES_CBC_PAD), &[(16, 0), (1, 16), (15, 16), (16, 32), (0, 32)]),
        (ctr(), &[(5, 5), (1, 6)]),
        (gcm(), &[(5, 0), (40, 0)]),
    ];
    for (decrypting, (mechanism, parts)) in encrypted.iter().map(|case| (false, case)).chain(decrypted.iter().map(|case| (true, case))) {
        mechanism.with(|m| {
            let code =
                if decrypting { call!(module, C_DecryptInit(session, m, key)) } else { call!(module, C_EncryptInit(session, m, key)) };
            assert_eq!(code, CKR_OK);
        });
        let mut total = 0;
        for (given, expected) in *parts {
            let (mut out, mut len, part) = ([0; 64], 64, [1; 64]);
            let (input, given, place) = (bytes(&part), *given as CK_ULONG, out.as_mut_ptr());
            let code = match decrypting {
                true => call!(module, C_DecryptUpdate(session, input, given, place, &raw mut len)),
                false => call!(module, C_EncryptUpdate(session, input, given, place, &raw mut len)),
            };
            assert_eq!(code, CKR_OK);
            total += len as usize;
            assert_eq!(total, *expected, "{parts:?}, decrypting: {decrypting}");
        }
        assert_eq!(call!(module, C_SessionCancel(session, CKF_ENCRYPT | CKF_DECRYPT)), CKR_OK);
    }
}

/// Arrays of attributes have lengths within their length; a list of mechanisms is an array of numbers and no template.
#[test]
fn trap_13_arrays_as_attributes() {
    let module = shared().another();
    let session = module.logged_in();
    let (class, kind) = (CKO_SECRET_KEY.to_ne_bytes(), CKK_AES.to_ne_bytes());
    let allowed = [CKM_AES_CTR, CKM_AES_GCM].map(CK_ULONG::to_ne_bytes).concat();
    let with = |more| create(&module, session, &[(CKA_CLASS, &class[..]), (CKA_KEY_TYPE, &kind), (CKA_VALUE, &[1; 16]), more]);
    let key = with((CKA_ALLOWED_MECHANISMS, &allowed)).expect("a session key");
    assert_eq!(module.attribute(session, key, CKA_ALLOWED_MECHANISMS), Ok(allowed.clone()));
    let mut short = [0; 15];
    let mut wanted = CK_ATTRIBUTE { type_: CKA_ALLOWED_MECHANISMS, pValue: short.as_mut_ptr().cast(), ulValueLen: 15 };
    assert_eq!(call!(module, C_GetAttributeValue(session, key, &raw mut wanted, 1)), CKR_BUFFER_TOO_SMALL);
    assert_eq!((wanted.ulValueLen, short), (CK_UNAVAILABLE_INFORMATION, [0; 15]));
    assert_eq!(with((CKA_ALLOWED_MECHANISMS, &allowed[..9])), Err(CKR_ATTRIBUTE_VALUE_INVALID));
    // A key without the list may do all: an empty list would mean that it may do nothing.
    let free = with((CKA_LABEL, b"free")).expect("a session key");
    assert_eq!(module.attribute(session, free, CKA_ALLOWED_MECHANISMS), Err(CKR_ATTRIBUTE_TYPE_INVALID));
    // An array of attributes that nobody set is empty, and eight zero bytes are no attribute. `templates.rs` has the nested lengths.
    for kind in [CKA_WRAP_TEMPLATE, CKA_UNWRAP_TEMPLATE, CKA_DERIVE_TEMPLATE] {
        assert_eq!(module.attribute(session, key, kind), Ok(Vec::new()));
        assert_eq!(with((kind, &[0; 8])), Err(CKR_ATTRIBUTE_VALUE_INVALID), "{kind:#x}");
    }
}

#[test]
fn trap_22_attributes_that_go_one_way() {
    let module = shared().another();
    let session = module.logged_in();
    let (class, kind) = (CKO_SECRET_KEY.to_ne_bytes(), CKK_AES.to_ne_bytes());
    let make =
        || create(&module, session, &[(CKA_CLASS, &class[..]), (CKA_KEY_TYPE, &kind), (CKA_VALUE, &[1; 16])]).expect("a session key");
    let set = |key, kind, value: &[u8]| {
        let mut template = attributes(&[(kind, value)]);
        ok(call!(module, C_SetAttributeValue(session, key, template.as_mut_ptr(), 1)))
    };
    for (attribute, once, never) in [(CKA_SENSITIVE, TRUE, FALSE), (CKA_EXTRACTABLE, FALSE, TRUE)] {
        let key = make();
        assert_eq!(module.attribute(session, key, attribute).as_deref(), Ok(never));
        assert_eq!(set(key, attribute, once), Ok(()));
        assert_eq!(set(key, attribute, once), Ok(()), "what is so may be said");
        assert_eq!(set(key, attribute, never), Err(CKR_ATTRIBUTE_READ_ONLY), "{attribute:#x}");
        assert_eq!(module.attribute(session, key, attribute).as_deref(), Ok(once));
        assert_eq!(module.attribute(session, key, CKA_VALUE), Err(CKR_ATTRIBUTE_SENSITIVE));
        // A copy is no way around it.
        let (mut template, mut copy) = (attributes(&[(attribute, never)]), 0);
        assert_eq!(call!(module, C_CopyObject(session, key, template.as_mut_ptr(), 1, &raw mut copy)), CKR_ATTRIBUTE_READ_ONLY);
        assert_eq!(call!(module, C_CopyObject(session, key, null_mut(), 0, &raw mut copy)), CKR_OK);
        assert_eq!(module.attribute(session, copy, attribute).as_deref(), Ok(once));
    }
    let key = make();
    assert_eq!(set(key, CKA_TRUSTED, TRUE), Err(CKR_ATTRIBUTE_READ_ONLY), "only for the security officer");
    for attribute in [CKA_ALWAYS_SENSITIVE, CKA_NEVER_EXTRACTABLE, CKA_LOCAL] {
        assert_eq!(set(key, attribute, TRUE), Err(CKR_ATTRIBUTE_READ_ONLY), "{attribute:#x}");
    }
    for attribute in [CKA_CLASS, CKA_KEY_TYPE, CKA_KEY_GEN_MECHANISM] {
        assert_eq!(set(key, attribute, &7_u64.to_ne_bytes()), Err(CKR_ATTRIBUTE_READ_ONLY), "{attribute:#x}");
    }
}

/// GCM as callers fill it in.
#[test]
fn trap_26_parameters_of_gcm() {
    let module = shared().another();
    let session = module.logged_in();
    let key = secret(&module, session, CKK_AES, &[6; 16]).expect("a session key");
    let mut iv = [9; 32];
    let good = CK_GCM_PARAMS { pIv: iv.as_mut_ptr(), ulIvLen: 12, ulIvBits: 96, pAAD: null_mut(), ulAADLen: 0, ulTagBits: 128 };
    let encrypt = |params: CK_GCM_PARAMS| encrypt_with(&module, session, key, &params, size_of_val(&params));
    let whole = encrypt(good).expect("it encrypts");
    // The IV's length is that in bytes, whatever is said in bits.
    for bits in [0, 1, 96, 128, CK_UNAVAILABLE_INFORMATION] {
        assert_eq!(encrypt(CK_GCM_PARAMS { ulIvBits: bits, ..good }), Ok(whole.clone()));
    }
    for len in [1, 8, 16, 32] {
        assert_ne!(encrypt(CK_GCM_PARAMS { ulIvLen: len, ..good }).expect("it encrypts"), whole);
    }
    // The structure of old lacks the length in bits.
    let old = [good.pIv as usize, 12, 0, 0, 128];
    assert_eq!(encrypt_with(&module, session, key, &old, size_of_val(&old)), Ok(whole.clone()));
    for bits in 0..=136 {
        let made = encrypt(CK_GCM_PARAMS { ulTagBits: bits, ..good });
        if bits % 8 == 0 && (32..=128).contains(&bits) {
            assert_eq!(made.as_deref(), Ok(&whole[..DATA.len() + bits as usize / 8]), "{bits}");
        } else {
            assert_eq!(made, Err(CKR_MECHANISM_PARAM_INVALID), "{bits}");
        }
    }
    for bad in [
        CK_GCM_PARAMS { ulIvLen: 0, ..good },
        CK_GCM_PARAMS { pIv: null_mut(), ..good },
        CK_GCM_PARAMS { ulIvLen: CK_UNAVAILABLE_INFORMATION, ..good },
        CK_GCM_PARAMS { ulAADLen: 1, ..good },
        CK_GCM_PARAMS { ulAADLen: CK_UNAVAILABLE_INFORMATION, ..good },
        CK_GCM_PARAMS { ulTagBits: CK_UNAVAILABLE_INFORMATION, ..good },
    ] {
        assert_eq!(encrypt(bad), Err(CKR_MECHANISM_PARAM_INVALID));
    }
}

const DATA: &[u8] = b"data under GCM";

fn encrypt_with<T>(module: &Module, session: CK_SESSION_HANDLE, key: CK_OBJECT_HANDLE, params: &T, len: usize) -> Result<Vec<u8>, CK_RV> {
    let pointer = std::ptr::from_ref(params).cast_mut().cast();
    let mut mechanism = CK_MECHANISM { mechanism: CKM_AES_GCM, pParameter: pointer, ulParameterLen: len as CK_ULONG };
    ok(call!(module, C_EncryptInit(session, &raw mut mechanism, key)))?;
    Ok(asked_then_answered(&|out, out_len| call!(module, C_Encrypt(session, bytes(DATA), DATA.len() as CK_ULONG, out, out_len))))
}

/// Points of Edwards and Montgomery curves are bare bytes, and templates take both forms.
#[test]
fn trap_27_points_of_the_other_curves_are_bare() {
    let bench = shared();
    for (curve, obj_type, key_type, key_ops) in
        [("Ed25519", "EC", CKK_EC_EDWARDS, ["SIGN", "VERIFY"]), ("X25519", "EC", CKK_EC_MONTGOMERY, ["AGREEKEY", "EXPORT"])]
    {
        let key = bench.key(json!({"obj_type": obj_type, "elliptic_curve": curve, "key_ops": key_ops}));
        let (module, session, private) = bench.use_key(&key);
        let public = module.object(session, CKO_PUBLIC_KEY, &key.label);
        let point = module.attribute(session, public, CKA_EC_POINT).expect("a point");
        assert_eq!(point.len(), 32, "{curve}");
        assert_eq!(module.attribute(session, private, CKA_KEY_TYPE), Ok(key_type.to_ne_bytes().to_vec()));
        assert!(bench.public_key(&key).ends_with(&point));
        let params = module.attribute(session, public, CKA_EC_PARAMS).expect("parameters");
        let (class, kind) = (CKO_PUBLIC_KEY.to_ne_bytes(), key_type.to_ne_bytes());
        for form in [point.clone(), [&[4, 32], &point[..]].concat()] {
            let template = [(CKA_CLASS, &class[..]), (CKA_KEY_TYPE, &kind), (CKA_EC_PARAMS, &params), (CKA_EC_POINT, &form)];
            let made = create(&module, session, &template).expect("a session key");
            assert_eq!(module.attribute(session, made, CKA_EC_POINT).as_deref(), Ok(&point[..]));
        }
    }
}
