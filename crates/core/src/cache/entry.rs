//! A key as the cache keeps it.

use std::fmt;
use std::sync::Arc;

use dsma_api::{EllipticCurve, ObjectType, SecretBlob, Sobject};
use dsma_crypto::{
    AesKey, Des3Key, EcPrivateKey, EcPublicKey, Ed25519PrivateKey, Ed25519PublicKey, HmacKey, Key, MlDsaPrivateKey, MlKemPrivateKey,
    RsaPrivateKey, RsaPublicKey, X25519PrivateKey,
};
use dsma_fpe::Format;
use serde_json::Value;
use uuid::Uuid;

/// A sobject and, where policy let it be exported, its prepared key.
pub struct CachedKey {
    kid: Uuid,
    sobject: Arc<Sobject>,
    local: Option<Key>,
    tokens: Option<Box<Tokens>>,
}

/// An AES key that does nothing but make tokens of texts.
pub(crate) struct Tokens {
    pub(crate) key: AesKey,
    pub(crate) format: Format,
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

    /// The key with its format, where it makes tokens and was exported. It has no [`CachedKey::local`].
    pub(crate) fn tokens(&self) -> Option<&Tokens> {
        self.tokens.as_deref()
    }

    /// From an exported sobject; the value is parsed and overwritten. Types that the engine does not know are forwarded.
    pub(crate) fn from_export(kid: Uuid, mut sobject: Sobject) -> Result<Self, dsma_crypto::Error> {
        let value = sobject.value.take();
        if is_restricted(&sobject) {
            return Ok(Self { tokens: Tokens::read(&sobject, value.as_ref())?.map(Box::new), ..Self::remote(kid, sobject) });
        }
        let local = match (sobject.obj_type, value) {
            (ObjectType::Aes, Some(value)) => Some(Key::Aes(AesKey::from_bytes(value.as_ref())?)),
            (ObjectType::Des3, Some(value)) => Some(Key::Des3(Des3Key::from_bytes(value.as_ref())?)),
            (ObjectType::Mldsa, Some(value)) => Some(Key::MlDsa(MlDsaPrivateKey::from_der(value.as_ref())?)),
            (ObjectType::Mlkem, Some(value)) => Some(Key::MlKem(MlKemPrivateKey::from_der(value.as_ref())?)),
            (ObjectType::Hmac, Some(value)) => Some(Key::Hmac(HmacKey::from_bytes(value.as_ref())?)),
            // Bytes to derive keys from, which is all that DSM lets a SECRET do.
            (ObjectType::Secret, Some(value)) => HmacKey::from_bytes(value.as_ref()).ok().map(Key::Hmac),
            (ObjectType::Rsa, Some(value)) => Some(Key::Rsa(RsaPrivateKey::from_der(value.as_ref())?)),
            (ObjectType::Ec, Some(value)) if sobject.elliptic_curve == Some(EllipticCurve::X25519) => {
                Some(Key::X25519(X25519PrivateKey::from_der(value.as_ref())?))
            }
            (ObjectType::Ec, Some(value)) => curve_key(
                &sobject,
                || EcPrivateKey::from_der(value.as_ref()).map(Key::Ec),
                || Ed25519PrivateKey::from_der(value.as_ref()).map(Key::Ed25519),
            )?,
            (ObjectType::Rsa, None) => match &sobject.pub_key {
                Some(der) => Some(Key::RsaPublic(RsaPublicKey::from_der(&der.0)?)),
                None => None,
            },
            (ObjectType::Ec, None) => match &sobject.pub_key {
                Some(der) => curve_key(
                    &sobject,
                    || EcPublicKey::from_spki_der(&der.0).map(Key::EcPublic),
                    || Ed25519PublicKey::from_spki_der(&der.0).map(Key::Ed25519Public),
                )?,
                None => None,
            },
            _ => None,
        };
        Ok(Self { kid, sobject: Arc::new(sobject), local, tokens: None })
    }

    /// From a sobject that may not be exported.
    pub(crate) fn remote(kid: Uuid, mut sobject: Sobject) -> Self {
        sobject.value = None;
        Self { kid, sobject: Arc::new(sobject), local: None, tokens: None }
    }

    /// Estimate of the memory that it takes.
    pub(super) fn memory_size(&self) -> usize {
        let tokens = if self.tokens.is_some() { 16 << 10 } else { 0 };
        size_of::<Self>() + 1024 + tokens + self.local.as_ref().map_or(0, Key::memory_size)
    }
}

impl fmt::Debug for CachedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CachedKey").field("kid", &self.kid).field("local", &self.local.is_some()).finish_non_exhaustive()
    }
}

impl Tokens {
    /// None where the sobject carries other conditions than its format, or one whose tokens this version might make otherwise than DSM:
    /// those would be wrong in silence.
    fn read(sobject: &Sobject, value: Option<&SecretBlob>) -> Result<Option<Self>, dsma_crypto::Error> {
        let (Some(value), ObjectType::Aes, Ok(format)) = (value, sobject.obj_type, Format::of(sobject)) else { return Ok(None) };
        let aes = sobject.aes.as_ref().and_then(Value::as_object);
        let free = format.is_determined()
            && aes.is_none_or(|aes| aes.iter().all(|(name, value)| matches!(&**name, "key_sizes" | "fpe") || value.is_null()))
            && sobject.google_access_reason_policy.as_ref().is_none_or(Value::is_null);
        Ok(if free { Some(Self { key: AesKey::from_bytes(value.as_ref())?, format }) } else { None })
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

/// A key of type EC by its curve. One that the backend cannot sign on is forwarded; a damaged key is an error.
fn curve_key(
    sobject: &Sobject,
    weierstrass: impl FnOnce() -> Result<Key, dsma_crypto::Error>,
    ed25519: impl FnOnce() -> Result<Key, dsma_crypto::Error>,
) -> Result<Option<Key>, dsma_crypto::Error> {
    let key = match sobject.elliptic_curve {
        Some(EllipticCurve::Ed25519) => ed25519(),
        Some(EllipticCurve::X25519 | EllipticCurve::Other) => return Ok(None),
        _ => weierstrass(),
    };
    match key {
        Err(dsma_crypto::Error::Unsupported) => Ok(None),
        key => key.map(Some),
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

    /// DSM calls them EC, but they have an encoding of their own: RFC 8410, 10.3, and the X25519 key of RFC 7748, 6.1.
    #[test]
    fn keys_on_curve25519_are_ec_too() {
        let curve = |name: &str, value: &str, public: &str| {
            let value = (!value.is_empty()).then_some(value);
            exported(json!({"obj_type": "EC", "elliptic_curve": name, "value": value, "pub_key": public}))
        };
        let public = "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=";
        let private = curve("Ed25519", "MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC", public);
        assert!(matches!(private.local(), Some(Key::Ed25519(_))));
        assert!(matches!(curve("Ed25519", "", public).local(), Some(Key::Ed25519Public(_))));
        let public = "MCowBQYDK2VuAyEAhSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=";
        let agreement = curve("X25519", "MC4CAQAwBQYDK2VuBCIEIHcHbQpzGKV9PBbBclGyZkXfTC+S68CZmat3+4fFHbkq", public);
        assert!(matches!(agreement.local(), Some(Key::X25519(_))));
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
