//! How a job ended. A wait that stopped before is an error, not an outcome.

use std::{fmt, time::Duration};

use job_model::{Deviation, Failure, Inconsistency, Job, SubJobPath};

use crate::schedule::JobObservation;

/// A job that has ended.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
#[must_use = "a job that failed is a `FinishedJob` too; use `into_success`"]
pub struct FinishedJob {
    /// How.
    pub outcome: Outcome,
    /// The job as last read, with what was found of sub-jobs asked for by their own ids.
    pub job: Box<Job>,
    /// How many attempts were made, those for sub-jobs left out.
    pub attempts: u32,
    /// How many sub-jobs were asked for by their own ids.
    pub sub_job_lookups: u32,
    /// Time since the wait began.
    pub elapsed: Duration,
    /// The sub-jobs that had not ended when the job was last read.
    pub active_sub_jobs: Vec<SubJobPath>,
    /// Where the job and its sub-jobs contradict each other; empty as a rule.
    pub inconsistencies: Vec<Inconsistency>,
    /// The deviations of the last accepted body; empty as a rule.
    pub deviations: Vec<Deviation>,
    /// How long after the job's end it was read: the reply's `Date` less the job's
    /// `updateTimestamp`, to about a second, where both are there. Both are the service's own.
    pub detection_delay: Option<Duration>,
    /// What was observed of the job, for a [`History`](crate::History); `None` if it had ended at the first
    /// reading, because that says nothing about how long such jobs take.
    pub observation: Option<JobObservation>,
}

/// How a job ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a job ends well or badly; a caller decides for both")]
pub enum Outcome {
    /// The job is complete.
    Succeeded,
    /// The job failed; holds the path, type and reason of the deepest failed sub-job.
    Failed(Box<Failure>),
}

/// A job that failed, as an error.
#[derive(Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
#[error("the job failed: {failure}")]
pub struct JobFailed {
    /// Where and why: the deepest failed sub-job.
    pub failure: Box<Failure>,
    /// The job as last read.
    pub job: Box<Job>,
}

/// Shows all but the job, which may have thousands of lines: a `main` that returns this error
/// prints its `Debug`.
impl fmt::Debug for JobFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobFailed").field("failure", &self.failure).finish_non_exhaustive()
    }
}

impl Outcome {
    /// Returns the outcome in one word, as in JSON and notifications.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed(_) => "failed",
        }
    }
}

impl FinishedJob {
    /// Returns the job that succeeded.
    ///
    /// # Errors
    ///
    /// Where the job failed.
    pub fn into_success(self) -> Result<Job, JobFailed> {
        match self.outcome {
            Outcome::Succeeded => Ok(*self.job),
            Outcome::Failed(failure) => Err(JobFailed { failure, job: self.job }),
        }
    }
}
