//! The result of a wait as JSON. The format is a contract: fields may be added, and none is
//! removed.

use std::time::Duration;

use job_model::{Deviation, Failure, Inconsistency, Job, Phase};
use serde::Serialize;

use crate::machine::{FinishedJob, ObjectStatus, Outcome, WaitError, seconds};

/// The result of a wait, to be serialized as JSON.
///
/// `cce-job wait -o jsonl` prints it as its last line, and it is the body of a notification. Later
/// versions may add fields, but never remove any.
///
/// # Examples
///
/// ```
/// # use std::time::Duration;
/// # use job_poller::{
/// #     Report, WaitPolicy,
/// #     machine::{Action, Input, Machine},
/// #     schedule::Fixed,
/// # };
/// # use job_transport::Reading;
/// # let mut machine = Machine::new("4a5b".parse()?, WaitPolicy::new());
/// # let schedule = Fixed::new(Duration::from_secs(10));
/// # let _ = machine.step(&schedule, Duration::ZERO, Input::Wake);
/// # let job = job_model::Job::from_slice(br#"{"status": {"phase": "Success"}}"#)?;
/// # let step = machine.step(&schedule, Duration::from_secs(2), Reading::new(job).into());
/// # let Action::Finish(result) = step.action else { panic!("the job has ended") };
/// let report = serde_json::to_value(Report::new(&result, None))?;
/// assert_eq!(report["outcome"], "succeeded");
/// assert_eq!(report["elapsed"], 2.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Serialize)]
#[non_exhaustive]
pub struct Report<'a> {
    /// The outcome in one word: `succeeded`, `failed`, `ready`, `broken`, `gone`, or the reason why the
    /// wait stopped before that ([`WaitErrorKind::as_str`](crate::WaitErrorKind::as_str)).
    pub outcome: &'static str,
    /// The job's type.
    pub r#type: Option<&'a str>,
    /// The job's phase as last read.
    pub phase: Option<&'a Phase>,
    /// The clusters and nodes that the wait has read, as last read. Serialized only if there are any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub objects: Vec<&'a ObjectStatus>,
    /// How the job itself ended, if the wait has read objects after it: `succeeded`, or `gone` if the
    /// service had deleted the job before its end was read, so that the objects alone decided.
    /// Serialized only then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job_outcome: Option<&'static str>,
    /// The step that failed and its reason, if the job failed.
    pub failure: Option<&'a Failure>,
    /// The error and its causes without the job's id, if the wait stopped before the job ended.
    pub error: Option<String>,
    /// Number of attempts. Lookups of sub-jobs are not included.
    pub attempts: u32,
    /// Time since the wait began. Serialized as seconds, with three decimals.
    #[serde(serialize_with = "seconds::serialize")]
    pub elapsed: Duration,
    /// Time from the job's end until the wait read it. Serialized as seconds, with three decimals,
    /// or null if it is unknown.
    #[serde(serialize_with = "seconds::optional::serialize")]
    pub detection_delay: Option<Duration>,
    /// Contradictions between the job and its sub-jobs.
    pub inconsistencies: &'a [Inconsistency],
    /// Deviations of the last accepted body from the API reference: the `path` and `kind` of each.
    pub deviations: &'a [Deviation],
    /// Whether the document is a summary without sub-jobs, because the job was too large for what is
    /// left of the memory limit. Serialized only if it is true.
    #[serde(skip_serializing_if = "is_false")]
    pub truncated: bool,
    /// The job as last read.
    pub document: Option<&'a Job>,
}

impl<'a> Report<'a> {
    /// Creates the report of a wait.
    ///
    /// `last` is used only if the wait stopped before the job ended. It is the job as last read
    /// ([`WaitError::job`], which decodes it).
    #[must_use]
    pub fn new(result: &'a Result<FinishedJob, WaitError>, last: Option<&'a Job>) -> Self {
        // Without a job there is no document.
        let job = |finished: &'a FinishedJob| (!finished.has_no_job()).then_some(&*finished.job);
        let document = result.as_ref().map_or(last, job);
        let report = Self {
            outcome: "",
            r#type: document.and_then(Job::job_type),
            phase: document.and_then(Job::phase),
            objects: Vec::new(),
            job_outcome: None,
            failure: None,
            error: None,
            attempts: 0,
            elapsed: Duration::ZERO,
            detection_delay: None,
            inconsistencies: &[],
            deviations: &[],
            truncated: false,
            document,
        };
        match result {
            Ok(finished) => Self {
                outcome: finished.outcome.as_str(),
                failure: match &finished.outcome {
                    Outcome::Failed(failure) => Some(&**failure),
                    Outcome::Succeeded | Outcome::Ready | Outcome::Broken | Outcome::Gone => None,
                },
                objects: finished.objects.iter().collect(),
                job_outcome: finished.job_outcome(),
                attempts: finished.attempts,
                deviations: &finished.deviations,
                elapsed: finished.elapsed,
                detection_delay: finished.detection_delay,
                inconsistencies: &finished.inconsistencies,
                truncated: finished.is_truncated,
                ..report
            },
            Err(error) => Self {
                outcome: error.kind().as_str(),
                error: Some(error.message()),
                objects: error.objects().collect(),
                attempts: error.attempts(),
                deviations: error.deviations(),
                elapsed: error.elapsed(),
                truncated: error.is_truncated(),
                ..report
            },
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_false(value: &bool) -> bool {
    !*value
}
