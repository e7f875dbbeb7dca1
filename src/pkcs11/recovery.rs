//! Signatures from which the data can be recovered (sections 5.14 and 5.16): RSA with the padding of PKCS #1, or without any.

use std::sync::Arc;

use cryptoki_sys::{CK_OBJECT_HANDLE, CK_SESSION_HANDLE, CKF_SIGN_RECOVER, CKF_VERIFY_RECOVER};

use super::ffi::{Input, Mechanism, Output, Room};
use super::mechanisms::{self, Scheme, SignatureSpec};
use super::objects::Object;
use super::signing::Signing;
use super::{Error, Result, session_table};

/// A running verification with recovery.
pub(super) struct Recovering {
    object: Arc<Object>,
    spec: SignatureSpec,
}

impl Recovering {
    /// Whether it ends with a logout.
    pub(super) fn uses_private_object(&self) -> bool {
        self.object.is_private()
    }
}

/// C_SignRecoverInit.
pub(super) fn sign_recover_init(session: CK_SESSION_HANDLE, mechanism: Mechanism<'_>, key: CK_OBJECT_HANDLE) -> Result {
    let session = session_table::get(session)?;
    if mechanism.is_null() {
        session.sign_recover.cancel();
        return Ok(());
    }
    let make = || mechanisms::signature(&session, mechanism, key, CKF_SIGN_RECOVER).map(|found| Signing::new(found, false));
    session.start(&session.sign_recover, make)
}

/// C_SignRecover.
pub(super) fn sign_recover(session: CK_SESSION_HANDLE, data: Input<'_>, mut signature: Output<'_>) -> Result {
    let session = session_table::get(session)?;
    let mut taken = session.sign_recover.take()?;
    if let Room::Told(answer) = signature.room(taken.get()?.signature_len())? {
        taken.keep();
        return answer;
    }
    taken.end()?.sign_whole(data.bytes()?, &mut signature)
}

/// C_VerifyRecoverInit.
pub(super) fn verify_recover_init(session: CK_SESSION_HANDLE, mechanism: Mechanism<'_>, key: CK_OBJECT_HANDLE) -> Result {
    let session = session_table::get(session)?;
    if mechanism.is_null() {
        session.verify_recover.cancel();
        return Ok(());
    }
    session.start(&session.verify_recover, || {
        let (object, spec) = mechanisms::signature(&session, mechanism, key, CKF_VERIFY_RECOVER)?;
        Ok(Recovering { object, spec })
    })
}

/// C_VerifyRecover. How much was signed is known only when it has been recovered.
pub(super) fn verify_recover(session: CK_SESSION_HANDLE, signature: Input<'_>, mut data: Output<'_>) -> Result {
    let session = session_table::get(session)?;
    let mut taken = session.verify_recover.take()?;
    let running = taken.get()?;
    let signature = signature.bytes()?;
    if signature.len() != running.spec.signature_len {
        return Err(Error::SignatureLenRange);
    }
    let Scheme::Signature(scheme) = &running.spec.scheme else { return Err(Error::MechanismInvalid) };
    let recovered = running.object.recover(scheme, signature)?.ok_or(Error::SignatureInvalid)?;
    if let Room::Told(answer) = data.room(recovered.len())? {
        taken.keep();
        return answer;
    }
    data.write(&recovered)
}
