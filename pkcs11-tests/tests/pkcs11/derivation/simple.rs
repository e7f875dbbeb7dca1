//! Keys joined, cut, digested and encrypted, and what becomes of their protection.

use cryptoki_sys::*;
use serde_json::json;

use crate::keys::{Bench, shared};
use crate::module::{Mechanism, call};
use crate::openssl::Openssl;
use crate::session_objects::{FALSE, TRUE, create, secret};

const OPEN: [(CK_ATTRIBUTE_TYPE, &[u8]); 2] = [(CKA_SENSITIVE, FALSE), (CKA_EXTRACTABLE, TRUE)];

fn data(kind: CK_MECHANISM_TYPE, data: &[u8]) -> Mechanism {
    Mechanism::Data(kind, data.to_vec())
}

/// The values of the standard's section 6.43.
#[test]
fn the_standard_s_examples() {
    let module = shared().another();
    let session = module.logged_in();
    let key = |value: &[u8]| secret(&module, session, CKK_GENERIC_SECRET, value).expect("a session key");
    let (base, other) = (key(&[0x01, 0x23, 0x45, 0x67]), key(&[0x89, 0xab, 0xcd, 0xef]));
    let given = [0x89, 0xab, 0xcd, 0xef];
    let derive = |mechanism: &Mechanism, template: &[(CK_ATTRIBUTE_TYPE, &[u8])]| module.derive(session, mechanism, base, template);
    let joined = vec![0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef];
    let key_and_key = Mechanism::Number(CKM_CONCATENATE_BASE_AND_KEY, other);
    assert_eq!(derive(&key_and_key, &[]), Ok(joined.clone()));
    assert_eq!(derive(&data(CKM_CONCATENATE_BASE_AND_DATA, &given), &[]), Ok(joined));
    assert_eq!(derive(&data(CKM_CONCATENATE_DATA_AND_BASE, &given), &[]), Ok(vec![0x89, 0xab, 0xcd, 0xef, 0x01, 0x23, 0x45, 0x67]));
    assert_eq!(derive(&data(CKM_XOR_BASE_AND_DATA, &given), &[]), Ok(vec![0x88; 4]));
    assert_eq!(derive(&data(CKM_XOR_BASE_AND_DATA, &given[..3]), &[]), Ok(vec![0x88; 3]), "as long as the shorter one");
    let (two, nine) = (2_u64.to_ne_bytes(), 9_u64.to_ne_bytes());
    let cut =
        module.derive(session, &Mechanism::Number(CKM_EXTRACT_KEY_FROM_KEY, 21), key(&[0x32, 0x9f, 0x84, 0xa9]), &[(CKA_VALUE_LEN, &two)]);
    assert_eq!(cut, Ok(vec![0x95, 0x26]));
    assert_eq!(derive(&key_and_key, &[(CKA_VALUE_LEN, &two)]), Ok(vec![0x01, 0x23]));

    for mechanism in [&key_and_key, &data(CKM_XOR_BASE_AND_DATA, &given)] {
        assert_eq!(derive(mechanism, &[(CKA_VALUE_LEN, &nine)]), Err(CKR_KEY_SIZE_RANGE));
    }
    let aes = CKK_AES.to_ne_bytes();
    assert_eq!(derive(&key_and_key, &[(CKA_KEY_TYPE, &aes)]), Err(CKR_KEY_SIZE_RANGE), "no AES key has eight bytes");
    assert_eq!(derive(&Mechanism::Number(CKM_EXTRACT_KEY_FROM_KEY, 0), &[]), Err(CKR_TEMPLATE_INCOMPLETE));
    assert_eq!(derive(&Mechanism::Number(CKM_EXTRACT_KEY_FROM_KEY, 32), &[(CKA_VALUE_LEN, &two)]), Err(CKR_MECHANISM_PARAM_INVALID));
    assert_eq!(derive(&Mechanism::Number(CKM_CONCATENATE_BASE_AND_KEY, 0), &[]), Err(CKR_KEY_HANDLE_INVALID));
    assert_eq!(derive(&Mechanism::Plain(CKM_CONCATENATE_BASE_AND_DATA), &[]), Err(CKR_MECHANISM_PARAM_INVALID));
    // Parity is set in a key of triple DES, and there alone.
    let des3 = CKK_DES3.to_ne_bytes();
    let with_parity = derive(&data(CKM_CONCATENATE_BASE_AND_DATA, &[0; 20]), &[(CKA_KEY_TYPE, &des3)]).expect("a key");
    assert_eq!(with_parity[..5], [0x01, 0x23, 0x45, 0x67, 0x01]);
    assert!(with_parity.iter().all(|byte| byte.count_ones() % 2 == 1));
}

#[test]
fn digests_of_keys() {
    let bench = shared();
    let token = bench.import("HMAC", b"a secret of a good length", &["DERIVEKEY"], true);
    let (module, session, token) = bench.use_key(&token);
    let openssl = Openssl::new();
    openssl.write("secret", b"a secret of a good length");
    for (kind, name) in [
        (CKM_SHA1_KEY_DERIVATION, "sha1"),
        (CKM_SHA224_KEY_DERIVATION, "sha224"),
        (CKM_SHA256_KEY_DERIVATION, "sha256"),
        (CKM_SHA384_KEY_DERIVATION, "sha384"),
        (CKM_SHA512_KEY_DERIVATION, "sha512"),
        (CKM_SHA3_224_KEY_DERIVATION, "sha3-224"),
        (CKM_SHA3_256_KEY_DERIVATION, "sha3-256"),
        (CKM_SHA3_384_KEY_DERIVATION, "sha3-384"),
        (CKM_SHA3_512_KEY_DERIVATION, "sha3-512"),
    ] {
        openssl.run(&format!("dgst -{name} -binary -out digest secret"));
        let digest = openssl.read("digest");
        assert_eq!(module.derive(session, &Mechanism::Plain(kind), token, &[]), Ok(digest.clone()), "{name}");
        let (aes, len) = (CKK_AES.to_ne_bytes(), 16_u64.to_ne_bytes());
        let template = [(CKA_KEY_TYPE, &aes[..]), (CKA_VALUE_LEN, &len)];
        assert_eq!(module.derive(session, &Mechanism::Plain(kind), token, &template), Ok(digest[..16].to_vec()));
        let longer = (digest.len() as u64 + 1).to_ne_bytes();
        assert_eq!(module.derive(session, &Mechanism::Plain(kind), token, &[(CKA_VALUE_LEN, &longer)]), Err(CKR_KEY_SIZE_RANGE));
        assert_eq!(module.derive(session, &Mechanism::Number(kind, 1), token, &[]), Err(CKR_MECHANISM_PARAM_INVALID));
    }
}

#[test]
fn ciphertexts_as_keys() {
    let bench = shared();
    let (aes, des3) = (
        bench.import("AES", &[9; 16], &["DERIVEKEY"], true),
        bench.import("DES3", &hex::decode("0123456789abcdeffedcba987654321089abcdef01234567").expect("hex"), &["DERIVEKEY"], true),
    );
    let (module, session, [aes, des3]) = bench.use_keys([&aes, &des3]);
    let openssl = Openssl::new();
    let plain: Vec<u8> = (0..48).collect();
    openssl.write("plain", &plain);
    let (aes_key, des3_key) = ("09".repeat(16), "0123456789abcdeffedcba987654321089abcdef01234567");
    let len = 32_u64.to_ne_bytes();
    for (mechanism, base, cipher) in [
        (data(CKM_AES_ECB_ENCRYPT_DATA, &plain), aes, format!("aes-128-ecb -K {aes_key}")),
        (Mechanism::AesCbcData([3; 16], plain.clone()), aes, format!("aes-128-cbc -K {aes_key} -iv {}", "03".repeat(16))),
        (data(CKM_DES3_ECB_ENCRYPT_DATA, &plain), des3, format!("des-ede3 -K {des3_key}")),
        (Mechanism::Des3CbcData([3; 8], plain.clone()), des3, format!("des-ede3-cbc -K {des3_key} -iv {}", "03".repeat(8))),
    ] {
        openssl.run(&format!("enc -e -nopad -in plain -out encrypted -{cipher}"));
        let encrypted = openssl.read("encrypted");
        assert_eq!(module.derive(session, &mechanism, base, &[]), Ok(encrypted.clone()), "{cipher}");
        assert_eq!(module.derive(session, &mechanism, base, &[(CKA_VALUE_LEN, &len)]), Ok(encrypted[..32].to_vec()), "the end goes");
        assert_eq!(module.derive(session, &mechanism, base, &[(CKA_VALUE_LEN, &49_u64.to_ne_bytes())]), Err(CKR_DATA_LEN_RANGE));
        assert_eq!(module.derive(session, &mechanism, if base == aes { des3 } else { aes }, &[]), Err(CKR_KEY_TYPE_INCONSISTENT));
    }
    for odd in [&[][..], &[0; 15]] {
        assert_eq!(module.derive(session, &data(CKM_AES_ECB_ENCRYPT_DATA, odd), aes, &[]), Err(CKR_MECHANISM_PARAM_INVALID));
    }
}

/// What has a key's bytes in it is as protected as the key, and none of it is cut: neither a token key nor what comes of it can be found
/// out byte by byte.
#[test]
fn no_part_of_a_protected_key_comes_out() {
    let bench = shared();
    let token = bench.import("HMAC", &[5; 32], &["DERIVEKEY", "MACGENERATE"], true);
    let (module, session, token) = bench.use_key(&token);
    let (class, kind) = (CKO_SECRET_KEY.to_ne_bytes(), CKK_GENERIC_SECRET.to_ne_bytes());
    let held = |attribute, value| {
        create(&module, session, &[(CKA_CLASS, &class), (CKA_KEY_TYPE, &kind), (CKA_VALUE, &[5; 32]), (attribute, value)]).expect("a key")
    };
    let (sensitive, hidden) = (held(CKA_SENSITIVE, TRUE), held(CKA_EXTRACTABLE, FALSE));
    let open = secret(&module, session, CKK_GENERIC_SECRET, &[6; 4]).expect("a session key");
    let (len, rest) = (31_u64.to_ne_bytes(), 1_u64.to_ne_bytes());
    for base in [token, sensitive, hidden] {
        for (mechanism, whole) in [
            (data(CKM_CONCATENATE_BASE_AND_DATA, &[7; 16]), 48_u64),
            (data(CKM_CONCATENATE_DATA_AND_BASE, &[7; 16]), 48),
            (data(CKM_XOR_BASE_AND_DATA, &[7; 40]), 32),
            (Mechanism::Number(CKM_CONCATENATE_BASE_AND_KEY, open), 36),
            (Mechanism::Number(CKM_EXTRACT_KEY_FROM_KEY, 9), 32),
        ] {
            let whole = whole.to_ne_bytes();
            for part in [&len, &rest] {
                assert_eq!(module.derive_key(session, &mechanism, base, &[(CKA_VALUE_LEN, part)]), Err(CKR_KEY_FUNCTION_NOT_PERMITTED));
            }
            let derived = module.derive_key(session, &mechanism, base, &[(CKA_VALUE_LEN, &whole)]).expect("all of it");
            assert_eq!(module.attribute(session, derived, CKA_VALUE), Err(CKR_ATTRIBUTE_SENSITIVE));
            for kind in [CKA_SENSITIVE, CKA_EXTRACTABLE, CKA_ALWAYS_SENSITIVE, CKA_NEVER_EXTRACTABLE] {
                // The standard lets what nothing says about be as it is in other keys.
                if kind != CKA_EXTRACTABLE && kind != CKA_SENSITIVE || base == token {
                    assert_eq!(module.attribute(session, derived, kind), module.attribute(session, base, kind), "{kind:#x}");
                }
            }
            // Nor does a second step cut it.
            let again = Mechanism::Number(CKM_EXTRACT_KEY_FROM_KEY, 0);
            assert_eq!(module.derive_key(session, &again, derived, &[(CKA_VALUE_LEN, &rest)]), Err(CKR_KEY_FUNCTION_NOT_PERMITTED));
        }
        let shorter = data(CKM_XOR_BASE_AND_DATA, &[7; 31]);
        assert_eq!(module.derive_key(session, &shorter, base, &[]), Err(CKR_KEY_FUNCTION_NOT_PERMITTED));
        // The other key counts like the base.
        let joined = Mechanism::Number(CKM_CONCATENATE_BASE_AND_KEY, base);
        assert_eq!(module.derive_key(session, &joined, open, &[(CKA_VALUE_LEN, &rest)]), Err(CKR_KEY_FUNCTION_NOT_PERMITTED));
        let derived = module.derive_key(session, &joined, open, &[]).expect("both");
        assert_eq!(module.attribute(session, derived, CKA_VALUE), Err(CKR_ATTRIBUTE_SENSITIVE));
        assert_eq!(module.attribute(session, derived, CKA_NEVER_EXTRACTABLE), Ok(FALSE.to_vec()), "one of them was");
    }
    for (base, wish) in [(token, OPEN[0]), (token, OPEN[1]), (sensitive, OPEN[0]), (hidden, OPEN[1])] {
        let joined = data(CKM_CONCATENATE_BASE_AND_DATA, b"!");
        assert_eq!(module.derive_key(session, &joined, base, &[wish]), Err(CKR_TEMPLATE_INCONSISTENT));
    }
    // A function that does not tell its key may give what can be read, but for a token.
    let digest = Mechanism::Plain(CKM_SHA256_KEY_DERIVATION);
    assert_eq!(module.derive(session, &digest, token, &OPEN).map(|digest| digest.len()), Ok(32));
    let kept = [OPEN[0], OPEN[1], (CKA_TOKEN, TRUE)];
    assert_eq!(module.derive_key(session, &digest, token, &kept), Err(CKR_TEMPLATE_INCONSISTENT));
}

/// A key that may be read there may be digested too.
#[test]
fn readable_keys_of_the_token() {
    let bench = Bench::start_with("allow_plaintext = true\n");
    let (module, session) = (&bench.module, bench.module.logged_in());
    let (class, kind) = (CKO_SECRET_KEY.to_ne_bytes(), CKK_GENERIC_SECRET.to_ne_bytes());
    let key = |value: &[u8], more: &[(CK_ATTRIBUTE_TYPE, &[u8])]| {
        let template = [&[(CKA_CLASS, &class[..]), (CKA_KEY_TYPE, &kind), (CKA_VALUE, value), (CKA_TOKEN, TRUE)], more].concat();
        create(module, session, &template).expect("a token key")
    };
    let (readable, other) = (key(b"a secret of 20 bytes", &OPEN), key(b"and one more of that", &OPEN));
    let joined = Mechanism::Number(CKM_CONCATENATE_BASE_AND_KEY, other);
    let kept = [OPEN[0], OPEN[1], (CKA_TOKEN, TRUE)];
    assert_eq!(module.derive(session, &joined, readable, &kept), Ok(b"a secret of 20 bytesand one more of that".to_vec()));
    let digest = |key| {
        Mechanism::Plain(CKM_SHA256).with(|m| assert_eq!(call!(module, C_DigestInit(session, m)), CKR_OK));
        crate::module::ok(call!(module, C_DigestKey(session, key)))?;
        crate::module::output(|out, len| call!(module, C_DigestFinal(session, out, len)))
    };
    let openssl = Openssl::new();
    openssl.write("secret", b"a secret of 20 bytes");
    openssl.run("dgst -sha256 -binary -out digest secret");
    assert_eq!(digest(readable), Ok(openssl.read("digest")));
    assert_eq!(digest(key(b"a secret of 20 bytes", &[])), Err(CKR_KEY_INDIGESTIBLE), "sensitive, as token keys are");
}

/// The public key object that an application did not keep.
#[test]
fn a_public_key_from_its_private_key() {
    let bench = shared();
    let key = bench.key(json!({"obj_type": "EC", "elliptic_curve": "NistP256", "key_ops": ["SIGN"]}));
    let (module, session, private) = bench.use_key(&key);
    let again = Mechanism::Plain(CKM_PUB_KEY_FROM_PRIV_KEY);
    let public = module.derive_key(session, &again, private, &[]).expect("a public key, whoever holds the private one");
    assert_eq!(module.attribute(session, public, CKA_PUBLIC_KEY_INFO), Ok(bench.public_key(&key)));
    assert_eq!(module.attribute(session, public, CKA_ID), Ok(key.id().to_vec()));
    for (kind, expected) in [(CKA_VERIFY, TRUE), (CKA_DERIVE, FALSE), (CKA_TOKEN, FALSE), (CKA_PRIVATE, FALSE)] {
        assert_eq!(module.attribute(session, public, kind), Ok(expected.to_vec()), "{kind:#x}");
    }
    let ecdsa = Mechanism::Plain(CKM_ECDSA_SHA256);
    let signature = module.sign(session, &ecdsa, private, b"message").expect("a signature");
    assert_eq!(module.verify(session, &ecdsa, public, b"message", &signature), CKR_OK);
    assert_eq!(module.derive_key(session, &again, public, &[]), Err(CKR_KEY_TYPE_INCONSISTENT));
    let (class, rsa) = (CKO_SECRET_KEY.to_ne_bytes(), CKK_RSA.to_ne_bytes());
    for wrong in [(CKA_CLASS, &class[..]), (CKA_KEY_TYPE, &rsa)] {
        assert_eq!(module.derive_key(session, &again, private, &[wrong]), Err(CKR_TEMPLATE_INCONSISTENT));
    }
}
