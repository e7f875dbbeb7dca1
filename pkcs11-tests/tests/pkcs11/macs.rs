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
