//! Hints of callers that a job may have changed.

use std::{mem, time::Duration};

use jiff::SignedDuration;
use job_model::JobId;

use super::Scheduler;
use crate::{fleet::job::JobActivity, machine::Input};

/// A reading that shows an end this early may have come before the hint, so it proves nothing.
const MAX_HINT_LATENCY: SignedDuration = SignedDuration::from_secs(5);

impl Scheduler {
    /// Reads a job as soon as its floor and the budget allow. Returns whether the fleet waits for
    /// the job.
    pub(in crate::fleet) fn hint(&mut self, now: Duration, id: &JobId) -> bool {
        let Some(key) = self.by_id.get(id).copied() else { return false };
        let is_in_flight = matches!(self.jobs[key].activity, JobActivity::Attempt(..));
        let job = self.lists.any_job(key);
        (job.is_hinted, job.is_hinted_in_flight) = (true, is_in_flight);
        if !is_in_flight {
            self.read_now(now, key);
        }
        true
    }

    /// Learns from a reading whether a hint announced the end of the job.
    pub(super) fn count_hinted_end(&mut self, key: usize, input: &Input) {
        let machine = &self.jobs[key].machine;
        // A lookup of sub-jobs reads another job.
        if machine.not_before().is_none() {
            return;
        }
        let was_active = machine.snapshot().is_some();
        if !matches!(input, Input::Reading { .. } | Input::Unchanged { .. }) {
            return;
        }
        let known = self.lists.known_job(key);
        let was_hinted = known.is_some_and(|job| mem::take(&mut job.is_hinted));
        let Input::Reading { snapshot, date, .. } = input else { return };
        let digest = snapshot.digest();
        let ended_ago = date.zip(digest.updated_at()).map(|(date, end)| date.duration_since(end));
        let may_still_come = ended_ago.is_some_and(|ago| ago < MAX_HINT_LATENCY);
        if digest.is_terminal() && was_active && (was_hinted || !may_still_come) {
            self.lists.hints_mut(key).record_end(was_hinted);
        }
    }

    /// Reads a job again if a hint came while it was read.
    pub(super) fn follow_hint(&mut self, now: Duration, key: usize) {
        if self.jobs.contains(key)
            && let Some(job) = self.lists.known_job(key)
            && mem::take(&mut job.is_hinted_in_flight)
        {
            job.is_hinted = true;
            self.read_now(now, key);
        }
    }
}
