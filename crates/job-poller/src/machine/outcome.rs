//! How a job, and what it makes or deletes, ended. A wait that stopped before that returns an error,
//! not an outcome.

use std::{fmt, time::Duration};

use job_model::{Deviation, Failure, FailureSummary, Inconsistency, Job, JobId, tree::SubJobPath};
use job_transport::JobSnapshot;
use serde::{Deserialize, Serialize};

use super::{
    object_queries::wait_id,
    object_status::{ObjectStatus, describe_objects},
    until::Until,
};
use crate::schedule::JobObservation;

/// A job that has ended, and the clusters and nodes that were read after it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
#[must_use = "a job that failed is a `FinishedJob` too; use `into_success`"]
pub struct FinishedJob {
    /// The id of the job. Without a job, the id of the wait
    /// ([`Machine::for_object`](crate::machine::Machine::for_object)).
    pub job_id: JobId,
    /// How the wait ended. [`is_success`](Self::is_success) is whether that is what it waited for.
    pub outcome: Outcome,
    /// What the wait was for. It is [`Until::Gone`] if the job deletes what it names.
    pub until: Until,
    /// The clusters and nodes, as last read. Empty if the wait was for the end of the job, or if the
    /// job failed.
    pub objects: Vec<ObjectStatus>,
    /// Whether the service had deleted the job before its end was read, so that the outcome is that
    /// of the objects alone.
    pub is_job_gone: bool,
    /// The job as last read, with the sub-jobs that were looked up by their own ids. It is a summary
    /// if [`is_truncated`](Self::is_truncated) is set, and empty if the wait had no job.
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
    /// The number of requests that read clusters and nodes.
    pub object_readings: u32,
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
    /// This is the reply's `Date` minus the job's `updateTimestamp`, accurate to about a second. Both
    /// are times of the service's clock. `None` if either is missing.
    ///
    /// It is at most [`elapsed`](Self::elapsed): if the job ended before the wait began, this is the
    /// time since the wait began.
    pub detection_delay: Option<Duration>,
    /// What the wait observed of the job, for a [`History`](crate::schedule::History).
    ///
    /// `None` if the job had ended at the first reading, because its duration was not observed
    /// then.
    pub observation: Option<JobObservation>,
    /// What the wait observed of the clusters and nodes, for a [`History`](crate::schedule::History).
    ///
    /// `None` if none was read, or if the first readings showed the outcome.
    pub object_observation: Option<JobObservation>,
}

/// How a wait ended.
///
/// A wait for the end of a job ends as `Succeeded` or `Failed`. A wait until the objects of the job
/// are ready, or gone, ends as `Failed` if the job failed, and otherwise as one of the others.
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
#[expect(clippy::exhaustive_enums, reason = "a caller decides for each")]
pub enum Outcome {
    /// The job succeeded.
    Succeeded,
    /// The job failed. Contains the path, type and reason of the deepest failed sub-job.
    Failed(Box<Failure>),
    /// Each object is ready.
    Ready,
    /// The job succeeded, or there is none, and an object was broken for two minutes.
    Broken,
    /// All objects are gone. If the wait was until ready, at least one is gone, and
    /// [`FinishedJob::is_success`] is false.
    Gone,
}

/// The error of a wait that ended without success.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[expect(clippy::exhaustive_enums, reason = "a caller decides for both")]
pub enum Unsuccessful {
    /// The job failed.
    #[error(transparent)]
    Job(JobFailed),
    /// The job did not fail, but a cluster or a node is broken or gone.
    #[error(transparent)]
    Objects(ObjectsFailed),
}

/// The error for clusters and nodes that are broken, or gone although they should be ready.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[error("{}{}", self.subject(), describe_objects(objects, Until::Ready))]
pub struct ObjectsFailed {
    /// The id of the job, or of a wait without one.
    pub job_id: JobId,
    /// All clusters and nodes of the job, as last read.
    pub objects: Vec<ObjectStatus>,
}

impl ObjectsFailed {
    /// Returns the job as the beginning of a message. Without a job, the object is enough.
    fn subject(&self) -> String {
        match &*self.objects {
            [object] if wait_id(&object.id) == self.job_id => String::new(),
            _ => format!("job {}: ", self.job_id),
        }
    }
}

/// The error for a job that failed.
#[derive(Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
#[error("job {job_id} failed: {}", self.reason())]
pub struct JobFailed {
    /// The id of the job.
    pub job_id: JobId,
    /// The path, type and reason of the deepest failed sub-job.
    pub failure: Box<Failure>,
    /// The job as last read.
    pub job: Box<Job>,
}

impl JobFailed {
    /// Returns the failed step and its reason, or all reasons if several steps failed, in one line.
    fn reason(&self) -> String {
        let summary = self.job.failure_summary().filter(FailureSummary::has_many);
        summary.map_or_else(|| self.failure.to_string(), |summary| summary.to_string())
    }
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
            Self::Ready => "ready",
            Self::Broken => "broken",
            Self::Gone => "gone",
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
            until: Until::Ended,
            objects: Vec::new(),
            object_readings: 0,
            object_observation: None,
            is_job_gone: false,
        }
    }

    /// Returns how many steps of the job failed, and each distinct reason. Returns `None` if the job
    /// did not fail.
    ///
    /// The work is linear in the number of sub-jobs.
    #[must_use]
    pub fn failure_summary(&self) -> Option<FailureSummary> {
        let Outcome::Failed(_) = self.outcome else { return None };
        if self.is_truncated { self.snapshot.failure_summary() } else { self.job.failure_summary() }
    }

    /// Returns whether the wait ended as [`until`](Self::until) asks: the job succeeded, or its objects
    /// are ready or gone.
    #[must_use]
    pub const fn is_success(&self) -> bool {
        match self.outcome {
            Outcome::Succeeded | Outcome::Ready => true,
            Outcome::Failed(_) | Outcome::Broken => false,
            Outcome::Gone => matches!(self.until, Until::Gone),
        }
    }

    /// Returns the states of the clusters and nodes if they are not as the wait asks.
    pub(crate) fn object_failure(&self) -> Option<String> {
        let is_failure =
            matches!(self.outcome, Outcome::Broken | Outcome::Gone) && !self.is_success();
        is_failure.then(|| self.object_summary())
    }

    /// Returns how the job ended, as one word, if objects were read after it: `succeeded`, or `gone` if
    /// the service had deleted it. Returns `None` without a job.
    pub(crate) fn job_outcome(&self) -> Option<&'static str> {
        match () {
            () if self.objects.is_empty() => None,
            () if self.is_job_gone => Some("gone"),
            () => (!self.has_no_job()).then_some("succeeded"),
        }
    }

    /// Returns whether the wait read clusters or nodes and had no job.
    #[must_use]
    pub const fn has_no_job(&self) -> bool {
        self.attempts == 0 && !self.objects.is_empty()
    }

    /// Returns the job if the wait ended [successfully](Self::is_success).
    ///
    /// # Errors
    ///
    /// Returns an error if the job failed, or if a cluster or a node is broken or gone.
    pub fn into_success(self) -> Result<Job, Unsuccessful> {
        let is_success = self.is_success();
        match self.outcome {
            Outcome::Failed(failure) => {
                Err(Unsuccessful::Job(JobFailed { job_id: self.job_id, failure, job: self.job }))
            }
            _ if is_success => Ok(*self.job),
            _ => {
                let (job_id, objects) = (self.job_id, self.objects);
                Err(Unsuccessful::Objects(ObjectsFailed { job_id, objects }))
            }
        }
    }

    /// Returns the states of the clusters and nodes in one line, such as `2 of 3 nodes are ready; not:
    /// n3 (Abnormal)`. It is empty if none was read.
    ///
    /// If the service had deleted the job, the line says so first.
    #[must_use]
    pub fn object_summary(&self) -> String {
        let job = if self.is_job_gone { "the service has deleted the job; " } else { "" };
        format!("{job}{}", describe_objects(&self.objects, self.until))
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
