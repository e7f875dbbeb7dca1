//! The table of the interface "Vendor DSM Accelerator", version 1.0, as `include/dsma_pkcs11.h` declares it.

use std::marker::PhantomData;

use cryptoki_sys::*;

use super::{Error, Input, Mechanism, Output, Place, Result, length};
use crate::pkcs11::batch::{self, MOST_ITEMS, Work};
use crate::pkcs11::entry;

/// `CK_DSMA_BATCH_ITEM`.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct RawItem {
    input: *mut CK_BYTE,
    input_len: CK_ULONG,
    output: *mut CK_BYTE,
    output_len: CK_ULONG,
    mechanism: *mut CK_MECHANISM,
    result: CK_RV,
}

/// `CK_DSMA_CACHE_STATS`.
#[repr(C)]
#[derive(Clone, Copy)]
pub(in crate::pkcs11) struct CacheStats {
    pub(in crate::pkcs11) cached_keys: CK_ULONG,
    pub(in crate::pkcs11) hits: CK_ULONG,
    pub(in crate::pkcs11) exports: CK_ULONG,
    pub(in crate::pkcs11) forwards: CK_ULONG,
    pub(in crate::pkcs11) served_in_outage: CK_ULONG,
}

/// `CK_DSMA_FUNCTIONS`.
#[repr(C)]
pub(super) struct Functions {
    version: CK_VERSION,
    encrypt_batch: BatchFunction,
    decrypt_batch: BatchFunction,
    sign_batch: BatchFunction,
    cache_clear: unsafe extern "C" fn(CK_SLOT_ID, *mut CK_ULONG) -> CK_RV,
    cache_stats: unsafe extern "C" fn(CK_SLOT_ID, *mut CacheStats) -> CK_RV,
}

type BatchFunction = unsafe extern "C" fn(CK_SESSION_HANDLE, *mut CK_MECHANISM, CK_OBJECT_HANDLE, *mut RawItem, CK_ULONG) -> CK_RV;

/// The table.
pub(super) static VENDOR: Functions =
    Functions { version: CK_VERSION { major: 1, minor: 0 }, encrypt_batch, decrypt_batch, sign_batch, cache_clear, cache_stats };

/// One item of a caller's array.
pub(in crate::pkcs11) struct BatchItem<'a> {
    place: *mut RawItem,
    pub(in crate::pkcs11) input: Input<'a>,
    /// The item's own, or NULL for the batch's.
    pub(in crate::pkcs11) mechanism: Mechanism<'a>,
    output: *mut CK_BYTE,
    call: PhantomData<&'a mut RawItem>,
}

impl BatchItem<'_> {
    /// Where the result goes.
    pub(in crate::pkcs11) fn output(&mut self) -> Output<'_> {
        // SAFETY: `items` made the item from one of the caller's array, whose length may be written and whose buffer is NULL or writable
        // for it. A place, not a reference, because the array may be unaligned.
        unsafe { Output::new(self.output, &raw mut (*self.place).output_len) }
    }

    /// Tells the item's result.
    pub(in crate::pkcs11) fn answer(&mut self, code: CK_RV) {
        // SAFETY: as in `output`.
        unsafe { (&raw mut (*self.place).result).write_unaligned(code) };
    }
}

/// # Safety
/// `items` is NULL or valid for reads and writes of `count` items, with pointers that are valid as the standard asks of their kind.
unsafe fn items<'a>(items: *mut RawItem, count: CK_ULONG) -> Result<impl Iterator<Item = Result<BatchItem<'a>>>> {
    let count = length(count)?;
    if count > MOST_ITEMS || (items.is_null() && count > 0) {
        return Err(Error::ArgumentsBad);
    }
    Ok((0..count).map(move |index| {
        let place = items.wrapping_add(index);
        // SAFETY: within the caller's array; alignment is not assumed.
        let item = unsafe { place.read_unaligned() };
        // SAFETY: the caller's promise about the pointers inside.
        let (input, mechanism) = unsafe { (Input::new(item.input, item.input_len), Mechanism::new(item.mechanism)) };
        Ok(BatchItem { place, input, mechanism, output: item.output, call: PhantomData })
    }))
}

macro_rules! batch_functions {
    ($($name:ident => $work:ident),+) => {$(
        unsafe extern "C" fn $name(
            session: CK_SESSION_HANDLE,
            mechanism: *mut CK_MECHANISM,
            key: CK_OBJECT_HANDLE,
            first: *mut RawItem,
            count: CK_ULONG,
        ) -> CK_RV {
            // SAFETY: the contract of the pointers is the header's, which is what the wrappers ask for.
            entry::call(|| unsafe { batch::run(session, Mechanism::new(mechanism), key, items(first, count)?, Work::$work) })
        }
    )+};
}

batch_functions!(encrypt_batch => Encrypt, decrypt_batch => Decrypt, sign_batch => Sign);

unsafe extern "C" fn cache_clear(slot: CK_SLOT_ID, cleared: *mut CK_ULONG) -> CK_RV {
    // SAFETY: the contract of the pointer is the header's.
    entry::call(|| unsafe { batch::cache_clear(slot, Place::new(cleared)) })
}

unsafe extern "C" fn cache_stats(slot: CK_SLOT_ID, stats: *mut CacheStats) -> CK_RV {
    // SAFETY: the contract of the pointer is the header's.
    entry::call(|| unsafe { batch::cache_stats(slot, Place::new(stats)) })
}
