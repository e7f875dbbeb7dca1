//! Signing and verifying functions (sections 5.13 and 5.15).
//!
//! Hashing is done here, so that a key that stays in DSM is sent a digest. Verification needs only the public key, which the listing
//! holds: it asks neither DSM nor the key cache.

use std::sync::Arc;

use cryptoki_sys::{CK_OBJECT_HANDLE, CK_SESSION_HANDLE, CKF_SIGN, CKF_VERIFY};
use dsma_api::Operation;
use dsma_core::allows_signature;
use dsma_crypto::digest::Hasher;
use dsma_crypto::{Message, SignatureScheme};
use zeroize::Zeroizing;

use super::error::During;
use super::ffi::{Input, Mechanism, Output, Room};
use super::index::Object;
use super::mechanisms::{self, SignatureSpec};
use super::operation::Taken;
use super::{Error, Result, session_table};

/// An RSA-8192 signature, the longest there is here; what is signed without a hash is never longer.
const LONGEST: usize = 1024;

/// A running signature or verification.
pub(super) struct Signing {
    object: Arc<Object>,
    spec: SignatureSpec,
    parts: Parts,
}

/// What has been given with C_SignUpdate or C_VerifyUpdate.
enum Parts {
    None,
    Hashed(Box<Hasher>),
    /// For a mechanism that applies no hash.
    Plain(Zeroizing<Vec<u8>>),
}

/// C_SignInit.
pub(super) fn sign_init(session: CK_SESSION_HANDLE, mechanism: Mechanism<'_>, key: CK_OBJECT_HANDLE) -> Result {
    let session = session_table::get(session)?;
    if mechanism.is_null() {
        session.sign.cancel();
        return Ok(());
    }
    session.sign.start(|| mechanisms::signature(&session, mechanism, key, CKF_SIGN).map(Signing::new))
}

/// C_Sign.
pub(super) fn sign(session: CK_SESSION_HANDLE, data: Input<'_>, mut signature: Output<'_>) -> Result {
    let session = session_table::get(session)?;
    let mut taken = session.sign.take()?;
    let running = taken.get()?.not_in_parts()?;
    if let Room::Told(answer) = signature.room(running.spec.signature_len)? {
        taken.keep();
        return answer;
    }
    let running = taken.end()?;
    running.with_message(data.bytes()?, |message| running.sign(message, &mut signature))
}

/// C_SignUpdate.
pub(super) fn sign_update(session: CK_SESSION_HANDLE, part: Input<'_>) -> Result {
    update(session_table::get(session)?.sign.take()?, part)
}

/// C_SignFinal.
pub(super) fn sign_final(session: CK_SESSION_HANDLE, mut signature: Output<'_>) -> Result {
    let session = session_table::get(session)?;
    let mut taken = session.sign.take()?;
    if let Room::Told(answer) = signature.room(taken.get()?.spec.signature_len)? {
        taken.keep();
        return answer;
    }
    let mut running = taken.end()?;
    let parts = std::mem::replace(&mut running.parts, Parts::None);
    running.with_parts(parts, |message| running.sign(message, &mut signature))
}

/// C_VerifyInit.
pub(super) fn verify_init(session: CK_SESSION_HANDLE, mechanism: Mechanism<'_>, key: CK_OBJECT_HANDLE) -> Result {
    let session = session_table::get(session)?;
    if mechanism.is_null() {
        session.verify.cancel();
        return Ok(());
    }
    session.verify.start(|| mechanisms::signature(&session, mechanism, key, CKF_VERIFY).map(Signing::new))
}

/// C_Verify.
pub(super) fn verify(session: CK_SESSION_HANDLE, data: Input<'_>, signature: Input<'_>) -> Result {
    let session = session_table::get(session)?;
    let mut taken = session.verify.take()?;
    taken.get()?.not_in_parts()?;
    let running = taken.end()?;
    running.with_message(data.bytes()?, |message| running.verify(message, signature.bytes()?))
}

/// C_VerifyUpdate.
pub(super) fn verify_update(session: CK_SESSION_HANDLE, part: Input<'_>) -> Result {
    update(session_table::get(session)?.verify.take()?, part)
}

/// C_VerifyFinal. Java ends an unwanted verification with an empty signature.
pub(super) fn verify_final(session: CK_SESSION_HANDLE, signature: Input<'_>) -> Result {
    let session = session_table::get(session)?;
    let mut running = session.verify.take()?.end()?;
    let parts = std::mem::replace(&mut running.parts, Parts::None);
    running.with_parts(parts, |message| running.verify(message, signature.bytes()?))
}

impl Signing {
    fn new((object, spec): (Arc<Object>, SignatureSpec)) -> Self {
        Self { object, spec, parts: Parts::None }
    }

    /// Whether it ends with a logout.
    pub(super) fn uses_private_object(&self) -> bool {
        self.object.is_private()
    }

    /// A one-shot function cannot finish what was begun in parts (trap 4).
    fn not_in_parts(&self) -> Result<&Self> {
        if matches!(self.parts, Parts::None) { Ok(self) } else { Err(Error::OperationNotInitialized) }
    }

    fn add(&mut self, part: &[u8]) -> Result {
        if matches!(self.parts, Parts::None) {
            self.parts = match self.spec.hash {
                Some(hash) => Parts::Hashed(Box::new(Hasher::new(hash))),
                None => Parts::Plain(Zeroizing::default()),
            };
        }
        match &mut self.parts {
            Parts::None => Ok(()),
            Parts::Hashed(hasher) => {
                hasher.update(part);
                Ok(())
            }
            Parts::Plain(data) if data.len() + part.len() > LONGEST => Err(Error::DataLenRange),
            Parts::Plain(data) => {
                data.extend_from_slice(part);
                Ok(())
            }
        }
    }

    /// Runs `finish` on what is signed: the data's digest, or the data itself where the mechanism applies no hash.
    fn with_message(&self, data: &[u8], finish: impl FnOnce(Message<'_>) -> Result) -> Result {
        match self.spec.hash {
            Some(hash) => finish(Message::Digest(hash.digest(data).as_ref())),
            None => finish(self.unhashed(data)?),
        }
    }

    /// The same for what was given in parts, which may be nothing at all.
    fn with_parts(&self, parts: Parts, finish: impl FnOnce(Message<'_>) -> Result) -> Result {
        match parts {
            Parts::None => self.with_message(&[], finish),
            Parts::Hashed(hasher) => finish(Message::Digest(hasher.finish().as_ref())),
            Parts::Plain(data) => finish(self.unhashed(&data)?),
        }
    }

    fn unhashed<'d>(&self, data: &'d [u8]) -> Result<Message<'d>> {
        if self.spec.digest_len.is_some_and(|len| len != data.len()) {
            return Err(Error::DataLenRange);
        }
        Ok(match self.spec.scheme {
            SignatureScheme::RsaPkcs1Raw => Message::Data(data),
            _ => Message::Digest(data),
        })
    }

    /// Signs into memory of our own: the caller's buffers may be one.
    fn sign(&self, message: Message<'_>, signature: &mut Output<'_>) -> Result {
        let mut made = [0; LONGEST];
        let len = self
            .object
            .engine()
            .sign(&self.object.key_ref(), &self.spec.scheme, message, &mut made)
            .map_err(|error| Error::from_engine(&error, During::Protect))?;
        signature.write(made.get(..len).ok_or(Error::GeneralError)?)
    }

    fn verify(&self, message: Message<'_>, signature: &[u8]) -> Result {
        if signature.len() != self.spec.signature_len {
            return Err(Error::SignatureLenRange);
        }
        let scheme = &self.spec.scheme;
        let holds = match self.object.usable_public(Operation::Verify, |sobject| allows_signature(sobject, scheme))? {
            Some(key) => key.verify(scheme, message, signature).map_err(|error| Error::from_crypto(error, During::Protect)),
            None => (self.object.engine().verify(&self.object.key_ref(), scheme, message, signature))
                .map_err(|error| Error::from_engine(&error, During::Protect)),
        }?;
        if holds { Ok(()) } else { Err(Error::SignatureInvalid) }
    }
}

fn update(mut taken: Taken<'_, Signing>, part: Input<'_>) -> Result {
    taken.get()?.add(part.bytes()?)?;
    taken.keep();
    Ok(())
}
