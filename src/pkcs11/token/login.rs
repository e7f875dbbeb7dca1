//! Who may log in to a token, and how it ends.

use std::sync::Arc;

use dsma_core::{Accelerator, ApiKey, LoginMode};
use dsma_crypto::digest::{Digest, Hash};

use super::super::conformance::{Holder, SoftToken};
use super::super::error::During;
use super::super::sync::lock;
use super::super::{Error, Result};
use super::{State, Token, Who, is_same};

impl Token {
    /// Logs the user in: with the configuration's credential, or with an API key as PIN.
    ///
    /// Where the configuration holds a credential, a PIN that is no API key is not looked at: old clients insist on giving one.
    ///
    /// # Errors
    /// [`Error::UserAlreadyLoggedIn`], [`Error::UserAnotherAlreadyLoggedIn`], [`Error::PinIncorrect`], or DSM cannot be reached;
    /// [`Error::SessionHandleInvalid`] where the last session was closed meanwhile.
    pub(in crate::pkcs11) fn login(&self, pin: &[u8]) -> Result {
        if self.config.login == LoginMode::Ignore {
            return Ok(());
        }
        self.check_nobody(Who::User)?;
        let credential = std::str::from_utf8(pin).ok().filter(|text| !text.is_empty()).map(ApiKey::parse);
        let (engine, digest) = match (credential, &self.own_engine) {
            (_, Some(own)) if self.config.conformance => {
                SoftToken::load(own)?.check(Holder::User, pin)?;
                (own.clone(), None)
            }
            (Some(Ok(api_key)), _) => {
                let digest = Hash::Sha256.digest(pin);
                let engine = match self.last_engine(digest) {
                    Some(engine) => self.let_in_again(engine)?,
                    None => self.engine_of(api_key)?,
                };
                (engine, Some(digest))
            }
            (Some(Err(error)), None) => {
                tracing::warn!("the PIN is not usable: {error}");
                return Err(Error::PinIncorrect);
            }
            (None, None) => return Err(Error::PinIncorrect),
            (_, Some(own)) => (own.clone(), None),
        };
        engine.login().map_err(|error| Error::from_engine(&error, During::Login))?;
        let mut state = lock(&self.state);
        Self::check_session(&state)?;
        self.check_nobody(Who::User)?;
        let index = match digest {
            // Another credential may see other objects.
            Some(digest) => {
                state.last_pin = Some((digest, engine.clone()));
                Arc::default()
            }
            None => Arc::clone(&self.view().index),
        };
        self.publish(Who::User, Some(engine), index);
        Ok(())
    }

    /// Logs the security officer of conformance mode in.
    ///
    /// # Errors
    /// As [`Token::login`]; [`Error::UserTypeInvalid`] for a token that has none, [`Error::SessionReadOnlyExists`].
    pub(in crate::pkcs11) fn login_officer(&self, pin: &[u8]) -> Result {
        self.check_nobody(Who::Officer)?;
        if self.has_read_only_session() {
            return Err(Error::SessionReadOnlyExists);
        }
        let engine = self.soft_engine().map_err(|_| Error::UserTypeInvalid)?;
        let checked = SoftToken::load(engine)?.check(Holder::Officer, pin);
        // An officer without a PIN is one of a token that was never initialised.
        checked.map_err(|error| if error == Error::UserPinNotInitialized { Error::PinIncorrect } else { error })?;
        let state = lock(&self.state);
        Self::check_session(&state)?;
        self.check_nobody(Who::Officer)?;
        let index = Arc::clone(&self.view().index);
        self.publish(Who::Officer, Some(engine.clone()), index);
        drop(state);
        Ok(())
    }

    /// Whether the PIN is that of whoever is logged in, who uses a key that asks for it each time (CKA_ALWAYS_AUTHENTICATE).
    ///
    /// Where the configuration holds the credential there is no PIN to compare with, as for C_Login: the token has a protected
    /// authentication path, and the credential is there.
    ///
    /// # Errors
    /// [`Error::PinIncorrect`]; in conformance mode what DSM says.
    pub(in crate::pkcs11) fn authenticate_again(&self, pin: &[u8]) -> Result {
        let view = self.view();
        if self.config.login == LoginMode::Ignore {
            return Ok(());
        }
        if let Ok(engine) = self.soft_engine() {
            let holder = if view.who == Who::Officer { Holder::Officer } else { Holder::User };
            return SoftToken::load(engine)?.check(holder, pin);
        }
        let own = self.own_engine.as_ref();
        if own.is_some_and(|own| view.engine.as_ref().is_some_and(|engine| is_same(engine, own))) {
            return Ok(());
        }
        let digest = Hash::Sha256.digest(pin);
        let is_last = lock(&self.state).last_pin.as_ref().is_some_and(|(last, _)| last.as_ref() == digest.as_ref());
        if is_last { Ok(()) } else { Err(Error::PinIncorrect) }
    }

    /// Logs the user out. Handles of private objects are invalid from now on, even after another login (trap 20).
    ///
    /// # Errors
    /// [`Error::UserNotLoggedIn`].
    pub(in crate::pkcs11) fn logout(&self) -> Result {
        if self.config.login == LoginMode::Ignore {
            return Ok(());
        }
        let mut state = lock(&self.state);
        if self.view().who == Who::Nobody {
            return Err(Error::UserNotLoggedIn);
        }
        self.log_out(&mut state);
        Ok(())
    }

    fn check_nobody(&self, wanted: Who) -> Result {
        match self.view().who {
            Who::Nobody => Ok(()),
            who if who == wanted => Err(Error::UserAlreadyLoggedIn),
            _ => Err(Error::UserAnotherAlreadyLoggedIn),
        }
    }

    /// A login while the last session was being closed: nobody is there whom it could be for, and nobody would end it (trap 17).
    fn check_session(state: &State) -> Result {
        if state.sessions == 0 { Err(Error::SessionHandleInvalid) } else { Ok(()) }
    }

    fn last_engine(&self, digest: Digest) -> Option<Accelerator> {
        lock(&self.state).last_pin.as_ref().filter(|(last, _)| last.as_ref() == digest.as_ref()).map(|(_, engine)| engine.clone())
    }

    /// The engine of the last PIN has a session with DSM, which says nothing of whether DSM would still open one.
    fn let_in_again(&self, engine: Accelerator) -> Result<Accelerator> {
        match engine.login_again() {
            // Its cached keys are what it is kept for.
            Err(error) if error.is_outage() => Ok(engine),
            Err(error) => {
                lock(&self.state).last_pin = None;
                Err(Error::from_engine(&error, During::Login))
            }
            Ok(_) => Ok(engine),
        }
    }

    fn engine_of(&self, api_key: ApiKey) -> Result<Accelerator> {
        Accelerator::open(self.config.clone().with_api_key(api_key)).map_err(|error| Error::from_engine(&error, During::Login))
    }
}
