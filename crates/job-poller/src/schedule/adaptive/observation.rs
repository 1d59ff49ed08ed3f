//! What was observed of a job: from when to when, when its steps ended, and whether it ended.

use std::time::Duration;

use job_transport::JobDigest;
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
    /// Counts the completed steps of a job of this age; none if the time of one is later than that.
    pub(crate) fn from_digest(digest: &JobDigest, age: Duration) -> Self {
        match plausible_step_ends(digest, age) {
            [] => Self::default(),
            [.., last] => Self {
                count: digest.step_ends().len().try_into().unwrap_or(u32::MAX),
                last_end: age.min(*last),
            },
        }
    }

    /// Returns the state of a wait for a job of this age.
    pub(crate) fn poll_state(self, job_type: Option<&str>, age: Duration) -> PollState<'_> {
        PollState {
            job_type,
            completed_steps: self.count,
            since_last_step: age.saturating_sub(self.last_end),
            ..PollState::new(age, 1)
        }
    }
}

/// Returns a job's ages when its steps ended, in ascending order; empty if one of them is later than this age.
pub(crate) fn step_ends(digest: &JobDigest, age: Duration) -> Vec<Duration> {
    plausible_step_ends(digest, age).iter().map(|end| age.min(*end)).collect()
}

fn plausible_step_ends(digest: &JobDigest, age: Duration) -> &[Duration] {
    let ends = digest.step_ends();
    // The age is computed from a reply's `Date`, which has whole seconds.
    let is_plausible = ends.last().is_none_or(|last| *last <= age + Duration::from_secs(1));
    if is_plausible { ends } else { &[] }
}

#[cfg(test)]
mod tests;
