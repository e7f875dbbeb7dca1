//! Signatures: traps 1 to 4, 6, 8, 24 and 28, with `openssl` as the verifier.

use std::ptr::null_mut;

use cryptoki_sys::*;
use serde_json::json;

use crate::keys::shared;
use crate::module::{Mechanism, bytes, call};
use crate::openssl::Openssl;

const SHA256: &[u8] = &[
    0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea, 0x41, 0x41, 0x40, 0xde, 0x5d, 0xae, 0x22, 0x23, 0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17,
    0x7a, 0x9c, 0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad,
];

fn pss(kind: CK_MECHANISM_TYPE, hash: CK_MECHANISM_TYPE, mgf: CK_RSA_PKCS_MGF_TYPE, salt: CK_ULONG) -> Mechanism {
    Mechanism::Pss(kind, CK_RSA_PKCS_PSS_PARAMS { hashAlg: hash, mgf, sLen: salt })
}

/// DigestInfo of SHA-256 (RFC 8017, 9.2, note 1).
fn digest_info(digest: &[u8]) -> Vec<u8> {
    let mut info = vec![0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20];
    info.extend(digest);
    info
}

/// A DER signature from `r || s`, for `openssl`.
fn der(fixed: &[u8]) -> Vec<u8> {
    let integer = |bytes: &[u8]| {
        let bytes = &bytes[bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len() - 1)..];
        let sign = if bytes[0] & 0x80 == 0 { &[][..] } else { &[0] };
        [&[2, (bytes.len() + sign.len()) as u8], sign, bytes].concat()
    };
    let (r, s) = fixed.split_at(fixed.len() / 2);
    let body = [integer(r), integer(s)].concat();
    assert!(body.len() < 128);
    [&[0x30, body.len() as u8], &body[..]].concat()
}

/// Every mechanism, in one call and in parts, with a key here and one that stays in DSM, verified by `openssl` and by the module.
#[test]
fn signatures_hold() {
    let bench = shared();
    let rsa_ops = |export: bool| if export { json!(["SIGN", "VERIFY", "EXPORT"]) } else { json!(["SIGN", "VERIFY"]) };
    let (sha256, info) = ("-sha256", digest_info(SHA256));
    for export in [true, false] {
        let rsa = bench.key(json!({"obj_type": "RSA", "key_size": 2048, "key_ops": rsa_ops(export)}));
        let ec = bench.key(json!({"obj_type": "EC", "elliptic_curve": "NistP256", "key_ops": rsa_ops(export)}));
        let module = bench.another();
        let session = module.logged_in();
        let pss_options = "-sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:";
        let cases: Vec<(&crate::keys::Key, Mechanism, &[u8], String)> = vec![
            (&rsa, Mechanism::Plain(CKM_RSA_PKCS), &info, sha256.into()),
            (&rsa, Mechanism::Plain(CKM_SHA1_RSA_PKCS), b"abc", "-sha1".into()),
            (&rsa, Mechanism::Plain(CKM_SHA224_RSA_PKCS), b"abc", "-sha224".into()),
            (&rsa, Mechanism::Plain(CKM_SHA256_RSA_PKCS), b"abc", sha256.into()),
            (&rsa, Mechanism::Plain(CKM_SHA384_RSA_PKCS), b"abc", "-sha384".into()),
            (&rsa, Mechanism::Plain(CKM_SHA512_RSA_PKCS), b"abc", "-sha512".into()),
            (&rsa, pss(CKM_RSA_PKCS_PSS, CKM_SHA256, CKG_MGF1_SHA256, 32), SHA256, format!("-sha256 {pss_options}32")),
            (&rsa, pss(CKM_SHA256_RSA_PKCS_PSS, CKM_SHA256, CKG_MGF1_SHA256, 32), b"abc", format!("-sha256 {pss_options}32")),
            (&rsa, pss(CKM_SHA512_RSA_PKCS_PSS, CKM_SHA512, CKG_MGF1_SHA512, 64), b"abc", format!("-sha512 {pss_options}64")),
            (&rsa, Mechanism::Plain(CKM_SHA3_256_RSA_PKCS), b"abc", "-sha3-256".into()),
            (&rsa, Mechanism::Plain(CKM_SHA3_512_RSA_PKCS), b"abc", "-sha3-512".into()),
            (&rsa, pss(CKM_SHA3_384_RSA_PKCS_PSS, CKM_SHA3_384, CKG_MGF1_SHA3_384, 48), b"abc", format!("-sha3-384 {pss_options}48")),
            (&ec, Mechanism::Plain(CKM_ECDSA_SHA3_224), b"abc", "-sha3-224".into()),
            (&ec, Mechanism::Plain(CKM_ECDSA_SHA3_256), b"abc", "-sha3-256".into()),
            (&ec, Mechanism::Plain(CKM_ECDSA), SHA256, sha256.into()),
            (&ec, Mechanism::Plain(CKM_ECDSA_SHA1), b"abc", "-sha1".into()),
            (&ec, Mechanism::Plain(CKM_ECDSA_SHA256), b"abc", sha256.into()),
            (&ec, Mechanism::Plain(CKM_ECDSA_SHA384), b"abc", "-sha384".into()),
            (&ec, Mechanism::Plain(CKM_ECDSA_SHA512), b"abc", "-sha512".into()),
        ];
        for (key, mechanism, data, options) in &cases {
            let private = module.object(session, CKO_PRIVATE_KEY, &key.label);
            let public = module.object(session, CKO_PUBLIC_KEY, &key.label);
            let name = format!("export {export}, {options}, {} bytes", data.len());
            let signature = module.sign(session, mechanism, private, data).unwrap_or_else(|code| panic!("{name}: {code:#x}"));
            assert_eq!(signature.len(), if key.label == ec.label { 64 } else { 256 }, "{name}");
            assert_eq!(module.verify(session, mechanism, public, data, &signature), CKR_OK, "{name}");
            let mut wrong = signature.clone();
            wrong[5] ^= 1;
            assert_eq!(module.verify(session, mechanism, public, data, &wrong), CKR_SIGNATURE_INVALID, "{name}");
            assert_eq!(module.verify(session, mechanism, public, data, &wrong[1..]), CKR_SIGNATURE_LEN_RANGE, "{name}");

            let openssl = Openssl::new();
            openssl.write("public.der", &module.attribute(session, public, CKA_PUBLIC_KEY_INFO).expect("a public key"));
            openssl.write("data", b"abc");
            openssl.write("signature", &if key.label == ec.label { der(&signature) } else { signature });
            openssl.run(&format!("dgst {options} -verify public.der -keyform DER -signature signature data"));

            // The same in parts.
            mechanism.with(|m| assert_eq!(call!(module, C_SignInit(session, m, private)), CKR_OK));
            mechanism.with(|m| assert_eq!(call!(module, C_VerifyInit(session, m, public)), CKR_OK));
            for part in data.chunks(2) {
                assert_eq!(call!(module, C_SignUpdate(session, bytes(part), part.len() as CK_ULONG)), CKR_OK, "{name}");
                assert_eq!(call!(module, C_VerifyUpdate(session, bytes(part), part.len() as CK_ULONG)), CKR_OK, "{name}");
            }
            let signature = crate::module::output(|out, len| call!(module, C_SignFinal(session, out, len))).expect("it signs");
            assert_eq!(call!(module, C_VerifyFinal(session, bytes(&signature), signature.len() as CK_ULONG)), CKR_OK, "{name}");
        }
        let (exports, signs) = (bench.stack.dsm().exports_of(&rsa.kid), bench.stack.dsm().uses_of(&rsa.kid, "sign"));
        assert_eq!((exports == 1, signs > 0), (export, !export), "{exports} exports, {signs} signatures in DSM");
        assert_eq!(bench.stack.dsm().uses_of(&rsa.kid, "verif"), 0, "verification needs the public key alone");
    }
}

#[test]
fn traps_1_and_2_length_queries_and_short_buffers_keep_the_operation() {
    let bench = shared();
    let (module, session, key) = bench.use_key(&bench.rsa());
    let (data, mut signature) = (bytes(b"data"), [0; 300]);
    Mechanism::Plain(CKM_SHA256_RSA_PKCS).with(|m| assert_eq!(call!(module, C_SignInit(session, m, key)), CKR_OK));
    for _ in 0..2 {
        let mut len = 0;
        assert_eq!(call!(module, C_Sign(session, data, 4, null_mut(), &raw mut len)), CKR_OK);
        assert_eq!(len, 256);
        len = 255;
        assert_eq!(call!(module, C_Sign(session, data, 4, signature.as_mut_ptr(), &raw mut len)), CKR_BUFFER_TOO_SMALL);
        assert_eq!(len, 256);
    }
    let mut len = 300;
    assert_eq!(call!(module, C_Sign(session, data, 4, signature.as_mut_ptr(), &raw mut len)), CKR_OK);
    assert_eq!(len, 256);
    assert_eq!(call!(module, C_Sign(session, data, 4, signature.as_mut_ptr(), &raw mut len)), CKR_OPERATION_NOT_INITIALIZED);

    Mechanism::Plain(CKM_SHA256_RSA_PKCS).with(|m| assert_eq!(call!(module, C_SignInit(session, m, key)), CKR_OK));
    assert_eq!(call!(module, C_SignUpdate(session, data, 4)), CKR_OK);
    let mut len = 3;
    assert_eq!(call!(module, C_SignFinal(session, signature.as_mut_ptr(), &raw mut len)), CKR_BUFFER_TOO_SMALL);
    assert_eq!(call!(module, C_SignFinal(session, null_mut(), &raw mut len)), CKR_OK);
    assert_eq!(call!(module, C_SignFinal(session, signature.as_mut_ptr(), &raw mut len)), CKR_OK);
}

#[test]
fn trap_3_any_other_error_ends_the_operation() {
    let bench = shared();
    let (module, session, key) = bench.use_key(&bench.rsa());
    let start = |mechanism: &Mechanism| mechanism.with(|m| assert_eq!(call!(module, C_SignInit(session, m, key)), CKR_OK));
    let (mut signature, mut len) = ([0; 256], 256);
    let out = signature.as_mut_ptr();
    let sha256 = Mechanism::Plain(CKM_SHA256_RSA_PKCS);

    start(&sha256);
    assert_eq!(call!(module, C_Sign(session, null_mut(), 5, out, &raw mut len)), CKR_ARGUMENTS_BAD);
    assert_eq!(call!(module, C_Sign(session, bytes(b"data"), 4, out, &raw mut len)), CKR_OPERATION_NOT_INITIALIZED);
    start(&sha256);
    assert_eq!(call!(module, C_Sign(session, bytes(b"data"), 4, out, null_mut())), CKR_ARGUMENTS_BAD);
    assert_eq!(call!(module, C_Sign(session, bytes(b"data"), 4, out, &raw mut len)), CKR_OPERATION_NOT_INITIALIZED);
    start(&sha256);
    assert_eq!(call!(module, C_SignUpdate(session, null_mut(), 5)), CKR_ARGUMENTS_BAD);
    assert_eq!(call!(module, C_SignUpdate(session, bytes(b"data"), 4)), CKR_OPERATION_NOT_INITIALIZED);
    for (mechanism, data) in
        [(Mechanism::Plain(CKM_RSA_PKCS), vec![1; 246]), (pss(CKM_RSA_PKCS_PSS, CKM_SHA256, CKG_MGF1_SHA256, 32), vec![1; 31])]
    {
        start(&mechanism);
        let code = call!(module, C_Sign(session, bytes(&data), data.len() as CK_ULONG, out, &raw mut len));
        assert_eq!(code, CKR_DATA_LEN_RANGE);
        assert_eq!(call!(module, C_Sign(session, bytes(&data), 1, out, &raw mut len)), CKR_OPERATION_NOT_INITIALIZED);
    }
}

#[test]
fn trap_4_a_verification_ends_and_one_call_cannot_finish_parts() {
    let bench = shared();
    let key = bench.ec();
    let (module, session, private) = bench.use_key(&key);
    let public = module.object(session, CKO_PUBLIC_KEY, &key.label);
    let mechanism = Mechanism::Plain(CKM_ECDSA_SHA256);
    let verify_init = || mechanism.with(|m| assert_eq!(call!(module, C_VerifyInit(session, m, public)), CKR_OK));
    let (data, mut signature, mut len) = (bytes(b"data"), [7_u8; 64], 64);

    verify_init();
    assert_eq!(call!(module, C_Verify(session, data, 4, signature.as_mut_ptr(), 64)), CKR_SIGNATURE_INVALID);
    assert_eq!(call!(module, C_Verify(session, data, 4, signature.as_mut_ptr(), 64)), CKR_OPERATION_NOT_INITIALIZED);
    verify_init();
    assert_eq!(call!(module, C_VerifyUpdate(session, data, 4)), CKR_OK);
    // Java ends an unwanted verification so.
    assert_eq!(call!(module, C_VerifyFinal(session, null_mut(), 0)), CKR_SIGNATURE_LEN_RANGE);
    assert_eq!(call!(module, C_VerifyFinal(session, null_mut(), 0)), CKR_OPERATION_NOT_INITIALIZED);
    verify_init();
    assert_eq!(call!(module, C_VerifyUpdate(session, data, 4)), CKR_OK);
    assert_eq!(call!(module, C_Verify(session, data, 4, signature.as_mut_ptr(), 64)), CKR_OPERATION_NOT_INITIALIZED);
    assert_eq!(call!(module, C_VerifyUpdate(session, data, 4)), CKR_OPERATION_NOT_INITIALIZED);

    mechanism.with(|m| assert_eq!(call!(module, C_SignInit(session, m, private)), CKR_OK));
    assert_eq!(call!(module, C_SignUpdate(session, data, 4)), CKR_OK);
    let out = signature.as_mut_ptr();
    assert_eq!(call!(module, C_Sign(session, data, 4, out, &raw mut len)), CKR_OPERATION_NOT_INITIALIZED);
    assert_eq!(call!(module, C_SignFinal(session, out, &raw mut len)), CKR_OPERATION_NOT_INITIALIZED);
}

#[test]
fn trap_6_signing_in_place() {
    let bench = shared();
    let key = bench.rsa();
    let (module, session, private) = bench.use_key(&key);
    let public = module.object(session, CKO_PUBLIC_KEY, &key.label);
    let mechanism = Mechanism::Plain(CKM_SHA256_RSA_PKCS);
    let mut buffer = [9_u8; 256];
    let mut len = 256;
    mechanism.with(|m| assert_eq!(call!(module, C_SignInit(session, m, private)), CKR_OK));
    let memory = buffer.as_mut_ptr();
    assert_eq!(call!(module, C_Sign(session, memory, 100, memory, &raw mut len)), CKR_OK);
    assert_eq!(module.verify(session, &mechanism, public, &[9; 100], &buffer), CKR_OK);
}

#[test]
fn trap_8_a_second_init_leaves_the_first_alone_and_kinds_are_independent() {
    let bench = shared();
    let key = bench.rsa();
    let (module, session, private) = bench.use_key(&key);
    let public = module.object(session, CKO_PUBLIC_KEY, &key.label);
    let (sha256, sha512) = (Mechanism::Plain(CKM_SHA256_RSA_PKCS), Mechanism::Plain(CKM_SHA512_RSA_PKCS));
    let init = |mechanism: &Mechanism| mechanism.with(|m| call!(module, C_SignInit(session, m, private)));
    assert_eq!(init(&sha256), CKR_OK);
    assert_eq!(init(&sha512), CKR_OPERATION_ACTIVE);
    Mechanism::Plain(CKM_SHA256).with(|m| assert_eq!(call!(module, C_DigestInit(session, m)), CKR_OK));
    assert_eq!(call!(module, C_FindObjectsInit(session, null_mut(), 0)), CKR_OK);
    let (mut signature, mut len) = ([0; 256], 256);
    assert_eq!(call!(module, C_Sign(session, bytes(b"data"), 4, signature.as_mut_ptr(), &raw mut len)), CKR_OK);
    assert_eq!(module.verify(session, &sha256, public, b"data", &signature), CKR_OK);
    assert_eq!(call!(module, C_DigestUpdate(session, bytes(b"data"), 4)), CKR_OK);
    assert_eq!(call!(module, C_FindObjectsFinal(session)), CKR_OK);
}

#[test]
fn trap_24_what_a_key_may_not_do_is_refused_at_init() {
    let bench = shared();
    let rsa = |ops: &[&str]| bench.key(json!({"obj_type": "RSA", "key_size": 2048, "key_ops": ops}));
    let (signing, decrypting) = (rsa(&["SIGN", "EXPORT"]), rsa(&["ENCRYPT", "DECRYPT", "EXPORT"]));
    let keys = [&signing, &decrypting, &bench.aes(), &bench.ec()];
    let (module, session, [signs, decrypts, aes, ec]) = bench.use_keys(keys);
    let [verifies, encrypts] = [&signing, &decrypting].map(|key| module.object(session, CKO_PUBLIC_KEY, &key.label));
    let init = |function: &str, mechanism: &Mechanism, key| {
        mechanism.with(|m| match function {
            "sign" => call!(module, C_SignInit(session, m, key)),
            "verify" => call!(module, C_VerifyInit(session, m, key)),
            "encrypt" => call!(module, C_EncryptInit(session, m, key)),
            _ => call!(module, C_DecryptInit(session, m, key)),
        })
    };
    let plain = Mechanism::Plain;
    let salt_too_long = pss(CKM_RSA_PKCS_PSS, CKM_SHA256, CKG_MGF1_SHA256, 1000);
    let two_hashes = pss(CKM_SHA256_RSA_PKCS_PSS, CKM_SHA512, CKG_MGF1_SHA256, 32);
    for (function, mechanism, key, expected) in [
        ("sign", plain(CKM_RSA_PKCS), decrypts, CKR_KEY_FUNCTION_NOT_PERMITTED),
        ("verify", plain(CKM_RSA_PKCS), verifies, CKR_KEY_FUNCTION_NOT_PERMITTED),
        ("verify", plain(CKM_RSA_PKCS), signs, CKR_KEY_FUNCTION_NOT_PERMITTED),
        ("sign", plain(CKM_RSA_PKCS), encrypts, CKR_KEY_FUNCTION_NOT_PERMITTED),
        ("decrypt", plain(CKM_RSA_PKCS), signs, CKR_KEY_FUNCTION_NOT_PERMITTED),
        ("encrypt", plain(CKM_RSA_PKCS), decrypts, CKR_KEY_FUNCTION_NOT_PERMITTED),
        ("sign", plain(CKM_ECDSA), signs, CKR_KEY_TYPE_INCONSISTENT),
        ("sign", plain(CKM_RSA_PKCS), ec, CKR_KEY_TYPE_INCONSISTENT),
        ("sign", plain(CKM_RSA_PKCS), aes, CKR_KEY_TYPE_INCONSISTENT),
        ("encrypt", plain(CKM_AES_ECB), encrypts, CKR_KEY_TYPE_INCONSISTENT),
        ("sign", plain(CKM_AES_ECB), aes, CKR_MECHANISM_INVALID),
        ("sign", plain(CKM_SHA256), signs, CKR_MECHANISM_INVALID),
        ("sign", plain(0x00ff_ffff), signs, CKR_MECHANISM_INVALID),
        ("encrypt", plain(CKM_SHA256_RSA_PKCS), encrypts, CKR_MECHANISM_INVALID),
        ("sign", plain(CKM_RSA_PKCS_PSS), signs, CKR_MECHANISM_PARAM_INVALID),
        ("sign", Mechanism::With(CKM_RSA_PKCS_PSS, vec![0; 23]), signs, CKR_MECHANISM_PARAM_INVALID),
        ("sign", Mechanism::With(CKM_RSA_PKCS, vec![0; 3]), signs, CKR_MECHANISM_PARAM_INVALID),
        ("sign", salt_too_long, signs, CKR_MECHANISM_PARAM_INVALID),
        ("sign", two_hashes, signs, CKR_MECHANISM_PARAM_INVALID),
    ] {
        assert_eq!(init(function, &mechanism, key), expected, "{function}");
    }
    // None of them has left an operation behind.
    assert_eq!(init("sign", &plain(CKM_RSA_PKCS), signs), CKR_OK);
    assert_eq!(init("decrypt", &plain(CKM_RSA_PKCS), decrypts), CKR_OK);
}

#[test]
fn trap_28_a_raw_digest_longer_than_the_curve_is_truncated() {
    let bench = shared();
    let key = bench.ec();
    let (module, session, private) = bench.use_key(&key);
    let public = module.object(session, CKO_PUBLIC_KEY, &key.label);
    let long: Vec<u8> = (0..64).collect();
    let raw = Mechanism::Plain(CKM_ECDSA);
    let signature = module.sign(session, &raw, private, &long).expect("it signs");
    assert_eq!(module.verify(session, &raw, public, &long[..32], &signature), CKR_OK);
}

#[test]
fn a_disabled_key_is_refused_when_it_is_used() {
    let bench = shared();
    let key = bench.key(json!({"obj_type": "EC", "elliptic_curve": "NistP256", "key_ops": ["SIGN", "VERIFY", "EXPORT"], "enabled": false}));
    let (module, session, private) = bench.use_key(&key);
    let mechanism = Mechanism::Plain(CKM_ECDSA_SHA256);
    assert_eq!(module.sign(session, &mechanism, private, b"data"), Err(CKR_KEY_FUNCTION_NOT_PERMITTED));
    let public = module.object(session, CKO_PUBLIC_KEY, &key.label);
    assert_eq!(module.verify(session, &mechanism, public, b"data", &[1; 64]), CKR_KEY_FUNCTION_NOT_PERMITTED);
}

/// The number is as long as the modulus, with zeros before what is shorter; `openssl` takes the padding off.
#[test]
fn rsa_without_padding() {
    let bench = shared();
    let key = bench.rsa();
    let (module, session, private) = bench.use_key(&key);
    let public = module.object(session, CKO_PUBLIC_KEY, &key.label);
    let raw = Mechanism::Plain(CKM_RSA_X_509);
    let mut padded = vec![0, 1];
    padded.resize(256 - 4, 0xff);
    padded.extend(b"\0abc");
    let signature = module.sign(session, &raw, private, &padded).expect("it signs");
    let openssl = Openssl::new();
    openssl.write("public.der", &module.attribute(session, public, CKA_PUBLIC_KEY_INFO).expect("a public key"));
    openssl.write("signature", &signature);
    openssl.run("pkeyutl -verifyrecover -pubin -inkey public.der -keyform DER -in signature -out data");
    assert_eq!(openssl.read("data"), b"abc");
    assert_eq!(module.verify(session, &raw, public, &padded, &signature), CKR_OK);
    assert_eq!(module.verify(session, &raw, public, &padded[1..], &signature), CKR_OK, "zeros before make no other number");
    assert_eq!(module.verify(session, &raw, public, &padded[2..], &signature), CKR_SIGNATURE_INVALID);
    assert_eq!(module.sign(session, &raw, private, &[0xff; 256]), Err(CKR_DATA_LEN_RANGE), "not below the modulus");
    assert_eq!(module.sign(session, &raw, private, &[1; 257]), Err(CKR_DATA_LEN_RANGE));

    let encrypted = module.encrypt(session, &raw, public, &padded).expect("it encrypts");
    assert_eq!(module.decrypt(session, &raw, private, &encrypted), Ok(padded));
}

/// DSM signs digests, and nothing else without a hash: C_SignInit cannot know what will come, and C_Sign has no code for a bad mechanism.
#[test]
fn what_dsm_does_not_sign() {
    let bench = shared();
    let (module, session, private) = bench.use_key(&bench.rsa_with(&["SIGN", "VERIFY"]));
    assert_eq!(module.sign(session, &Mechanism::Plain(CKM_RSA_PKCS), private, b"no DigestInfo"), Err(CKR_FUNCTION_FAILED));
}
