//! Authentication codes: HMAC and CMAC with keys here and keys that stay in DSM, in one call and in parts, against `openssl`.

use cryptoki_sys::*;

use crate::keys::{Bench, shared};
use crate::module::{Mechanism, bytes, call, output};
use crate::openssl::Openssl;

const OPS: &[&str] = &["MACGENERATE", "MACVERIFY"];
const DATA: &[u8] = b"what is authenticated, of more than one block of every hash and cipher that there is: it takes some one hundred and forty-four bytes and more, so";

/// Mechanism, its `_GENERAL` form, and what `openssl mac` calls it.
const HMACS: [(CK_MECHANISM_TYPE, CK_MECHANISM_TYPE, &str); 9] = [
    (CKM_SHA_1_HMAC, CKM_SHA_1_HMAC_GENERAL, "-digest SHA1 HMAC"),
    (CKM_SHA224_HMAC, CKM_SHA224_HMAC_GENERAL, "-digest SHA224 HMAC"),
    (CKM_SHA256_HMAC, CKM_SHA256_HMAC_GENERAL, "-digest SHA256 HMAC"),
    (CKM_SHA384_HMAC, CKM_SHA384_HMAC_GENERAL, "-digest SHA384 HMAC"),
    (CKM_SHA512_HMAC, CKM_SHA512_HMAC_GENERAL, "-digest SHA512 HMAC"),
    (CKM_SHA3_224_HMAC, CKM_SHA3_224_HMAC_GENERAL, "-digest SHA3-224 HMAC"),
    (CKM_SHA3_256_HMAC, CKM_SHA3_256_HMAC_GENERAL, "-digest SHA3-256 HMAC"),
    (CKM_SHA3_384_HMAC, CKM_SHA3_384_HMAC_GENERAL, "-digest SHA3-384 HMAC"),
    (CKM_SHA3_512_HMAC, CKM_SHA3_512_HMAC_GENERAL, "-digest SHA3-512 HMAC"),
];

#[test]
fn hmacs_are_those_of_openssl() {
    let key: Vec<u8> = (1..=40).collect();
    codes_are_those_of_openssl(shared(), "HMAC", &key, &HMACS);
}

#[test]
fn cmacs_are_those_of_openssl() {
    let key: Vec<u8> = (1..=32).collect();
    codes_are_those_of_openssl(shared(), "AES", &key, &[(CKM_AES_CMAC, CKM_AES_CMAC_GENERAL, "-cipher AES-256-CBC CMAC")]);
    let key = *b"a triple DES key 24 long";
    codes_are_those_of_openssl(shared(), "DES3", &key, &[(CKM_DES3_CMAC, CKM_DES3_CMAC_GENERAL, "-cipher DES-EDE3-CBC CMAC")]);
}

fn codes_are_those_of_openssl(bench: &Bench, obj_type: &str, value: &[u8], mechanisms: &[(CK_MECHANISM_TYPE, CK_MECHANISM_TYPE, &str)]) {
    let hex: String = value.iter().map(|byte| format!("{byte:02X}")).collect();
    let openssl = Openssl::new();
    openssl.write("data", DATA);
    for exportable in [true, false] {
        let key = bench.import(obj_type, value, OPS, exportable);
        let (module, session, object) = bench.use_key(&key);
        for (kind, general, name) in mechanisms {
            openssl.run(&format!(
                "mac -macopt hexkey:{hex} -in data -binary -out code {}",
                name.replace("-digest ", "-macopt digest:").replace("-cipher ", "-macopt cipher:")
            ));
            let expected = openssl.read("code");
            let plain = Mechanism::Plain(*kind);
            assert_eq!(module.sign(session, &plain, object, DATA).as_ref(), Ok(&expected), "{name}, {exportable}");
            assert_eq!(module.verify(session, &plain, object, DATA, &expected), CKR_OK, "{name}, {exportable}");
            assert_eq!(module.verify(session, &plain, object, &DATA[1..], &expected), CKR_SIGNATURE_INVALID);
            assert_eq!(module.verify(session, &plain, object, DATA, &expected[1..]), CKR_SIGNATURE_LEN_RANGE);

            plain.with(|m| assert_eq!(call!(module, C_SignInit(session, m, object)), CKR_OK));
            plain.with(|m| assert_eq!(call!(module, C_VerifyInit(session, m, object)), CKR_OK));
            for part in DATA.chunks(11) {
                assert_eq!(call!(module, C_SignUpdate(session, bytes(part), part.len() as CK_ULONG)), CKR_OK);
                assert_eq!(call!(module, C_VerifyUpdate(session, bytes(part), part.len() as CK_ULONG)), CKR_OK);
            }
            assert_eq!(output(|out, len| call!(module, C_SignFinal(session, out, len))).as_ref(), Ok(&expected), "{name}, {exportable}");
            assert_eq!(call!(module, C_VerifyFinal(session, bytes(&expected), expected.len() as CK_ULONG)), CKR_OK, "{name}, {exportable}");

            for len in [1, 4, expected.len()] {
                let truncated = Mechanism::Number(*general, len as CK_ULONG);
                assert_eq!(module.sign(session, &truncated, object, DATA).as_deref(), Ok(&expected[..len]), "{name}, {len}");
                assert_eq!(module.verify(session, &truncated, object, DATA, &expected[..len]), CKR_OK, "{name}, {len}");
                let mut wrong = expected[..len].to_vec();
                wrong[len - 1] ^= 1;
                assert_eq!(module.verify(session, &truncated, object, DATA, &wrong), CKR_SIGNATURE_INVALID, "{name}, {len}");
            }
            for bad in [0, expected.len() as CK_ULONG + 1, CK_UNAVAILABLE_INFORMATION] {
                Mechanism::Number(*general, bad).with(|m| {
                    assert_eq!(call!(module, C_SignInit(session, m, object)), CKR_MECHANISM_PARAM_INVALID, "{name}, {bad}");
                });
            }
        }
        let (exports, made) = (bench.stack.dsm().exports_of(&key.kid), bench.stack.dsm().uses_of(&key.kid, "computed"));
        assert_eq!((exports == 1, made > 0), (exportable, !exportable), "{obj_type}: {exports} exports, {made} codes in DSM");
    }
}

/// A key that names its hash makes codes with no other (section 6.22); one that DSM made names none.
#[test]
fn a_key_of_one_hash_makes_no_codes_with_another() {
    let bench = shared();
    let module = bench.another();
    let session = module.logged_in();
    let types = [
        (CKM_SHA_1_HMAC, CKK_SHA_1_HMAC),
        (CKM_SHA224_HMAC, CKK_SHA224_HMAC),
        (CKM_SHA256_HMAC, CKK_SHA256_HMAC),
        (CKM_SHA384_HMAC, CKK_SHA384_HMAC),
        (CKM_SHA512_HMAC, CKK_SHA512_HMAC),
        (CKM_SHA3_224_HMAC, CKK_SHA3_224_HMAC),
        (CKM_SHA3_256_HMAC, CKK_SHA3_256_HMAC),
        (CKM_SHA3_384_HMAC, CKK_SHA3_384_HMAC),
        (CKM_SHA3_512_HMAC, CKK_SHA3_512_HMAC),
    ];
    let (class, number) = (CKO_SECRET_KEY.to_ne_bytes(), CK_ULONG::to_ne_bytes);
    let of_type = |key_type, token: &[u8]| {
        let kind = number(key_type);
        let template = [(CKA_CLASS, &class[..]), (CKA_KEY_TYPE, &kind), (CKA_VALUE, &[7; 32]), (CKA_TOKEN, token)];
        crate::session_objects::create(&module, session, &template).expect("a key")
    };
    let try_all = |own: CK_KEY_TYPE, key| {
        for ((whole, key_type), (_, general, _)) in types.iter().zip(HMACS) {
            let expected = if own == CKK_GENERIC_SECRET || own == *key_type { CKR_OK } else { CKR_KEY_TYPE_INCONSISTENT };
            for mechanism in [Mechanism::Plain(*whole), Mechanism::Number(general, 4)] {
                let sign = mechanism.with(|m| call!(module, C_SignInit(session, m, key)));
                let verify = mechanism.with(|m| call!(module, C_VerifyInit(session, m, key)));
                assert_eq!((sign, verify), (expected, expected), "{own:#x}, {:#x}", mechanism.kind());
                assert_eq!(call!(module, C_SessionCancel(session, CKF_SIGN | CKF_VERIFY)), CKR_OK);
            }
        }
    };
    for key_type in types.iter().map(|(_, key_type)| *key_type).chain([CKK_GENERIC_SECRET, CKK_HKDF]) {
        try_all(key_type, of_type(key_type, &[CK_FALSE]));
    }
    for key_type in [CKK_SHA256_HMAC, CKK_GENERIC_SECRET] {
        try_all(key_type, of_type(key_type, &[CK_TRUE]));
    }
    let made = bench.import("HMAC", &[7; 32], OPS, true);
    let (module, session, key) = bench.use_key(&made);
    assert_eq!(module.attribute(session, key, CKA_KEY_TYPE), Ok(number(CKK_GENERIC_SECRET).to_vec()));
    assert!(types.iter().all(|(kind, _)| module.sign(session, &Mechanism::Plain(*kind), key, DATA).is_ok()));
}

#[test]
fn a_key_makes_only_the_codes_of_its_kind_and_what_it_may() {
    let bench = shared();
    let hmac = bench.import("HMAC", &[7; 32], &["MACGENERATE"], true);
    let aes = bench.import("AES", &[7; 32], OPS, true);
    let (module, session, [hmac, aes]) = bench.use_keys([&hmac, &aes]);
    let init = |kind, key| Mechanism::Plain(kind).with(|m| call!(module, C_SignInit(session, m, key)));
    assert_eq!(init(CKM_AES_CMAC, hmac), CKR_KEY_TYPE_INCONSISTENT);
    assert_eq!(init(CKM_SHA256_HMAC, aes), CKR_KEY_TYPE_INCONSISTENT);
    assert_eq!(init(CKM_DES3_CMAC, aes), CKR_KEY_TYPE_INCONSISTENT);
    assert_eq!(Mechanism::Plain(CKM_SHA256_HMAC).with(|m| call!(module, C_VerifyInit(session, m, hmac))), CKR_KEY_FUNCTION_NOT_PERMITTED);
    assert_eq!(Mechanism::Number(CKM_SHA256_HMAC, 32).with(|m| call!(module, C_SignInit(session, m, hmac))), CKR_MECHANISM_PARAM_INVALID);
    assert_eq!(module.sign(session, &Mechanism::Plain(CKM_SHA256_HMAC), hmac, b"").map(|code| code.len()), Ok(32));
}
