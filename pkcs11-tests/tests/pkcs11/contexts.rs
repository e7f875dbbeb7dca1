//! Signatures with a context, and those of ML-DSA that are hedged or not.

use std::ptr::null_mut;

use cryptoki_sys::*;
use serde_json::json;

use crate::keys::shared;
use crate::module::{Mechanism, bytes, call};
use crate::session_objects::create;

/// RFC 8032, 7.2 ("foo") and 7.3, with session keys.
#[test]
fn ed25519ctx_and_ed25519ph_are_those_of_rfc_8032() {
    let module = shared().another();
    let session = module.logged_in();
    let oid = [0x06, 0x03, 0x2b, 0x65, 0x70];
    for (seed, message, (over_digest, context), signature) in [
        (
            "0305334e381af78f141cb666f6199f57bc3495335a256a95bd2a55bf546663f6",
            "f726936d19c800494e3fdaff20b276a8",
            (false, &b"foo"[..]),
            "55a4cc2f70a54e04288c5f4cd1e45a7bb520b36292911876cada7323198dd87a8b36950b95130022907a7fb7c4e9b2d5f6cca685a587b4b21f4b888e4e7edb0d",
        ),
        (
            "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
            "616263",
            (true, b""),
            "98a70222f0b8121aa9d30f813d683f809e462b469c7ff87639499bb94e6dae4131f85042463c2a355a2003d062adf5aaa10b8c61e636062aaad11c2a26083406",
        ),
    ] {
        let [seed, message, signature] = [seed, message, signature].map(|text| hex::decode(text).expect("hex"));
        let (class, kind) = (CKO_PRIVATE_KEY.to_ne_bytes(), CKK_EC_EDWARDS.to_ne_bytes());
        let template = [(CKA_CLASS, &class[..]), (CKA_KEY_TYPE, &kind), (CKA_EC_PARAMS, &oid), (CKA_VALUE, &seed)];
        let private = create(&module, session, &template).expect("a private key");
        let public = module.derive_key(session, &Mechanism::Plain(CKM_PUB_KEY_FROM_PRIV_KEY), private, &[]).expect("a public key");
        let eddsa = Mechanism::EdDsa(over_digest, context.to_vec());
        assert_eq!(module.sign(session, &eddsa, private, &message), Ok(signature.clone()));
        assert_eq!(module.verify(session, &eddsa, public, &message, &signature), CKR_OK);
        for other in [Mechanism::Plain(CKM_EDDSA), Mechanism::EdDsa(!over_digest, b"foo".to_vec()), Mechanism::EdDsa(true, b"bar".to_vec())]
        {
            assert_eq!(module.verify(session, &other, public, &message, &signature), CKR_SIGNATURE_INVALID);
        }
        // In parts too.
        eddsa.with(|m| assert_eq!(call!(module, C_VerifyInit(session, m, public)), CKR_OK));
        for part in message.chunks(2) {
            assert_eq!(call!(module, C_VerifyUpdate(session, bytes(part), part.len() as CK_ULONG)), CKR_OK);
        }
        assert_eq!(call!(module, C_VerifyFinal(session, bytes(&signature), 64)), CKR_OK);
        let too_long = Mechanism::EdDsa(true, vec![1; 256]);
        assert_eq!(module.sign(session, &too_long, private, b"message"), Err(CKR_MECHANISM_PARAM_INVALID));
    }
}

/// DSM signs by Ed25519 alone; a parameter that says nothing means that too.
#[test]
fn a_context_needs_a_key_that_may_be_exported() {
    let bench = shared();
    let with_context = Mechanism::EdDsa(false, b"context".to_vec());
    for (key_ops, answer) in [(json!(["SIGN", "VERIFY", "EXPORT"]), Ok(64)), (json!(["SIGN", "VERIFY"]), Err(CKR_FUNCTION_FAILED))] {
        let key = bench.key(json!({"obj_type": "EC", "elliptic_curve": "Ed25519", "key_ops": key_ops}));
        let (module, session, private) = bench.use_key(&key);
        let public = module.object(session, CKO_PUBLIC_KEY, &key.label);
        let signature = module.sign(session, &with_context, private, b"message");
        assert_eq!(signature.as_ref().map(Vec::len), answer.as_ref().copied());
        if let Ok(signature) = signature {
            assert_eq!(module.verify(session, &with_context, public, b"message", &signature), CKR_OK);
        }
        let nothing = Mechanism::EdDsa(false, Vec::new());
        let signature = module.sign(session, &nothing, private, b"message").expect("a signature");
        assert_eq!(module.verify(session, &Mechanism::Plain(CKM_EDDSA), public, b"message", &signature), CKR_OK);
    }
}

/// With keys of a session and of DSM, here and there.
#[test]
fn ml_dsa_is_hedged_or_not_as_the_caller_wants_it() {
    let bench = shared();
    for key_ops in [json!(["SIGN", "VERIFY", "EXPORT"]), json!(["SIGN", "VERIFY"])] {
        let key = bench.key(json!({"obj_type": "MLDSA", "mldsa": {"param_set": "MlDsa65"}, "key_ops": key_ops}));
        let (module, session, private) = bench.use_key(&key);
        let public = module.object(session, CKO_PUBLIC_KEY, &key.label);
        let digest = [7; 32];
        for (mechanism, message) in [
            ((|hedge| Mechanism::MlDsaHedged(CKM_ML_DSA, hedge, b"context".to_vec())) as fn(_) -> _, &b"message"[..]),
            (|hedge| Mechanism::MlDsaHedged(CKM_HASH_ML_DSA_SHA256, hedge, Vec::new()), b"message"),
            (|hedge| Mechanism::MlDsaDigest(CKM_SHA256, hedge, b"context".to_vec()), &digest),
        ] {
            let sign = |hedge| module.sign(session, &mechanism(hedge), private, message).expect("a signature");
            assert_eq!(sign(CKH_DETERMINISTIC_REQUIRED), sign(CKH_DETERMINISTIC_REQUIRED));
            assert_ne!(sign(CKH_HEDGE_REQUIRED), sign(CKH_HEDGE_REQUIRED));
            for hedge in [CKH_DETERMINISTIC_REQUIRED, CKH_HEDGE_PREFERRED] {
                // A verification does not care.
                assert_eq!(module.verify(session, &mechanism(99), public, message, &sign(hedge)), CKR_OK);
            }
            assert_eq!(module.sign(session, &mechanism(99), private, message), Err(CKR_MECHANISM_PARAM_INVALID));
        }
    }
}

/// CKM_HASH_ML_DSA takes the digest, at once, and makes what the mechanisms with a hash of their own make.
#[test]
fn ml_dsa_over_a_digest_of_the_caller() {
    let bench = shared();
    let key = bench.key(json!({"obj_type": "MLDSA", "mldsa": {"param_set": "MlDsa44"}, "key_ops": ["SIGN", "VERIFY", "EXPORT"]}));
    let (module, session, private) = bench.use_key(&key);
    let public = module.object(session, CKO_PUBLIC_KEY, &key.label);
    // FIPS 180-4: SHA-256 of "abc".
    let digest = hex::decode("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad").expect("hex");
    let over = |hash| Mechanism::MlDsaDigest(hash, CKH_HEDGE_PREFERRED, b"context".to_vec());
    let hashing = Mechanism::MlDsa(CKM_HASH_ML_DSA_SHA256, b"context".to_vec());
    let signature = module.sign(session, &over(CKM_SHA256), private, &digest).expect("a signature");
    assert_eq!(module.verify(session, &hashing, public, b"abc", &signature), CKR_OK);
    let signature = module.sign(session, &hashing, private, b"abc").expect("a signature");
    assert_eq!(module.verify(session, &over(CKM_SHA256), public, &digest, &signature), CKR_OK);
    assert_eq!(module.verify(session, &over(CKM_SHA3_256), public, &digest, &signature), CKR_SIGNATURE_INVALID, "another hash");

    assert_eq!(module.sign(session, &over(CKM_SHA256), private, &digest[1..]), Err(CKR_DATA_LEN_RANGE));
    assert_eq!(module.sign(session, &over(CKM_AES_GCM), private, &digest), Err(CKR_MECHANISM_PARAM_INVALID));
    assert_eq!(module.sign(session, &Mechanism::Plain(CKM_HASH_ML_DSA), private, &digest), Err(CKR_MECHANISM_PARAM_INVALID));
    over(CKM_SHA256).with(|m| assert_eq!(call!(module, C_SignInit(session, m, private)), CKR_OK));
    assert_eq!(call!(module, C_SignUpdate(session, bytes(&digest), 32)), CKR_OPERATION_NOT_INITIALIZED);
    let mut len = 0;
    assert_eq!(call!(module, C_Sign(session, bytes(&digest), 32, null_mut(), &raw mut len)), CKR_OPERATION_NOT_INITIALIZED, "it ended");
}
