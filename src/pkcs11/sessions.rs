//! Session management functions (section 5.6): sessions, login, cancelling.

use std::sync::Arc;

use cryptoki_sys::*;

use super::digest::Digesting;
use super::encryption::Ciphering;
use super::ffi::{Input, Place};
use super::objects::Search;
use super::operation::Slot;
use super::signing::Signing;
use super::token::{Token, ViewCopy};
use super::{Error, Result, general, session_table};

/// A session: a place for one operation of each kind. Operations of different kinds do not disturb each other (trap 8).
pub(super) struct Session {
    pub(super) handle: CK_SESSION_HANDLE,
    pub(super) token: Arc<Token>,
    pub(super) view: ViewCopy,
    pub(super) read_write: bool,
    pub(super) search: Slot<Search>,
    pub(super) encrypt: Slot<Ciphering>,
    pub(super) decrypt: Slot<Ciphering>,
    pub(super) digest: Slot<Digesting>,
    pub(super) sign: Slot<Signing>,
    pub(super) verify: Slot<Signing>,
}

impl Session {
    fn new(handle: CK_SESSION_HANDLE, token: Arc<Token>, read_write: bool) -> Self {
        Self {
            handle,
            view: ViewCopy::new(&token),
            token,
            read_write,
            search: Slot::new(),
            encrypt: Slot::new(),
            decrypt: Slot::new(),
            digest: Slot::new(),
            sign: Slot::new(),
            verify: Slot::new(),
        }
    }

    /// Ends what works on private objects (trap 20).
    fn cancel_private(&self) {
        self.search.cancel();
        self.encrypt.cancel_if(Ciphering::uses_private_object);
        self.decrypt.cancel_if(Ciphering::uses_private_object);
        self.sign.cancel_if(Signing::uses_private_object);
        self.verify.cancel_if(Signing::uses_private_object);
    }
}

/// C_OpenSession. The application's notification callback is never called: there is nothing to notify of.
pub(super) fn open_session(slot: CK_SLOT_ID, flags: CK_FLAGS, mut place: Place<'_, CK_SESSION_HANDLE>) -> Result {
    let token = general::token(slot)?;
    place.check()?;
    if flags & CKF_SERIAL_SESSION == 0 {
        return Err(Error::SessionParallelNotSupported);
    }
    if flags & CKF_ASYNC_SESSION != 0 {
        return Err(Error::SessionAsyncNotSupported);
    }
    let read_write = flags & CKF_RW_SESSION != 0;
    token.session_opened(read_write);
    let session = session_table::add(|handle| Session::new(handle, Arc::clone(&token), read_write));
    // C_Finalize in another thread takes the tokens away and then forgets the sessions: this one must not slip in between.
    if !general::token(slot).is_ok_and(|current| Arc::ptr_eq(&current, &token)) {
        let _already_forgotten = close_session(session);
        return Err(Error::SlotIdInvalid);
    }
    place.set(session)
}

/// C_CloseSession. Operations that another thread is running in it end with their call.
pub(super) fn close_session(session: CK_SESSION_HANDLE) -> Result {
    let session = session_table::remove(session)?;
    session.token.session_closed(session.read_write);
    Ok(())
}

/// C_CloseAllSessions, which also logs out.
pub(super) fn close_all_sessions(slot: CK_SLOT_ID) -> Result {
    let token = general::token(slot)?;
    for session in session_table::select(|session| session.token.slot() == token.slot()) {
        // Another thread may have closed it meanwhile.
        if session_table::remove(session.handle).is_ok() {
            token.session_closed(session.read_write);
        }
    }
    Ok(())
}

/// C_GetSessionInfo.
pub(super) fn get_session_info(session: CK_SESSION_HANDLE, mut info: Place<'_, CK_SESSION_INFO>) -> Result {
    let session = session_table::get(session)?;
    let logged_in = session.view.with(&session.token, |view| view.is_logged_in());
    let state = match (session.read_write, logged_in) {
        (false, false) => CKS_RO_PUBLIC_SESSION,
        (false, true) => CKS_RO_USER_FUNCTIONS,
        (true, false) => CKS_RW_PUBLIC_SESSION,
        (true, true) => CKS_RW_USER_FUNCTIONS,
    };
    let read_write = if session.read_write { CKF_RW_SESSION } else { 0 };
    info.set(CK_SESSION_INFO { slotID: session.token.slot(), state, flags: CKF_SERIAL_SESSION | read_write, ulDeviceError: 0 })
}

/// C_Login. There is no security officer, and no key asks for a login of its own.
pub(super) fn login(session: CK_SESSION_HANDLE, user: CK_USER_TYPE, pin: Input<'_>) -> Result {
    let session = session_table::get(session)?;
    match user {
        CKU_USER => session.token.login(pin.bytes()?),
        CKU_SO if session.token.view().is_logged_in() => Err(Error::UserAnotherAlreadyLoggedIn),
        CKU_SO if session.token.has_read_only_session() => Err(Error::SessionReadOnlyExists),
        CKU_CONTEXT_SPECIFIC => Err(Error::OperationNotInitialized),
        _ => Err(Error::UserTypeInvalid),
    }
}

/// C_Logout.
pub(super) fn logout(session: CK_SESSION_HANDLE) -> Result {
    let session = session_table::get(session)?;
    session.token.logout()?;
    for other in session_table::select(|other| other.token.slot() == session.token.slot()) {
        other.cancel_private();
    }
    Ok(())
}

/// C_SessionCancel: flags of operations that are not active are ignored (trap 7).
pub(super) fn session_cancel(session: CK_SESSION_HANDLE, flags: CK_FLAGS) -> Result {
    let session = session_table::get(session)?;
    let named = |flag: CK_FLAGS| flags & flag != 0;
    if named(CKF_FIND_OBJECTS) {
        session.search.cancel();
    }
    if named(CKF_ENCRYPT) {
        session.encrypt.cancel();
    }
    if named(CKF_DECRYPT) {
        session.decrypt.cancel();
    }
    if named(CKF_DIGEST) {
        session.digest.cancel();
    }
    if named(CKF_SIGN) {
        session.sign.cancel();
    }
    if named(CKF_VERIFY) {
        session.verify.cancel();
    }
    Ok(())
}
