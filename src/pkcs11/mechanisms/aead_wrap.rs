//! CKM_AES_GCM and CKM_AES_CCM around a key (sections 6.13.3 and 6.13.5 of version 3.2). The IV may be made here, and the length that CCM
//! must know is the key's.
//!
//! C_WrapKey has parameters of its own, and the tag stands at the wrapped key's end. C_WrapKeyAuthenticated has those of messages, and the
//! tag stands there; `CK_GCM_MESSAGE_PARAMS` is as long as `CK_GCM_PARAMS`, so that the function alone tells which of them it is.

use cryptoki_sys::*;

use super::super::ffi::{AeadWrap, Fill, Input};
use super::super::nonces::{self, Wish};
use super::params::{CipherSpec, OwnedParams};
use super::{Error, Mechanism, Result, aes, parameter};

/// What stands in the caller's structure, beside the wrapped key.
#[derive(Default)]
pub(in crate::pkcs11) struct Beside<'a> {
    /// An IV that is made for this call: in the parameters already, and still to be told.
    made: Option<(Fill<'a>, Vec<u8>)>,
    /// Where the tag is, if not at the wrapped key's end.
    tag: Option<Fill<'a>>,
}

impl Beside<'_> {
    /// So many bytes of the tag are not in the wrapped key.
    pub(in crate::pkcs11) fn tag_len(&mut self) -> Result<usize> {
        self.tag().map(|tag| tag.len())
    }

    /// The tag that the caller gave; nothing where it is at the wrapped key's end.
    pub(in crate::pkcs11) fn tag(&mut self) -> Result<&[u8]> {
        match &mut self.tag {
            Some(tag) => Ok(place(tag)?),
            None => Ok(&[]),
        }
    }

    /// Writes what was made into the caller's structure, and takes the tag off `wrapped` where it belongs there. A call that only asks for
    /// a length leaves that alone.
    pub(in crate::pkcs11) fn tell(mut self, wrapped: &mut Vec<u8>) -> Result {
        if let Some((place, iv)) = &mut self.made {
            place.bytes()?.copy_from_slice(iv);
        }
        if let Some(tag) = &mut self.tag {
            let tag = tag.bytes()?;
            let len = wrapped.len().checked_sub(tag.len()).ok_or(Error::GeneralError)?;
            tag.copy_from_slice(&wrapped[len..]);
            wrapped.truncate(len);
        }
        Ok(())
    }
}

/// `associated` are the data of C_WrapKeyAuthenticated and its counterpart.
pub(super) fn cipher<'a>(
    kind: CK_MECHANISM_TYPE,
    mechanism: Mechanism<'a>,
    wrapping: bool,
    associated: Option<&Input<'_>>,
) -> Result<(CipherSpec, Beside<'a>)> {
    if let Some(associated) = associated {
        return authenticated(kind, mechanism, wrapping, associated);
    }
    let (given, tag_unit): (_, CK_ULONG) = match kind {
        CKM_AES_GCM => (mechanism.gcm_wrap(), 1),
        CKM_AES_CCM => (mechanism.ccm_wrap(), 8),
        _ => return Err(Error::MechanismInvalid),
    };
    // The parameters of an encryption were those of versions before 3.2, and of most callers still are.
    let Ok(AeadWrap { mut iv, fixed_bits, generator, aad, tag_bits }) = given else {
        let mut spec = aes::cipher(kind, mechanism)?;
        if let OwnedParams::AesCcm { announced, .. } = &mut spec.params {
            // A caller cannot know how long a private key is.
            announced.take_if(|announced| *announced == 0);
        }
        return Ok((spec, Beside::default()));
    };
    let made = made(place(&mut iv)?, fixed_bits, generator, wrapping)?;
    let nonce = match &made {
        Some(made) => &made[..],
        None => place(&mut iv)?,
    };
    let spec = spec(kind, nonce, parameter(&aad)?, tag_bits / tag_unit)?;
    Ok((spec, Beside { made: made.map(|made| (iv, made)), tag: None }))
}

fn authenticated<'a>(
    kind: CK_MECHANISM_TYPE,
    mechanism: Mechanism<'a>,
    wrapping: bool,
    associated: &Input<'_>,
) -> Result<(CipherSpec, Beside<'a>)> {
    let mut given = match kind {
        CKM_AES_GCM => mechanism.message()?.gcm()?,
        CKM_AES_CCM => mechanism.message()?.ccm()?,
        _ => return Err(Error::MechanismInvalid),
    };
    let tag_len = place(&mut given.tag)?.len() as CK_ULONG;
    let made = made(place(&mut given.iv)?, given.fixed_bits, given.generator, wrapping)?;
    let nonce = match &made {
        Some(made) => &made[..],
        None => place(&mut given.iv)?,
    };
    let tag = if kind == CKM_AES_GCM { given.tag_bits } else { tag_len };
    let spec = spec(kind, nonce, associated.copied()?, tag)?;
    Ok((spec, Beside { made: made.map(|made| (given.iv, made)), tag: Some(given.tag) }))
}

/// The tag's length is in bits for GCM, in bytes for CCM.
fn spec(kind: CK_MECHANISM_TYPE, iv: &[u8], aad: Box<[u8]>, tag: CK_ULONG) -> Result<CipherSpec> {
    if kind == CKM_AES_GCM { aes::gcm_of(iv, aad, tag) } else { aes::ccm_of(iv, aad, tag, None) }
}

/// The IV, where the token makes it: who unwraps, brings it.
fn made(given: &[u8], fixed_bits: CK_ULONG, generator: CK_GENERATOR_FUNCTION, wrapping: bool) -> Result<Option<Vec<u8>>> {
    if !wrapping {
        return Ok(None);
    }
    let Some(wish) = Wish::of(generator)? else { return Ok(None) };
    // A counter is combined with an IV that stays the same, and between two wrappings nothing stays.
    if wish == Wish::CounterXor || given.len() > nonces::LONGEST_MADE {
        return Err(Error::MechanismParamInvalid);
    }
    let mut iv = given.to_vec();
    nonces::make(&mut iv, fixed_bits, wish)?;
    Ok(Some(iv))
}

fn place<'p>(fill: &'p mut Fill<'_>) -> Result<&'p mut [u8]> {
    fill.bytes().map_err(|_| Error::MechanismParamInvalid)
}
