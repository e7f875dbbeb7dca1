//! Signatures from which the data is recovered, and those that are given before the data.

use std::ptr::null_mut;

use cryptoki_sys::*;
use serde_json::json;

use crate::keys::shared;
use crate::module::{Mechanism, attributes, bytes, call, output};
use crate::session_objects::{FALSE, TRUE, create};
use crate::token_objects::generate_pair;

#[test]
fn recovery_gives_what_was_signed() {
    let bench = shared();
    let key = bench.rsa();
    let (module, session, private) = bench.use_key(&key);
    let token_public = module.object(session, CKO_PUBLIC_KEY, &key.label);
    // The same public key in the session, where its usage can be set.
    let number = |kind| module.attribute(session, token_public, kind).expect("a number");
    let (class, kind) = (CKO_PUBLIC_KEY.to_ne_bytes(), CKK_RSA.to_ne_bytes());
    let (modulus, exponent) = (number(CKA_MODULUS), number(CKA_PUBLIC_EXPONENT));
    let template = [
        (CKA_CLASS, &class[..]),
        (CKA_KEY_TYPE, &kind),
        (CKA_MODULUS, &modulus),
        (CKA_PUBLIC_EXPONENT, &exponent),
        (CKA_VERIFY_RECOVER, TRUE),
    ];
    let public = create(&module, session, &template).expect("a session key");
    let mechanism = Mechanism::Plain(CKM_RSA_PKCS);
    let signature = module.sign(session, &mechanism, private, b"some data").expect("it signs");
    let init = || mechanism.with(|m| assert_eq!(call!(module, C_VerifyRecoverInit(session, m, public)), CKR_OK));
    let recover = |signature: &[u8], out: *mut u8, len: *mut CK_ULONG| {
        call!(module, C_VerifyRecover(session, bytes(signature), signature.len() as CK_ULONG, out, len))
    };
    init();
    let (mut short, mut len) = ([0; 4], 4);
    assert_eq!(recover(&signature, short.as_mut_ptr(), &raw mut len), CKR_BUFFER_TOO_SMALL);
    assert_eq!(len, 9);
    assert_eq!(output(|out, len| recover(&signature, out, len)), Ok(b"some data".to_vec()));
    assert_eq!(recover(&signature, null_mut(), &raw mut len), CKR_OPERATION_NOT_INITIALIZED);
    init();
    let mut wrong = signature.clone();
    wrong[9] ^= 1;
    assert_eq!(recover(&wrong, null_mut(), &raw mut len), CKR_SIGNATURE_INVALID);
    init();
    assert_eq!(recover(&signature[1..], null_mut(), &raw mut len), CKR_SIGNATURE_LEN_RANGE);
    assert_eq!(
        Mechanism::Plain(CKM_SHA256_RSA_PKCS).with(|m| call!(module, C_VerifyRecoverInit(session, m, public))),
        CKR_MECHANISM_INVALID
    );
}

/// DSM has one word for signing with and without recovery: who may do the one may do the other, unless the key's maker said no.
#[test]
fn recovery_with_keys_of_the_token() {
    let bench = shared();
    let key = bench.rsa();
    let (module, session, private) = bench.use_key(&key);
    let public = module.object(session, CKO_PUBLIC_KEY, &key.label);
    for (kind, data) in [(CKM_RSA_PKCS, &b"some data"[..]), (CKM_RSA_X_509, &[1; 256])] {
        Mechanism::Plain(kind).with(|m| {
            assert_eq!(call!(module, C_SignRecoverInit(session, m, private)), CKR_OK);
            assert_eq!(call!(module, C_VerifyRecoverInit(session, m, public)), CKR_OK);
        });
        let len = data.len() as CK_ULONG;
        let signature = output(|out, out_len| call!(module, C_SignRecover(session, bytes(data), len, out, out_len))).expect("it signs");
        assert_eq!(output(|out, len| call!(module, C_VerifyRecover(session, bytes(&signature), 256, out, len))).as_deref(), Ok(data));
    }
    // What a template says, and a change of it.
    let bits = 2048_u64.to_ne_bytes();
    let pair = |private: &[(CK_ATTRIBUTE_TYPE, &[u8])]| {
        let public = vec![(CKA_TOKEN, TRUE), (CKA_MODULUS_BITS, &bits[..])];
        let private = [&[(CKA_TOKEN, TRUE)], private].concat();
        generate_pair(&module, session, CKM_RSA_PKCS_KEY_PAIR_GEN, &public, &private)
    };
    assert_eq!(pair(&[(CKA_SIGN, FALSE), (CKA_SIGN_RECOVER, TRUE)]).err(), Some(CKR_TEMPLATE_INCONSISTENT));
    let (_, private) = pair(&[(CKA_SIGN_RECOVER, FALSE)]).expect("a pair");
    let may = || [CKA_SIGN, CKA_SIGN_RECOVER].map(|kind| module.attribute(session, private, kind) == Ok(TRUE.to_vec()));
    let set = |kind, value: &[u8]| {
        let mut template = attributes(&[(kind, value)]);
        call!(module, C_SetAttributeValue(session, private, template.as_mut_ptr(), 1))
    };
    assert_eq!(may(), [true, false]);
    let init = || Mechanism::Plain(CKM_RSA_PKCS).with(|m| call!(module, C_SignRecoverInit(session, m, private)));
    assert_eq!(init(), CKR_KEY_FUNCTION_NOT_PERMITTED);
    assert_eq!((set(CKA_SIGN_RECOVER, TRUE), may()), (CKR_OK, [true, true]));
    assert_eq!((set(CKA_SIGN, FALSE), may()), (CKR_OK, [false, false]));
    assert_eq!((set(CKA_SIGN_RECOVER, TRUE), may()), (CKR_ATTRIBUTE_VALUE_INVALID, [false, false]));
    assert_eq!((set(CKA_SIGN, TRUE), may()), (CKR_OK, [true, true]));
    assert_eq!(init(), CKR_OK);
}

#[test]
fn the_signature_may_come_first() {
    let bench = shared();
    let key = bench.ec();
    let (module, session, private) = bench.use_key(&key);
    let public = module.object(session, CKO_PUBLIC_KEY, &key.label);
    let mechanism = Mechanism::Plain(CKM_ECDSA_SHA256);
    let mut signature = module.sign(session, &mechanism, private, b"some data").expect("it signs");
    let signature = signature.as_mut_ptr();
    let init = |len| mechanism.with(|m| call!(module, C_VerifySignatureInit(session, m, public, signature, len)));
    assert_eq!(init(63), CKR_SIGNATURE_LEN_RANGE);
    assert_eq!(init(64), CKR_OK);
    assert_eq!(init(64), CKR_OPERATION_ACTIVE);
    assert_eq!(call!(module, C_VerifySignature(session, bytes(b"some data"), 9)), CKR_OK);
    assert_eq!(call!(module, C_VerifySignature(session, bytes(b"some data"), 9)), CKR_OPERATION_NOT_INITIALIZED);
    assert_eq!(init(64), CKR_OK);
    assert_eq!(call!(module, C_VerifySignatureUpdate(session, bytes(b"some "), 5)), CKR_OK);
    assert_eq!(call!(module, C_VerifySignatureUpdate(session, bytes(b"data"), 4)), CKR_OK);
    assert_eq!(call!(module, C_VerifySignatureFinal(session)), CKR_OK);
    assert_eq!(init(64), CKR_OK);
    assert_eq!(call!(module, C_VerifySignature(session, bytes(b"other"), 5)), CKR_SIGNATURE_INVALID);
}

/// Of a message and of its digest, in one call and in parts, with a context and without, here and in DSM.
#[test]
fn ml_dsa_and_ed25519_sign_here_and_in_dsm() {
    let bench = shared();
    for ops in [&["SIGN", "VERIFY", "EXPORT"][..], &["SIGN", "VERIFY"]] {
        let ml_dsa = bench.key(json!({"obj_type": "MLDSA", "mldsa": {"param_set": "MlDsa65"}, "key_ops": ops}));
        let ed25519 = bench.key(json!({"obj_type": "EC", "elliptic_curve": "Ed25519", "key_ops": ops}));
        let (module, session, [ml_dsa_private, ed25519_private]) = bench.use_keys([&ml_dsa, &ed25519]);
        let [ml_dsa_public, ed25519_public] = [&ml_dsa, &ed25519].map(|key| module.object(session, CKO_PUBLIC_KEY, &key.label));
        for (mechanism, private, public, len) in [
            (Mechanism::Plain(CKM_ML_DSA), ml_dsa_private, ml_dsa_public, 3309),
            (Mechanism::MlDsa(CKM_ML_DSA, b"context".to_vec()), ml_dsa_private, ml_dsa_public, 3309),
            (Mechanism::Plain(CKM_HASH_ML_DSA_SHA512), ml_dsa_private, ml_dsa_public, 3309),
            (Mechanism::Plain(CKM_EDDSA), ed25519_private, ed25519_public, 64),
        ] {
            let signature = module.sign(session, &mechanism, private, b"some data").expect("it signs");
            assert_eq!(signature.len(), len);
            assert_eq!(module.verify(session, &mechanism, public, b"some data", &signature), CKR_OK);
            assert_eq!(module.verify(session, &mechanism, public, b"other", &signature), CKR_SIGNATURE_INVALID);
            mechanism.with(|m| assert_eq!(call!(module, C_SignInit(session, m, private)), CKR_OK));
            mechanism.with(|m| assert_eq!(call!(module, C_VerifyInit(session, m, public)), CKR_OK));
            for part in [&b"some "[..], b"data"] {
                assert_eq!(call!(module, C_SignUpdate(session, bytes(part), part.len() as CK_ULONG)), CKR_OK);
                assert_eq!(call!(module, C_VerifyUpdate(session, bytes(part), part.len() as CK_ULONG)), CKR_OK);
            }
            let signature = output(|out, len| call!(module, C_SignFinal(session, out, len))).expect("it signs");
            assert_eq!(call!(module, C_VerifyFinal(session, bytes(&signature), len as CK_ULONG)), CKR_OK);
        }
        let other = Mechanism::MlDsa(CKM_ML_DSA, b"another".to_vec());
        let signature = module.sign(session, &Mechanism::Plain(CKM_ML_DSA), ml_dsa_private, b"data").expect("it signs");
        assert_eq!(module.verify(session, &other, ml_dsa_public, b"data", &signature), CKR_SIGNATURE_INVALID);
        let too_long = Mechanism::MlDsa(CKM_ML_DSA, vec![1; 256]);
        assert_eq!(module.sign(session, &too_long, ml_dsa_private, b"data"), Err(CKR_MECHANISM_PARAM_INVALID));
        assert_eq!(bench.stack.dsm().uses_of(&ml_dsa.kid, "sign") > 0, ops.len() == 2);
    }
}
