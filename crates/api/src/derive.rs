//! Bodies of `/crypto/v1/{derive,agree,encapsulate,decapsulate}`: new keys from keys. Their answers are the new sobjects.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Blob, EncryptRequest, HashAlgorithm, ObjectType, Sobject, SobjectDescriptor, SobjectRequest};

/// Body of `POST /crypto/v1/derive`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DeriveKeyRequest {
    /// The key to derive from; absent where the path names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<SobjectDescriptor>,
    /// Type of the new key.
    pub key_type: ObjectType,
    /// How.
    pub mechanism: DeriveKeyMechanism,
    /// The rest of the new sobject; `key_size` counts bits.
    #[serde(flatten)]
    pub request: SobjectRequest,
}

/// How a key is derived: exactly one member.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct DeriveKeyMechanism {
    /// The leading bytes of a ciphertext under the key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encrypt_data: Option<EncryptRequest>,
    /// HKDF (RFC 5869).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hkdf: Option<Hkdf>,
    /// BIP-32.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bip32_master_key: Option<Value>,
    /// BIP-32.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bip32_hardened_child: Option<Value>,
    /// SLIP-0010.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slip10_master_key: Option<Value>,
    /// SLIP-0010.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slip10_hardened_child: Option<Value>,
}

/// Parameters of HKDF.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Hkdf {
    /// Its digest.
    pub hash_alg: HashAlgorithm,
    /// Context; empty where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub info: Option<Blob>,
    /// Salt; zeros where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub salt: Option<Blob>,
}

/// Body of `POST /crypto/v1/agree`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AgreeKeyRequest {
    /// Our key.
    pub private_key: SobjectDescriptor,
    /// The other side's.
    pub public_key: SobjectDescriptor,
    /// How.
    pub mechanism: AgreeKeyMechanism,
    /// Type of the new key.
    pub key_type: ObjectType,
    /// The rest of the new sobject; `key_size` counts bits.
    #[serde(flatten)]
    pub request: SobjectRequest,
}

/// How a key is agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AgreeKeyMechanism {
    /// ECDH: the x-coordinate; for X25519 as in RFC 7748.
    DiffieHellman,
}

/// Body of `POST /crypto/v1/encapsulate`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EncapsulateKeyRequest {
    /// The other side's ML-KEM key.
    pub key: SobjectDescriptor,
    /// Type of the new key.
    pub key_type: ObjectType,
    /// The rest of the new sobject; `key_size` counts bits, 256 where absent.
    #[serde(flatten)]
    pub request: SobjectRequest,
}

/// Answer of encapsulate.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EncapsulateKeyResponse {
    /// The new key.
    pub key: Sobject,
    /// What the other side decapsulates.
    pub ciphertext: Blob,
}

/// Body of `POST /crypto/v1/decapsulate`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DecapsulateKeyRequest {
    /// Our ML-KEM key.
    pub key: SobjectDescriptor,
    /// What the other side made.
    pub ciphertext: Blob,
    /// Type of the new key.
    pub key_type: ObjectType,
    /// The rest of the new sobject; `key_size` counts bits, 256 where absent.
    #[serde(flatten)]
    pub request: SobjectRequest,
}
