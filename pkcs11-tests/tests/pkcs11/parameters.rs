//! Parameters of mechanisms that cannot be: of every length, at odd addresses, with pointers to nothing.

use std::ptr::null_mut;

use cryptoki_sys::*;

use crate::keys::shared;
use crate::module::call;
use crate::session_objects::secret;

/// Parameters of every length that a structure does not have, at odd addresses, with pointers that are NULL and lengths that cannot be.
#[test]
fn bad_parameters_are_refused_for_every_mechanism() {
    let bench = shared();
    let module = bench.another();
    let session = module.logged_in();
    let keys = [
        secret(&module, session, CKK_AES, &[1; 16]).expect("a session key"),
        secret(&module, session, CKK_GENERIC_SECRET, &[2; 32]).expect("a session key"),
        secret(&module, session, CKK_CHACHA20, &[3; 32]).expect("a session key"),
        secret(&module, session, CKK_DES3, b"a triple DES key 24 long").expect("a session key"),
    ];
    let mut count = 0;
    assert_eq!(call!(module, C_GetMechanismList(0, null_mut(), &raw mut count)), CKR_OK);
    let mut kinds = vec![0; count as usize];
    assert_eq!(call!(module, C_GetMechanismList(0, kinds.as_mut_ptr(), &raw mut count)), CKR_OK);
    // Zeros are NULL pointers with lengths of 0; ones are pointers to nowhere with lengths that no memory has.
    let mut memory = [[0_u8; 129], [0xff; 129]];
    for kind in kinds {
        for fill in &mut memory {
            for len in (0..=64).chain([CK_UNAVAILABLE_INFORMATION]) {
                for key in keys {
                    // One byte off, so that nothing in it is aligned.
                    let parameter = fill[1..].as_mut_ptr().cast();
                    let mut mechanism = CK_MECHANISM { mechanism: kind, pParameter: parameter, ulParameterLen: len };
                    for null in [false, true] {
                        if null {
                            mechanism.pParameter = null_mut();
                        }
                        let m = &raw mut mechanism;
                        let (mut template, mut made) = ([], 0);
                        for code in [
                            call!(module, C_EncryptInit(session, m, key)),
                            call!(module, C_DecryptInit(session, m, key)),
                            call!(module, C_SignInit(session, m, key)),
                            call!(module, C_VerifyInit(session, m, key)),
                            call!(module, C_DigestInit(session, m)),
                            call!(module, C_DeriveKey(session, m, key, template.as_mut_ptr(), 0, &raw mut made)),
                        ] {
                            assert!(
                                matches!(
                                    code,
                                    CKR_OK
                                        | CKR_MECHANISM_PARAM_INVALID
                                        | CKR_MECHANISM_INVALID
                                        | CKR_KEY_TYPE_INCONSISTENT
                                        | CKR_ARGUMENTS_BAD
                                        | CKR_TEMPLATE_INCOMPLETE
                                ),
                                "{kind:#x}, {len}: {code:#x}"
                            );
                        }
                        let all = CKF_ENCRYPT | CKF_DECRYPT | CKF_SIGN | CKF_VERIFY | CKF_DIGEST;
                        assert_eq!(call!(module, C_SessionCancel(session, all)), CKR_OK);
                    }
                }
            }
        }
    }
}
