//! Byte buffers, out-parameters and counted lists of a C caller.

use std::marker::PhantomData;
use std::ops::Range;

use cryptoki_sys::{CK_BYTE, CK_ULONG};
use dsma_crypto::Buffers;

use super::{Error, Result, length, read};

/// Bytes that a caller passes in: a pointer and a length.
#[derive(Clone, Copy)]
pub(in crate::pkcs11) struct Input<'a> {
    data: *const CK_BYTE,
    len: CK_ULONG,
    call: PhantomData<&'a [u8]>,
}

impl Input<'_> {
    /// # Safety
    /// `data` is NULL or readable for `len` bytes as long as the value lives.
    pub(super) const unsafe fn new(data: *const CK_BYTE, len: CK_ULONG) -> Self {
        Self { data, len, call: PhantomData }
    }

    /// Whether the caller passed NULL.
    pub(in crate::pkcs11) const fn is_absent(&self) -> bool {
        self.data.is_null()
    }

    /// How many bytes there are.
    ///
    /// # Errors
    /// [`Error::ArgumentsBad`] for NULL with a length, and for a length that cannot be.
    pub(in crate::pkcs11) fn len(&self) -> Result<usize> {
        match length(self.len)? {
            0 => Ok(0),
            _ if self.data.is_null() => Err(Error::ArgumentsBad),
            len => Ok(len),
        }
    }

    /// The bytes. Do not hold the slice over a write to an [`Output`] of the same call: they may be the same memory.
    ///
    /// # Errors
    /// As [`Input::len`].
    pub(in crate::pkcs11) fn bytes(&self) -> Result<&[u8]> {
        match self.len()? {
            0 => Ok(&[]),
            // SAFETY: `len` checked that the pointer is not NULL, so by `new`'s contract it is readable; the length fits isize.
            len => Ok(unsafe { std::slice::from_raw_parts(self.data, len) }),
        }
    }

    /// A copy of the bytes, for what outlives the call or may lie in its output. Memory that cannot be had is no reason to end the host.
    ///
    /// # Errors
    /// As [`Input::len`], for more than the standard's 2^32 - 1 bytes too; [`Error::HostMemory`].
    pub(in crate::pkcs11) fn copied(&self) -> Result<Box<[u8]>> {
        if self.len()? > LONGEST_COPIED {
            return Err(Error::ArgumentsBad);
        }
        let (bytes, mut copy) = (self.bytes()?, Vec::new());
        copy.try_reserve_exact(bytes.len()).map_err(|_| Error::HostMemory)?;
        copy.extend_from_slice(bytes);
        Ok(copy.into())
    }
}

/// The most that the standard lets associated data have (section 6.13.7 of version 3.2), and enough for the rest: beyond it no length
/// is one.
const LONGEST_COPIED: usize = u32::MAX as usize;

/// Where a caller wants bytes: a buffer, NULL to ask for the length, and the length both ways (section 5.2 of the standard).
pub(in crate::pkcs11) struct Output<'a> {
    data: *mut CK_BYTE,
    len: *mut CK_ULONG,
    call: PhantomData<&'a mut [u8]>,
}

/// Answer of [`Output::room`].
pub(in crate::pkcs11) enum Room {
    /// The buffer holds what was asked for.
    Enough,
    /// The caller was told the length: a query (`Ok`) or a short buffer. The operation stays as it is.
    Told(Result),
}

impl Output<'_> {
    /// # Safety
    /// `len` is NULL, or valid for reads and writes; `data` is NULL or writable for `*len` bytes, as long as the value lives.
    pub(super) const unsafe fn new(data: *mut CK_BYTE, len: *mut CK_ULONG) -> Self {
        Self { data, len, call: PhantomData }
    }

    /// Whether the caller asks for the length only.
    pub(in crate::pkcs11) const fn is_query(&self) -> bool {
        self.data.is_null()
    }

    /// Whether the caller wants nothing at all: not even the length.
    pub(in crate::pkcs11) const fn is_absent(&self) -> bool {
        self.data.is_null() && self.len.is_null()
    }

    /// The first bytes of the buffer, after they were written.
    ///
    /// # Errors
    /// [`Error::BufferTooSmall`] where it has not as many.
    pub(in crate::pkcs11) fn written(&self, len: usize) -> Result<&[u8]> {
        if len == 0 {
            return Ok(&[]);
        }
        if self.data.is_null() || self.capacity()? < len {
            return Err(Error::BufferTooSmall);
        }
        // SAFETY: not NULL, and by `new`'s contract valid for the capacity, which covers the length; the caller has written it.
        Ok(unsafe { std::slice::from_raw_parts(self.data, len) })
    }

    /// How many bytes the buffer holds; 0 for a query.
    ///
    /// # Errors
    /// [`Error::ArgumentsBad`] without a place for the length, or for a length that cannot be.
    pub(in crate::pkcs11) fn capacity(&self) -> Result<usize> {
        // SAFETY: by `new`'s contract `len` is NULL or readable.
        let len = unsafe { read(self.len) }?;
        // A query's length is not initialised by many callers.
        if self.data.is_null() { Ok(0) } else { length(len) }
    }

    /// Makes sure that `needed` bytes fit, and tells the caller where they do not, or where it only asks.
    ///
    /// # Errors
    /// As [`Output::capacity`].
    pub(in crate::pkcs11) fn room(&mut self, needed: usize) -> Result<Room> {
        let capacity = self.capacity()?;
        if self.data.is_null() {
            self.tell(needed);
            return Ok(Room::Told(Ok(())));
        }
        if capacity < needed {
            self.tell(needed);
            return Ok(Room::Told(Err(Error::BufferTooSmall)));
        }
        Ok(Room::Enough)
    }

    /// Copies a whole result out and sets the length. The bytes must not lie in the caller's own buffers.
    ///
    /// # Errors
    /// [`Error::BufferTooSmall`] if they do not fit: call [`Output::room`] first.
    pub(in crate::pkcs11) fn write(&mut self, bytes: &[u8]) -> Result {
        self.write_at(0, bytes)?;
        self.tell(bytes.len());
        Ok(())
    }

    /// Copies a part of a result to `offset`; [`Output::tell`] comes last.
    ///
    /// # Errors
    /// As [`Output::write`].
    pub(in crate::pkcs11) fn write_at(&mut self, offset: usize, bytes: &[u8]) -> Result {
        let end = offset.checked_add(bytes.len()).ok_or(Error::BufferTooSmall)?;
        if end > self.capacity()? {
            return Err(Error::BufferTooSmall);
        }
        if !bytes.is_empty() {
            // SAFETY: offset and length lie within the capacity, which by `new`'s contract is writable; `copy` allows overlap.
            unsafe { std::ptr::copy(bytes.as_ptr(), self.data.add(offset), bytes.len()) };
        }
        Ok(())
    }

    /// Tells the caller the length of the result.
    pub(in crate::pkcs11) fn tell(&mut self, len: usize) {
        if !self.len.is_null() {
            // SAFETY: not NULL, hence writable by `new`'s contract.
            unsafe { self.len.write_unaligned(len as CK_ULONG) };
        }
    }

    /// The buffers of a cipher call from a part of `input` to the front of this output. They may be the same memory.
    ///
    /// # Errors
    /// [`Error::ArgumentsBad`] for a part that is not in the input, or bad pointers.
    pub(in crate::pkcs11) fn cipher<'b>(&'b mut self, input: &'b Input<'_>, part: Range<usize>) -> Result<Buffers<'b>> {
        if part.start > part.end || part.end > input.len()? {
            return Err(Error::ArgumentsBad);
        }
        let capacity = self.capacity()?;
        let from = if part.is_empty() { std::ptr::null() } else { input.data.wrapping_add(part.start) };
        // SAFETY: the part lies within the input, the capacity within the output, both valid by the contracts of `new` while the
        // borrows in the result last; `Buffers` is made for overlapping memory.
        Ok(unsafe { Buffers::from_raw(from, part.len(), self.data, capacity) })
    }
}

/// A buffer of a length that the caller chose, to be filled.
pub(in crate::pkcs11) struct Fill<'a> {
    data: *mut CK_BYTE,
    len: CK_ULONG,
    call: PhantomData<&'a mut [u8]>,
}

impl Fill<'_> {
    /// # Safety
    /// `data` is NULL or writable for `len` bytes as long as the value lives.
    pub(super) const unsafe fn new(data: *mut CK_BYTE, len: CK_ULONG) -> Self {
        Self { data, len, call: PhantomData }
    }

    /// The bytes to fill.
    ///
    /// # Errors
    /// [`Error::ArgumentsBad`] for NULL with a length, and for a length that cannot be.
    pub(in crate::pkcs11) fn bytes(&mut self) -> Result<&mut [u8]> {
        match length(self.len)? {
            0 => Ok(&mut []),
            _ if self.data.is_null() => Err(Error::ArgumentsBad),
            // SAFETY: not NULL, hence writable by `new`'s contract; no other reference to it is made in this call.
            len => Ok(unsafe { std::slice::from_raw_parts_mut(self.data, len) }),
        }
    }
}

/// Where a caller wants one value.
pub(in crate::pkcs11) struct Place<'a, T> {
    value: *mut T,
    call: PhantomData<&'a mut T>,
}

impl<T: Copy> Place<'_, T> {
    /// # Safety
    /// `value` is NULL or writable as long as the place lives.
    pub(super) const unsafe fn new(value: *mut T) -> Self {
        Self { value, call: PhantomData }
    }

    /// [`Error::ArgumentsBad`] for NULL: to be asked before something happens that could not be told.
    pub(in crate::pkcs11) fn check(&self) -> Result {
        if self.value.is_null() { Err(Error::ArgumentsBad) } else { Ok(()) }
    }

    /// Writes the value.
    ///
    /// # Errors
    /// [`Error::ArgumentsBad`] for NULL.
    pub(in crate::pkcs11) fn set(&mut self, value: T) -> Result {
        self.check()?;
        // SAFETY: not NULL, hence writable by `new`'s contract.
        unsafe { self.value.write_unaligned(value) };
        Ok(())
    }
}

/// Where a caller wants a list: an array, NULL to ask for the count, and the count both ways.
pub(in crate::pkcs11) struct List<'a, T> {
    items: *mut T,
    count: *mut CK_ULONG,
    call: PhantomData<&'a mut [T]>,
}

impl<T: Copy> List<'_, T> {
    /// # Safety
    /// `count` is NULL, or valid for reads and writes; `items` is NULL or writable for `*count` items, as long as the value lives.
    pub(super) const unsafe fn new(items: *mut T, count: *mut CK_ULONG) -> Self {
        Self { items, count, call: PhantomData }
    }

    /// Answers with the list, or its count (trap 15: the count is set on [`Error::BufferTooSmall`] too).
    ///
    /// # Errors
    /// [`Error::ArgumentsBad`] without a place for the count; [`Error::BufferTooSmall`].
    pub(in crate::pkcs11) fn set(&mut self, values: &[T]) -> Result {
        // SAFETY: by `new`'s contract `count` is NULL or readable.
        let capacity = unsafe { read(self.count) }?;
        // SAFETY: `read` refused NULL.
        unsafe { self.count.write_unaligned(values.len() as CK_ULONG) };
        if self.items.is_null() {
            return Ok(());
        }
        if capacity < values.len() as CK_ULONG {
            return Err(Error::BufferTooSmall);
        }
        self.write_items(values);
        Ok(())
    }

    /// Answers with as many of `values` as the array of `limit` items holds; returns how many.
    ///
    /// # Errors
    /// [`Error::ArgumentsBad`] for NULL.
    pub(in crate::pkcs11) fn take(&mut self, values: &[T], limit: CK_ULONG) -> Result<usize> {
        if self.items.is_null() || self.count.is_null() {
            return Err(Error::ArgumentsBad);
        }
        let taken = values.len().min(length(limit)?);
        self.write_items(&values[..taken]);
        // SAFETY: not NULL, hence writable by `new`'s contract.
        unsafe { self.count.write_unaligned(taken as CK_ULONG) };
        Ok(taken)
    }

    fn write_items(&mut self, values: &[T]) {
        for (index, value) in values.iter().enumerate() {
            // SAFETY: both callers checked that `items` is not NULL and that the caller's count covers `values`.
            unsafe { self.items.add(index).write_unaligned(*value) };
        }
    }
}
