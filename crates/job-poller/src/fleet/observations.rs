//! What happened while the fleet's lock was held. It is reported after the lock is released.

use std::mem;

use crate::observer::{
    AttemptFinished, BudgetStatus, Observer, WaitFinished, WaitSpan, WaitStarted,
};

/// An observation, and for the end of a wait its span.
pub(super) enum Observation {
    WaitStarted(WaitStarted),
    AttemptFinished(AttemptFinished),
    WaitFinished(WaitSpan, WaitFinished),
    BudgetChanged(BudgetStatus),
}

/// The observations since the lock was taken.
#[derive(Default)]
pub(super) struct Observations {
    /// Usually there is only one, which needs no allocation.
    first: Option<Observation>,
    rest: Vec<Observation>,
}

impl Observations {
    pub(super) fn push(&mut self, observation: Observation) {
        match self.first {
            None => self.first = Some(observation),
            Some(_) => self.rest.push(observation),
        }
    }

    /// Takes all observations, or `None` if there are none.
    pub(super) fn take(&mut self) -> Option<Self> {
        self.first.is_some().then(|| mem::take(self))
    }

    /// Passes the observations to the observer, and closes the spans of the waits that are over.
    pub(super) fn report_to(self, observer: Option<&dyn Observer>) {
        for observation in self.first.into_iter().chain(self.rest) {
            if let Observation::WaitFinished(span, finished) = observation {
                span.finish(&finished);
                observer.inspect(|observer| observer.wait_finished(&finished));
            } else if let Some(observer) = observer {
                match observation {
                    Observation::WaitStarted(started) => observer.wait_started(&started),
                    Observation::AttemptFinished(attempt) => observer.attempt_finished(&attempt),
                    Observation::BudgetChanged(status) => observer.budget_changed(&status),
                    Observation::WaitFinished(..) => {}
                }
            }
        }
    }
}
