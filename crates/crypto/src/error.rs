//! Why an operation was refused or failed.

/// The crate's one error. It carries no key or message content, so it may be shown and logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The encoding of a key does not parse, is not the kind of key asked for, or its numbers contradict each other.
    #[error("the key's encoding is malformed or its numbers do not belong together")]
    Malformed,
    /// The key's size does not fit: AES wants 16, 24 or 32 bytes, triple DES 16 or 24, HMAC at least one; an RSA modulus must hold the
    /// padding, the hash and the salt.
    #[error(
        "the key's size does not fit this operation: AES keys have 16, 24 or 32 bytes, triple DES keys 16 or 24, \
         RSA keys need room for padding, hash and salt"
    )]
    KeySize,
    /// The IV's length does not fit the mode: a block for CBC, CTR, CFB and OFB, at least one byte for GCM, 7 to 13 for CCM.
    #[error(
        "the IV's length does not fit the mode: CBC, CTR, CFB and OFB take a block (16 bytes; 8 in triple DES), \
         GCM at least one byte (12 is usual), CCM 7 to 13"
    )]
    IvLength,
    /// The tag's length does not fit: 4 to 16 bytes for GCM, an even number of them for CCM, none for every other mode.
    #[error("the tag's length does not fit the mode: GCM takes 4 to 16 bytes, CCM an even number of them, every other mode none")]
    TagLength,
    /// The input's length does not fit: whole blocks without padding or in key wrapping, the hash's length for a digest, at most what the
    /// padding leaves room for in RSA, at most 255 bytes for ML-DSA's context.
    #[error(
        "the input's length does not fit: whole blocks without padding and in key wrap, the exact length of a digest, \
         what RSA's padding leaves room for, or 255 bytes of a context"
    )]
    InputLength,
    /// The text of a format-preserving encryption is not of its radix, has too few numerals (the radix to the power of their number must
    /// be a million at least) or too many.
    #[error(
        "the text cannot be encrypted in its format: each numeral must be below the radix, and they must be enough for a million texts"
    )]
    Numerals,
    /// The output buffer is too small; nothing was written, and the same call with a larger one may follow.
    #[error("the output buffer is too small: {needed} bytes are needed")]
    OutputTooSmall {
        /// Bytes that are certainly enough.
        needed: usize,
    },
    /// The tag or the padding does not hold. One error for all causes, so that it tells an attacker nothing.
    #[error("decryption failed: the tag or the padding does not hold")]
    Authentication,
    /// More data than the mode may process under one IV, or than the primitive can count.
    #[error("the message is longer than this mode may process under one IV")]
    TooLong,
    /// This key cannot do this operation, or this combination of parameters does not exist.
    #[error("this kind of key does not support this operation with these parameters")]
    Unsupported,
    /// The primitive failed for no reason that the caller gave, out of memory for example.
    #[error("the cryptographic library failed, most likely for want of memory")]
    Internal,
}
