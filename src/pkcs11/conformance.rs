//! The token of conformance mode: initialised, with PINs, as suites written for soft tokens expect it.
//!
//! Label and salted PIN hashes live in the metadata of one sobject of the mode's own group, so that a second process sees them. (Not in
//! the group's own metadata: DSM lets no app change its group.) Everything else is the ordinary code on the ordinary path. A PIN here
//! protects nothing: whoever reads the configuration has the API key. That is why the mode is refused for anything but this machine.

use std::collections::BTreeMap;

use dsma_api::{ObjectType, SecretBlob, Sobject, SobjectRequest};
use dsma_core::Accelerator;
use dsma_crypto::digest::Hash;
use dsma_crypto::{kdf, random};
use serde_json::{Value, json};
use uuid::Uuid;

use super::error::During;
use super::{Error, Result};

/// PIN lengths in bytes.
pub(super) const PIN_LEN: std::ops::RangeInclusive<usize> = 4..=255;
/// Metadata of the sobject that keeps the state.
const STATE: &str = "pkcs11_token";
/// PBKDF2's. Few: suites log in hundreds of times, and a test PIN is worth no more.
const ITERATIONS: u32 = 1000;

/// What the token has been told.
#[derive(Clone, Default)]
pub(super) struct SoftToken {
    /// Of the sobject that keeps this; `None` before C_InitToken.
    kid: Option<Uuid>,
    /// The group of that sobject.
    group: Option<Uuid>,
    /// The token's label, without padding.
    pub(super) label: String,
    officer_pin: String,
    user_pin: String,
}

/// Whose PIN.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Holder {
    /// The security officer.
    Officer,
    /// The user.
    User,
}

/// Whether the sobject is the state of such a token, and no object.
pub(super) fn is_state(sobject: &Sobject) -> bool {
    sobject.custom_metadata.as_ref().is_some_and(|metadata| metadata.contains_key(STATE))
}

impl SoftToken {
    /// Reads the state from DSM: another process may have changed it.
    ///
    /// # Errors
    /// DSM cannot be reached, or refuses.
    pub(super) fn load(engine: &Accelerator) -> Result<Self> {
        let name = name(engine)?;
        let reply = engine
            .dsm()
            .request("POST", "/crypto/v1/keys/info", Some(&json!({ "name": name })))
            .map_err(|error| Error::from_engine(&error, During::Listing))?;
        match reply.status {
            200 => {
                let sobject: Sobject = serde_json::from_slice(&reply.body).map_err(|_| Error::DeviceError)?;
                let metadata = sobject.custom_metadata.unwrap_or_default();
                let state: Value = metadata.get(STATE).and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
                let text = |member: &str| state[member].as_str().unwrap_or_default().to_owned();
                Ok(Self {
                    kid: sobject.kid,
                    group: sobject.group_id,
                    label: text("label"),
                    officer_pin: text("officer"),
                    user_pin: text("user"),
                })
            }
            404 => Ok(Self::default()),
            _ => Err(Error::DeviceError),
        }
    }

    /// Whether C_InitToken was called.
    pub(super) const fn is_initialized(&self) -> bool {
        self.kid.is_some()
    }

    /// Whether the user has a PIN.
    pub(super) const fn has_user_pin(&self) -> bool {
        !self.user_pin.is_empty()
    }

    /// C_InitToken: any PIN on an uninitialised token, the same one later; deletes every object of the token's group and the user's PIN.
    /// Where it fails in the middle, it can be called again.
    ///
    /// # Errors
    /// [`Error::PinLenRange`], [`Error::PinIncorrect`], or what DSM says.
    pub(super) fn initialize(&mut self, engine: &Accelerator, pin: &[u8], label: &str) -> Result {
        check_len(pin)?;
        if self.is_initialized() {
            self.check(Holder::Officer, pin)?;
        } else {
            // The group is the one that DSM gives the app's new sobjects.
            self.officer_pin = hashed(pin)?;
            self.save(engine)?;
        }
        let listing = engine.sobjects(std::time::Duration::ZERO).map_err(|error| Error::from_engine(&error, During::Listing))?;
        let group = self.group.ok_or(Error::DeviceError)?;
        let is_object = |sobject: &&std::sync::Arc<Sobject>| !is_state(sobject) && sobject.group_id == Some(group);
        for kid in listing.sobjects.iter().filter(is_object).filter_map(|sobject| sobject.kid) {
            engine.delete(kid).map_err(|error| Error::from_engine(&error, During::Changing))?;
        }
        label.trim_end().clone_into(&mut self.label);
        self.officer_pin = hashed(pin)?;
        self.user_pin.clear();
        self.save(engine)
    }

    /// Sets a PIN.
    ///
    /// # Errors
    /// [`Error::PinLenRange`], or what DSM says.
    pub(super) fn set_pin(&mut self, engine: &Accelerator, holder: Holder, pin: &[u8]) -> Result {
        check_len(pin)?;
        let hash = hashed(pin)?;
        match holder {
            Holder::Officer => self.officer_pin = hash,
            Holder::User => self.user_pin = hash,
        }
        self.save(engine)
    }

    /// Whether the PIN is right.
    ///
    /// # Errors
    /// [`Error::PinIncorrect`]; [`Error::UserPinNotInitialized`].
    pub(super) fn check(&self, holder: Holder, pin: &[u8]) -> Result {
        let kept = match holder {
            Holder::Officer => &self.officer_pin,
            Holder::User => &self.user_pin,
        };
        if kept.is_empty() {
            return Err(Error::UserPinNotInitialized);
        }
        let (salt, _) = kept.split_once('$').ok_or(Error::PinIncorrect)?;
        if *kept == salted(salt, pin)? { Ok(()) } else { Err(Error::PinIncorrect) }
    }

    fn save(&mut self, engine: &Accelerator) -> Result {
        let state = json!({ "label": self.label, "officer": self.officer_pin, "user": self.user_pin });
        let metadata = BTreeMap::from([(STATE.to_owned(), state.to_string())]);
        let request = SobjectRequest { custom_metadata: Some(metadata), ..SobjectRequest::default() };
        let saved = match self.kid {
            Some(kid) => engine.update(kid, &request),
            None => engine.import(SobjectRequest {
                name: Some(name(engine)?),
                obj_type: Some(ObjectType::Opaque),
                value: Some(SecretBlob::from(b"state of a PKCS#11 token".to_vec())),
                key_ops: Some(vec!["APPMANAGEABLE".to_owned()]),
                ..request
            }),
        };
        let saved = saved.map_err(|error| Error::from_engine(&error, During::Changing))?;
        (self.kid, self.group) = (saved.kid, saved.group_id);
        Ok(())
    }
}

/// One per app.
fn name(engine: &Accelerator) -> Result<String> {
    let app = engine.login().map_err(|error| Error::from_engine(&error, During::Login))?;
    Ok(format!("PKCS#11 token of app {app}"))
}

fn check_len(pin: &[u8]) -> Result {
    if PIN_LEN.contains(&pin.len()) { Ok(()) } else { Err(Error::PinLenRange) }
}

fn hashed(pin: &[u8]) -> Result<String> {
    let mut salt = [0; 16];
    random::fill(&mut salt).map_err(|_| Error::FunctionFailed)?;
    salted(&base64_simd::STANDARD.encode_to_string(salt), pin)
}

fn salted(salt: &str, pin: &[u8]) -> Result<String> {
    let mut hash = [0; 32];
    kdf::pbkdf2(Hash::Sha256, pin, salt.as_bytes(), ITERATIONS, &mut hash).map_err(|_| Error::FunctionFailed)?;
    Ok(format!("{salt}${}", base64_simd::STANDARD.encode_to_string(hash)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_is_known_by_its_salted_hash() {
        let token = SoftToken { user_pin: hashed(b"1234").unwrap(), ..SoftToken::default() };
        assert_eq!(token.check(Holder::User, b"1234"), Ok(()));
        assert_eq!(token.check(Holder::User, b"12345"), Err(Error::PinIncorrect));
        assert_eq!(token.check(Holder::Officer, b"1234"), Err(Error::UserPinNotInitialized));
        assert_ne!(hashed(b"1234").unwrap(), token.user_pin);
        assert_eq!(check_len(&[b'1'; 3]), Err(Error::PinLenRange));
        assert_eq!(check_len(&[b'1'; 256]), Err(Error::PinLenRange));
    }
}
