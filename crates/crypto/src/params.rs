//! What an operation is told beside the key and the data: mode, padding, hash, encoding. All of it borrows and is `Copy`.

use crate::aws_lc::WRAP_OVERHEAD;
use crate::digest::Hash;

/// Mode and parameters of an encryption.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields carry the standard's own names")]
pub enum CipherParams<'a> {
    /// AES-GCM (NIST SP 800-38D). The IV has any length from one byte; twelve is the fast path. The tag is passed beside the data.
    AesGcm { iv: &'a [u8], aad: &'a [u8] },
    /// AES-CBC (NIST SP 800-38A), IV of 16 bytes; `padding` is PKCS#7, without it the data must be whole blocks.
    AesCbc { iv: &'a [u8], padding: bool },
    /// AES-ECB without padding: whole blocks.
    AesEcb,
    /// AES-CTR with a 128-bit big-endian counter, whose first value is the 16-byte IV.
    AesCtr { iv: &'a [u8] },
    /// AES-CFB with segments of 128 bits (NIST SP 800-38A, 6.3), IV of 16 bytes.
    AesCfb { iv: &'a [u8] },
    /// AES-CFB with segments of 8 bits, IV of 16 bytes.
    AesCfb8 { iv: &'a [u8] },
    /// AES-CFB with segments of one bit, of whole bytes of data; IV of 16 bytes.
    AesCfb1 { iv: &'a [u8] },
    /// AES-OFB, IV of 16 bytes.
    AesOfb { iv: &'a [u8] },
    /// AES-CCM (NIST SP 800-38C). The nonce has 7 to 13 bytes (the longer it is, the shorter the message must be: 64 KiB at 13); the tag is
    /// passed beside the data and has an even length of 4 to 16 bytes. Not in parts: the length comes first.
    AesCcm { iv: &'a [u8], aad: &'a [u8] },
    /// ChaCha20-Poly1305 (RFC 8439). The nonce has 12 bytes; the tag is passed beside the data and has 16. Not in parts.
    ChaCha20Poly1305 { nonce: &'a [u8], aad: &'a [u8] },
    /// AES key wrap (RFC 3394, NIST SP 800-38F KW) of whole blocks of 8 bytes, at least two. Not in parts.
    AesKw,
    /// AES key wrap with padding (RFC 5649, KWP) of any bytes but none. Not in parts.
    AesKwp,
    /// FF1 over texts, in the format that the key has in DSM (radix, lengths, preserved and masked characters). A key does not know its
    /// format, so this is not for it to do: here it is unsupported. `masked` wishes for a decryption whose secret characters are hidden.
    Tokens { masked: bool },
    /// Triple DES in ECB without padding: whole blocks of 8 bytes.
    Des3Ecb,
    /// Triple DES in CBC, IV of 8 bytes; `padding` as in [`CipherParams::AesCbc`].
    Des3Cbc { iv: &'a [u8], padding: bool },
    /// RSAES-PKCS1-v1_5 (RFC 8017, 7.2).
    RsaPkcs1,
    /// RSAES-OAEP (RFC 8017, 7.1): the hash of the label, the hash of the mask generation, the label.
    RsaOaep { hash: Hash, mgf1: Hash, label: &'a [u8] },
    /// RSA without padding (RFC 8017, 5.1): numbers as long as the modulus, and below it. Only for padding that is made elsewhere.
    RsaRaw,
}

impl CipherParams<'_> {
    /// Bytes that come out of an encryption of so many, the tag not counted; `None` for RSA, where the key decides.
    #[must_use]
    pub fn encrypted_len(&self, input_len: usize) -> Option<usize> {
        match self {
            Self::RsaPkcs1 | Self::RsaOaep { .. } | Self::RsaRaw => None,
            Self::AesCbc { padding: true, .. } | Self::Des3Cbc { padding: true, .. } => {
                Some((input_len / self.block_len()).saturating_add(1).saturating_mul(self.block_len()))
            }
            Self::AesKw => Some(input_len.saturating_add(WRAP_OVERHEAD)),
            Self::AesKwp => Some(input_len.checked_next_multiple_of(8).unwrap_or(usize::MAX).saturating_add(WRAP_OVERHEAD)),
            _ => Some(input_len),
        }
    }

    /// Whether a decryption gives as many bytes as it takes: there is no padding or check value that goes.
    #[must_use]
    pub fn keeps_len(&self) -> bool {
        self.encrypted_len(0) == Some(0)
    }

    /// Bytes of the cipher's block; 0 for RSA.
    pub(crate) fn block_len(&self) -> usize {
        match self {
            Self::Des3Ecb | Self::Des3Cbc { .. } => 8,
            Self::RsaPkcs1 | Self::RsaOaep { .. } | Self::RsaRaw => 0,
            _ => 16,
        }
    }
}

/// How a signature is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields carry the standard's own names")]
pub enum SignatureScheme {
    /// RSASSA-PKCS1-v1_5 (RFC 8017, 8.2); the DigestInfo is made here.
    RsaPkcs1 { hash: Hash },
    /// The padding of RSASSA-PKCS1-v1_5 around the bytes as given, normally a DigestInfo (PKCS#11's CKM_RSA_PKCS). Both kinds of
    /// [`Message`] mean the same here: nothing is hashed.
    RsaPkcs1Raw,
    /// The bytes as given as a number, without padding (RFC 8017, 5.2.1; PKCS#11's CKM_RSA_X_509): zeros stand before what is shorter than
    /// the modulus. Only for padding that is made elsewhere. Both kinds of [`Message`] mean the same.
    RsaRaw,
    /// RSASSA-PSS (RFC 8017, 8.1); `salt_len` in bytes, exact when verifying too.
    RsaPss { hash: Hash, mgf1: Hash, salt_len: usize },
    /// ECDSA (FIPS 186-5, 6.4). `hash: None` takes a ready digest of any length, truncated to the curve's order where it is longer;
    /// data cannot be signed that way.
    Ecdsa { hash: Option<Hash>, encoding: Encoding },
    /// EdDSA as Ed25519 (RFC 8032, 5.1): it hashes the message itself, twice, so a ready digest cannot be signed.
    EdDsa,
}

/// The two ways to write an ECDSA signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// `SEQUENCE { r INTEGER, s INTEGER }` (RFC 3279), as X.509, TLS and DSM have it.
    Der,
    /// r and s side by side, each as long as the order (IEEE P1363), as PKCS#11 and JOSE have it.
    Fixed,
}

/// What is signed.
#[derive(Clone, Copy)]
pub enum Message<'a> {
    /// The message itself; the scheme's hash is computed here.
    Data(&'a [u8]),
    /// The message's digest under the scheme's hash.
    Digest(&'a [u8]),
}
