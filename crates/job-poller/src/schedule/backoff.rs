//! The pauses of the crate backoff, within bounds. Decides nothing of its own.

use std::{
    fmt,
    ops::RangeInclusive,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use backoff::backoff::Backoff;

use super::{PollPlan, PollState, Schedule};

/// The pauses that a [`Backoff`] gives, for those who have one already.
///
/// Each is brought within the floor and the cap, and the wait's own deadline holds: by itself a
/// `Backoff` goes beyond its `max_interval` by its jitter, and knows no Retry-After. Where it
/// gives no more pauses, the cap is the pause: when to stop is the wait's to decide. It is reset
/// with the first reading, and whenever the end comes near ([`PollState::nearly_done`]).
///
/// It keeps state of its own, unlike other schedules: give each wait one of its own, and expect no
/// replay, nor a checkpoint, to repeat its pauses.
///
/// ```
/// use std::time::Duration;
/// use backoff::backoff::Constant;
/// use job_poller::{BackoffSchedule, PollState, Schedule};
///
/// let backoff = Constant::new(Duration::from_millis(1));
/// let schedule = BackoffSchedule::new(backoff, Duration::from_secs(1)..=Duration::from_secs(30));
/// assert_eq!(schedule.plan(&PollState::new(Duration::ZERO, 1)).delay, Duration::from_secs(1));
/// ```
pub struct BackoffSchedule<B> {
    backoff: Mutex<B>,
    floor: Duration,
    cap: Duration,
}

impl<B: Backoff> BackoffSchedule<B> {
    /// Creates a schedule of a backoff's pauses, none shorter than the range's start nor longer
    /// than its end. A start below a millisecond counts as one; an end below the start counts as
    /// the start.
    pub fn new(backoff: B, pauses: RangeInclusive<Duration>) -> Self {
        let floor = (*pauses.start()).max(Duration::from_millis(1));
        Self { backoff: Mutex::new(backoff), floor, cap: *pauses.end() }
    }
}

impl<B: Backoff + Send> Schedule for BackoffSchedule<B> {
    fn plan(&self, state: &PollState<'_>) -> PollPlan {
        let mut backoff = self.backoff.lock().unwrap_or_else(PoisonError::into_inner);
        if state.count <= 1 {
            backoff.reset();
        }
        PollPlan::after(backoff.next_backoff().unwrap_or(self.cap).min(self.cap).max(self.floor))
    }
}

impl<B> fmt::Debug for BackoffSchedule<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { floor, cap, .. } = self;
        f.debug_struct("BackoffSchedule")
            .field("floor", floor)
            .field("cap", cap)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
