//! A token: one credential's view of one DSM account, with its login state and the objects that it shows.

mod login;
mod view;

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, RwLock};
use std::time::Duration;

use cryptoki_sys::{CK_OBJECT_HANDLE, CK_SLOT_ID, CK_ULONG};
use dsma_api::Sobject;
use dsma_core::{Accelerator, Config, Identity, LoginMode, Snapshot};
use dsma_crypto::digest::{Digest, Hash};
use uuid::Uuid;

pub(super) use self::view::{View, ViewCopy, Who};
use super::error::During;
use super::index::{Handles, Index};
use super::objects::{Held, Object, Part, profiles};
use super::sync::{lock, read, try_lock, write};
use super::{Error, Result, session_table};

/// A token. Shared by all sessions of its slot.
pub(super) struct Token {
    slot: CK_SLOT_ID,
    config: Config,
    /// The engine under the configuration's own credential; opened at C_Initialize, which does not touch the network.
    own_engine: Option<Accelerator>,
    state: Mutex<State>,
    /// Held by whoever builds the index over a newer listing, while the others search the older one.
    indexing: Mutex<()>,
    view: RwLock<Arc<View>>,
    /// Grows with every new view, so that a session can keep one without asking.
    version: AtomicU64,
    logouts: AtomicU64,
    held: Held,
}

/// The most memory that session objects may take: enough for thousands of RSA keys, far from what harms a server.
const HELD_BYTES: usize = 256 << 20;

/// What login and session functions change.
#[derive(Default)]
struct State {
    sessions: CK_ULONG,
    read_write_sessions: CK_ULONG,
    handles: Handles,
    /// The engine of the last PIN, by the PIN's digest: whoever logs in with it again finds his cached keys.
    last_pin: Option<(Digest, Accelerator)>,
}

impl Token {
    /// A token for `config`, without touching the network.
    ///
    /// # Errors
    /// A CA file that cannot be read.
    pub(super) fn new(slot: CK_SLOT_ID, config: Config) -> std::result::Result<Self, dsma_core::Error> {
        let own_engine = match config.identity {
            Identity::AtLogin => None,
            _ => Some(Accelerator::open(config.clone())?),
        };
        let ignored = config.login == LoginMode::Ignore;
        let (who, open) = (if ignored { Who::User } else { Who::Nobody }, config.login == LoginMode::Optional && own_engine.is_some());
        let held = Held::new(HELD_BYTES);
        for profile in profiles() {
            // There is room for the first few.
            let _ = held.put(Arc::new(profile));
        }
        let view = View { version: 0, who, open, engine: own_engine.clone(), index: Arc::default() };
        Ok(Self {
            slot,
            config,
            own_engine,
            state: Mutex::default(),
            indexing: Mutex::default(),
            view: RwLock::new(Arc::new(view)),
            version: AtomicU64::new(0),
            logouts: AtomicU64::new(0),
            held,
        })
    }

    /// Id of the slot that it is in.
    pub(super) const fn slot(&self) -> CK_SLOT_ID {
        self.slot
    }

    /// Its settings.
    pub(super) const fn config(&self) -> &Config {
        &self.config
    }

    /// Whether the configuration holds the credential, so that no PIN is needed.
    pub(super) const fn has_own_credential(&self) -> bool {
        self.own_engine.is_some()
    }

    /// Whether it offers the mechanism with this name.
    pub(super) fn offers(&self, mechanism: &str) -> bool {
        self.config.mechanisms.offers(mechanism)
    }

    /// Whether it can serve: DSM answers, or did not yet fail to; or keys are cached. Where DSM's last answer is missing, it is asked.
    pub(super) fn is_present(&self) -> bool {
        self.view().engine.as_ref().is_none_or(|engine| {
            engine.dsm().ask_after_failure();
            !engine.dsm().is_down() || engine.has_usable_keys()
        })
    }

    /// Asks DSM whether it is there.
    pub(super) fn probe(&self) {
        if let Some(engine) = &self.view().engine {
            engine.dsm().ask();
        }
    }

    /// 16 hexadecimal digits from what makes the token this one: the same in every process and over restarts.
    pub(super) fn serial_number(&self) -> [u8; 16] {
        // No two slots have one label, and a token that moves to another slot is the same.
        let digest = Hash::Sha256.digest(format!("{}\n{}", self.config.api_endpoint, self.config.token_label).as_bytes());
        let mut serial = [0; 16];
        for (pair, byte) in serial.chunks_exact_mut(2).zip(digest.as_ref()) {
            pair[0] = b"0123456789abcdef"[usize::from(byte >> 4)];
            pair[1] = b"0123456789abcdef"[usize::from(byte & 15)];
        }
        serial
    }

    /// The session objects of all sessions.
    pub(super) const fn held(&self) -> &Held {
        &self.held
    }

    /// Number of the current view.
    pub(super) fn version(&self) -> u64 {
        self.version.load(SeqCst)
    }

    /// How often a login has ended.
    pub(super) fn logouts(&self) -> u64 {
        self.logouts.load(SeqCst)
    }

    /// The current view.
    pub(super) fn view(&self) -> Arc<View> {
        Arc::clone(&read(&self.view))
    }

    /// Open sessions, and how many of them are read-write.
    pub(super) fn session_counts(&self) -> (CK_ULONG, CK_ULONG) {
        let state = lock(&self.state);
        (state.sessions, state.read_write_sessions)
    }

    /// Whether a read-only session is open, which keeps a security officer out.
    pub(super) fn has_read_only_session(&self) -> bool {
        let (sessions, read_write) = self.session_counts();
        sessions > read_write
    }

    /// Counts a session that is being opened.
    pub(super) fn session_opened(&self, read_write: bool) {
        let mut state = lock(&self.state);
        state.sessions += 1;
        state.read_write_sessions += CK_ULONG::from(read_write);
    }

    /// Counts a session that was closed; the last one logs the user out (trap 17).
    pub(super) fn session_closed(&self, read_write: bool) {
        let mut state = lock(&self.state);
        state.sessions = state.sessions.saturating_sub(1);
        state.read_write_sessions = state.read_write_sessions.saturating_sub(CK_ULONG::from(read_write));
        if state.sessions == 0 {
            self.log_out(&mut state);
        }
    }

    /// The engine of conformance mode.
    ///
    /// # Errors
    /// [`Error::FunctionNotSupported`] for a token of DSM's, which nobody initialises from here.
    pub(super) fn soft_engine(&self) -> Result<&Accelerator> {
        self.own_engine.as_ref().filter(|_| self.config.conformance).ok_or(Error::FunctionNotSupported)
    }

    /// The view over a listing that is at most `max_age` old, fetched on this thread where there is none. While DSM does not answer,
    /// an older listing serves.
    ///
    /// # Errors
    /// DSM cannot be reached, or refuses, and there is no listing at all.
    pub(super) fn refresh(&self, max_age: Duration) -> Result<Arc<View>> {
        self.look(|engine| engine.sobjects(max_age), |indexing| Some(lock(indexing)))
    }

    /// The same, but where there is an older view only one caller refreshes it, for a limited time: see
    /// [`Accelerator::sobjects_or_older`]. What calls of this process have made or changed, and answered, is in either.
    ///
    /// # Errors
    /// As [`Token::refresh`].
    pub(super) fn refresh_or_older(&self, max_age: Duration) -> Result<Arc<View>> {
        let free = |indexing| if self.view().index.is_unset() { Some(lock(indexing)) } else { try_lock(indexing) };
        self.look(|engine| engine.sobjects_or_older(max_age), free)
    }

    fn look<'t>(
        &'t self,
        list: impl FnOnce(&Accelerator) -> std::result::Result<Arc<Snapshot>, dsma_core::Error>,
        indexing: impl FnOnce(&'t Mutex<()>) -> Option<MutexGuard<'t, ()>>,
    ) -> Result<Arc<View>> {
        let view = self.view();
        // Nobody to ask: the credential comes with the login.
        let Some(engine) = &view.engine else { return Ok(view) };
        let snapshot = match list(engine) {
            Ok(snapshot) => snapshot,
            Err(error) if error.is_outage() => match engine.cached_sobjects() {
                Some(snapshot) => snapshot,
                None => return Err(Error::from_engine(&error, During::Listing)),
            },
            Err(error) => return Err(Error::from_engine(&error, During::Listing)),
        };
        if view.index.is_over(&snapshot) {
            return Ok(view);
        }
        // Somebody else builds the index: the old one serves.
        let Some(_indexing) = indexing(&self.indexing) else { return Ok(self.view()) };
        let mut state = lock(&self.state);
        let current = self.view();
        // Meanwhile somebody else may have logged in or out, or built over the same listing.
        let same_login = current.engine.as_ref().is_some_and(|current| is_same(current, engine));
        if same_login && !current.index.is_newer_than(&snapshot) {
            let index = current.index.follow(snapshot, engine, &mut state.handles);
            self.publish(current.who, current.engine.clone(), Arc::new(index));
        }
        Ok(self.view())
    }

    /// Shows the certificate that was made for this key no longer.
    ///
    /// # Errors
    /// [`Error::UserNotLoggedIn`] where the credential comes with the login, which ended meanwhile.
    pub(super) fn forget_certificate(&self, kid: Uuid) -> Result {
        let mut state = lock(&self.state);
        let (view, engine) = (self.view(), self.engine()?);
        state.handles.forget_certificate(kid);
        let index = view.index.rebuild(&engine, &mut state.handles);
        self.publish(view.who, view.engine.clone(), Arc::new(index));
        Ok(())
    }

    /// The engine that makes and changes objects.
    ///
    /// # Errors
    /// [`Error::UserNotLoggedIn`] where the credential comes with the login.
    pub(super) fn engine(&self) -> Result<Accelerator> {
        self.view().engine.clone().ok_or(Error::UserNotLoggedIn)
    }

    /// Shows what was changed in DSM.
    ///
    /// # Errors
    /// As [`Token::refresh`].
    pub(super) fn renew(&self) -> Result {
        // However old the listing is: it has every change of ours.
        self.refresh(Duration::MAX).map(drop)
    }

    /// The handle of an object that was just made or changed.
    ///
    /// # Errors
    /// As [`Token::refresh`].
    pub(super) fn handle_of(&self, sobject: &Sobject, part: Part) -> Result<CK_OBJECT_HANDLE> {
        self.renew()?;
        let kid = sobject.kid.ok_or(Error::DeviceError)?;
        Ok(lock(&self.state).handles.of(kid, part))
    }

    /// The handle of an object that was shown.
    pub(super) fn known_handle(&self, kid: Uuid, part: Part) -> Option<CK_OBJECT_HANDLE> {
        lock(&self.state).handles.known(kid, part)
    }

    /// The sobject of a pair was destroyed through its private half; this was the public one.
    pub(super) fn widow(&self, public: CK_OBJECT_HANDLE) {
        lock(&self.state).handles.widow(public);
    }

    /// Whether this was the public half of a pair that was destroyed through its private half. True once.
    pub(super) fn bury(&self, handle: CK_OBJECT_HANDLE) -> bool {
        lock(&self.state).handles.bury(handle)
    }

    fn log_out(&self, state: &mut State) {
        let view = self.view();
        if view.who == Who::Nobody || self.config.login == LoginMode::Ignore {
            return;
        }
        state.handles.forget_private(&view.index);
        for object in self.held.select(Object::is_private) {
            self.held.remove(object.handle);
        }
        let index = match &self.own_engine {
            Some(own) if view.engine.as_ref().is_some_and(|engine| is_same(engine, own)) => view.index.rebuild(own, &mut state.handles),
            _ => Index::default(),
        };
        self.publish(Who::Nobody, self.own_engine.clone(), Arc::new(index));
        self.logouts.fetch_add(1, SeqCst);
    }

    /// Callers hold the lock on the state, so that views follow each other.
    fn publish(&self, who: Who, engine: Option<Accelerator>, index: Arc<Index>) {
        let version = self.version.load(SeqCst) + 1;
        *write(&self.view) = Arc::new(View { version, who, open: self.view().open, engine, index });
        self.version.store(version, SeqCst);
        // A session that is not used would keep the old view as long as it is open: its index, and the keys of its engine.
        for session in session_table::select(|session| std::ptr::eq(&raw const *session.token, self)) {
            session.view.forget();
        }
    }
}

/// Whether both are clones of one engine.
fn is_same(one: &Accelerator, other: &Accelerator) -> bool {
    std::ptr::eq(one.dsm(), other.dsm())
}
