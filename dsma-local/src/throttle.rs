//! A limit to the guessing of passwords: after some wrong ones in a row a user has to wait. Apps have random secrets, which nobody guesses;
//! for them a lock would only be a way to shut somebody else out. DSM and CCM each count their own users' attempts.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use dsma_api::ApiError;
use parking_lot::{Condvar, Mutex};

use crate::passwords;

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
    patience: Duration,
    seen: Mutex<HashMap<String, Attempts>>,
    /// Some attempt has ended.
    ended: Condvar,
}

struct Attempts {
    /// Wrong passwords in a row.
    wrong: u32,
    /// When the last one was wrong; before there is one, when the first attempt came.
    last: Instant,
    /// Passwords that are looked at.
    under_way: u32,
}

/// A password that is looked at. Dropped, it has said nothing: it is no wrong one.
struct Attempt<'a> {
    throttle: &'a Throttle,
    name: &'a str,
}

impl Default for Throttle {
    fn default() -> Self {
        Self { limit: LIMIT, lock: LOCK, patience: passwords::PATIENCE, seen: Mutex::default(), ended: Condvar::new() }
    }
}

impl Throttle {
    /// Has `look` see whether a password is right, and counts it where that answers `None`.
    ///
    /// # Errors
    /// 423 for a name that has to wait; 429 where too many others are under way; those of `look`, which count as nothing.
    pub(crate) fn check<T, E: From<ApiError>>(&self, name: &str, look: impl FnOnce() -> Result<Option<T>, E>) -> Result<Option<T>, E> {
        let _queued = passwords::queue()?;
        let attempt = self.attempt(name)?;
        let found = look()?;
        attempt.end(found.is_some());
        Ok(found)
    }

    /// Of one name no more are looked at than may be wrong yet, so that many at the same time are no more guesses than one after the other;
    /// the others wait, as they may all be right.
    fn attempt<'a>(&'a self, name: &'a str) -> Result<Attempt<'a>, ApiError> {
        let until = Instant::now() + self.patience;
        let mut seen = self.seen.lock();
        loop {
            if !seen.contains_key(name) {
                self.make_room(&mut seen);
            }
            let attempts = seen.entry(name.to_owned()).or_insert_with(|| Attempts { wrong: 0, last: Instant::now(), under_way: 0 });
            let waited = attempts.last.elapsed();
            if waited >= FORGET {
                attempts.wrong = 0;
            }
            if attempts.wrong >= self.limit && waited < self.lock {
                let rest = (self.lock - waited).as_secs() + 1;
                return Err(ApiError::new(423, format!("Too many wrong passwords: try again in {rest} seconds")));
            }
            if attempts.under_way < self.limit.saturating_sub(attempts.wrong).max(1) {
                attempts.under_way += 1;
                return Ok(Attempt { throttle: self, name });
            }
            if self.ended.wait_until(&mut seen, until).timed_out() {
                return Err(passwords::too_many());
            }
        }
    }

    fn make_room(&self, seen: &mut HashMap<String, Attempts>) {
        if seen.len() < MANY {
            return;
        }
        seen.retain(|_, attempts| attempts.under_way > 0 || attempts.last.elapsed() < self.lock);
        let idle = seen.iter().filter(|(_, attempts)| attempts.under_way == 0);
        if seen.len() >= MANY
            && let Some(oldest) = idle.min_by_key(|(_, attempts)| attempts.last).map(|(name, _)| name.clone())
        {
            seen.remove(&oldest);
        }
    }
}

impl Attempt<'_> {
    fn end(self, right: bool) {
        if let Some(attempts) = self.throttle.seen.lock().get_mut(self.name) {
            if right {
                attempts.wrong = 0;
            } else {
                (attempts.wrong, attempts.last) = (attempts.wrong.saturating_add(1), Instant::now());
            }
        }
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        let mut seen = self.throttle.seen.lock();
        if let Some(attempts) = seen.get_mut(self.name) {
            attempts.under_way = attempts.under_way.saturating_sub(1);
            if attempts.under_way == 0 && attempts.wrong == 0 {
                seen.remove(self.name);
            }
        }
        drop(seen);
        self.throttle.ended.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limited(limit: u32, lock: Duration, patience: Duration) -> Throttle {
        Throttle { limit, lock, patience, ..Throttle::default() }
    }

    fn try_wrong(throttle: &Throttle, name: &str) -> Result<(), ApiError> {
        throttle.attempt(name).map(|attempt| attempt.end(false))
    }

    #[test]
    fn the_limit_holds_by_name_and_ends_with_success_or_time() {
        let throttle = limited(3, Duration::from_secs(3600), Duration::ZERO);
        for _ in 0..2 {
            try_wrong(&throttle, "ann").unwrap();
        }
        throttle.attempt("ann").unwrap().end(true);
        for _ in 0..3 {
            try_wrong(&throttle, "ann").unwrap();
        }
        let refused = try_wrong(&throttle, "ann").unwrap_err();
        assert!(refused.status == 423 && refused.message.contains("seconds"), "{refused}");
        try_wrong(&throttle, "bob").unwrap();

        let impatient = limited(1, Duration::ZERO, Duration::ZERO);
        assert!((0..5).all(|_| try_wrong(&impatient, "ann").is_ok()));
    }

    #[test]
    fn what_was_not_looked_at_does_not_count() {
        let throttle = limited(1, Duration::from_secs(3600), Duration::ZERO);
        for _ in 0..3 {
            let failed = throttle.check::<(), _>("ann", || Err(ApiError::new(429, "no place")));
            assert_eq!(failed.unwrap_err().status, 429);
        }
        assert!(throttle.seen.lock().is_empty());
        assert_eq!(throttle.check::<(), ApiError>("ann", || Ok(None)).unwrap(), None);
        assert_eq!(throttle.check::<_, ApiError>("ann", || Ok(Some(()))).unwrap_err().status, 423);
    }

    #[test]
    fn guesses_at_the_same_time_are_no_more_than_one_after_the_other() {
        let throttle = limited(3, Duration::from_secs(3600), Duration::ZERO);
        try_wrong(&throttle, "ann").unwrap();
        let under_way = [throttle.attempt("ann").unwrap(), throttle.attempt("ann").unwrap()];
        assert_eq!(throttle.attempt("ann").err().unwrap().status, 429);
        under_way.into_iter().for_each(|attempt| attempt.end(false));
        assert_eq!(throttle.attempt("ann").err().unwrap().status, 423);
    }

    #[test]
    fn many_right_ones_at_the_same_time_wait_for_each_other() {
        let throttle = limited(3, Duration::from_secs(3600), passwords::PATIENCE);
        let under_way = [0, 1, 2].map(|_| throttle.attempt("ann").unwrap());
        std::thread::scope(|scope| {
            let waiting: Vec<_> = (0..20).map(|_| scope.spawn(|| throttle.attempt("ann").map(|attempt| attempt.end(true)))).collect();
            under_way.into_iter().for_each(|attempt| attempt.end(true));
            assert!(waiting.into_iter().all(|waiting| waiting.join().unwrap().is_ok()));
        });
        assert!(throttle.seen.lock().is_empty());
    }

    #[test]
    fn memory_is_bounded() {
        let throttle = Throttle::default();
        for number in 0..MANY + 100 {
            try_wrong(&throttle, &number.to_string()).unwrap();
        }
        assert!(throttle.seen.lock().len() <= MANY);
    }
}
