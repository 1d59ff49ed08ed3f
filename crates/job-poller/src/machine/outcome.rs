//! How a job ended. A wait that stopped before that returns an error, not an outcome.

use std::{fmt, time::Duration};

use job_model::{Deviation, Failure, Inconsistency, Job, JobId, tree::SubJobPath};
use job_transport::JobSnapshot;
use serde::{Deserialize, Serialize};

use crate::schedule::JobObservation;

/// A job that has ended.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
#[must_use = "a job that failed is a `FinishedJob` too; use `into_success`"]
pub struct FinishedJob {
    /// The id of the job.
    pub job_id: JobId,
    /// Whether the job succeeded or failed.
    pub outcome: Outcome,
    /// The job as last read, with the sub-jobs that were looked up by their own ids. It is a summary
    /// if [`is_truncated`](Self::is_truncated) is set.
    pub job: Box<Job>,
    /// The last accepted reading: the text of the reply, without the sub-jobs that were looked up.
    pub snapshot: JobSnapshot,
    /// Whether the job was too large for what is left of the
    /// [memory limit](job_transport::transport::MemoryLimit).
    ///
    /// The [`job`](Self::job) is then a summary: it has the phase, the times and the reason, and no
    /// sub-jobs. The outcome still has the failed step.
    pub is_truncated: bool,
    /// The number of attempts. Sub-job lookups are not included.
    pub attempts: u32,
    /// The number of requests that looked up sub-jobs by their own ids.
    pub sub_job_lookups: u32,
    /// The time since the wait began.
    pub elapsed: Duration,
    /// The sub-jobs that were `Initializing` or `Running` when the job was last read.
    pub active_sub_jobs: Vec<SubJobPath>,
    /// The contradictions between the job and its sub-jobs; usually empty.
    pub inconsistencies: Vec<Inconsistency>,
    /// The deviations of the last accepted body; usually empty.
    pub deviations: Vec<Deviation>,
    /// The time from the end of the job until it was read.
    ///
    /// This is the reply's `Date` minus the job's `updateTimestamp`, accurate to about a second.
    /// `None` if either is missing. Both are times of the service's clock.
    pub detection_delay: Option<Duration>,
    /// What the wait observed of the job, for a [`History`](crate::schedule::History).
    ///
    /// `None` if the job had ended at the first reading, because its duration was not observed
    /// then.
    pub observation: Option<JobObservation>,
}

/// How a job ended.
///
/// Serialized as the fields `outcome` and, for a failed job, `failure`, as in a
/// [`Report`](crate::Report). It is also read from the report of a job that has ended.
///
/// ```
/// use job_poller::Outcome;
///
/// let report = r#"{"outcome":"succeeded","type":"CreateCluster","failure":null,"attempts":9}"#;
/// let outcome: Outcome = serde_json::from_str(report)?;
/// assert_eq!(outcome, Outcome::Succeeded);
/// assert_eq!(serde_json::to_string(&outcome)?, r#"{"outcome":"succeeded"}"#);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", content = "failure", rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "a job ends well or badly; a caller decides for both")]
pub enum Outcome {
    /// The job succeeded.
    Succeeded,
    /// The job failed. Contains the path, type and reason of the deepest failed sub-job.
    Failed(Box<Failure>),
}

/// The error for a job that failed.
#[derive(Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
#[error("job {job_id} failed: {failure}")]
pub struct JobFailed {
    /// The id of the job.
    pub job_id: JobId,
    /// The path, type and reason of the deepest failed sub-job.
    pub failure: Box<Failure>,
    /// The job as last read.
    pub job: Box<Job>,
}

/// Omits the job, which may have thousands of lines. A `main` that returns this error prints its
/// `Debug` output.
impl fmt::Debug for JobFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobFailed")
            .field("job_id", &self.job_id)
            .field("failure", &self.failure)
            .finish_non_exhaustive()
    }
}

impl Outcome {
    /// Returns the outcome as one word, as used in JSON and notifications.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed(_) => "failed",
        }
    }
}

impl FinishedJob {
    /// Creates the result of a wait with one attempt, for tests of code that handles results.
    ///
    /// The outcome and the inconsistencies follow from the job: it failed if its phase is `Failed`,
    /// and otherwise it succeeded. There are no deviations.
    pub fn new(job_id: JobId, job: Job) -> Self {
        let outcome = match job.failure() {
            Some(failure) => Outcome::Failed(Box::new(failure)),
            None => Outcome::Succeeded,
        };
        Self {
            job_id,
            outcome,
            active_sub_jobs: Vec::new(),
            inconsistencies: job.inconsistencies(),
            is_truncated: false,
            deviations: Vec::new(),
            snapshot: JobSnapshot::from(job.clone()),
            job: Box::new(job),
            attempts: 1,
            sub_job_lookups: 0,
            elapsed: Duration::ZERO,
            detection_delay: None,
            observation: None,
        }
    }

    /// Returns the job if it succeeded.
    ///
    /// # Errors
    ///
    /// Returns an error if the job failed.
    pub fn into_success(self) -> Result<Job, JobFailed> {
        match self.outcome {
            Outcome::Succeeded => Ok(*self.job),
            Outcome::Failed(failure) => {
                Err(JobFailed { job_id: self.job_id, failure, job: self.job })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Report;

    #[test]
    fn an_outcome_is_read_from_its_own_form_and_from_a_report() {
        for body in [
            r#"{"status": {"phase": "Success"}}"#,
            r#"{"spec": {"type": "A"}, "status": {"phase": "Failed", "reason": "x"}}"#,
        ] {
            let job = Job::from_slice(body.as_bytes()).unwrap();
            let finished = FinishedJob::new("a".parse().unwrap(), job);
            let outcome = finished.outcome.clone();
            let json = serde_json::to_string(&outcome).unwrap();
            assert!(json.contains(outcome.as_str()));
            assert_eq!(serde_json::from_str::<Outcome>(&json).unwrap(), outcome);
            let report = serde_json::to_string(&Report::new(&Ok(finished), None)).unwrap();
            assert_eq!(serde_json::from_str::<Outcome>(&report).unwrap(), outcome, "{report}");
        }
    }
}
