//! The parameters of a cipher: IV, additional data, tag and label, and which mode takes which.

use dsma_api::{ApiError, Blob, CipherMode, ObjectType, RsaEncryptionPadding};
use dsma_crypto::{CipherParams, random};

use super::modes::hash;
use super::refused;

/// A cipher and its mode; the parameters lie elsewhere.
#[derive(Clone, Copy)]
pub(super) enum Parameters {
    Aes(CipherMode),
    Des3(CipherMode),
    Rsa(RsaEncryptionPadding),
}

impl Parameters {
    /// The parameters of a symmetric cipher; `mode` is one that [`symmetric`](super::modes::symmetric) let through.
    pub(super) fn symmetric(obj_type: ObjectType, mode: CipherMode) -> Self {
        if obj_type == ObjectType::Des3 { Self::Des3(mode) } else { Self::Aes(mode) }
    }

    /// All that the operation needs to know. Refuses what the mode has no use for.
    pub(super) fn with<'a>(
        self,
        iv: Option<&'a Blob>,
        ad: Option<&'a Blob>,
        label: Option<&'a Blob>,
    ) -> Result<CipherParams<'a>, ApiError> {
        none_given(&[
            ("iv", iv.is_some() && self.iv_len().is_none()),
            ("ad", ad.is_some() && !self.has_tag()),
            ("label", label.is_some() && !matches!(self, Self::Rsa(RsaEncryptionPadding::Oaep(_)))),
        ])?;
        let iv = iv.map(AsRef::as_ref).unwrap_or_default();
        let aad = ad.map(AsRef::as_ref).unwrap_or_default();
        match self {
            Self::Aes(CipherMode::Ecb) => Ok(CipherParams::AesEcb),
            Self::Aes(CipherMode::Cbc) => Ok(CipherParams::AesCbc { iv, padding: true }),
            Self::Aes(CipherMode::CbcNoPad) => Ok(CipherParams::AesCbc { iv, padding: false }),
            Self::Aes(CipherMode::Cfb) => Ok(CipherParams::AesCfb { iv }),
            Self::Aes(CipherMode::Ofb) => Ok(CipherParams::AesOfb { iv }),
            Self::Aes(CipherMode::Ctr) => Ok(CipherParams::AesCtr { iv }),
            Self::Aes(CipherMode::Gcm) => Ok(CipherParams::AesGcm { iv, aad }),
            Self::Aes(CipherMode::Ccm) => Ok(CipherParams::AesCcm { iv, aad }),
            Self::Aes(CipherMode::Kw) => Ok(CipherParams::AesKw),
            Self::Aes(CipherMode::Kwp) => Ok(CipherParams::AesKwp),
            Self::Des3(CipherMode::Ecb) => Ok(CipherParams::Des3Ecb),
            Self::Des3(CipherMode::Cbc) => Ok(CipherParams::Des3Cbc { iv, padding: true }),
            Self::Des3(CipherMode::CbcNoPad) => Ok(CipherParams::Des3Cbc { iv, padding: false }),
            Self::Aes(other) | Self::Des3(other) => Err(unsupported(other)),
            Self::Rsa(RsaEncryptionPadding::Pkcs1V15 {}) => Ok(CipherParams::RsaPkcs1),
            Self::Rsa(RsaEncryptionPadding::Oaep(oaep)) => {
                // One digest is sent: it serves the label as well.
                let hash = hash(oaep.mgf.hash());
                Ok(CipherParams::RsaOaep { hash, mgf1: hash, label: label.map(AsRef::as_ref).unwrap_or_default() })
            }
            Self::Rsa(RsaEncryptionPadding::RawDecrypt {}) => Ok(CipherParams::RsaRaw),
        }
    }

    /// The request's IV, or a random one; `None` for a mode without.
    pub(super) fn iv_for_encryption(self, given: Option<&Blob>) -> Result<Option<Blob>, ApiError> {
        match (self.iv_len(), given) {
            (_, Some(given)) => Ok(Some(given.clone())),
            (None, None) => Ok(None),
            (Some(length), None) => {
                let mut iv = vec![0; length];
                random::fill(&mut iv).map_err(refused)?;
                Ok(Some(Blob(iv)))
            }
        }
    }

    /// Whether it is padded and not authenticated. Who learns that the padding held, and only what it held was wrong, can decrypt by asking
    /// often enough (Bleichenbacher 1998, Vaudenay 2002): both failures must read the same.
    pub(super) const fn tells_by_padding(self) -> bool {
        matches!(self, Self::Aes(CipherMode::Cbc) | Self::Des3(CipherMode::Cbc) | Self::Rsa(RsaEncryptionPadding::Pkcs1V15 {}))
    }

    /// Refuses a mode that only decrypts.
    pub(super) fn check_encryption(self) -> Result<(), ApiError> {
        match self {
            Self::Rsa(RsaEncryptionPadding::RawDecrypt {}) => Err(ApiError::bad_request("Mode RAW_DECRYPT is for decryption alone")),
            _ => Ok(()),
        }
    }

    /// Refuses a decryption that lacks the IV or the tag that the mode needs, or has a tag that it does not.
    pub(super) fn check_decryption(self, iv: Option<&Blob>, tag: Option<&Blob>) -> Result<(), ApiError> {
        match (self.iv_len(), iv) {
            (Some(_), None) => return Err(ApiError::bad_request("Missing field `iv`")),
            (None, given) => none_given(&[("iv", given.is_some())])?,
            (Some(_), Some(_)) => {}
        }
        match (self.has_tag(), tag) {
            (true, None) => Err(ApiError::bad_request("Missing field `tag`")),
            (false, given) => none_given(&[("tag", given.is_some())]),
            (true, Some(_)) => Ok(()),
        }
    }

    /// Bytes of the tag. `tag_len` counts bits; it is required where the mode has a tag, and wrong elsewhere.
    pub(super) fn tag_bytes(self, tag_len: Option<usize>) -> Result<usize, ApiError> {
        let step = match self {
            Self::Aes(CipherMode::Gcm) => 8,
            Self::Aes(CipherMode::Ccm) => 16,
            _ => return none_given(&[("tag_len", tag_len.is_some())]).map(|()| 0),
        };
        match tag_len {
            Some(bits) if (32..=128).contains(&bits) && bits % step == 0 => Ok(bits / 8),
            Some(_) => Err(ApiError::bad_request(format!("Invalid tag_len: 32 to 128 bits in steps of {step}"))),
            None => Err(ApiError::bad_request("Missing field `tag_len`")),
        }
    }

    const fn has_tag(self) -> bool {
        matches!(self, Self::Aes(CipherMode::Gcm | CipherMode::Ccm))
    }

    /// Bytes of an IV that is made here; `None` for a mode without.
    const fn iv_len(self) -> Option<usize> {
        match self {
            Self::Rsa(_) | Self::Aes(CipherMode::Ecb | CipherMode::Kw | CipherMode::Kwp) | Self::Des3(CipherMode::Ecb) => None,
            // CCM takes 7 to 13: with 12, messages may have 16 MiB.
            Self::Aes(CipherMode::Gcm | CipherMode::Ccm) => Some(12),
            Self::Aes(_) => Some(16),
            Self::Des3(_) => Some(8),
        }
    }
}

/// Refuses parameters that the mode does not have: ignoring one would hide a mistake that costs data.
pub(super) fn none_given(fields: &[(&str, bool)]) -> Result<(), ApiError> {
    match fields.iter().find(|(_, given)| *given) {
        Some((name, _)) => Err(ApiError::bad_request(format!("Field `{name}` is not allowed with this mode"))),
        None => Ok(()),
    }
}

pub(super) fn unsupported(mode: CipherMode) -> ApiError {
    ApiError::bad_request(format!("Mode {mode} is not supported by this version"))
}
