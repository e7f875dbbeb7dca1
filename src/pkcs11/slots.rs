//! Slot and token management functions (section 5.5).

use cryptoki_sys::*;

use super::ffi::{List, Place};
use super::general::{self, MANUFACTURER, VERSION, padded};
use super::{Error, Result, mechanisms};

/// Longest PIN: an API key in base64, or a `file://` path.
const LONGEST_PIN: CK_ULONG = 4096;

/// C_GetSlotList. There is a token in every slot, whatever DSM does: cached keys work through an outage.
pub(super) fn get_slot_list(mut slots: List<'_, CK_SLOT_ID>) -> Result {
    slots.set(&general::slot_ids())
}

/// C_GetSlotInfo.
pub(super) fn get_slot_info(slot: CK_SLOT_ID, mut info: Place<'_, CK_SLOT_INFO>) -> Result {
    let token = general::token(slot)?;
    info.set(CK_SLOT_INFO {
        slotDescription: padded(&format!("DSM {}", token.config().api_endpoint)),
        manufacturerID: padded(MANUFACTURER),
        flags: CKF_TOKEN_PRESENT,
        hardwareVersion: VERSION,
        firmwareVersion: VERSION,
    })
}

/// C_GetTokenInfo.
///
/// LOGIN_REQUIRED is set even where the configuration holds the credential: clients look for it (OpenSSL's pkcs11-provider takes no
/// other token by default), and PROTECTED_AUTHENTICATION_PATH tells them that no PIN is needed. The session limits are 0, "no limit":
/// Java takes "unknown" for 32.
pub(super) fn get_token_info(slot: CK_SLOT_ID, mut info: Place<'_, CK_TOKEN_INFO>) -> Result {
    let token = general::token(slot)?;
    let (sessions, read_write_sessions) = token.session_counts();
    let protected_path = if token.has_own_credential() { CKF_PROTECTED_AUTHENTICATION_PATH } else { 0 };
    info.set(CK_TOKEN_INFO {
        label: padded(&token.config().token_label),
        manufacturerID: padded(MANUFACTURER),
        model: padded(MANUFACTURER),
        serialNumber: token.serial_number(),
        flags: CKF_RNG | CKF_LOGIN_REQUIRED | CKF_USER_PIN_INITIALIZED | CKF_TOKEN_INITIALIZED | protected_path,
        ulMaxSessionCount: CK_EFFECTIVELY_INFINITE,
        ulSessionCount: sessions,
        ulMaxRwSessionCount: CK_EFFECTIVELY_INFINITE,
        ulRwSessionCount: read_write_sessions,
        ulMaxPinLen: LONGEST_PIN,
        ulMinPinLen: 0,
        ulTotalPublicMemory: CK_UNAVAILABLE_INFORMATION,
        ulFreePublicMemory: CK_UNAVAILABLE_INFORMATION,
        ulTotalPrivateMemory: CK_UNAVAILABLE_INFORMATION,
        ulFreePrivateMemory: CK_UNAVAILABLE_INFORMATION,
        hardwareVersion: VERSION,
        firmwareVersion: VERSION,
        utcTime: [b' '; 16],
    })
}

/// C_GetMechanismList.
pub(super) fn get_mechanism_list(slot: CK_SLOT_ID, mut list: List<'_, CK_MECHANISM_TYPE>) -> Result {
    general::token(slot)?;
    list.set(&mechanisms::TABLE.iter().map(|entry| entry.kind).collect::<Vec<_>>())
}

/// C_GetMechanismInfo.
pub(super) fn get_mechanism_info(slot: CK_SLOT_ID, kind: CK_MECHANISM_TYPE, mut info: Place<'_, CK_MECHANISM_INFO>) -> Result {
    general::token(slot)?;
    let entry = mechanisms::TABLE.iter().find(|entry| entry.kind == kind).ok_or(Error::MechanismInvalid)?;
    info.set(entry.info())
}
