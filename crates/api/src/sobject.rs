//! Security objects: keys and certificates.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    Blob, EffectiveKeyPolicy, KeyLinks, KeyOperations, MlDsaOptions, MlKemOptions, Principal, PublishPublicKey, RotationPolicy, SecretBlob,
    SobjectExportPolicy, Time,
};

/// Names a sobject in a request: exactly one of its spellings.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "DescriptorFields", rename_all = "snake_case")]
pub enum SobjectDescriptor {
    /// By key id.
    Kid(Uuid),
    /// By name; names are unique within an account.
    Name(String),
    /// A sealed key that DSM does not store.
    TransientKey(String),
    /// The key itself, which DSM uses once.
    Inline(InlineKey),
}

/// Key material in the place of a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InlineKey {
    /// As for an import.
    pub value: SecretBlob,
    /// Type.
    pub obj_type: ObjectType,
}

/// By type alone: a secret is no text to tell keys apart by.
impl std::hash::Hash for InlineKey {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.obj_type.hash(state);
    }
}

/// Clients write absent alternatives as explicit nulls.
#[derive(Deserialize)]
struct DescriptorFields {
    kid: Option<Uuid>,
    name: Option<String>,
    transient_key: Option<String>,
    inline: Option<InlineKey>,
}

impl TryFrom<DescriptorFields> for SobjectDescriptor {
    type Error = &'static str;

    fn try_from(fields: DescriptorFields) -> Result<Self, Self::Error> {
        match fields {
            DescriptorFields { kid: Some(kid), name: None, transient_key: None, inline: None } => Ok(Self::Kid(kid)),
            DescriptorFields { kid: None, name: Some(name), transient_key: None, inline: None } => Ok(Self::Name(name)),
            DescriptorFields { kid: None, name: None, transient_key: Some(key), inline: None } => Ok(Self::TransientKey(key)),
            DescriptorFields { kid: None, name: None, transient_key: None, inline: Some(key) } => Ok(Self::Inline(key)),
            _ => Err("exactly one of kid, name, transient_key and inline expected"),
        }
    }
}

/// Type of a sobject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[expect(missing_docs, reason = "the names are DSM's own")]
pub enum ObjectType {
    Aes,
    Des,
    Des3,
    Rsa,
    Ec,
    Hmac,
    Secret,
    Opaque,
    Certificate,
    Mldsa,
    Mlkem,
    /// A type that this version does not know.
    #[serde(other)]
    Other,
}

/// Curve of an EC key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names are DSM's own")]
pub enum EllipticCurve {
    NistP192,
    NistP224,
    NistP256,
    NistP384,
    NistP521,
    SecP192K1,
    SecP224K1,
    SecP256K1,
    Ed25519,
    X25519,
    /// A curve that this version does not know.
    #[serde(other)]
    Other,
}

/// Life cycle state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names are DSM's own")]
pub enum SobjectState {
    PreActive,
    #[default]
    Active,
    Deactivated,
    Compromised,
    Destroyed,
    Deleted,
    /// A state that this version does not know: nothing is allowed in it.
    #[serde(other)]
    Other,
}

/// Where key material came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ObjectOrigin {
    /// Generated in DSM.
    FortanixHSM,
    /// Sealed, not stored.
    Transient,
    /// Imported.
    External,
    /// An origin that this version does not know.
    #[serde(other)]
    Other,
}

/// `rsa` of a sobject. Both policy lists are always present: the Rust client needs them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct RsaOptions {
    /// Modulus length in bits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_size: Option<u32>,
    /// Public exponent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_exponent: Option<u32>,
    /// Paddings allowed for encryption.
    #[serde(default)]
    pub encryption_policy: Vec<serde_json::Value>,
    /// Paddings allowed for signatures.
    #[serde(default)]
    pub signature_policy: Vec<serde_json::Value>,
}

/// A security object as DSM shows it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Sobject {
    /// Account.
    pub acct_id: Uuid,
    /// Id; absent for transient keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kid: Option<Uuid>,
    /// Name, unique within the account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Free text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The group whose members may use the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_id: Option<Uuid>,
    /// Type.
    pub obj_type: ObjectType,
    /// Size in bits; absent for EC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_size: Option<u32>,
    /// Curve of an EC key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elliptic_curve: Option<EllipticCurve>,
    /// RSA settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rsa: Option<RsaOptions>,
    /// ML-DSA settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mldsa: Option<MlDsaOptions>,
    /// ML-KEM settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mlkem: Option<MlKemOptions>,
    /// AES settings: restrictions of mode, IV and tag, and tokenization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aes: Option<serde_json::Value>,
    /// Tokenization: the format that the key's plaintexts have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fpe: Option<serde_json::Value>,
    /// Whether ECDSA signatures are made as in RFC 6979.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deterministic_signatures: Option<bool>,
    /// Access justifications that a use must name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub google_access_reason_policy: Option<serde_json::Value>,
    /// What the key allows.
    pub key_ops: KeyOperations,
    /// Whether it may be used at all.
    pub enabled: bool,
    /// Life cycle state.
    #[serde(default)]
    pub state: SobjectState,
    /// Where the material came from.
    pub origin: ObjectOrigin,
    /// No private half is stored.
    pub public_only: bool,
    /// EXPORT was never set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub never_exportable: Option<bool>,
    /// Who made it.
    pub creator: Principal,
    /// When it was made.
    pub created_at: Time,
    /// Last use; the epoch where never used.
    #[serde(default)]
    pub lastused_at: Time,
    /// First moment of use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activation_date: Option<Time>,
    /// End of protecting use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deactivation_date: Option<Time>,
    /// When it was compromised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compromise_date: Option<Time>,
    /// When its material was destroyed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destruction_date: Option<Time>,
    /// Why it was revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revocation_reason: Option<RevocationReason>,
    /// Free key-value pairs; PKCS#11 attributes live here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom_metadata: Option<BTreeMap<String, String>>,
    /// Related sobjects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub links: Option<KeyLinks>,
    /// When DSM rotates the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotation_policy: Option<RotationPolicy>,
    /// The next rotation by policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheduled_rotation: Option<Time>,
    /// How the material may leave DSM; unrestricted where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub export_policy: Option<SobjectExportPolicy>,
    /// Whether anybody may read the public key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub publish_public_key: Option<PublishPublicKey>,
    /// What the caller may do, where it asked for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effective_key_policy: Option<EffectiveKeyPolicy>,
    /// Key check value, upper-case hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kcv: Option<String>,
    /// SubjectPublicKeyInfo in DER.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pub_key: Option<Blob>,
    /// Key material, from export only: raw, PKCS#1 or SEC1 by type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<SecretBlob>,
    /// The sealed key in place of `kid`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transient_key: Option<String>,
}

/// Body of `POST|PUT|PATCH /crypto/v1/keys`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct SobjectRequest {
    /// Name, unique within the account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Free text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Target group; the app's default group where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_id: Option<Uuid>,
    /// Type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub obj_type: Option<ObjectType>,
    /// Size in bits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_size: Option<u32>,
    /// Curve.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elliptic_curve: Option<EllipticCurve>,
    /// RSA public exponent (legacy spelling).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pub_exponent: Option<u32>,
    /// RSA settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rsa: Option<RsaOptions>,
    /// AES settings: restrictions of mode, IV and tag, and tokenization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aes: Option<serde_json::Value>,
    /// Tokenization: the format of the key's plaintexts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fpe: Option<serde_json::Value>,
    /// Whether signatures are the same for the same message, where the request does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deterministic_signatures: Option<bool>,
    /// ML-DSA settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mldsa: Option<MlDsaOptions>,
    /// ML-KEM settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mlkem: Option<MlKemOptions>,
    /// Key material to import.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<SecretBlob>,
    /// Wire names: the server refuses one that it does not know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_ops: Option<Vec<String>>,
    /// Whether it may be used at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Initial state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<SobjectState>,
    /// First moment of use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activation_date: Option<Time>,
    /// End of protecting use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deactivation_date: Option<Time>,
    /// Free key-value pairs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom_metadata: Option<BTreeMap<String, String>>,
    /// Related sobjects: `parent` alone may be set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub links: Option<KeyLinks>,
    /// When DSM rotates the key; `{}` ends it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotation_policy: Option<RotationPolicy>,
    /// How the material may leave DSM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub export_policy: Option<SobjectExportPolicy>,
    /// Whether anybody may read the public key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub publish_public_key: Option<PublishPublicKey>,
    /// Check value that imported material must have, in hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kcv: Option<String>,
    /// Seal instead of store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transient: Option<bool>,
    /// Everything else that was sent: settings that the server refuses where it does not follow them.
    #[serde(flatten)]
    pub others: serde_json::Map<String, serde_json::Value>,
}

/// Why a sobject was revoked.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RevocationReason {
    /// `KeyCompromise` and `CACompromise` make the state `Compromised`, the others `Deactivated`.
    pub code: String,
    /// Free text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The wire's own spelling.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compromise_occurance_date: Option<Time>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptor_takes_one_spelling_and_ignores_nulls() {
        let kid = Uuid::nil();
        let text = format!(r#"{{"kid":"{kid}","name":null,"transient_key":null}}"#);
        assert_eq!(serde_json::from_str::<SobjectDescriptor>(&text).unwrap(), SobjectDescriptor::Kid(kid));
        for bad in [r"{}", r#"{"kid":null}"#, &format!(r#"{{"kid":"{kid}","name":"x"}}"#)] {
            assert!(serde_json::from_str::<SobjectDescriptor>(bad).is_err(), "{bad}");
        }
        assert_eq!(serde_json::to_string(&SobjectDescriptor::Name("a b".into())).unwrap(), r#"{"name":"a b"}"#);
    }

    #[test]
    fn a_newer_type_does_not_fail_a_listing() {
        assert_eq!(serde_json::from_str::<ObjectType>(r#""LEDABETA""#).unwrap(), ObjectType::Other);
        assert_eq!(serde_json::from_str::<EllipticCurve>(r#""Ed448""#).unwrap(), EllipticCurve::Other);
    }
}
