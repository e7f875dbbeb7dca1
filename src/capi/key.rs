//! `dsma_key`: a key by its name or kid, bound to a client.
#![expect(non_camel_case_types, reason = "the header's names")]

use std::sync::{Arc, OnceLock};

use dsma_core::{Accelerator, Error, KeyRef};
use uuid::Uuid;
use uuid::fmt::Hyphenated;

use super::client::dsma_client;
use super::error::Failure;

/// A key in DSM, by name or kid. It holds no key material: that is in the client's cache, for as long as the cache lets it. Opaque,
/// reference counted, safe to use from any number of threads at once, and it keeps its client alive.
pub(crate) struct dsma_key {
    client: Arc<dsma_client>,
    /// What the caller called it, for messages.
    label: String,
    /// What the caller called it, for the engine.
    given: KeyRef,
    /// The kid of a name, set at its first use: every later call finds the cache entry without looking the name up.
    resolved: OnceLock<Uuid>,
}

impl dsma_key {
    pub(super) fn by_name(client: &Arc<dsma_client>, name: &str) -> Result<Arc<Self>, Failure> {
        if name.is_empty() {
            return Err(Failure::Argument { name: "name", problem: "is empty; give the key's name in DSM" });
        }
        let label = format!("key {name:?}");
        Ok(Self::new(client, label, KeyRef::Name(name.to_owned())))
    }

    pub(super) fn by_kid(client: &Arc<dsma_client>, kid: &str) -> Result<Arc<Self>, Failure> {
        let kid = parse_kid(kid)?;
        Ok(Self::new(client, format!("key {kid}"), KeyRef::Kid(kid)))
    }

    fn new(client: &Arc<dsma_client>, label: String, given: KeyRef) -> Arc<Self> {
        Arc::new(Self { client: Arc::clone(client), label, given, resolved: OnceLock::new() })
    }

    /// The kid; asks DSM where only the name is known.
    pub(super) fn kid(&self) -> Result<Uuid, Failure> {
        self.resolve().map_err(|error| self.failure(error))
    }

    /// Fetches the key into the cache unless it is there.
    pub(super) fn load(&self) -> Result<(), Failure> {
        self.run(|accelerator, kid| accelerator.key(kid).map(drop))
    }

    /// Runs one operation of the engine on this key; its failure tells which key it was.
    pub(super) fn run<R>(&self, operation: impl FnOnce(&Accelerator, &KeyRef) -> Result<R, Error>) -> Result<R, Failure> {
        self.resolve().and_then(|kid| operation(self.client.accelerator(), &KeyRef::Kid(kid))).map_err(|error| self.failure(error))
    }

    /// What a message calls the key.
    pub(super) fn label(&self) -> &str {
        &self.label
    }

    fn resolve(&self) -> Result<Uuid, Error> {
        if let KeyRef::Kid(kid) = self.given {
            return Ok(kid);
        }
        if let Some(kid) = self.resolved.get() {
            return Ok(*kid);
        }
        let kid = self.client.accelerator().key(&self.given)?.kid();
        // Two threads that race here both hold an answer of DSM; the first one stands.
        Ok(*self.resolved.get_or_init(|| kid))
    }

    fn failure(&self, error: Error) -> Failure {
        match Failure::from(error) {
            Failure::Engine { error, .. } => Failure::Engine { key: Some(self.label.clone()), error },
            other => other,
        }
    }
}

/// Writes the kid as C text, its NUL included.
pub(super) fn write_kid(kid: Uuid, room: &mut [u8]) -> Result<usize, Failure> {
    const NEEDED: usize = Hyphenated::LENGTH + 1;
    let Some(room) = room.get_mut(..NEEDED) else { return Err(Failure::TooSmall { needed: NEEDED }) };
    kid.hyphenated().encode_lower(room);
    room[NEEDED - 1] = 0;
    Ok(NEEDED)
}

/// A kid in its text form, with hyphens or without.
pub(super) fn parse_kid(text: &str) -> Result<Uuid, Failure> {
    Uuid::try_parse(text)
        .map_err(|_| Failure::Argument { name: "kid", problem: "is no UUID; give the kid as DSM shows it, or open the key by its name" })
}
