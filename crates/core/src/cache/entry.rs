//! A key as the cache keeps it.

use std::fmt;
use std::sync::Arc;

use dsma_api::{ObjectType, Sobject};
use dsma_crypto::{AesKey, EcPrivateKey, EcPublicKey, Key, RsaPrivateKey, RsaPublicKey};
use serde_json::Value;
use uuid::Uuid;

/// A sobject and, where policy let it be exported, its prepared key.
pub struct CachedKey {
    kid: Uuid,
    sobject: Arc<Sobject>,
    local: Option<Key>,
}

impl CachedKey {
    /// The key id.
    #[must_use]
    pub const fn kid(&self) -> Uuid {
        self.kid
    }

    /// What DSM says of it, without its value.
    #[must_use]
    pub const fn sobject(&self) -> &Arc<Sobject> {
        &self.sobject
    }

    /// The key itself; `None` where only DSM can use it.
    #[must_use]
    pub const fn local(&self) -> Option<&Key> {
        self.local.as_ref()
    }

    /// From an exported sobject; the value is parsed and overwritten. Types that the engine does not know are forwarded.
    pub(crate) fn from_export(kid: Uuid, mut sobject: Sobject) -> Result<Self, dsma_crypto::Error> {
        let value = sobject.value.take();
        if is_restricted(&sobject) {
            return Ok(Self::remote(kid, sobject));
        }
        let local = match (sobject.obj_type, value) {
            (ObjectType::Aes, Some(value)) => Some(Key::Aes(AesKey::from_bytes(value.as_ref())?)),
            (ObjectType::Rsa, Some(value)) => Some(Key::Rsa(RsaPrivateKey::from_der(value.as_ref())?)),
            // A curve that the backend lacks is forwarded; a damaged key is an error.
            (ObjectType::Ec, Some(value)) => match EcPrivateKey::from_der(value.as_ref()) {
                Ok(key) => Some(Key::Ec(key)),
                Err(dsma_crypto::Error::Unsupported) => None,
                Err(error) => return Err(error),
            },
            (ObjectType::Rsa, None) => public(&sobject, |der| RsaPublicKey::from_der(der).map(Key::RsaPublic))?,
            (ObjectType::Ec, None) => public(&sobject, |der| EcPublicKey::from_spki_der(der).map(Key::EcPublic))?,
            _ => None,
        };
        Ok(Self { kid, sobject: Arc::new(sobject), local })
    }

    /// From a sobject that may not be exported.
    pub(crate) fn remote(kid: Uuid, mut sobject: Sobject) -> Self {
        sobject.value = None;
        Self { kid, sobject: Arc::new(sobject), local: None }
    }

    /// Estimate of the memory that it takes.
    pub(super) fn memory_size(&self) -> usize {
        size_of::<Self>() + 1024 + self.local.as_ref().map_or(0, Key::memory_size)
    }
}

impl fmt::Debug for CachedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CachedKey").field("kid", &self.kid).field("local", &self.local.is_some()).finish_non_exhaustive()
    }
}

/// Whether the sobject carries conditions of use that only DSM enforces: such a key stays remote although it was exported.
fn is_restricted(sobject: &Sobject) -> bool {
    let aes = sobject.aes.as_ref().and_then(Value::as_object);
    let mode = aes.is_some_and(|aes| aes.iter().any(|(name, value)| name != "key_sizes" && !value.is_null()));
    mode || sobject.fpe.as_ref().is_some_and(|fpe| !fpe.is_null())
        || sobject.google_access_reason_policy.as_ref().is_some_and(|policy| !policy.is_null())
        || sobject.deterministic_signatures == Some(true)
}

fn public(sobject: &Sobject, parse: impl Fn(&[u8]) -> Result<Key, dsma_crypto::Error>) -> Result<Option<Key>, dsma_crypto::Error> {
    match sobject.pub_key.as_ref().map(|der| parse(&der.0)) {
        Some(Ok(key)) => Ok(Some(key)),
        Some(Err(dsma_crypto::Error::Unsupported)) | None => Ok(None),
        Some(Err(error)) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn exported(extra: Value) -> CachedKey {
        let kid = Uuid::from_u128(7);
        let mut sobject = json!({
            "acct_id": kid, "kid": kid, "obj_type": "AES", "key_ops": ["ENCRYPT"], "enabled": true, "origin": "FortanixHSM",
            "public_only": false, "creator": "system", "created_at": "19700101T000000Z", "value": "AAECAwQFBgcICQoLDA0ODw==",
        });
        sobject.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        CachedKey::from_export(kid, serde_json::from_value(sobject).unwrap()).unwrap()
    }

    #[test]
    fn a_key_with_conditions_that_only_dsm_knows_stays_remote() {
        for free in [json!({}), json!({"aes": {"key_sizes": [128], "fpe": null}}), json!({"deterministic_signatures": false})] {
            assert!(exported(free.clone()).local().is_some(), "{free}");
        }
        for bound in [
            json!({"aes": {"cipher_mode": "GCM"}}),
            json!({"aes": {"random_iv": true}}),
            json!({"fpe": {"radix": 10, "min_length": 4, "max_length": 9, "preserve": []}}),
            json!({"deterministic_signatures": true}),
            json!({"google_access_reason_policy": {"allow": []}}),
        ] {
            assert!(exported(bound.clone()).local().is_none(), "{bound}");
        }
    }
}
