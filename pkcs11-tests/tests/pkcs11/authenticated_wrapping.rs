//! C_WrapKeyAuthenticated and C_UnwrapKeyAuthenticated, and the two AEADs in C_WrapKey: the data beside the key are bound to it.

use cryptoki_sys::*;
use serde_json::json;

use crate::keys::shared;
use crate::module::{Mechanism, Module, attributes, bytes, call, ok, output};
use crate::session_objects::{FALSE, TRUE, secret};

fn gcm(aad: &[u8]) -> Mechanism {
    Mechanism::Gcm { iv: vec![9; 12], aad: aad.to_vec(), tag_bits: 128 }
}

fn ccm(data_len: CK_ULONG, aad: &[u8]) -> Mechanism {
    Mechanism::CcmOf { nonce: vec![8; 12], aad: aad.to_vec(), data_len, tag_len: 16 }
}

fn wrap(
    module: &Module,
    session: CK_SESSION_HANDLE,
    m: *mut CK_MECHANISM,
    [by, key]: [CK_OBJECT_HANDLE; 2],
    aad: &[u8],
) -> Result<Vec<u8>, CK_RV> {
    output(|out, len| call!(module, C_WrapKeyAuthenticated(session, m, by, key, bytes(aad), aad.len() as CK_ULONG, out, len)))
}

fn unwrap(
    module: &Module,
    session: CK_SESSION_HANDLE,
    m: *mut CK_MECHANISM,
    by: CK_OBJECT_HANDLE,
    wrapped: &[u8],
    aad: &[u8],
) -> Result<Vec<u8>, CK_RV> {
    let (class, key_type) = (CKO_SECRET_KEY.to_ne_bytes(), CKK_AES.to_ne_bytes());
    let mut template = attributes(&[(CKA_CLASS, &class), (CKA_KEY_TYPE, &key_type), (CKA_SENSITIVE, FALSE), (CKA_EXTRACTABLE, TRUE)]);
    let (first, data, len, mut key) = (template.as_mut_ptr(), bytes(wrapped), wrapped.len() as CK_ULONG, 0);
    let aad_len = aad.len() as CK_ULONG;
    ok(call!(module, C_UnwrapKeyAuthenticated(session, m, by, data, len, first, 4, bytes(aad), aad_len, &raw mut key)))?;
    module.attribute(session, key, CKA_VALUE)
}

#[test]
fn data_beside_the_key_are_bound_to_it() {
    let bench = shared();
    let spec = |key_ops| json!({"obj_type": "AES", "key_size": 256, "key_ops": key_ops});
    let (here, there) = (bench.key(spec(json!(["WRAPKEY", "UNWRAPKEY", "EXPORT"]))), bench.key(spec(json!(["WRAPKEY", "UNWRAPKEY"]))));
    let (module, session, [here, there]) = bench.use_keys([&here, &there]);
    let held = secret(&module, session, CKK_AES, &[1; 32]).expect("a session key");
    let value = vec![7; 24];
    let subject = secret(&module, session, CKK_AES, &value).expect("a session key");
    for by in [here, there, held] {
        for mechanism in [gcm(b""), ccm(24, b""), ccm(0, b"")] {
            let wrapped = mechanism.with(|m| wrap(&module, session, m, [by, subject], b"context")).expect("it wraps");
            assert_eq!(wrapped.len(), 24 + 16);
            let open = |wrapped: &[u8], aad: &[u8]| mechanism.with(|m| unwrap(&module, session, m, by, wrapped, aad));
            assert_eq!(open(&wrapped, b"context"), Ok(value.clone()));
            for aad in [&b"another"[..], b""] {
                assert_eq!(open(&wrapped, aad), Err(CKR_WRAPPED_KEY_INVALID));
            }
            let mut wrong = wrapped.clone();
            wrong[30] ^= 1;
            assert_eq!(open(&wrong, b"context"), Err(CKR_WRAPPED_KEY_INVALID));
            assert_eq!(open(&wrapped[..15], b"context"), Err(CKR_WRAPPED_KEY_LEN_RANGE));
            // C_WrapKey has them in the parameter; both places together must agree.
            let named = match mechanism {
                Mechanism::Gcm { .. } => gcm(b"context"),
                _ => ccm(24, b"context"),
            };
            let plainly = named.with(|m| output(|out, len| call!(module, C_WrapKey(session, m, by, subject, out, len))));
            assert_eq!(plainly, Ok(wrapped.clone()));
            assert_eq!(named.with(|m| wrap(&module, session, m, [by, subject], b"")), Ok(wrapped.clone()));
            assert_eq!(named.with(|m| wrap(&module, session, m, [by, subject], b"context")), Ok(wrapped));
            assert_eq!(named.with(|m| wrap(&module, session, m, [by, subject], b"other")), Err(CKR_MECHANISM_PARAM_INVALID));
        }
        let kw = Mechanism::Plain(CKM_AES_KEY_WRAP);
        assert_eq!(kw.with(|m| wrap(&module, session, m, [by, subject], b"context")), Err(CKR_MECHANISM_INVALID), "it binds nothing");
        assert_eq!(ccm(23, b"").with(|m| wrap(&module, session, m, [by, subject], b"")), Err(CKR_KEY_SIZE_RANGE));
        assert_eq!(gcm(b"").with(|m| wrap(&module, session, m, [0, subject], b"")), Err(CKR_WRAPPING_KEY_HANDLE_INVALID));
    }
}

/// The structures of version 3.2 let the token make the IV.
#[test]
fn the_token_makes_the_iv() {
    let module = shared().another();
    let session = module.logged_in();
    let by = secret(&module, session, CKK_AES, &[1; 32]).expect("a session key");
    let subject = secret(&module, session, CKK_AES, &[7; 16]).expect("a session key");
    let mut ivs = Vec::new();
    for generator in [CKG_GENERATE, CKG_GENERATE_RANDOM, CKG_GENERATE_COUNTER, CKG_NO_GENERATE] {
        let fixed: CK_ULONG = if generator == CKG_GENERATE_COUNTER { 32 } else { 0 };
        let (mut iv, mut nonce, mut aad) = ([3_u8; 12], [3_u8; 12], *b"aad");
        let mut gcm = CK_GCM_WRAP_PARAMS {
            pIv: iv.as_mut_ptr(),
            ulIvLen: 12,
            ulIvFixedBits: fixed,
            ivGenerator: generator,
            pAAD: aad.as_mut_ptr(),
            ulAADLen: 3,
            ulTagBits: 128,
        };
        let mut ccm = CK_CCM_WRAP_PARAMS {
            ulDataLen: 16,
            pNonce: nonce.as_mut_ptr(),
            ulNonceLen: 12,
            ulNonceFixedBits: fixed,
            nonceGenerator: generator,
            pAAD: aad.as_mut_ptr(),
            ulAADLen: 3,
            ulMACLen: 16,
        };
        let mechanisms = [(CKM_AES_GCM, (&raw mut gcm).cast(), size_of_val(&gcm)), (CKM_AES_CCM, (&raw mut ccm).cast(), size_of_val(&ccm))];
        for (kind, parameter, len) in mechanisms {
            let mut mechanism = CK_MECHANISM { mechanism: kind, pParameter: parameter, ulParameterLen: len as CK_ULONG };
            let wrapped = wrap(&module, session, &raw mut mechanism, [by, subject], b"").expect("it wraps");
            // The IV stands in the structure, and unwrapping leaves it as it is.
            assert_eq!(unwrap(&module, session, &raw mut mechanism, by, &wrapped, b""), Ok(vec![7; 16]));
            assert_eq!(unwrap(&module, session, &raw mut mechanism, by, &wrapped, b"aad"), Ok(vec![7; 16]));
        }
        if generator == CKG_NO_GENERATE {
            assert_eq!((iv, nonce), ([3; 12], [3; 12]));
        } else {
            ivs.extend([iv, nonce]);
        }
        if fixed == 32 {
            assert_eq!((&iv[..4], &nonce[..4]), (&[3; 4][..], &[3; 4][..]));
        }
    }
    ivs.sort_unstable();
    ivs.dedup();
    assert_eq!(ivs.len(), 6, "never the same twice");
    let mut iv = [3_u8; 12];
    let mut bad = CK_GCM_WRAP_PARAMS {
        pIv: iv.as_mut_ptr(),
        ulIvLen: 12,
        ulIvFixedBits: 90,
        ivGenerator: CKG_GENERATE_RANDOM,
        pAAD: std::ptr::null_mut(),
        ulAADLen: 0,
        ulTagBits: 128,
    };
    let wishes = [
        (90, CKG_GENERATE_RANDOM, 128),
        (CK_UNAVAILABLE_INFORMATION, CKG_GENERATE_RANDOM, 128),
        (0, 77, 128),
        (0, CKG_GENERATE_COUNTER_XOR, 128),
        (0, CKG_NO_GENERATE, 7),
    ];
    for wish in wishes {
        (bad.ulIvFixedBits, bad.ivGenerator, bad.ulTagBits) = wish;
        let mut mechanism =
            CK_MECHANISM { mechanism: CKM_AES_GCM, pParameter: (&raw mut bad).cast(), ulParameterLen: size_of_val(&bad) as CK_ULONG };
        assert_eq!(wrap(&module, session, &raw mut mechanism, [by, subject], b""), Err(CKR_MECHANISM_PARAM_INVALID));
    }
    assert_eq!(iv, [3; 12], "nothing is written where nothing is done");
}
