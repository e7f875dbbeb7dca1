//! Pauses between attempts while DSM cannot be reached, shared by all callers.
//!
//! Without it a thousand callers would each try on their own. After a failure nobody tries before a pause is over, then one caller
//! probes while the others keep waiting; pauses double up to half a minute, with jitter, so that a fleet does not return in step.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::clock::Moment;

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// After so many rounds of failures DSM counts as down: one alone may be a connection that had gone stale.
const DOWN: u32 = 3;

#[derive(Debug, Default)]
pub(super) struct Breaker(Mutex<State>);

/// The round of attempts that one is part of: those who failed side by side found out one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Round(u32);

#[derive(Debug, Default)]
struct State {
    /// Rounds since the last success that failed.
    failures: u32,
    /// Nobody may try before.
    closed_until: Option<Moment>,
    reason: Option<Arc<str>>,
}

impl Breaker {
    /// Lets the caller try, or says how long to wait.
    pub(super) fn admit(&self) -> Result<Round, Duration> {
        let mut state = self.0.lock();
        let round = Round(state.failures);
        let Some(until) = state.closed_until else { return Ok(round) };
        let now = Moment::now();
        if now < until {
            return Err(now.until(until));
        }
        // This caller probes; the others wait for what it finds.
        state.closed_until = Some(now.after(pause_after(state.failures)));
        Ok(round)
    }

    pub(super) fn succeeded(&self) {
        let mut state = self.0.lock();
        if state.closed_until.is_some() {
            *state = State::default();
        }
    }

    /// Notes a failure and says how long the pause is.
    pub(super) fn failed(&self, round: Round, reason: &Arc<str>) -> Duration {
        let mut state = self.0.lock();
        state.reason = Some(Arc::clone(reason));
        let now = Moment::now();
        if let Some(until) = state.closed_until
            && round != Round(state.failures)
        {
            // Others of the round were here before.
            return now.until(until);
        }
        state.failures = state.failures.saturating_add(1);
        let wait = jittered(pause_after(state.failures));
        state.closed_until = Some(now.after(wait));
        wait
    }

    /// Whether the last attempt failed.
    pub(super) fn has_failed(&self) -> bool {
        self.0.lock().failures > 0
    }

    /// Whether the last attempts all failed.
    pub(super) fn is_down(&self) -> bool {
        self.0.lock().failures >= DOWN
    }

    pub(super) fn last_reason(&self) -> Arc<str> {
        self.0.lock().reason.clone().unwrap_or_else(|| "no answer".into())
    }
}

fn pause_after(failures: u32) -> Duration {
    FIRST_PAUSE.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(LONGEST_PAUSE)
}

/// Between three quarters and the whole of `pause`.
fn jittered(pause: Duration) -> Duration {
    let mut byte = [0_u8];
    // Without randomness the pause is simply whole.
    let _no_randomness = dsma_crypto::random::fill(&mut byte);
    pause - pause / 4 * u32::from(byte[0]) / 255
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_limit_and_one_success_ends_them() {
        let pauses: Vec<_> = (1..=12).map(|n| pause_after(n).as_millis()).collect();
        assert_eq!(pauses, [100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000, 30_000]);

        let breaker = Breaker::default();
        let round = breaker.admit().unwrap();
        let wait = breaker.failed(round, &"down".into());
        assert!((75..=100).contains(&wait.as_millis()), "{wait:?}");
        assert_eq!(&*breaker.last_reason(), "down");
        assert!(breaker.has_failed());
        // A pause that no busy machine outlives between two lines.
        fail(&breaker, 8);
        assert!(breaker.admit().is_err());
        breaker.succeeded();
        assert!(!breaker.has_failed());
        breaker.admit().unwrap();
    }

    /// So many rounds fail.
    fn fail(breaker: &Breaker, rounds: u32) {
        for _ in 0..rounds {
            let round = Round(breaker.0.lock().failures);
            breaker.failed(round, &"down".into());
        }
    }

    #[test]
    fn those_who_fail_side_by_side_make_no_longer_pause_than_one() {
        let breaker = Breaker::default();
        let rounds = [(); 50].map(|()| breaker.admit().unwrap());
        for round in rounds {
            assert!(breaker.failed(round, &"down".into()) <= FIRST_PAUSE);
        }
        assert!(!breaker.is_down());
        fail(&breaker, DOWN - 1);
        assert!(breaker.is_down());
        breaker.succeeded();
        assert!(!breaker.is_down());
    }
}
