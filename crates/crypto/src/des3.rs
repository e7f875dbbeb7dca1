//! Triple DES keys (NIST SP 800-67), for what exists.

use zeroize::Zeroizing;

use crate::aws_lc::{CmacContext, Direction};
use crate::{Buffers, CipherParams, CipherStream, Error, MacScheme, MacStream, block};

/// A secret triple DES key of three keys, or of two of which the first is used again as the third.
pub struct Des3Key {
    bytes: Zeroizing<[u8; 24]>,
    len: usize,
}

impl Des3Key {
    /// A key from its 16 or 24 bytes. The lowest bit of each byte is parity, which nobody looks at.
    pub fn from_bytes(key: &[u8]) -> Result<Self, Error> {
        let mut bytes = Zeroizing::new([0; 24]);
        match key.len() {
            24 => bytes.copy_from_slice(key),
            16 => {
                bytes[..16].copy_from_slice(key);
                bytes[16..].copy_from_slice(&key[..8]);
            }
            _ => return Err(Error::KeySize),
        }
        Ok(Self { bytes, len: key.len() })
    }

    /// Length of the key in bytes, 16 or 24.
    #[allow(clippy::len_without_is_empty, reason = "a key is never empty")]
    pub fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    pub(crate) fn encrypt(&self, params: &CipherParams<'_>, data: Buffers<'_>, tag: &mut [u8]) -> Result<usize, Error> {
        check(params)?;
        block::encrypt(&*self.bytes, params, data, tag)
    }

    pub(crate) fn decrypt(&self, params: &CipherParams<'_>, data: Buffers<'_>, tag: &[u8]) -> Result<usize, Error> {
        check(params)?;
        block::decrypt(&*self.bytes, params, data, tag)
    }

    pub(crate) fn start_encrypt(&self, params: &CipherParams<'_>) -> Result<CipherStream, Error> {
        check(params)?;
        CipherStream::new(&*self.bytes, params, Direction::Encrypt)
    }

    pub(crate) fn start_decrypt(&self, params: &CipherParams<'_>) -> Result<CipherStream, Error> {
        check(params)?;
        CipherStream::new(&*self.bytes, params, Direction::Decrypt)
    }

    pub(crate) fn start_mac(&self, scheme: &MacScheme) -> Result<MacStream, Error> {
        match scheme {
            MacScheme::Cmac => Ok(MacStream::cmac(CmacContext::des3(&self.bytes)?)),
            MacScheme::Hmac { .. } => Err(Error::Unsupported),
        }
    }
}

/// 24 bytes would do for AES too.
fn check(params: &CipherParams<'_>) -> Result<(), Error> {
    match params {
        CipherParams::Des3Ecb | CipherParams::Des3Cbc { .. } => Ok(()),
        _ => Err(Error::Unsupported),
    }
}
