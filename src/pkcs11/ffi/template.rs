//! Attribute templates of a C caller.

use std::marker::PhantomData;

use cryptoki_sys::{
    CK_ATTRIBUTE, CK_ATTRIBUTE_TYPE, CK_ULONG, CK_UNAVAILABLE_INFORMATION, CKA_DECAPSULATE_TEMPLATE, CKA_DERIVE_TEMPLATE,
    CKA_ENCAPSULATE_TEMPLATE, CKA_UNWRAP_TEMPLATE, CKA_WRAP_TEMPLATE,
};

use super::{Error, Input, Result, length};

/// More attributes than the standard has: a count beyond it is a mistake, not a template.
const MOST_ATTRIBUTES: CK_ULONG = 4096;

const ATTRIBUTE_LEN: CK_ULONG = size_of::<CK_ATTRIBUTE>() as CK_ULONG;

/// Whether an attribute's value is an array of attributes. (CKF_ARRAY_ATTRIBUTE does not tell: CKA_ALLOWED_MECHANISMS has it, two of
/// these have it not.)
pub(in crate::pkcs11) const fn is_array(kind: CK_ATTRIBUTE_TYPE) -> bool {
    matches!(kind, CKA_WRAP_TEMPLATE | CKA_UNWRAP_TEMPLATE | CKA_DERIVE_TEMPLATE | CKA_ENCAPSULATE_TEMPLATE | CKA_DECAPSULATE_TEMPLATE)
}

/// An array of attributes, to be read or to be filled.
pub(in crate::pkcs11) struct Template<'a> {
    attributes: *mut CK_ATTRIBUTE,
    count: CK_ULONG,
    call: PhantomData<&'a mut [CK_ATTRIBUTE]>,
}

impl<'a> Template<'a> {
    /// # Safety
    /// `attributes` is NULL or valid for `count` attributes, each with a value that is NULL or valid for its length, as long as
    /// the template lives. The value of an attribute that [`is_array`] is itself an array of such attributes.
    pub(super) const unsafe fn new(attributes: *mut CK_ATTRIBUTE, count: CK_ULONG) -> Self {
        Self { attributes, count, call: PhantomData }
    }

    /// The attributes in order.
    ///
    /// # Errors
    /// [`Error::ArgumentsBad`] for NULL with a count, and for a count that cannot be.
    pub(in crate::pkcs11) fn iter(&self) -> Result<impl Iterator<Item = Attribute<'a>> + use<'a>> {
        if self.count > MOST_ATTRIBUTES || (self.attributes.is_null() && self.count != 0) {
            return Err(Error::ArgumentsBad);
        }
        let (first, count) = (self.attributes, length(self.count)?);
        Ok((0..count).map(move |index| Attribute { attribute: first.wrapping_add(index), call: PhantomData }))
    }
}

/// One attribute of a template.
pub(in crate::pkcs11) struct Attribute<'a> {
    attribute: *mut CK_ATTRIBUTE,
    call: PhantomData<&'a mut CK_ATTRIBUTE>,
}

impl<'a> Attribute<'a> {
    /// Its type.
    pub(in crate::pkcs11) fn kind(&self) -> CK_ATTRIBUTE_TYPE {
        self.read().type_
    }

    /// Its value, as the caller gave it.
    pub(in crate::pkcs11) fn value(&self) -> Input<'a> {
        let attribute = self.read();
        // SAFETY: by `Template::new`'s contract the value is NULL or valid for its length.
        unsafe { Input::new(attribute.pValue.cast(), attribute.ulValueLen) }
    }

    /// The attributes in its value, where that is an array of them (trap 13).
    ///
    /// # Errors
    /// [`Error::ArgumentsBad`] for another attribute, and for a length that is none of an array.
    pub(in crate::pkcs11) fn nested(&self) -> Result<Template<'a>> {
        let attribute = self.read();
        if !is_array(attribute.type_) || !attribute.ulValueLen.is_multiple_of(ATTRIBUTE_LEN) {
            return Err(Error::ArgumentsBad);
        }
        // SAFETY: by `Template::new`'s contract the value of such an attribute is NULL or an array of attributes, of this many bytes.
        Ok(unsafe { Template::new(attribute.pValue.cast(), attribute.ulValueLen / ATTRIBUTE_LEN) })
    }

    /// Answers with an array of attributes: its length where the caller asks for that; else types and lengths, and the values that the
    /// caller has room for (section 5.7.5).
    ///
    /// # Errors
    /// [`Error::BufferTooSmall`] where the array or a value in it is.
    pub(in crate::pkcs11) fn answer_nested(&mut self, values: &[(CK_ATTRIBUTE_TYPE, &[u8])]) -> Result {
        let attribute = self.read();
        let len = values.len() as CK_ULONG * ATTRIBUTE_LEN;
        let mut result = Ok(());
        if !attribute.pValue.is_null() {
            // A few bytes more than an array has are no room.
            let whole = attribute.ulValueLen - attribute.ulValueLen % ATTRIBUTE_LEN;
            if whole < len || !is_array(attribute.type_) {
                self.answer_unavailable();
                return Err(Error::BufferTooSmall);
            }
            // SAFETY: by `Template::new`'s contract the value of such an attribute is an array of attributes, of at least this many bytes.
            let entries = unsafe { Template::new(attribute.pValue.cast(), len / ATTRIBUTE_LEN) };
            for (mut entry, (kind, value)) in entries.iter()?.zip(values) {
                entry.set_kind(*kind);
                let answered = entry.answer(value);
                result = result.and(answered);
            }
        }
        self.set_len(len);
        result
    }

    /// Answers with a value: its length where the caller asks for that, a copy where it fits.
    ///
    /// # Errors
    /// [`Error::BufferTooSmall`], and the length says that nothing is there (trap 12).
    pub(in crate::pkcs11) fn answer(&mut self, value: &[u8]) -> Result {
        let attribute = self.read();
        if !attribute.pValue.is_null() {
            if attribute.ulValueLen < value.len() as CK_ULONG {
                self.answer_unavailable();
                return Err(Error::BufferTooSmall);
            }
            // SAFETY: the value is not NULL, hence writable for its length, which covers `value`; `copy` allows overlap.
            unsafe { std::ptr::copy(value.as_ptr(), attribute.pValue.cast::<u8>(), value.len()) };
        }
        self.set_len(value.len() as CK_ULONG);
        Ok(())
    }

    /// Answers that there is no value to see.
    pub(in crate::pkcs11) fn answer_unavailable(&mut self) {
        self.set_len(CK_UNAVAILABLE_INFORMATION);
    }

    fn read(&self) -> CK_ATTRIBUTE {
        // SAFETY: `Template::iter` made the pointer from one that is valid for its count.
        unsafe { self.attribute.read_unaligned() }
    }

    fn set_kind(&mut self, kind: CK_ATTRIBUTE_TYPE) {
        // SAFETY: as in `set_len`.
        unsafe { (&raw mut (*self.attribute).type_).write_unaligned(kind) };
    }

    fn set_len(&mut self, len: CK_ULONG) {
        // SAFETY: as in `read`; a place, not a reference, because the array may be unaligned.
        unsafe { (&raw mut (*self.attribute).ulValueLen).write_unaligned(len) };
    }
}
