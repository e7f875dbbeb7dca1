//! What the calls stand on: a library with sessions, keys and bytes that fit each other, and the operations that must run before a call.

use std::ptr::null_mut;

use cryptoki_sys::*;

use crate::module::{Mechanism, Module, attributes, bytes, call, message_parameter, output};
use crate::session_objects::{TRUE, pair, secret};

/// Bits for the operations of a session, of which several may run.
pub(super) mod running {
    pub(in super::super) type Running = u32;

    pub(in super::super) const NOTHING: Running = 0;
    pub(in super::super) const ENCRYPT: Running = 1;
    pub(in super::super) const DECRYPT: Running = 1 << 1;
    pub(in super::super) const DIGEST: Running = 1 << 2;
    pub(in super::super) const SIGN: Running = 1 << 3;
    pub(in super::super) const VERIFY: Running = 1 << 4;
    pub(in super::super) const SIGN_RECOVER: Running = 1 << 5;
    pub(in super::super) const VERIFY_RECOVER: Running = 1 << 6;
    pub(in super::super) const VERIFY_SIGNATURE: Running = 1 << 7;
    pub(in super::super) const FIND: Running = 1 << 8;
    pub(in super::super) const MESSAGE_ENCRYPT: Running = 1 << 9;
    pub(in super::super) const MESSAGE_DECRYPT: Running = 1 << 10;
    pub(in super::super) const MESSAGE_SIGN: Running = 1 << 11;
    pub(in super::super) const MESSAGE_VERIFY: Running = 1 << 12;
    /// With a message that has been begun.
    pub(in super::super) const BEGUN: Running = 1 << 13;
    pub(in super::super) const BEGUN_ENCRYPT: Running = MESSAGE_ENCRYPT | BEGUN;
    pub(in super::super) const BEGUN_DECRYPT: Running = MESSAGE_DECRYPT | BEGUN;
    pub(in super::super) const BEGUN_SIGN: Running = MESSAGE_SIGN | BEGUN;
    pub(in super::super) const BEGUN_VERIFY: Running = MESSAGE_VERIFY | BEGUN;
    pub(in super::super) const ENCRYPT_AND_DIGEST: Running = ENCRYPT | DIGEST;
    pub(in super::super) const DECRYPT_AND_DIGEST: Running = DECRYPT | DIGEST;
    pub(in super::super) const ENCRYPT_AND_SIGN: Running = ENCRYPT | SIGN;
    pub(in super::super) const DECRYPT_AND_VERIFY: Running = DECRYPT | VERIFY;
}

use running::Running;

/// What a handle is for.
#[derive(Clone, Copy)]
pub(super) enum Role {
    Aes,
    Mac,
    RsaPrivate,
    RsaPublic,
    KemPrivate,
    KemPublic,
    /// Made for one call, which destroys it.
    Passing,
}

/// What bytes are.
#[derive(Clone, Copy)]
pub(super) enum Bytes {
    Block,
    Pin,
    State,
    Wrapped,
    /// Wrapped with the block beside it.
    Sealed,
    Encapsulated,
    /// The RSA signature of the block.
    Signature,
    /// The authentication code of the block.
    Code,
    CodeOfNothing,
    /// To be written over.
    Room,
}

/// The data of every operation.
pub(super) const BLOCK: [u8; 16] = *b"sixteen bytes of";

/// The tag where the AES key wraps the other secret key in GCM, with the block beside it and an IV of sevens (as Node's `crypto` has it).
pub(super) const TAG: [u8; 16] = [0xcc, 0xc1, 0x04, 0x7d, 0xca, 0xa3, 0x03, 0x73, 0x99, 0x41, 0xd0, 0x2c, 0x8a, 0x1f, 0x24, 0x00];

pub(super) struct Ground {
    pub(super) module: Module,
    /// Holds the keys.
    owner: CK_SESSION_HANDLE,
    /// A live session that nothing runs in.
    pub(super) other: CK_SESSION_HANDLE,
    pub(super) closed: CK_SESSION_HANDLE,
    /// An object of the session that was closed.
    pub(super) gone: CK_OBJECT_HANDLE,
    aes: CK_OBJECT_HANDLE,
    mac: CK_OBJECT_HANDLE,
    rsa: [CK_OBJECT_HANDLE; 2],
    kem: [CK_OBJECT_HANDLE; 2],
    state: Vec<u8>,
    wrapped: Vec<u8>,
    sealed: Vec<u8>,
    encapsulated: Vec<u8>,
    signature: Vec<u8>,
    code: Vec<u8>,
    code_of_nothing: Vec<u8>,
}

const HMAC: Mechanism = Mechanism::Plain(CKM_SHA256_HMAC);

impl Ground {
    pub(super) fn new(module: Module) -> Self {
        let owner = module.logged_in();
        let [other, closed] = [(); 2].map(|()| module.open(CKF_SERIAL_SESSION));
        let gone = secret(&module, closed, CKK_AES, &[9; 16]).expect("a session key");
        assert_eq!(call!(module, C_CloseSession(closed)), CKR_OK);
        let aes = secret(&module, owner, CKK_AES, &[1; 32]).expect("a session key");
        let mac = secret(&module, owner, CKK_GENERIC_SECRET, &[2; 32]).expect("a session key");
        let bits = 1024_u64.to_ne_bytes();
        let rsa = pair(&module, owner, CKM_RSA_PKCS_KEY_PAIR_GEN, &[(CKA_MODULUS_BITS, &bits), (CKA_VERIFY_RECOVER, TRUE)]);
        let set = CKP_ML_KEM_512.to_ne_bytes();
        let kem = pair(&module, owner, CKM_ML_KEM_KEY_PAIR_GEN, &[(CKA_PARAMETER_SET, &set)]);
        let (state, wrapped, sealed, encapsulated) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let signature = module.sign(owner, &Mechanism::Plain(CKM_RSA_PKCS), rsa[1], &BLOCK).expect("it signs");
        let code = module.sign(owner, &HMAC, mac, &BLOCK).expect("it signs");
        let code_of_nothing = module.sign(owner, &HMAC, mac, &[]).expect("it signs");
        let mut ground = Self {
            module,
            owner,
            other,
            closed,
            gone,
            aes,
            mac,
            rsa,
            kem,
            state,
            wrapped,
            sealed,
            encapsulated,
            signature,
            code,
            code_of_nothing,
        };
        ground.fill();
        ground
    }

    fn fill(&mut self) {
        let Self { module, owner, aes, mac, kem, .. } = self;
        let owner = *owner;
        Mechanism::Plain(CKM_SHA256).with(|m| assert_eq!(call!(module, C_DigestInit(owner, m)), CKR_OK));
        self.state = output(|out, len| call!(module, C_GetOperationState(owner, out, len))).expect("a state");
        assert_eq!(call!(module, C_SessionCancel(owner, CKF_DIGEST)), CKR_OK);
        let wrap = |m| output(|out, len| call!(module, C_WrapKey(owner, m, *aes, *mac, out, len)));
        self.wrapped = Mechanism::Plain(CKM_AES_KEY_WRAP).with(wrap).expect("it wraps");
        let (mut memory, kind) = ([7; 32], CKM_AES_GCM);
        let mut parameter = message_parameter(&mut memory);
        let len = size_of_val(&parameter) as CK_ULONG;
        let gcm = &mut CK_MECHANISM { mechanism: kind, pParameter: (&raw mut parameter).cast(), ulParameterLen: len };
        let (aad, aad_len) = (BLOCK.as_ptr().cast_mut(), BLOCK.len() as CK_ULONG);
        let gcm = std::ptr::from_mut(gcm);
        let seal = |out, len| call!(module, C_WrapKeyAuthenticated(owner, gcm, *aes, *mac, aad, aad_len, out, len));
        self.sealed = output(seal).expect("it wraps");
        assert_eq!(memory[16..], TAG);
        let encapsulate = |m| {
            let mut made = 0;
            let (mut template, mut len, mut out) = (generic(), 2048, vec![0; 2048]);
            let (attributes, count) = (template.as_mut_ptr(), template.len() as CK_ULONG);
            let (place, made) = (out.as_mut_ptr(), &raw mut made);
            assert_eq!(call!(module, C_EncapsulateKey(owner, m, kem[0], attributes, count, place, &raw mut len, made)), CKR_OK);
            out.truncate(len as usize);
            out
        };
        self.encapsulated = Mechanism::Plain(CKM_ML_KEM).with(encapsulate);
    }

    pub(super) fn object(&self, role: Role) -> CK_OBJECT_HANDLE {
        match role {
            Role::Aes => self.aes,
            Role::Mac => self.mac,
            Role::RsaPrivate => self.rsa[1],
            Role::RsaPublic => self.rsa[0],
            Role::KemPrivate => self.kem[1],
            Role::KemPublic => self.kem[0],
            Role::Passing => secret(&self.module, self.owner, CKK_AES, &[5; 16]).expect("a session key"),
        }
    }

    pub(super) fn bytes(&self, which: Bytes) -> Vec<u8> {
        match which {
            Bytes::Block => BLOCK.to_vec(),
            Bytes::Pin => b"some pin".to_vec(),
            Bytes::State => self.state.clone(),
            Bytes::Wrapped => self.wrapped.clone(),
            Bytes::Sealed => self.sealed.clone(),
            Bytes::Encapsulated => self.encapsulated.clone(),
            Bytes::Signature => self.signature.clone(),
            Bytes::Code => self.code.clone(),
            Bytes::CodeOfNothing => self.code_of_nothing.clone(),
            Bytes::Room => vec![0; 32],
        }
    }

    /// Starts these operations in a session.
    pub(super) fn start(&self, session: CK_SESSION_HANDLE, running: Running) {
        let Self { module, aes, mac, rsa: [rsa_public, rsa_private], .. } = self;
        let begun = running & running::BEGUN != 0;
        let on = |bit: Running, kind: CK_MECHANISM_TYPE, init: &dyn Fn(*mut CK_MECHANISM) -> CK_RV| {
            if running & bit != 0 {
                assert_eq!(Mechanism::Plain(kind).with(init), CKR_OK);
            }
        };
        on(running::ENCRYPT, CKM_AES_ECB, &|m| call!(module, C_EncryptInit(session, m, *aes)));
        on(running::DECRYPT, CKM_AES_ECB, &|m| call!(module, C_DecryptInit(session, m, *aes)));
        on(running::DIGEST, CKM_SHA256, &|m| call!(module, C_DigestInit(session, m)));
        on(running::SIGN, CKM_SHA256_HMAC, &|m| call!(module, C_SignInit(session, m, *mac)));
        on(running::VERIFY, CKM_SHA256_HMAC, &|m| call!(module, C_VerifyInit(session, m, *mac)));
        on(running::SIGN_RECOVER, CKM_RSA_PKCS, &|m| call!(module, C_SignRecoverInit(session, m, *rsa_private)));
        on(running::VERIFY_RECOVER, CKM_RSA_PKCS, &|m| call!(module, C_VerifyRecoverInit(session, m, *rsa_public)));
        on(running::VERIFY_SIGNATURE, CKM_SHA256_HMAC, &|m| {
            call!(module, C_VerifySignatureInit(session, m, *mac, bytes(&self.code), self.code.len() as CK_ULONG))
        });
        on(running::FIND, 0, &|_| call!(module, C_FindObjectsInit(session, null_mut(), 0)));
        on(running::MESSAGE_ENCRYPT, CKM_AES_GCM, &|m| call!(module, C_MessageEncryptInit(session, m, *aes)));
        on(running::MESSAGE_DECRYPT, CKM_AES_GCM, &|m| call!(module, C_MessageDecryptInit(session, m, *aes)));
        on(running::MESSAGE_SIGN, CKM_SHA256_HMAC, &|m| call!(module, C_MessageSignInit(session, m, *mac)));
        on(running::MESSAGE_VERIFY, CKM_SHA256_HMAC, &|m| call!(module, C_MessageVerifyInit(session, m, *mac)));
        if begun {
            let mut memory = [0; 32];
            let mut parameter = message_parameter(&mut memory);
            let (parameter, len) = ((&raw mut parameter).cast(), size_of::<CK_GCM_MESSAGE_PARAMS>() as CK_ULONG);
            let code = match running & !running::BEGUN {
                running::MESSAGE_ENCRYPT => call!(module, C_EncryptMessageBegin(session, parameter, len, null_mut(), 0)),
                running::MESSAGE_DECRYPT => call!(module, C_DecryptMessageBegin(session, parameter, len, null_mut(), 0)),
                running::MESSAGE_SIGN => call!(module, C_SignMessageBegin(session, null_mut(), 0)),
                _ => call!(module, C_VerifyMessageBegin(session, null_mut(), 0)),
            };
            assert_eq!(code, CKR_OK);
        }
    }
}

/// A secret of bytes.
fn generic() -> Vec<CK_ATTRIBUTE> {
    const CLASS: &[u8] = &CKO_SECRET_KEY.to_ne_bytes();
    const KIND: &[u8] = &CKK_GENERIC_SECRET.to_ne_bytes();
    attributes(&[(CKA_CLASS, CLASS), (CKA_KEY_TYPE, KIND)])
}
