//! A limit to the guessing of passwords: after some wrong ones in a row a user has to wait. Apps have random secrets, which nobody guesses;
//! for them a lock would only be a way to shut somebody else out. DSM and CCM each count their own users' attempts.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use dsma_api::ApiError;
use parking_lot::Mutex;

/// Wrong passwords in a row that are let pass.
const LIMIT: u32 = 10;
/// How long a user waits then; each further wrong one begins the time anew.
const LOCK: Duration = Duration::from_secs(60);
/// Without an attempt for so long, the count begins anew.
const FORGET: Duration = Duration::from_secs(15 * 60);
/// Names that are remembered. Beyond them the oldest are forgotten: memory must not be somebody else's to fill.
const MANY: usize = 10_000;

/// Attempts by name, whether there is such a user or not: an answer must not tell.
pub(crate) struct Throttle {
    limit: u32,
    lock: Duration,
    seen: Mutex<HashMap<String, Attempts>>,
}

struct Attempts {
    count: u32,
    last: Instant,
}

impl Default for Throttle {
    fn default() -> Self {
        Self { limit: LIMIT, lock: LOCK, seen: Mutex::default() }
    }
}

impl Throttle {
    /// Counts an attempt before its password is looked at, so that many at the same time count as many.
    ///
    /// # Errors
    /// 423 for a name that has to wait.
    pub(crate) fn attempt(&self, name: &str) -> Result<(), ApiError> {
        let mut seen = self.seen.lock();
        let now = Instant::now();
        if seen.len() >= MANY {
            seen.retain(|_, attempts| attempts.last.elapsed() < self.lock);
            if seen.len() >= MANY
                && let Some(oldest) = seen.iter().min_by_key(|(_, attempts)| attempts.last).map(|(name, _)| name.clone())
            {
                seen.remove(&oldest);
            }
        }
        let attempts = seen.entry(name.to_owned()).or_insert(Attempts { count: 0, last: now });
        if attempts.last.elapsed() >= FORGET {
            attempts.count = 0;
        }
        let waited = attempts.last.elapsed();
        if attempts.count >= self.limit && waited < self.lock {
            let rest = (self.lock - waited).as_secs() + 1;
            return Err(ApiError::new(423, format!("Too many wrong passwords: try again in {rest} seconds")));
        }
        *attempts = Attempts { count: attempts.count.saturating_add(1), last: now };
        Ok(())
    }

    /// Forgets a name whose password was right.
    pub(crate) fn succeeded(&self, name: &str) {
        self.seen.lock().remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_holds_by_name_and_ends_with_success_or_time() {
        let throttle = Throttle { limit: 3, lock: Duration::from_secs(3600), seen: Mutex::default() };
        for _ in 0..3 {
            assert!(throttle.attempt("ann").is_ok());
        }
        let refused = throttle.attempt("ann").unwrap_err();
        assert!(refused.status == 423 && refused.message.contains("seconds"), "{refused}");
        assert!(throttle.attempt("bob").is_ok());
        throttle.succeeded("ann");
        assert!(throttle.attempt("ann").is_ok());

        let impatient = Throttle { limit: 1, lock: Duration::ZERO, seen: Mutex::default() };
        assert!((0..5).all(|_| impatient.attempt("ann").is_ok()));
    }

    #[test]
    fn memory_is_bounded() {
        let throttle = Throttle::default();
        for number in 0..MANY + 100 {
            throttle.attempt(&number.to_string()).unwrap();
        }
        assert!(throttle.seen.lock().len() <= MANY);
    }
}
