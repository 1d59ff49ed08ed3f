//! Where the waits of a fleet get their schedules: set by the caller, or learned from jobs that
//! ended.

use std::{sync::Arc, time::Duration};

use crate::schedule::{Adaptive, History, JobObservation, Schedule};

/// Where a wait's schedule comes from.
pub(super) enum ScheduleSource {
    /// One schedule for all waits.
    Fixed(Arc<dyn Schedule>),
    /// Schedules that are built from the history, and rebuilt from time to time.
    Learned(Box<Learner>),
}

/// The history, and the schedule that new waits get.
pub(super) struct Learner {
    adaptive: Adaptive,
    history: History,
    current: Arc<dyn Schedule>,
    current_since: Duration,
    dirty: bool,
}

impl ScheduleSource {
    pub(super) fn learned(adaptive: Adaptive, history: History) -> Self {
        let current = Arc::new(adaptive.clone().history(&history));
        let current_since = Duration::ZERO;
        Self::Learned(Box::new(Learner { adaptive, history, current, current_since, dirty: false }))
    }

    /// Returns the schedule for a wait that begins now.
    pub(super) fn schedule_at(&mut self, now: Duration) -> Arc<dyn Schedule> {
        match self {
            Self::Fixed(schedule) => schedule.clone(),
            Self::Learned(learner) => {
                if learner.dirty && now.saturating_sub(learner.current_since) >= REBUILD_INTERVAL {
                    let adaptive = learner.adaptive.clone().history(&learner.history);
                    (learner.current, learner.current_since) = (Arc::new(adaptive), now);
                    learner.dirty = false;
                }
                learner.current.clone()
            }
        }
    }

    pub(super) fn learn(&mut self, observation: Option<&JobObservation>) {
        if let Self::Learned(learner) = self {
            learner.history.record(observation);
            learner.dirty |= observation.is_some();
        }
    }

    /// Returns the history, including the part that the fleet started with.
    pub(super) fn history(&self) -> History {
        match self {
            Self::Fixed(_) => History::new(),
            Self::Learned(learner) => learner.history.clone(),
        }
    }
}

/// Minimum time between two rebuilds. Each schedule stays in memory as long as a wait uses it.
const REBUILD_INTERVAL: Duration = Duration::from_secs(60);
