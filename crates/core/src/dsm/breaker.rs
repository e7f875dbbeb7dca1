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

#[derive(Debug, Default)]
pub(super) struct Breaker(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Failures since the last success.
    failures: u32,
    /// Nobody may try before.
    closed_until: Option<Moment>,
    reason: Option<Arc<str>>,
}

impl Breaker {
    /// Lets the caller try, or says how long to wait.
    pub(super) fn admit(&self) -> Result<(), Duration> {
        let mut state = self.0.lock();
        let Some(until) = state.closed_until else { return Ok(()) };
        let now = Moment::now();
        if now < until {
            return Err(now.until(until));
        }
        // This caller probes; the others wait for what it finds.
        state.closed_until = Some(now.after(pause_after(state.failures)));
        Ok(())
    }

    pub(super) fn succeeded(&self) {
        let mut state = self.0.lock();
        if state.closed_until.is_some() {
            *state = State::default();
        }
    }

    /// Notes a failure and says how long the pause is.
    pub(super) fn failed(&self, reason: &Arc<str>) -> Duration {
        let mut state = self.0.lock();
        state.failures = state.failures.saturating_add(1);
        let wait = jittered(pause_after(state.failures));
        state.closed_until = Some(Moment::now().after(wait));
        state.reason = Some(Arc::clone(reason));
        wait
    }

    /// Whether nobody may try now.
    pub(super) fn is_closed(&self) -> bool {
        self.0.lock().closed_until.is_some_and(|until| Moment::now() < until)
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
        assert_eq!(breaker.admit(), Ok(()));
        let wait = breaker.failed(&"down".into());
        assert!((75..=100).contains(&wait.as_millis()), "{wait:?}");
        assert!(breaker.admit().is_err());
        assert_eq!(&*breaker.last_reason(), "down");
        breaker.succeeded();
        assert_eq!(breaker.admit(), Ok(()));
    }
}
