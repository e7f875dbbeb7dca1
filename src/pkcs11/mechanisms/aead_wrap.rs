//! CKM_AES_GCM and CKM_AES_CCM around a key: the tag stands at the wrapped key's end, the IV may be made here, and the length that CCM
//! must know is the key's.

use cryptoki_sys::*;

use super::super::ffi::{AeadWrap, Fill};
use super::super::nonces::{self, Wish};
use super::params::{CipherSpec, OwnedParams};
use super::{Error, Mechanism, Result, aes};

/// An IV that is made for this call: in the parameters already, and still to be told.
pub(in crate::pkcs11) struct MadeIv<'a> {
    place: Fill<'a>,
    iv: Vec<u8>,
}

impl MadeIv<'_> {
    /// Writes it into the caller's structure. A call that only asks for a length leaves that alone.
    pub(in crate::pkcs11) fn tell(mut self) -> Result {
        self.place.bytes()?.copy_from_slice(&self.iv);
        Ok(())
    }
}

/// `associated` are the data of C_WrapKeyAuthenticated and its counterpart: another name for the parameter's own, which must be
/// the same or none.
pub(super) fn cipher<'a>(
    kind: CK_MECHANISM_TYPE,
    mechanism: Mechanism<'a>,
    wrapping: bool,
    associated: &[u8],
) -> Result<(CipherSpec, Option<MadeIv<'a>>)> {
    let (mut spec, iv) = match kind {
        CKM_AES_GCM => match mechanism.gcm_wrap() {
            Ok(given) => read(given, wrapping, aes::gcm_of)?,
            Err(_) => (aes::cipher(kind, mechanism)?, None),
        },
        CKM_AES_CCM => match mechanism.ccm_wrap() {
            Ok(given) => read(given, wrapping, |iv, aad, tag_bits| aes::ccm_of(iv, aad, tag_bits / 8, None))?,
            Err(_) => (aes::cipher(kind, mechanism)?, None),
        },
        _ => return Err(Error::MechanismInvalid),
    };
    if let OwnedParams::AesCcm { announced, .. } = &mut spec.params {
        // A caller cannot know how long a private key is.
        announced.take_if(|announced| *announced == 0);
    }
    if let OwnedParams::AesGcm { aad, .. } | OwnedParams::AesCcm { aad, .. } = &mut spec.params
        && !associated.is_empty()
    {
        if !aad.is_empty() && **aad != *associated {
            return Err(Error::MechanismParamInvalid);
        }
        *aad = associated.into();
    }
    Ok((spec, iv))
}

fn read<'a>(
    mut given: AeadWrap<'a>,
    wrapping: bool,
    spec: impl FnOnce(&[u8], &[u8], CK_ULONG) -> Result<CipherSpec>,
) -> Result<(CipherSpec, Option<MadeIv<'a>>)> {
    let aad = given.aad.bytes().map_err(|_| Error::MechanismParamInvalid)?;
    let wish = Wish::of(given.generator)?.filter(|_| wrapping);
    let mut iv = given.iv.bytes().map_err(|_| Error::MechanismParamInvalid)?.to_vec();
    // A counter is combined with an IV that stays the same, and between two wrappings nothing stays.
    if wish == Some(Wish::CounterXor) {
        return Err(Error::MechanismParamInvalid);
    }
    if let Some(wish) = wish {
        nonces::make(&mut iv, given.fixed_bits, wish)?;
    }
    let spec = spec(&iv, aad, given.tag_bits)?;
    Ok((spec, wish.map(|_| MadeIv { place: given.iv, iv })))
}
