//! Session management functions (section 5.6): sessions, login, cancelling.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use cryptoki_sys::*;
use zeroize::Zeroizing;

use super::conformance::{Holder, SoftToken};
use super::digest::Digesting;
use super::encryption::Ciphering;
use super::ffi::{Input, Place};
use super::message_encryption::Sealing;
use super::message_signing::Messages;
use super::objects::{Object, Search};
use super::operation::Slot;
use super::recovery::Recovering;
use super::signing::Signing;
use super::slots::LONGEST_PIN;
use super::sync::lock;
use super::token::{Token, View, ViewCopy, Who};
use super::verify_signature::Awaiting;
use super::{Error, Result, general, session_table};

/// A session: a place for one operation of each kind. Operations of different kinds do not disturb each other (trap 8).
pub(super) struct Session {
    pub(super) handle: CK_SESSION_HANDLE,
    pub(super) token: Arc<Token>,
    pub(super) view: ViewCopy,
    pub(super) read_write: bool,
    /// Handles of the session objects that end with it; some may be destroyed already.
    owned: Mutex<HashSet<CK_OBJECT_HANDLE>>,
    pub(super) search: Slot<Search>,
    pub(super) encrypt: Slot<Ciphering>,
    pub(super) decrypt: Slot<Ciphering>,
    pub(super) digest: Slot<Digesting>,
    pub(super) sign: Slot<Signing>,
    pub(super) verify: Slot<Signing>,
    pub(super) sign_recover: Slot<Signing>,
    pub(super) verify_recover: Slot<Recovering>,
    pub(super) verify_signature: Slot<Awaiting>,
    pub(super) message_encrypt: Slot<Sealing>,
    pub(super) message_decrypt: Slot<Sealing>,
    pub(super) message_sign: Slot<Messages>,
    pub(super) message_verify: Slot<Messages>,
}

impl Session {
    fn new(handle: CK_SESSION_HANDLE, token: Arc<Token>, read_write: bool) -> Self {
        Self {
            handle,
            view: ViewCopy::default(),
            token,
            read_write,
            owned: Mutex::default(),
            search: Slot::new(),
            encrypt: Slot::new(),
            decrypt: Slot::new(),
            digest: Slot::new(),
            sign: Slot::new(),
            verify: Slot::new(),
            sign_recover: Slot::new(),
            verify_recover: Slot::new(),
            verify_signature: Slot::new(),
            message_encrypt: Slot::new(),
            message_decrypt: Slot::new(),
            message_sign: Slot::new(),
            message_verify: Slot::new(),
        }
    }

    /// Who is logged in.
    pub(super) fn who(&self) -> Who {
        self.view.with(&self.token, View::who)
    }

    /// Whether private objects may be seen and made.
    pub(super) fn sees_private(&self) -> bool {
        self.view.with(&self.token, View::sees_private)
    }

    /// The object with this handle, if it may be seen: one of DSM's, or a session object of any session of the token.
    ///
    /// # Errors
    /// [`Error::ObjectHandleInvalid`].
    pub(super) fn object(&self, handle: CK_OBJECT_HANDLE) -> Result<Arc<Object>> {
        let shown = self.view.with(&self.token, |view| view.object(handle).cloned());
        let held = || self.token.held().get(handle).filter(|object| !object.is_private() || self.sees_private());
        shown.or_else(held).ok_or(Error::ObjectHandleInvalid)
    }

    /// The key with this handle, for a function that uses one.
    ///
    /// # Errors
    /// [`Error::KeyHandleInvalid`], for what is no key too.
    pub(super) fn key(&self, handle: CK_OBJECT_HANDLE) -> Result<Arc<Object>> {
        self.object(handle).ok().filter(|object| object.kind().is_some()).ok_or(Error::KeyHandleInvalid)
    }

    /// Starts an operation that may use a private object: none is left over where another thread logs out meanwhile (trap 20).
    pub(super) fn start<T>(&self, slot: &Slot<T>, make: impl Fn() -> Result<T>) -> Result {
        slot.start_in(|| self.token.logouts(), make)
    }

    /// Keeps a session object until the session ends.
    ///
    /// # Errors
    /// [`Error::DeviceMemory`]; [`Error::SessionHandleInvalid`] where the session was closed meanwhile.
    pub(super) fn hold(&self, object: Object) -> Result<CK_OBJECT_HANDLE> {
        let handle = object.handle;
        self.token.held().put(Arc::new(object))?;
        lock(&self.owned).insert(handle);
        if session_table::get(self.handle).is_err() {
            self.end_objects();
            return Err(Error::SessionHandleInvalid);
        }
        Ok(handle)
    }

    /// Forgets a session object that was destroyed.
    pub(super) fn disown(&self, handle: CK_OBJECT_HANDLE) {
        lock(&self.owned).remove(&handle);
    }

    /// Its session objects end with it (trap 21).
    fn end_objects(&self) {
        let owned = std::mem::take(&mut *lock(&self.owned));
        for handle in owned {
            self.token.held().remove(handle);
        }
    }

    /// Whether an operation runs whose state holds a key.
    pub(super) fn is_busy_with_keys(&self) -> bool {
        self.encrypt.is_active()
            || self.decrypt.is_active()
            || self.sign.is_active()
            || self.verify.is_active()
            || self.sign_recover.is_active()
            || self.verify_recover.is_active()
            || self.verify_signature.is_active()
            || self.message_encrypt.is_active()
            || self.message_decrypt.is_active()
            || self.message_sign.is_active()
            || self.message_verify.is_active()
    }

    /// Ends what works on private objects (trap 20).
    fn cancel_private(&self) {
        self.search.cancel();
        self.encrypt.cancel_if(Ciphering::uses_private_object);
        self.decrypt.cancel_if(Ciphering::uses_private_object);
        self.digest.cancel_if(Digesting::uses_private_object);
        self.sign.cancel_if(Signing::uses_private_object);
        self.verify.cancel_if(Signing::uses_private_object);
        self.sign_recover.cancel_if(Signing::uses_private_object);
        self.verify_recover.cancel_if(Recovering::uses_private_object);
        self.verify_signature.cancel_if(Awaiting::uses_private_object);
        self.message_encrypt.cancel_if(Sealing::uses_private_object);
        self.message_decrypt.cancel_if(Sealing::uses_private_object);
        self.message_sign.cancel_if(Messages::uses_private_object);
        self.message_verify.cancel_if(Messages::uses_private_object);
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
    if !read_write && token.view().who() == Who::Officer {
        return Err(Error::SessionReadWriteSoExists);
    }
    token.session_opened(read_write);
    let session = session_table::add(|handle| Session::new(handle, Arc::clone(&token), read_write));
    // C_Finalize in another thread takes the tokens away and then forgets the sessions: this one must not slip in between.
    if !general::token(slot).is_ok_and(|current| Arc::ptr_eq(&current, &token)) {
        let _already_forgotten = close_session(session);
        return Err(Error::NotInitialized);
    }
    place.set(session)
}

/// C_CloseSession. Operations that another thread is running in it end with their call.
pub(super) fn close_session(session: CK_SESSION_HANDLE) -> Result {
    let session = session_table::remove(session)?;
    session.end_objects();
    session.token.session_closed(session.read_write);
    Ok(())
}

/// C_CloseAllSessions, which also logs out.
pub(super) fn close_all_sessions(slot: CK_SLOT_ID) -> Result {
    let token = general::token(slot)?;
    for session in session_table::select(|session| session.token.slot() == token.slot()) {
        // Another thread may have closed it meanwhile.
        if session_table::remove(session.handle).is_ok() {
            session.end_objects();
            token.session_closed(session.read_write);
        }
    }
    Ok(())
}

/// C_GetSessionInfo.
pub(super) fn get_session_info(session: CK_SESSION_HANDLE, mut info: Place<'_, CK_SESSION_INFO>) -> Result {
    let session = session_table::get(session)?;
    let state = match (session.read_write, session.who()) {
        (false, Who::Nobody) => CKS_RO_PUBLIC_SESSION,
        (false, _) => CKS_RO_USER_FUNCTIONS,
        (true, Who::Nobody) => CKS_RW_PUBLIC_SESSION,
        (true, Who::User) => CKS_RW_USER_FUNCTIONS,
        (true, Who::Officer) => CKS_RW_SO_FUNCTIONS,
    };
    let read_write = if session.read_write { CKF_RW_SESSION } else { 0 };
    info.set(CK_SESSION_INFO { slotID: session.token.slot(), state, flags: CKF_SERIAL_SESSION | read_write, ulDeviceError: 0 })
}

/// C_GetSessionValidationFlags: none, because no validation object claims anything of this library.
pub(super) fn get_session_validation_flags(
    session: CK_SESSION_HANDLE,
    kind: CK_SESSION_VALIDATION_FLAGS_TYPE,
    mut flags: Place<'_, CK_FLAGS>,
) -> Result {
    session_table::get(session)?;
    if kind != CKS_LAST_VALIDATION_OK {
        return Err(Error::ArgumentsBad);
    }
    flags.set(0)
}

/// C_Login. Only conformance mode has a security officer. CKU_CONTEXT_SPECIFIC is whoever is logged in.
pub(super) fn login(session: CK_SESSION_HANDLE, user: CK_USER_TYPE, pin: Input<'_>) -> Result {
    let session = session_table::get(session)?;
    match user {
        CKU_USER => session.token.login(pin_bytes(&pin)?),
        CKU_SO => session.token.login_officer(pin_bytes(&pin)?),
        CKU_CONTEXT_SPECIFIC => session.consent(|| session.token.authenticate_again(pin_bytes(&pin)?)),
        _ => Err(Error::UserTypeInvalid),
    }
}

/// C_LoginUser. The user's name is the app's id and the PIN its secret; without a name the PIN is that of C_Login.
pub(super) fn login_user(session: CK_SESSION_HANDLE, user: CK_USER_TYPE, pin: Input<'_>, name: Input<'_>) -> Result {
    let name = pin_bytes(&name)?;
    if name.is_empty() {
        return login(session, user, pin);
    }
    let session = session_table::get(session)?;
    let pair = Zeroizing::new([name, b":", pin_bytes(&pin)?].concat());
    let pin = Zeroizing::new(base64_simd::STANDARD.encode_to_string(&*pair));
    match user {
        CKU_USER => session.token.login(pin.as_bytes()),
        CKU_CONTEXT_SPECIFIC => session.consent(|| session.token.authenticate_again(pin.as_bytes())),
        _ => Err(Error::UserTypeInvalid),
    }
}

/// A PIN, or a name beside it, of no more bytes than C_GetTokenInfo lets it have: it is copied.
fn pin_bytes<'p>(pin: &'p Input<'_>) -> Result<&'p [u8]> {
    if pin.len()? as CK_ULONG > LONGEST_PIN { Err(Error::PinIncorrect) } else { pin.bytes() }
}

/// C_InitPIN: the security officer gives the user a PIN.
pub(super) fn init_pin(session: CK_SESSION_HANDLE, pin: Input<'_>) -> Result {
    let session = session_table::get(session)?;
    let engine = session.token.soft_engine()?;
    if session.who() != Who::Officer {
        return Err(Error::UserNotLoggedIn);
    }
    SoftToken::load(engine)?.set_pin(engine, Holder::User, pin.bytes()?)
}

/// C_SetPIN: of whoever is logged in, and of the user where nobody is.
pub(super) fn set_pin(session: CK_SESSION_HANDLE, old: Input<'_>, new: Input<'_>) -> Result {
    let session = session_table::get(session)?;
    let engine = session.token.soft_engine()?;
    if !session.read_write {
        return Err(Error::SessionReadOnly);
    }
    let holder = if session.who() == Who::Officer { Holder::Officer } else { Holder::User };
    let mut token = SoftToken::load(engine)?;
    token.check(holder, old.bytes()?)?;
    token.set_pin(engine, holder, new.bytes()?)
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
    let cancel_if_named = |flag, cancel: &dyn Fn()| {
        if named(flag) {
            cancel();
        }
    };
    cancel_if_named(CKF_FIND_OBJECTS, &|| session.search.cancel());
    cancel_if_named(CKF_ENCRYPT, &|| session.encrypt.cancel());
    cancel_if_named(CKF_DECRYPT, &|| session.decrypt.cancel());
    cancel_if_named(CKF_DIGEST, &|| session.digest.cancel());
    cancel_if_named(CKF_SIGN, &|| session.sign.cancel());
    cancel_if_named(CKF_SIGN_RECOVER, &|| session.sign_recover.cancel());
    cancel_if_named(CKF_VERIFY, &|| {
        session.verify.cancel();
        session.verify_signature.cancel();
    });
    cancel_if_named(CKF_VERIFY_RECOVER, &|| session.verify_recover.cancel());
    cancel_if_named(CKF_MESSAGE_ENCRYPT, &|| session.message_encrypt.cancel());
    cancel_if_named(CKF_MESSAGE_DECRYPT, &|| session.message_decrypt.cancel());
    cancel_if_named(CKF_MESSAGE_SIGN, &|| session.message_sign.cancel());
    cancel_if_named(CKF_MESSAGE_VERIFY, &|| session.message_verify.cancel());
    Ok(())
}
