//! Message digesting functions (section 5.12).

use cryptoki_sys::CK_SESSION_HANDLE;
use dsma_crypto::digest::{Hash, Hasher};

use super::ffi::{Input, Mechanism, Output, Room};
use super::{Error, Result, mechanisms, session_table};

/// A running digest.
pub(super) struct Digesting {
    hash: Hash,
    hasher: Hasher,
    /// Parts have been given: only C_DigestFinal can finish it (trap 4).
    in_parts: bool,
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
        Ok(Digesting { hash, hasher: Hasher::new(hash), in_parts: false })
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
    running.hasher.update(part.bytes()?);
    running.in_parts = true;
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
