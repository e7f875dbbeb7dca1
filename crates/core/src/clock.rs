//! The clock of cached keys and grants: CLOCK_BOOTTIME, so that they also age while the machine sleeps and no step of the wall clock counts.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// A moment, in milliseconds since boot, sleep included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub(crate) u64);

impl Moment {
    /// This moment.
    #[must_use]
    pub fn now() -> Self {
        let at = clock_gettime(ClockId::Boottime);
        Self((at.tv_sec as u64).saturating_mul(1000).saturating_add(at.tv_nsec as u64 / 1_000_000))
    }

    /// `wait` later.
    #[must_use]
    pub fn after(self, wait: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)))
    }

    /// Time from `self` to `later`; zero where it has passed.
    #[must_use]
    pub fn until(self, later: Self) -> Duration {
        Duration::from_millis(later.0.saturating_sub(self.0))
    }
}
