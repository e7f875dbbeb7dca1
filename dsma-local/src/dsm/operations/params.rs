//! The parameters of a cipher: IV, additional data, tag and label, and which mode takes which.

use dsma_api::{ApiError, Blob, CipherMode, RsaEncryptionPadding};
use dsma_crypto::{CipherParams, random};

use super::modes::hash;
use super::refused;

/// A mode whose parameters lie elsewhere.
pub(super) enum Parameters {
    Aes(CipherMode),
    Rsa(RsaEncryptionPadding),
}

impl Parameters {
    pub(super) fn with<'a>(
        &self,
        iv: Option<&'a Blob>,
        ad: Option<&'a Blob>,
        label: Option<&'a Blob>,
    ) -> Result<CipherParams<'a>, ApiError> {
        let iv = iv.map(AsRef::as_ref).unwrap_or_default();
        if !matches!(self, Self::Aes(CipherMode::Gcm)) {
            none_given(&[("ad", ad.is_some())])?;
        }
        if !matches!(self, Self::Rsa(RsaEncryptionPadding::Oaep(_))) {
            none_given(&[("label", label.is_some())])?;
        }
        match self {
            Self::Aes(CipherMode::Gcm) => Ok(CipherParams::AesGcm { iv, aad: ad.map(AsRef::as_ref).unwrap_or_default() }),
            Self::Aes(CipherMode::Cbc) => Ok(CipherParams::AesCbc { iv, padding: true }),
            Self::Aes(CipherMode::CbcNoPad) => Ok(CipherParams::AesCbc { iv, padding: false }),
            Self::Aes(CipherMode::Ecb) => Ok(CipherParams::AesEcb),
            Self::Aes(CipherMode::Ctr) => Ok(CipherParams::AesCtr { iv }),
            Self::Aes(other) => Err(ApiError::bad_request(format!("Mode {other} is not supported by this version"))),
            Self::Rsa(RsaEncryptionPadding::Pkcs1V15 {}) => Ok(CipherParams::RsaPkcs1),
            Self::Rsa(RsaEncryptionPadding::Oaep(oaep)) => {
                // One digest is sent: it serves the label as well.
                let hash = hash(oaep.mgf.hash())?;
                Ok(CipherParams::RsaOaep { hash, mgf1: hash, label: label.map(AsRef::as_ref).unwrap_or_default() })
            }
            Self::Rsa(RsaEncryptionPadding::RawDecrypt {}) => {
                Err(ApiError::bad_request("Mode RAW_DECRYPT is not supported by this version"))
            }
        }
    }
}

/// The request's IV, or a random one; `None` for a mode without.
pub(super) fn iv_for(mode: CipherMode, given: Option<&Blob>) -> Result<Option<Blob>, ApiError> {
    let length = match mode {
        CipherMode::Gcm => 12,
        CipherMode::Ecb => {
            none_given(&[("iv", given.is_some())])?;
            return Ok(None);
        }
        _ => 16,
    };
    if let Some(given) = given {
        return Ok(Some(given.clone()));
    }
    let mut iv = vec![0; length];
    random::fill(&mut iv).map_err(refused)?;
    Ok(Some(Blob(iv)))
}

/// `tag_len` counts bits; it is required where the mode has a tag, and wrong elsewhere.
pub(super) fn tag_bytes(mode: CipherMode, tag_len: Option<usize>) -> Result<usize, ApiError> {
    match (mode, tag_len) {
        (CipherMode::Gcm, Some(bits)) if (32..=128).contains(&bits) && bits % 8 == 0 => Ok(bits / 8),
        (CipherMode::Gcm, Some(_)) => Err(ApiError::bad_request("Invalid tag_len: 32 to 128 bits, whole bytes")),
        (CipherMode::Gcm, None) => Err(ApiError::bad_request("Missing field `tag_len`")),
        (_, given) => none_given(&[("tag_len", given.is_some())]).map(|()| 0),
    }
}

/// Refuses parameters that the mode does not have: ignoring one would hide a mistake that costs data.
pub(super) fn none_given(fields: &[(&str, bool)]) -> Result<(), ApiError> {
    match fields.iter().find(|(_, given)| *given) {
        Some((name, _)) => Err(ApiError::bad_request(format!("Field `{name}` is not allowed with this mode"))),
        None => Ok(()),
    }
}
