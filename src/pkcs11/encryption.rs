//! Encryption and decryption functions (sections 5.8 and 5.10).
//!
//! An operation in one call goes to the engine as it is. In parts, a key that is here works as the data comes, and so does DSM with one
//! that stays there, in the modes that it has in parts. In others, and where the plaintext may not be seen before the tag, the data is
//! collected and processed at the end: for a key in DSM, no more than one request takes.

use std::sync::Arc;

use cryptoki_sys::{CK_OBJECT_HANDLE, CK_SESSION_HANDLE, CKF_DECRYPT, CKF_ENCRYPT};
use dsma_api::Operation;
use dsma_core::dsm_takes_parts;
use dsma_crypto::{Buffers, CipherStream};
use zeroize::Zeroizing;

use super::consent::{Consent, Consenting};
use super::error::During;
use super::ffi::{Input, Mechanism, Output, Room};
use super::kept::Kept;
use super::mechanisms::{self, CipherSpec};
use super::objects::Object;
use super::operation::Slot;
use super::parts_in_dsm::{End, PartsInDsm};
use super::sessions::Session;
use super::{Error, Result, session_table};

/// The longest tag, and the longest output of a stream's end.
const BLOCK: usize = 16;

/// A running encryption or decryption.
pub(super) struct Ciphering {
    object: Arc<Object>,
    spec: CipherSpec,
    decrypting: bool,
    consent: Consent,
    stage: Stage,
}

impl Consenting for Ciphering {
    fn consent(&mut self) -> &mut Consent {
        &mut self.consent
    }
}

/// How far an operation in parts has come.
enum Stage {
    /// No part yet: it may still become an operation in one call.
    Fresh,
    /// Data is processed as it comes; so many bytes came.
    Streaming { stream: CipherStream, seen: usize },
    /// The same, by DSM.
    InDsm(Box<PartsInDsm>),
    /// Data waits for the end.
    Collecting(Kept),
    /// The end was reached with a buffer that was too small; this is the result.
    Done(Zeroizing<Vec<u8>>),
}

/// C_EncryptInit.
pub(super) fn encrypt_init(session: CK_SESSION_HANDLE, mechanism: Mechanism<'_>, key: CK_OBJECT_HANDLE) -> Result {
    let session = session_table::get(session)?;
    if mechanism.is_null() {
        session.encrypt.cancel();
        return Ok(());
    }
    session.start(&session.encrypt, || Ok(Ciphering::new(mechanisms::cipher(&session, mechanism, key, CKF_ENCRYPT)?, false)))
}

/// C_Encrypt.
pub(super) fn encrypt(session: CK_SESSION_HANDLE, data: Input<'_>, encrypted: Output<'_>) -> Result {
    in_one_call(&session_table::get(session)?.encrypt, &data, encrypted)
}

/// C_EncryptUpdate.
pub(super) fn encrypt_update(session: CK_SESSION_HANDLE, part: Input<'_>, encrypted: Output<'_>) -> Result {
    update(&session_table::get(session)?.encrypt, &part, encrypted, |_| Ok(()))
}

/// C_EncryptFinal.
pub(super) fn encrypt_final(session: CK_SESSION_HANDLE, encrypted: Output<'_>) -> Result {
    finish(&session_table::get(session)?.encrypt, encrypted)
}

/// C_DecryptInit.
pub(super) fn decrypt_init(session: CK_SESSION_HANDLE, mechanism: Mechanism<'_>, key: CK_OBJECT_HANDLE) -> Result {
    let session = session_table::get(session)?;
    if mechanism.is_null() {
        session.decrypt.cancel();
        return Ok(());
    }
    session.start(&session.decrypt, || Ok(Ciphering::new(mechanisms::cipher(&session, mechanism, key, CKF_DECRYPT)?, true)))
}

/// C_Decrypt.
pub(super) fn decrypt(session: CK_SESSION_HANDLE, encrypted: Input<'_>, data: Output<'_>) -> Result {
    in_one_call(&session_table::get(session)?.decrypt, &encrypted, data)
}

/// C_DecryptUpdate.
pub(super) fn decrypt_update(session: CK_SESSION_HANDLE, encrypted: Input<'_>, part: Output<'_>) -> Result {
    update(&session_table::get(session)?.decrypt, &encrypted, part, |_| Ok(()))
}

/// C_DecryptFinal.
pub(super) fn decrypt_final(session: CK_SESSION_HANDLE, part: Output<'_>) -> Result {
    finish(&session_table::get(session)?.decrypt, part)
}

/// A whole operation that no other call of the session sees: an item of a batch.
pub(super) fn at_once(
    session: &Session,
    mechanism: Mechanism<'_>,
    key: CK_OBJECT_HANDLE,
    decrypting: bool,
    input: &Input<'_>,
    output: Output<'_>,
) -> Result {
    let function = if decrypting { CKF_DECRYPT } else { CKF_ENCRYPT };
    let slot = Slot::new();
    slot.start(|| Ok(Ciphering::new(mechanisms::cipher(session, mechanism, key, function)?, decrypting)))?;
    in_one_call(&slot, input, output)
}

fn in_one_call(slot: &Slot<Ciphering>, input: &Input<'_>, mut output: Output<'_>) -> Result {
    let mut taken = slot.take()?;
    let running = taken.get()?;
    // A one-shot function cannot finish what was begun in parts (trap 4).
    if !matches!(running.stage, Stage::Fresh) {
        return Err(Error::OperationNotInitialized);
    }
    let len = input.len()?;
    let needed = running.output_len(len)?;
    if !output.is_query() && running.hides_length() && output.capacity()? < needed {
        // The plaintext may still fit: nobody knows before it is there.
        let plain = running.run_to_vec(input.bytes()?)?;
        if let Room::Told(answer) = output.room(plain.len())? {
            taken.keep();
            return answer;
        }
        return output.write(&plain);
    }
    if let Room::Told(answer) = output.room(needed)? {
        taken.keep();
        return answer;
    }
    taken.end()?.run(input, &mut output)
}

/// C_EncryptUpdate or C_DecryptUpdate; `observe` is shown the plaintext as it passes, for the functions that do two things at once.
pub(super) fn update(slot: &Slot<Ciphering>, part: &Input<'_>, mut output: Output<'_>, mut observe: impl FnMut(&[u8]) -> Result) -> Result {
    let mut taken = slot.take()?;
    let running = taken.get()?;
    let len = part.len()?;
    let was_fresh = running.is_fresh();
    running.begin()?;
    let decrypting = running.decrypting;
    match &mut running.stage {
        Stage::Streaming { stream, seen } => {
            let total = seen.checked_add(len).ok_or(Error::DataLenRange)?;
            running.spec.check_len(total, too_long(decrypting))?;
            let needed = running.spec.streamed_len(decrypting, total) - running.spec.streamed_len(decrypting, *seen);
            if let Room::Told(answer) = output.room(needed)? {
                running.stay_fresh(was_fresh);
                taken.keep();
                return answer;
            }
            // Before it may be overwritten in place.
            if !decrypting {
                observe(part.bytes()?)?;
            }
            let written = stream.update(output.cipher(part, 0..len)?).map_err(|error| Error::from_crypto(error, during(decrypting)))?;
            *seen = total;
            if decrypting {
                observe(output.written(written)?)?;
            }
            output.tell(written);
        }
        Stage::InDsm(dsm) => {
            let total = dsm.seen.checked_add(len).ok_or(Error::DataLenRange)?;
            running.spec.check_len(total, too_long(decrypting))?;
            let by_now = running.spec.streamed_len(decrypting, total);
            let due = by_now - dsm.put_out;
            // What came back later than expected may wait longer, where the caller has room for this part alone.
            let needed = if output.is_query() { due } else { by_now - running.spec.streamed_len(decrypting, dsm.seen) };
            if let Room::Told(answer) = output.room(needed)? {
                running.stay_fresh(was_fresh);
                taken.keep();
                return answer;
            }
            if !decrypting {
                observe(part.bytes()?)?;
            }
            let given = dsm.take((&running.object, &running.spec, decrypting), part.bytes()?, due, output.capacity()?)?;
            let out = dsm.ready().get(..given).unwrap_or_default();
            if decrypting {
                observe(out)?;
            }
            output.write(out)?;
            dsm.handed_out(given);
        }
        Stage::Collecting(data) => {
            if let Room::Told(answer) = output.room(0)? {
                running.stay_fresh(was_fresh);
                taken.keep();
                return answer;
            }
            if running.object.is_too_long(data.len().saturating_add(len), operation(decrypting))? {
                return Err(too_long(decrypting));
            }
            if !decrypting {
                observe(part.bytes()?)?;
            }
            data.add(part.bytes()?)?;
            output.tell(0);
        }
        Stage::Fresh | Stage::Done(_) => return Err(Error::OperationNotInitialized),
    }
    taken.keep();
    Ok(())
}

fn finish(slot: &Slot<Ciphering>, mut output: Output<'_>) -> Result {
    let mut taken = slot.take()?;
    let running = taken.get()?;
    let was_fresh = running.is_fresh();
    running.begin()?;
    let most = running.rest_len()?;
    // Where padding hides the length, only a query is answered with the upper bound.
    if (output.is_query() || !running.hides_length())
        && let Room::Told(answer) = output.room(most)?
    {
        running.stay_fresh(was_fresh);
        taken.keep();
        return answer;
    }
    let rest = running.take_rest(most)?;
    if let Room::Told(answer) = output.room(rest.len())? {
        running.stage = Stage::Done(rest);
        taken.keep();
        return answer;
    }
    output.write(&rest)
}

impl Ciphering {
    fn new((object, spec): (Arc<Object>, CipherSpec), decrypting: bool) -> Self {
        Self { consent: Consent::of(&object), object, spec, decrypting, stage: Stage::Fresh }
    }

    /// Whether it ends with a logout.
    pub(super) fn uses_private_object(&self) -> bool {
        self.object.is_private()
    }

    const fn is_fresh(&self) -> bool {
        matches!(self.stage, Stage::Fresh)
    }

    /// A call that told a length, or that the buffer is too small, has begun nothing (traps 1 and 2): one call may still do it all.
    fn stay_fresh(&mut self, was_fresh: bool) {
        if was_fresh {
            self.stage = Stage::Fresh;
        }
    }

    /// Decides at the first part how the data is processed: the one look into the key cache.
    fn begin(&mut self) -> Result {
        if !matches!(self.stage, Stage::Fresh) {
            return Ok(());
        }
        self.consent.check()?;
        self.stage = Stage::Collecting(Kept::default());
        if self.spec.streams(self.decrypting) {
            let params = self.spec.params.as_params();
            if let Some(stream) = self.object.start_cipher(&params, self.decrypting)? {
                self.stage = Stage::Streaming { stream, seen: 0 };
            } else if dsm_takes_parts(&params) {
                self.stage = Stage::InDsm(Box::default());
            }
        }
        Ok(())
    }

    /// Length of the output for `len` bytes of input: an upper bound where [`Self::hides_length`].
    fn output_len(&self, len: usize) -> Result<usize> {
        if self.decrypting { self.spec.decrypted_len(len) } else { self.spec.encrypted_len(len) }
    }

    fn hides_length(&self) -> bool {
        self.decrypting && self.spec.hides_length()
    }

    /// Most that the end of an operation in parts puts out.
    fn rest_len(&self) -> Result<usize> {
        match &self.stage {
            Stage::Fresh => self.output_len(0),
            Stage::Collecting(data) => self.output_len(data.len()),
            Stage::Done(rest) => Ok(rest.len()),
            Stage::InDsm(dsm) => Ok(self.output_len(dsm.seen)?.saturating_sub(dsm.put_out)),
            Stage::Streaming { seen, .. } => Ok(self.output_len(*seen)? - self.spec.streamed_len(self.decrypting, *seen)),
        }
    }

    /// Ends an operation in parts; `most` is what [`Self::rest_len`] said.
    fn take_rest(&mut self, most: usize) -> Result<Zeroizing<Vec<u8>>> {
        match std::mem::replace(&mut self.stage, Stage::Fresh) {
            Stage::Done(rest) => Ok(rest),
            Stage::Fresh => self.run_to_vec(&[]),
            Stage::Collecting(data) => self.run_to_vec(&data),
            Stage::InDsm(dsm) => match dsm.finish(&self.object, &self.spec, self.decrypting)? {
                End::Whole(data) => self.run_to_vec(&data),
                End::Rest(rest) => Ok(rest),
            },
            Stage::Streaming { stream, .. } => {
                let mut rest = zeros(most.max(BLOCK))?;
                let mut tag = [0; BLOCK];
                let tag = &mut tag[..self.spec.tag_len];
                let ended = if self.decrypting { stream.finish_decrypt(&mut rest, tag) } else { stream.finish_encrypt(&mut rest, tag) };
                let len = ended.map_err(|error| Error::from_crypto(error, during(self.decrypting)))?;
                rest.truncate(len);
                rest.extend_from_slice(tag);
                Ok(rest)
            }
        }
    }

    /// The whole operation in the caller's buffers, which may be one.
    fn run(&self, input: &Input<'_>, output: &mut Output<'_>) -> Result {
        self.consent.check()?;
        let len = input.len()?;
        let mut tag = [0; BLOCK];
        let tag = &mut tag[..self.spec.tag_len];
        if self.decrypting {
            let data = len.checked_sub(tag.len()).ok_or(Error::EncryptedDataLenRange)?;
            tag.copy_from_slice(&input.bytes()?[data..]);
            let written = self.decrypt(output.cipher(input, 0..data)?, tag)?;
            output.tell(written);
        } else {
            let written = self.encrypt(output.cipher(input, 0..len)?, tag)?;
            output.write_at(written, tag)?;
            output.tell(written + tag.len());
        }
        Ok(())
    }

    /// The whole operation in memory of our own.
    fn run_to_vec(&self, data: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        self.consent.check()?;
        let mut result = zeros(self.output_len(data.len())?)?;
        let mut tag = [0; BLOCK];
        let tag = &mut tag[..self.spec.tag_len];
        if self.decrypting {
            let (data, given) = data.split_at(data.len().checked_sub(tag.len()).ok_or(Error::EncryptedDataLenRange)?);
            tag.copy_from_slice(given);
            let written = self.decrypt(Buffers::new(data, &mut result), tag)?;
            result.truncate(written);
        } else {
            let written = self.encrypt(Buffers::new(data, &mut result), tag)?;
            result.truncate(written);
            result.extend_from_slice(tag);
        }
        Ok(result)
    }

    fn encrypt(&self, data: Buffers<'_>, tag: &mut [u8]) -> Result<usize> {
        self.object.encrypt(&self.spec.params.as_params(), data, tag)
    }

    fn decrypt(&self, data: Buffers<'_>, tag: &[u8]) -> Result<usize> {
        self.object.decrypt(&self.spec.params.as_params(), data, tag)
    }
}

/// Memory for as much as a caller says to have: what cannot be had is no reason to end the host.
fn zeros(len: usize) -> Result<Zeroizing<Vec<u8>>> {
    let mut memory = Zeroizing::new(Vec::new());
    memory.try_reserve_exact(len).map_err(|_| Error::HostMemory)?;
    memory.resize(len, 0);
    Ok(memory)
}

const fn operation(decrypting: bool) -> Operation {
    if decrypting { Operation::Decrypt } else { Operation::Encrypt }
}

const fn too_long(decrypting: bool) -> Error {
    if decrypting { Error::EncryptedDataLenRange } else { Error::DataLenRange }
}

const fn during(decrypting: bool) -> During {
    if decrypting { During::Decrypt } else { During::Protect }
}
