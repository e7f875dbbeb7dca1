//! Bodies of `/crypto/v1/{mac,macverify}`.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Blob, HashAlgorithm, SobjectDescriptor};

/// Body of `POST /crypto/v1/mac`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MacRequest {
    /// The key; absent where the path names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<SobjectDescriptor>,
    /// The digest of an HMAC; absent for CMAC, the code of a block cipher's key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alg: Option<HashAlgorithm>,
    /// The message.
    pub data: Blob,
}

/// Answer of mac.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MacResponse {
    /// The key that was used; absent for transient keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kid: Option<Uuid>,
    /// The code, whole.
    pub mac: Blob,
    /// The same again: where older clients look for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Blob>,
}

/// Body of `POST /crypto/v1/macverify`. Its answer is [`VerifyResponse`](crate::VerifyResponse).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct VerifyMacRequest {
    /// The key; absent where the path names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<SobjectDescriptor>,
    /// As for mac.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alg: Option<HashAlgorithm>,
    /// The message.
    pub data: Blob,
    /// The code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<Blob>,
    /// The code, as older clients name it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Blob>,
}
