//! Where the waits of a fleet get their schedules: set by the caller, or learned from jobs that
//! ended.

use std::{
    collections::HashSet,
    hash::{BuildHasher, BuildHasherDefault, DefaultHasher},
    mem,
    sync::Arc,
    time::Duration,
};

use job_model::{JobId, Phase, job::JobRow};

use crate::{
    machine::Machine,
    schedule::{Adaptive, History, JobObservation, Schedule},
};

/// Where a wait's schedule comes from.
pub(super) enum ScheduleSource {
    /// One schedule for all waits.
    Fixed(Arc<dyn Schedule>),
    /// Schedules that are built from the history, and rebuilt from time to time.
    Learned(Box<Learner>),
}

/// The history, and the schedule that new waits get.
pub(super) struct Learner {
    adaptive: Adaptive,
    history: History,
    current: Arc<dyn Schedule>,
    current_since: Duration,
    dirty: bool,
    learned_from_list: bool,
    /// Hashes of the ids of jobs whose rows were learned from, or whose waits were.
    known_rows: HashSet<u64>,
}

impl ScheduleSource {
    pub(super) fn learned(adaptive: Adaptive, history: History) -> Self {
        let current = Arc::new(adaptive.clone().history(&history));
        let current_since = Duration::ZERO;
        Self::Learned(Box::new(Learner {
            adaptive,
            history,
            current,
            current_since,
            dirty: false,
            learned_from_list: false,
            known_rows: HashSet::new(),
        }))
    }

    /// Returns the schedule for a wait that begins now.
    pub(super) fn schedule_at(&mut self, now: Duration) -> Arc<dyn Schedule> {
        match self {
            Self::Fixed(schedule) => schedule.clone(),
            Self::Learned(learner) => {
                if learner.dirty && now.saturating_sub(learner.current_since) >= REBUILD_INTERVAL {
                    learner.rebuild(now);
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

    /// Learns what a wait has observed that has not finished.
    pub(super) fn learn_from_machine(&mut self, machine: &Machine) {
        self.learn(machine.observation().as_ref());
        self.learn(machine.object_observation().as_ref());
    }

    /// Returns whether few durations of this job type are known.
    pub(super) fn knows_few_jobs(&self, job_type: &str) -> bool {
        matches!(self, Self::Learned(learner) if learner.history.jobs(job_type) < MIN_KNOWN_JOBS)
    }

    /// Returns whether nothing was learned yet.
    pub(super) fn has_no_history(&self) -> bool {
        matches!(self, Self::Learned(learner) if learner.history.is_empty())
    }

    /// Learns from a row of a list, about a job that nobody waits for. Each job counts once. `left` is
    /// the number of rows that may still be decoded.
    pub(super) fn learn_from_row(&mut self, row: JobRow<'_>, left: &mut usize) {
        let Self::Learned(learner) = self else { return };
        let Some(id) = row.uid().filter(|_| row.phase() == Some(Phase::Success)) else { return };
        if *left > 0 && learner.is_first_row(id) {
            *left -= 1;
            let observation = JobObservation::from_row(row);
            learner.history.record(observation.as_ref());
            learner.learned_from_list |= observation.is_some();
        }
    }

    /// Records that a job was watched, so that its row is not learned from again.
    pub(super) fn ignore_row(&mut self, id: &JobId) {
        if let Self::Learned(learner) = self {
            learner.is_first_row(id.as_str());
        }
    }

    /// Rebuilds the schedule if a list had new durations. Returns the schedule before and after.
    pub(super) fn rebuild_after_list(
        &mut self,
        now: Duration,
    ) -> Option<(Arc<dyn Schedule>, Arc<dyn Schedule>)> {
        let Self::Learned(learner) = self else { return None };
        let is_first = learner.current_since == Duration::ZERO;
        let is_due = is_first || now.saturating_sub(learner.current_since) >= REBUILD_INTERVAL;
        if !is_due || !mem::take(&mut learner.learned_from_list) {
            return None;
        }
        let before = learner.current.clone();
        learner.rebuild(now);
        Some((before, learner.current.clone()))
    }

    /// Returns the history, including the part that the fleet started with.
    pub(super) fn history(&self) -> History {
        match self {
            Self::Fixed(_) => History::new(),
            Self::Learned(learner) => learner.history.clone(),
        }
    }
}

impl Learner {
    fn rebuild(&mut self, now: Duration) {
        let adaptive = self.adaptive.clone().history(&self.history);
        (self.current, self.current_since) = (Arc::new(adaptive), now);
        self.dirty = false;
    }

    /// Returns whether this is the first row of this job. If there are too many jobs, no row is.
    fn is_first_row(&mut self, id: &str) -> bool {
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(id);
        self.known_rows.len() < MAX_KNOWN_ROWS && self.known_rows.insert(hash)
    }
}

/// If fewer jobs of a type are known, a list may have more of them.
const MIN_KNOWN_JOBS: f64 = 5.0;

/// Maximum number of jobs that are known to have been learned from, 16 bytes each.
const MAX_KNOWN_ROWS: usize = 65_536;

/// Minimum time between two rebuilds. Each schedule stays in memory as long as a wait uses it.
const REBUILD_INTERVAL: Duration = Duration::from_secs(60);
