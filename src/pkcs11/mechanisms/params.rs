//! What a running operation keeps of its mechanism.

use dsma_crypto::digest::Hash;
use dsma_crypto::{CipherParams, SignatureScheme};

use super::{Error, Result};

/// AES block.
const BLOCK: usize = 16;

/// A signature mechanism with its parameters.
#[derive(Clone, Copy)]
pub(in crate::pkcs11) struct SignatureSpec {
    pub(in crate::pkcs11) scheme: SignatureScheme,
    /// Applied to the data here; where there is none, the caller gives what is signed.
    pub(in crate::pkcs11) hash: Option<Hash>,
    /// The only length that such data may have.
    pub(in crate::pkcs11) digest_len: Option<usize>,
    pub(in crate::pkcs11) signature_len: usize,
}

/// A cipher mechanism with its parameters.
pub(in crate::pkcs11) struct CipherSpec {
    pub(in crate::pkcs11) params: OwnedParams,
    /// Length of the tag after the ciphertext; 0 without.
    pub(in crate::pkcs11) tag_len: usize,
}

/// [`CipherParams`] that outlive the caller's mechanism structure.
pub(in crate::pkcs11) enum OwnedParams {
    AesEcb,
    AesCbc { iv: [u8; BLOCK], padding: bool },
    AesCtr { iv: [u8; BLOCK] },
    AesGcm { iv: Iv, aad: Box<[u8]> },
    RsaPkcs1 { modulus_len: usize },
    RsaOaep { hash: Hash, mgf1: Hash, label: Box<[u8]>, modulus_len: usize },
}

/// The IV of GCM: in place where it has the usual length.
pub(in crate::pkcs11) enum Iv {
    Usual([u8; 12]),
    Other(Box<[u8]>),
}

impl Iv {
    pub(super) fn new(iv: &[u8]) -> Self {
        iv.try_into().map_or_else(|_| Self::Other(iv.into()), Self::Usual)
    }

    fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Usual(iv) => iv,
            Self::Other(iv) => iv,
        }
    }
}

impl OwnedParams {
    /// The parameters as the engine takes them.
    pub(in crate::pkcs11) fn as_params(&self) -> CipherParams<'_> {
        match self {
            Self::AesEcb => CipherParams::AesEcb,
            Self::AesCbc { iv, padding } => CipherParams::AesCbc { iv, padding: *padding },
            Self::AesCtr { iv } => CipherParams::AesCtr { iv },
            Self::AesGcm { iv, aad } => CipherParams::AesGcm { iv: iv.as_bytes(), aad },
            Self::RsaPkcs1 { .. } => CipherParams::RsaPkcs1,
            Self::RsaOaep { hash, mgf1, label, .. } => CipherParams::RsaOaep { hash: *hash, mgf1: *mgf1, label },
        }
    }
}

impl CipherSpec {
    /// Exact length of the ciphertext, tag included.
    pub(in crate::pkcs11) fn encrypted_len(&self, plain_len: usize) -> Result<usize> {
        let len = match &self.params {
            OwnedParams::AesCbc { padding: true, .. } => (plain_len / BLOCK).checked_add(1).and_then(|blocks| blocks.checked_mul(BLOCK)),
            OwnedParams::AesCbc { .. } | OwnedParams::AesEcb if !plain_len.is_multiple_of(BLOCK) => return Err(Error::DataLenRange),
            OwnedParams::AesEcb | OwnedParams::AesCbc { .. } | OwnedParams::AesCtr { .. } => Some(plain_len),
            OwnedParams::AesGcm { .. } => plain_len.checked_add(self.tag_len),
            OwnedParams::RsaPkcs1 { modulus_len } | OwnedParams::RsaOaep { modulus_len, .. } => Some(*modulus_len),
        };
        len.ok_or(Error::DataLenRange)
    }

    /// Length of the plaintext: an upper bound where [`CipherSpec::hides_length`].
    pub(in crate::pkcs11) fn decrypted_len(&self, encrypted_len: usize) -> Result<usize> {
        match &self.params {
            OwnedParams::AesCbc { padding: true, .. } if encrypted_len == 0 => Err(Error::EncryptedDataLenRange),
            OwnedParams::AesCbc { .. } | OwnedParams::AesEcb if !encrypted_len.is_multiple_of(BLOCK) => Err(Error::EncryptedDataLenRange),
            OwnedParams::AesCbc { .. } | OwnedParams::AesEcb | OwnedParams::AesCtr { .. } => Ok(encrypted_len),
            OwnedParams::AesGcm { .. } => encrypted_len.checked_sub(self.tag_len).ok_or(Error::EncryptedDataLenRange),
            OwnedParams::RsaPkcs1 { modulus_len } => rsa_room(encrypted_len, *modulus_len, 11),
            OwnedParams::RsaOaep { hash, modulus_len, .. } => rsa_room(encrypted_len, *modulus_len, 2 * hash.len() + 2),
        }
    }

    /// Whether padding hides the plaintext's length until it is decrypted.
    pub(in crate::pkcs11) const fn hides_length(&self) -> bool {
        matches!(self.params, OwnedParams::AesCbc { padding: true, .. } | OwnedParams::RsaPkcs1 { .. } | OwnedParams::RsaOaep { .. })
    }

    /// Whether data can be processed as it comes: AES, but GCM not for decryption, whose plaintext must not be seen before its tag.
    pub(in crate::pkcs11) const fn streams(&self, decrypting: bool) -> bool {
        match self.params {
            OwnedParams::AesEcb | OwnedParams::AesCbc { .. } | OwnedParams::AesCtr { .. } => true,
            OwnedParams::AesGcm { .. } => !decrypting,
            OwnedParams::RsaPkcs1 { .. } | OwnedParams::RsaOaep { .. } => false,
        }
    }

    /// How many bytes a stream has put out after `seen` bytes went in, before its end: whole blocks in block modes, and with padding
    /// a decryption holds the last one back.
    pub(in crate::pkcs11) const fn streamed_len(&self, decrypting: bool, seen: usize) -> usize {
        match self.params {
            OwnedParams::AesCbc { padding: true, .. } if decrypting => seen.saturating_sub(1) / BLOCK * BLOCK,
            OwnedParams::AesCbc { .. } | OwnedParams::AesEcb => seen / BLOCK * BLOCK,
            _ => seen,
        }
    }
}

fn rsa_room(encrypted_len: usize, modulus_len: usize, overhead: usize) -> Result<usize> {
    if encrypted_len != modulus_len {
        return Err(Error::EncryptedDataLenRange);
    }
    Ok(modulus_len.saturating_sub(overhead))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(params: OwnedParams) -> CipherSpec {
        CipherSpec { params, tag_len: 0 }
    }

    #[test]
    fn lengths_of_padded_blocks() {
        let cbc = spec(OwnedParams::AesCbc { iv: [0; 16], padding: true });
        for (plain, encrypted) in [(0, 16), (15, 16), (16, 32), (17, 32)] {
            assert_eq!(cbc.encrypted_len(plain), Ok(encrypted));
        }
        assert_eq!(cbc.decrypted_len(0), Err(Error::EncryptedDataLenRange));
        assert_eq!(cbc.decrypted_len(17), Err(Error::EncryptedDataLenRange));
        for (seen, out) in [(0, 0), (16, 0), (17, 16), (32, 16), (33, 32)] {
            assert_eq!(cbc.streamed_len(true, seen), out, "{seen}");
        }
        assert_eq!(cbc.streamed_len(false, 16), 16);
        assert_eq!(cbc.encrypted_len(usize::MAX), Err(Error::DataLenRange));
    }

    #[test]
    fn lengths_with_a_tag() {
        let gcm = CipherSpec { params: OwnedParams::AesGcm { iv: Iv::new(&[0; 12]), aad: Box::default() }, tag_len: 16 };
        assert_eq!(gcm.encrypted_len(5), Ok(21));
        assert_eq!(gcm.decrypted_len(21), Ok(5));
        assert_eq!(gcm.decrypted_len(15), Err(Error::EncryptedDataLenRange));
        assert!(gcm.streams(false) && !gcm.streams(true));
    }

    #[test]
    fn whole_blocks_without_padding() {
        let ecb = spec(OwnedParams::AesEcb);
        assert_eq!(ecb.encrypted_len(17), Err(Error::DataLenRange));
        assert_eq!(ecb.encrypted_len(32), Ok(32));
        assert_eq!(ecb.streamed_len(false, 31), 16);
    }
}
