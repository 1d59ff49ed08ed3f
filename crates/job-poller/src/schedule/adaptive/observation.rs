//! What was observed of a job: from when to when, when its steps ended, and whether it ended.

use std::time::Duration;

use jiff::Timestamp;
use job_model::{Job, Phase};
use serde::{Deserialize, Serialize};

use crate::schedule::PollState;

/// What a wait observed of a job, by the job's age: what a [`History`](crate::History) learns from. Ages
/// count from the job's `creationTimestamp`, by the service's own times; where those are missing, from the
/// wait's beginning.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct JobObservation {
    /// The job's type; empty where it has none.
    pub job_type: String,
    /// The job's age when it was first read. What it was like before is not known to this wait.
    pub from: Duration,
    /// Its age when it ended: by its `updateTimestamp`, but not before it was last seen to go on, nor after
    /// it was seen to have ended; in the middle of these where there is none. Where it was not seen to end,
    /// when it was last seen to go on.
    pub until: Duration,
    /// Whether it was seen to end.
    pub completed: bool,
    /// Its ages when its steps ended, the first first. Empty where the times of one do not fit the job's.
    pub step_ends: Vec<Duration>,
}

impl JobObservation {
    /// Creates the observation of a job of this type between two ages, at the second of which it ended or not.
    #[must_use]
    pub fn new(
        job_type: impl Into<String>,
        from: Duration,
        until: Duration,
        completed: bool,
    ) -> Self {
        Self { job_type: job_type.into(), from, until, completed, step_ends: Vec::new() }
    }

    /// Sets the ages when its steps ended.
    #[must_use]
    pub fn with_step_ends(mut self, mut ages: Vec<Duration>) -> Self {
        ages.sort_unstable();
        self.step_ends = ages;
        self
    }
}

/// How many steps of a job have ended, and how old it was when the last of them did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CompletedSteps {
    pub(crate) count: u32,
    pub(crate) last_end: Duration,
}

impl CompletedSteps {
    /// Counts those of a job of this age; none where the times of one do not fit the job's.
    pub(crate) fn from_job(job: &Job, age: Duration) -> Self {
        let mut steps = Self::default();
        for end in step_end_ages(job, age) {
            let Some(end) = end else { return Self::default() };
            steps =
                Self { count: steps.count.saturating_add(1), last_end: steps.last_end.max(end) };
        }
        steps
    }

    /// Returns the state of a wait for a job of this age.
    pub(crate) fn poll_state(self, job: &Job, age: Duration) -> PollState<'_> {
        PollState {
            job_type: job.job_type(),
            completed_steps: self.count,
            since_last_step: age.saturating_sub(self.last_end),
            ..PollState::new(age, 1)
        }
    }
}

/// Returns a job's ages when its steps ended, the first first; empty where one does not fit.
pub(crate) fn step_ends(job: &Job, age: Duration) -> Vec<Duration> {
    let mut ends: Vec<_> = step_end_ages(job, age).collect::<Option<_>>().unwrap_or_default();
    ends.sort_unstable();
    ends
}

/// Returns how old a job was when each of its steps ended; `None` for one whose time is missing, is before
/// the job's creation, or after this age.
fn step_end_ages(job: &Job, age: Duration) -> impl Iterator<Item = Option<Duration>> {
    let created = creation_time(job);
    let steps = job.walk().skip(1).map(|node| node.job);
    let done =
        steps.filter(|step| step.sub_jobs().is_empty() && step.phase() == Some(&Phase::Success));
    done.map(move |step| {
        let end = update_time(step)?.duration_since(created?);
        let end: Duration = end.try_into().ok()?;
        // The age is by a reply's `Date`, which has whole seconds.
        (end <= age + Duration::from_secs(1)).then_some(end.min(age))
    })
}

pub(crate) fn creation_time(job: &Job) -> Option<Timestamp> {
    job.metadata.as_ref()?.creation_timestamp.as_ref()?.instant()
}

pub(crate) fn update_time(job: &Job) -> Option<Timestamp> {
    job.metadata.as_ref()?.update_timestamp.as_ref()?.instant()
}

#[cfg(test)]
mod tests;
