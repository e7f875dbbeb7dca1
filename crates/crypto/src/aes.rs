//! AES keys: one-shot encryption in the fast and the general way.

use zeroize::Zeroizing;

use crate::aws_lc::{CipherContext, CmacContext, Direction, GcmContext};
use crate::{Buffers, CipherParams, CipherStream, Error, MacScheme, MacStream};

/// Bytes of a block.
const BLOCK: usize = 16;

/// A secret AES key of 128, 192 or 256 bits, prepared for GCM.
pub struct AesKey {
    /// Made once; a GCM call with a 12-byte IV and a 16-byte tag costs no more than the primitive.
    gcm: GcmContext,
    /// For the other modes, which expand it per operation.
    bytes: Zeroizing<[u8; 32]>,
    len: usize,
}

impl AesKey {
    /// A key from its 16, 24 or 32 bytes.
    pub fn from_bytes(key: &[u8]) -> Result<Self, Error> {
        let gcm = GcmContext::new(key)?;
        let mut bytes = Zeroizing::new([0; 32]);
        bytes.get_mut(..key.len()).ok_or(Error::KeySize)?.copy_from_slice(key);
        Ok(Self { gcm, bytes, len: key.len() })
    }

    /// Length of the key in bytes.
    #[allow(clippy::len_without_is_empty, reason = "a key is never empty")]
    pub fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn encrypt(&self, params: &CipherParams<'_>, mut data: Buffers<'_>, tag: &mut [u8]) -> Result<usize, Error> {
        if let CipherParams::AesGcm { iv, aad } = params
            && let (Ok(iv), Ok(tag)) = (<&[u8; 12]>::try_from(*iv), <&mut [u8; 16]>::try_from(&mut *tag))
        {
            return self.gcm.seal(iv, aad, data, tag);
        }
        check_tag(params, tag.len())?;
        let input_len = data.input_len();
        let mut context = CipherContext::new(self.bytes(), params, Direction::Encrypt)?;
        check_blocks(params, input_len, Direction::Encrypt)?;
        data.check_room(encrypted_len(params, input_len))?;
        let mut written = context.update(&mut data)?;
        let mut last = Zeroizing::new([0; BLOCK]);
        let last_len = context.finish(&mut last)?;
        written += data.write_at(written, &last[..last_len])?;
        if !tag.is_empty() {
            context.tag(tag)?;
        }
        Ok(written)
    }

    pub(crate) fn decrypt(&self, params: &CipherParams<'_>, mut data: Buffers<'_>, tag: &[u8]) -> Result<usize, Error> {
        if let CipherParams::AesGcm { iv, aad } = params
            && let (Ok(iv), Ok(tag)) = (<&[u8; 12]>::try_from(*iv), <&[u8; 16]>::try_from(tag))
        {
            return self.gcm.open(iv, aad, data, tag);
        }
        check_tag(params, tag.len())?;
        if matches!(params, CipherParams::AesCbc { padding: true, .. }) && data.output_len() < data.input_len() {
            return self.decrypt_tight(params, data);
        }
        let mut context = CipherContext::new(self.bytes(), params, Direction::Decrypt)?;
        check_blocks(params, data.input_len(), Direction::Decrypt)?;
        if !tag.is_empty() {
            context.expect_tag(tag)?;
        }
        let written = context.update(&mut data)?;
        let mut last = Zeroizing::new([0; BLOCK]);
        match context.finish(&mut last).and_then(|len| data.write_at(written, &last[..len])) {
            Ok(last_len) => Ok(written + last_len),
            Err(error) => {
                data.wipe(written);
                Err(error)
            }
        }
    }

    /// Padded text into an output that may just hold it, or not: decided before anything is written, so that the caller can come back
    /// with a larger output although the input lies in the same memory.
    fn decrypt_tight(&self, params: &CipherParams<'_>, mut data: Buffers<'_>) -> Result<usize, Error> {
        let mut copy = data.copy_input();
        let len = self.decrypt(params, Buffers::in_place(&mut copy), &[])?;
        data.write(&copy[..len])
    }

    pub(crate) fn start_encrypt(&self, params: &CipherParams<'_>) -> Result<CipherStream, Error> {
        CipherStream::new(self.bytes(), params, Direction::Encrypt)
    }

    pub(crate) fn start_decrypt(&self, params: &CipherParams<'_>) -> Result<CipherStream, Error> {
        CipherStream::new(self.bytes(), params, Direction::Decrypt)
    }

    pub(crate) fn start_mac(&self, scheme: &MacScheme) -> Result<MacStream, Error> {
        match scheme {
            MacScheme::Cmac => Ok(MacStream::cmac(CmacContext::aes(self.bytes())?)),
            MacScheme::Hmac { .. } => Err(Error::Unsupported),
        }
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// Length of the ciphertext, the tag not counted.
pub(crate) fn encrypted_len(params: &CipherParams<'_>, input_len: usize) -> usize {
    match params {
        CipherParams::AesCbc { padding: true, .. } => (input_len / BLOCK).saturating_add(1).saturating_mul(BLOCK),
        _ => input_len,
    }
}

/// GCM takes tags of 4 to 16 bytes, the other modes none.
fn check_tag(params: &CipherParams<'_>, tag_len: usize) -> Result<(), Error> {
    let good = match params {
        CipherParams::AesGcm { .. } => (4..=16).contains(&tag_len),
        _ => tag_len == 0,
    };
    if good { Ok(()) } else { Err(Error::TagLength) }
}

/// Without padding the input is whole blocks; with it, the ciphertext is, and has at least one.
fn check_blocks(params: &CipherParams<'_>, input_len: usize, direction: Direction) -> Result<(), Error> {
    let good = match params {
        CipherParams::AesEcb | CipherParams::AesCbc { padding: false, .. } => input_len.is_multiple_of(BLOCK),
        CipherParams::AesCbc { padding: true, .. } => direction == Direction::Encrypt || (input_len > 0 && input_len.is_multiple_of(BLOCK)),
        _ => true,
    };
    if good { Ok(()) } else { Err(Error::InputLength) }
}
