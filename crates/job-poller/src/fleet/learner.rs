//! Where the waits' schedules come from: given, or learnt from those that ended. Decides no pause.

use std::{sync::Arc, time::Duration};

use crate::schedule::{Adaptive, History, JobObservation, Schedule};

/// Where a wait's schedule comes from.
pub(super) enum ScheduleSource {
    /// The same for each.
    Fixed(Arc<dyn Schedule>),
    /// What is known when the wait begins; made anew now and then.
    Learned(Box<Learner>),
}

/// What was learnt, and what waits go by that begin now.
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

    /// Returns what a wait goes by that begins now.
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

    /// Returns what was learnt so far, with what it began with.
    pub(super) fn history(&self) -> History {
        match self {
            Self::Fixed(_) => History::new(),
            Self::Learned(learner) => learner.history.clone(),
        }
    }
}

/// How often what was learnt is made into a schedule, at most: each that is made stays in memory with the waits
/// that go by it.
const REBUILD_INTERVAL: Duration = Duration::from_secs(60);
