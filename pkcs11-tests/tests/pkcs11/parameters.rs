//! Parameters of mechanisms that cannot be: of every length, at odd addresses, with pointers to nothing.

use std::ptr::null_mut;

use cryptoki_sys::*;

use crate::keys::shared;
use crate::module::{Module, bytes, call};
use crate::session_objects::{pair, secret};

/// DER of the curves' names.
const P_256: &[u8] = &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const ED25519: &[u8] = &[0x06, 0x03, 0x2b, 0x65, 0x70];
const X25519: &[u8] = &[0x06, 0x03, 0x2b, 0x65, 0x6e];

/// Session keys of every kind that a mechanism with a parameter takes.
fn keys(module: &Module, session: CK_SESSION_HANDLE) -> Vec<CK_OBJECT_HANDLE> {
    let secrets: [(CK_KEY_TYPE, &[u8]); 4] =
        [(CKK_AES, &[1; 16]), (CKK_GENERIC_SECRET, &[2; 32]), (CKK_CHACHA20, &[3; 32]), (CKK_DES3, b"a triple DES key 24 long")];
    let secrets = secrets.map(|(kind, value)| secret(module, session, kind, value).expect("a session key"));
    let (bits, dsa, kem) = (1024_u64.to_ne_bytes(), CKP_ML_DSA_44.to_ne_bytes(), CKP_ML_KEM_512.to_ne_bytes());
    let pairs: [(CK_MECHANISM_TYPE, CK_ATTRIBUTE_TYPE, &[u8]); 6] = [
        (CKM_RSA_PKCS_KEY_PAIR_GEN, CKA_MODULUS_BITS, &bits),
        (CKM_EC_KEY_PAIR_GEN, CKA_EC_PARAMS, P_256),
        (CKM_EC_EDWARDS_KEY_PAIR_GEN, CKA_EC_PARAMS, ED25519),
        (CKM_EC_MONTGOMERY_KEY_PAIR_GEN, CKA_EC_PARAMS, X25519),
        (CKM_ML_DSA_KEY_PAIR_GEN, CKA_PARAMETER_SET, &dsa),
        (CKM_ML_KEM_KEY_PAIR_GEN, CKA_PARAMETER_SET, &kem),
    ];
    let pairs = pairs.map(|(kind, attribute, value)| pair(module, session, kind, &[(attribute, value)]));
    [&secrets[..], pairs.as_flattened()].concat()
}

/// What every function that begins with a mechanism and a key says.
fn answers(module: &Module, session: CK_SESSION_HANDLE, mechanism: *mut CK_MECHANISM, key: CK_OBJECT_HANDLE) -> [CK_RV; 12] {
    let (m, mut made, signature) = (mechanism, 0, bytes(&[0; 8]));
    let codes = [
        call!(module, C_EncryptInit(session, m, key)),
        call!(module, C_DecryptInit(session, m, key)),
        call!(module, C_SignInit(session, m, key)),
        call!(module, C_VerifyInit(session, m, key)),
        call!(module, C_SignRecoverInit(session, m, key)),
        call!(module, C_VerifyRecoverInit(session, m, key)),
        call!(module, C_VerifySignatureInit(session, m, key, signature, 8)),
        call!(module, C_MessageSignInit(session, m, key)),
        call!(module, C_MessageVerifyInit(session, m, key)),
        call!(module, C_MessageEncryptInit(session, m, key)),
        call!(module, C_DigestInit(session, m)),
        call!(module, C_DeriveKey(session, m, key, null_mut(), 0, &raw mut made)),
    ];
    assert_eq!(call!(module, C_SessionCancel(session, CK_FLAGS::MAX)), CKR_OK);
    codes
}

/// Parameters of every length that a structure does not have, at odd addresses, with pointers that are NULL and lengths that cannot be.
#[test]
fn bad_parameters_are_refused_for_every_mechanism() {
    let module = shared().another();
    let session = module.logged_in();
    let keys = keys(&module, session);
    let mut count = 0;
    assert_eq!(call!(module, C_GetMechanismList(0, null_mut(), &raw mut count)), CKR_OK);
    let mut kinds = vec![0; count as usize];
    assert_eq!(call!(module, C_GetMechanismList(0, kinds.as_mut_ptr(), &raw mut count)), CKR_OK);
    // Zeros are NULL pointers with lengths of 0; ones are pointers to nowhere with lengths that no memory has.
    let mut memory = [[0_u8; 129], [0xff; 129]];
    let mut tried = 0;
    for kind in kinds {
        for key in &keys {
            let mut mechanism = CK_MECHANISM { mechanism: kind, pParameter: null_mut(), ulParameterLen: 0 };
            let elsewhere = |code: &CK_RV| matches!(*code, CKR_KEY_TYPE_INCONSISTENT | CKR_MECHANISM_INVALID);
            if answers(&module, session, &raw mut mechanism, *key).iter().all(elsewhere) {
                continue;
            }
            for fill in &mut memory {
                for len in (0..=64).chain([CK_UNAVAILABLE_INFORMATION]) {
                    // One byte off, so that nothing in it is aligned.
                    for pointer in [fill[1..].as_mut_ptr().cast(), null_mut()] {
                        (mechanism.pParameter, mechanism.ulParameterLen) = (pointer, len);
                        for code in answers(&module, session, &raw mut mechanism, *key) {
                            let fair = [
                                CKR_OK,
                                CKR_MECHANISM_PARAM_INVALID,
                                CKR_MECHANISM_INVALID,
                                CKR_KEY_TYPE_INCONSISTENT,
                                CKR_KEY_FUNCTION_NOT_PERMITTED,
                                CKR_ARGUMENTS_BAD,
                                CKR_TEMPLATE_INCOMPLETE,
                                // Where the parameter is another key.
                                CKR_KEY_HANDLE_INVALID,
                                CKR_SIGNATURE_LEN_RANGE,
                            ];
                            assert!(fair.contains(&code), "{kind:#x}, {len}: {code:#x}");
                        }
                        tried += 1;
                    }
                }
            }
        }
    }
    assert!(tried > 10_000, "only {tried}");
}
