//! AES keys: each mode to the primitive that serves it, GCM as it is mostly used to the fast one.

use zeroize::Zeroizing;

use crate::aws_lc::{self, AeadContext, CmacContext, Direction};
use crate::{Buffers, CipherParams, CipherStream, Error, Ff1, MacScheme, MacStream, block};

/// A secret AES key of 128, 192 or 256 bits, prepared for GCM.
pub struct AesKey {
    /// Made once; a GCM call with a 12-byte IV and a 16-byte tag costs no more than the primitive.
    gcm: AeadContext,
    /// For the other modes, which expand it per operation.
    bytes: Zeroizing<[u8; 32]>,
    len: usize,
}

impl AesKey {
    /// A key from its 16, 24 or 32 bytes.
    pub fn from_bytes(key: &[u8]) -> Result<Self, Error> {
        let gcm = AeadContext::aes_gcm(key)?;
        let mut bytes = Zeroizing::new([0; 32]);
        bytes.get_mut(..key.len()).ok_or(Error::KeySize)?.copy_from_slice(key);
        Ok(Self { gcm, bytes, len: key.len() })
    }

    /// Length of the key in bytes.
    #[allow(clippy::len_without_is_empty, reason = "a key is never empty")]
    pub fn len(&self) -> usize {
        self.len
    }

    /// This key prepared for format-preserving encryption.
    ///
    /// # Errors
    /// [`Error::Unsupported`] where the radix is not one of 2 to 65536.
    pub fn ff1(&self, radix: u32) -> Result<Ff1, Error> {
        Ff1::new(self.bytes(), radix)
    }

    pub(crate) fn encrypt(&self, params: &CipherParams<'_>, data: Buffers<'_>, tag: &mut [u8]) -> Result<usize, Error> {
        if let CipherParams::AesGcm { iv, aad } = params
            && let (Ok(iv), Ok(tag)) = (<&[u8; 12]>::try_from(*iv), <&mut [u8; 16]>::try_from(&mut *tag))
        {
            return self.gcm.seal(iv, aad, data, tag);
        }
        match *params {
            CipherParams::AesCcm { iv, aad } => aws_lc::ccm_seal(self.bytes(), iv, aad, data, tag),
            CipherParams::AesKw => transform(data, tag, |plain| aws_lc::wrap(self.bytes(), plain)),
            CipherParams::AesKwp => transform(data, tag, |plain| aws_lc::wrap_padded(self.bytes(), plain)),
            CipherParams::Des3Ecb | CipherParams::Des3Cbc { .. } | CipherParams::ChaCha20Poly1305 { .. } => Err(Error::Unsupported),
            _ => block::encrypt(self.bytes(), params, data, tag),
        }
    }

    pub(crate) fn decrypt(&self, params: &CipherParams<'_>, data: Buffers<'_>, tag: &[u8]) -> Result<usize, Error> {
        if let CipherParams::AesGcm { iv, aad } = params
            && let (Ok(iv), Ok(tag)) = (<&[u8; 12]>::try_from(*iv), <&[u8; 16]>::try_from(tag))
        {
            return self.gcm.open(iv, aad, data, tag);
        }
        match *params {
            CipherParams::AesCcm { iv, aad } => aws_lc::ccm_open(self.bytes(), iv, aad, data, tag),
            CipherParams::AesKw => transform(data, tag, |wrapped| aws_lc::unwrap(self.bytes(), wrapped)),
            CipherParams::AesKwp => transform(data, tag, |wrapped| aws_lc::unwrap_padded(self.bytes(), wrapped)),
            CipherParams::Des3Ecb | CipherParams::Des3Cbc { .. } | CipherParams::ChaCha20Poly1305 { .. } => Err(Error::Unsupported),
            _ => block::decrypt(self.bytes(), params, data, tag),
        }
    }

    pub(crate) fn start_encrypt(&self, params: &CipherParams<'_>) -> Result<CipherStream, Error> {
        check(params)?;
        CipherStream::new(self.bytes(), params, Direction::Encrypt)
    }

    pub(crate) fn start_decrypt(&self, params: &CipherParams<'_>) -> Result<CipherStream, Error> {
        check(params)?;
        CipherStream::new(self.bytes(), params, Direction::Decrypt)
    }

    pub(crate) fn start_mac(&self, scheme: &MacScheme) -> Result<MacStream, Error> {
        match scheme {
            MacScheme::Cmac => Ok(MacStream::cmac(CmacContext::aes(self.bytes())?)),
            MacScheme::Hmac { .. } => Err(Error::Unsupported),
        }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// What comes out whole or not at all: key wrapping is for keys, which are short.
fn transform(
    mut data: Buffers<'_>,
    tag: &[u8],
    primitive: impl FnOnce(&[u8]) -> Result<Zeroizing<Vec<u8>>, Error>,
) -> Result<usize, Error> {
    if !tag.is_empty() {
        return Err(Error::TagLength);
    }
    let result = primitive(&data.copy_input())?;
    data.write(&result)
}

/// 24 bytes would do for triple DES too.
fn check(params: &CipherParams<'_>) -> Result<(), Error> {
    match params {
        CipherParams::Des3Ecb | CipherParams::Des3Cbc { .. } | CipherParams::ChaCha20Poly1305 { .. } => Err(Error::Unsupported),
        _ => Ok(()),
    }
}
