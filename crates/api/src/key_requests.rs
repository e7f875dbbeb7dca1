//! Bodies of the calls that manage sobjects, beyond generate and import.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Blob, HashAlgorithm, ObjectType, SecretBlob, SobjectDescriptor, SobjectRequest, SobjectState, Time};

/// Body of `POST /crypto/v1/keys/copy`.
#[derive(Clone, Debug, Deserialize)]
pub struct CopySobjectRequest {
    /// The original.
    pub key: SobjectDescriptor,
    /// What the copy has of its own.
    #[serde(flatten)]
    pub request: SobjectRequest,
}

/// Body of `POST /crypto/v1/keys/rekey`: `name` is that of the key to rotate, which the new one takes over.
#[derive(Clone, Debug, Deserialize)]
pub struct SobjectRekeyRequest {
    /// Whether the old key is deactivated.
    #[serde(default)]
    pub deactivate_rotated_key: Option<bool>,
    /// What the new key has of its own.
    #[serde(flatten)]
    pub request: SobjectRequest,
}

/// Body of `POST /crypto/v1/keys/replace`.
#[derive(Clone, Debug, Deserialize)]
pub struct SobjectReplaceRequest {
    /// The key that loses its name.
    pub replaced: SobjectDescriptor,
    /// Its new name.
    pub replaced_new_name: String,
    /// The key that takes the name.
    pub replacement: SobjectDescriptor,
}

/// Body of `POST /crypto/v1/keys/persist`.
#[derive(Clone, Debug, Deserialize)]
#[expect(missing_docs, reason = "as in a sobject request")]
pub struct PersistTransientKeyRequest {
    /// The sealed key.
    pub transient_key: String,
    pub name: String,
    #[serde(default)]
    pub description: Option<String>,
    #[serde(default)]
    pub group_id: Option<Uuid>,
    #[serde(default)]
    pub enabled: Option<bool>,
    #[serde(default)]
    pub state: Option<SobjectState>,
    #[serde(default)]
    pub activation_date: Option<Time>,
    #[serde(default)]
    pub deactivation_date: Option<Time>,
    #[serde(default)]
    pub custom_metadata: Option<BTreeMap<String, String>>,
}

/// How a key check value is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum KcvMethod {
    /// Three bytes of the encrypted zero block.
    #[default]
    Encrypt,
    /// Five bytes of the CMAC of a zero block.
    Cmac,
}

/// Body of `POST /crypto/v1/keys/kcv`.
#[derive(Clone, Debug, Deserialize)]
pub struct KeyCheckValueRequest {
    /// `Encrypt` where absent.
    #[serde(default)]
    pub kcv_method: Option<KcvMethod>,
    /// The key.
    #[serde(flatten)]
    pub key: SobjectDescriptor,
}

/// Answer to [`KeyCheckValueRequest`].
#[derive(Clone, Debug, Serialize)]
pub struct KeyCheckValueResponse {
    /// Absent for transient keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kid: Option<Uuid>,
    /// Upper-case hex.
    pub kcv: String,
}

/// Body of `POST /crypto/v1/keys/kcv/verify`.
#[derive(Clone, Debug, Deserialize)]
pub struct VerifyKcvRequest {
    /// Hex, in either case.
    pub kcv: String,
    /// Key material, raw.
    pub value: SecretBlob,
    /// Its type.
    pub obj_type: ObjectType,
    /// `Encrypt` where absent.
    #[serde(default)]
    pub kcv_method: Option<KcvMethod>,
}

/// Answer to [`VerifyKcvRequest`].
#[derive(Clone, Debug, Serialize)]
pub struct VerifyKcvResponse {
    /// Whether the check value is that of the material.
    pub verified: bool,
}

/// Body of `POST /crypto/v1/keys/digest`.
#[derive(Clone, Debug, Deserialize)]
pub struct ObjectDigestRequest {
    /// The sobject whose value is digested.
    pub key: SobjectDescriptor,
    /// Digest.
    pub alg: HashAlgorithm,
}

/// Answer to [`ObjectDigestRequest`].
#[derive(Clone, Debug, Serialize)]
pub struct ObjectDigestResponse {
    /// Absent for transient keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kid: Option<Uuid>,
    /// The digest.
    pub digest: Blob,
}
