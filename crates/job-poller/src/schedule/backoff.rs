//! A schedule that uses the delays of the crate `backoff`, within bounds.

use std::{
    fmt,
    ops::RangeInclusive,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use backoff::backoff::Backoff;

use super::{PollPlan, PollState, Schedule};

/// Uses the delays of a [`Backoff`] from the crate `backoff`.
///
/// Each delay is limited to the range that is passed to [`new`](Self::new), because a `Backoff`
/// exceeds its own `max_interval` by its jitter. The wait still honors `Retry-After` and its
/// deadline. If the `Backoff` returns no more delays, the end of the range is used, because the
/// wait decides when to stop. The `Backoff` is reset at the first reading, and whenever the job
/// becomes [`nearly_done`](PollState::nearly_done).
///
/// Unlike the other schedules, this one has state. Give each wait a schedule of its own. A replayed
/// or resumed wait does not repeat the same delays.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use backoff::backoff::Constant;
/// use job_poller::schedule::{BackoffSchedule, PollState, Schedule};
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
    /// Creates a schedule with the delays of `backoff`, limited to the range `pauses`.
    ///
    /// A start below 1 ms counts as 1 ms. An end below the start counts as the start.
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
