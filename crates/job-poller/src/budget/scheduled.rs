//! A schedule that is asked under a budget. Decides no pause.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use super::Urgency;
use crate::schedule::{Schedule, Seen, Share};

/// A schedule that is told what a budget leaves for the wait ([`Share`]), for one step of a
/// [`Machine`](crate::Machine).
pub struct Sharing<'a> {
    schedule: &'a dyn Schedule,
    share: Share,
    /// The bits of what the schedule said last.
    urgency: AtomicU64,
}

impl<'a> Sharing<'a> {
    /// Creates what a machine is to go by in its next step.
    #[must_use]
    pub fn new(schedule: &'a dyn Schedule, share: Share) -> Self {
        Self { schedule, share, urgency: AtomicU64::default() }
    }

    /// Returns how urgent the wait is, where the step planned an attempt and the schedule can tell.
    #[must_use]
    pub fn urgency(&self) -> Option<Urgency> {
        let urgency = f64::from_bits(self.urgency.load(Ordering::Relaxed));
        (urgency > 0.0).then(|| Urgency::of(urgency))
    }
}

impl Schedule for Sharing<'_> {
    fn pause(&self, seen: &Seen<'_>) -> Duration {
        let seen = Seen { share: Some(self.share), ..*seen };
        let urgency = self.schedule.urgency(&seen).unwrap_or_default();
        self.urgency.store(urgency.to_bits(), Ordering::Relaxed);
        self.schedule.pause(&seen)
    }
}

impl fmt::Debug for Sharing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sharing").field("share", &self.share).finish_non_exhaustive()
    }
}
