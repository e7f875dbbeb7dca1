//! Messages: many under one key, in one call and in parts, with IVs of the caller and of the token; and signatures of messages.

use std::collections::HashSet;
use std::path::Path;
use std::ptr::null_mut;

use cryptoki_sys::*;
use serde_json::json;

use crate::isolated::{isolated, variable};
use crate::keys::shared;
use crate::module::{Mechanism, Module, bytes, call, output};
use crate::processes::fork;
use crate::session_objects::secret;

const DATA: &[u8] = b"a message of some forty bytes and two more";
const AAD: &[u8] = b"associated";

fn init(module: &Module, session: CK_SESSION_HANDLE, kind: CK_MECHANISM_TYPE, key: CK_OBJECT_HANDLE) {
    Mechanism::Plain(kind).with(|m| {
        assert_eq!(call!(module, C_MessageEncryptInit(session, m, key)), CKR_OK);
        assert_eq!(call!(module, C_MessageDecryptInit(session, m, key)), CKR_OK);
    });
}

fn gcm(iv: &mut [u8], tag: &mut [u8], generator: CK_GENERATOR_FUNCTION, fixed: CK_ULONG) -> CK_GCM_MESSAGE_PARAMS {
    CK_GCM_MESSAGE_PARAMS {
        pIv: iv.as_mut_ptr(),
        ulIvLen: iv.len() as CK_ULONG,
        ulIvFixedBits: fixed,
        ivGenerator: generator,
        pTag: tag.as_mut_ptr(),
        ulTagBits: 8 * tag.len() as CK_ULONG,
    }
}

/// A message in one call is what the ordinary functions make of it, tag apart.
#[test]
fn gcm_messages_here_and_in_dsm() {
    let bench = shared();
    let remote = bench.key(json!({"obj_type": "AES", "key_size": 256, "key_ops": ["ENCRYPT", "DECRYPT"]}));
    let (module, session, keys) = bench.use_keys([&bench.aes(), &remote]);
    for key in keys {
        init(&module, session, CKM_AES_GCM, key);
        for round in 0..3_u8 {
            let (mut iv, mut tag) = ([round; 12], [0; 16]);
            let ordinary = Mechanism::Gcm { iv: iv.to_vec(), aad: AAD.to_vec(), tag_bits: 128 };
            let expected = module.encrypt(session, &ordinary, key, DATA).expect("it encrypts");
            let mut params = gcm(&mut iv, &mut tag, CKG_NO_GENERATE, 0);
            let (param, size, aad_len) = ((&raw mut params).cast(), size_of_val(&params) as CK_ULONG, AAD.len() as CK_ULONG);
            let len = DATA.len() as CK_ULONG;
            let encrypted = output(|out, out_len| {
                call!(module, C_EncryptMessage(session, param, size, bytes(AAD), aad_len, bytes(DATA), len, out, out_len))
            });
            let encrypted = encrypted.expect("it encrypts");
            assert_eq!([&encrypted[..], &tag].concat(), expected);
            let decrypt = || {
                output(|out, out_len| {
                    call!(module, C_DecryptMessage(session, param, size, bytes(AAD), aad_len, bytes(&encrypted), len, out, out_len))
                })
            };
            assert_eq!(decrypt().as_deref(), Ok(DATA));
            // Through the parameter, as the library sees it.
            let spoil = || {
                // SAFETY: the tag's memory lives, and nobody else uses it now.
                unsafe { *params.pTag.add(3) ^= 1 }
            };
            spoil();
            assert_eq!(decrypt(), Err(CKR_AEAD_DECRYPT_FAILED));
            // The operation goes on after a message that failed.
            spoil();
            assert_eq!(decrypt().as_deref(), Ok(DATA));
        }
        assert_eq!(call!(module, C_MessageEncryptFinal(session)), CKR_OK);
        assert_eq!(call!(module, C_MessageEncryptFinal(session)), CKR_OPERATION_NOT_INITIALIZED);
        assert_eq!(call!(module, C_MessageDecryptInit(session, null_mut(), 0)), CKR_OK);
        assert_eq!(call!(module, C_MessageDecryptFinal(session)), CKR_OPERATION_NOT_INITIALIZED);
    }
}

#[test]
fn messages_in_parts() {
    let module = shared().another();
    let session = module.logged_in();
    for (kind, key_type) in [(CKM_AES_GCM, CKK_AES), (CKM_CHACHA20_POLY1305, CKK_CHACHA20), (CKM_AES_CCM, CKK_AES)] {
        let key = secret(&module, session, key_type, &[6; 32]).expect("a session key");
        init(&module, session, kind, key);
        let (mut iv, mut tag) = ([4; 12], [0; 16]);
        let mut gcm = gcm(&mut iv, &mut tag, CKG_NO_GENERATE, 0);
        let (nonce, place) = (gcm.pIv, gcm.pTag);
        let mut chacha = CK_SALSA20_CHACHA20_POLY1305_MSG_PARAMS { pNonce: nonce, ulNonceLen: 12, pTag: place };
        let mut ccm = CK_CCM_MESSAGE_PARAMS {
            ulDataLen: DATA.len() as CK_ULONG,
            pNonce: nonce,
            ulNonceLen: 12,
            ulNonceFixedBits: 0,
            nonceGenerator: CKG_NO_GENERATE,
            pMAC: place,
            ulMACLen: 16,
        };
        let (param, size) = match kind {
            CKM_AES_GCM => ((&raw mut gcm).cast(), size_of_val(&gcm)),
            CKM_AES_CCM => ((&raw mut ccm).cast(), size_of_val(&ccm)),
            _ => ((&raw mut chacha).cast(), size_of_val(&chacha)),
        };
        let (size, aad_len) = (size as CK_ULONG, AAD.len() as CK_ULONG);
        let run = |decrypting: bool, data: &[u8]| {
            let begun = match decrypting {
                true => call!(module, C_DecryptMessageBegin(session, param, size, bytes(AAD), aad_len)),
                false => call!(module, C_EncryptMessageBegin(session, param, size, bytes(AAD), aad_len)),
            };
            assert_eq!(begun, CKR_OK);
            let mut whole = Vec::new();
            let parts: Vec<&[u8]> = data.chunks(17).collect();
            for (index, part) in parts.iter().enumerate() {
                let flags = if index + 1 == parts.len() { CKF_END_OF_MESSAGE } else { 0 };
                let (mut out, mut len) = ([0_u8; 64], 64);
                let (data, data_len) = (bytes(part), part.len() as CK_ULONG);
                let code = match decrypting {
                    true => {
                        call!(module, C_DecryptMessageNext(session, param, size, data, data_len, out.as_mut_ptr(), &raw mut len, flags))
                    }
                    false => {
                        call!(module, C_EncryptMessageNext(session, param, size, data, data_len, out.as_mut_ptr(), &raw mut len, flags))
                    }
                };
                crate::module::ok(code)?;
                whole.extend(&out[..len as usize]);
            }
            Ok(whole)
        };
        let encrypted = run(false, DATA).expect("it encrypts");
        assert_eq!(encrypted.len(), DATA.len());
        assert_eq!(run(true, &encrypted).as_deref(), Ok(DATA), "{kind:#x}");
        let ordinary = match kind {
            CKM_AES_GCM => Mechanism::Gcm { iv: vec![4; 12], aad: AAD.to_vec(), tag_bits: 128 },
            CKM_AES_CCM => Mechanism::Ccm { nonce: vec![4; 12], aad: AAD.to_vec(), data_len: DATA.len() as CK_ULONG },
            _ => Mechanism::ChaCha20 { nonce: vec![4; 12], aad: AAD.to_vec() },
        };
        let tagged = module.encrypt(session, &ordinary, key, DATA).expect("it encrypts");
        // SAFETY: the tag's memory lives, and the library has written it.
        let made = unsafe { std::slice::from_raw_parts(place, 16) };
        assert_eq!([&encrypted[..], made].concat(), tagged, "{kind:#x}");
        let mut wrong = encrypted.clone();
        wrong[0] ^= 1;
        assert_eq!(run(true, &wrong), Err(CKR_AEAD_DECRYPT_FAILED), "{kind:#x}");
        assert_eq!(run(true, &encrypted).as_deref(), Ok(DATA), "the next message may follow");
        assert_eq!(call!(module, C_MessageEncryptFinal(session)), CKR_OK);
        assert_eq!(call!(module, C_MessageDecryptFinal(session)), CKR_OK);
    }
}

/// The caller who keeps one structure finds the last IV in it, where two counters would cancel each other out.
#[test]
fn ivs_do_not_repeat_where_the_structure_is_kept() {
    let module = shared().another();
    let session = module.logged_in();
    let key = secret(&module, session, CKK_AES, &[6; 32]).expect("a session key");
    for generator in [CKG_GENERATE, CKG_GENERATE_COUNTER, CKG_GENERATE_COUNTER_XOR] {
        let mut seen = HashSet::new();
        let (mut iv, mut tag, mut out) = ([0xab; 12], [0; 16], [0; 64]);
        let mut params = gcm(&mut iv, &mut tag, generator, 0);
        init(&module, session, CKM_AES_GCM, key);
        for _ in 0..20 {
            let mut len = 64;
            let (param, size) = ((&raw mut params).cast(), size_of_val(&params) as CK_ULONG);
            let (data, data_len) = (bytes(DATA), DATA.len() as CK_ULONG);
            let code = call!(module, C_EncryptMessage(session, param, size, null_mut(), 0, data, data_len, out.as_mut_ptr(), &raw mut len));
            assert_eq!(code, CKR_OK);
            assert!(seen.insert(iv), "{generator}: {iv:x?}");
        }
        assert_eq!(call!(module, C_SessionCancel(session, CKF_MESSAGE_ENCRYPT | CKF_MESSAGE_DECRYPT)), CKR_OK);
    }
}

#[test]
fn the_token_makes_ivs_that_do_not_repeat() {
    let module = shared().another();
    let session = module.logged_in();
    let key = secret(&module, session, CKK_AES, &[6; 32]).expect("a session key");
    let mut seen = HashSet::new();
    for (generator, fixed) in
        [(CKG_GENERATE, 0), (CKG_GENERATE_RANDOM, 0), (CKG_GENERATE_COUNTER, 32), (CKG_GENERATE_COUNTER, 0), (CKG_GENERATE_COUNTER_XOR, 32)]
    {
        for _ in 0..3 {
            init(&module, session, CKM_AES_GCM, key);
            for _ in 0..4 {
                let (mut iv, mut tag, mut out, mut len) = ([0xab; 12], [0; 16], [0; 64], 64);
                let mut params = gcm(&mut iv, &mut tag, generator, fixed);
                let (param, size) = ((&raw mut params).cast(), size_of_val(&params) as CK_ULONG);
                let (data, data_len) = (bytes(DATA), DATA.len() as CK_ULONG);
                let code =
                    call!(module, C_EncryptMessage(session, param, size, null_mut(), 0, data, data_len, out.as_mut_ptr(), &raw mut len));
                assert_eq!(code, CKR_OK);
                assert_eq!(iv[..fixed as usize / 8], [0xab; 12][..fixed as usize / 8]);
                assert!(seen.insert(iv), "{generator}: {iv:x?}");
                let mut plain = [0; 64];
                let (data, data_len) = (out.as_mut_ptr(), len);
                params.ivGenerator = CKG_NO_GENERATE;
                let code =
                    call!(module, C_DecryptMessage(session, param, size, null_mut(), 0, data, data_len, plain.as_mut_ptr(), &raw mut len));
                assert_eq!((code, &plain[..len as usize]), (CKR_OK, DATA));
            }
            assert_eq!(call!(module, C_SessionCancel(session, CKF_MESSAGE_ENCRYPT | CKF_MESSAGE_DECRYPT)), CKR_OK);
        }
    }
    init(&module, session, CKM_AES_GCM, key);
    let (mut iv, mut tag, mut out, mut len) = ([0; 12], [0; 16], [0; 64], 64);
    let mut short = [0; 4];
    let mut params = gcm(&mut short, &mut tag, CKG_GENERATE_RANDOM, 0);
    let (param, size) = ((&raw mut params).cast(), size_of_val(&params) as CK_ULONG);
    let code = call!(module, C_EncryptMessage(session, param, size, null_mut(), 0, bytes(DATA), 4, out.as_mut_ptr(), &raw mut len));
    assert_eq!(code, CKR_MECHANISM_PARAM_INVALID, "32 random bits");
    for (generator, fixed) in [(CKG_GENERATE_RANDOM, 8), (CKG_GENERATE_COUNTER, 65), (CKG_GENERATE_COUNTER, 1000), (9, 0)] {
        let mut params = gcm(&mut iv, &mut tag, generator, fixed);
        let (param, size) = ((&raw mut params).cast(), size_of_val(&params) as CK_ULONG);
        let code = call!(module, C_EncryptMessage(session, param, size, null_mut(), 0, bytes(DATA), 4, out.as_mut_ptr(), &raw mut len));
        assert_eq!(code, CKR_MECHANISM_PARAM_INVALID, "{generator}, {fixed}");
    }
}

/// One IV for the messages of two processes would give the key of GCM's tags away.
#[test]
fn a_child_makes_ivs_of_its_own() {
    let environment = || vec![("CONFIG", shared().stack.pkcs11_conf().display().to_string())];
    isolated("messages::a_child_makes_ivs_of_its_own", environment, || {
        let module = Module::with_config(Path::new(&variable("CONFIG")));
        let [made, given] = [(); 2].map(|()| module.logged_in());
        let key = secret(&module, made, CKK_AES, &[6; 32]).expect("a session key");
        let (mut iv, mut tag) = ([0; 12], [0; 16]);
        let mut own = gcm(&mut iv, &mut tag, CKG_GENERATE, 0);
        let (mut other_iv, mut other_tag) = ([5; 12], [0; 16]);
        let mut others = gcm(&mut other_iv, &mut other_tag, CKG_NO_GENERATE, 0);
        let size = size_of_val(&own) as CK_ULONG;
        let (own, others): (*mut CK_GCM_MESSAGE_PARAMS, *mut CK_GCM_MESSAGE_PARAMS) = (&raw mut own, &raw mut others);
        for (session, params) in [(made, own), (given, others)] {
            init(&module, session, CKM_AES_GCM, key);
            assert_eq!(call!(module, C_EncryptMessageBegin(session, params.cast(), size, null_mut(), 0)), CKR_OK);
        }
        let end = |session, params: *mut CK_GCM_MESSAGE_PARAMS| {
            let (mut out, mut len) = ([0; 64], 64);
            let (data, data_len) = (bytes(DATA), DATA.len() as CK_ULONG);
            call!(
                module,
                C_EncryptMessageNext(session, params.cast(), size, data, data_len, out.as_mut_ptr(), &raw mut len, CKF_END_OF_MESSAGE)
            )
        };
        // A message of the operation that the parent began, with an IV that is counted.
        let counted = |session| {
            let (mut iv, mut tag, mut out, mut len) = ([0; 12], [0; 16], [0; 64], 64);
            let mut params = gcm(&mut iv, &mut tag, CKG_GENERATE_COUNTER, 0);
            let (param, data, data_len) = ((&raw mut params).cast(), bytes(DATA), DATA.len() as CK_ULONG);
            let code = call!(module, C_EncryptMessage(session, param, size, null_mut(), 0, data, data_len, out.as_mut_ptr(), &raw mut len));
            assert_eq!(code, CKR_OK);
            iv
        };
        let child = fork(|| {
            assert_eq!(end(made, own), CKR_OPERATION_NOT_INITIALIZED, "its IV is the parent's");
            assert_eq!(end(given, others), CKR_OK, "its IV is the caller's");
            // The operation goes on, and has forgotten the message.
            let iv = counted(made);
            assert_eq!(call!(module, C_EncryptMessageBegin(made, own.cast(), size, null_mut(), 0)), CKR_OK);
            assert_eq!(end(made, own), CKR_OK);
            std::array::from_fn(|index| iv.get(index).copied().unwrap_or_default())
        });
        assert_eq!(end(made, own), CKR_OK);
        assert_eq!(end(given, others), CKR_OK);
        let ours = counted(made);
        assert_ne!(child.wait()[..12], ours);
    });
}

#[test]
fn signatures_of_messages() {
    let bench = shared();
    let key = bench.ec();
    let (module, session, private) = bench.use_key(&key);
    let public = module.object(session, CKO_PUBLIC_KEY, &key.label);
    Mechanism::Plain(CKM_ECDSA_SHA256).with(|m| {
        assert_eq!(call!(module, C_MessageSignInit(session, m, private)), CKR_OK);
        assert_eq!(call!(module, C_MessageVerifyInit(session, m, public)), CKR_OK);
    });
    for data in [&b"first"[..], b"second", b""] {
        let len = data.len() as CK_ULONG;
        let whole = output(|out, out_len| call!(module, C_SignMessage(session, null_mut(), 0, bytes(data), len, out, out_len)));
        assert_eq!(call!(module, C_SignMessageBegin(session, null_mut(), 0)), CKR_OK);
        assert_eq!(call!(module, C_SignMessageBegin(session, null_mut(), 0)), CKR_OPERATION_ACTIVE);
        assert_eq!(call!(module, C_SignMessageNext(session, null_mut(), 0, bytes(data), len, null_mut(), null_mut())), CKR_OK);
        let parts = output(|out, out_len| call!(module, C_SignMessageNext(session, null_mut(), 0, bytes(b"!"), 1, out, out_len)));
        let (whole, mut parts) = (whole.expect("a signature"), parts.expect("a signature"));
        assert_eq!(call!(module, C_VerifyMessage(session, null_mut(), 0, bytes(data), len, bytes(&whole), 64)), CKR_OK);
        assert_eq!(call!(module, C_VerifyMessage(session, null_mut(), 0, bytes(b"?"), 1, bytes(&whole), 64)), CKR_SIGNATURE_INVALID);
        assert_eq!(call!(module, C_VerifyMessageBegin(session, null_mut(), 0)), CKR_OK);
        assert_eq!(call!(module, C_VerifyMessageNext(session, null_mut(), 0, bytes(data), len, null_mut(), 0)), CKR_OK);
        let code = call!(module, C_VerifyMessageNext(session, null_mut(), 0, bytes(b"!"), 1, parts.as_mut_ptr(), 64));
        assert_eq!(code, CKR_OK);
        let (mut byte, mut room) = (0_u8, 64);
        let code = call!(module, C_SignMessage(session, (&raw mut byte).cast(), 1, bytes(data), len, parts.as_mut_ptr(), &raw mut room));
        assert_eq!(code, CKR_MECHANISM_PARAM_INVALID);
    }
    assert_eq!(call!(module, C_MessageSignFinal(session)), CKR_OK);
    assert_eq!(call!(module, C_MessageVerifyFinal(session)), CKR_OK);
    assert_eq!(call!(module, C_SignMessageBegin(session, null_mut(), 0)), CKR_OPERATION_NOT_INITIALIZED);
}
