//! Encryption and decryption in parts.

use zeroize::Zeroizing;

use crate::aws_lc::{CipherContext, Direction};
use crate::{Buffers, CipherParams, Error};

/// A running encryption or decryption with AES or triple DES. It holds its own copy of the key, so it outlives the
/// [`Key`](crate::Key) that it came from.
///
/// In GCM, a decryption gives out each part before the tag has been seen: such text is not authentic until
/// [`CipherStream::finish_decrypt`] succeeds.
pub struct CipherStream {
    context: CipherContext,
    gcm: bool,
    direction: Direction,
}

impl CipherStream {
    pub(crate) fn new(key: &[u8], params: &CipherParams<'_>, direction: Direction) -> Result<Self, Error> {
        let context = CipherContext::new(key, params, direction)?;
        Ok(Self { context, gcm: matches!(params, CipherParams::AesGcm { .. }), direction })
    }

    /// Processes a part and returns the bytes written. Block modes write whole blocks and keep the rest; on
    /// [`Error::OutputTooSmall`] nothing has happened, and the same part may be given again with a larger output.
    pub fn update(&mut self, mut part: Buffers<'_>) -> Result<usize, Error> {
        self.context.update(&mut part)
    }

    /// Ends an encryption: writes the last block to `out` and, in GCM, the tag (4 to 16 bytes; empty elsewhere).
    pub fn finish_encrypt(mut self, out: &mut [u8], tag: &mut [u8]) -> Result<usize, Error> {
        self.check(Direction::Encrypt, tag.len())?;
        let written = self.finish(out)?;
        if self.gcm {
            self.context.tag(tag)?;
        }
        Ok(written)
    }

    /// Ends a decryption: checks the tag (GCM) or the padding, and writes what is left of the last block.
    pub fn finish_decrypt(mut self, out: &mut [u8], tag: &[u8]) -> Result<usize, Error> {
        self.check(Direction::Decrypt, tag.len())?;
        if self.gcm {
            self.context.expect_tag(tag)?;
        }
        self.finish(out)
    }

    /// An upper bound of what the end writes: room for this much is always enough.
    pub fn pending_len(&self) -> usize {
        self.context.pending_len()
    }

    /// The end consumes the stream, so a too small output loses the last block: callers offer `pending_len` bytes.
    fn finish(&mut self, out: &mut [u8]) -> Result<usize, Error> {
        let mut last = Zeroizing::new([0; 16]);
        let len = self.context.finish(&mut last)?;
        out.get_mut(..len).ok_or(Error::OutputTooSmall { needed: len })?.copy_from_slice(&last[..len]);
        Ok(len)
    }

    fn check(&self, direction: Direction, tag_len: usize) -> Result<(), Error> {
        if self.direction != direction {
            return Err(Error::Unsupported);
        }
        let good = if self.gcm { (4..=16).contains(&tag_len) } else { tag_len == 0 };
        if good { Ok(()) } else { Err(Error::TagLength) }
    }
}
