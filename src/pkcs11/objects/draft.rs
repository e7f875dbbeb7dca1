//! A new object on its way: what its template says, completed and checked, until the key material is there.
//!
//! Every function that makes objects goes this way, whatever chapter it belongs to: [`Draft::new`] first, so that a bad template is
//! refused before any work is done, then one of the `finish` functions with the material.

mod defaults;
mod pair;

use std::sync::Arc;

use cryptoki_sys::*;

pub(in crate::pkcs11) use self::pair::{NewPair, generate_in_dsm};
use super::dsm::Part;
use super::heritage::Heritage;
use super::key::{self, LocalKey};
use super::local::LocalObject;
use super::object::{Body, Object};
use super::stored::Shown;
use super::table::{self, NOT_CREATED, NOT_GENERATED, NOT_UNWRAPPED, OFFICER, OURS};
use super::template::Attributes;
use super::{KeyKind, check_value, next_handle, numbers, stored};
use crate::pkcs11::ffi::Template;
use crate::pkcs11::sessions::Session;
use crate::pkcs11::token::Who;
use crate::pkcs11::{Error, Result};

/// What brings an object into being.
#[derive(Clone, Copy)]
pub(in crate::pkcs11) enum Origin<'o> {
    /// C_CreateObject: all of it is in the template.
    Created,
    /// C_GenerateKey and C_GenerateKeyPair, with this mechanism.
    Generated(CK_MECHANISM_TYPE),
    /// C_UnwrapKey and its kin, by this key.
    Unwrapped(&'o Object),
    /// C_DeriveKey from this key, with what the new one takes over of the protection of all keys that it is made of.
    Derived(&'o Object, Heritage),
    /// C_EncapsulateKey, by this key.
    Encapsulated(&'o Object),
    /// C_DecapsulateKey, by this key.
    Decapsulated(&'o Object),
}

impl Origin<'_> {
    /// What the key that makes the new one says of it (CKA_UNWRAP_TEMPLATE and its kin).
    fn implied(self) -> Option<Attributes> {
        match self {
            Origin::Created | Origin::Generated(_) => None,
            Origin::Unwrapped(key) => key.template(CKA_UNWRAP_TEMPLATE),
            Origin::Derived(key, _) => key.template(CKA_DERIVE_TEMPLATE),
            Origin::Encapsulated(key) => key.template(CKA_ENCAPSULATE_TEMPLATE),
            Origin::Decapsulated(key) => key.template(CKA_DECAPSULATE_TEMPLATE),
        }
    }
}

/// A checked template of an object that is to be made.
pub(in crate::pkcs11) struct Draft<'o> {
    class: CK_OBJECT_CLASS,
    /// For keys.
    key_type: Option<CK_KEY_TYPE>,
    attributes: Attributes,
    /// CKA_VALUE_LEN of derived data, which has no such attribute.
    data_len: Option<CK_ULONG>,
    origin: Origin<'o>,
}

impl<'o> Draft<'o> {
    /// Reads and checks a template. `class` and `key_type` are those that the function and its mechanism make, where there is one
    /// answer: the template may leave them out, and must not contradict. What the key behind `origin` says of its offspring counts as
    /// said in the template.
    ///
    /// # Errors
    /// Trap 23, in its order; [`Error::SessionReadOnly`] for a token object in a read-only session, [`Error::UserNotLoggedIn`] for a
    /// private one before login.
    pub(in crate::pkcs11) fn new(
        session: &Session,
        template: &Template<'_>,
        class: Option<CK_OBJECT_CLASS>,
        key_type: Option<CK_KEY_TYPE>,
        origin: Origin<'o>,
    ) -> Result<Self> {
        let mut attributes = Attributes::read(template)?;
        // A type that the key demands goes before the one that the function takes where nothing is said.
        let key_type = match origin.implied() {
            Some(implied) => {
                let demanded = attributes.get(CKA_KEY_TYPE).is_none() && implied.get(CKA_KEY_TYPE).is_some();
                attributes.add(&implied)?;
                key_type.filter(|_| !demanded)
            }
            None => key_type,
        };
        let class = agreed(attributes.number(CKA_CLASS), class)?;
        let key_type = match class {
            CKO_PUBLIC_KEY | CKO_PRIVATE_KEY | CKO_SECRET_KEY => Some(agreed(attributes.number(CKA_KEY_TYPE), key_type)?),
            CKO_DATA | CKO_CERTIFICATE => None,
            _ => return Err(Error::AttributeValueInvalid),
        };
        attributes.set_number(CKA_CLASS, class);
        let derives_data = class == CKO_DATA && matches!(origin, Origin::Derived(..));
        let data_len = attributes.number(CKA_VALUE_LEN).filter(|_| derives_data);
        if data_len.is_some() {
            attributes.remove(CKA_VALUE_LEN);
        }
        if let Some(key_type) = key_type {
            attributes.set_number(CKA_KEY_TYPE, key_type);
        }
        let draft = Self { class, key_type, attributes, data_len, origin };
        draft.check_attributes(session)?;
        draft.check_session(session)?;
        Ok(draft)
    }

    /// CKA_CLASS.
    pub(in crate::pkcs11) const fn class(&self) -> CK_OBJECT_CLASS {
        self.class
    }

    /// CKA_KEY_TYPE.
    pub(in crate::pkcs11) const fn key_type(&self) -> Option<CK_KEY_TYPE> {
        self.key_type
    }

    /// CKA_VALUE_LEN, where the template gives it.
    pub(in crate::pkcs11) fn value_len(&self) -> Option<usize> {
        self.attributes.number(CKA_VALUE_LEN).or(self.data_len).and_then(|len| usize::try_from(len).ok())
    }

    /// Sets an attribute that the template leaves out.
    pub(in crate::pkcs11) fn set_default(&mut self, kind: CK_ATTRIBUTE_TYPE, value: &[u8]) {
        self.attributes.set_default(kind, value);
    }

    /// What the template gives for another attribute.
    pub(in crate::pkcs11) fn get(&self, kind: CK_ATTRIBUTE_TYPE) -> Option<&[u8]> {
        self.attributes.get(kind)
    }

    /// All of it.
    pub(in crate::pkcs11) const fn attributes(&self) -> &Attributes {
        &self.attributes
    }

    /// Whether the object is to be kept in DSM.
    pub(in crate::pkcs11) fn is_token(&self) -> bool {
        self.attributes.flag(CKA_TOKEN) == Some(true)
    }

    /// Makes the object of C_CreateObject: all that it needs is in its template.
    ///
    /// # Errors
    /// [`Error::TemplateIncomplete`], [`Error::AttributeValueInvalid`] or [`Error::TemplateInconsistent`] for numbers that are no key;
    /// [`Error::DeviceMemory`]; for token objects what DSM says.
    pub(in crate::pkcs11) fn finish(self, session: &Session) -> Result<CK_OBJECT_HANDLE> {
        let key = match self.key_type {
            Some(key_type) => Some(numbers::key(self.class, key_type, &self.attributes)?),
            None => None,
        };
        self.finish_with(session, key)
    }

    /// Makes a secret key of these bytes.
    ///
    /// # Errors
    /// [`Error::KeySizeRange`] for a length that the type does not have, [`Error::TemplateInconsistent`] for another than
    /// CKA_VALUE_LEN; else as [`Draft::finish`].
    pub(in crate::pkcs11) fn finish_secret(self, session: &Session, bytes: &[u8]) -> Result<CK_OBJECT_HANDLE> {
        let key = LocalKey::secret(self.key_type.ok_or(Error::TemplateInconsistent)?, bytes)?;
        self.finish_with(session, Some(key))
    }

    /// Makes a secret key of bytes that were derived: as many of them as the template asks for.
    ///
    /// # Errors
    /// [`Error::KeySizeRange`] where there are not as many; else as [`Draft::finish_secret`].
    pub(in crate::pkcs11) fn finish_derived(self, session: &Session, bytes: &[u8]) -> Result<CK_OBJECT_HANDLE> {
        let bytes = bytes.get(..self.value_len().unwrap_or(bytes.len())).ok_or(Error::KeySizeRange)?;
        self.finish_secret(session, bytes)
    }

    /// Makes a data object of bytes that were derived.
    ///
    /// # Errors
    /// As [`Draft::finish`].
    pub(in crate::pkcs11) fn finish_data(mut self, session: &Session, bytes: &[u8]) -> Result<CK_OBJECT_HANDLE> {
        self.attributes.set(CKA_VALUE, bytes);
        self.finish_with(session, None)
    }

    /// Makes a private key of PKCS #8.
    ///
    /// # Errors
    /// [`Error::AttributeValueInvalid`] where it is no such key; else as [`Draft::finish`].
    pub(in crate::pkcs11) fn finish_private(self, session: &Session, pkcs8: &[u8]) -> Result<CK_OBJECT_HANDLE> {
        let key = LocalKey::private(self.key_type.ok_or(Error::TemplateInconsistent)?, pkcs8)?;
        self.finish_with(session, Some(key))
    }

    /// Makes the object with its key.
    ///
    /// # Errors
    /// As [`Draft::finish`].
    pub(in crate::pkcs11) fn finish_with(mut self, session: &Session, key: Option<LocalKey>) -> Result<CK_OBJECT_HANDLE> {
        if let Some(key) = &key {
            self.check_key(key)?;
        }
        self.complete(session, key.as_ref().map(LocalKey::kind))?;
        if self.is_token() {
            return stored::import(session, self.class, &self.attributes, key.as_ref());
        }
        if let Some(key) = &key {
            self.leave_out_what_tells(key);
        }
        let points = session.token.config().ec_point_encoding;
        let local = LocalObject::new(session.handle, self.class, self.attributes, key.map(Arc::new), points);
        session.hold(Object { handle: next_handle(), body: Body::Local(Box::new(local)) })
    }

    /// Has DSM make a secret key of so many bytes.
    ///
    /// # Errors
    /// [`Error::TemplateInconsistent`] for a key that DSM has no type for, and for one that may be read, unless the configuration allows
    /// it; what DSM says.
    pub(in crate::pkcs11) fn generate_in_dsm(self, session: &Session, len: usize) -> Result<CK_OBJECT_HANDLE> {
        let kind = self.key_type.and_then(example).ok_or(Error::TemplateInconsistent)?;
        let attributes = self.completed(session, kind)?;
        let shown = [Shown { part: Part::Secret, attributes: &attributes }];
        let handles = stored::generate(session, stored::of_kind(kind, Some(len))?, kind, &shown)?;
        handles.first().copied().ok_or(Error::GeneralError)
    }

    /// The attributes of a key that DSM is to make.
    ///
    /// # Errors
    /// [`Error::TemplateInconsistent`] for a token key that may be read, unless the configuration allows it.
    pub(super) fn completed(mut self, session: &Session, kind: KeyKind) -> Result<Attributes> {
        self.complete(session, Some(kind))?;
        Ok(self.attributes)
    }

    /// Each attribute belongs to such an object and may be given here.
    fn check_attributes(&self, session: &Session) -> Result {
        let is_officer = session.who() == Who::Officer;
        let kind = self.key_type.map(|key_type| example(key_type).ok_or(Error::AttributeValueInvalid)).transpose()?;
        let forbidden = OURS
            | match self.origin {
                Origin::Created => NOT_CREATED,
                Origin::Generated(_) => NOT_GENERATED,
                Origin::Unwrapped(_) | Origin::Derived(..) | Origin::Encapsulated(_) | Origin::Decapsulated(_) => NOT_UNWRAPPED,
            };
        for (attribute, _) in self.attributes.iter() {
            let rule = table::find(attribute, self.class, kind).or_else(|| table::any(attribute).filter(|rule| rule.has(OURS)));
            let rule = rule.ok_or(Error::TemplateInconsistent)?;
            // The standard's word is CKR_ATTRIBUTE_READ_ONLY; SoftHSM2 and kryoptic do not know the attribute here, and the
            // suites that were written for them insist.
            if attribute == CKA_UNIQUE_ID && session.token.config().conformance {
                return Err(Error::AttributeTypeInvalid);
            }
            if rule.has(forbidden) || (rule.has(OFFICER) && !is_officer && self.attributes.flag(attribute) == Some(true)) {
                return Err(Error::AttributeReadOnly);
            }
        }
        Ok(())
    }

    const fn is_hidden_key(&self) -> bool {
        matches!(self.class, CKO_PRIVATE_KEY | CKO_SECRET_KEY)
    }

    /// Traps 20 and 21.
    fn check_session(&self, session: &Session) -> Result {
        if self.is_token() && !session.read_write {
            return Err(Error::SessionReadOnly);
        }
        let is_private = self.attributes.flag(CKA_PRIVATE).unwrap_or_else(|| self.is_token() && self.is_hidden_key());
        if is_private && !session.sees_private() {
            return Err(Error::UserNotLoggedIn);
        }
        Ok(())
    }

    /// What the template says of the key is so.
    fn check_key(&self, key: &LocalKey) -> Result {
        for (attribute, given) in self.attributes.iter() {
            let real = match attribute {
                CKA_VALUE_LEN => key.secret_bytes().map(|bytes| (bytes.len() as CK_ULONG).to_ne_bytes().to_vec()),
                CKA_CHECK_VALUE => check_value::of(key),
                // A curve has two names, a point two forms; both were understood when the key was made of them.
                CKA_EC_PARAMS if key::curve(key.kind().key_type(), given) == Some(key.kind()) => continue,
                CKA_EC_POINT => continue,
                CKA_PARAMETER_SET | CKA_PUBLIC_KEY_INFO | CKA_EC_PARAMS => key.public_number(attribute),
                _ => continue,
            };
            // An empty value says that nothing is known, or in CKA_CHECK_VALUE that there shall be none.
            if real.is_some_and(|real| real != given) && !given.is_empty() {
                let is_value = matches!(attribute, CKA_CHECK_VALUE | CKA_PUBLIC_KEY_INFO);
                return Err(if is_value { Error::AttributeValueInvalid } else { Error::TemplateInconsistent });
            }
        }
        Ok(())
    }
}

/// What the template says and what the function makes: one of them is there, and they do not contradict.
fn agreed(given: Option<CK_ULONG>, made: Option<CK_ULONG>) -> Result<CK_ULONG> {
    match (given, made) {
        (Some(given), Some(made)) if given != made => Err(Error::TemplateInconsistent),
        (given, made) => given.or(made).ok_or(Error::TemplateIncomplete),
    }
}

/// A kind of key of this type, to look up which attributes such keys have.
pub(super) fn example(key_type: CK_KEY_TYPE) -> Option<KeyKind> {
    use dsma_crypto::{Curve, MlDsaSet, MlKemSet};
    Some(match key_type {
        CKK_AES => KeyKind::Aes,
        CKK_CHACHA20 => KeyKind::ChaCha20,
        CKK_DES2 | CKK_DES3 => KeyKind::Des3,
        CKK_RSA => KeyKind::Rsa,
        CKK_EC => KeyKind::Ec(Curve::P256),
        CKK_EC_EDWARDS => KeyKind::Ed25519,
        CKK_EC_MONTGOMERY => KeyKind::X25519,
        CKK_ML_DSA => KeyKind::MlDsa(MlDsaSet::MlDsa44),
        CKK_ML_KEM => KeyKind::MlKem(MlKemSet::MlKem512),
        _ if key::is_secret_type(key_type) => KeyKind::Secret(key_type),
        _ => return None,
    })
}
