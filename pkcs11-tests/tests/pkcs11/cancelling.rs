//! Trap 7: NULL as mechanism and C_SessionCancel end operations.

use std::ptr::null_mut;

use cryptoki_sys::*;

use crate::keys::shared;
use crate::module::{Mechanism, bytes, call, gcm};

#[test]
fn trap_7_cancelling() {
    let bench = shared();
    let rsa = bench.rsa();
    let (module, session, [private, aes]) = bench.use_keys([&rsa, &bench.aes()]);
    let public = module.object(session, CKO_PUBLIC_KEY, &rsa.label);
    let sha256 = Mechanism::Plain(CKM_SHA256_RSA_PKCS);
    let start = || {
        gcm().with(|m| assert_eq!(call!(module, C_EncryptInit(session, m, aes)), CKR_OK));
        gcm().with(|m| assert_eq!(call!(module, C_DecryptInit(session, m, aes)), CKR_OK));
        sha256.with(|m| assert_eq!(call!(module, C_SignInit(session, m, private)), CKR_OK));
        sha256.with(|m| assert_eq!(call!(module, C_VerifyInit(session, m, public)), CKR_OK));
        Mechanism::Plain(CKM_SHA256).with(|m| assert_eq!(call!(module, C_DigestInit(session, m)), CKR_OK));
        assert_eq!(call!(module, C_FindObjectsInit(session, null_mut(), 0)), CKR_OK);
    };
    let active = || {
        let (part, mut out, mut len) = (bytes(b"part"), [0; 64], 64);
        let (out, mut object) = (out.as_mut_ptr(), 0);
        [
            call!(module, C_EncryptUpdate(session, part, 4, out, &raw mut len)),
            call!(module, C_DecryptUpdate(session, part, 4, out, &raw mut len)),
            call!(module, C_SignUpdate(session, part, 4)),
            call!(module, C_VerifyUpdate(session, part, 4)),
            call!(module, C_DigestUpdate(session, part, 4)),
            call!(module, C_FindObjects(session, &raw mut object, 1, &raw mut len)),
        ]
    };
    let (yes, no) = (CKR_OK, CKR_OPERATION_NOT_INITIALIZED);

    start();
    assert_eq!(call!(module, C_SessionCancel(session, 0)), CKR_OK);
    assert_eq!(active(), [yes; 6]);
    assert_eq!(call!(module, C_SessionCancel(session, CKF_SIGN | CKF_DECRYPT | CKF_MESSAGE_SIGN)), CKR_OK);
    assert_eq!(active(), [yes, no, no, yes, yes, yes]);
    let all = CKF_ENCRYPT | CKF_DECRYPT | CKF_SIGN | CKF_VERIFY | CKF_DIGEST | CKF_FIND_OBJECTS;
    for _ in 0..2 {
        assert_eq!(call!(module, C_SessionCancel(session, all)), CKR_OK);
        assert_eq!(active(), [no; 6]);
    }
    assert_eq!(call!(module, C_SessionCancel(0, all)), CKR_SESSION_HANDLE_INVALID);

    start();
    assert_eq!(call!(module, C_FindObjectsFinal(session)), CKR_OK);
    for code in [
        call!(module, C_EncryptInit(session, null_mut(), 0)),
        call!(module, C_DecryptInit(session, null_mut(), 0)),
        call!(module, C_SignInit(session, null_mut(), 0)),
        call!(module, C_VerifyInit(session, null_mut(), 0)),
        call!(module, C_DigestInit(session, null_mut())),
    ] {
        assert_eq!(code, CKR_OK);
    }
    assert_eq!(active(), [no; 6]);
    start();
}
