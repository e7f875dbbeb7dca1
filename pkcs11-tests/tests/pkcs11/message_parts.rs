//! Parts of messages: what ends a message, what its last part alone needs, and what a wrong tag is called. The operation goes on in any case.

use std::ffi::c_void;
use std::ptr::null_mut;

use cryptoki_sys::*;
use serde_json::json;

use crate::keys::shared;
use crate::module::{Mechanism, Module, bytes, call, ok};
use crate::session_objects::secret;

const DATA: &[u8] = b"two parts of one message";
const FIRST: usize = 10;

/// The structure of a mechanism, as the caller fills it for one call.
enum Parameter {
    Gcm(CK_GCM_MESSAGE_PARAMS),
    Ccm(CK_CCM_MESSAGE_PARAMS),
    ChaCha(CK_SALSA20_CHACHA20_POLY1305_MSG_PARAMS),
}

impl Parameter {
    /// Without a tag all its fields are zero.
    fn new(kind: CK_MECHANISM_TYPE, iv: &mut [u8; 12], tag: Option<&mut [u8; 16]>) -> Self {
        let (iv, len) = (iv.as_mut_ptr(), iv.len() as CK_ULONG);
        let (tag, tag_len) = tag.map_or((null_mut(), 0), |tag| (tag.as_mut_ptr(), 16));
        match kind {
            CKM_AES_GCM => Self::Gcm(CK_GCM_MESSAGE_PARAMS {
                pIv: iv,
                ulIvLen: len,
                ulIvFixedBits: 0,
                ivGenerator: CKG_NO_GENERATE,
                pTag: tag,
                ulTagBits: 8 * tag_len,
            }),
            CKM_AES_CCM => Self::Ccm(CK_CCM_MESSAGE_PARAMS {
                ulDataLen: DATA.len() as CK_ULONG,
                pNonce: iv,
                ulNonceLen: len,
                ulNonceFixedBits: 0,
                nonceGenerator: CKG_NO_GENERATE,
                pMAC: tag,
                ulMACLen: tag_len,
            }),
            _ => Self::ChaCha(CK_SALSA20_CHACHA20_POLY1305_MSG_PARAMS { pNonce: iv, ulNonceLen: len, pTag: tag }),
        }
    }

    const fn lend(&mut self) -> (*mut c_void, CK_ULONG) {
        match self {
            Self::Gcm(params) => ((&raw mut *params).cast(), size_of::<CK_GCM_MESSAGE_PARAMS>() as CK_ULONG),
            Self::Ccm(params) => ((&raw mut *params).cast(), size_of::<CK_CCM_MESSAGE_PARAMS>() as CK_ULONG),
            Self::ChaCha(params) => ((&raw mut *params).cast(), size_of::<CK_SALSA20_CHACHA20_POLY1305_MSG_PARAMS>() as CK_ULONG),
        }
    }
}

/// Messages of one operation.
#[derive(Clone, Copy)]
struct Messages<'m> {
    module: &'m Module,
    session: CK_SESSION_HANDLE,
    kind: CK_MECHANISM_TYPE,
    decrypting: bool,
}

impl Messages<'_> {
    /// With the tag's place unset.
    fn begin(self) -> CK_RV {
        let (module, session, mut iv) = (self.module, self.session, [4; 12]);
        let mut parameter = Parameter::new(self.kind, &mut iv, None);
        let (params, size) = parameter.lend();
        match self.decrypting {
            true => call!(module, C_DecryptMessageBegin(session, params, size, null_mut(), 0)),
            false => call!(module, C_EncryptMessageBegin(session, params, size, null_mut(), 0)),
        }
    }

    fn next(self, tag: Option<&mut [u8; 16]>, data: &[u8], room: usize, last: bool) -> Result<Vec<u8>, CK_RV> {
        let (module, session, mut iv) = (self.module, self.session, [4; 12]);
        let mut parameter = Parameter::new(self.kind, &mut iv, tag);
        let (params, size) = parameter.lend();
        let (mut out, mut out_len, flags) = (vec![0; room], room as CK_ULONG, if last { CKF_END_OF_MESSAGE } else { 0 });
        let (data, len, out_place, out_len_place) = (bytes(data), data.len() as CK_ULONG, out.as_mut_ptr(), &raw mut out_len);
        ok(match self.decrypting {
            true => call!(module, C_DecryptMessageNext(session, params, size, data, len, out_place, out_len_place, flags)),
            false => call!(module, C_EncryptMessageNext(session, params, size, data, len, out_place, out_len_place, flags)),
        })?;
        out.truncate(out_len as usize);
        Ok(out)
    }

    /// A message in two parts, of which the last one alone knows the tag.
    fn whole(self, tag: &mut [u8; 16], data: &[u8]) -> Result<Vec<u8>, CK_RV> {
        ok(self.begin())?;
        let mut whole = self.next(None, &data[..FIRST], 64, false)?;
        whole.extend(self.next(Some(tag), &data[FIRST..], 64, true)?);
        Ok(whole)
    }
}

/// Sections 5.9 and 5.11 of the standard, and 6.13: for keys here and in DSM, streamed and collected.
#[test]
fn the_last_part_alone_needs_the_tag_and_every_error_ends_the_message() {
    let bench = shared();
    let remote = bench.key(json!({"obj_type": "AES", "key_size": 256, "key_ops": ["ENCRYPT", "DECRYPT"]}));
    let (module, session, [remote]) = bench.use_keys([&remote]);
    let aes = secret(&module, session, CKK_AES, &[6; 32]).expect("a session key");
    let chacha = secret(&module, session, CKK_CHACHA20, &[6; 32]).expect("a session key");
    for (kind, key) in
        [(CKM_AES_GCM, aes), (CKM_AES_GCM, remote), (CKM_AES_CCM, aes), (CKM_AES_CCM, remote), (CKM_CHACHA20_POLY1305, chacha)]
    {
        Mechanism::Plain(kind).with(|m| {
            assert_eq!(call!(module, C_MessageEncryptInit(session, m, key)), CKR_OK);
            assert_eq!(call!(module, C_MessageDecryptInit(session, m, key)), CKR_OK);
        });
        let encrypt = Messages { module: &module, session, kind, decrypting: false };
        let decrypt = Messages { decrypting: true, ..encrypt };
        let mut tag = [0; 16];
        let encrypted = encrypt.whole(&mut tag, DATA).expect("it encrypts");
        assert_eq!(decrypt.whole(&mut tag, &encrypted).as_deref(), Ok(DATA), "{kind:#x}");

        let over = |messages: Messages<'_>| {
            assert_eq!(messages.next(None, DATA, 64, false), Err(CKR_OPERATION_NOT_INITIALIZED), "{kind:#x}");
        };
        for messages in [encrypt, decrypt] {
            assert_eq!(messages.begin(), CKR_OK);
            assert_eq!(messages.next(None, &encrypted, 64, true), Err(CKR_MECHANISM_PARAM_INVALID), "{kind:#x}, no tag");
            over(messages);
            // A buffer that is too small is no end.
            assert_eq!(messages.begin(), CKR_OK);
            assert_eq!(messages.next(Some(&mut [0; 16]), &encrypted, 3, true), Err(CKR_BUFFER_TOO_SMALL), "{kind:#x}");
            assert_eq!(messages.begin(), CKR_OPERATION_ACTIVE, "{kind:#x}");
            let data = if messages.decrypting { &encrypted } else { DATA };
            assert!(messages.next(Some(&mut tag), data, 64, true).is_ok(), "{kind:#x}");
        }
        for wrong in [[0; 16], [0xff; 16]] {
            assert_eq!(decrypt.whole(&mut wrong.clone(), &encrypted), Err(CKR_AEAD_DECRYPT_FAILED), "{kind:#x}");
            over(decrypt);
        }
        assert_eq!(decrypt.whole(&mut tag, &encrypted).as_deref(), Ok(DATA), "the operation goes on");
        assert_eq!(call!(module, C_MessageEncryptFinal(session)), CKR_OK);
        assert_eq!(call!(module, C_MessageDecryptFinal(session)), CKR_OK);
    }
}

/// Sections 5.14 and 5.16: nothing of a message that failed is in the next one.
#[test]
fn an_error_ends_the_message_that_is_signed_or_verified() {
    let bench = shared();
    let key = bench.ec();
    let (module, session, private) = bench.use_key(&key);
    let public = module.object(session, CKO_PUBLIC_KEY, &key.label);
    let mac = secret(&module, session, CKK_GENERIC_SECRET, &[6; 32]).expect("a session key");
    for (kind, signing, verifying) in [(CKM_SHA256_HMAC, mac, mac), (CKM_ECDSA_SHA256, private, public)] {
        Mechanism::Plain(kind).with(|m| {
            assert_eq!(call!(module, C_MessageSignInit(session, m, signing)), CKR_OK);
            assert_eq!(call!(module, C_MessageVerifyInit(session, m, verifying)), CKR_OK);
        });
        let (null, none, data, len) = (null_mut(), null_mut(), bytes(DATA), DATA.len() as CK_ULONG);
        let (mut signature, mut place) = ([0; 64], 64);
        let out = signature.as_mut_ptr();
        let sign = |data, len| call!(module, C_SignMessageNext(session, null, 0, data, len, none, null_mut()));
        let verify = |data, len| call!(module, C_VerifyMessageNext(session, null, 0, data, len, none, 0));
        // One part was taken when the next one fails, in a way of each: the data, and a parameter where there is none.
        for parameter in [0, 1] {
            let (part, given) = if parameter == 0 { (null_mut(), null_mut()) } else { (data, data.cast::<c_void>()) };
            let expected = if parameter == 0 { CKR_ARGUMENTS_BAD } else { CKR_MECHANISM_PARAM_INVALID };
            assert_eq!((call!(module, C_SignMessageBegin(session, null, 0)), sign(data, len)), (CKR_OK, CKR_OK));
            assert_eq!(call!(module, C_SignMessageNext(session, given, parameter, part, len, none, null_mut())), expected);
            assert_eq!(sign(data, len), CKR_OPERATION_NOT_INITIALIZED);
            assert_eq!((call!(module, C_VerifyMessageBegin(session, null, 0)), verify(data, len)), (CKR_OK, CKR_OK));
            assert_eq!(call!(module, C_VerifyMessageNext(session, given, parameter, part, len, none, 0)), expected);
            assert_eq!(verify(data, len), CKR_OPERATION_NOT_INITIALIZED);
        }
        assert_eq!(call!(module, C_SignMessageBegin(session, null, 0)), CKR_OK);
        let mut small = 3;
        assert_eq!(call!(module, C_SignMessageNext(session, null, 0, data, len, out, &raw mut small)), CKR_BUFFER_TOO_SMALL);
        assert_eq!(call!(module, C_SignMessageNext(session, null, 0, data, len, out, &raw mut place)), CKR_OK);
        assert_eq!(call!(module, C_VerifyMessage(session, null, 0, data, len, out, place)), CKR_OK, "of one message alone");
        assert_eq!(call!(module, C_VerifyMessageBegin(session, null, 0)), CKR_OK);
        assert_eq!(call!(module, C_VerifyMessageNext(session, null, 0, data, len, out, place)), CKR_OK);
        assert_eq!(call!(module, C_MessageSignFinal(session)), CKR_OK);
        assert_eq!(call!(module, C_MessageVerifyFinal(session)), CKR_OK);
    }
}
