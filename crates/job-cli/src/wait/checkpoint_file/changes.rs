//! The states of waits that changed since the last save of a checkpoint file, and when to save them.

use std::{collections::BTreeMap, mem, time::Duration};

use job_poller::Checkpoint;
use job_transport::JobSnapshot;

use super::{log::Changes, log_format::Entry};

/// Time after which a change of counters and plans is saved. A crash then loses at most a minute of
/// them, because a save takes less than ten seconds.
const PLAN_INTERVAL: Duration = Duration::from_secs(50);

/// The states of waits that changed since the last save, by the position of the job on the command
/// line.
#[derive(Default)]
pub(super) struct PendingChanges {
    /// The job of each wait: as in `urgent`, or else as in the file.
    jobs: BTreeMap<usize, SavedJob>,
    /// Changes to save now.
    urgent: Changes,
    /// The states of waits of which only counters and plans changed, and when the first of these
    /// changes happened.
    plans: BTreeMap<usize, (Duration, Checkpoint)>,
}

/// A job as it was saved.
#[derive(PartialEq)]
struct SavedJob {
    snapshot: Option<JobSnapshot>,
    /// Whether its text was dropped by then, because of the memory limit.
    is_truncated: bool,
}

impl SavedJob {
    fn new(checkpoint: &Checkpoint) -> Self {
        let snapshot = checkpoint.machine().snapshot().cloned();
        let is_truncated = snapshot.as_ref().is_some_and(JobSnapshot::is_truncated);
        Self { snapshot, is_truncated }
    }
}

impl PendingChanges {
    /// Adds the state of a wait. `is_urgent` is whether its counters or its plan must be saved with
    /// the next save, even if the job has not changed.
    pub(super) fn add(
        &mut self,
        now: Duration,
        index: usize,
        checkpoint: Checkpoint,
        is_urgent: bool,
    ) {
        let job = SavedJob::new(&checkpoint);
        let is_same_job = self.jobs.get(&index) == Some(&job);
        match self.urgent.get(&index) {
            Some(Entry::Wait(_)) => {
                self.urgent.insert(index, Entry::Wait(checkpoint));
            }
            _ if !is_same_job => {
                self.urgent.insert(index, Entry::Wait(checkpoint));
            }
            Some(Entry::Plan(_)) => {
                self.urgent.insert(index, plan(checkpoint));
            }
            None if is_urgent => {
                self.urgent.insert(index, plan(checkpoint));
            }
            None => {
                let changed_at = self.plans.get(&index).map_or(now, |(changed_at, _)| *changed_at);
                self.plans.insert(index, (changed_at, checkpoint));
                return;
            }
        }
        self.jobs.insert(index, job);
        self.plans.remove(&index);
    }

    /// Whether a change has to be saved now.
    pub(super) fn is_due(&self, now: Duration) -> bool {
        let mut plans = self.plans.values();
        !self.urgent.is_empty() || plans.any(|(changed_at, _)| is_old(*changed_at, now))
    }

    /// Takes the changes to save now.
    pub(super) fn take_due(&mut self, now: Duration) -> Changes {
        let mut due = mem::take(&mut self.urgent);
        let old = self.plans.extract_if(.., |_, (changed_at, _)| is_old(*changed_at, now));
        due.extend(old.map(|(index, (_, checkpoint))| (index, plan(checkpoint))));
        due
    }

    /// Takes all changes.
    pub(super) fn take_all(&mut self) -> Changes {
        let mut all = mem::take(&mut self.urgent);
        let plans = mem::take(&mut self.plans).into_iter();
        all.extend(plans.map(|(index, (_, checkpoint))| (index, plan(checkpoint))));
        all
    }

    /// Adds changes again that were taken and not saved. States that were added since are newer.
    pub(super) fn restore(&mut self, unsaved: Changes) {
        for (index, unsaved) in unsaved {
            let newer = (self.urgent.remove(&index), self.plans.remove(&index));
            let restored = match (newer, unsaved) {
                ((Some(Entry::Plan(newer)), _), Entry::Wait(unsaved)) => {
                    Entry::Wait(newer.with_snapshot(unsaved.machine().snapshot().cloned()))
                }
                ((Some(newer), _), _) => newer,
                ((None, Some((_, newer))), Entry::Wait(_)) => Entry::Wait(newer),
                ((None, Some((_, newer))), Entry::Plan(_)) => plan(newer),
                ((None, None), unsaved) => unsaved,
            };
            self.urgent.insert(index, restored);
        }
    }

    /// Forgets all changes, because these states of all waits are saved now.
    pub(super) fn reset(&mut self, all: BTreeMap<usize, Checkpoint>) -> Changes {
        let jobs = all.iter().map(|(index, one)| (*index, SavedJob::new(one))).collect();
        *self = Self { jobs, ..Self::default() };
        all.into_iter().map(|(index, one)| (index, Entry::Wait(one))).collect()
    }
}

/// Whether a change of a plan has to be saved now.
fn is_old(changed_at: Duration, now: Duration) -> bool {
    now.saturating_sub(changed_at) >= PLAN_INTERVAL
}

/// Returns the counters and the plan of a wait, to save without its job.
fn plan(checkpoint: Checkpoint) -> Entry<Checkpoint> {
    Entry::Plan(checkpoint.with_snapshot(None))
}

#[cfg(test)]
mod tests;
