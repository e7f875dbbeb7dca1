//! Keys in parts, each with its custodian: `/crypto/v1/keys/components/{export,import}`.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Approver, KcvMethod, SecretBlob, SobjectDescriptor, SobjectRequest};

/// How a key is split.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum SplittingMethod {
    /// The parts are as long as the key; XORed together they are it.
    #[default]
    #[serde(rename = "XOR")]
    Xor,
}

/// One part of a key. No `Debug` of the part itself: it is a secret.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SobjectComponent {
    /// The part.
    pub component: SecretBlob,
    /// Its check value, upper-case hex, where its type has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub component_kcv: Option<String>,
    /// Who holds it.
    pub custodian: Approver,
}

/// What a custodian sends when it approves an import.
#[derive(Clone, Debug, Deserialize)]
pub struct CustodianComponent {
    /// The part.
    pub component: SecretBlob,
    /// The check value that it must have.
    #[serde(default)]
    pub component_kcv: Option<String>,
}

/// Body of `POST /crypto/v1/keys/components/export`.
#[derive(Clone, Debug, Deserialize)]
pub struct ExportComponentsRequest {
    /// The key.
    pub key: SobjectDescriptor,
    /// Who gets a part each.
    pub custodians: Vec<Approver>,
    /// XOR where absent.
    #[serde(default)]
    pub method: Option<SplittingMethod>,
    /// Wrap the key before it is split.
    #[serde(default)]
    pub wrap_key_params: Option<Value>,
    /// Free text.
    #[serde(default)]
    pub description: Option<String>,
}

/// Body of `POST /crypto/v1/keys/components/import`.
#[derive(Clone, Debug, Deserialize)]
pub struct ImportComponentsRequest {
    /// The new key.
    pub key: SobjectRequest,
    /// Who brings a part each.
    pub custodians: Vec<Approver>,
    /// XOR where absent.
    #[serde(default)]
    pub method: Option<SplittingMethod>,
    /// Parts that the requester brings itself.
    #[serde(default)]
    pub components: Option<Vec<Value>>,
    /// Unwrap the key after it is put together.
    #[serde(default)]
    pub unwrap_key_params: Option<Value>,
    /// How custodians prove who they are.
    #[serde(default)]
    pub auth_config: Option<Value>,
    /// Of the check values: `Encrypt` where absent.
    #[serde(default)]
    pub kcv_method: Option<KcvMethod>,
    /// Free text.
    #[serde(default)]
    pub description: Option<String>,
}

/// Answer to [`ExportComponentsRequest`]: the part of the custodian who asks.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ExportComponentsResponse {
    /// One part.
    pub components: Vec<SobjectComponent>,
    /// The check value of the whole key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_kcv: Option<String>,
    /// The same, made by CMAC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_kcv_cmac: Option<String>,
    /// As in the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}
