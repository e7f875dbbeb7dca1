//! Operations with keys that stay in DSM: what comes back goes into a caller's buffer only where it can be what was asked for.

use cryptoki_sys::*;
use serde_json::json;

use super::{Court, bytes_of, nobody, remove, set};
use crate::in_dsm::{AES, SECRET_KEY, template, unwrap, wrap};
use crate::module::{Mechanism, bytes, call, gcm};
use crate::session_objects::secret;

#[test]
fn of_encryptions() {
    let court = Court::open();
    let key = court.bench.import("AES", &[9; 32], &["ENCRYPT", "DECRYPT"], false);
    let (module, session, object) = court.bench.use_key(&key);
    let honest = module.encrypt(session, &gcm(), object, b"twenty bytes of text").expect("it encrypts");
    court.catches_each(
        "POST /crypto/v1/encrypt",
        [
            set("/iv", bytes_of(12), "`iv` is another"),
            set("/iv", bytes_of(0), "`iv` is another"),
            set("/tag", bytes_of(15), "`tag` has a length"),
            set("/tag", bytes_of(17), "`tag` has a length"),
            remove("/tag", "`tag` has a length"),
            set("/cipher", bytes_of(19), "`cipher` has a length"),
            set("/cipher", bytes_of(21), "`cipher` has a length"),
            set("/cipher", bytes_of(100_000), "`cipher` has a length"),
            set("/cipher", bytes_of(0), "`cipher` has a length"),
            remove("/cipher", "`cipher` is missing"),
            set("/cipher", json!("no base64!"), "`cipher` is not what was expected"),
            set("/cipher", json!([1, 2, 3]), "`cipher` is not what was expected"),
            set("/kid", nobody(), "`kid` is another"),
            set("/kid", json!("no UUID"), "`kid` is not what was expected"),
        ],
        || {
            let encrypted = module.encrypt(session, &gcm(), object, b"twenty bytes of text")?;
            assert_eq!(encrypted, honest);
            Ok(())
        },
    );
    let decrypt = |mechanism: &Mechanism, cipher: &[u8]| {
        let plain = module.decrypt(session, mechanism, object, cipher)?;
        assert_eq!(plain, b"twenty bytes of text");
        Ok(())
    };
    court.catches_each(
        "POST /crypto/v1/decrypt",
        [
            set("/plain", bytes_of(19), "`plain` has a length"),
            set("/plain", bytes_of(21), "`plain` has a length"),
            set("/plain", bytes_of(1 << 20), "`plain` has a length"),
            remove("/plain", "`plain` is missing"),
            set("/kid", nobody(), "`kid` is another"),
        ],
        || decrypt(&gcm(), &honest),
    );
    // Padding hides the length, though not by more than a block.
    let cbc = Mechanism::With(CKM_AES_CBC_PAD, vec![3; 16]);
    let padded = module.encrypt(session, &cbc, object, b"twenty bytes of text").expect("it encrypts");
    court.catches_each(
        "POST /crypto/v1/decrypt",
        [
            set("/plain", bytes_of(15), "`plain` has a length"),
            set("/plain", bytes_of(32), "`plain` has a length"),
            set("/plain", bytes_of(33), "`plain` has a length"),
        ],
        || decrypt(&cbc, &padded),
    );
    court.keeps_secret(&["twenty bytes of text", "dHdlbnR5IGJ5dGVz"]);
}

/// Neither a byte more than the caller has room for, nor a length that is not true.
#[test]
fn a_callers_buffer_stays_as_it_is() {
    let court = Court::open();
    let key = court.bench.import("AES", &[9; 32], &["ENCRYPT", "DECRYPT"], false);
    let (module, session, object) = court.bench.use_key(&key);
    for len in [0, 1, 15, 17, 4096] {
        let mut out = [0xee_u8; 64];
        let mut out_len = 16;
        court.liar.lie("POST /crypto/v1/encrypt", move |answer| answer.set("/cipher", bytes_of(len)));
        let ecb = Mechanism::Plain(CKM_AES_ECB);
        assert_eq!(ecb.with(|m| call!(module, C_EncryptInit(session, m, object))), CKR_OK);
        let code = call!(module, C_Encrypt(session, bytes(&[1; 16]), 16, out.as_mut_ptr(), &raw mut out_len));
        assert_eq!((code, out), (CKR_DEVICE_ERROR, [0xee; 64]), "{len} bytes");
        // It is over, so that nobody takes up what is left of it.
        let code = call!(module, C_Encrypt(session, bytes(&[1; 16]), 16, out.as_mut_ptr(), &raw mut out_len));
        assert_eq!(code, CKR_OPERATION_NOT_INITIALIZED);
    }
}

#[test]
fn of_signatures() {
    let court = Court::open();
    let rsa = court.bench.rsa_with(&["SIGN", "VERIFY"]);
    let curve = |name| court.bench.key(json!({"obj_type": "EC", "elliptic_curve": name, "key_ops": ["SIGN", "VERIFY"]}));
    let (ec, ed) = (curve("NistP256"), curve("Ed25519"));
    let lattice = court.bench.key(json!({"obj_type": "MLDSA", "mldsa": {"param_set": "MlDsa44"}, "key_ops": ["SIGN", "VERIFY"]}));
    let (module, session, keys) = court.bench.use_keys([&rsa, &ec, &ed, &lattice]);
    let fixed = |len: usize| {
        [0, len - 1, len + 1, 100_000]
            .map(|len| set("/signature", bytes_of(len), "`signature` has a length"))
            .into_iter()
            .chain([remove("/signature", "`signature` is missing"), set("/kid", nobody(), "`kid` is another")])
    };
    for (kind, key, len) in [(CKM_SHA256_RSA_PKCS, keys[0], 256), (CKM_EDDSA, keys[2], 64), (CKM_ML_DSA, keys[3], 2420)] {
        court.catches_each("POST /crypto/v1/sign", fixed(len), || {
            assert_eq!(module.sign(session, &Mechanism::Plain(kind), key, b"data")?.len(), len);
            Ok(())
        });
    }
    // r and s, in DER from DSM: none, no sequence, and numbers of another curve.
    let long =
        json!(base64_simd::STANDARD.encode_to_string([&[0x30, 0x66][..], &[&[2, 49, 0][..], &[0xff; 48]].concat().repeat(2)].concat()));
    court.catches_each(
        "POST /crypto/v1/sign",
        [
            set("/signature", bytes_of(0), "`signature` is no ECDSA signature"),
            set("/signature", bytes_of(64), "`signature` is no ECDSA signature"),
            set("/signature", long, "`signature` is no ECDSA signature"),
        ],
        || {
            assert_eq!(module.sign(session, &Mechanism::Plain(CKM_ECDSA_SHA256), keys[1], b"data")?.len(), 64);
            Ok(())
        },
    );
}

#[test]
fn of_authentication_codes() {
    let court = Court::open();
    let hmac = court.bench.import("HMAC", &[7; 32], &["MACGENERATE", "MACVERIFY"], false);
    let (module, session, key) = court.bench.use_key(&hmac);
    let mechanism = Mechanism::Plain(CKM_SHA256_HMAC);
    let honest = module.sign(session, &mechanism, key, b"data").expect("a code");
    court.catches_each(
        "POST /crypto/v1/mac",
        [0, 1, 31, 33, 64, 4096]
            .map(|len| set("/mac", bytes_of(len), "`mac` has a length"))
            .into_iter()
            .chain([remove("/mac", "`mac` is missing"), set("/kid", nobody(), "`kid` is another")]),
        || {
            assert_eq!(module.sign(session, &mechanism, key, b"data")?, honest);
            Ok(())
        },
    );
    court.catches_each(
        "POST /crypto/v1/macverify",
        [
            set("/kid", nobody(), "`kid` is another"),
            set("/result", json!("true"), "`result` is not what was expected"),
            remove("/result", "`result` is missing"),
        ],
        || match module.verify(session, &mechanism, key, b"data", &honest) {
            CKR_OK => Ok(()),
            code => Err(code),
        },
    );
}

#[test]
fn of_wrapped_keys() {
    let court = Court::open_with("allow_plaintext = true\n");
    let remote = court.bench.import("AES", &[9; 32], &["WRAPKEY", "UNWRAPKEY"], false);
    let (module, session, by) = court.bench.use_key(&remote);
    let subject = secret(&module, session, CKK_AES, &[7; 32]).expect("a session key");
    let gcm = Mechanism::Gcm { iv: vec![9; 12], aad: Vec::new(), tag_bits: 128 };
    let honest = wrap(&module, session, &gcm, by, subject).expect("DSM wraps");
    court.catches_each(
        "POST /crypto/v1/wrapkey",
        [
            set("/iv", bytes_of(12), "`iv` is another"),
            set("/wrapped_key", bytes_of(31), "`wrapped_key` has a length"),
            set("/wrapped_key", bytes_of(33), "`wrapped_key` has a length"),
            set("/wrapped_key", bytes_of(0), "`wrapped_key` has a length"),
            remove("/wrapped_key", "`wrapped_key` is missing"),
            set("/tag", bytes_of(8), "`tag` has a length"),
        ],
        || {
            assert_eq!(wrap(&module, session, &gcm, by, subject)?, honest);
            Ok(())
        },
    );
    let template = template(SECRET_KEY, AES, None, false);
    let unwrap = || {
        let key = unwrap(&module, session, &gcm, by, &honest, &template)?;
        assert_eq!(module.attribute(session, key, CKA_VALUE), Ok(vec![7; 32]));
        Ok(())
    };
    // 24 bytes are an AES key too, though not the one that was wrapped.
    court.catches_each(
        "POST /crypto/v1/keys/export",
        [
            set("/value", bytes_of(24), "`value` has a length"),
            set("/value", bytes_of(0), "`value` has a length"),
            set("/value", bytes_of(4096), "`value` has a length"),
            remove("/value", "`value` is missing"),
        ],
        unwrap,
    );
}
