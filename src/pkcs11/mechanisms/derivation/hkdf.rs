//! CKM_HKDF_DERIVE and CKM_HKDF_DATA (section 6.62; RFC 5869).

use cryptoki_sys::CK_MECHANISM_TYPE;
use dsma_core::KeyFrom;
use dsma_crypto::digest::Hash;
use dsma_crypto::kdf;
use zeroize::Zeroizing;

use super::super::super::ffi::{HkdfSalt, Mechanism};
use super::super::super::objects::Object;
use super::super::super::sessions::Session;
use super::{Error, Result, Secret, digest, failed, given, other_key};

pub(super) struct Hkdf {
    hash: Hash,
    extract: bool,
    expand: bool,
    salt: Secret,
    info: Box<[u8]>,
}

impl Hkdf {
    pub(super) fn read(kind: CK_MECHANISM_TYPE, mechanism: Mechanism<'_>, session: &Session) -> Result<Self> {
        let params = mechanism.hkdf()?;
        let hash = digest::of_digest(params.hash).ok_or(Error::MechanismParamInvalid)?;
        if !params.extract && !params.expand {
            return Err(Error::MechanismParamInvalid);
        }
        let salt = match params.salt {
            HkdfSalt::None => Zeroizing::default(),
            HkdfSalt::Data(salt) => Zeroizing::new(given(&salt)?.to_vec()),
            HkdfSalt::Key(handle) => other_key(session, handle, kind)?.secret()?,
        };
        let info = given(&params.info)?.into();
        Ok(Self { hash, extract: params.extract, expand: params.expand, salt, info })
    }

    /// DSM has both steps together.
    pub(super) fn in_dsm(&self, len: Option<usize>) -> Result<Option<(usize, KeyFrom<'_>)>> {
        if !self.extract || !self.expand {
            return Ok(None);
        }
        let len = len.ok_or(Error::TemplateIncomplete)?;
        if len > 255 * self.hash.len() {
            return Err(Error::KeySizeRange);
        }
        Ok(Some((len, KeyFrom::Hkdf { hash: self.hash, salt: &self.salt, info: &self.info })))
    }

    pub(super) fn run(&self, base: &Object, len: Option<usize>) -> Result<Secret> {
        if self.extract && self.expand {
            return base.hkdf(self.hash, &self.salt, &self.info, len.ok_or(Error::TemplateIncomplete)?);
        }
        let secret = base.secret()?;
        let key = if self.extract { kdf::hkdf_extract(self.hash, &secret, &self.salt).map_err(failed)? } else { secret };
        if !self.expand {
            return match len {
                Some(len) if len != key.len() => Err(Error::KeySizeRange),
                _ => Ok(key),
            };
        }
        let mut out = Zeroizing::new(vec![0; len.ok_or(Error::TemplateIncomplete)?]);
        kdf::hkdf_expand(self.hash, &key, &self.info, &mut out).map_err(|_| Error::KeySizeRange)?;
        Ok(out)
    }
}
