//! A schedule whose waits come once before they are due, while the budget is spent.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use job_poller::{PollState, Schedule};

/// A schedule for one step, which plans half of each pause.
///
/// A wait that was planned under a price that is too high by now would leave a part of the budget unspent, because
/// the timer of an engine cannot be set back. So each wait comes once in the middle of its pause, and gets a slot
/// then if no other wait needs it.
pub(crate) struct HalfPauseSchedule<'a> {
    schedule: &'a dyn Schedule,
    is_budget_spent: bool,
    /// Half of the last pause, in nanoseconds.
    half_pause_nanos: AtomicU64,
}

impl<'a> HalfPauseSchedule<'a> {
    pub(crate) fn new(schedule: &'a dyn Schedule, is_budget_spent: bool) -> Self {
        Self { schedule, is_budget_spent, half_pause_nanos: AtomicU64::default() }
    }

    /// Returns when the attempt is due for which a wait comes after this pause.
    pub(crate) fn time_until_due(&self, pause: Duration) -> Duration {
        let half = Duration::from_nanos(self.half_pause_nanos.load(Ordering::Relaxed));
        // A different pause is that of a backoff, or the last before a deadline.
        if self.is_budget_spent && pause == half { pause * 2 } else { pause }
    }
}

impl Schedule for HalfPauseSchedule<'_> {
    fn pause(&self, seen: &PollState<'_>) -> Duration {
        let pause = self.schedule.pause(seen);
        if !self.is_budget_spent {
            return pause;
        }
        let half = pause / 2;
        self.half_pause_nanos
            .store(half.as_nanos().try_into().unwrap_or(u64::MAX), Ordering::Relaxed);
        half
    }

    fn urgency(&self, seen: &PollState<'_>) -> Option<f64> {
        self.schedule.urgency(seen)
    }
}
