//! Settings of a sobject that are documents of their own: links, rotation, export, publication, parameter sets.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{SobjectDescriptor, Time};

/// Other sobjects that this one belongs to. Clients set `parent` alone; DSM keeps the rest, and the parent's `subkeys`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyLinks {
    /// The key that this one was rotated to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replacement: Option<Uuid>,
    /// The key that was rotated to this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced: Option<Uuid>,
    /// The key that this one is a copy of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copied_from: Option<Uuid>,
    /// Copies of this key.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub copied_to: Vec<Uuid>,
    /// Sobjects whose parent is this one, such as the certificates of a key.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub subkeys: Vec<Uuid>,
    /// The sobject that this one belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<Uuid>,
    /// The key that wraps this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wrapping_key: Option<Uuid>,
}

/// When DSM rotates a sobject by itself: an interval in days or in months.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RotationPolicy {
    /// Days between two rotations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval_days: Option<u32>,
    /// Months between two rotations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval_months: Option<u32>,
    /// The first rotation; an interval from now where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effective_at: Option<Time>,
    /// Whether the old key is deactivated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deactivate_rotated_key: Option<bool>,
    /// Copies that are rotated along: `"all_external"` or `{"select":[..]}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotate_copied_keys: Option<serde_json::Value>,
}

/// How the material of a sobject may leave DSM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "$type")]
pub enum ExportPolicy {
    /// As it is, or wrapped.
    Unrestricted,
    /// Wrapped by another key only.
    Wrapped {
        /// The keys that may wrap it.
        by: WrappingKeys,
    },
}

/// The keys of [`ExportPolicy::Wrapped`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "$type")]
pub enum WrappingKeys {
    /// Any key that may wrap.
    Any,
    /// These alone.
    Only {
        /// By id or by name.
        keys: Vec<SobjectDescriptor>,
    },
}

/// `export_policy` of a sobject.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SobjectExportPolicy {
    /// The policy.
    #[serde(flatten)]
    pub policy: ExportPolicy,
    /// Whether the policy may be relaxed later.
    #[serde(default)]
    pub allow_weakening: bool,
}

/// What a caller may do with a sobject, all policies and permissions taken together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EffectiveKeyPolicy {
    /// Operations.
    pub key_ops: crate::KeyOperations,
    /// Export.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub export_policy: Option<ExportPolicy>,
}

/// Whether anybody may read the public key, without a credential.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum PublishPublicKey {
    /// Yes.
    Enabled {
        /// The key before the last rotation as well.
        #[serde(default)]
        list_previous_version: bool,
    },
    /// No.
    Disabled,
}

/// `mldsa` of a sobject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MlDsaOptions {
    /// Parameter set.
    pub param_set: MlDsaParamSet,
}

/// Parameter sets of ML-DSA (FIPS 204).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names are DSM's own")]
pub enum MlDsaParamSet {
    MlDsa44,
    MlDsa65,
    MlDsa87,
}

/// `mlkem` of a sobject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MlKemOptions {
    /// Parameter set.
    pub param_set: MlKemParamSet,
}

/// Parameter sets of ML-KEM (FIPS 203).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names are DSM's own")]
pub enum MlKemParamSet {
    MlKem512,
    MlKem768,
    MlKem1024,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wire_spellings() {
        let kid = Uuid::nil();
        let links: KeyLinks = serde_json::from_str(&format!(r#"{{"copiedFrom":"{kid}","parent":null}}"#)).unwrap();
        assert_eq!(links, KeyLinks { copied_from: Some(kid), ..KeyLinks::default() });
        let text = format!(r#"{{"$type":"Wrapped","by":{{"$type":"Only","keys":[{{"kid":"{kid}"}}]}},"allow_weakening":false}}"#);
        let policy: SobjectExportPolicy = serde_json::from_str(&text).unwrap();
        assert_eq!(serde_json::to_string(&policy).unwrap(), text);
        for text in [r#"{"state":"disabled"}"#, r#"{"state":"enabled","list_previous_version":true}"#] {
            let publish: PublishPublicKey = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&publish).unwrap(), text);
        }
    }
}
