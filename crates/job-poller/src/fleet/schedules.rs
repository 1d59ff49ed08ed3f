//! Where the waits' schedules come from: given, or learnt from those that ended. Decides no pause.

use std::{sync::Arc, time::Duration};

use crate::{Adaptive, History, Lifetime, Schedule};

/// Where a wait's schedule comes from.
pub(super) enum Schedules {
    /// The same for each.
    Given(Arc<dyn Schedule>),
    /// What is known when the wait begins; made anew now and then.
    Learning { adaptive: Adaptive, history: History, made: Option<(Duration, Arc<dyn Schedule>)> },
}

impl Schedules {
    pub(super) const fn learning(adaptive: Adaptive, history: History) -> Self {
        Self::Learning { adaptive, history, made: None }
    }

    /// Returns what a wait goes by that begins now.
    pub(super) fn at(&mut self, now: Duration) -> Arc<dyn Schedule> {
        match self {
            Self::Given(schedule) => schedule.clone(),
            Self::Learning { adaptive, history, made } => {
                let recent = made.take().filter(|(at, _)| now.saturating_sub(*at) < LEARN);
                let make = || (now, Arc::new(adaptive.clone().history(history)) as _);
                made.insert(recent.unwrap_or_else(make)).1.clone()
            }
        }
    }

    pub(super) fn learn(&mut self, lifetime: Option<&Lifetime>) {
        if let Self::Learning { history, .. } = self {
            history.record(lifetime);
        }
    }

    /// Returns what was learnt so far, with what it began with.
    pub(super) fn history(&self) -> History {
        match self {
            Self::Given(_) => History::new(),
            Self::Learning { history, .. } => history.clone(),
        }
    }
}

/// How often what was learnt is made into a schedule, at most.
const LEARN: Duration = Duration::from_secs(1);
