//! C_GetMechanismInfo against what the functions do: every mechanism of the list with every function that takes one, and its key sizes.

use std::ptr::null_mut;

use cryptoki_sys::*;

use crate::keys::shared;
use crate::module::{Mechanism, Module, bytes, call, ok};
use crate::session_objects::{pair, secret};

const P256: [u8; 10] = [0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const ED25519: [u8; 5] = [0x06, 0x03, 0x2b, 0x65, 0x70];
const X25519: [u8; 5] = [0x06, 0x03, 0x2b, 0x65, 0x6e];

/// Which key of a pair a function takes.
#[derive(Clone, Copy, PartialEq)]
enum Half {
    Public,
    Private,
    /// The function takes no key.
    Neither,
}

/// Every flag of a function that takes a mechanism.
const FUNCTIONS: [(CK_FLAGS, Half); 18] = [
    (CKF_ENCRYPT, Half::Public),
    (CKF_DECRYPT, Half::Private),
    (CKF_DIGEST, Half::Neither),
    (CKF_SIGN, Half::Private),
    (CKF_SIGN_RECOVER, Half::Private),
    (CKF_VERIFY, Half::Public),
    (CKF_VERIFY_RECOVER, Half::Public),
    (CKF_MESSAGE_ENCRYPT, Half::Public),
    (CKF_MESSAGE_DECRYPT, Half::Private),
    (CKF_MESSAGE_SIGN, Half::Private),
    (CKF_MESSAGE_VERIFY, Half::Public),
    (CKF_GENERATE, Half::Neither),
    (CKF_GENERATE_KEY_PAIR, Half::Neither),
    (CKF_WRAP, Half::Public),
    (CKF_UNWRAP, Half::Private),
    (CKF_DERIVE, Half::Private),
    (CKF_ENCAPSULATE, Half::Public),
    (CKF_DECAPSULATE, Half::Private),
];
const MESSAGES: CK_FLAGS = CKF_MESSAGE_ENCRYPT | CKF_MESSAGE_DECRYPT | CKF_MESSAGE_SIGN | CKF_MESSAGE_VERIFY;

fn mechanisms(module: &Module) -> Vec<CK_MECHANISM_TYPE> {
    let mut count = 0;
    assert_eq!(call!(module, C_GetMechanismList(0, null_mut(), &raw mut count)), CKR_OK);
    let mut list = vec![0; count as usize];
    assert_eq!(call!(module, C_GetMechanismList(0, list.as_mut_ptr(), &raw mut count)), CKR_OK);
    list
}

fn about(module: &Module, kind: CK_MECHANISM_TYPE) -> CK_MECHANISM_INFO {
    let mut info = CK_MECHANISM_INFO::default();
    ok(call!(module, C_GetMechanismInfo(0, kind, &raw mut info))).expect("it is in the list");
    info
}

/// One key of every type, each as public and private; a secret key is both.
fn keys(module: &Module, session: CK_SESSION_HANDLE) -> Vec<[CK_OBJECT_HANDLE; 2]> {
    let number = |number: CK_ULONG| number.to_ne_bytes();
    let secrets = [(CKK_AES, 32), (CKK_CHACHA20, 32), (CKK_DES3, 24), (CKK_GENERIC_SECRET, 32)]
        .map(|(kind, len)| [secret(module, session, kind, &vec![7; len]).expect("a session key"); 2]);
    let pairs = [
        (CKM_RSA_PKCS_KEY_PAIR_GEN, CKA_MODULUS_BITS, number(2048).to_vec()),
        (CKM_EC_KEY_PAIR_GEN, CKA_EC_PARAMS, P256.to_vec()),
        (CKM_EC_EDWARDS_KEY_PAIR_GEN, CKA_EC_PARAMS, ED25519.to_vec()),
        (CKM_EC_MONTGOMERY_KEY_PAIR_GEN, CKA_EC_PARAMS, X25519.to_vec()),
        (CKM_ML_DSA_KEY_PAIR_GEN, CKA_PARAMETER_SET, number(CKP_ML_DSA_44).to_vec()),
        (CKM_ML_KEM_KEY_PAIR_GEN, CKA_PARAMETER_SET, number(CKP_ML_KEM_512).to_vec()),
    ]
    .map(|(kind, attribute, value)| pair(module, session, kind, &[(attribute, &value)]));
    [&secrets[..], &pairs].concat()
}

/// What the function says to the mechanism without a parameter; an operation that began is ended.
fn try_function(module: &Module, session: CK_SESSION_HANDLE, function: CK_FLAGS, kind: CK_MECHANISM_TYPE, key: CK_OBJECT_HANDLE) -> CK_RV {
    let (mut room, mut len, mut made, mut second) = ([0_u8; 64], 64, 0, 0);
    let (none, out) = (null_mut(), room.as_mut_ptr());
    let code = Mechanism::Plain(kind).with(|m| match function {
        CKF_ENCRYPT => call!(module, C_EncryptInit(session, m, key)),
        CKF_DECRYPT => call!(module, C_DecryptInit(session, m, key)),
        CKF_DIGEST => call!(module, C_DigestInit(session, m)),
        CKF_SIGN => call!(module, C_SignInit(session, m, key)),
        CKF_SIGN_RECOVER => call!(module, C_SignRecoverInit(session, m, key)),
        CKF_VERIFY => call!(module, C_VerifyInit(session, m, key)),
        CKF_VERIFY_RECOVER => call!(module, C_VerifyRecoverInit(session, m, key)),
        CKF_MESSAGE_ENCRYPT => call!(module, C_MessageEncryptInit(session, m, key)),
        CKF_MESSAGE_DECRYPT => call!(module, C_MessageDecryptInit(session, m, key)),
        CKF_MESSAGE_SIGN => call!(module, C_MessageSignInit(session, m, key)),
        CKF_MESSAGE_VERIFY => call!(module, C_MessageVerifyInit(session, m, key)),
        CKF_GENERATE => call!(module, C_GenerateKey(session, m, none, 0, &raw mut made)),
        CKF_GENERATE_KEY_PAIR => {
            call!(module, C_GenerateKeyPair(session, m, none, 0, none, 0, &raw mut made, &raw mut second))
        }
        CKF_WRAP => call!(module, C_WrapKey(session, m, key, key, out, &raw mut len)),
        CKF_UNWRAP => call!(module, C_UnwrapKey(session, m, key, bytes(&[1; 24]), 24, none, 0, &raw mut made)),
        CKF_DERIVE => call!(module, C_DeriveKey(session, m, key, none, 0, &raw mut made)),
        CKF_ENCAPSULATE => call!(module, C_EncapsulateKey(session, m, key, none, 0, out, &raw mut len, &raw mut made)),
        _ => call!(module, C_DecapsulateKey(session, m, key, none, 0, bytes(&[1; 24]), 24, &raw mut made)),
    });
    if code == CKR_OK && function & MESSAGES != 0 {
        parts_of_a_message(module, session, function, kind);
    }
    assert_eq!(call!(module, C_SessionCancel(session, function)), CKR_OK, "{function:#x}");
    code
}

/// Signatures of messages have no parameter of their own; what encrypts them has one, and is tried in parts where messages are tested.
fn parts_of_a_message(module: &Module, session: CK_SESSION_HANDLE, function: CK_FLAGS, kind: CK_MECHANISM_TYPE) {
    let (none, data) = (null_mut(), bytes(&[1; 16]));
    let codes = match function {
        CKF_MESSAGE_SIGN => [
            call!(module, C_SignMessageBegin(session, none, 0)),
            call!(module, C_SignMessageNext(session, none, 0, data, 16, null_mut(), null_mut())),
        ],
        CKF_MESSAGE_VERIFY => [
            call!(module, C_VerifyMessageBegin(session, none, 0)),
            call!(module, C_VerifyMessageNext(session, none, 0, data, 16, null_mut(), 0)),
        ],
        _ => [CKR_OK; 2],
    };
    assert_eq!(codes, [CKR_OK; 2], "{kind:#x}");
}

#[test]
fn flags_are_what_the_functions_take() {
    let module = shared().another();
    let session = module.logged_in();
    let keys = keys(&module, session);
    let list = mechanisms(&module);
    assert!(list.len() > 100);
    for kind in list {
        let flags = about(&module, kind).flags;
        assert_eq!(flags & CKF_MULTI_MESSAGE != 0, flags & MESSAGES != 0, "{kind:#x}");
        for (function, half) in FUNCTIONS {
            let tried: Vec<CK_OBJECT_HANDLE> = match half {
                Half::Neither => vec![0],
                Half::Public => keys.iter().map(|pair| pair[0]).collect(),
                Half::Private => keys.iter().map(|pair| pair[1]).collect(),
            };
            let codes: Vec<CK_RV> = tried.into_iter().map(|key| try_function(&module, session, function, kind, key)).collect();
            let refusals = [
                CKR_MECHANISM_INVALID,
                CKR_KEY_TYPE_INCONSISTENT,
                CKR_WRAPPING_KEY_TYPE_INCONSISTENT,
                CKR_UNWRAPPING_KEY_TYPE_INCONSISTENT,
                CKR_FUNCTION_NOT_SUPPORTED,
            ];
            let takes = codes.iter().any(|code| !refusals.contains(code));
            let knows = codes.iter().any(|code| *code != CKR_MECHANISM_INVALID);
            let says = flags & function != 0;
            assert_eq!((takes, knows), (says, says), "{kind:#x}, {function:#x}: {codes:x?}");
        }
    }
}

#[test]
fn key_sizes_are_those_of_the_keys() {
    let module = &shared().module;
    let sizes = |kind| {
        let info = about(module, kind);
        (info.ulMinKeySize, info.ulMaxKeySize)
    };
    // In the unit of each one's section: bytes of AES, ChaCha20 and HMAC keys, of public keys of ML-DSA and ML-KEM; else bits.
    for (kinds, expected) in [
        (&[CKM_AES_KEY_GEN, CKM_AES_GCM, CKM_AES_CMAC][..], (16, 32)),
        (&[CKM_CHACHA20_KEY_GEN, CKM_CHACHA20_POLY1305], (32, 32)),
        (&[CKM_RSA_PKCS_KEY_PAIR_GEN, CKM_RSA_PKCS, CKM_SHA256_RSA_PKCS_PSS], (1024, 8192)),
        (&[CKM_EC_KEY_PAIR_GEN, CKM_ECDSA], (256, 521)),
        (&[CKM_EC_EDWARDS_KEY_PAIR_GEN, CKM_EDDSA, CKM_EC_MONTGOMERY_KEY_PAIR_GEN], (255, 255)),
        (&[CKM_ECDH1_DERIVE], (255, 521)),
        (&[CKM_ML_DSA_KEY_PAIR_GEN, CKM_ML_DSA, CKM_HASH_ML_DSA, CKM_HASH_ML_DSA_SHA256], (1312, 2592)),
        (&[CKM_ML_KEM_KEY_PAIR_GEN, CKM_ML_KEM], (800, 1568)),
        (&[CKM_GENERIC_SECRET_KEY_GEN, CKM_HKDF_KEY_GEN, CKM_HKDF_DERIVE, CKM_SP800_108_COUNTER_KDF], (8, 8192)),
        (&[CKM_SHA256_KEY_GEN, CKM_SHA256_HMAC, CKM_SHA3_512_HMAC_GENERAL], (1, 1024)),
        // One size, which the standard has nobody say.
        (&[CKM_DES2_KEY_GEN, CKM_DES3_KEY_GEN, CKM_DES3_CBC, CKM_SHA256], (0, 0)),
    ] {
        for kind in kinds {
            assert_eq!(sizes(*kind), expected, "{kind:#x}");
        }
    }
    for kind in mechanisms(module) {
        let (smallest, largest) = sizes(kind);
        assert!(smallest <= largest && (smallest == 0) == (largest == 0), "{kind:#x}: {smallest} to {largest}");
    }
}

/// The sizes at both ends are made, and those beyond are not.
#[test]
fn keys_of_the_smallest_and_the_largest_size() {
    let module = shared().another();
    let session = module.logged_in();
    let make = |kind, len: CK_ULONG| {
        let len = len.to_ne_bytes();
        crate::token_objects::generate(&module, session, kind, &vec![(CKA_VALUE_LEN, &len[..])])
    };
    for (kind, bits_of) in [(CKM_AES_KEY_GEN, 1), (CKM_GENERIC_SECRET_KEY_GEN, 8), (CKM_HKDF_KEY_GEN, 8), (CKM_SHA256_KEY_GEN, 1)] {
        let info = about(&module, kind);
        let (smallest, largest) = (info.ulMinKeySize / bits_of, info.ulMaxKeySize / bits_of);
        for len in [smallest, largest] {
            assert!(make(kind, len).is_ok(), "{kind:#x}, {len}");
        }
        for len in [smallest - 1, largest + 1] {
            assert_eq!(make(kind, len), Err(CKR_ATTRIBUTE_VALUE_INVALID), "{kind:#x}, {len}");
        }
    }
    // aws-lc makes moduli of multiples of 128 bits: any other would come out shorter than it was asked for.
    for bits in [1023_u64, 1032, 2056, 8193, 8320] {
        let (bits, mut made) = (bits.to_ne_bytes(), [0; 2]);
        let mut template = crate::module::attributes(&[(CKA_MODULUS_BITS, &bits)]);
        let [public, private] = &mut made;
        let code = Mechanism::Plain(CKM_RSA_PKCS_KEY_PAIR_GEN).with(|m| {
            call!(module, C_GenerateKeyPair(session, m, template.as_mut_ptr(), 1, null_mut(), 0, &raw mut *public, &raw mut *private))
        });
        assert_eq!(code, CKR_KEY_SIZE_RANGE);
    }
}
