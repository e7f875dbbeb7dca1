//! Bodies of `/crypto/v1/{wrapkey,unwrapkey}`: key material that leaves and enters encrypted by another key.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Blob, CryptMode, ObjectType, SobjectDescriptor, SobjectRequest};

/// Body of `POST /crypto/v1/wrapkey`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WrapKeyRequest {
    /// The wrapping key; absent where the path names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<SobjectDescriptor>,
    /// The key to wrap.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<SobjectDescriptor>,
    /// The key to wrap, as older clients name it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kid: Option<Uuid>,
    /// The wrapping key's type.
    pub alg: ObjectType,
    /// As in an encryption.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<CryptMode>,
    /// As in an encryption.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iv: Option<Blob>,
    /// As in an encryption.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ad: Option<Blob>,
    /// As in an encryption.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag_len: Option<usize>,
    /// What is encrypted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_format: Option<KeyFormat>,
}

/// How key material is written before it is wrapped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeyFormat {
    /// As in an export.
    #[default]
    Default,
    /// PKCS #8; asymmetric keys only.
    Pkcs8,
}

/// Answer of wrapkey.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WrapKeyResponse {
    /// The key material, encrypted.
    pub wrapped_key: Blob,
    /// The IV that was used, where the mode has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iv: Option<Blob>,
    /// The tag of an authenticated mode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<Blob>,
}

/// Body of `POST /crypto/v1/unwrapkey`. Its answer is the new sobject.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UnwrapKeyRequest {
    /// The wrapping key; absent where the path names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<SobjectDescriptor>,
    /// The wrapping key's type.
    pub alg: ObjectType,
    /// What wrapkey answered.
    pub wrapped_key: Blob,
    /// As in a decryption.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<CryptMode>,
    /// As in a decryption.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iv: Option<Blob>,
    /// As in a decryption.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ad: Option<Blob>,
    /// As in a decryption.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<Blob>,
    /// The new sobject, without `value`.
    #[serde(flatten)]
    pub request: SobjectRequest,
}
