//! Hints of callers that a job may have changed.

use std::{mem, time::Duration};

use job_model::JobId;

use super::Scheduler;
use crate::{fleet::job::JobActivity, machine::Input};

impl Scheduler {
    /// Reads a job as soon as its floor and the budget allow. Returns whether the fleet waits for
    /// the job.
    pub(in crate::fleet) fn hint(&mut self, now: Duration, id: &JobId) -> bool {
        let Some(key) = self.by_id.get(id).copied() else { return false };
        let is_in_flight = matches!(self.jobs[key].activity, JobActivity::Attempt(..));
        let flags = self.lists.flags_mut(key);
        flags.is_hinted = true;
        flags.is_hinted_in_flight = is_in_flight;
        if !is_in_flight {
            self.read_now(now, key);
        }
        true
    }

    /// Learns from a reading whether a hint announced the end of the job.
    pub(super) fn weigh_hints(&mut self, key: usize, input: &Input) {
        let machine = &self.jobs[key].machine;
        let (has_ended, is_active) = match input {
            Input::Reading { snapshot, .. } => {
                (snapshot.digest().is_terminal(), machine.snapshot().is_some())
            }
            Input::Unchanged { .. } => (false, true),
            _ => return,
        };
        if machine.not_before().is_none() {
            return;
        }
        let flags = self.lists.known_flags_mut(key);
        let was_hinted = flags.is_some_and(|flags| mem::take(&mut flags.is_hinted));
        if has_ended && is_active {
            self.lists.hints_mut(key).record_end(was_hinted);
        }
    }

    /// Reads a job again if a hint came while it was read.
    pub(super) fn follow_hint(&mut self, now: Duration, key: usize) {
        if self.jobs.contains(key)
            && let Some(flags) = self.lists.known_flags_mut(key)
            && mem::take(&mut flags.is_hinted_in_flight)
        {
            flags.is_hinted = true;
            self.read_now(now, key);
        }
    }
}
