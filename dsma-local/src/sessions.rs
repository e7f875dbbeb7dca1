//! Sessions: tokens, and how they end. DSM and CCM each have their own.
//!
//! Sessions live in memory: a restart ends them, and clients log in again on 401. Only hashes of tokens are kept.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use dsma_crypto::digest::Hash;
use parking_lot::Mutex;
use uuid::Uuid;

use crate::error::Error;
use crate::secrets::{DEFAULT_SIZE, make_secret};

/// Sessions that may be open at the same time. Beyond them the one that was not used for the longest ends: memory must not be somebody
/// else's to fill.
const MANY: usize = 100_000;

/// The open sessions; `P` is who calls.
pub(crate) struct Sessions<P> {
    idle: Duration,
    many: usize,
    open: Mutex<HashMap<[u8; 32], Session<P>>>,
}

struct Session<P> {
    principal: P,
    /// The account that a user has selected.
    acct_id: Option<Uuid>,
    last_used: Instant,
}

impl<P: Copy + PartialEq> Sessions<P> {
    /// Sessions that end after so long without a call.
    pub(crate) fn new(idle: Duration) -> Self {
        Self { idle, many: MANY, open: Mutex::new(HashMap::new()) }
    }

    /// After how long without a call a session ends.
    pub(crate) const fn idle(&self) -> Duration {
        self.idle
    }

    /// Opens a session and returns its token.
    pub(crate) fn open(&self, principal: P) -> Result<String, Error> {
        let token = make_secret(DEFAULT_SIZE)?;
        let mut open = self.open.lock();
        if open.len() >= self.many {
            open.retain(|_, session| session.last_used.elapsed() < self.idle);
            if open.len() >= self.many
                && let Some(oldest) = open.iter().min_by_key(|(_, session)| session.last_used).map(|(hash, _)| *hash)
            {
                open.remove(&oldest);
            }
        }
        open.insert(hash(&token), Session { principal, acct_id: None, last_used: Instant::now() });
        drop(open);
        Ok(token.to_string())
    }

    /// Whose token it is, and in which account; the idle time begins anew. `None` for a token that is unknown or has ended.
    pub(crate) fn touch(&self, token: &str) -> Option<(P, Option<Uuid>)> {
        let mut open = self.open.lock();
        let session = open.get_mut(&hash(token)).filter(|session| session.last_used.elapsed() < self.idle)?;
        session.last_used = Instant::now();
        Some((session.principal, session.acct_id))
    }

    /// Puts a session in an account.
    pub(crate) fn select(&self, token: &str, acct_id: Uuid) {
        if let Some(session) = self.open.lock().get_mut(&hash(token)) {
            session.acct_id = Some(acct_id);
        }
    }

    /// Ends a session.
    pub(crate) fn terminate(&self, token: &str) {
        self.open.lock().remove(&hash(token));
    }

    /// Ends all sessions of one caller: it was disabled or deleted, or its credential is another one now.
    pub(crate) fn terminate_all(&self, principal: P) {
        self.open.lock().retain(|_, session| session.principal != principal);
    }

    /// Forgets sessions whose idle time is over.
    pub(crate) fn sweep(&self) {
        self.open.lock().retain(|_, session| session.last_used.elapsed() < self.idle);
    }
}

fn hash(token: &str) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(Hash::Sha256.digest(token.as_bytes()).as_ref());
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_ends_by_idleness_termination_and_with_its_caller() {
        let sessions = Sessions::new(Duration::from_secs(600));
        let (alice, bob) = ("alice", "bob");
        let (first, second, third) = (sessions.open(alice).unwrap(), sessions.open(alice).unwrap(), sessions.open(bob).unwrap());
        assert_eq!(sessions.touch(&first), Some((alice, None)));
        assert_eq!(sessions.touch("nonsense"), None);
        sessions.terminate(&first);
        assert_eq!(sessions.touch(&first), None);
        sessions.terminate_all(alice);
        assert_eq!(sessions.touch(&second), None);
        let account = Uuid::from_u128(3);
        sessions.select(&third, account);
        assert_eq!(sessions.touch(&third), Some((bob, Some(account))));

        let few = Sessions { many: 2, ..Sessions::new(Duration::from_secs(600)) };
        let [first, second] = [few.open(alice).unwrap(), few.open(alice).unwrap()];
        few.touch(&first);
        few.open(bob).unwrap();
        assert_eq!((few.touch(&first).is_some(), few.touch(&second)), (true, None));

        let impatient = Sessions::new(Duration::ZERO);
        let token = impatient.open(bob).unwrap();
        assert_eq!(impatient.touch(&token), None);
        impatient.sweep();
        assert!(impatient.open.lock().is_empty());
    }
}
