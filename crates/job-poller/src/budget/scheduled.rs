//! A schedule that is asked under a budget. Decides no pause.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use super::UrgencyBucket;
use crate::schedule::{BudgetShare, PollState, Schedule};

/// A schedule with the wait's share of a budget ([`BudgetShare`]), made for one step of a
/// [`Machine`](crate::Machine).
pub struct BudgetedSchedule<'a> {
    schedule: &'a dyn Schedule,
    share: BudgetShare,
    /// The bits of the urgency that the schedule returned last.
    urgency: AtomicU64,
}

impl<'a> BudgetedSchedule<'a> {
    /// Creates the schedule for a machine's next step.
    #[must_use]
    pub fn new(schedule: &'a dyn Schedule, share: BudgetShare) -> Self {
        Self { schedule, share, urgency: AtomicU64::default() }
    }

    /// Returns how urgent the wait is; `None` if the step planned no attempt, or the schedule has no urgency.
    #[must_use]
    pub fn last_urgency(&self) -> Option<UrgencyBucket> {
        let urgency = f64::from_bits(self.urgency.load(Ordering::Relaxed));
        (urgency > 0.0).then(|| UrgencyBucket::from_urgency(urgency))
    }
}

impl Schedule for BudgetedSchedule<'_> {
    fn pause(&self, state: &PollState<'_>) -> Duration {
        let state = PollState { share: Some(self.share), ..*state };
        let urgency = self.schedule.urgency(&state).unwrap_or_default();
        self.urgency.store(urgency.to_bits(), Ordering::Relaxed);
        self.schedule.pause(&state)
    }
}

impl fmt::Debug for BudgetedSchedule<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BudgetedSchedule").field("share", &self.share).finish_non_exhaustive()
    }
}
