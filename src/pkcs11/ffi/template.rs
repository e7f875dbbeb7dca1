//! Attribute templates of a C caller.

use std::marker::PhantomData;

use cryptoki_sys::{CK_ATTRIBUTE, CK_ATTRIBUTE_TYPE, CK_ULONG, CK_UNAVAILABLE_INFORMATION};

use super::{Error, Input, Result, length};

/// More attributes than the standard has: a count beyond it is a mistake, not a template.
const MOST_ATTRIBUTES: CK_ULONG = 4096;

/// An array of attributes, to be read or to be filled.
pub(in crate::pkcs11) struct Template<'a> {
    attributes: *mut CK_ATTRIBUTE,
    count: CK_ULONG,
    call: PhantomData<&'a mut [CK_ATTRIBUTE]>,
}

impl<'a> Template<'a> {
    /// # Safety
    /// `attributes` is NULL or valid for `count` attributes, each with a value that is NULL or valid for its length, as long as
    /// the template lives.
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

    fn set_len(&mut self, len: CK_ULONG) {
        // SAFETY: as in `read`; a place, not a reference, because the array may be unaligned.
        unsafe { (&raw mut (*self.attribute).ulValueLen).write_unaligned(len) };
    }
}
