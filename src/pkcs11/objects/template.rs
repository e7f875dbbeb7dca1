//! A caller's template, read once: known attributes of the right form, each given once.
//!
//! Values that may be secret are copied into memory that is overwritten when dropped.

use cryptoki_sys::*;
use zeroize::Zeroizing;

use super::table::{self, Form};
use crate::pkcs11::ffi::{Attribute, Template, is_array};
use crate::pkcs11::{Error, Result};

/// The longest value: the largest data object that DSM keeps has 512 KiB.
const LONGEST_VALUE: usize = 1 << 20;

/// Attributes with their values, by number.
#[derive(Clone, Default)]
pub(in crate::pkcs11) struct Attributes(Vec<(CK_ATTRIBUTE_TYPE, Zeroizing<Vec<u8>>)>);

impl Attributes {
    /// Reads a template (trap 23).
    ///
    /// # Errors
    /// In this order: [`Error::AttributeTypeInvalid`] for an unknown attribute, [`Error::AttributeValueInvalid`] for a value of another
    /// form, [`Error::TemplateInconsistent`] for one that is there twice.
    pub(in crate::pkcs11) fn read(template: &Template<'_>) -> Result<Self> {
        if template.iter()?.any(|attribute| table::any(attribute.kind()).is_none()) {
            return Err(Error::AttributeTypeInvalid);
        }
        let mut read = Self::default();
        let mut twice = false;
        for attribute in template.iter()? {
            let (kind, value) = (attribute.kind(), attribute.value());
            let form = table::any(kind).ok_or(Error::AttributeTypeInvalid)?.form;
            let nested;
            let bytes = if form == Form::Template {
                nested = Self::nested(&attribute)?;
                &nested
            } else {
                value.bytes().map_err(|_| Error::AttributeValueInvalid)?
            };
            if !form.holds(bytes) {
                return Err(Error::AttributeValueInvalid);
            }
            twice |= read.get(kind).is_some();
            read.set(kind, bytes);
        }
        if twice { Err(Error::TemplateInconsistent) } else { Ok(read) }
    }

    /// The value of an attribute that is an array of attributes, as it is kept (see [`Attributes::encode`]): in no particular order, so
    /// that two of them can be compared.
    ///
    /// # Errors
    /// [`Error::AttributeValueInvalid`] for what is no such array.
    pub(in crate::pkcs11) fn nested(attribute: &Attribute<'_>) -> Result<Vec<u8>> {
        let nested = attribute.nested().map_err(|_| Error::AttributeValueInvalid)?;
        // One level: what a key that is made by a key may make in turn is not the first one's to say.
        if nested.iter().map_err(|_| Error::AttributeValueInvalid)?.any(|inner| is_array(inner.kind())) {
            return Err(Error::AttributeValueInvalid);
        }
        Self::read(&nested).map(|read| read.encode()).map_err(|_| Error::AttributeValueInvalid)
    }

    /// All of it as bytes: for each attribute its number and its length in eight bytes each, the least first, and its value.
    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.memory_size());
        for (kind, value) in self.iter() {
            bytes.extend_from_slice(&kind.to_le_bytes());
            bytes.extend_from_slice(&(value.len() as u64).to_le_bytes());
            bytes.extend_from_slice(value);
        }
        bytes
    }

    /// Reads what [`Attributes::encode`] wrote; `None` for anything else.
    pub(in crate::pkcs11) fn decode(mut bytes: &[u8]) -> Option<Self> {
        let mut decoded = Self::default();
        while !bytes.is_empty() {
            let (kind, rest) = bytes.split_first_chunk().map(|(kind, rest)| (CK_ULONG::from_le_bytes(*kind), rest))?;
            let (len, rest) = rest.split_first_chunk().map(|(len, rest)| (u64::from_le_bytes(*len), rest))?;
            let (value, rest) = rest.split_at_checked(usize::try_from(len).ok()?)?;
            let rule = table::any(kind).filter(|rule| rule.form != Form::Template && rule.form.holds(value))?;
            decoded.set(rule.kind, value);
            bytes = rest;
        }
        Some(decoded)
    }

    /// The attributes in a value of the form [`Form::Template`]; `None` where it is not set.
    pub(in crate::pkcs11) fn template(&self, kind: CK_ATTRIBUTE_TYPE) -> Option<Self> {
        self.get(kind).filter(|bytes| !bytes.is_empty()).and_then(Self::decode)
    }

    /// A value.
    pub(in crate::pkcs11) fn get(&self, kind: CK_ATTRIBUTE_TYPE) -> Option<&[u8]> {
        self.find(kind).ok().map(|index| self.0[index].1.as_slice())
    }

    /// The value of a `CK_BBOOL`.
    pub(in crate::pkcs11) fn flag(&self, kind: CK_ATTRIBUTE_TYPE) -> Option<bool> {
        self.get(kind).map(|value| value == [CK_TRUE])
    }

    /// The value of a `CK_ULONG`.
    pub(in crate::pkcs11) fn number(&self, kind: CK_ATTRIBUTE_TYPE) -> Option<CK_ULONG> {
        self.get(kind)?.try_into().ok().map(CK_ULONG::from_ne_bytes)
    }

    /// Whether CKA_ALLOWED_MECHANISMS, where it is there, names the mechanism (trap 24).
    pub(in crate::pkcs11) fn allows_mechanism(&self, mechanism: CK_MECHANISM_TYPE) -> bool {
        self.get(CKA_ALLOWED_MECHANISMS)
            .is_none_or(|list| list.chunks_exact(size_of::<CK_MECHANISM_TYPE>()).any(|one| one == mechanism.to_ne_bytes()))
    }

    /// Sets all of `more`, which must not contradict.
    ///
    /// # Errors
    /// [`Error::TemplateInconsistent`].
    pub(in crate::pkcs11) fn add(&mut self, more: &Self) -> Result {
        if more.iter().any(|(kind, value)| self.get(kind).is_some_and(|own| own != value)) {
            return Err(Error::TemplateInconsistent);
        }
        more.iter().for_each(|(kind, value)| self.set(kind, value));
        Ok(())
    }

    /// Sets a value.
    pub(in crate::pkcs11) fn set(&mut self, kind: CK_ATTRIBUTE_TYPE, value: &[u8]) {
        let value = Zeroizing::new(value.to_vec());
        match self.find(kind) {
            Ok(index) => self.0[index].1 = value,
            Err(index) => self.0.insert(index, (kind, value)),
        }
    }

    /// Sets a `CK_BBOOL`.
    pub(in crate::pkcs11) fn set_flag(&mut self, kind: CK_ATTRIBUTE_TYPE, value: bool) {
        self.set(kind, &[if value { CK_TRUE } else { CK_FALSE }]);
    }

    /// Sets a `CK_ULONG`.
    pub(in crate::pkcs11) fn set_number(&mut self, kind: CK_ATTRIBUTE_TYPE, value: CK_ULONG) {
        self.set(kind, &value.to_ne_bytes());
    }

    /// Sets a value where there is none.
    pub(in crate::pkcs11) fn set_default(&mut self, kind: CK_ATTRIBUTE_TYPE, value: &[u8]) {
        if self.get(kind).is_none() {
            self.set(kind, value);
        }
    }

    /// Sets a `CK_BBOOL` where there is none.
    pub(in crate::pkcs11) fn set_default_flag(&mut self, kind: CK_ATTRIBUTE_TYPE, value: bool) {
        self.set_default(kind, &[if value { CK_TRUE } else { CK_FALSE }]);
    }

    /// Takes a value out.
    pub(in crate::pkcs11) fn remove(&mut self, kind: CK_ATTRIBUTE_TYPE) -> Option<Zeroizing<Vec<u8>>> {
        self.find(kind).ok().map(|index| self.0.remove(index).1)
    }

    /// All of them.
    pub(in crate::pkcs11) fn iter(&self) -> impl Iterator<Item = (CK_ATTRIBUTE_TYPE, &[u8])> {
        self.0.iter().map(|(kind, value)| (*kind, value.as_slice()))
    }

    /// Bytes that they take, for the limit on session objects.
    pub(in crate::pkcs11) fn memory_size(&self) -> usize {
        self.0.iter().map(|(_, value)| size_of::<(CK_ATTRIBUTE_TYPE, Vec<u8>)>() + value.len()).sum()
    }

    fn find(&self, kind: CK_ATTRIBUTE_TYPE) -> std::result::Result<usize, usize> {
        self.0.binary_search_by_key(&kind, |(kind, _)| *kind)
    }
}

impl Form {
    pub(super) fn holds(self, value: &[u8]) -> bool {
        match self {
            Self::Flag => matches!(value, [CK_TRUE | CK_FALSE]),
            Self::Number => value.len() == size_of::<CK_ULONG>(),
            Self::Date => value.is_empty() || is_date(value),
            Self::Text => value.len() <= LONGEST_VALUE && std::str::from_utf8(value).is_ok(),
            Self::Bytes => value.len() <= LONGEST_VALUE,
            Self::Mechanisms => value.len() <= LONGEST_VALUE && value.len().is_multiple_of(size_of::<CK_MECHANISM_TYPE>()),
            Self::Template => {
                let nothing_secret = |inner: Attributes| inner.iter().all(|(kind, _)| !table::may_be_secret(kind));
                value.len() <= LONGEST_VALUE && Attributes::decode(value).is_some_and(nothing_secret)
            }
        }
    }
}

/// `CK_DATE`: `YYYYMMDD`, with a month and a day that there can be.
fn is_date(value: &[u8]) -> bool {
    let number = |digits: &[u8]| digits.iter().fold(0, |number, digit| 10 * number + u32::from(digit - b'0'));
    value.len() == 8
        && value.iter().all(u8::is_ascii_digit)
        && (1..=12).contains(&number(&value[4..6]))
        && (1..=31).contains(&number(&value[6..8]))
}
