//! The states of all running waits, with the counts and the order that the progress display needs.
//! The cost of an event does not depend on the number of waits.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use job_model::Phase;
use job_poller::Event;
use job_transport::JobSnapshot;

use super::watch::Watch;

/// The states of all running waits, by the position of the job on the command line.
#[derive(Default)]
pub(crate) struct Board {
    watches: BTreeMap<usize, Watch>,
    /// The positions of the jobs that [need attention](Status::needs_attention).
    attention: BTreeSet<usize>,
    counts: WaitCounts,
}

/// The number of running waits by the state of their jobs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct WaitCounts {
    pub(crate) not_read: usize,
    pub(crate) initializing: usize,
    pub(crate) running: usize,
    /// The job has ended, and the wait goes on for its sub-jobs.
    pub(crate) ending: usize,
    /// Clusters or nodes are read until they are ready or gone.
    pub(crate) objects: usize,
    /// The phase is unknown or missing.
    pub(crate) other: usize,
    /// The last attempt failed. These waits are also counted by their phase.
    pub(crate) unreadable: usize,
}

/// What the counts and the order depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Status {
    phase: PhaseGroup,
    is_unreadable: bool,
    has_failed_step: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PhaseGroup {
    NotRead,
    Initializing,
    Running,
    Ending,
    Objects,
    Other,
}

impl Status {
    fn new(watch: &Watch) -> Self {
        let digest = watch.last().map(JobSnapshot::digest);
        Self {
            phase: match digest.map(|digest| digest.phase()) {
                _ if watch.objects().iter().any(|object| object.state.is_some()) => {
                    PhaseGroup::Objects
                }
                None => PhaseGroup::NotRead,
                Some(Some(Phase::Initializing)) => PhaseGroup::Initializing,
                Some(Some(Phase::Running)) => PhaseGroup::Running,
                Some(Some(Phase::Success | Phase::Failed)) => PhaseGroup::Ending,
                Some(Some(Phase::Unknown(_)) | None) => PhaseGroup::Other,
            },
            is_unreadable: watch.errors().current().is_some(),
            has_failed_step: digest.is_some_and(|digest| digest.has_failure()),
        }
    }

    /// Whether the job cannot be read at the moment, or one of its steps failed.
    const fn needs_attention(self) -> bool {
        self.is_unreadable || self.has_failed_step
    }
}

impl WaitCounts {
    /// Returns the counts of the phases that are not zero, such as `2 Running, 1 not read yet`.
    pub(crate) fn phases(&self) -> String {
        let counts = [
            (self.initializing, Phase::Initializing.as_str()),
            (self.running, Phase::Running.as_str()),
            (self.ending, "ending"),
            (self.objects, "reading clusters or nodes"),
            (self.other, "in other phases"),
            (self.not_read, "not read yet"),
        ];
        let counts = counts.iter().filter(|(count, _)| *count > 0);
        counts.map(|(count, phase)| format!("{count} {phase}")).collect::<Vec<_>>().join(", ")
    }

    fn count_mut(&mut self, phase: PhaseGroup) -> &mut usize {
        match phase {
            PhaseGroup::NotRead => &mut self.not_read,
            PhaseGroup::Initializing => &mut self.initializing,
            PhaseGroup::Running => &mut self.running,
            PhaseGroup::Ending => &mut self.ending,
            PhaseGroup::Objects => &mut self.objects,
            PhaseGroup::Other => &mut self.other,
        }
    }

    fn add(&mut self, status: Status) {
        *self.count_mut(status.phase) += 1;
        self.unreadable += usize::from(status.is_unreadable);
    }

    fn remove(&mut self, status: Status) {
        *self.count_mut(status.phase) -= 1;
        self.unreadable -= usize::from(status.is_unreadable);
    }
}

impl Board {
    /// Adds a wait. Its position must be new.
    pub(crate) fn insert(&mut self, index: usize, watch: Watch) {
        self.count(index, Status::new(&watch));
        self.watches.insert(index, watch);
    }

    fn count(&mut self, index: usize, status: Status) {
        self.counts.add(status);
        if status.needs_attention() {
            self.attention.insert(index);
        } else {
            self.attention.remove(&index);
        }
    }

    /// Records an event of a wait, and the last reading after it. Returns the state after it.
    pub(crate) fn record(
        &mut self,
        index: usize,
        at: Duration,
        event: &Event,
        last: Option<JobSnapshot>,
    ) -> Option<&Watch> {
        let watch = self.watches.get_mut(&index)?;
        let before = Status::new(watch);
        watch.record(at, event, last);
        let after = Status::new(watch);
        if before != after {
            self.counts.remove(before);
            self.count(index, after);
        }
        self.watches.get(&index)
    }

    /// Removes a wait that has finished, and returns its state.
    pub(crate) fn remove(&mut self, index: usize) -> Option<Watch> {
        let watch = self.watches.remove(&index)?;
        self.counts.remove(Status::new(&watch));
        self.attention.remove(&index);
        Some(watch)
    }

    /// Returns all waits, by the position of the job on the command line.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, &Watch)> {
        self.watches.iter().map(|(index, watch)| (*index, watch))
    }

    pub(crate) fn len(&self) -> usize {
        self.watches.len()
    }

    pub(crate) const fn counts(&self) -> WaitCounts {
        self.counts
    }

    /// Returns the first `max` waits in the order of the command line. If there are more, those come
    /// first that cannot be read at the moment, or of which a step failed.
    pub(crate) fn first(&self, max: usize) -> impl Iterator<Item = &Watch> {
        let fits = self.len() <= max;
        let attention = self.attention.iter().filter(move |_| !fits);
        let rest = self.watches.keys().filter(move |index| fits || !self.attention.contains(index));
        attention.chain(rest).take(max).filter_map(|index| self.watches.get(index))
    }
}

#[cfg(test)]
mod tests;
