//! An encryption or decryption in parts with a key that stays in DSM.
//!
//! How much a call puts out is what a cipher in this process would put out, so that callers with tight buffers are served: OpenSSL and
//! others give C_EncryptFinal room for one block. That takes a request for each part. A caller that gives each call much more room than
//! it needs has one large buffer, which it will bring to the end as well: its parts are put together into larger requests.
//! DSM may put out less than expected, and later the rest; it is handed out as it comes.

use std::sync::Arc;

use dsma_core::{MOST_FORWARDED, Parts};
use zeroize::Zeroizing;

use super::Result;
use super::kept::Kept;
use super::mechanisms::CipherSpec;
use super::objects::Object;

/// Parts are put together up to so many bytes.
const TOGETHER: usize = 64 << 10;
/// Room beyond what a call needs, in bytes, from which on a caller is taken to have one large buffer.
const AMPLE: usize = 4 << 10;

const _: () = assert!(TOGETHER < MOST_FORWARDED, "what waits until the end goes there in one request");

/// A running operation.
#[derive(Default)]
pub(super) struct PartsInDsm {
    /// `None` until the first data goes to DSM.
    begun: Option<Parts>,
    /// Not sent yet.
    waiting: Kept,
    /// Came back, and did not fit into what a caller has to expect.
    ready: Kept,
    /// Bytes that the caller gave.
    pub(super) seen: usize,
    /// Bytes that the caller got.
    pub(super) put_out: usize,
}

/// The end of an operation.
pub(super) enum End {
    /// Nothing was sent: this is the whole message, for one request.
    Whole(Kept),
    /// The rest, with the tag.
    Rest(Zeroizing<Vec<u8>>),
}

impl PartsInDsm {
    /// Takes a part of the input, after which `due` bytes may be put out into `room`. Returns how many of [`Self::ready`] are.
    pub(super) fn take(
        &mut self,
        (object, spec, decrypting): (&Arc<Object>, &CipherSpec, bool),
        part: &[u8],
        due: usize,
        room: usize,
    ) -> Result<usize> {
        let together = self.waiting.len().saturating_add(part.len());
        let ample = room.saturating_sub(due) >= AMPLE && together < TOGETHER;
        if due == 0 || ample {
            self.waiting.add(part)?;
        } else if self.waiting.is_empty() {
            self.send((object, spec, decrypting), part)?;
        } else {
            let mut waiting = std::mem::take(&mut self.waiting);
            waiting.add(part)?;
            self.send((object, spec, decrypting), &waiting)?;
        }
        self.seen = self.seen.saturating_add(part.len());
        Ok(self.ready.len().min(due).min(room))
    }

    /// What is ready to be put out.
    pub(super) fn ready(&self) -> &[u8] {
        &self.ready
    }

    /// Notes that so many bytes of [`Self::ready`] were put out.
    pub(super) fn handed_out(&mut self, len: usize) {
        self.ready.drop_front(len);
        self.put_out = self.put_out.saturating_add(len);
    }

    /// Ends the operation.
    pub(super) fn finish(mut self, object: &Arc<Object>, spec: &CipherSpec, decrypting: bool) -> Result<End> {
        let waiting = std::mem::take(&mut self.waiting);
        if self.begun.is_none() {
            return Ok(End::Whole(waiting));
        }
        if !waiting.is_empty() {
            self.send((object, spec, decrypting), &waiting)?;
        }
        let Some(parts) = self.begun.take() else { return Ok(End::Whole(waiting)) };
        let rest = object.finish_in_dsm(parts, spec.tag_len, decrypting)?;
        self.ready.add(&rest)?;
        Ok(End::Rest(self.ready.into_bytes()))
    }

    fn send(&mut self, (object, spec, decrypting): (&Arc<Object>, &CipherSpec, bool), data: &[u8]) -> Result {
        if self.begun.is_none() {
            self.begun = Some(object.start_in_dsm(&spec.params.as_params(), decrypting)?);
        }
        let Some(parts) = &mut self.begun else { return Ok(()) };
        let made = object.update_in_dsm(parts, data, decrypting)?;
        self.ready.add(&made)
    }
}
