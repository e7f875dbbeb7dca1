//! The miscellaneous simple mechanisms (section 6.43): keys joined with keys or data, and cut.
//!
//! A key that must not be read is never cut, nor mixed with fewer bytes than it has. The standard makes the result as secret as the key, but a
//! result that holds one unknown byte tells it to whoever tries 256 keys, and with it, byte by byte, the whole.

use std::sync::Arc;

use cryptoki_sys::*;
use zeroize::Zeroizing;

use super::super::super::ffi::Mechanism;
use super::super::super::objects::{Heritage, Object};
use super::super::super::sessions::Session;
use super::{Error, Result, Secret, beginning, given, other_key};

pub(super) enum Simple {
    /// Before and after the base key.
    Joined {
        before: Box<[u8]>,
        after: Secret,
    },
    Xored(Box<[u8]>),
    /// From this bit on, the highest of the first byte being 0.
    Extracted(usize),
}

impl Simple {
    /// The mechanism, and the key that comes in by its parameter.
    pub(super) fn read(kind: CK_MECHANISM_TYPE, mechanism: Mechanism<'_>, session: &Session) -> Result<(Self, Option<Arc<Object>>)> {
        let data = || -> Result<Box<[u8]>> { Ok(given(&mechanism.string_data()?)?.into()) };
        Ok(match kind {
            CKM_CONCATENATE_BASE_AND_KEY => {
                let other = other_key(session, mechanism.other_key()?, kind)?;
                (Self::Joined { before: Box::default(), after: other.secret()? }, Some(other))
            }
            CKM_CONCATENATE_BASE_AND_DATA => (Self::Joined { before: Box::default(), after: Zeroizing::new(data()?.into_vec()) }, None),
            CKM_CONCATENATE_DATA_AND_BASE => (Self::Joined { before: data()?, after: Zeroizing::default() }, None),
            // Of no data comes no key.
            CKM_XOR_BASE_AND_DATA => (Self::Xored(data().ok().filter(|data| !data.is_empty()).ok_or(Error::MechanismParamInvalid)?), None),
            CKM_EXTRACT_KEY_FROM_KEY => (Self::Extracted(mechanism.number().map_err(|_| Error::MechanismParamInvalid)?), None),
            _ => return Err(Error::MechanismInvalid),
        })
    }

    pub(super) fn run(&self, base: &Object, heritage: &Heritage, len: Option<usize>) -> Result<Secret> {
        let key = base.secret()?;
        let (whole, out) = match self {
            Self::Joined { before, after } => {
                let joined = Zeroizing::new([&before[..], &key, after].concat());
                (joined.len(), beginning(&joined, len)?)
            }
            Self::Xored(data) => {
                let xored: Secret = Zeroizing::new(key.iter().zip(data).map(|(key, data)| key ^ data).collect());
                (key.len(), beginning(&xored, len)?)
            }
            Self::Extracted(first) => (key.len(), extracted(&key, *first, len.ok_or(Error::TemplateIncomplete)?)?),
        };
        if out.len() < whole && heritage.is_protected() {
            tracing::warn!("a part of a key that is sensitive or not extractable was asked for; derive with HKDF or SP 800-108 instead");
            return Err(Error::KeyFunctionNotPermitted);
        }
        Ok(out)
    }
}

/// So many bytes from a bit on; after the last bit comes the first.
fn extracted(key: &[u8], first: usize, len: usize) -> Result<Secret> {
    if first >= 8 * key.len() {
        return Err(Error::MechanismParamInvalid);
    }
    if len > key.len() {
        return Err(Error::KeySizeRange);
    }
    let (byte, bit) = (first / 8, first % 8);
    let turned = key.iter().cycle().skip(byte).zip(key.iter().cycle().skip(byte + 1));
    Ok(Zeroizing::new(turned.take(len).map(|(high, low)| (u16::from_be_bytes([*high, *low]) << bit).to_be_bytes()[0]).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_taken_as_in_the_standard_s_example() {
        let key = [0x32, 0x9f, 0x84, 0xa9];
        let taken = |first, len| extracted(&key, first, len).map(|key| key.to_vec());
        assert_eq!(taken(21, 2), Ok(vec![0x95, 0x26]));
        assert_eq!(taken(0, 4), Ok(key.to_vec()));
        assert_eq!(taken(31, 1), Ok(vec![0b1001_1001]));
        assert_eq!(taken(32, 1), Err(Error::MechanismParamInvalid));
        assert_eq!(taken(0, 5), Err(Error::KeySizeRange));
    }
}
