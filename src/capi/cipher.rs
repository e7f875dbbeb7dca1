//! `dsma_encrypt` and `dsma_decrypt`: their modes and parameters.
#![expect(non_camel_case_types, reason = "the header's names")]

use dsma_crypto::{Buffers, CipherParams};

use super::error::Failure;
use super::hash::dsma_hash;
use super::key::dsma_key;

/// How to encrypt. The AES modes are those of NIST SP 800-38A and 800-38D, the RSA ones those of PKCS #1 v2.2 (RFC 8017).
#[derive(Clone, Copy)]
#[repr(u32)]
pub(crate) enum dsma_cipher_mode {
    /// AES-GCM. `iv` (12 bytes are usual; never use one twice with the same key), `aad`, `tag` (16 bytes are usual).
    DSMA_AES_GCM = 1,
    /// AES-CBC with PKCS #7 padding. `iv` of 16 unpredictable bytes. Without a MAC beside it, it does not notice changed data.
    DSMA_AES_CBC = 2,
    /// AES-CBC without padding: whole blocks of 16 bytes. `iv` of 16 bytes.
    DSMA_AES_CBC_NOPAD = 3,
    /// AES-CTR. `iv` is the first counter block of 16 bytes.
    DSMA_AES_CTR = 4,
    /// AES-ECB: whole blocks of 16 bytes, no IV. It shows which blocks are equal.
    DSMA_AES_ECB = 5,
    /// RSAES-OAEP. `hash`, `mgf1_hash` (0: as `hash`), `label`.
    DSMA_RSA_OAEP = 16,
    /// RSAES-PKCS1-v1_5, for what cannot do OAEP.
    DSMA_RSA_PKCS1 = 17,
}

/// Parameters of dsma_encrypt and dsma_decrypt. Start from `dsma_cipher_params p = {0}` (C++: `{}`) and set what the mode names: an IV,
/// AAD, tag or label that the mode has no use for is refused.
///
/// The memory behind the pointers stays yours and is used only during the call. `tag` must not overlap the other buffers.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct dsma_cipher_params {
    /// A dsma_cipher_mode.
    pub(super) mode: u32,
    /// OAEP: a dsma_hash.
    pub(super) hash: u32,
    /// OAEP: a dsma_hash for the mask; 0 means `hash`.
    pub(super) mgf1_hash: u32,
    /// Bytes at `iv`.
    pub(super) iv_len: usize,
    /// Initialization vector; only read.
    pub(super) iv: *const u8,
    /// Bytes at `aad`.
    pub(super) aad_len: usize,
    /// GCM: data that is authenticated and not encrypted; only read.
    pub(super) aad: *const u8,
    /// Length of the GCM tag in bytes, 4 to 16.
    pub(super) tag_len: usize,
    /// GCM tag: dsma_encrypt writes it, dsma_decrypt reads it.
    pub(super) tag: *mut u8,
    /// Bytes at `label`.
    pub(super) label_len: usize,
    /// OAEP label; only read. Seldom used.
    pub(super) label: *const u8,
    /// For later versions; must be zero.
    pub(super) reserved: [u64; 4],
}

pub(super) fn encrypt(key: &dsma_key, params: &CipherParams<'_>, data: Buffers<'_>, tag: &mut [u8]) -> Result<usize, Failure> {
    key.run(|accelerator, kid| accelerator.encrypt(kid, params, data, tag))
}

pub(super) fn decrypt(key: &dsma_key, params: &CipherParams<'_>, data: Buffers<'_>, tag: &[u8]) -> Result<usize, Failure> {
    key.run(|accelerator, kid| accelerator.decrypt(kid, params, data, tag))
}

impl dsma_cipher_params {
    /// The engine's form; the door has made slices of what the pointers mean.
    pub(super) fn read<'a>(&self, iv: &'a [u8], aad: &'a [u8], label: &'a [u8]) -> Result<CipherParams<'a>, Failure> {
        use dsma_cipher_mode::*;
        if self.reserved != [0; 4] {
            return Err(Failure::Argument { name: "params.reserved", problem: "is not zero; start from dsma_cipher_params p = {0}" });
        }
        let mode = dsma_cipher_mode::read(self.mode)?;
        mode.refuse_unused(iv, aad, label)?;
        Ok(match mode {
            DSMA_AES_GCM => CipherParams::AesGcm { iv, aad },
            DSMA_AES_CBC => CipherParams::AesCbc { iv, padding: true },
            DSMA_AES_CBC_NOPAD => CipherParams::AesCbc { iv, padding: false },
            DSMA_AES_CTR => CipherParams::AesCtr { iv },
            DSMA_AES_ECB => CipherParams::AesEcb,
            DSMA_RSA_OAEP => {
                let hash = dsma_hash::required(self.hash, "params.hash")?;
                CipherParams::RsaOaep { hash, mgf1: dsma_hash::read(self.mgf1_hash, "params.mgf1_hash")?.unwrap_or(hash), label }
            }
            DSMA_RSA_PKCS1 => CipherParams::RsaPkcs1,
        })
    }
}

impl dsma_cipher_mode {
    fn read(number: u32) -> Result<Self, Failure> {
        use dsma_cipher_mode::*;
        [DSMA_AES_GCM, DSMA_AES_CBC, DSMA_AES_CBC_NOPAD, DSMA_AES_CTR, DSMA_AES_ECB, DSMA_RSA_OAEP, DSMA_RSA_PKCS1]
            .into_iter()
            .find(|mode| *mode as u32 == number)
            .ok_or(Failure::Argument { name: "params.mode", problem: "is no dsma_cipher_mode; give one of the header's" })
    }
    /// Who gives additional data to a mode that does not authenticate them would believe that they are protected.
    fn refuse_unused(self, iv: &[u8], aad: &[u8], label: &[u8]) -> Result<(), Failure> {
        use dsma_cipher_mode::*;
        let takes_iv = matches!(self, DSMA_AES_GCM | DSMA_AES_CBC | DSMA_AES_CBC_NOPAD | DSMA_AES_CTR);
        let takes_aad = matches!(self, DSMA_AES_GCM);
        let takes_label = matches!(self, DSMA_RSA_OAEP);
        [(iv, takes_iv, "params.iv"), (aad, takes_aad, "params.aad"), (label, takes_label, "params.label")]
            .into_iter()
            .find(|(given, taken, _)| !given.is_empty() && !taken)
            .map_or(Ok(()), |(.., name)| Err(Failure::Argument { name, problem: "has no meaning in this mode; leave it out" }))
    }
}
