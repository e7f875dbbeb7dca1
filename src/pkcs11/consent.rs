//! Keys that ask for the user's PIN at each use (CKA_ALWAYS_AUTHENTICATE, section 4.10): the user's consent to one operation.
//!
//! An operation with such a key waits for C_Login with CKU_CONTEXT_SPECIFIC after its `Init`; until then its key is not used. Consent ends
//! with the operation. Functions without an `Init` (unwrapping, derivation, a batch) leave no moment to ask, so such keys refuse them.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::objects::Object;
use super::operation::Slot;
use super::sessions::Session;
use super::{Error, Result};

/// Orders the operations that wait: a login is for the youngest.
static NEXT: AtomicU64 = AtomicU64::new(1);

/// What an operation has of its user's consent.
pub(super) enum Consent {
    /// The key does not ask, or the user has consented.
    Given,
    /// The user has yet to consent to the operation with this number.
    Awaited(u64),
}

/// An operation that may need consent.
pub(super) trait Consenting {
    /// Its consent.
    fn consent(&mut self) -> &mut Consent;
}

impl Consent {
    /// What a new operation with this key has.
    pub(super) fn of(key: &Object) -> Self {
        if key.asks_each_time() { Self::Awaited(NEXT.fetch_add(1, Relaxed)) } else { Self::Given }
    }

    /// Whether the key may be used.
    ///
    /// # Errors
    /// [`Error::UserNotLoggedIn`].
    pub(super) const fn check(&self) -> Result {
        match self {
            Self::Given => Ok(()),
            Self::Awaited(_) => Err(Error::UserNotLoggedIn),
        }
    }

    const fn awaited(&self) -> Option<u64> {
        match self {
            Self::Given => None,
            Self::Awaited(number) => Some(*number),
        }
    }
}

impl Session {
    /// C_Login with CKU_CONTEXT_SPECIFIC, after `authenticate` has found the PIN right: consent to the operation that was begun last.
    ///
    /// # Errors
    /// [`Error::OperationNotInitialized`] where none waits for it (trap 18); what `authenticate` says.
    pub(super) fn consent(&self, authenticate: impl FnOnce() -> Result) -> Result {
        let waiting = [awaited(&self.decrypt), awaited(&self.sign), awaited(&self.sign_recover), awaited(&self.message_sign)];
        let number = waiting.into_iter().flatten().max().ok_or(Error::OperationNotInitialized)?;
        // May ask DSM: no operation is out of its slot meanwhile.
        authenticate()?;
        let given =
            give(&self.decrypt, number) || give(&self.sign, number) || give(&self.sign_recover, number) || give(&self.message_sign, number);
        // Another thread may have ended it.
        if given { Ok(()) } else { Err(Error::OperationNotInitialized) }
    }
}

fn awaited<T: Consenting>(slot: &Slot<T>) -> Option<u64> {
    slot.look(|operation| operation.consent().awaited()).flatten()
}

fn give<T: Consenting>(slot: &Slot<T>, number: u64) -> bool {
    let give = |operation: &mut T| {
        let consent = operation.consent();
        let is_it = consent.awaited() == Some(number);
        if is_it {
            *consent = Consent::Given;
        }
        is_it
    };
    slot.look(give).unwrap_or(false)
}
