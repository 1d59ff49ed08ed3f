//! What happened while the fleet's lock was held. It is reported after the lock is released.

use std::{mem, thread};

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
    ///
    /// Does not call the observer while the thread panics. The observer may be the reason, and a
    /// second panic would abort the process.
    pub(super) fn report_to(self, observer: Option<&dyn Observer>) {
        let observer = observer.filter(|_| !thread::panicking());
        for observation in self.first.into_iter().chain(self.rest) {
            match (observation, observer) {
                (Observation::WaitFinished(span, finished), observer) => {
                    span.finish(&finished);
                    observer.inspect(|observer| observer.wait_finished(&finished));
                }
                (Observation::WaitStarted(started), Some(observer)) => {
                    observer.wait_started(&started);
                }
                (Observation::AttemptFinished(attempt), Some(observer)) => {
                    observer.attempt_finished(&attempt);
                }
                (Observation::BudgetChanged(status), Some(observer)) => {
                    observer.budget_changed(&status);
                }
                (_, None) => {}
            }
        }
    }
}
