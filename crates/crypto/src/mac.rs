//! Message authentication codes: HMAC (FIPS 198-1) and CMAC (NIST SP 800-38B), in one call or in parts.

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::Error;
use crate::aws_lc::{CmacContext, HmacContext, MAX_MAC};
use crate::digest::Hash;

/// Which code is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields carry the standard's own names")]
pub enum MacScheme {
    /// HMAC, with an HMAC key.
    Hmac { hash: Hash },
    /// CMAC, with the key of a block cipher; the code is as long as the cipher's block.
    Cmac,
}

/// A message authentication code, on the stack. It reads as a slice but cannot be compared with `==`: that would tell by its time how
/// much of a forgery was right.
pub struct Mac {
    bytes: [u8; MAX_MAC],
    len: usize,
}

impl Mac {
    /// A code that was made elsewhere.
    ///
    /// # Errors
    /// [`Error::InputLength`] where it is longer than any.
    pub fn from_bytes(code: &[u8]) -> Result<Self, Error> {
        let mut bytes = [0; MAX_MAC];
        bytes.get_mut(..code.len()).ok_or(Error::InputLength)?.copy_from_slice(code);
        Ok(Self { bytes, len: code.len() })
    }

    /// Whether this is the code that was given, of full length, in constant time.
    #[must_use]
    pub fn matches(&self, given: &[u8]) -> bool {
        self.as_ref().ct_eq(given).into()
    }

    /// Whether the code begins with what was given, in constant time: for codes that are truncated on purpose.
    #[must_use]
    pub fn begins_with(&self, given: &[u8]) -> bool {
        self.as_ref().get(..given.len()).is_some_and(|beginning| beginning.ct_eq(given).into())
    }
}

impl AsRef<[u8]> for Mac {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// A secret HMAC key of any length but zero. DSM's have 14 to 1024 bytes.
pub struct HmacKey {
    bytes: Zeroizing<Vec<u8>>,
}

impl HmacKey {
    /// A key from its bytes.
    ///
    /// # Errors
    /// [`Error::KeySize`] where there are none.
    pub fn from_bytes(key: &[u8]) -> Result<Self, Error> {
        if key.is_empty() { Err(Error::KeySize) } else { Ok(Self { bytes: Zeroizing::new(key.to_vec()) }) }
    }

    /// Length of the key in bytes.
    #[allow(clippy::len_without_is_empty, reason = "a key is never empty")]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn start_mac(&self, scheme: &MacScheme) -> Result<MacStream, Error> {
        match *scheme {
            MacScheme::Hmac { hash } => Ok(MacStream(State::Hmac(HmacContext::new(hash, &self.bytes)?))),
            MacScheme::Cmac => Err(Error::Unsupported),
        }
    }
}

/// A code in parts. It holds its own copy of the key, so it outlives the [`Key`](crate::Key) that it came from.
pub struct MacStream(State);

enum State {
    Hmac(HmacContext),
    Cmac(CmacContext),
}

impl MacStream {
    pub(crate) fn cmac(context: CmacContext) -> Self {
        Self(State::Cmac(context))
    }

    /// Appends to the message.
    pub fn update(&mut self, data: &[u8]) -> Result<(), Error> {
        match &mut self.0 {
            State::Hmac(context) => context.update(data),
            State::Cmac(context) => context.update(data),
        }
    }

    /// The code of all that was appended.
    pub fn finish(mut self) -> Result<Mac, Error> {
        let mut bytes = [0; MAX_MAC];
        let len = match &mut self.0 {
            State::Hmac(context) => context.finish(&mut bytes),
            State::Cmac(context) => context.finish(&mut bytes),
        }?;
        Ok(Mac { bytes, len })
    }
}
