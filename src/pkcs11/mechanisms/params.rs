//! What a running operation keeps of its mechanism.

use dsma_crypto::digest::Hash;
use dsma_crypto::{CipherParams, MacScheme, SignatureScheme};

use super::{Error, Result};

/// AES block.
const BLOCK: usize = 16;
/// Triple DES block.
const DES_BLOCK: usize = 8;
/// What key wrap adds to its input (RFC 3394), and the unit of its input.
const WRAP: usize = 8;

/// A signature mechanism with its parameters.
pub(in crate::pkcs11) struct SignatureSpec {
    pub(in crate::pkcs11) scheme: Scheme,
    /// Applied to the data here; where there is none, the caller gives what is signed.
    pub(in crate::pkcs11) hash: Option<Hash>,
    /// The only length that such data may have.
    pub(in crate::pkcs11) digest_len: Option<usize>,
    pub(in crate::pkcs11) signature_len: usize,
}

impl SignatureSpec {
    /// Whether the data may come in parts: a digest for CKM_HASH_ML_DSA may not.
    pub(in crate::pkcs11) const fn takes_parts(&self) -> bool {
        !matches!((&self.scheme, self.hash), (Scheme::MlDsa { hash: Some(_), .. }, None))
    }

    /// Whether what is signed is at most as long as the key's number: a digest, or what RSA pads.
    pub(in crate::pkcs11) const fn is_short(&self) -> bool {
        !matches!(
            self.scheme,
            Scheme::Mac(_) | Scheme::MlDsa { .. } | Scheme::EdDsaWithContext { .. } | Scheme::Signature(SignatureScheme::EdDsa)
        )
    }
}

/// What the standard calls a signature: one that a private key makes, or an authentication code.
pub(in crate::pkcs11) enum Scheme {
    Signature(SignatureScheme),
    Mac(MacScheme),
    /// Ed25519ctx, or over a digest Ed25519ph.
    EdDsaWithContext {
        context: Box<[u8]>,
    },
    /// Of a message, or of its digest.
    MlDsa {
        hash: Option<Hash>,
        context: Box<[u8]>,
        deterministic: bool,
    },
}

/// A cipher mechanism with its parameters.
pub(in crate::pkcs11) struct CipherSpec {
    pub(in crate::pkcs11) params: OwnedParams,
    /// Length of the tag after the ciphertext; 0 without.
    pub(in crate::pkcs11) tag_len: usize,
    /// Most bytes of data that the parameters allow: a counter must not run over.
    pub(in crate::pkcs11) most: usize,
}

/// [`CipherParams`] that outlive the caller's mechanism structure.
pub(in crate::pkcs11) enum OwnedParams {
    AesEcb,
    AesCbc {
        iv: [u8; BLOCK],
        padding: bool,
    },
    AesCtr {
        iv: [u8; BLOCK],
    },
    AesCfb {
        iv: [u8; BLOCK],
    },
    AesCfb8 {
        iv: [u8; BLOCK],
    },
    AesCfb1 {
        iv: [u8; BLOCK],
    },
    AesOfb {
        iv: [u8; BLOCK],
    },
    AesGcm {
        iv: Iv,
        aad: Box<[u8]>,
    },
    /// `announced` is the length that the caller gave in the parameter: of the data or, in a decryption, of the ciphertext. None where it
    /// is not the caller's to know.
    AesCcm {
        iv: Iv,
        aad: Box<[u8]>,
        announced: Option<usize>,
    },
    AesKw,
    AesKwp,
    Tokens {
        masked: bool,
    },
    ChaCha20Poly1305 {
        nonce: [u8; 12],
        aad: Box<[u8]>,
    },
    Des3Ecb,
    Des3Cbc {
        iv: [u8; DES_BLOCK],
        padding: bool,
    },
    RsaPkcs1 {
        modulus_len: usize,
    },
    RsaRaw {
        modulus_len: usize,
    },
    RsaOaep {
        hash: Hash,
        mgf1: Hash,
        label: Box<[u8]>,
        modulus_len: usize,
    },
}

/// How a mode treats lengths.
#[derive(Clone, Copy)]
enum Shape {
    /// A byte in is a byte out.
    Stream,
    /// The same, and the plaintext must not be seen before the tag.
    Sealed,
    /// The same, and all of the data must be there at once.
    SealedWhole,
    /// Whole blocks.
    Blocks(usize),
    /// Whole blocks with PKCS #7 padding.
    Padded(usize),
    /// Key wrap of whole units.
    Wrap,
    /// Key wrap with padding.
    PaddedWrap,
    /// RSA, whose padding takes so many bytes of the modulus at least.
    Rsa { modulus_len: usize, overhead: usize },
}

/// An IV or nonce of variable length: in place where it has the usual one.
pub(in crate::pkcs11) enum Iv {
    Usual([u8; 12]),
    Other(Box<[u8]>),
}

impl Iv {
    pub(in crate::pkcs11) fn new(iv: &[u8]) -> Self {
        iv.try_into().map_or_else(|_| Self::Other(iv.into()), Self::Usual)
    }

    pub(in crate::pkcs11) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Usual(iv) => iv,
            Self::Other(iv) => iv,
        }
    }

    pub(in crate::pkcs11) fn as_bytes_mut(&mut self) -> &mut [u8] {
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
            Self::AesCfb { iv } => CipherParams::AesCfb { iv },
            Self::AesCfb8 { iv } => CipherParams::AesCfb8 { iv },
            Self::AesCfb1 { iv } => CipherParams::AesCfb1 { iv },
            Self::AesOfb { iv } => CipherParams::AesOfb { iv },
            Self::AesGcm { iv, aad } => CipherParams::AesGcm { iv: iv.as_bytes(), aad },
            Self::AesCcm { iv, aad, .. } => CipherParams::AesCcm { iv: iv.as_bytes(), aad },
            Self::AesKw => CipherParams::AesKw,
            Self::AesKwp => CipherParams::AesKwp,
            Self::Tokens { masked } => CipherParams::Tokens { masked: *masked },
            Self::ChaCha20Poly1305 { nonce, aad } => CipherParams::ChaCha20Poly1305 { nonce, aad },
            Self::Des3Ecb => CipherParams::Des3Ecb,
            Self::Des3Cbc { iv, padding } => CipherParams::Des3Cbc { iv, padding: *padding },
            Self::RsaPkcs1 { .. } => CipherParams::RsaPkcs1,
            Self::RsaRaw { .. } => CipherParams::RsaRaw,
            Self::RsaOaep { hash, mgf1, label, .. } => CipherParams::RsaOaep { hash: *hash, mgf1: *mgf1, label },
        }
    }

    fn shape(&self) -> Shape {
        match self {
            Self::AesCtr { .. } | Self::AesCfb { .. } | Self::AesCfb8 { .. } | Self::AesCfb1 { .. } | Self::AesOfb { .. } => Shape::Stream,
            Self::AesGcm { .. } => Shape::Sealed,
            // A token is as long as its text, and neither is made in parts.
            Self::Tokens { .. } => Shape::SealedWhole,
            Self::AesCcm { .. } | Self::ChaCha20Poly1305 { .. } => Shape::SealedWhole,
            Self::AesEcb | Self::AesCbc { padding: false, .. } => Shape::Blocks(BLOCK),
            Self::AesCbc { padding: true, .. } => Shape::Padded(BLOCK),
            Self::Des3Ecb | Self::Des3Cbc { padding: false, .. } => Shape::Blocks(DES_BLOCK),
            Self::Des3Cbc { padding: true, .. } => Shape::Padded(DES_BLOCK),
            Self::AesKw => Shape::Wrap,
            Self::AesKwp => Shape::PaddedWrap,
            Self::RsaPkcs1 { modulus_len } => Shape::Rsa { modulus_len: *modulus_len, overhead: 11 },
            Self::RsaRaw { modulus_len } => Shape::Rsa { modulus_len: *modulus_len, overhead: 0 },
            Self::RsaOaep { hash, modulus_len, .. } => Shape::Rsa { modulus_len: *modulus_len, overhead: 2 * hash.len() + 2 },
        }
    }
}

impl CipherSpec {
    /// Without tag, for any length of data.
    pub(super) const fn untagged(params: OwnedParams) -> Self {
        Self { params, tag_len: 0, most: usize::MAX }
    }

    /// AES-KWP.
    pub(in crate::pkcs11) const fn key_wrap_padded() -> Self {
        Self::untagged(OwnedParams::AesKwp)
    }

    /// Exact length of the ciphertext, tag included.
    pub(in crate::pkcs11) fn encrypted_len(&self, plain_len: usize) -> Result<usize> {
        self.check_len(plain_len, Error::DataLenRange)?;
        let len = match self.params.shape() {
            Shape::Padded(block) => (plain_len / block).checked_add(1).and_then(|blocks| blocks.checked_mul(block)),
            Shape::Blocks(block) => plain_len.is_multiple_of(block).then_some(plain_len),
            Shape::Stream | Shape::Sealed | Shape::SealedWhole => plain_len.checked_add(self.tag_len),
            Shape::Wrap if plain_len < 2 * WRAP || !plain_len.is_multiple_of(WRAP) => None,
            Shape::PaddedWrap if plain_len == 0 => None,
            Shape::Wrap | Shape::PaddedWrap => plain_len.checked_next_multiple_of(WRAP).and_then(|len| len.checked_add(WRAP)),
            // RFC 8017, 7.1.1 and 7.2.1.
            Shape::Rsa { modulus_len, overhead } => {
                modulus_len.checked_sub(overhead).filter(|most| plain_len <= *most).map(|_| modulus_len)
            }
        };
        len.ok_or(Error::DataLenRange)
    }

    /// Length of the plaintext: an upper bound where [`CipherSpec::hides_length`].
    pub(in crate::pkcs11) fn decrypted_len(&self, encrypted_len: usize) -> Result<usize> {
        let len = match self.params.shape() {
            Shape::Padded(_) if encrypted_len == 0 => None,
            Shape::Padded(block) | Shape::Blocks(block) => encrypted_len.is_multiple_of(block).then_some(encrypted_len),
            Shape::Stream | Shape::Sealed | Shape::SealedWhole => encrypted_len.checked_sub(self.tag_len),
            Shape::Wrap if encrypted_len < 3 * WRAP => None,
            Shape::PaddedWrap if encrypted_len < 2 * WRAP => None,
            Shape::Wrap | Shape::PaddedWrap => encrypted_len.is_multiple_of(WRAP).then(|| encrypted_len - WRAP),
            Shape::Rsa { modulus_len, overhead } => (encrypted_len == modulus_len).then(|| modulus_len.saturating_sub(overhead)),
        };
        let len = len.ok_or(Error::EncryptedDataLenRange)?;
        // Some callers announce the length of the ciphertext here.
        if matches!(self.params, OwnedParams::AesCcm { announced, .. } if announced == Some(encrypted_len)) {
            return Ok(len);
        }
        self.check_len(len, Error::EncryptedDataLenRange)?;
        Ok(len)
    }

    /// Refuses so much data, with `error`, where the parameters do not allow it.
    pub(in crate::pkcs11) const fn check_len(&self, data_len: usize, error: Error) -> Result {
        match self.params {
            OwnedParams::AesCcm { announced: Some(announced), .. } if announced != data_len => Err(error),
            _ if data_len > self.most => Err(error),
            _ => Ok(()),
        }
    }

    /// Whether padding hides the plaintext's length until it is decrypted.
    pub(in crate::pkcs11) fn hides_length(&self) -> bool {
        matches!(self.params.shape(), Shape::Padded(_) | Shape::PaddedWrap | Shape::Rsa { .. })
    }

    /// Whether data can be processed as it comes. A plaintext that must not be seen before its tag cannot; nor can what goes through a
    /// primitive whole.
    pub(in crate::pkcs11) fn streams(&self, decrypting: bool) -> bool {
        match self.params.shape() {
            Shape::Stream | Shape::Blocks(_) | Shape::Padded(_) => true,
            Shape::Sealed => !decrypting,
            Shape::SealedWhole | Shape::Wrap | Shape::PaddedWrap | Shape::Rsa { .. } => false,
        }
    }

    /// How many bytes a stream has put out after `seen` bytes went in, before its end: whole blocks in block modes, and with padding
    /// a decryption holds the last one back.
    pub(in crate::pkcs11) fn streamed_len(&self, decrypting: bool, seen: usize) -> usize {
        match self.params.shape() {
            Shape::Padded(block) if decrypting => seen.saturating_sub(1) / block * block,
            Shape::Padded(block) | Shape::Blocks(block) => seen / block * block,
            _ => seen,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_padded_blocks() {
        let cbc = CipherSpec::untagged(OwnedParams::AesCbc { iv: [0; 16], padding: true });
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
        let des = CipherSpec::untagged(OwnedParams::Des3Cbc { iv: [0; 8], padding: true });
        assert_eq!((des.encrypted_len(8), des.streamed_len(true, 9)), (Ok(16), 8));
    }

    #[test]
    fn lengths_with_a_tag() {
        let gcm = CipherSpec { tag_len: 16, ..CipherSpec::untagged(OwnedParams::AesGcm { iv: Iv::new(&[0; 12]), aad: Box::default() }) };
        assert_eq!(gcm.encrypted_len(5), Ok(21));
        assert_eq!(gcm.decrypted_len(21), Ok(5));
        assert_eq!(gcm.decrypted_len(15), Err(Error::EncryptedDataLenRange));
        assert!(gcm.streams(false) && !gcm.streams(true));
        let ccm = OwnedParams::AesCcm { iv: Iv::new(&[0; 12]), aad: Box::default(), announced: Some(21) };
        let ccm = CipherSpec { tag_len: 16, ..CipherSpec::untagged(ccm) };
        assert_eq!((ccm.encrypted_len(21), ccm.encrypted_len(5)), (Ok(37), Err(Error::DataLenRange)));
        assert_eq!((ccm.decrypted_len(37), ccm.decrypted_len(21)), (Ok(21), Ok(5)));
        assert_eq!(ccm.decrypted_len(20), Err(Error::EncryptedDataLenRange));
    }

    #[test]
    fn rsa_has_room_for_so_much() {
        let oaep = |hash, modulus_len| OwnedParams::RsaOaep { hash, mgf1: hash, label: Box::default(), modulus_len };
        for (params, most) in [
            (OwnedParams::RsaPkcs1 { modulus_len: 256 }, 245),
            (OwnedParams::RsaRaw { modulus_len: 256 }, 256),
            (oaep(Hash::Sha256, 256), 190),
            (oaep(Hash::Sha512, 130), 0),
        ] {
            let spec = CipherSpec::untagged(params);
            assert_eq!((spec.encrypted_len(most).is_ok(), spec.encrypted_len(most + 1)), (true, Err(Error::DataLenRange)));
        }
        assert_eq!(CipherSpec::untagged(oaep(Hash::Sha512, 128)).encrypted_len(0), Err(Error::DataLenRange));
    }

    #[test]
    fn whole_blocks_without_padding() {
        let ecb = CipherSpec::untagged(OwnedParams::AesEcb);
        assert_eq!(ecb.encrypted_len(17), Err(Error::DataLenRange));
        assert_eq!(ecb.encrypted_len(32), Ok(32));
        assert_eq!(ecb.streamed_len(false, 31), 16);
    }

    #[test]
    fn lengths_of_wrapped_keys() {
        let (kw, kwp) = (CipherSpec::untagged(OwnedParams::AesKw), CipherSpec::untagged(OwnedParams::AesKwp));
        for (plain, whole, padded) in [(0, None, None), (8, None, Some(16)), (16, Some(24), Some(24)), (17, None, Some(32))] {
            assert_eq!((kw.encrypted_len(plain).ok(), kwp.encrypted_len(plain).ok()), (whole, padded), "{plain}");
        }
        for (wrapped, whole, padded) in [(8, None, None), (16, None, Some(8)), (24, Some(16), Some(16)), (25, None, None)] {
            assert_eq!((kw.decrypted_len(wrapped).ok(), kwp.decrypted_len(wrapped).ok()), (whole, padded), "{wrapped}");
        }
        assert_eq!(kwp.encrypted_len(usize::MAX), Err(Error::DataLenRange));
    }
}
