//! Verification of a signature that is given first (section 5.17 of version 3.2).

use cryptoki_sys::{CK_OBJECT_HANDLE, CK_SESSION_HANDLE, CKF_VERIFY};

use super::ffi::{Input, Mechanism};
use super::mechanisms;
use super::signing::Signing;
use super::{Error, Result, session_table};

/// A running verification, and the signature that it is about.
pub(super) struct Awaiting {
    verification: Signing,
    signature: Box<[u8]>,
}

impl Awaiting {
    /// Whether it ends with a logout.
    pub(super) fn uses_private_object(&self) -> bool {
        self.verification.uses_private_object()
    }
}

/// C_VerifySignatureInit.
pub(super) fn verify_signature_init(
    session: CK_SESSION_HANDLE,
    mechanism: Mechanism<'_>,
    key: CK_OBJECT_HANDLE,
    signature: Input<'_>,
) -> Result {
    let session = session_table::get(session)?;
    if mechanism.is_null() {
        session.verify_signature.cancel();
        return Ok(());
    }
    session.start(&session.verify_signature, || {
        let verification = Signing::new(mechanisms::signature(&session, mechanism, key, CKF_VERIFY)?, true);
        let signature = signature.bytes()?;
        if signature.len() != verification.signature_len() {
            return Err(Error::SignatureLenRange);
        }
        Ok(Awaiting { verification, signature: signature.into() })
    })
}

/// C_VerifySignature.
pub(super) fn verify_signature(session: CK_SESSION_HANDLE, data: Input<'_>) -> Result {
    let session = session_table::get(session)?;
    let mut taken = session.verify_signature.take()?;
    taken.get()?.verification.not_in_parts()?;
    let running = taken.end()?;
    running.verification.verify_whole(data.bytes()?, &running.signature)
}

/// C_VerifySignatureUpdate.
pub(super) fn verify_signature_update(session: CK_SESSION_HANDLE, part: Input<'_>) -> Result {
    let session = session_table::get(session)?;
    let mut taken = session.verify_signature.take()?;
    taken.get()?.verification.add(part.bytes()?)?;
    taken.keep();
    Ok(())
}

/// C_VerifySignatureFinal.
pub(super) fn verify_signature_final(session: CK_SESSION_HANDLE) -> Result {
    let session = session_table::get(session)?;
    let mut running = session.verify_signature.take()?.end()?;
    running.verification.verify_parts(&running.signature)
}
