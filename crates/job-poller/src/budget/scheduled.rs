//! A schedule that is asked under a budget. Decides no pause.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use super::UrgencyBucket;
use crate::schedule::{BudgetShare, PollState, Schedule};

/// A schedule that is told what a budget leaves for the wait ([`BudgetShare`]), for one step of a
/// [`Machine`](crate::Machine).
pub struct BudgetedSchedule<'a> {
    schedule: &'a dyn Schedule,
    share: BudgetShare,
    /// The bits of what the schedule said last.
    urgency: AtomicU64,
}

impl<'a> BudgetedSchedule<'a> {
    /// Creates what a machine is to go by in its next step.
    #[must_use]
    pub fn new(schedule: &'a dyn Schedule, share: BudgetShare) -> Self {
        Self { schedule, share, urgency: AtomicU64::default() }
    }

    /// Returns how urgent the wait is, where the step planned an attempt and the schedule can tell.
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
