//! The three function tables and the one of our own, and the functions that hand them out. They do nothing else: loading the library reads no file, makes
//! no connection, takes no lock.

use std::ffi::CStr;

use cryptoki_sys::*;

use super::functions::{V2_40, V3_0, V3_2};
use super::vendor::VENDOR;
use super::{Error, List, Place, Result, read};

const NAME: &CStr = c"PKCS 11";
const VENDOR_NAME: &CStr = c"Vendor DSM Accelerator";

/// Newest first: the first one is what a caller without wishes gets. All of them keep working in a forked child.
static INTERFACES: Interfaces = Interfaces([
    interface(NAME, &raw const V3_2 as CK_VOID_PTR),
    interface(NAME, &raw const V3_0 as CK_VOID_PTR),
    interface(NAME, &raw const V2_40 as CK_VOID_PTR),
    interface(VENDOR_NAME, &raw const VENDOR as CK_VOID_PTR),
]);

struct Interfaces([CK_INTERFACE; 4]);

// SAFETY: the pointers are to statics without interior mutability.
unsafe impl Sync for Interfaces {}

const fn interface(name: &'static CStr, table: CK_VOID_PTR) -> CK_INTERFACE {
    CK_INTERFACE { pInterfaceName: name.as_ptr() as *mut CK_UTF8CHAR, pFunctionList: table, flags: CKF_INTERFACE_FORK_SAFE }
}

/// C_GetFunctionList: always the table of 2.40 (trap 30).
pub(in crate::pkcs11) fn get_function_list(mut list: Place<'_, *mut CK_FUNCTION_LIST>) -> Result {
    list.set((&raw const V2_40).cast_mut())
}

/// C_GetInterfaceList.
pub(in crate::pkcs11) fn get_interface_list(mut list: List<'_, CK_INTERFACE>) -> Result {
    list.set(&INTERFACES.0)
}

/// C_GetInterface: `name` NULL for the standard's, or exactly one of ours, `version` NULL for the newest, `flags` a subset of ours.
///
/// # Safety
/// `name` is NULL or a NUL-terminated string, `version` NULL or readable.
pub(super) unsafe fn find_interface(
    name: *const CK_UTF8CHAR,
    version: *const CK_VERSION,
    mut found: Place<'_, *mut CK_INTERFACE>,
    flags: CK_FLAGS,
) -> Result {
    found.check()?;
    // SAFETY: not NULL, hence a NUL-terminated string by this function's contract.
    let name = if name.is_null() { NAME } else { unsafe { CStr::from_ptr(name.cast()) } };
    // SAFETY: not NULL, hence readable by this function's contract.
    let version = if version.is_null() { None } else { Some(unsafe { read(version) }?) };
    let matching = INTERFACES.0.iter().find(|interface| {
        // SAFETY: the names of `INTERFACES` are NUL-terminated and static.
        let named = unsafe { CStr::from_ptr(interface.pInterfaceName.cast()) } == name;
        // SAFETY: every table of `INTERFACES` begins with its version.
        let offered = unsafe { *interface.pFunctionList.cast::<CK_VERSION>() };
        named
            && flags & !interface.flags == 0
            && version.is_none_or(|wanted| (wanted.major, wanted.minor) == (offered.major, offered.minor))
    });
    found.set(std::ptr::from_ref(matching.ok_or(Error::FunctionFailed)?).cast_mut())
}
