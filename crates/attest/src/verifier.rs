//! Whether a document is believed.

use std::time::{Duration, SystemTime};

use crate::chain::{self, rfc3339};
use crate::envelope::Envelope;
use crate::{Document, Error, Roots};

/// Long enough for a slow node agent, short enough that a stolen document is soon worthless.
const MAX_AGE: Duration = Duration::from_secs(5 * 60);
/// What two clocks may differ by.
const MAX_AHEAD: Duration = Duration::from_secs(60);

/// The rules, and what may be set about them.
#[derive(Clone, Debug)]
pub struct Verifier {
    roots: Roots,
    allow_debug: bool,
    freshness: Option<Freshness>,
}

#[derive(Clone, Copy, Debug)]
struct Freshness {
    max_age: Duration,
    max_ahead: Duration,
}

impl Verifier {
    /// Believes documents under these roots that are at most 5 minutes old and 1 minute ahead, and none of debug-mode enclaves.
    #[must_use]
    pub const fn new(roots: Roots) -> Self {
        Self { roots, allow_debug: false, freshness: Some(Freshness { max_age: MAX_AGE, max_ahead: MAX_AHEAD }) }
    }

    /// Whether documents of debug-mode enclaves are believed. They prove nothing about the image: for looking at documents only.
    #[must_use]
    pub const fn allow_debug(mut self, allow: bool) -> Self {
        self.allow_debug = allow;
        self
    }

    /// Documents of any age, as long as their certificates are valid (3 hours with the real NSM): for looking at files, not for access.
    #[must_use]
    pub const fn without_age_limit(mut self) -> Self {
        self.freshness = None;
        self
    }

    /// Checks a document at the time `now`, in this order: size, envelope, syntax, chain to a pinned root (with names, times, path length
    /// and key usage), signature, freshness, debug mode. Whether it was accepted before and whether its measurements
    /// are approved is for the caller to say.
    ///
    /// # Errors
    /// The first rule that is broken; see [`Error::rule`].
    pub fn verify(&self, bytes: &[u8], now: SystemTime) -> Result<Document, Error> {
        let envelope = Envelope::open(bytes)?;
        let document = Document::from_payload(envelope.payload())?;
        let key = chain::verify(&document, &self.roots, now)?;
        envelope.verify(&key)?;
        if let Some(freshness) = self.freshness {
            freshness.check(document.timestamp_millis, now)?;
        }
        match document.unmeasured() {
            Some((pcr, seen)) if !self.allow_debug => Err(Error::DebugMode { pcr, seen }),
            _ => Ok(document),
        }
    }
}

impl Freshness {
    fn check(self, timestamp_millis: u64, now: SystemTime) -> Result<(), Error> {
        let signed = SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(timestamp_millis));
        let signed = signed.ok_or_else(|| Error::Field { field: "timestamp", problem: "no date that this system knows".to_owned() })?;
        let signed_at = rfc3339(signed);
        match now.duration_since(signed) {
            Ok(age) if age > self.max_age => Err(Error::TooOld { signed_at, age, limit: self.max_age }),
            Ok(_) => Ok(()),
            Err(early) if early.duration() > self.max_ahead => {
                Err(Error::Ahead { signed_at, ahead: early.duration(), limit: self.max_ahead })
            }
            Err(_) => Ok(()),
        }
    }
}
