//! The vendor interface: many operations in one call, and control of the key cache. Declared in `include/dsma_pkcs11.h`.
//!
//! An item of a batch is an operation of its own with a result of its own; the session's running operations are not touched.

use cryptoki_sys::{CK_OBJECT_HANDLE, CK_SESSION_HANDLE, CK_SLOT_ID, CK_ULONG, CKR_OK};

use super::ffi::{BatchItem, CacheStats, Mechanism, Place};
use super::{Error, Result, encryption, general, session_table, signing};

/// More items in one call are a mistake.
pub(super) const MOST_ITEMS: usize = 1 << 20;

/// What is done with each item.
#[derive(Clone, Copy)]
pub(super) enum Work {
    Encrypt,
    Decrypt,
    Sign,
}

/// `EncryptBatch`, `DecryptBatch` and `SignBatch`: success says that every item has its result.
pub(super) fn run<'a>(
    session: CK_SESSION_HANDLE,
    mechanism: Mechanism<'a>,
    key: CK_OBJECT_HANDLE,
    items: impl Iterator<Item = Result<BatchItem<'a>>>,
    work: Work,
) -> Result {
    let session = session_table::get(session)?;
    for item in items {
        let mut item = item?;
        let mechanism = if item.mechanism.is_null() { mechanism } else { item.mechanism };
        let input = item.input;
        let output = item.output();
        let result = match work {
            Work::Encrypt => encryption::at_once(&session, mechanism, key, false, &input, output),
            Work::Decrypt => encryption::at_once(&session, mechanism, key, true, &input, output),
            Work::Sign => signing::sign_at_once(&session, mechanism, key, &input, output),
        };
        item.answer(result.map_or_else(Error::code, |()| CKR_OK));
    }
    Ok(())
}

/// `CacheClear`: drops every key of the slot from the cache; the next use of each asks DSM again.
pub(super) fn cache_clear(slot: CK_SLOT_ID, mut cleared: Place<'_, CK_ULONG>) -> Result {
    let engine = general::token(slot)?.view().engine().cloned().ok_or(Error::UserNotLoggedIn)?;
    cleared.check()?;
    cleared.set(engine.clear(None) as CK_ULONG)
}

/// `CacheStats`.
pub(super) fn cache_stats(slot: CK_SLOT_ID, mut stats: Place<'_, CacheStats>) -> Result {
    let engine = general::token(slot)?.view().engine().cloned().ok_or(Error::UserNotLoggedIn)?;
    let now = engine.stats();
    stats.set(CacheStats {
        cached_keys: now.cached_keys as CK_ULONG,
        hits: now.hits as CK_ULONG,
        exports: now.exports as CK_ULONG,
        forwards: now.forwards as CK_ULONG,
        served_in_outage: now.served_in_outage as CK_ULONG,
    })
}
