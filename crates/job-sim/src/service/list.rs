//! Answers requests for the list of jobs, and changes the list if faults apply.

use std::sync::atomic::Ordering;

use super::{Sim, lock};
use crate::{
    faults::{Fault, ListView},
    plan::{ListRow, Moment},
};

impl Sim {
    /// Counts a request for the list, delays it if a fault does so, and returns the fault that applies
    /// to it. `other` is the fault of an outage or a random fault, and has priority.
    pub(super) async fn begin_list(&self, other: Option<Fault>) -> Option<Fault> {
        self.list_requests.fetch_add(1, Ordering::Relaxed);
        let (delay, reply) = {
            let faults = lock(&self.list_faults);
            (faults.delay(), faults.reply())
        };
        if !delay.is_zero() {
            self.clock.sleep(delay).await;
        }
        other.or(reply)
    }

    /// Returns the rows of the list, changed by the faults of the list and by that of the request.
    pub(super) fn list_rows(&self, fault: Option<&Fault>) -> Vec<ListRow> {
        let faults = lock(&self.list_faults).clone();
        let ListView { elapsed, mut lag } = faults.view(self.elapsed());
        if let Some(Fault::Stale(more)) = fault {
            lag = lag.saturating_add(*more);
        }
        let jobs = self.jobs();
        let is_stuck = |id: &str| faults.is_stuck(id);
        let rows = jobs.list(Moment { elapsed, ..self.moment() }, lag, is_stuck);
        rows.filter(|row| !faults.is_missing(row.id())).collect()
    }
}

#[cfg(test)]
mod tests;
