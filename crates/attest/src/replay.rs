//! Each document is accepted once.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use aws_lc_rs::digest::{SHA256, digest};
use parking_lot::Mutex;

use crate::Error;
use crate::envelope::Envelope;

/// What a verifier with the usual limits refuses for its age after that: 5 minutes and 1 minute ahead.
const KEPT: Duration = Duration::from_secs(6 * 60);
/// Some 200 documents a second over [`KEPT`]; 5 MB.
const CAPACITY: usize = 65_536;

/// The documents that were accepted, for as long as freshness would accept them again.
///
/// A document is known by its signed content, not by its bytes: tag, CBOR lengths and an ECDSA signature can be rewritten by anybody. The memory is the
/// process's own: a restart forgets it.
#[derive(Debug)]
pub struct ReplayMemory {
    /// SHA-256 of the content, and when it may be forgotten.
    seen: Mutex<HashMap<[u8; 32], SystemTime>>,
    kept: Duration,
    capacity: usize,
}

impl ReplayMemory {
    /// A memory for verifiers that accept documents within `window`: their greatest age plus how far ahead they may be. It holds at most
    /// `capacity` documents.
    #[must_use]
    pub fn new(window: Duration, capacity: usize) -> Self {
        Self { seen: Mutex::new(HashMap::new()), kept: window, capacity }
    }

    /// Accepts a document that was verified at `now`, unless it was accepted before.
    ///
    /// # Errors
    /// [`Error::Replayed`]; [`Error::ReplayMemoryFull`] where forgetting what is old makes no room: to forget others would let them be
    /// replayed; those of [`crate::Document::parse`] where it is no document.
    pub fn accept(&self, document: &[u8], now: SystemTime) -> Result<(), Error> {
        let envelope = Envelope::open(document)?;
        let mut identity = [0; 32];
        identity.copy_from_slice(digest(&SHA256, envelope.payload()).as_ref());
        let mut seen = self.seen.lock();
        if seen.get(&identity).is_some_and(|until| *until >= now) {
            return Err(Error::Replayed);
        }
        if seen.len() >= self.capacity {
            seen.retain(|_, until| *until >= now);
        }
        if seen.len() >= self.capacity {
            return Err(Error::ReplayMemoryFull { limit: self.capacity });
        }
        seen.insert(identity, now + self.kept);
        Ok(())
    }
}

impl Default for ReplayMemory {
    fn default() -> Self {
        Self::new(KEPT, CAPACITY)
    }
}
