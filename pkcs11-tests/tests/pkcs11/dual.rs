//! Two operations at once, digests of keys, and digests that are put aside and taken up again.

use cryptoki_sys::*;

use crate::keys::shared;
use crate::module::{Mechanism, Module, bytes, call, output};
use crate::session_objects::{FALSE, TRUE, create, secret};

const DATA: &[u8] = b"some data of more than two blocks of sixteen bytes each";

fn digest_final(module: &Module, session: CK_SESSION_HANDLE) -> Vec<u8> {
    output(|out, len| call!(module, C_DigestFinal(session, out, len))).expect("a digest")
}

fn digest_of(module: &Module, session: CK_SESSION_HANDLE, data: &[u8]) -> Vec<u8> {
    Mechanism::Plain(CKM_SHA256).with(|m| assert_eq!(call!(module, C_DigestInit(session, m)), CKR_OK));
    output(|out, len| call!(module, C_Digest(session, bytes(data), data.len() as CK_ULONG, out, len))).expect("a digest")
}

#[test]
fn what_is_encrypted_is_digested_or_signed_and_back() {
    let module = shared().another();
    let session = module.logged_in();
    let key = secret(&module, session, CKK_AES, &[1; 16]).expect("a session key");
    let mac_key = secret(&module, session, CKK_GENERIC_SECRET, &[2; 16]).expect("a session key");
    let expected = digest_of(&module, session, DATA);
    let cipher = Mechanism::Ctr([3; 16]);
    let whole = module.encrypt(session, &cipher, key, DATA).expect("it encrypts");
    let sha256 = Mechanism::Plain(CKM_SHA256);
    let hmac = Mechanism::Plain(CKM_SHA256_HMAC);
    let code = module.sign(session, &hmac, mac_key, DATA).expect("a code");

    // In place: the plaintext is seen before it is overwritten.
    sha256.with(|m| assert_eq!(call!(module, C_DigestInit(session, m)), CKR_OK));
    cipher.with(|m| assert_eq!(call!(module, C_EncryptInit(session, m, key)), CKR_OK));
    hmac.with(|m| assert_eq!(call!(module, C_SignInit(session, m, mac_key)), CKR_OK));
    let mut memory = DATA.to_vec();
    let (first, second) = memory.split_at_mut(20);
    for (part, sign) in [(first, false), (second, true)] {
        let (place, mut len) = (part.as_mut_ptr(), part.len() as CK_ULONG - 1);
        let function = |len: *mut CK_ULONG, given: CK_ULONG| match sign {
            false => call!(module, C_DigestEncryptUpdate(session, place, given, place, len)),
            true => call!(module, C_SignEncryptUpdate(session, place, given, place, len)),
        };
        let given = part.len() as CK_ULONG;
        assert_eq!(function(&raw mut len, given), CKR_BUFFER_TOO_SMALL);
        assert_eq!(len, given);
        assert_eq!(function(&raw mut len, given), CKR_OK);
    }
    assert_eq!(memory, whole);
    assert_eq!(digest_final(&module, session), digest_of(&module, session, &DATA[..20]));
    let signed = output(|out, len| call!(module, C_SignFinal(session, out, len))).expect("a code");
    assert_eq!(signed, module.sign(session, &hmac, mac_key, &DATA[20..]).expect("a code"));
    let mut rest = 0;
    assert_eq!(call!(module, C_EncryptFinal(session, memory.as_mut_ptr(), &raw mut rest)), CKR_OK);

    for verify in [false, true] {
        let mut plain = vec![0_u8; whole.len()];
        let mut len = whole.len() as CK_ULONG;
        cipher.with(|m| assert_eq!(call!(module, C_DecryptInit(session, m, key)), CKR_OK));
        if verify {
            hmac.with(|m| assert_eq!(call!(module, C_VerifyInit(session, m, mac_key)), CKR_OK));
            let code = call!(module, C_DecryptVerifyUpdate(session, bytes(&whole), len, plain.as_mut_ptr(), &raw mut len));
            assert_eq!(code, CKR_OK);
        } else {
            sha256.with(|m| assert_eq!(call!(module, C_DigestInit(session, m)), CKR_OK));
            let code = call!(module, C_DecryptDigestUpdate(session, bytes(&whole), len, plain.as_mut_ptr(), &raw mut len));
            assert_eq!(code, CKR_OK);
        }
        assert_eq!(plain, DATA);
        if verify {
            assert_eq!(call!(module, C_VerifyFinal(session, bytes(&code), code.len() as CK_ULONG)), CKR_OK);
        } else {
            assert_eq!(digest_final(&module, session), expected);
        }
        assert_eq!(call!(module, C_DecryptFinal(session, plain.as_mut_ptr(), &raw mut rest)), CKR_OK);
    }
    let (place, mut len) = (memory.as_mut_ptr(), 5);
    assert_eq!(call!(module, C_DigestEncryptUpdate(session, place, 5, place, &raw mut len)), CKR_OPERATION_NOT_INITIALIZED);
}

/// What OpenSSL's pkcs11-provider does to copy a digest.
#[test]
fn a_digest_goes_on_in_another_session() {
    let module = shared().another();
    let (session, other) = (module.logged_in(), module.open(CKF_SERIAL_SESSION));
    for (kind, len) in [(CKM_SHA_1, 20), (CKM_SHA224, 28), (CKM_SHA256, 32), (CKM_SHA384, 48), (CKM_SHA512, 64)] {
        Mechanism::Plain(kind).with(|m| assert_eq!(call!(module, C_DigestInit(session, m)), CKR_OK));
        assert_eq!(call!(module, C_DigestUpdate(session, bytes(DATA), 40)), CKR_OK);
        let mut state = output(|out, len| call!(module, C_GetOperationState(session, out, len))).expect("a state");
        let set = |state: &mut [u8]| call!(module, C_SetOperationState(other, state.as_mut_ptr(), state.len() as CK_ULONG, 0, 0));
        assert_eq!(set(&mut state), CKR_OK);
        for session in [session, other] {
            assert_eq!(call!(module, C_DigestUpdate(session, bytes(&DATA[40..]), DATA.len() as CK_ULONG - 40)), CKR_OK);
        }
        let (ours, theirs) = (digest_final(&module, session), digest_final(&module, other));
        assert_eq!((ours.len(), &ours), (len, &theirs));
        // A state that was damaged is refused, or is another state; it harms nobody.
        for index in 0..state.len() {
            let mut damaged = state.clone();
            damaged[index] ^= 0xff;
            let code = set(&mut damaged);
            assert!(matches!(code, CKR_OK | CKR_SAVED_STATE_INVALID), "{index}: {code:#x}");
            if code == CKR_OK {
                let _digest = digest_final(&module, other);
            }
        }
        let end = state.len() - 1;
        assert_eq!(set(&mut state[..end]), CKR_SAVED_STATE_INVALID);
    }
    let mut len = 0;
    assert_eq!(call!(module, C_GetOperationState(session, std::ptr::null_mut(), &raw mut len)), CKR_OPERATION_NOT_INITIALIZED);
    Mechanism::Plain(CKM_SHA3_256).with(|m| assert_eq!(call!(module, C_DigestInit(session, m)), CKR_OK));
    assert_eq!(call!(module, C_GetOperationState(session, std::ptr::null_mut(), &raw mut len)), CKR_STATE_UNSAVEABLE);
}

#[test]
fn the_digest_of_a_session_key() {
    let bench = shared();
    let (module, session, token) = bench.use_key(&bench.aes());
    let key = secret(&module, session, CKK_GENERIC_SECRET, b"some data").expect("a session key");
    Mechanism::Plain(CKM_SHA256).with(|m| assert_eq!(call!(module, C_DigestInit(session, m)), CKR_OK));
    assert_eq!(call!(module, C_DigestKey(session, key)), CKR_OK);
    assert_eq!(digest_final(&module, session), digest_of(&module, session, b"some data"));
    Mechanism::Plain(CKM_SHA256).with(|m| assert_eq!(call!(module, C_DigestInit(session, m)), CKR_OK));
    assert_eq!(call!(module, C_DigestKey(session, token)), CKR_KEY_INDIGESTIBLE);
}

/// The state of a digest is its last bytes as they are, and the digest of a short key can be guessed.
#[test]
fn a_digest_tells_no_key() {
    let module = shared().another();
    let session = module.logged_in();
    let (class, kind) = (CKO_SECRET_KEY.to_ne_bytes(), CKK_GENERIC_SECRET.to_ne_bytes());
    let sha256 = || Mechanism::Plain(CKM_SHA256).with(|m| assert_eq!(call!(module, C_DigestInit(session, m)), CKR_OK));
    let key = |attribute, value: &[u8]| {
        create(&module, session, &[(CKA_CLASS, &class), (CKA_KEY_TYPE, &kind), (CKA_VALUE, b"a short secret"), (attribute, value)])
            .expect("a session key")
    };
    for hidden in [key(CKA_SENSITIVE, TRUE), key(CKA_EXTRACTABLE, FALSE)] {
        sha256();
        assert_eq!(call!(module, C_DigestKey(session, hidden)), CKR_KEY_INDIGESTIBLE);
        assert_eq!(call!(module, C_DigestUpdate(session, bytes(DATA), 1)), CKR_OPERATION_NOT_INITIALIZED, "the error ended it");
    }
    let state = || output(|out, len| call!(module, C_GetOperationState(session, out, len)));
    let readable = key(CKA_PRIVATE, TRUE);
    sha256();
    assert_eq!(call!(module, C_DigestKey(session, readable)), CKR_OK);
    assert_eq!(state(), Err(CKR_STATE_UNSAVEABLE));
    assert_eq!(call!(module, C_DigestUpdate(session, bytes(DATA), 1)), CKR_OK, "the digest goes on");
    assert_eq!(state(), Err(CKR_STATE_UNSAVEABLE));
    // Trap 20: what holds a private object ends with the login.
    assert_eq!(call!(module, C_Logout(session)), CKR_OK);
    assert_eq!(call!(module, C_DigestUpdate(session, bytes(DATA), 1)), CKR_OPERATION_NOT_INITIALIZED);
    sha256();
    assert_eq!(call!(module, C_DigestUpdate(session, bytes(DATA), 1)), CKR_OK);
    let mut state = state().expect("a state");
    let len = state.len() as CK_ULONG;
    for keys in [(1, 0), (0, 1)] {
        assert_eq!(call!(module, C_SetOperationState(session, state.as_mut_ptr(), len, keys.0, keys.1)), CKR_KEY_NOT_NEEDED);
    }
}
