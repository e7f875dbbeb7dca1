//! The clock of grants: CLOCK_BOOTTIME, as in the key cache, so that they age while the machine sleeps and no step of the wall
//! clock counts.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// A moment, as time since boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(Duration);

impl Moment {
    pub(crate) fn now() -> Self {
        let at = clock_gettime(ClockId::Boottime);
        Self(Duration::new(u64::try_from(at.tv_sec).unwrap_or(0), u32::try_from(at.tv_nsec).unwrap_or(0)))
    }

    pub(crate) fn after(self, wait: Duration) -> Self {
        Self(self.0.saturating_add(wait))
    }
}
