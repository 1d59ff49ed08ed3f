//! How a job ended. A wait that stopped before is an error, not an outcome.

use std::{fmt, time::Duration};

use job_model::{Failure, Job};

/// A job that has ended.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
#[must_use = "a job that failed is an `Ended` too; `into_success` tells"]
pub struct Ended {
    /// How.
    pub outcome: Outcome,
    /// The job as last read.
    pub job: Box<Job>,
    /// How many attempts were made.
    pub attempts: u32,
    /// Time since the wait began.
    pub elapsed: Duration,
}

/// How a job ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a job ends well or badly; a caller decides for both")]
pub enum Outcome {
    /// The job is complete.
    Succeeded,
    /// The job failed: where and why.
    Failed(Failure),
}

/// A job that failed, as an error.
#[derive(Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
#[error("the job failed: {failure}")]
pub struct JobFailed {
    /// Where and why.
    pub failure: Failure,
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

impl Ended {
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
