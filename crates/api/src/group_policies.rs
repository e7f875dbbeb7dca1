//! What a group asks of the sobjects in it: types, sizes and operations, metadata, the way out.
//!
//! Source: `CryptographicPolicy`, `KeyMetadataPolicy` and `ExportPolicy` of the OpenAPI, and Fortanix' guide to cryptographic policies: a
//! type that a policy does not name is not allowed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{ExportPolicy, KeyOperations, ObjectType, Operation, QuorumPolicy, Sobject, Time};

/// The policies of a group, approval apart.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct GroupPolicies {
    /// Who may hold parts of keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custodian_policy: Option<QuorumPolicy>,
    /// What sobjects there may be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cryptographic_policy: Option<CryptographicPolicy>,
    /// How material may leave, beside what each sobject says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub export_policy: Option<ExportPolicy>,
    /// What must be written to a sobject.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_metadata_policy: Option<KeyMetadataPolicy>,
}

/// What happens to sobjects that were there before a policy, and do not comply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LegacyKeyPolicy {
    /// They go on.
    #[default]
    Allowed,
    /// They cannot be used.
    Prohibited,
    /// They open what they once protected, and protect nothing new.
    UnprotectOnly,
}

/// Which sobjects a group may hold.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[expect(missing_docs, reason = "a member for each type, named as on the wire")]
pub struct CryptographicPolicy {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aes: Option<SizePolicy>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub des3: Option<SizePolicy>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hmac: Option<MinimumPolicy>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rsa: Option<RsaPolicy>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ec: Option<CurvePolicy>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub legacy_policy: Option<LegacyKeyPolicy>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_ops: Option<KeyOperations>,
    /// Types that have no settings: whether they are there is all that counts.
    #[serde(flatten)]
    pub others: Map<String, Value>,
}

/// Sizes of a type.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct SizePolicy {
    /// Bits; any where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_sizes: Option<Vec<u32>>,
    /// Everything else.
    #[serde(flatten)]
    pub others: Map<String, Value>,
}

/// The least size of a type.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct MinimumPolicy {
    /// Bits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum_key_length: Option<u32>,
}

/// RSA keys.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct RsaPolicy {
    /// Bits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum_key_length: Option<u32>,
    /// Paddings that a key may name for encryption.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption_policy: Option<Vec<Value>>,
    /// Paddings that a key may name for signatures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature_policy: Option<Vec<Value>>,
}

/// EC keys.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct CurvePolicy {
    /// Wire names; any where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elliptic_curves: Option<Vec<String>>,
}

/// What must be written to a sobject.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct KeyMetadataPolicy {
    /// For every type that `for_obj_type` does not name.
    pub base: MetadataPolicyItem,
    /// By wire name of the type.
    pub for_obj_type: BTreeMap<String, MetadataPolicyItem>,
    /// What happens to sobjects that do not comply.
    pub legacy_objects: LegacyKeyPolicy,
}

/// Constraints on one type.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[expect(missing_docs, reason = "as in a sobject")]
pub struct MetadataPolicyItem {
    pub custom_metadata: BTreeMap<String, StringConstraint>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<StringConstraint>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activation_date: Option<DurationConstraint>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deactivation_date: Option<DurationConstraint>,
}

/// Whether a text is there, and what it says.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StringConstraint {
    /// It is not there.
    Forbidden {},
    /// It is there.
    Required {
        /// Not only white space.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        non_empty_after_trim: Option<bool>,
        /// One of these, where there are any.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        allowed_values: Option<Vec<String>>,
    },
}

/// Whether a date is there, and how far after the creation.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DurationConstraint {
    /// It is not there.
    Forbidden {},
    /// It is there.
    Required {
        /// Within these bounds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        allowed_values: Option<RestrictedDuration>,
    },
}

/// Bounds of a duration.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct RestrictedDuration {
    /// At least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<TimeSpan>,
    /// At most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<TimeSpan>,
    /// Where a request says nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<TimeSpan>,
}

/// A duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names are units")]
pub enum TimeSpan {
    Seconds(u32),
    Minutes(u32),
    Hours(u32),
    Days(u32),
}

impl TimeSpan {
    /// In seconds.
    #[must_use]
    pub fn seconds(self) -> i64 {
        match self {
            Self::Seconds(count) => i64::from(count),
            Self::Minutes(count) => i64::from(count) * 60,
            Self::Hours(count) => i64::from(count) * 3600,
            Self::Days(count) => i64::from(count) * 86_400,
        }
    }
}

impl LegacyKeyPolicy {
    /// Whether a sobject that does not comply may still do this.
    #[must_use]
    pub const fn allows(self, operation: Operation) -> bool {
        match self {
            Self::Allowed => true,
            Self::Prohibited => matches!(operation, Operation::Info | Operation::Manage),
            Self::UnprotectOnly => matches!(
                operation,
                Operation::Info
                    | Operation::Manage
                    | Operation::Decrypt
                    | Operation::Verify
                    | Operation::MacVerify
                    | Operation::UnwrapKey
                    | Operation::Decapsulate
            ),
        }
    }
}

impl CryptographicPolicy {
    /// What of this sobject is not allowed, as a sentence; `None` where it complies.
    #[must_use]
    pub fn violation(&self, sobject: &Sobject) -> Option<String> {
        let refuse = |what: String| Some(format!("The cryptographic policy of the group does not allow {what}"));
        if let Some(op) = self.key_ops.and_then(|allowed| sobject.key_ops.iter().find(|op| !allowed.contains(*op))) {
            return refuse(format!("the key operation {op}"));
        }
        let size = sobject.key_size.unwrap_or_default();
        let sizes = |policy: &SizePolicy| policy.key_sizes.as_ref().is_none_or(|sizes| sizes.contains(&size));
        let least = |least: Option<u32>| least.is_none_or(|least| size >= least);
        let name = serde_json::to_value(sobject.obj_type).unwrap_or_default().as_str().unwrap_or_default().to_owned();
        let fits = match sobject.obj_type {
            ObjectType::Aes => self.aes.as_ref().map(sizes),
            ObjectType::Des3 => self.des3.as_ref().map(sizes),
            ObjectType::Hmac => self.hmac.as_ref().map(|policy| least(policy.minimum_key_length)),
            ObjectType::Rsa => match &self.rsa {
                Some(policy) => {
                    if let Some(what) = policy.forbidden_padding(sobject) {
                        return refuse(what.to_owned());
                    }
                    Some(least(policy.minimum_key_length))
                }
                None => None,
            },
            ObjectType::Ec => match self.ec.as_ref().map(|policy| &policy.elliptic_curves) {
                Some(Some(curves)) => {
                    let curve = serde_json::to_value(sobject.elliptic_curve).unwrap_or_default();
                    if !curves.iter().any(|name| curve == name.as_str()) {
                        return refuse(format!("the curve {}", curve.as_str().unwrap_or_default()));
                    }
                    Some(true)
                }
                Some(None) => Some(true),
                None => None,
            },
            _ => self.others.get(&name.to_lowercase()).filter(|setting| !setting.is_null()).map(|_| true),
        };
        match fits {
            Some(true) => None,
            Some(false) => refuse(format!("{name} keys of {size} bits")),
            None => refuse(format!("sobjects of type {name}")),
        }
    }
}

impl RsaPolicy {
    /// A key may name what the group names; an empty constraint is everything.
    fn forbidden_padding(&self, sobject: &Sobject) -> Option<&'static str> {
        let named = |allowed: &Option<Vec<Value>>, key: &[Value]| {
            allowed.as_ref().is_none_or(|allowed| {
                let free = allowed.iter().any(|entry| entry.as_object().is_some_and(Map::is_empty));
                free || key.iter().all(|entry| allowed.contains(entry))
            })
        };
        let rsa = sobject.rsa.as_ref()?;
        if !named(&self.encryption_policy, &rsa.encryption_policy) {
            return Some("the key's rsa.encryption_policy: it names a padding that the group's does not");
        }
        (!named(&self.signature_policy, &rsa.signature_policy))
            .then_some("the key's rsa.signature_policy: it names a padding that the group's does not")
    }
}

impl KeyMetadataPolicy {
    /// What of this sobject's metadata is not allowed, as a sentence; `None` where it complies.
    #[must_use]
    pub fn violation(&self, sobject: &Sobject) -> Option<String> {
        let name = serde_json::to_value(sobject.obj_type).unwrap_or_default();
        let item = self.for_obj_type.get(name.as_str().unwrap_or_default()).unwrap_or(&self.base);
        let metadata = sobject.custom_metadata.as_ref();
        let texts = item
            .custom_metadata
            .iter()
            .map(|(key, constraint)| (format!("custom_metadata.{key}"), Some(constraint), metadata.and_then(|pairs| pairs.get(key))))
            .chain([("description".to_owned(), item.description.as_ref(), sobject.description.as_ref())]);
        let text = texts.filter_map(|(name, constraint, value)| constraint?.violation(value).map(|what| (name, what))).next();
        // An activation at once is no date of the request.
        let start = sobject.activation_date.filter(|start| *start > sobject.created_at);
        let dates =
            [("activation_date", &item.activation_date, start), ("deactivation_date", &item.deactivation_date, sobject.deactivation_date)];
        let date = || {
            let mut wrong = dates.into_iter().filter_map(|(name, constraint, date)| {
                constraint.as_ref()?.violation(sobject.created_at, date).map(|what| (name.to_owned(), what))
            });
            wrong.next()
        };
        let (name, what) = text.or_else(date)?;
        Some(format!("The key metadata policy of the group does not allow this: `{name}` {what}"))
    }
}

impl StringConstraint {
    fn violation(&self, value: Option<&String>) -> Option<&'static str> {
        match (self, value) {
            (Self::Forbidden {}, None) => None,
            (Self::Forbidden {}, Some(_)) => Some("must not be there"),
            (Self::Required { .. }, None) => Some("must be there"),
            (Self::Required { non_empty_after_trim: Some(true), .. }, Some(value)) if value.trim().is_empty() => Some("must not be blank"),
            (Self::Required { allowed_values: Some(allowed), .. }, Some(value)) if !allowed.is_empty() && !allowed.contains(value) => {
                Some("has a value that is not among those allowed")
            }
            (Self::Required { .. }, Some(_)) => None,
        }
    }
}

impl DurationConstraint {
    fn violation(&self, created_at: Time, date: Option<Time>) -> Option<&'static str> {
        match (self, date) {
            (Self::Forbidden {}, None) => None,
            (Self::Forbidden {}, Some(_)) => Some("must not be there"),
            (Self::Required { .. }, None) => Some("must be there"),
            (Self::Required { allowed_values }, Some(date)) => {
                let after = date.0 - created_at.0;
                let bounds = allowed_values.as_ref()?;
                let early = bounds.min.is_some_and(|min| after < min.seconds());
                let late = bounds.max.is_some_and(|max| after > max.seconds());
                (early || late).then_some("lies outside of the span that is allowed after the creation")
            }
        }
    }
}

#[cfg(test)]
mod tests;
