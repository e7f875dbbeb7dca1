//! Bodies of `/crypto/v1/{encrypt,decrypt}/{init,update,final}`: a message in parts. The state between them lies with the client.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Blob, CryptMode, ObjectType, SecretBlob, SobjectDescriptor};

/// Body of `POST /crypto/v1/encrypt/init`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EncryptInitRequest {
    /// The key; absent where the path names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<SobjectDescriptor>,
    /// The key's type.
    pub alg: ObjectType,
    /// CBC, CBCNOPAD, CTR or GCM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<CryptMode>,
    /// Made at random where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iv: Option<Blob>,
    /// Additional authenticated data (GCM), whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ad: Option<Blob>,
}

/// Answer of encrypt/init.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EncryptInitResponse {
    /// The key that is used; absent for transient keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kid: Option<Uuid>,
    /// The IV that is used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iv: Option<Blob>,
    /// Opaque: goes into the next request as it is.
    pub state: Blob,
}

/// Body of `POST /crypto/v1/decrypt/init`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DecryptInitRequest {
    /// The key; absent where the path names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<SobjectDescriptor>,
    /// The key's type; taken from the key where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alg: Option<ObjectType>,
    /// As at encryption.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<CryptMode>,
    /// As at encryption.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iv: Option<Blob>,
    /// As at encryption.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ad: Option<Blob>,
}

/// Answer of decrypt/init.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DecryptInitResponse {
    /// The key that is used; absent for transient keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kid: Option<Uuid>,
    /// Opaque: goes into the next request as it is.
    pub state: Blob,
}

/// Body of `POST /crypto/v1/encrypt/update`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EncryptUpdateRequest {
    /// The key; absent where the path names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<SobjectDescriptor>,
    /// The next part of the plaintext, of any length.
    pub plain: SecretBlob,
    /// The state from the answer before.
    pub state: Blob,
}

/// Answer of encrypt/update.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EncryptUpdateResponse {
    /// The next part of the ciphertext; its length need not be the plaintext's.
    pub cipher: Blob,
    /// Opaque: goes into the next request as it is.
    pub state: Blob,
}

/// Body of `POST /crypto/v1/decrypt/update`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DecryptUpdateRequest {
    /// The key; absent where the path names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<SobjectDescriptor>,
    /// The next part of the ciphertext, of any length.
    pub cipher: Blob,
    /// The state from the answer before.
    pub state: Blob,
}

/// Answer of decrypt/update.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DecryptUpdateResponse {
    /// The next part of the plaintext; in GCM its authenticity is not known before the end.
    pub plain: SecretBlob,
    /// Opaque: goes into the next request as it is.
    pub state: Blob,
}

/// Body of `POST /crypto/v1/encrypt/final`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EncryptFinalRequest {
    /// The key; absent where the path names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<SobjectDescriptor>,
    /// The state from the answer before.
    pub state: Blob,
    /// Tag length in bits (GCM).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag_len: Option<usize>,
}

/// Answer of encrypt/final.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EncryptFinalResponse {
    /// The rest of the ciphertext.
    pub cipher: Blob,
    /// The tag (GCM).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<Blob>,
}

/// Body of `POST /crypto/v1/decrypt/final`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DecryptFinalRequest {
    /// The key; absent where the path names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<SobjectDescriptor>,
    /// The state from the answer before.
    pub state: Blob,
    /// The tag (GCM).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<Blob>,
}

/// Answer of decrypt/final.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DecryptFinalResponse {
    /// The rest of the plaintext.
    pub plain: SecretBlob,
}
