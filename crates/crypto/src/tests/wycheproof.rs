//! Google's Wycheproof vectors: every result must be the expected one. "Acceptable" vectors may go either way.

mod curves;
mod ff1;
mod kdf;
mod keywrap;
mod macs;
mod ml_dsa;
mod ml_kem;

use wycheproof::{HashFunction, TestResult, aead, cipher, ecdsa, rsa_oaep, rsa_pkcs1_decrypt, rsa_pkcs1_verify, rsa_pss_verify};

use super::{decrypt, encrypt};
use crate::digest::Hash;
use crate::{AesKey, ChaCha20Key, CipherParams, EcPublicKey, Encoding, Error, Key, Message, RsaPrivateKey, RsaPublicKey, SignatureScheme};

/// Counts vectors, and collects those that came out otherwise than expected.
#[derive(Default)]
struct Tally {
    run: usize,
    unexpected: Vec<String>,
}

impl Tally {
    fn record(&mut self, set: impl std::fmt::Debug, id: usize, expected: TestResult, passed: bool) {
        self.run += 1;
        let wrong = match expected {
            TestResult::Valid => !passed,
            TestResult::Invalid => passed,
            TestResult::Acceptable => false,
        };
        if wrong {
            self.unexpected.push(format!("{set:?} {id}: expected {expected:?}, passed {passed}"));
        }
    }

    fn assert(&self, at_least: usize) {
        assert!(self.unexpected.is_empty(), "{} of {}: {:#?}", self.unexpected.len(), self.run, self.unexpected);
        assert!(self.run >= at_least, "only {} vectors were run", self.run);
    }
}

/// Our hash, where we have it.
fn hash(function: HashFunction) -> Option<Hash> {
    match function {
        HashFunction::Sha1 => Some(Hash::Sha1),
        HashFunction::Sha2_224 => Some(Hash::Sha224),
        HashFunction::Sha2_256 => Some(Hash::Sha256),
        HashFunction::Sha2_384 => Some(Hash::Sha384),
        HashFunction::Sha2_512 => Some(Hash::Sha512),
        HashFunction::Sha3_224 => Some(Hash::Sha3_224),
        HashFunction::Sha3_256 => Some(Hash::Sha3_256),
        HashFunction::Sha3_384 => Some(Hash::Sha3_384),
        HashFunction::Sha3_512 => Some(Hash::Sha3_512),
        _ => None,
    }
}

#[test]
fn aes_gcm() {
    let mut tally = Tally::default();
    for group in aead::TestSet::load(aead::TestName::AesGcm).unwrap().test_groups {
        for test in group.tests {
            let key = Key::Aes(AesKey::from_bytes(&test.key).unwrap());
            let params = CipherParams::AesGcm { iv: &test.nonce, aad: &test.aad };
            let decrypted = decrypt(&key, &params, &test.ct, &test.tag);
            tally.record("decrypt", test.tc_id, test.result, decrypted.is_ok_and(|plain| plain == *test.pt));
            if test.result == TestResult::Valid {
                let mut tag = vec![0; test.tag.len()];
                let encrypted = encrypt(&key, &params, &test.pt, &mut tag);
                let good = encrypted.is_ok_and(|encrypted| encrypted == *test.ct) && tag == *test.tag;
                tally.record("encrypt", test.tc_id, test.result, good);
            }
        }
    }
    tally.assert(500);
}

#[test]
fn chacha20_poly1305() {
    let mut tally = Tally::default();
    for group in aead::TestSet::load(aead::TestName::ChaCha20Poly1305).unwrap().test_groups {
        for test in group.tests {
            let key = Key::ChaCha20(ChaCha20Key::from_bytes(&test.key).unwrap());
            let params = CipherParams::ChaCha20Poly1305 { nonce: &test.nonce, aad: &test.aad };
            let decrypted = decrypt(&key, &params, &test.ct, &test.tag);
            tally.record("decrypt", test.tc_id, test.result, decrypted.is_ok_and(|plain| plain == *test.pt));
            if test.result == TestResult::Valid {
                let mut tag = vec![0; test.tag.len()];
                let encrypted = encrypt(&key, &params, &test.pt, &mut tag);
                let good = encrypted.is_ok_and(|encrypted| encrypted == *test.ct) && tag == *test.tag;
                tally.record("encrypt", test.tc_id, test.result, good);
            }
        }
    }
    tally.assert(500);
}

#[test]
fn aes_ccm() {
    let mut tally = Tally::default();
    for group in aead::TestSet::load(aead::TestName::AesCcm).unwrap().test_groups {
        for test in group.tests {
            // NIST SP 800-38C allows tags of 4 and 6 bytes, where the caller has weighed the risk; they are right otherwise.
            if test.flags.contains(&aead::TestFlag::InsecureTagSize) {
                continue;
            }
            let key = Key::Aes(AesKey::from_bytes(&test.key).unwrap());
            let params = CipherParams::AesCcm { iv: &test.nonce, aad: &test.aad };
            let decrypted = decrypt(&key, &params, &test.ct, &test.tag);
            tally.record("decrypt", test.tc_id, test.result, decrypted.is_ok_and(|plain| plain == *test.pt));
            let mut tag = vec![0; test.tag.len()];
            if test.result == TestResult::Valid {
                let encrypted = encrypt(&key, &params, &test.pt, &mut tag);
                let good = encrypted.is_ok_and(|encrypted| encrypted == *test.ct) && tag == *test.tag;
                tally.record("encrypt", test.tc_id, test.result, good);
            }
        }
    }
    tally.assert(900);
}

#[test]
fn aes_cbc_pkcs5() {
    let mut tally = Tally::default();
    for group in cipher::TestSet::load(cipher::TestName::AesCbcPkcs5).unwrap().test_groups {
        for test in group.tests {
            let key = Key::Aes(AesKey::from_bytes(&test.key).unwrap());
            let params = CipherParams::AesCbc { iv: &test.nonce, padding: true };
            let decrypted = decrypt(&key, &params, &test.ct, &[]);
            tally.record("decrypt", test.tc_id, test.result, decrypted.is_ok_and(|plain| plain == *test.pt));
            if test.result == TestResult::Valid {
                let encrypted = encrypt(&key, &params, &test.pt, &mut []);
                tally.record("encrypt", test.tc_id, test.result, encrypted.is_ok_and(|encrypted| encrypted == *test.ct));
            }
        }
    }
    tally.assert(250);
}

/// Every set on our four curves with a hash that we have, in both encodings.
#[test]
fn ecdsa_verify() {
    let mut tally = Tally::default();
    for name in ecdsa::TestName::all() {
        let text = format!("{name:?}");
        // Bitcoin's rule (small s only) is not ours.
        let ours = ["Secp256r1", "Secp384r1", "Secp521r1", "Secp256k1"].iter().any(|curve| text.contains(curve));
        if !ours || text.contains("Bitcoin") {
            continue;
        }
        let encoding = if text.ends_with("P1363") { Encoding::Fixed } else { Encoding::Der };
        for group in ecdsa::TestSet::load(name).unwrap().test_groups {
            let Some(hash) = hash(group.hash) else { continue };
            let key = Key::EcPublic(EcPublicKey::from_spki_der(&group.der).unwrap());
            for test in group.tests {
                let scheme = SignatureScheme::Ecdsa { hash: Some(hash), encoding };
                let passed = key.verify(&scheme, Message::Data(&test.msg), &test.sig).unwrap();
                tally.record(name, test.tc_id, test.result, passed);
                let scheme = SignatureScheme::Ecdsa { hash: None, encoding };
                let digest = hash.digest(&test.msg);
                let passed = key.verify(&scheme, Message::Digest(digest.as_ref()), &test.sig).unwrap();
                tally.record(name, test.tc_id, test.result, passed);
            }
        }
    }
    tally.assert(8000);
}

#[test]
fn rsa_pkcs1_verify() {
    let mut tally = Tally::default();
    for name in rsa_pkcs1_verify::TestName::all() {
        for group in rsa_pkcs1_verify::TestSet::load(name).unwrap().test_groups {
            let Some(hash) = hash(group.hash) else { continue };
            let key = Key::RsaPublic(RsaPublicKey::from_der(&group.der).unwrap());
            for test in group.tests {
                let passed = key.verify(&SignatureScheme::RsaPkcs1 { hash }, Message::Data(&test.msg), &test.sig).unwrap();
                tally.record(name, test.tc_id, test.result, passed);
            }
        }
    }
    tally.assert(2000);
}

#[test]
fn rsa_pss_verify() {
    let mut tally = Tally::default();
    for name in rsa_pss_verify::TestName::all() {
        for group in rsa_pss_verify::TestSet::load(name).unwrap().test_groups {
            let (Some(hash), Some(mgf1)) = (hash(group.hash), group.mgf_hash.and_then(hash)) else { continue };
            // The sets "with parameters" wrap the key in an RSASSA-PSS SPKI, so the plain PKCS#1 form is taken everywhere.
            let key = Key::RsaPublic(RsaPublicKey::from_der(&group.asn_key).unwrap());
            for test in group.tests {
                let scheme = SignatureScheme::RsaPss { hash, mgf1, salt_len: group.salt_size };
                let passed = key.verify(&scheme, Message::Data(&test.msg), &test.sig).unwrap();
                tally.record(name, test.tc_id, test.result, passed);
            }
        }
    }
    tally.assert(1000);
}

#[test]
fn rsa_oaep_decrypt() {
    let mut tally = Tally::default();
    for name in rsa_oaep::TestName::all() {
        for group in rsa_oaep::TestSet::load(name).unwrap().test_groups {
            let (Some(hash), Some(mgf1)) = (hash(group.hash), hash(group.mgf_hash)) else { continue };
            let key = Key::Rsa(RsaPrivateKey::from_der(&group.pkcs8).unwrap());
            for test in group.tests {
                let params = CipherParams::RsaOaep { hash, mgf1, label: &test.label };
                let decrypted = decrypt(&key, &params, &test.ct, &[]);
                tally.record(name, test.tc_id, test.result, decrypted.is_ok_and(|plain| plain == *test.pt));
            }
        }
    }
    tally.assert(400);
}

#[test]
fn rsa_pkcs1_decrypt() {
    let mut tally = Tally::default();
    for name in rsa_pkcs1_decrypt::TestName::all() {
        for group in rsa_pkcs1_decrypt::TestSet::load(name).unwrap().test_groups {
            let key = Key::Rsa(RsaPrivateKey::from_der(&group.pkcs8).unwrap());
            for test in group.tests {
                let decrypted = decrypt(&key, &CipherParams::RsaPkcs1, &test.ct, &[]);
                // One error for everything that an attacker can bring about with a ciphertext of the right length.
                if test.ct.len() == group.key_size / 8 && decrypted.is_err() {
                    assert_eq!(decrypted, Err(Error::Authentication), "{name:?} {}", test.tc_id);
                }
                tally.record(name, test.tc_id, test.result, decrypted.is_ok_and(|plain| plain == *test.pt));
            }
        }
    }
    tally.assert(150);
}
