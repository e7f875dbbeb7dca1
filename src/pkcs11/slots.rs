//! Slot and token management functions (section 5.5).

use std::sync::{Arc, Mutex};
use std::time::Duration;

use cryptoki_sys::*;
use dsma_core::{LoginMode, gate};

use super::conformance::{PIN_LEN, SoftToken};
use super::ffi::{Input, List, Place};
use super::general::{self, MANUFACTURER, VERSION, padded};
use super::sync::lock;
use super::token::Token;
use super::{Error, Result, mechanisms};

/// Longest PIN: an API key in base64, or a `file://` path.
pub(super) const LONGEST_PIN: CK_ULONG = 4096;

/// What C_WaitForSlotEvent last knew: slots whose token was absent.
static ABSENT: Mutex<Vec<CK_SLOT_ID>> = Mutex::new(Vec::new());

/// C_GetSlotList. A token is there while DSM answers or cached keys can serve; one that nobody has asked for yet is.
pub(super) fn get_slot_list(present: bool, mut slots: List<'_, CK_SLOT_ID>) -> Result {
    let tokens = general::tokens();
    let listed = tokens.iter().filter(|token| !present || token.is_present()).map(|token| token.slot());
    slots.set(&listed.collect::<Vec<_>>())
}

/// C_GetSlotInfo.
pub(super) fn get_slot_info(slot: CK_SLOT_ID, mut info: Place<'_, CK_SLOT_INFO>) -> Result {
    let token = general::token(slot)?;
    info.set(CK_SLOT_INFO {
        slotDescription: padded(&format!("DSM {}", token.config().api_endpoint)),
        manufacturerID: padded(MANUFACTURER),
        flags: if token.is_present() { CKF_TOKEN_PRESENT } else { 0 },
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
    let set = |flag, on| if on { flag } else { 0 };
    let open = token.config().login == LoginMode::Optional && token.has_own_credential();
    let mut flags = CKF_RNG | set(CKF_LOGIN_REQUIRED, !open);
    let mut label = token.config().token_label.clone();
    let mut shortest_pin = 0;
    if let Ok(engine) = token.soft_engine() {
        let soft = SoftToken::load(engine)?;
        flags |= set(CKF_TOKEN_INITIALIZED, soft.is_initialized()) | set(CKF_USER_PIN_INITIALIZED, soft.has_user_pin());
        label = soft.label;
        shortest_pin = *PIN_LEN.start() as CK_ULONG;
    } else {
        flags |= CKF_USER_PIN_INITIALIZED | CKF_TOKEN_INITIALIZED;
        flags |= set(CKF_PROTECTED_AUTHENTICATION_PATH, token.has_own_credential());
    }
    info.set(CK_TOKEN_INFO {
        label: padded(&label),
        manufacturerID: padded(MANUFACTURER),
        model: padded(MANUFACTURER),
        serialNumber: token.serial_number(),
        flags,
        ulMaxSessionCount: CK_EFFECTIVELY_INFINITE,
        ulSessionCount: sessions,
        ulMaxRwSessionCount: CK_EFFECTIVELY_INFINITE,
        ulRwSessionCount: read_write_sessions,
        ulMaxPinLen: LONGEST_PIN,
        ulMinPinLen: shortest_pin,
        ulTotalPublicMemory: CK_UNAVAILABLE_INFORMATION,
        ulFreePublicMemory: CK_UNAVAILABLE_INFORMATION,
        ulTotalPrivateMemory: CK_UNAVAILABLE_INFORMATION,
        ulFreePrivateMemory: CK_UNAVAILABLE_INFORMATION,
        hardwareVersion: VERSION,
        firmwareVersion: VERSION,
        utcTime: [b' '; 16],
    })
}

/// C_InitToken, in conformance mode: the label is 32 bytes, filled up with blanks.
pub(super) fn init_token(slot: CK_SLOT_ID, pin: Input<'_>, label: Input<'_>) -> Result {
    let token = general::token(slot)?;
    let engine = token.soft_engine()?;
    let label = std::str::from_utf8(label.bytes()?).map_err(|_| Error::ArgumentsBad)?;
    if token.session_counts().0 > 0 {
        return Err(Error::SessionExists);
    }
    SoftToken::load(engine)?.initialize(engine, pin.bytes()?, label)?;
    token.renew()
}

/// C_WaitForSlotEvent: a token that came or went since it was asked last. It waits on the calling thread, asking DSM now and then; no
/// thread of ours runs. C_Finalize in another thread ends the wait.
pub(super) fn wait_for_slot_event(flags: CK_FLAGS, mut slot: Place<'_, CK_SLOT_ID>, reserved_is_null: bool) -> Result {
    slot.check()?;
    if !reserved_is_null {
        return Err(Error::ArgumentsBad);
    }
    let mut turns = 0_u32;
    loop {
        if !general::is_initialized() {
            return Err(Error::NotInitialized);
        }
        let tokens = general::tokens();
        if let Some(changed) = next_event(&tokens) {
            return slot.set(changed);
        }
        if flags & CKF_DONT_BLOCK != 0 {
            return Err(Error::NoEvent);
        }
        if turns.is_multiple_of(PROBE_TURNS) {
            tokens.iter().for_each(|token| token.probe());
        }
        turns = turns.wrapping_add(1);
        pause();
    }
}

/// Forgets what was known of other tokens.
pub(super) fn forget_events() {
    lock(&ABSENT).clear();
}

/// How often a wait looks whether anything changed, and after how many looks it asks DSM.
const TURN: Duration = Duration::from_millis(100);
const PROBE_TURNS: u32 = 20;

#[expect(clippy::disallowed_methods, reason = "there is no event to wait for: DSM does not say when it comes or goes")]
fn pause() {
    gate::outside(|| std::thread::sleep(TURN));
}

fn next_event(tokens: &[Arc<Token>]) -> Option<CK_SLOT_ID> {
    let mut absent = lock(&ABSENT);
    tokens.iter().find_map(|token| {
        let (slot, known) = (token.slot(), absent.iter().position(|slot| *slot == token.slot()));
        match (token.is_present(), known) {
            (true, Some(place)) => {
                absent.swap_remove(place);
                Some(slot)
            }
            (false, None) => {
                absent.push(slot);
                Some(slot)
            }
            _ => None,
        }
    })
}

/// C_GetMechanismList.
pub(super) fn get_mechanism_list(slot: CK_SLOT_ID, mut list: List<'_, CK_MECHANISM_TYPE>) -> Result {
    let token = general::token(slot)?;
    let offered = mechanisms::TABLE.iter().filter(|entry| token.offers(entry.name));
    list.set(&offered.map(|entry| entry.kind).collect::<Vec<_>>())
}

/// C_GetMechanismInfo.
pub(super) fn get_mechanism_info(slot: CK_SLOT_ID, kind: CK_MECHANISM_TYPE, mut info: Place<'_, CK_MECHANISM_INFO>) -> Result {
    let token = general::token(slot)?;
    let entry = mechanisms::TABLE.iter().find(|entry| entry.kind == kind && token.offers(entry.name)).ok_or(Error::MechanismInvalid)?;
    info.set(entry.info())
}
