//! Signing and verifying functions (sections 5.13 and 5.15).
//!
//! Hashing is done here, so that a key that stays in DSM is sent a digest. Verification needs only the public key, which the listing
//! holds: DSM is asked only where that is older than a cached key may be.

use std::sync::Arc;

use cryptoki_sys::{CK_OBJECT_HANDLE, CK_SESSION_HANDLE, CKF_SIGN, CKF_VERIFY};
use dsma_api::Operation;
use dsma_crypto::digest::{Digest, Hasher};
use dsma_crypto::{Mac, MacStream, Message, SignatureScheme};

use super::consent::{Consent, Consenting};
use super::error::During;
use super::ffi::{Input, Mechanism, Output, Room};
use super::kept::Kept;
use super::mechanisms::{self, Scheme, SignatureSpec};
use super::objects::Object;
use super::operation::Taken;
use super::sessions::Session;
use super::{Error, Result, session_table};

/// An RSA-8192 signature, the longest there is here; what RSA and ECDSA sign without a hash is never longer.
const LONGEST: usize = 1024;
/// Most data that is kept for a mechanism that must have it whole; a key that stays in DSM takes less.
const MOST_KEPT: usize = 64 << 20;

/// A running signature or verification.
pub(super) struct Signing {
    object: Arc<Object>,
    spec: SignatureSpec,
    verifying: bool,
    consent: Consent,
    parts: Parts,
}

impl Consenting for Signing {
    fn consent(&mut self) -> &mut Consent {
        &mut self.consent
    }
}

/// What has been given with C_SignUpdate or C_VerifyUpdate.
enum Parts {
    None,
    Hashed(Box<Hasher>),
    /// An authentication code with a key that is here.
    Code(MacStream),
    /// For a mechanism that applies no hash.
    Plain(Kept),
}

/// What is signed, when all of it is there.
enum Whole<'d> {
    Given(&'d [u8]),
    Kept(Kept),
    Digest(Digest),
    Code(Mac),
}

/// C_SignInit.
pub(super) fn sign_init(session: CK_SESSION_HANDLE, mechanism: Mechanism<'_>, key: CK_OBJECT_HANDLE) -> Result {
    let session = session_table::get(session)?;
    if mechanism.is_null() {
        session.sign.cancel();
        return Ok(());
    }
    session.start(&session.sign, || mechanisms::signature(&session, mechanism, key, CKF_SIGN).map(|found| Signing::new(found, false)))
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
    running.sign_whole(data.bytes()?, &mut signature)
}

/// A whole signature that no other call of the session sees: an item of a batch.
pub(super) fn sign_at_once(
    session: &Session,
    mechanism: Mechanism<'_>,
    key: CK_OBJECT_HANDLE,
    data: &Input<'_>,
    mut signature: Output<'_>,
) -> Result {
    let signing = Signing::new(mechanisms::signature(session, mechanism, key, CKF_SIGN)?, false);
    match signature.room(signing.signature_len())? {
        Room::Told(answer) => answer,
        Room::Enough => signing.sign_whole(data.bytes()?, &mut signature),
    }
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
    taken.end()?.sign_parts(&mut signature)
}

/// C_VerifyInit.
pub(super) fn verify_init(session: CK_SESSION_HANDLE, mechanism: Mechanism<'_>, key: CK_OBJECT_HANDLE) -> Result {
    let session = session_table::get(session)?;
    if mechanism.is_null() {
        session.verify.cancel();
        return Ok(());
    }
    session.start(&session.verify, || mechanisms::signature(&session, mechanism, key, CKF_VERIFY).map(|found| Signing::new(found, true)))
}

/// C_Verify.
pub(super) fn verify(session: CK_SESSION_HANDLE, data: Input<'_>, signature: Input<'_>) -> Result {
    let session = session_table::get(session)?;
    let mut taken = session.verify.take()?;
    taken.get()?.not_in_parts()?;
    taken.end()?.verify_whole(data.bytes()?, signature.bytes()?)
}

/// C_VerifyUpdate.
pub(super) fn verify_update(session: CK_SESSION_HANDLE, part: Input<'_>) -> Result {
    update(session_table::get(session)?.verify.take()?, part)
}

/// C_VerifyFinal. Java ends an unwanted verification with an empty signature.
pub(super) fn verify_final(session: CK_SESSION_HANDLE, signature: Input<'_>) -> Result {
    let session = session_table::get(session)?;
    session.verify.take()?.end()?.verify_parts(signature.bytes()?)
}

impl Signing {
    pub(super) fn new((object, spec): (Arc<Object>, SignatureSpec), verifying: bool) -> Self {
        Self { consent: Consent::of(&object), object, spec, verifying, parts: Parts::None }
    }

    /// Whether it ends with a logout.
    pub(super) fn uses_private_object(&self) -> bool {
        self.object.is_private()
    }

    /// Length of the signature.
    pub(super) const fn signature_len(&self) -> usize {
        self.spec.signature_len
    }

    /// Signs data in one piece.
    pub(super) fn sign_whole(&self, data: &[u8], signature: &mut Output<'_>) -> Result {
        self.sign(&self.whole(data), signature)
    }

    /// Signs what was given in parts.
    pub(super) fn sign_parts(&mut self, signature: &mut Output<'_>) -> Result {
        let whole = self.end_parts()?;
        self.sign(&whole, signature)
    }

    /// Verifies the signature of data in one piece.
    pub(super) fn verify_whole(&self, data: &[u8], signature: &[u8]) -> Result {
        self.verify(&self.whole(data), signature)
    }

    /// Verifies the signature of what was given in parts.
    pub(super) fn verify_parts(&mut self, signature: &[u8]) -> Result {
        let whole = self.end_parts()?;
        self.verify(&whole, signature)
    }

    /// Forgets what was given in parts.
    pub(super) fn forget_parts(&mut self) {
        self.parts = Parts::None;
    }

    /// A one-shot function cannot finish what was begun in parts (trap 4).
    pub(super) fn not_in_parts(&self) -> Result<&Self> {
        if matches!(self.parts, Parts::None) { Ok(self) } else { Err(Error::OperationNotInitialized) }
    }

    pub(super) fn add(&mut self, part: &[u8]) -> Result {
        self.consent.check()?;
        if !self.spec.takes_parts() {
            return Err(Error::OperationNotInitialized);
        }
        if matches!(self.parts, Parts::None) {
            self.parts = self.first_part()?;
        }
        match &mut self.parts {
            Parts::None => Ok(()),
            Parts::Hashed(hasher) => {
                hasher.update(part);
                Ok(())
            }
            Parts::Code(stream) => stream.update(part).map_err(|error| Error::from_crypto(error, During::Protect)),
            Parts::Plain(data) => {
                let most = if self.spec.is_short() { LONGEST } else { MOST_KEPT };
                let total = data.len().saturating_add(part.len());
                // Public keys verify here, whatever the length.
                let by_dsm = match (&self.spec.scheme, self.verifying) {
                    (Scheme::Mac(_), false) => Some(Operation::MacGenerate),
                    (Scheme::Mac(_), true) => Some(Operation::MacVerify),
                    (_, false) => Some(Operation::Sign),
                    (_, true) => None,
                };
                let too_long = by_dsm.map_or(Ok(false), |operation| self.object.is_too_long(total, operation))?;
                if total > most || too_long {
                    return Err(Error::DataLenRange);
                }
                data.add(part)
            }
        }
    }

    /// Decides how the parts are taken: for an authentication code, by the one look into the key cache.
    fn first_part(&self) -> Result<Parts> {
        match (self.spec.hash, &self.spec.scheme) {
            (Some(hash), _) => Ok(Parts::Hashed(Box::new(Hasher::new(hash)))),
            (None, Scheme::Mac(scheme)) => Ok(match self.object.start_mac(scheme, self.verifying)? {
                Some(stream) => Parts::Code(stream),
                None => Parts::Plain(Kept::default()),
            }),
            (None, Scheme::Signature(_) | Scheme::EdDsaWithContext { .. } | Scheme::MlDsa { .. }) => Ok(Parts::Plain(Kept::default())),
        }
    }

    /// What is signed, from data in one piece: its digest where the mechanism applies a hash.
    fn whole<'d>(&self, data: &'d [u8]) -> Whole<'d> {
        self.spec.hash.map_or(Whole::Given(data), |hash| Whole::Digest(hash.digest(data)))
    }

    /// The same from what was given in parts, which may be nothing at all.
    fn end_parts(&mut self) -> Result<Whole<'static>> {
        Ok(match std::mem::replace(&mut self.parts, Parts::None) {
            Parts::None => self.whole(&[]),
            Parts::Hashed(hasher) => Whole::Digest(hasher.finish()),
            Parts::Code(stream) => Whole::Code(stream.finish().map_err(|error| Error::from_crypto(error, During::Protect))?),
            Parts::Plain(data) => Whole::Kept(data),
        })
    }

    /// The message of a signature: a digest that was made here, or what the caller gave, which some mechanisms take as a digest.
    fn message<'w>(&self, whole: &'w Whole<'_>) -> Result<Message<'w>> {
        let data = match whole {
            Whole::Digest(digest) => return Ok(Message::Digest(digest.as_ref())),
            Whole::Given(data) => data,
            Whole::Kept(data) => &data[..],
            Whole::Code(_) => return Err(Error::GeneralError),
        };
        if self.spec.digest_len.is_some_and(|len| len != data.len()) {
            return Err(Error::DataLenRange);
        }
        Ok(match self.spec.scheme {
            Scheme::Signature(SignatureScheme::RsaPkcs1Raw | SignatureScheme::RsaRaw | SignatureScheme::EdDsa) => Message::Data(data),
            Scheme::EdDsaWithContext { .. } | Scheme::MlDsa { hash: None, .. } => Message::Data(data),
            _ => Message::Digest(data),
        })
    }

    /// Signs into memory of our own: the caller's buffers may be one.
    fn sign(&self, whole: &Whole<'_>, signature: &mut Output<'_>) -> Result {
        self.consent.check()?;
        match &self.spec.scheme {
            Scheme::MlDsa { hash, context, deterministic } => {
                signature.write(&self.object.sign_ml_dsa(*hash, self.message(whole)?, context, *deterministic)?)
            }
            Scheme::EdDsaWithContext { context } => signature.write(&self.object.sign_eddsa_with_context(self.message(whole)?, context)?),
            Scheme::Signature(scheme) => {
                let mut made = [0; LONGEST];
                let len = self.object.sign(scheme, self.message(whole)?, &mut made)?;
                signature.write(made.get(..len).ok_or(Error::GeneralError)?)
            }
            Scheme::Mac(scheme) => {
                let made;
                let code = match whole {
                    Whole::Code(code) => code,
                    whole => {
                        made = self.object.mac(scheme, whole.data())?;
                        &made
                    }
                };
                signature.write(code.as_ref().get(..self.spec.signature_len).ok_or(Error::GeneralError)?)
            }
        }
    }

    fn verify(&self, whole: &Whole<'_>, signature: &[u8]) -> Result {
        if signature.len() != self.spec.signature_len {
            return Err(Error::SignatureLenRange);
        }
        let holds = match (&self.spec.scheme, whole) {
            (Scheme::Signature(scheme), whole) => self.object.verify(scheme, self.message(whole)?, signature)?,
            (Scheme::MlDsa { hash, context, .. }, whole) => self.object.verify_ml_dsa(*hash, self.message(whole)?, context, signature)?,
            (Scheme::EdDsaWithContext { context }, whole) => {
                self.object.verify_eddsa_with_context(self.message(whole)?, context, signature)?
            }
            (Scheme::Mac(_), Whole::Code(code)) => code.begins_with(signature),
            (Scheme::Mac(scheme), whole) => self.object.verify_mac(scheme, whole.data(), signature)?,
        };
        if holds { Ok(()) } else { Err(Error::SignatureInvalid) }
    }
}

impl Whole<'_> {
    /// The data as the caller gave it; nothing where only a digest or a code is left of it.
    fn data(&self) -> &[u8] {
        match self {
            Self::Given(data) => data,
            Self::Kept(data) => data,
            Self::Digest(_) | Self::Code(_) => &[],
        }
    }
}

fn update(mut taken: Taken<'_, Signing>, part: Input<'_>) -> Result {
    taken.get()?.add(part.bytes()?)?;
    taken.keep();
    Ok(())
}
