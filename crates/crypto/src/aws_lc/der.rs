//! Keys in and out as DER, through the library's own parser and writer.

use std::mem::MaybeUninit;
use std::ptr;

use aws_lc_sys as sys;
use zeroize::Zeroizing;

use super::check;
use super::owned::{Owned, Release};
use crate::Error;

/// Parses the whole of `der` with one of the library's `*_parse_*` functions. Anything after the value is an error.
pub(super) fn parse<T: Release>(der: &[u8], parser: impl FnOnce(*mut sys::CBS) -> *mut T) -> Result<Owned<T>, Error> {
    let mut cbs = sys::CBS { data: der.as_ptr(), len: der.len() };
    let object = parser(&mut cbs);
    // SAFETY: the parsers return null or an object that is the caller's.
    let object = unsafe { Owned::new(object, Error::Malformed)? };
    if cbs.len == 0 { Ok(object) } else { Err(Error::Malformed) }
}

/// Writes with one of the library's `*_marshal_*` functions. The copy in the library's memory is overwritten.
pub(super) fn marshal(writer: impl FnOnce(*mut sys::CBB) -> std::ffi::c_int) -> Result<Zeroizing<Vec<u8>>, Error> {
    let mut cbb = MaybeUninit::<sys::CBB>::uninit();
    // SAFETY: initialises the whole builder. On failure there is nothing to clean up.
    check(unsafe { sys::CBB_init(cbb.as_mut_ptr(), 2048) }, Error::Internal)?;
    let mut cbb = Builder(cbb);
    check(writer(cbb.0.as_mut_ptr()), Error::Internal)?;
    let (mut bytes, mut len) = (ptr::null_mut(), 0);
    // SAFETY: the builder was initialised and is a top-level one; it gives its memory to us.
    check(unsafe { sys::CBB_finish(cbb.0.as_mut_ptr(), &mut bytes, &mut len) }, Error::Internal)?;
    // SAFETY: the library returned `len` bytes at `bytes`, which are ours to free; its free overwrites them.
    unsafe {
        let der = Zeroizing::new(std::slice::from_raw_parts(bytes, len).to_vec());
        sys::OPENSSL_free(bytes.cast());
        Ok(der)
    }
}

/// A builder under construction, released on every way out.
struct Builder(MaybeUninit<sys::CBB>);

impl Drop for Builder {
    fn drop(&mut self) {
        // SAFETY: it was initialised before it was put here; cleaning up a finished one does nothing.
        unsafe { sys::CBB_cleanup(self.0.as_mut_ptr()) }
    }
}

/// A positive number as big-endian bytes, without leading zeros.
///
/// # Safety
/// `number` is a valid number of the library for the duration of the call.
pub(super) unsafe fn number_to_bytes(number: *const sys::BIGNUM) -> Vec<u8> {
    // SAFETY: the number is valid (caller's promise), and the vector has the length that the library asks for.
    unsafe {
        let mut bytes = vec![0; sys::BN_num_bytes(number) as usize];
        sys::BN_bn2bin(number, bytes.as_mut_ptr());
        bytes
    }
}

/// A number from big-endian bytes.
pub(super) fn number_from_bytes(bytes: &[u8]) -> Result<Owned<sys::BIGNUM>, Error> {
    // SAFETY: pointer and length are one slice's; a null last argument asks for a new number, which is ours.
    unsafe { Owned::new(sys::BN_bin2bn(bytes.as_ptr(), bytes.len(), ptr::null_mut()), Error::Internal) }
}
