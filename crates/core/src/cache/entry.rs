//! A key as the cache keeps it.

use std::fmt;
use std::sync::Arc;

use dsma_api::{ObjectType, Sobject};
use dsma_crypto::{AesKey, EcPrivateKey, EcPublicKey, Key, RsaPrivateKey, RsaPublicKey};
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

fn public(sobject: &Sobject, parse: impl Fn(&[u8]) -> Result<Key, dsma_crypto::Error>) -> Result<Option<Key>, dsma_crypto::Error> {
    match sobject.pub_key.as_ref().map(|der| parse(&der.0)) {
        Some(Ok(key)) => Ok(Some(key)),
        Some(Err(dsma_crypto::Error::Unsupported)) | None => Ok(None),
        Some(Err(error)) => Err(error),
    }
}
