//! Message encryption and decryption functions (sections 5.9 and 5.11 of version 3.0): authenticated encryption of many messages under
//! one key, in one call each or in parts. An error in a part ends the message (CKR_BUFFER_TOO_SMALL is none), and a message that fails
//! does not end the operation: the next one may follow.
//!
//! The tag is looked at by the call that ends a message alone: until then its place may be unset (section 6.13 of version 3.2). A wrong one
//! is CKR_AEAD_DECRYPT_FAILED here and nowhere else: the standard does not name it for C_Decrypt and for unwrapping.

use std::sync::Arc;

use cryptoki_sys::*;
use dsma_api::Operation;
use dsma_core::gate;
use dsma_crypto::{Buffers, CipherParams, CipherStream};
use zeroize::Zeroizing;

use super::error::During;
use super::ffi::{Input, Mechanism, MessageParameter, MessageParams, Output, Room};
use super::kept::Kept;
use super::mechanisms::{self, Iv, LONGEST_IV};
use super::nonces::{self, Wish};
use super::objects::Object;
use super::operation::{Slot, Taken};
use super::{Error, Result, session_table};

/// The longest tag.
const TAG: usize = 16;
/// Most bytes of a message in parts that are kept where the whole must be there at once; a key that stays in DSM takes less.
const MOST_KEPT: usize = 64 << 20;

/// Encryptions or decryptions of one message after the other.
pub(super) struct Sealing {
    object: Arc<Object>,
    kind: Kind,
    decrypting: bool,
    /// A message in parts that is under way.
    message: Option<Message>,
    /// What counters are combined with (CKG_GENERATE_COUNTER_XOR): the IV of the first such message. The place of the caller's IV holds the
    /// made one afterwards, and two counters in one IV may cancel each other out.
    base: Option<Iv>,
}

/// The mechanisms.
#[derive(Clone, Copy)]
enum Kind {
    Gcm,
    Ccm,
    ChaCha20Poly1305,
}

struct Message {
    iv: Iv,
    /// Where the IV was made here: the fork generation that made it. Parent and child must not both go on under it.
    made_in: Option<u64>,
    aad: Box<[u8]>,
    stage: Stage,
}

enum Stage {
    /// With a key that is here. A decryption gives parts out before the tag has been seen: that is what these functions are.
    Streaming(CipherStream),
    /// The data waits for its end.
    Collecting(Kept),
}

/// C_MessageEncryptInit and C_MessageDecryptInit. What the mechanism's parameter says counts for nothing: each message has its own.
pub(super) fn init(session: CK_SESSION_HANDLE, mechanism: Mechanism<'_>, key: CK_OBJECT_HANDLE, decrypting: bool) -> Result {
    let session = session_table::get(session)?;
    let (slot, function) =
        if decrypting { (&session.message_decrypt, CKF_MESSAGE_DECRYPT) } else { (&session.message_encrypt, CKF_MESSAGE_ENCRYPT) };
    if mechanism.is_null() {
        slot.cancel();
        return Ok(());
    }
    session.start(slot, || {
        let object = mechanisms::sealing(&session, mechanism, key, function)?;
        let kind = match mechanism.kind()? {
            CKM_AES_GCM => Kind::Gcm,
            CKM_AES_CCM => Kind::Ccm,
            _ => Kind::ChaCha20Poly1305,
        };
        Ok(Sealing { object, kind, decrypting, message: None, base: None })
    })
}

/// C_EncryptMessage.
pub(super) fn encrypt_message(
    session: CK_SESSION_HANDLE,
    parameter: MessageParameter<'_>,
    aad: Input<'_>,
    data: Input<'_>,
    encrypted: Output<'_>,
) -> Result {
    with(&session_table::get(session)?.message_encrypt, |sealing| sealing.one(parameter, aad, data, encrypted))
}

/// C_DecryptMessage.
pub(super) fn decrypt_message(
    session: CK_SESSION_HANDLE,
    parameter: MessageParameter<'_>,
    aad: Input<'_>,
    encrypted: Input<'_>,
    data: Output<'_>,
) -> Result {
    with(&session_table::get(session)?.message_decrypt, |sealing| sealing.one(parameter, aad, encrypted, data))
}

/// C_EncryptMessageBegin and C_DecryptMessageBegin.
pub(super) fn begin(session: CK_SESSION_HANDLE, parameter: MessageParameter<'_>, aad: Input<'_>, decrypting: bool) -> Result {
    with(slot(&*session_table::get(session)?, decrypting), |sealing| sealing.begin(parameter, aad))
}

/// C_EncryptMessageNext and C_DecryptMessageNext.
pub(super) fn next(
    session: CK_SESSION_HANDLE,
    parameter: MessageParameter<'_>,
    part: Input<'_>,
    output: Output<'_>,
    flags: CK_FLAGS,
    decrypting: bool,
) -> Result {
    with(slot(&*session_table::get(session)?, decrypting), |sealing| sealing.next(parameter, part, output, flags))
}

/// C_MessageEncryptFinal and C_MessageDecryptFinal.
pub(super) fn end(session: CK_SESSION_HANDLE, decrypting: bool) -> Result {
    slot(&*session_table::get(session)?, decrypting).take()?.end().map(drop)
}

const fn slot(session: &super::sessions::Session, decrypting: bool) -> &Slot<Sealing> {
    if decrypting { &session.message_decrypt } else { &session.message_encrypt }
}

/// Runs `step` on the operation, which goes on whatever comes of it.
fn with(slot: &Slot<Sealing>, step: impl FnOnce(&mut Sealing) -> Result) -> Result {
    let mut taken: Taken<'_, Sealing> = slot.take()?;
    let result = step(taken.get()?);
    taken.keep();
    result
}

impl Sealing {
    /// Whether it ends with a logout.
    pub(super) fn uses_private_object(&self) -> bool {
        self.object.is_private()
    }

    fn one(&mut self, parameter: MessageParameter<'_>, aad: Input<'_>, data: Input<'_>, mut output: Output<'_>) -> Result {
        if self.message.is_some() {
            return Err(Error::OperationActive);
        }
        let mut params = self.read(parameter)?;
        self.check_tag(&mut params)?;
        let len = data.len()?;
        self.check_announced(&params, len)?;
        if let Room::Told(answer) = output.room(len)? {
            return answer;
        }
        // Copied: the caller's IV and associated data may lie anywhere, even in the output.
        let iv = self.iv(&mut params)?;
        let aad = aad.copied()?;
        let cipher = self.kind.params(iv.as_bytes(), &aad);
        let mut tag = [0; TAG];
        let tag = tag.get_mut(..params.tag.bytes()?.len()).ok_or(Error::MechanismParamInvalid)?;
        let written = if self.decrypting {
            tag.copy_from_slice(params.tag.bytes()?);
            self.object.decrypt(&cipher, output.cipher(&data, 0..len)?, tag).map_err(wrong_tag)?
        } else {
            let written = self.object.encrypt(&cipher, output.cipher(&data, 0..len)?, tag)?;
            params.tag.bytes()?.copy_from_slice(tag);
            written
        };
        output.tell(written);
        Ok(())
    }

    fn begin(&mut self, parameter: MessageParameter<'_>, aad: Input<'_>) -> Result {
        if self.message.is_some() {
            return Err(Error::OperationActive);
        }
        let mut params = self.read(parameter)?;
        let iv = self.iv(&mut params)?;
        let aad = aad.copied()?;
        let stream = match self.kind {
            Kind::Gcm => self.object.start_cipher(&self.kind.params(iv.as_bytes(), &aad), self.decrypting)?,
            Kind::Ccm | Kind::ChaCha20Poly1305 => None,
        };
        let stage = stream.map_or_else(|| Stage::Collecting(Kept::default()), Stage::Streaming);
        let made_in = (!self.decrypting && params.generator != CKG_NO_GENERATE).then(gate::generation);
        self.message = Some(Message { iv, made_in, aad, stage });
        Ok(())
    }

    fn next(&mut self, parameter: MessageParameter<'_>, part: Input<'_>, output: Output<'_>, flags: CK_FLAGS) -> Result {
        let result = self.part(parameter, part, output, flags & CKF_END_OF_MESSAGE != 0);
        if !matches!(result, Ok(()) | Err(Error::BufferTooSmall)) {
            self.message = None;
        }
        result
    }

    fn part(&mut self, parameter: MessageParameter<'_>, part: Input<'_>, mut output: Output<'_>, last: bool) -> Result {
        let made_in = self.message.as_ref().ok_or(Error::OperationNotInitialized)?.made_in;
        if made_in.is_some_and(|generation| generation != gate::generation()) {
            return Err(Error::OperationNotInitialized);
        }
        let (len, during) = (part.len()?, if self.decrypting { During::Decrypt } else { During::Protect });
        let mut params = self.read(parameter)?;
        if last {
            self.check_tag(&mut params)?;
        }
        let message = self.message.as_mut().ok_or(Error::OperationNotInitialized)?;
        match &mut message.stage {
            Stage::Streaming(stream) => {
                if let Room::Told(answer) = output.room(len)? {
                    return answer;
                }
                let written = stream.update(output.cipher(&part, 0..len)?);
                output.tell(written.map_err(|error| Error::from_crypto(error, during))?);
            }
            Stage::Collecting(data) => {
                let total = data.len().saturating_add(len);
                let operation = if self.decrypting { Operation::Decrypt } else { Operation::Encrypt };
                if total > MOST_KEPT || self.object.is_too_long(total, operation)? {
                    return Err(if self.decrypting { Error::EncryptedDataLenRange } else { Error::DataLenRange });
                }
                if let Room::Told(answer) = output.room(if last { total } else { 0 })? {
                    return answer;
                }
                data.add(part.bytes()?)?;
                if !last {
                    output.tell(0);
                }
            }
        }
        if last { self.end_message(&mut params, &mut output, during) } else { Ok(()) }
    }

    fn end_message(&mut self, params: &mut MessageParams<'_>, output: &mut Output<'_>, during: During) -> Result {
        let Some(Message { iv, aad, stage, .. }) = self.message.take() else { return Err(Error::OperationNotInitialized) };
        let mut tag = [0; TAG];
        let tag = tag.get_mut(..params.tag.bytes()?.len()).ok_or(Error::MechanismParamInvalid)?;
        if self.decrypting {
            tag.copy_from_slice(params.tag.bytes()?);
        }
        match stage {
            Stage::Streaming(stream) => {
                let ended = if self.decrypting { stream.finish_decrypt(&mut [], tag) } else { stream.finish_encrypt(&mut [], tag) };
                ended.map_err(|error| wrong_tag(Error::from_crypto(error, during)))?;
            }
            Stage::Collecting(data) => {
                self.check_announced(params, data.len())?;
                let mut result = Zeroizing::new(vec![0; data.len()]);
                let (cipher, io) = (self.kind.params(iv.as_bytes(), &aad), Buffers::new(&data, &mut result));
                let made = if self.decrypting { self.object.decrypt(&cipher, io, tag) } else { self.object.encrypt(&cipher, io, tag) };
                let written = made.map_err(wrong_tag)?;
                output.write(result.get(..written).ok_or(Error::GeneralError)?)?;
            }
        }
        if !self.decrypting {
            params.tag.bytes()?.copy_from_slice(tag);
        }
        Ok(())
    }

    fn read<'p>(&self, parameter: MessageParameter<'p>) -> Result<MessageParams<'p>> {
        let mut params = match self.kind {
            Kind::Gcm => parameter.gcm(),
            Kind::Ccm => parameter.ccm(),
            Kind::ChaCha20Poly1305 => parameter.chacha20_poly1305(),
        }?;
        let iv = params.iv.bytes().map_err(|_| Error::MechanismParamInvalid)?.len();
        let good = match self.kind {
            Kind::Gcm => (1..=LONGEST_IV).contains(&iv),
            Kind::Ccm => (7..=13).contains(&iv),
            Kind::ChaCha20Poly1305 => iv == 12,
        };
        if good { Ok(params) } else { Err(Error::MechanismParamInvalid) }
    }

    /// Makes sure that the tag has its place, and a length of the mechanism's.
    fn check_tag(&self, params: &mut MessageParams<'_>) -> Result {
        let tag = params.tag.bytes().map_err(|_| Error::MechanismParamInvalid)?.len();
        let good = match self.kind {
            Kind::Gcm => (4..=TAG).contains(&tag) && params.tag_bits.is_multiple_of(8),
            Kind::Ccm => (4..=TAG).contains(&tag) && tag.is_multiple_of(2),
            Kind::ChaCha20Poly1305 => tag == TAG,
        };
        if good { Ok(()) } else { Err(Error::MechanismParamInvalid) }
    }

    fn check_announced(&self, params: &MessageParams<'_>, len: usize) -> Result {
        match params.announced {
            Some(announced) if announced != len as CK_ULONG && self.decrypting => Err(Error::EncryptedDataLenRange),
            Some(announced) if announced != len as CK_ULONG => Err(Error::DataLenRange),
            _ => Ok(()),
        }
    }

    /// The IV of a message: the caller's, or one that is made here and told to the caller.
    fn iv(&mut self, params: &mut MessageParams<'_>) -> Result<Iv> {
        let place = params.iv.bytes()?;
        let mut iv = Iv::new(place);
        if self.decrypting {
            return Ok(iv);
        }
        let Some(wish) = Wish::of(params.generator)? else { return Ok(iv) };
        if wish == Wish::CounterXor {
            let base = self.base.get_or_insert_with(|| Iv::new(place));
            if base.as_bytes().len() != place.len() {
                return Err(Error::MechanismParamInvalid);
            }
            iv = Iv::new(base.as_bytes());
        }
        nonces::make(iv.as_bytes_mut(), params.fixed_bits, wish)?;
        place.copy_from_slice(iv.as_bytes());
        Ok(iv)
    }
}

/// What a decryption calls bad data is a tag that does not fit: every mechanism here has one, and no padding.
const fn wrong_tag(error: Error) -> Error {
    match error {
        Error::EncryptedDataInvalid => Error::AeadDecryptFailed,
        error => error,
    }
}

impl Kind {
    const fn params<'p>(self, iv: &'p [u8], aad: &'p [u8]) -> CipherParams<'p> {
        match self {
            Self::Gcm => CipherParams::AesGcm { iv, aad },
            Self::Ccm => CipherParams::AesCcm { iv, aad },
            Self::ChaCha20Poly1305 => CipherParams::ChaCha20Poly1305 { nonce: iv, aad },
        }
    }
}
