//! General-purpose functions (section 5.4): start and end of the library, and what it is.

use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, RwLock};

use cryptoki_sys::{CK_INFO, CK_SLOT_ID, CK_VERSION};
use dsma_core::{Config, gate, telemetry};

use super::ffi::{InitArgs, NEWEST, Place};
use super::sync::{lock, read, write};
use super::token::Token;
use super::{Error, Result, mechanisms, session_table, slots};
use crate::fork;

/// Who made the library, the slots and the tokens.
pub(super) const MANUFACTURER: &str = "DSM Accelerator";

/// Version of the library, also given as the tokens' firmware version.
pub(super) const VERSION: CK_VERSION =
    CK_VERSION { major: number(env!("CARGO_PKG_VERSION_MAJOR")), minor: number(env!("CARGO_PKG_VERSION_MINOR")) };

/// Between C_Initialize and C_Finalize. Inherited over a fork.
static INITIALIZED: AtomicBool = AtomicBool::new(false);
/// The fork generation that C_Initialize last said CKR_OK to.
static WELCOMED: AtomicU64 = AtomicU64::new(0);
/// One C_Initialize or C_Finalize at a time.
static LIFE_CYCLE: Mutex<()> = Mutex::new(());
/// The tokens: one per configured account, in the order of the configuration.
static TOKENS: RwLock<Vec<Arc<Token>>> = RwLock::new(Vec::new());

/// Whether C_Initialize has succeeded, in this process or in the one that it was forked from.
pub(super) fn is_initialized() -> bool {
    INITIALIZED.load(SeqCst)
}

/// The token in a slot.
///
/// # Errors
/// [`Error::SlotIdInvalid`].
pub(super) fn token(slot: CK_SLOT_ID) -> Result<Arc<Token>> {
    read(&TOKENS).iter().find(|token| token.slot() == slot).cloned().ok_or(Error::SlotIdInvalid)
}

/// All tokens, in the order of their slots.
pub(super) fn tokens() -> Vec<Arc<Token>> {
    read(&TOKENS).clone()
}

/// C_Initialize. Reads the configuration and starts nothing: no thread, no connection.
///
/// A forked child has everything that its parent had, so there the first call is answered with success and changes nothing; the
/// standard asks a child to call it, and some do while others do not.
pub(super) fn initialize(args: &InitArgs<'_>) -> Result {
    let _one_at_a_time = lock(&LIFE_CYCLE);
    if is_initialized() {
        let generation = gate::generation();
        return if WELCOMED.swap(generation, SeqCst) == generation { Err(Error::AlreadyInitialized) } else { Ok(()) };
    }
    let config_path = args.config_path()?;
    fork::install().map_err(|errno| complain(&format!("fork handlers cannot be registered: system error {errno}; free some memory")))?;
    let configs = Config::load_slots(config_path.as_deref()).map_err(|error| complain(&error.to_string()))?;
    for config in &configs {
        if let Some(unknown) = config.mechanisms.names().iter().find(|name| !mechanisms::TABLE.iter().any(|entry| entry.name == **name)) {
            let mend = "take the names from docs/mechanisms.md";
            return Err(complain(&format!("mechanisms: this library has no `{unknown}`; {mend}")));
        }
    }
    if let Some(first) = configs.first() {
        telemetry::init(&first.log).map_err(|error| complain(&format!("log file cannot be opened: {error}; correct [log] file")))?;
    }
    let mut tokens = Vec::with_capacity(configs.len());
    for (place, config) in configs.into_iter().enumerate() {
        let slot = config.slot.unwrap_or(place as CK_SLOT_ID);
        tokens.push(Arc::new(Token::new(slot, config).map_err(|error| complain(&error.to_string()))?));
    }
    slots::forget_events();
    *write(&TOKENS) = tokens;
    WELCOMED.store(gate::generation(), SeqCst);
    INITIALIZED.store(true, SeqCst);
    Ok(())
}

/// C_Finalize. Joins nothing because nothing runs; running calls of other threads end with what they hold.
pub(super) fn finalize(reserved_is_null: bool) -> Result {
    if !reserved_is_null {
        return Err(Error::ArgumentsBad);
    }
    let _one_at_a_time = lock(&LIFE_CYCLE);
    if !INITIALIZED.swap(false, SeqCst) {
        return Err(Error::NotInitialized);
    }
    let tokens = std::mem::take(&mut *write(&TOKENS));
    session_table::clear();
    drop(tokens);
    Ok(())
}

/// C_GetInfo.
pub(super) fn get_info(mut info: Place<'_, CK_INFO>) -> Result {
    info.set(CK_INFO {
        cryptokiVersion: NEWEST,
        manufacturerID: padded(MANUFACTURER),
        flags: 0,
        libraryDescription: padded("Fortanix DSM keys, used locally"),
        libraryVersion: VERSION,
    })
}

/// Text in the standard's form: UTF-8, filled up with blanks, no NUL (trap 25). Cut between characters where it is too long.
pub(super) fn padded<const N: usize>(text: &str) -> [u8; N] {
    let mut field = [b' '; N];
    let cut = text.floor_char_boundary(N);
    field[..cut].copy_from_slice(&text.as_bytes()[..cut]);
    field
}

/// Tells whoever starts the program why it will not work, in one line: a `CKR_` code cannot. This is the only place where the library
/// writes to its host's output without having been told to.
fn complain(problem: &str) -> Error {
    tracing::error!("{problem}");
    // A closed stderr is no reason to fail in another way.
    let _written = writeln!(std::io::stderr(), "libdsma: {problem}");
    Error::FunctionFailed
}

/// A decimal number of cargo's.
const fn number(text: &str) -> u8 {
    let (mut value, mut index) = (0, 0);
    while index < text.len() {
        value = value * 10 + (text.as_bytes()[index] - b'0');
        index += 1;
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_padded_with_blanks_and_cut_between_characters() {
        assert_eq!(&padded::<6>("ab"), b"ab    ");
        assert_eq!(&padded::<3>("abcdef"), b"abc");
        assert_eq!(&padded::<3>("ab\u{e9}"), b"ab ");
        assert_eq!(number("12"), 12);
    }
}
