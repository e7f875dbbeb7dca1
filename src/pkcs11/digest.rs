//! Message digesting functions (section 5.12).

use cryptoki_sys::{CK_MECHANISM_TYPE, CK_OBJECT_HANDLE, CK_SESSION_HANDLE, CKA_VALUE, CKO_SECRET_KEY};
use dsma_crypto::digest::{Hash, Hasher};
use zeroize::Zeroizing;

use super::attributes::Answer;
use super::ffi::{Input, Mechanism, Output, Room};
use super::{Error, Result, mechanisms, session_table};

/// What a written state begins with: the version of its form.
const STATE: &[u8] = b"dsma digest 1\0";

/// A running digest.
pub(super) struct Digesting {
    hash: Hash,
    hasher: Hasher,
    /// Parts have been given: only C_DigestFinal can finish it (trap 4).
    in_parts: bool,
    /// A key is part of the message: the state, which begins with the message's last bytes, must not leave.
    holds_key: bool,
    /// That key is private.
    holds_private_key: bool,
}

impl Digesting {
    fn new(hash: Hash, hasher: Hasher, in_parts: bool) -> Self {
        Self { hash, hasher, in_parts, holds_key: false, holds_private_key: false }
    }

    /// Whether it ends with a logout.
    pub(super) const fn uses_private_object(&self) -> bool {
        self.holds_private_key
    }

    /// Appends to the message.
    pub(super) fn add(&mut self, part: &[u8]) -> Result {
        self.hasher.update(part);
        self.in_parts = true;
        Ok(())
    }

    /// The state, to go on from in another session; `None` for a hash whose state cannot be written down, and for one that tells a key.
    fn save(&self) -> Option<Zeroizing<Vec<u8>>> {
        if self.holds_key {
            return None;
        }
        let mut state = Zeroizing::new(STATE.to_vec());
        state.push(u8::from(self.in_parts));
        state.extend_from_slice(&mechanisms::digest_number(self.hash).to_be_bytes());
        state.extend_from_slice(&self.hasher.save()?);
        Some(state)
    }

    fn restore(state: &[u8]) -> Option<Self> {
        let (in_parts, state) = state.strip_prefix(STATE)?.split_first()?;
        let (number, state) = state.split_first_chunk()?;
        let hash = mechanisms::digest_of(CK_MECHANISM_TYPE::from_be_bytes(*number))?;
        Some(Self::new(hash, Hasher::restore(hash, state)?, *in_parts == 1))
    }
}

/// C_GetOperationState: of a digest alone. The others hold keys.
pub(super) fn get_operation_state(session: CK_SESSION_HANDLE, mut state: Output<'_>) -> Result {
    let session = session_table::get(session)?;
    if session.is_busy_with_keys() {
        return Err(Error::StateUnsaveable);
    }
    let mut taken = session.digest.take()?;
    let saved = taken.get()?.save();
    taken.keep();
    let saved = saved.ok_or(Error::StateUnsaveable)?;
    match state.room(saved.len())? {
        Room::Told(answer) => answer,
        Room::Enough => state.write(&saved),
    }
}

/// C_SetOperationState. It takes the place of a digest that runs; `with_keys` says that the caller gave keys, which a digest has none of.
pub(super) fn set_operation_state(session: CK_SESSION_HANDLE, state: Input<'_>, with_keys: bool) -> Result {
    let session = session_table::get(session)?;
    let restored = Digesting::restore(state.bytes()?).ok_or(Error::SavedStateInvalid)?;
    if with_keys {
        return Err(Error::KeyNotNeeded);
    }
    session.digest.cancel();
    session.digest.start(|| Ok(restored))
}

/// C_DigestInit.
pub(super) fn digest_init(session: CK_SESSION_HANDLE, mechanism: Mechanism<'_>) -> Result {
    let session = session_table::get(session)?;
    if mechanism.is_null() {
        session.digest.cancel();
        return Ok(());
    }
    session.digest.start(|| {
        let hash = mechanisms::digest(&session, mechanism)?;
        Ok(Digesting::new(hash, Hasher::new(hash), false))
    })
}

/// C_Digest.
pub(super) fn digest(session: CK_SESSION_HANDLE, data: Input<'_>, mut digest: Output<'_>) -> Result {
    let session = session_table::get(session)?;
    let mut taken = session.digest.take()?;
    let running = taken.get()?;
    if running.in_parts {
        return Err(Error::OperationNotInitialized);
    }
    if let Room::Told(answer) = digest.room(running.hash.len())? {
        taken.keep();
        return answer;
    }
    let value = running.hash.digest(data.bytes()?);
    digest.write(value.as_ref())
}

/// C_DigestUpdate.
pub(super) fn digest_update(session: CK_SESSION_HANDLE, part: Input<'_>) -> Result {
    let session = session_table::get(session)?;
    let mut taken = session.digest.take()?;
    let running = taken.get()?;
    running.add(part.bytes()?)?;
    taken.keep();
    Ok(())
}

/// C_DigestKey: for secret keys that an application may read, whose digest it could make without us. The digest of another one would tell
/// something of it, and all of a short one.
pub(super) fn digest_key(session: CK_SESSION_HANDLE, key: CK_OBJECT_HANDLE) -> Result {
    let session = session_table::get(session)?;
    let mut taken = session.digest.take()?;
    let key = session.key(key)?;
    if key.class() != CKO_SECRET_KEY {
        return Err(Error::KeyIndigestible);
    }
    key.fetch()?;
    let Answer::Value(bytes) = key.attribute(CKA_VALUE) else { return Err(Error::KeyIndigestible) };
    let running = taken.get()?;
    running.add(bytes.as_bytes())?;
    running.holds_key = true;
    running.holds_private_key |= key.is_private();
    taken.keep();
    Ok(())
}

/// C_DigestFinal.
pub(super) fn digest_final(session: CK_SESSION_HANDLE, mut digest: Output<'_>) -> Result {
    let session = session_table::get(session)?;
    let mut taken = session.digest.take()?;
    if let Room::Told(answer) = digest.room(taken.get()?.hash.len())? {
        taken.keep();
        return answer;
    }
    digest.write(taken.end()?.hasher.finish().as_ref())
}
