//! ChaCha20-Poly1305 keys (RFC 8439).

use crate::aws_lc::AeadContext;
use crate::{Buffers, CipherParams, Error};

/// A secret key for ChaCha20-Poly1305, prepared.
pub struct ChaCha20Key(AeadContext);

impl ChaCha20Key {
    /// A key from its 32 bytes.
    pub fn from_bytes(key: &[u8]) -> Result<Self, Error> {
        AeadContext::chacha20_poly1305(key.try_into().map_err(|_| Error::KeySize)?).map(Self)
    }

    pub(crate) fn encrypt(&self, params: &CipherParams<'_>, data: Buffers<'_>, tag: &mut [u8]) -> Result<usize, Error> {
        let (nonce, aad) = parts(params)?;
        self.0.seal(nonce, aad, data, tag.try_into().map_err(|_| Error::TagLength)?)
    }

    pub(crate) fn decrypt(&self, params: &CipherParams<'_>, data: Buffers<'_>, tag: &[u8]) -> Result<usize, Error> {
        let (nonce, aad) = parts(params)?;
        self.0.open(nonce, aad, data, tag.try_into().map_err(|_| Error::TagLength)?)
    }
}

fn parts<'a>(params: &CipherParams<'a>) -> Result<(&'a [u8; 12], &'a [u8]), Error> {
    match *params {
        CipherParams::ChaCha20Poly1305 { nonce, aad } => Ok((nonce.try_into().map_err(|_| Error::IvLength)?, aad)),
        _ => Err(Error::Unsupported),
    }
}
