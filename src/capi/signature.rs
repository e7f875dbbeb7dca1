//! `dsma_sign` and `dsma_verify`: their schemes and parameters.
#![expect(non_camel_case_types, reason = "the header's names")]

use dsma_crypto::{Encoding, Message, SignatureScheme};

use super::error::Failure;
use super::hash::dsma_hash;
use super::key::dsma_key;

/// How to sign: RSA after PKCS #1 v2.2 (RFC 8017), ECDSA after FIPS 186-5.
#[derive(Clone, Copy)]
#[repr(u32)]
pub(crate) enum dsma_signature_scheme {
    /// RSASSA-PKCS1-v1_5.
    DSMA_RSA_PKCS1_SIGNATURE = 1,
    /// RSASSA-PSS. `mgf1_hash` 0 means `hash`, `salt_len` 0 means the length of `hash`.
    DSMA_RSA_PSS = 2,
    /// ECDSA, the signature as a DER `SEQUENCE` of two integers (OpenSSL, X.509).
    DSMA_ECDSA_DER = 3,
    /// ECDSA, the signature as r and s of fixed length, one after the other (JWS, PKCS #11).
    DSMA_ECDSA_FIXED = 4,
}

/// Parameters of dsma_sign and dsma_verify. Start from `dsma_signature_params p = {0}` (C++: `{}`) and set what the scheme names.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct dsma_signature_params {
    /// A dsma_signature_scheme.
    pub(super) scheme: u32,
    /// A dsma_hash.
    pub(super) hash: u32,
    /// Not 0: `data` is the ready digest of the message, made with `hash`. 0: `data` is the message.
    pub(super) data_is_digest: u32,
    /// PSS: a dsma_hash for the mask; 0 means `hash`.
    pub(super) mgf1_hash: u32,
    /// PSS: length of the salt in bytes; 0 means the length of `hash`, DSMA_PSS_NO_SALT an empty salt.
    pub(super) salt_len: u32,
    /// For later versions; must be zero.
    pub(super) reserved: [u32; 7],
}

/// `salt_len` of a PSS signature with an empty salt.
pub(crate) const DSMA_PSS_NO_SALT: u32 = u32::MAX;

pub(super) fn sign(key: &dsma_key, params: &dsma_signature_params, data: &[u8], signature: &mut [u8]) -> Result<usize, Failure> {
    let (scheme, message) = params.read(data)?;
    key.run(|accelerator, kid| accelerator.sign(kid, &scheme, message, signature))
}

pub(super) fn verify(key: &dsma_key, params: &dsma_signature_params, data: &[u8], signature: &[u8]) -> Result<(), Failure> {
    let (scheme, message) = params.read(data)?;
    if key.run(|accelerator, kid| accelerator.verify(kid, &scheme, message, signature))? {
        Ok(())
    } else {
        Err(Failure::SignatureInvalid { key: key.label().to_owned() })
    }
}

impl dsma_signature_params {
    fn read<'a>(&self, data: &'a [u8]) -> Result<(SignatureScheme, Message<'a>), Failure> {
        use dsma_signature_scheme::*;
        if self.reserved != [0; 7] {
            return Err(Failure::Argument { name: "params.reserved", problem: "is not zero; start from dsma_signature_params p = {0}" });
        }
        let hash = dsma_hash::required(self.hash, "params.hash")?;
        let scheme = match dsma_signature_scheme::read(self.scheme)? {
            DSMA_RSA_PKCS1_SIGNATURE => SignatureScheme::RsaPkcs1 { hash },
            DSMA_RSA_PSS => SignatureScheme::RsaPss {
                hash,
                mgf1: dsma_hash::read(self.mgf1_hash, "params.mgf1_hash")?.unwrap_or(hash),
                salt_len: match self.salt_len {
                    0 => hash.len(),
                    DSMA_PSS_NO_SALT => 0,
                    bytes => bytes as usize,
                },
            },
            DSMA_ECDSA_DER => SignatureScheme::Ecdsa { hash: Some(hash), encoding: Encoding::Der },
            DSMA_ECDSA_FIXED => SignatureScheme::Ecdsa { hash: Some(hash), encoding: Encoding::Fixed },
        };
        let message = if self.data_is_digest == 0 { Message::Data(data) } else { Message::Digest(data) };
        Ok((scheme, message))
    }
}

impl dsma_signature_scheme {
    fn read(number: u32) -> Result<Self, Failure> {
        use dsma_signature_scheme::*;
        [DSMA_RSA_PKCS1_SIGNATURE, DSMA_RSA_PSS, DSMA_ECDSA_DER, DSMA_ECDSA_FIXED]
            .into_iter()
            .find(|scheme| *scheme as u32 == number)
            .ok_or(Failure::Argument { name: "params.scheme", problem: "is no dsma_signature_scheme; give one of the header's" })
    }
}
