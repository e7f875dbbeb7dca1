//! AES key wrap without and with padding (RFC 3394, RFC 5649).

use std::ffi::{c_int, c_uint};
use std::mem::MaybeUninit;
use std::ptr;

use aws_lc_sys as sys;
use zeroize::Zeroizing;

use super::check;
use crate::Error;

/// Bytes that a wrapping adds.
pub(crate) const WRAP_OVERHEAD: usize = 8;

/// Wraps at least two blocks of 8 bytes.
pub(crate) fn wrap(key: &[u8], plain: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
    if plain.len() < 16 || !plain.len().is_multiple_of(8) {
        return Err(Error::InputLength);
    }
    let key = Schedule::new(key, sys::AES_set_encrypt_key)?;
    let mut wrapped = Zeroizing::new(vec![0; plain.len() + WRAP_OVERHEAD]);
    // SAFETY: the schedule is made for encryption; the output is 8 bytes longer than the input, as the function wants. A null IV is the
    // standard's.
    let len = unsafe { sys::AES_wrap_key(key.as_ptr(), ptr::null(), wrapped.as_mut_ptr(), plain.as_ptr(), plain.len()) };
    whole(len, &wrapped, Error::TooLong)?;
    Ok(wrapped)
}

/// What was wrapped; `Authentication` where the integrity check does not hold.
pub(crate) fn unwrap(key: &[u8], wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
    if wrapped.len() < 24 || !wrapped.len().is_multiple_of(8) {
        return Err(Error::InputLength);
    }
    let key = Schedule::new(key, sys::AES_set_decrypt_key)?;
    let mut plain = Zeroizing::new(vec![0; wrapped.len() - WRAP_OVERHEAD]);
    // SAFETY: the schedule is made for decryption; the output is 8 bytes shorter than the input, as the function wants. A null IV is the
    // standard's.
    let len = unsafe { sys::AES_unwrap_key(key.as_ptr(), ptr::null(), plain.as_mut_ptr(), wrapped.as_ptr(), wrapped.len()) };
    whole(len, &plain, Error::Authentication)?;
    Ok(plain)
}

/// Wraps any number of bytes but none.
pub(crate) fn wrap_padded(key: &[u8], plain: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
    if plain.is_empty() {
        return Err(Error::InputLength);
    }
    let key = Schedule::new(key, sys::AES_set_encrypt_key)?;
    let padded = plain.len().checked_next_multiple_of(8).and_then(|len| len.checked_add(WRAP_OVERHEAD)).ok_or(Error::TooLong)?;
    let mut wrapped = Zeroizing::new(vec![0; padded]);
    let mut len = 0;
    // SAFETY: the schedule is made for encryption; both buffers' lengths are passed with their pointers.
    let outcome =
        unsafe { sys::AES_wrap_key_padded(key.as_ptr(), wrapped.as_mut_ptr(), &mut len, wrapped.len(), plain.as_ptr(), plain.len()) };
    check(outcome, Error::TooLong)?;
    Ok(wrapped)
}

/// What was wrapped with padding; `Authentication` where the integrity check or the padding does not hold.
pub(crate) fn unwrap_padded(key: &[u8], wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
    if wrapped.len() < 16 || !wrapped.len().is_multiple_of(8) {
        return Err(Error::InputLength);
    }
    let key = Schedule::new(key, sys::AES_set_decrypt_key)?;
    let mut plain = Zeroizing::new(vec![0; wrapped.len() - WRAP_OVERHEAD]);
    let mut len = 0;
    // SAFETY: the schedule is made for decryption; both buffers' lengths are passed with their pointers.
    let outcome =
        unsafe { sys::AES_unwrap_key_padded(key.as_ptr(), plain.as_mut_ptr(), &mut len, plain.len(), wrapped.as_ptr(), wrapped.len()) };
    check(outcome, Error::Authentication)?;
    plain.truncate(len);
    Ok(plain)
}

/// An expanded AES key on the stack, overwritten when dropped.
struct Schedule(sys::AES_KEY);

impl Schedule {
    fn new(key: &[u8], expand: unsafe extern "C" fn(*const u8, c_uint, *mut sys::AES_KEY) -> c_int) -> Result<Self, Error> {
        let bits = match key.len() {
            16 => 128,
            24 => 192,
            32 => 256,
            _ => return Err(Error::KeySize),
        };
        let mut schedule = MaybeUninit::<sys::AES_KEY>::zeroed();
        // SAFETY: the function reads the key in the length announced, and writes the schedule, which is plain numbers: zeros are valid too.
        let (outcome, schedule) = unsafe { (expand(key.as_ptr(), bits, schedule.as_mut_ptr()), schedule.assume_init()) };
        let this = Self(schedule);
        // These two functions say success with 0.
        if outcome == 0 { Ok(this) } else { Err(Error::Internal) }
    }

    fn as_ptr(&self) -> *const sys::AES_KEY {
        &self.0
    }
}

impl Drop for Schedule {
    fn drop(&mut self) {
        // SAFETY: plain data within `self`, overwritten in its own length and not read again.
        unsafe { sys::OPENSSL_cleanse(ptr::from_mut(&mut self.0).cast(), size_of::<sys::AES_KEY>()) }
    }
}

/// The library's length or -1, which must be all of the output.
fn whole(len: c_int, output: &[u8], error: Error) -> Result<(), Error> {
    check(c_int::from(usize::try_from(len).is_ok_and(|len| len == output.len())), error)
}
