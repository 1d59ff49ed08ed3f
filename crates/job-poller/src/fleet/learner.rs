//! Where the waits' schedules come from: given, or learnt from those that ended. Decides no pause.

use std::{sync::Arc, time::Duration};

use crate::schedule::{Adaptive, History, Lifetime, Schedule};

/// Where a wait's schedule comes from.
pub(super) enum Schedules {
    /// The same for each.
    Given(Arc<dyn Schedule>),
    /// What is known when the wait begins; made anew now and then.
    Learning(Box<Learning>),
}

/// What was learnt, and what waits go by that begin now.
pub(super) struct Learning {
    adaptive: Adaptive,
    history: History,
    made: Arc<dyn Schedule>,
    made_at: Duration,
    is_news: bool,
}

impl Schedules {
    pub(super) fn learning(adaptive: Adaptive, history: History) -> Self {
        let made = Arc::new(adaptive.clone().history(&history));
        let made_at = Duration::ZERO;
        Self::Learning(Box::new(Learning { adaptive, history, made, made_at, is_news: false }))
    }

    /// Returns what a wait goes by that begins now.
    pub(super) fn at(&mut self, now: Duration) -> Arc<dyn Schedule> {
        match self {
            Self::Given(schedule) => schedule.clone(),
            Self::Learning(learning) => {
                if learning.is_news && now.saturating_sub(learning.made_at) >= LEARN {
                    let adaptive = learning.adaptive.clone().history(&learning.history);
                    (learning.made, learning.made_at) = (Arc::new(adaptive), now);
                    learning.is_news = false;
                }
                learning.made.clone()
            }
        }
    }

    pub(super) fn learn(&mut self, lifetime: Option<&Lifetime>) {
        if let Self::Learning(learning) = self {
            learning.history.record(lifetime);
            learning.is_news |= lifetime.is_some();
        }
    }

    /// Returns what was learnt so far, with what it began with.
    pub(super) fn history(&self) -> History {
        match self {
            Self::Given(_) => History::new(),
            Self::Learning(learning) => learning.history.clone(),
        }
    }
}

/// How often what was learnt is made into a schedule, at most: each that is made stays in memory with the waits
/// that go by it.
const LEARN: Duration = Duration::from_secs(60);
