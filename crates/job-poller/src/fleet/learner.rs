//! The schedules of a fleet's waits: one that the caller set, or schedules learned from the jobs that ended.

use std::{sync::Arc, time::Duration};

use crate::schedule::{Adaptive, History, JobObservation, Schedule};

/// Where a wait's schedule comes from.
pub(super) enum ScheduleSource {
    /// The same for each.
    Fixed(Arc<dyn Schedule>),
    /// A schedule from what is known when the wait begins, rebuilt from time to time.
    Learned(Box<Learner>),
}

/// The history, and the schedule of waits that begin now.
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

    /// Returns the schedule of a wait that begins now.
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

    /// Returns the history so far, including the one that the fleet started with.
    pub(super) fn history(&self) -> History {
        match self {
            Self::Fixed(_) => History::new(),
            Self::Learned(learner) => learner.history.clone(),
        }
    }
}

/// The shortest time between two schedules that are built from the history: each stays in memory with the waits
/// that use it.
const REBUILD_INTERVAL: Duration = Duration::from_secs(60);
