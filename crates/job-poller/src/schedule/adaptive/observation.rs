//! What a wait has observed of a job: the interval, the ends of its steps, and whether the job
//! ended.

use std::time::Duration;

use job_model::job::JobRow;
use job_transport::JobDigest;
use serde::{Deserialize, Serialize};

use crate::schedule::PollState;

/// What a wait has observed of a job. A [`History`](crate::schedule::History) learns from it.
///
/// All times are ages of the job. They count from the job's `creationTimestamp`, by the service's
/// clock, or from the beginning of the wait if the timestamps are missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct JobObservation {
    /// The job's type, or an empty string if it has none.
    pub job_type: String,
    /// Age at the first reading. What happened before is unknown.
    pub from: Duration,
    /// Age at the end of the job: its `updateTimestamp`, limited to the interval between the last
    /// reading of the active job and the first reading of the finished job. The middle of this
    /// interval if a timestamp is missing. If the job was not observed to end, the age at the last
    /// reading.
    pub until: Duration,
    /// Whether the job was observed to end.
    pub completed: bool,
    /// Ages at which steps ended, in ascending order. Empty if the time of a step contradicts the
    /// job's times.
    pub step_ends: Vec<Duration>,
}

impl JobObservation {
    /// Creates the observation of a job between the ages `from` and `until`. `completed` is whether
    /// it ended at `until`.
    #[must_use]
    pub fn new(
        job_type: impl Into<String>,
        from: Duration,
        until: Duration,
        completed: bool,
    ) -> Self {
        Self { job_type: job_type.into(), from, until, completed, step_ends: Vec::new() }
    }

    /// Returns the duration of a job that has ended, and its steps, as a list of jobs shows them.
    ///
    /// Returns `None` if the row has no type or no times, or if its times contradict each other. Use it
    /// for jobs that succeeded, and only once for each job.
    #[must_use]
    pub fn from_row(row: JobRow<'_>) -> Option<Self> {
        let (created, ended) =
            (row.created_at()?, row.completed_at().or_else(|| row.updated_at())?);
        let took = Duration::try_from(ended.duration_since(created)).ok()?;
        let digest = JobDigest::new(&row.decode().ok()?.job);
        let steps = step_ends(&digest, took);
        Some(Self::new(row.job_type()?, Duration::ZERO, took, true).with_step_ends(steps))
    }

    /// Sets the ages at which steps ended, in any order.
    #[must_use]
    pub fn with_step_ends(mut self, mut ages: Vec<Duration>) -> Self {
        ages.sort_unstable();
        self.step_ends = ages;
        self
    }
}

/// The number of finished steps of a job, and its age when the last of them ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CompletedSteps {
    pub(crate) count: u32,
    pub(crate) last_end: Duration,
}

impl CompletedSteps {
    /// Counts the finished steps of a job of this age. Returns zero steps if a step ends later than
    /// that.
    pub(crate) fn from_digest(digest: &JobDigest, age: Duration) -> Self {
        let ends = digest.step_ends();
        let count = ends.len().try_into().unwrap_or(u32::MAX);
        Self::new(count, ends.last().copied().unwrap_or_default(), age)
    }

    /// Creates the steps of a job of this age, the last of which ended at the age `last_end`. Returns
    /// zero steps if that is later.
    pub(crate) fn new(count: u32, last_end: Duration, age: Duration) -> Self {
        match is_plausible(last_end, age) {
            true => Self { count, last_end: age.min(last_end) },
            false => Self::default(),
        }
    }

    /// Returns the input of a schedule for a job of this age.
    pub(crate) fn poll_state(self, job_type: Option<&str>, age: Duration) -> PollState<'_> {
        PollState {
            job_type,
            completed_steps: self.count,
            since_last_step: age.saturating_sub(self.last_end),
            ..PollState::new(age, 1)
        }
    }
}

/// Returns the ages at which a job's steps ended, in ascending order. Empty if a step ends later
/// than `age`.
pub(crate) fn step_ends(digest: &JobDigest, age: Duration) -> Vec<Duration> {
    plausible_step_ends(digest, age).iter().map(|end| age.min(*end)).collect()
}

fn plausible_step_ends(digest: &JobDigest, age: Duration) -> &[Duration] {
    let ends = digest.step_ends();
    if ends.last().is_none_or(|last| is_plausible(*last, age)) { ends } else { &[] }
}

fn is_plausible(step_end: Duration, age: Duration) -> bool {
    // The age is computed from a reply's `Date`, which has a resolution of one second.
    step_end <= age + Duration::from_secs(1)
}

#[cfg(test)]
mod tests;
