//! The paddings that an RSA key's own policy allows.
//!
//! A policy is a list of alternatives (`rsa.encryption_policy`, `rsa.signature_policy`): `{}` allows everything, `{"padding":{..}}` one
//! padding, whose hash may be left open. A form that is not known here allows nothing.

use serde_json::Value;

use crate::{HashAlgorithm, RsaEncryptionPadding, RsaOptions, RsaSignaturePadding};

impl RsaOptions {
    /// Whether the key may encrypt and decrypt with this padding.
    #[must_use]
    pub fn allows_encryption(&self, padding: RsaEncryptionPadding) -> bool {
        let (name, hash) = match padding {
            RsaEncryptionPadding::Oaep(oaep) => ("OAEP", Some(oaep.mgf.hash())),
            RsaEncryptionPadding::Pkcs1V15 {} => ("PKCS1_V15", None),
            RsaEncryptionPadding::RawDecrypt {} => ("RAW_DECRYPT", None),
        };
        self.encryption_policy.iter().any(|alternative| allows(alternative, name, hash))
    }

    /// Whether the key may sign and verify with this padding.
    #[must_use]
    pub fn allows_signature(&self, padding: RsaSignaturePadding) -> bool {
        let (name, hash) = match padding {
            RsaSignaturePadding::Pss(pss) => ("PSS", Some(pss.mgf.hash())),
            RsaSignaturePadding::Pkcs1V15 {} => ("PKCS1_V15", None),
        };
        self.signature_policy.iter().any(|alternative| allows(alternative, name, hash))
    }

    /// Whether the key may sign without any padding: only where an alternative leaves the padding open, for none can name its absence.
    #[must_use]
    pub fn allows_unpadded_signature(&self) -> bool {
        self.signature_policy.iter().any(|alternative| allows(alternative, "", None))
    }
}

fn allows(alternative: &Value, name: &str, hash: Option<HashAlgorithm>) -> bool {
    let Some(alternative) = alternative.as_object() else { return false };
    if alternative.keys().any(|key| key != "padding") {
        return false;
    }
    match alternative.get("padding") {
        None | Some(Value::Null) => true,
        Some(padding) => padding.get(name).is_some_and(|parameters| allows_hash(parameters, hash)),
    }
}

fn allows_hash(parameters: &Value, hash: Option<HashAlgorithm>) -> bool {
    match parameters.get("mgf") {
        None | Some(Value::Null) => true,
        Some(mgf) => match mgf.get("mgf1").map(|mgf1| mgf1.get("hash")) {
            Some(None | Some(Value::Null)) => true,
            Some(Some(Value::String(allowed))) => hash.is_some() && HashAlgorithm::from_name(allowed) == hash,
            _ => false,
        },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn alternatives() {
        let sha256 = Some(HashAlgorithm::Sha256);
        for (alternative, name, hash, allowed) in [
            (json!({}), "PSS", sha256, true),
            (json!({"padding": null}), "PKCS1_V15", None, true),
            (json!({"padding": {"OAEP": {}}}), "OAEP", sha256, true),
            (json!({"padding": {"OAEP": {}}}), "PKCS1_V15", None, false),
            (json!({"padding": {"OAEP": {"mgf": {"mgf1": {"hash": "SHA256"}}}}}), "OAEP", sha256, true),
            (json!({"padding": {"OAEP": {"mgf": {"mgf1": {"hash": "SHA1"}}}}}), "OAEP", sha256, false),
            (json!({"padding": {"OAEP": {"mgf": {"mgf9": {}}}}}), "OAEP", sha256, false),
            (json!({"unknown": 1}), "PSS", sha256, false),
            (json!("PSS"), "PSS", sha256, false),
        ] {
            assert_eq!(allows(&alternative, name, hash), allowed, "{alternative} {name}");
        }
    }
}
