//! Message signing and verifying functions (sections 5.21 and 5.22 of version 3.0): one key and mechanism for many messages.
//!
//! No mechanism here has a parameter per message. An error in a part ends the message (CKR_BUFFER_TOO_SMALL is none), and a message that
//! fails does not end the operation: the next one may follow.

use cryptoki_sys::{CK_OBJECT_HANDLE, CK_SESSION_HANDLE, CKF_MESSAGE_SIGN, CKF_MESSAGE_VERIFY};

use super::consent::{Consent, Consenting};
use super::ffi::{Input, Mechanism, Output, Room};
use super::mechanisms;
use super::operation::{Slot, Taken};
use super::signing::Signing;
use super::{Error, Result, session_table};

/// Signatures, or verifications, of one message after the other.
pub(super) struct Messages {
    signing: Signing,
    /// A message is under way that was begun.
    begun: bool,
}

impl Consenting for Messages {
    fn consent(&mut self) -> &mut Consent {
        self.signing.consent()
    }
}

impl Messages {
    /// Whether it ends with a logout.
    pub(super) fn uses_private_object(&self) -> bool {
        self.signing.uses_private_object()
    }

    fn between(&self) -> Result {
        if self.begun { Err(Error::OperationActive) } else { Ok(()) }
    }

    fn begin(&mut self, parameter: &Input<'_>) -> Result {
        no_parameter(parameter)?;
        self.between()?;
        self.begun = true;
        Ok(())
    }
}

/// C_MessageSignInit.
pub(super) fn message_sign_init(session: CK_SESSION_HANDLE, mechanism: Mechanism<'_>, key: CK_OBJECT_HANDLE) -> Result {
    let session = session_table::get(session)?;
    if mechanism.is_null() {
        session.message_sign.cancel();
        return Ok(());
    }
    session.start(&session.message_sign, || {
        let found = mechanisms::signature(&session, mechanism, key, CKF_MESSAGE_SIGN)?;
        Ok(Messages { signing: Signing::new(found, false), begun: false })
    })
}

/// C_SignMessage.
pub(super) fn sign_message(session: CK_SESSION_HANDLE, parameter: Input<'_>, data: Input<'_>, mut signature: Output<'_>) -> Result {
    with(&session_table::get(session)?.message_sign, |messages| {
        no_parameter(&parameter)?;
        messages.between()?;
        match signature.room(messages.signing.signature_len())? {
            Room::Told(answer) => answer,
            Room::Enough => messages.signing.sign_whole(data.bytes()?, &mut signature),
        }
    })
}

/// C_SignMessageBegin.
pub(super) fn sign_message_begin(session: CK_SESSION_HANDLE, parameter: Input<'_>) -> Result {
    with(&session_table::get(session)?.message_sign, |messages| messages.begin(&parameter))
}

/// C_SignMessageNext; the last part comes with a place for the signature.
pub(super) fn sign_message_next(session: CK_SESSION_HANDLE, parameter: Input<'_>, part: Input<'_>, mut signature: Output<'_>) -> Result {
    with_part(&session_table::get(session)?.message_sign, &parameter, |messages| {
        if signature.is_absent() {
            return messages.signing.add(part.bytes()?);
        }
        if let Room::Told(answer) = signature.room(messages.signing.signature_len())? {
            return answer;
        }
        messages.begun = false;
        messages.signing.add(part.bytes()?)?;
        messages.signing.sign_parts(&mut signature)
    })
}

/// C_MessageSignFinal.
pub(super) fn message_sign_final(session: CK_SESSION_HANDLE) -> Result {
    session_table::get(session)?.message_sign.take()?.end().map(drop)
}

/// C_MessageVerifyInit.
pub(super) fn message_verify_init(session: CK_SESSION_HANDLE, mechanism: Mechanism<'_>, key: CK_OBJECT_HANDLE) -> Result {
    let session = session_table::get(session)?;
    if mechanism.is_null() {
        session.message_verify.cancel();
        return Ok(());
    }
    session.start(&session.message_verify, || {
        let found = mechanisms::signature(&session, mechanism, key, CKF_MESSAGE_VERIFY)?;
        Ok(Messages { signing: Signing::new(found, true), begun: false })
    })
}

/// C_VerifyMessage.
pub(super) fn verify_message(session: CK_SESSION_HANDLE, parameter: Input<'_>, data: Input<'_>, signature: Input<'_>) -> Result {
    with(&session_table::get(session)?.message_verify, |messages| {
        no_parameter(&parameter)?;
        messages.between()?;
        messages.signing.verify_whole(data.bytes()?, signature.bytes()?)
    })
}

/// C_VerifyMessageBegin.
pub(super) fn verify_message_begin(session: CK_SESSION_HANDLE, parameter: Input<'_>) -> Result {
    with(&session_table::get(session)?.message_verify, |messages| messages.begin(&parameter))
}

/// C_VerifyMessageNext; the last part comes with the signature.
pub(super) fn verify_message_next(session: CK_SESSION_HANDLE, parameter: Input<'_>, part: Input<'_>, signature: Input<'_>) -> Result {
    with_part(&session_table::get(session)?.message_verify, &parameter, |messages| {
        if signature.is_absent() {
            // NULL with a length is no way to say that more comes.
            signature.len()?;
            return messages.signing.add(part.bytes()?);
        }
        messages.begun = false;
        messages.signing.add(part.bytes()?)?;
        messages.signing.verify_parts(signature.bytes()?)
    })
}

/// C_MessageVerifyFinal.
pub(super) fn message_verify_final(session: CK_SESSION_HANDLE) -> Result {
    session_table::get(session)?.message_verify.take()?.end().map(drop)
}

/// Runs `step` on the operation, which goes on whatever comes of it.
fn with(slot: &Slot<Messages>, step: impl FnOnce(&mut Messages) -> Result) -> Result {
    let mut taken: Taken<'_, Messages> = slot.take()?;
    let messages = taken.get()?;
    let result = step(messages);
    // What was given of a message that failed is no part of the next one.
    if result.is_err() && !messages.begun {
        messages.signing.forget_parts();
    }
    taken.keep();
    result
}

/// Runs `step` on the message that is under way: an error ends it, unless the place for the signature is too small (sections 5.14 and 5.16
/// of version 3.2).
fn with_part(slot: &Slot<Messages>, parameter: &Input<'_>, step: impl FnOnce(&mut Messages) -> Result) -> Result {
    with(slot, |messages| {
        if !messages.begun {
            return Err(Error::OperationNotInitialized);
        }
        let result = no_parameter(parameter).and_then(|()| step(messages));
        messages.begun &= matches!(result, Ok(()) | Err(Error::BufferTooSmall));
        result
    })
}

fn no_parameter(parameter: &Input<'_>) -> Result {
    if parameter.len()? == 0 { Ok(()) } else { Err(Error::MechanismParamInvalid) }
}
