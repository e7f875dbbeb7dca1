//! C_WrapKeyAuthenticated and C_UnwrapKeyAuthenticated, and the two AEADs in C_WrapKey: the data beside the key are bound to it. The former
//! take the parameters of messages, with the tag in them; the latter has parameters of its own, and the tag ends the wrapped key.

use cryptoki_sys::*;
use serde_json::json;

use crate::keys::shared;
use crate::module::{Mechanism, Module, attributes, bytes, call, nowhere, ok, output};
use crate::session_objects::{FALSE, TRUE, secret};
use crate::wrapping;

const VALUE: [u8; 24] = [7; 24];

/// The memory of a parameter of a message.
struct Parameter {
    kind: CK_MECHANISM_TYPE,
    iv: [u8; 12],
    tag: [u8; 16],
    generator: CK_GENERATOR_FUNCTION,
    fixed: CK_ULONG,
    /// What CCM is told of the key's length, which is the token's to know.
    data_len: CK_ULONG,
}

impl Parameter {
    const fn new(kind: CK_MECHANISM_TYPE) -> Self {
        Self { kind, iv: [9; 12], tag: [0; 16], generator: CKG_NO_GENERATE, fixed: 0, data_len: 0 }
    }

    fn generated(kind: CK_MECHANISM_TYPE, generator: CK_GENERATOR_FUNCTION, fixed: CK_ULONG) -> Self {
        Self { generator, fixed, ..Self::new(kind) }
    }

    /// Lends the C structure.
    fn with<T>(&mut self, lend: impl FnOnce(*mut CK_MECHANISM) -> T) -> T {
        let (iv, tag) = (self.iv.as_mut_ptr(), self.tag.as_mut_ptr());
        let mut gcm = gcm_message(iv, 12, tag);
        (gcm.ulIvFixedBits, gcm.ivGenerator) = (self.fixed, self.generator);
        let mut ccm = CK_CCM_MESSAGE_PARAMS {
            ulDataLen: self.data_len,
            pNonce: iv,
            ulNonceLen: 12,
            ulNonceFixedBits: self.fixed,
            nonceGenerator: self.generator,
            pMAC: tag,
            ulMACLen: 16,
        };
        match self.kind {
            CKM_AES_GCM => lend(&mut mechanism(CKM_AES_GCM, &mut gcm)),
            kind => lend(&mut mechanism(kind, &mut ccm)),
        }
    }
}

const fn gcm_message(iv: *mut u8, iv_len: CK_ULONG, tag: *mut u8) -> CK_GCM_MESSAGE_PARAMS {
    let generator = CKG_NO_GENERATE;
    CK_GCM_MESSAGE_PARAMS { pIv: iv, ulIvLen: iv_len, ulIvFixedBits: 0, ivGenerator: generator, pTag: tag, ulTagBits: 128 }
}

/// The parameter has to outlive the mechanism.
fn mechanism<P>(kind: CK_MECHANISM_TYPE, parameter: &mut P) -> CK_MECHANISM {
    CK_MECHANISM { mechanism: kind, pParameter: std::ptr::from_mut(parameter).cast(), ulParameterLen: size_of::<P>() as CK_ULONG }
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

/// A wrapping key that comes here, one that stays in DSM, and one of the session, each with a key to wrap.
fn ground() -> (Module, CK_SESSION_HANDLE, [CK_OBJECT_HANDLE; 3], CK_OBJECT_HANDLE) {
    let bench = shared();
    let spec = |key_ops| json!({"obj_type": "AES", "key_size": 256, "key_ops": key_ops});
    let (here, there) = (bench.key(spec(json!(["WRAPKEY", "UNWRAPKEY", "EXPORT"]))), bench.key(spec(json!(["WRAPKEY", "UNWRAPKEY"]))));
    let (module, session, [here, there]) = bench.use_keys([&here, &there]);
    let held = secret(&module, session, CKK_AES, &[1; 32]).expect("a session key");
    let subject = secret(&module, session, CKK_AES, &VALUE).expect("a session key");
    (module, session, [here, there, held], subject)
}

#[test]
fn the_tag_stands_in_the_parameter_and_binds_the_data_beside_the_key() {
    let (module, session, wrapping, subject) = ground();
    for by in wrapping {
        for kind in [CKM_AES_GCM, CKM_AES_CCM] {
            // The length that a caller names for CCM counts for nothing.
            let mut param = Parameter { data_len: 4711, ..Parameter::new(kind) };
            let wrapped = param.with(|m| wrap(&module, session, m, [by, subject], b"context")).expect("it wraps");
            assert_eq!(wrapped.len(), VALUE.len(), "only the wrapped key");
            // C_WrapKey with the same IV and data makes the same, in one piece.
            let plain = match kind {
                CKM_AES_GCM => Mechanism::Gcm { iv: vec![9; 12], aad: b"context".to_vec(), tag_bits: 128 },
                _ => Mechanism::CcmOf { nonce: vec![9; 12], aad: b"context".to_vec(), data_len: 0, tag_len: 16 },
            };
            assert_eq!(wrapping::wrap(&module, session, &plain, by, subject), Ok([&wrapped[..], &param.tag].concat()));

            assert_eq!(param.with(|m| unwrap(&module, session, m, by, &wrapped, b"context")), Ok(VALUE.to_vec()));
            for aad in [&b"another"[..], b""] {
                assert_eq!(param.with(|m| unwrap(&module, session, m, by, &wrapped, aad)), Err(CKR_WRAPPED_KEY_INVALID));
            }
            let mut wrong = wrapped.clone();
            wrong[3] ^= 1;
            assert_eq!(param.with(|m| unwrap(&module, session, m, by, &wrong, b"context")), Err(CKR_WRAPPED_KEY_INVALID));
            assert_eq!(param.with(|m| unwrap(&module, session, m, by, b"", b"context")), Err(CKR_WRAPPED_KEY_LEN_RANGE));
            param.tag[15] ^= 1;
            assert_eq!(param.with(|m| unwrap(&module, session, m, by, &wrapped, b"context")), Err(CKR_WRAPPED_KEY_INVALID));
        }
        let kw = Mechanism::Plain(CKM_AES_KEY_WRAP);
        assert_eq!(kw.with(|m| wrap(&module, session, m, [by, subject], b"context")), Err(CKR_MECHANISM_INVALID), "it binds nothing");
        let mut param = Parameter::new(CKM_AES_GCM);
        assert_eq!(param.with(|m| wrap(&module, session, m, [0, subject], b"")), Err(CKR_WRAPPING_KEY_HANDLE_INVALID));
    }
}

#[test]
fn the_token_makes_iv_and_tag() {
    let (module, session, wrapping, subject) = ground();
    let mut ivs = Vec::new();
    for by in wrapping {
        for kind in [CKM_AES_GCM, CKM_AES_CCM] {
            for (generator, fixed) in [(CKG_GENERATE, 0), (CKG_GENERATE, 32), (CKG_GENERATE_RANDOM, 0), (CKG_GENERATE_COUNTER, 32)] {
                let mut param = Parameter::generated(kind, generator, fixed);
                // Neither a query nor a short buffer writes there.
                let mut len = 23;
                let code = param.with(|m| {
                    let mut out = [0; 24];
                    let answer = |out, len| call!(module, C_WrapKeyAuthenticated(session, m, by, subject, bytes(b"aad"), 3, out, len));
                    assert_eq!(answer(out.as_mut_ptr(), &raw mut len), CKR_BUFFER_TOO_SMALL);
                    answer(std::ptr::null_mut(), &raw mut len)
                });
                assert_eq!((code, len, param.iv, param.tag), (CKR_OK, 24, [9; 12], [0; 16]));

                let wrapped = param.with(|m| wrap(&module, session, m, [by, subject], b"aad")).expect("it wraps");
                assert_ne!((param.iv, param.tag), ([9; 12], [0; 16]));
                assert!(fixed == 0 || param.iv[..4] == [9; 4]);
                ivs.push(param.iv);
                // Who unwraps brings the IV: generator and fixed bits are not looked at.
                let iv = param.iv;
                (param.generator, param.fixed) = (77, 4711);
                assert_eq!(param.with(|m| unwrap(&module, session, m, by, &wrapped, b"aad")), Ok(VALUE.to_vec()));
                assert_eq!(param.iv, iv);
            }
        }
    }
    let made = ivs.len();
    ivs.sort_unstable();
    ivs.dedup();
    assert_eq!((made, ivs.len()), (24, 24), "never the same twice");
}

/// The standard's example (section 5.18.6 of version 3.2) gives the IV's length in bits, where section 6.13.7 means bytes, and leaves no bit
/// of it to the token. To the letter it is refused, with nothing written beyond the 12 bytes; as it is meant it works.
#[test]
fn the_standard_s_example() {
    let (module, session, [_, by, _], key) = ground();
    let (mut memory, mut tag, auth) = ([3_u8; 96], [0_u8; 16], [5_u8; 100]);
    let mut params = CK_GCM_MESSAGE_PARAMS { ulIvLen: 12 * 8, ulIvFixedBits: 96, ..gcm_message(memory.as_mut_ptr(), 12, tag.as_mut_ptr()) };
    params.ivGenerator = CKG_GENERATE;
    for (len, fixed) in [(96, 96), (96, 0), (12, 96)] {
        (params.ulIvLen, params.ulIvFixedBits) = (len, fixed);
        let mut m = mechanism(CKM_AES_GCM, &mut params);
        assert_eq!(wrap(&module, session, &raw mut m, [by, key], &auth), Err(CKR_MECHANISM_PARAM_INVALID), "{len} {fixed}");
    }
    assert_eq!((memory, tag), ([3; 96], [0; 16]));

    (params.pIv, params.pTag) = (memory.as_mut_ptr(), tag.as_mut_ptr());
    (params.ulIvLen, params.ulIvFixedBits) = (12, 0);
    let mut m = mechanism(CKM_AES_GCM, &mut params);
    let (mut wrapped, mut len) = ([0_u8; 32], 32);
    let (aad, aad_len) = (bytes(&auth), auth.len() as CK_ULONG);
    assert_eq!(
        call!(module, C_WrapKeyAuthenticated(session, &raw mut m, by, key, aad, aad_len, wrapped.as_mut_ptr(), &raw mut len)),
        CKR_OK
    );
    assert_eq!((len, &memory[12..]), (24, &[3; 84][..]));
    (params.ulIvFixedBits, params.ivGenerator) = (0, CKG_NO_GENERATE);
    let mut m = mechanism(CKM_AES_GCM, &mut params);
    assert_eq!(unwrap(&module, session, &raw mut m, by, &wrapped[..24], &auth), Ok(VALUE.to_vec()));
}

#[test]
fn other_parameters_are_refused() {
    let (module, session, [_, _, by], key) = ground();
    let refused = |m: *mut CK_MECHANISM| {
        assert_eq!(wrap(&module, session, m, [by, key], b"aad"), Err(CKR_MECHANISM_PARAM_INVALID));
        assert_eq!(unwrap(&module, session, m, by, &[1; 24], b"aad"), Err(CKR_MECHANISM_PARAM_INVALID));
    };
    // CK_GCM_PARAMS is as long as the right one: its ulAADLen is where that has the tag.
    Mechanism::Gcm { iv: vec![9; 12], aad: Vec::new(), tag_bits: 128 }.with(refused);
    Mechanism::Ccm { nonce: vec![9; 12], aad: b"aad".to_vec(), data_len: 24 }.with(refused);
    Mechanism::Plain(CKM_AES_GCM).with(refused);
    let (mut iv, mut tag) = ([9_u8; 12], [0_u8; 16]);
    let (iv, tag) = (iv.as_mut_ptr(), tag.as_mut_ptr());
    let good = gcm_message(iv, 12, tag);
    refused(&mut mechanism(CKM_AES_GCM, &mut gcm_wrap(iv, 12, CKG_NO_GENERATE)));
    for mut bad in [
        CK_GCM_MESSAGE_PARAMS { pTag: std::ptr::null_mut(), ..good },
        CK_GCM_MESSAGE_PARAMS { ulTagBits: 0, ..good },
        CK_GCM_MESSAGE_PARAMS { ulTagBits: 127, ..good },
        CK_GCM_MESSAGE_PARAMS { ulTagBits: 136, ..good },
        CK_GCM_MESSAGE_PARAMS { ulTagBits: CK_UNAVAILABLE_INFORMATION - 7, ..good },
        CK_GCM_MESSAGE_PARAMS { pIv: std::ptr::null_mut(), ..good },
        CK_GCM_MESSAGE_PARAMS { ulIvLen: 0, ..good },
        CK_GCM_MESSAGE_PARAMS { ulIvLen: CK_ULONG::MAX >> 1, ..good },
    ] {
        refused(&mut mechanism(CKM_AES_GCM, &mut bad));
    }
    for wish in [(90, CKG_GENERATE_RANDOM), (CK_UNAVAILABLE_INFORMATION, CKG_GENERATE), (0, 77), (0, CKG_GENERATE_COUNTER_XOR)] {
        let mut bad = CK_GCM_MESSAGE_PARAMS { ulIvFixedBits: wish.0, ivGenerator: wish.1, ..good };
        let mut m = mechanism(CKM_AES_GCM, &mut bad);
        assert_eq!(wrap(&module, session, &raw mut m, [by, key], b"aad"), Err(CKR_MECHANISM_PARAM_INVALID));
    }
}

/// A length may be anything: it is refused before there is memory for it, where a failed allocation would end the host.
#[test]
fn no_length_of_the_caller_s_ends_the_host() {
    let (module, session, [_, _, by], key) = ground();
    let too_long = [CK_ULONG::MAX >> 1, 1 << 46, 1 << 32, CK_ULONG::MAX];
    for len in too_long {
        let mut param = Parameter::new(CKM_AES_GCM);
        let answers = param.with(|m| {
            let (mut out, mut out_len, mut made) = ([0; 64], 64, 0);
            let wrapped = call!(module, C_WrapKeyAuthenticated(session, m, by, key, nowhere(), len, out.as_mut_ptr(), &raw mut out_len));
            let data = out.as_mut_ptr();
            let aad = nowhere();
            let none = std::ptr::null_mut();
            [wrapped, call!(module, C_UnwrapKeyAuthenticated(session, m, by, data, 24, none, 0, aad, len, &raw mut made))]
        });
        assert_eq!(answers, [CKR_ARGUMENTS_BAD; 2], "{len:#x}");

        let (mut iv, mut chacha_iv) = ([9; 12], [9; 12]);
        let mut gcm = CK_GCM_PARAMS { pIv: iv.as_mut_ptr(), ulIvLen: 12, pAAD: nowhere(), ulAADLen: len, ulTagBits: 128, ulIvBits: 0 };
        let mut wrap = gcm_wrap(iv.as_mut_ptr(), 12, CKG_GENERATE);
        (wrap.pAAD, wrap.ulAADLen) = (nowhere(), len);
        let mut long_iv = gcm_wrap(nowhere(), len, CKG_GENERATE);
        let (nonce, aad) = (iv.as_mut_ptr(), nowhere());
        let mut ccm = CK_CCM_PARAMS { ulDataLen: 24, pNonce: nonce, ulNonceLen: 12, pAAD: aad, ulAADLen: len, ulMACLen: 16 };
        let mut label = CK_RSA_PKCS_OAEP_PARAMS {
            hashAlg: CKM_SHA256,
            mgf: CKG_MGF1_SHA256,
            source: CKZ_DATA_SPECIFIED,
            pSourceData: nowhere().cast(),
            ulSourceDataLen: len,
        };
        let mut chacha = CK_SALSA20_CHACHA20_POLY1305_PARAMS { pNonce: chacha_iv.as_mut_ptr(), ulNonceLen: 12, pAAD: aad, ulAADLen: len };
        let cha = secret(&module, session, CKK_CHACHA20, &[3; 32]).expect("a session key");
        let rsa = crate::session_objects::pair(&module, session, CKM_RSA_PKCS_KEY_PAIR_GEN, &[(CKA_MODULUS_BITS, &2048_u64.to_ne_bytes())]);
        let mechanisms = [
            (by, mechanism(CKM_AES_GCM, &mut gcm)),
            (by, mechanism(CKM_AES_GCM, &mut wrap)),
            (by, mechanism(CKM_AES_GCM, &mut long_iv)),
            (by, mechanism(CKM_AES_CCM, &mut ccm)),
            (rsa[0], mechanism(CKM_RSA_PKCS_OAEP, &mut label)),
        ];
        for (by, mut m) in mechanisms {
            let (mut out, mut out_len) = ([0; 512], 512);
            let code = call!(module, C_WrapKey(session, &raw mut m, by, key, out.as_mut_ptr(), &raw mut out_len));
            assert_eq!(code, CKR_MECHANISM_PARAM_INVALID, "{:#x} {len:#x}", m.mechanism);
        }
        let mut m = mechanism(CKM_CHACHA20_POLY1305, &mut chacha);
        assert_eq!(call!(module, C_EncryptInit(session, &raw mut m, cha)), CKR_MECHANISM_PARAM_INVALID);
        let derive = |m: &mut CK_MECHANISM| {
            let (class, kind, size) = (CKO_SECRET_KEY.to_ne_bytes(), CKK_AES.to_ne_bytes(), 16_u64.to_ne_bytes());
            let mut template = attributes(&[(CKA_CLASS, &class), (CKA_KEY_TYPE, &kind), (CKA_VALUE_LEN, &size)]);
            let mut made = 0;
            call!(module, C_DeriveKey(session, m, by, template.as_mut_ptr(), 3, &raw mut made))
        };
        for kind in [CKM_CONCATENATE_BASE_AND_DATA, CKM_CONCATENATE_DATA_AND_BASE, CKM_XOR_BASE_AND_DATA, CKM_AES_ECB_ENCRYPT_DATA] {
            let mut data = CK_KEY_DERIVATION_STRING_DATA { pData: nowhere(), ulLen: len };
            assert_eq!(derive(&mut mechanism(kind, &mut data)), CKR_MECHANISM_PARAM_INVALID, "{kind:#x} {len:#x}");
        }
        for (salt, info) in [(0, len), (len, 0)] {
            let mut hkdf = CK_HKDF_PARAMS {
                bExtract: CK_TRUE,
                bExpand: CK_TRUE,
                prfHashMechanism: CKM_SHA256,
                ulSaltType: CKF_HKDF_SALT_DATA,
                pSalt: nowhere(),
                ulSaltLen: salt,
                hSaltKey: 0,
                pInfo: nowhere(),
                ulInfoLen: info,
            };
            assert_eq!(derive(&mut mechanism(CKM_HKDF_DERIVE, &mut hkdf)), CKR_MECHANISM_PARAM_INVALID, "{len:#x}");
        }
        // The data beside a message, and a user's name.
        Mechanism::Plain(CKM_AES_GCM).with(|m| assert_eq!(call!(module, C_MessageEncryptInit(session, m, by)), CKR_OK));
        let mut tag = [0; 16];
        let mut params = gcm_message(iv.as_mut_ptr(), 12, tag.as_mut_ptr());
        let (param, size) = ((&raw mut params).cast(), size_of_val(&params) as CK_ULONG);
        assert_eq!(call!(module, C_EncryptMessageBegin(session, param, size, nowhere(), len)), CKR_ARGUMENTS_BAD);
        assert_eq!(call!(module, C_MessageEncryptFinal(session)), CKR_OK);
        let code = call!(module, C_LoginUser(session, CKU_USER, bytes(b"secret"), 6, nowhere(), len));
        assert!(matches!(code, CKR_PIN_INCORRECT | CKR_ARGUMENTS_BAD), "{code:#x}");
    }
}

const fn gcm_wrap(iv: *mut u8, iv_len: CK_ULONG, generator: CK_GENERATOR_FUNCTION) -> CK_GCM_WRAP_PARAMS {
    let none = std::ptr::null_mut();
    CK_GCM_WRAP_PARAMS { pIv: iv, ulIvLen: iv_len, ulIvFixedBits: 0, ivGenerator: generator, pAAD: none, ulAADLen: 0, ulTagBits: 128 }
}

/// The structures of version 3.2 let the token make the IV in C_WrapKey too.
#[test]
fn the_token_makes_the_iv_of_c_wrap_key() {
    let (module, session, [_, _, by], key) = ground();
    let mut ivs = Vec::new();
    for generator in [CKG_GENERATE, CKG_GENERATE_RANDOM, CKG_GENERATE_COUNTER, CKG_NO_GENERATE] {
        let fixed: CK_ULONG = if generator == CKG_GENERATE_COUNTER { 32 } else { 0 };
        let (mut iv, mut nonce, mut aad) = ([3_u8; 12], [3_u8; 12], *b"aad");
        let mut gcm = gcm_wrap(iv.as_mut_ptr(), 12, generator);
        (gcm.ulIvFixedBits, gcm.pAAD, gcm.ulAADLen) = (fixed, aad.as_mut_ptr(), 3);
        let mut ccm = CK_CCM_WRAP_PARAMS {
            ulDataLen: 4711,
            pNonce: nonce.as_mut_ptr(),
            ulNonceLen: 12,
            ulNonceFixedBits: fixed,
            nonceGenerator: generator,
            pAAD: aad.as_mut_ptr(),
            ulAADLen: 3,
            ulMACLen: 16,
        };
        for mut m in [mechanism(CKM_AES_GCM, &mut gcm), mechanism(CKM_AES_CCM, &mut ccm)] {
            let m = &raw mut m;
            let wrapped = output(|out, len| call!(module, C_WrapKey(session, m, by, key, out, len))).expect("it wraps");
            assert_eq!(wrapped.len(), 24 + 16);
            let (class, kind) = (CKO_SECRET_KEY.to_ne_bytes(), CKK_AES.to_ne_bytes());
            let mut template = attributes(&[(CKA_CLASS, &class), (CKA_KEY_TYPE, &kind), (CKA_SENSITIVE, FALSE)]);
            let (data, len, mut made) = (bytes(&wrapped), wrapped.len() as CK_ULONG, 0);
            // The IV stands in the structure, and unwrapping leaves it as it is.
            assert_eq!(call!(module, C_UnwrapKey(session, m, by, data, len, template.as_mut_ptr(), 3, &raw mut made)), CKR_OK);
            assert_eq!(module.attribute(session, made, CKA_VALUE), Ok(VALUE.to_vec()));
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
}
