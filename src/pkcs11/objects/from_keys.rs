//! Token keys that DSM makes from other keys, so that their material never leaves it.

use std::sync::Arc;

use cryptoki_sys::*;
use dsma_api::{Sobject, SobjectRequest};
use dsma_core::Accelerator;

use super::KeyKind;
use super::draft::{Draft, example};
use super::stored::{self, Shown, Wanted};
use crate::pkcs11::sessions::Session;
use crate::pkcs11::{Error, Result};

/// A length that a secret of any type may have.
const USUAL_LEN: usize = 32;

impl Draft<'_> {
    /// Whether DSM makes the token key that is wanted, a secret of so many bytes, from another one. It does not say for triple DES how
    /// its parity comes about, and tells no check value before the key is there.
    pub(in crate::pkcs11) fn is_derived_by_dsm(&self, len: usize) -> bool {
        let kind = self.key_type().and_then(example).filter(|kind| kind.is_secret() && *kind != KeyKind::Des3);
        self.is_token() && !self.has_check_value() && kind.is_some_and(|kind| stored::of_kind(kind, Some(len)).is_ok())
    }

    /// Has DSM make a secret key of so many bytes; `send` asks for it.
    ///
    /// # Errors
    /// [`Error::KeySizeRange`] for a length that the type does not have; [`Error::TemplateInconsistent`] for a token key that may be
    /// read, unless the configuration allows it; what `send` answers.
    pub(in crate::pkcs11) fn derive_in_dsm(
        self,
        session: &Session,
        len: usize,
        send: impl FnOnce(&Accelerator, SobjectRequest) -> Result<Arc<Sobject>>,
    ) -> Result<CK_OBJECT_HANDLE> {
        let kind = self.key_type().and_then(example).ok_or(Error::TemplateInconsistent)?;
        if kind == KeyKind::Aes && !matches!(len, 16 | 24 | 32) {
            return Err(Error::KeySizeRange);
        }
        let (part, request) = (stored::part(self.class()), stored::of_kind(kind, Some(len))?);
        let attributes = self.completed(session, kind)?;
        let wanted = Wanted { key_size: request.key_size, request, kind, otherwise: Error::DeviceError };
        stored::make_from(session, wanted, Shown { part, attributes: &attributes }, send)
    }

    /// Whether DSM makes the token key that is wanted of key material that it decrypts: `Some` with its kind. It must be of a kind that
    /// is known before the material is, and nothing in the template may want the material checked.
    pub(in crate::pkcs11) fn unwrapped_by_dsm(&self) -> Option<KeyKind> {
        let kind = self.key_type().and_then(example)?;
        let known = match self.class() {
            CKO_SECRET_KEY => kind != KeyKind::ChaCha20,
            CKO_PRIVATE_KEY => !matches!(kind, KeyKind::MlDsa(_) | KeyKind::MlKem(_)),
            _ => false,
        };
        let checked =
            self.has_check_value() || [CKA_VALUE_LEN, CKA_EC_PARAMS, CKA_PUBLIC_KEY_INFO].iter().any(|kind| self.get(*kind).is_some());
        (known && self.is_token() && !checked).then_some(kind)
    }

    /// Has DSM make a key of material that it decrypts. `len` is that of a secret, where the mechanism tells it; else DSM finds out whether
    /// it is one that it keeps.
    ///
    /// # Errors
    /// [`Error::WrappedKeyLenRange`] and [`Error::WrappedKeyInvalid`] for material of another key; else as [`Draft::derive_in_dsm`].
    pub(in crate::pkcs11) fn unwrap_in_dsm(
        self,
        session: &Session,
        kind: KeyKind,
        len: Option<usize>,
        send: impl FnOnce(&Accelerator, SobjectRequest) -> Result<Arc<Sobject>>,
    ) -> Result<CK_OBJECT_HANDLE> {
        let fits = match self.key_type() {
            Some(CKK_AES) => len.is_none_or(|len| matches!(len, 16 | 24 | 32)),
            Some(CKK_DES2) => len.is_none_or(|len| len == 16),
            Some(CKK_DES3) => len.is_none_or(|len| len == 24),
            _ => true,
        };
        if !fits {
            return Err(Error::WrappedKeyLenRange);
        }
        let part = stored::part(self.class());
        let attributes = self.completed(session, kind)?;
        let request = stored::of_kind(kind, len.or(Some(USUAL_LEN)))?;
        // A secret is of the type that DSM is told, and of any length.
        let otherwise = if kind.is_secret() { Error::WrappedKeyLenRange } else { Error::WrappedKeyInvalid };
        let key_size = request.key_size.filter(|_| len.is_some());
        // The material tells its size and curve.
        let wanted = Wanted { request: SobjectRequest { key_size: None, elliptic_curve: None, ..request }, kind, key_size, otherwise };
        stored::make_from(session, wanted, Shown { part, attributes: &attributes }, send)
    }

    /// An empty one asks for none.
    fn has_check_value(&self) -> bool {
        self.get(CKA_CHECK_VALUE).is_some_and(|value| !value.is_empty())
    }
}
