//! The result of a wait as JSON. The format is a contract: fields may be added, and none is
//! removed.

use std::time::Duration;

use job_model::{Deviation, Failure, FailureSummary, Inconsistency, Job, Phase};
use serde::Serialize;

use crate::machine::{AttemptError, FinishedJob, ObjectStatus, Outcome, WaitError, seconds};

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
    /// Whether the wait ended as it was asked to ([`FinishedJob::is_success`]): the job succeeded, or its
    /// clusters and nodes are ready or gone. With the outcome `gone`, it is false if they should be ready.
    pub is_success: bool,
    /// The job's type.
    pub r#type: Option<&'a str>,
    /// The name of the job's resource, if it has one.
    pub name: Option<&'a str>,
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
    /// How many steps failed, and each distinct reason with the names of its steps, if the job
    /// failed. The size is limited: see [`FailureSummary`].
    pub failures: Option<FailureSummary>,
    /// The error and its causes without the job's id, if the wait stopped before the job ended.
    pub error: Option<String>,
    /// The class of the error of the last attempt ([`ErrorClass::as_str`]), if the wait stopped before
    /// the job ended. Serialized only if there is one.
    ///
    /// [`ErrorClass::as_str`]: job_transport::ErrorClass::as_str
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_class: Option<&'static str>,
    /// The HTTP status of the last attempt, if the wait stopped before the job ended. Serialized only if
    /// there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_status: Option<u16>,
    /// Number of attempts. Lookups of sub-jobs are not included.
    pub attempts: u32,
    /// Time from the creation of the job to its end. Serialized as seconds, with three decimals, or
    /// null if the job has not ended or its times are unknown.
    #[serde(serialize_with = "seconds::optional::serialize")]
    pub duration: Option<Duration>,
    /// Time since the wait began. Serialized as seconds, with three decimals.
    #[serde(serialize_with = "seconds::serialize")]
    pub elapsed: Duration,
    /// Time from the job's end until the wait read it. If the job ended before the wait began, the
    /// time since the wait began. Serialized as seconds, with three decimals, or null if it is
    /// unknown.
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
            is_success: false,
            r#type: document.and_then(Job::job_type),
            name: document.and_then(Job::resource_name),
            phase: document.and_then(Job::phase),
            objects: Vec::new(),
            job_outcome: None,
            failure: None,
            failures: None,
            error: None,
            error_class: None,
            error_status: None,
            attempts: 0,
            duration: document.filter(|job| has_ended(job)).and_then(Job::duration),
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
                is_success: finished.is_success(),
                failure: match &finished.outcome {
                    Outcome::Failed(failure) => Some(&**failure),
                    Outcome::Succeeded | Outcome::Ready | Outcome::Broken | Outcome::Gone => None,
                },
                failures: finished.failure_summary(),
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
                error_class: error.last_error().map(|last| last.class.as_str()),
                error_status: error.last_error().and_then(AttemptError::status),
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

fn has_ended(job: &Job) -> bool {
    job.phase().is_some_and(Phase::is_terminal)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_false(value: &bool) -> bool {
    !*value
}

#[cfg(test)]
mod tests {
    use job_model::object::{NodePhase, ObjectId, ObjectState};
    use serde_json::Value;

    use super::*;
    use crate::machine::{Checkpoint, Machine, Until, WaitErrorKind, WaitPolicy};

    fn node(id: &str, phase: Option<&str>) -> ObjectStatus {
        let id = ObjectId::Node { cluster: "c".parse().unwrap(), node: id.parse().unwrap() };
        let mut status = ObjectStatus::new(id);
        let state = phase.map_or(ObjectState::Gone, |phase| NodePhase::from(phase).state());
        (status.phase, status.state) = (phase.map(String::from), Some(state));
        status
    }

    /// Returns the report of a wait that has read these nodes.
    fn report(outcome: &str, until: Until, is_job_gone: bool, objects: Vec<ObjectStatus>) -> Value {
        let body = br#"{"spec": {"type": "CreateNode"}, "status": {"phase": "Success"}}"#;
        let job = Job::from_slice(body).unwrap();
        let mut finished = FinishedJob::new("a".parse().unwrap(), job);
        let own_form = format!(r#"{{"outcome": "{outcome}"}}"#);
        finished.outcome = serde_json::from_str(&own_form).unwrap();
        (finished.until, finished.is_job_gone) = (until, is_job_gone);
        (finished.objects, finished.object_readings) = (objects, 3);
        let outcome = finished.outcome.clone();
        let text = serde_json::to_string(&Report::new(&Ok(finished), None)).unwrap();
        // The outcome is read back from a report.
        assert_eq!(serde_json::from_str::<Outcome>(&text).unwrap(), outcome);
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn a_report_has_the_outcome_of_objects_and_of_their_job() {
        let active = || vec![node("n1", Some("Active"))];
        let broken = vec![node("n1", Some("Active")), node("n2", Some("Abnormal"))];
        let rows = [
            ("ready", true, Until::Ready, false, active(), "succeeded", "n1 Active ready"),
            ("ready", true, Until::Ready, true, active(), "gone", "n1 Active ready"),
            (
                "broken",
                false,
                Until::Ready,
                false,
                broken,
                "succeeded",
                "n1 Active ready, n2 Abnormal broken",
            ),
            ("gone", false, Until::Ready, false, vec![node("n1", None)], "succeeded", "n1 - gone"),
            ("gone", true, Until::Gone, true, vec![node("n1", None)], "gone", "n1 - gone"),
        ];
        for (outcome, is_success, until, is_job_gone, objects, job_outcome, expected) in rows {
            let report = report(outcome, until, is_job_gone, objects);
            assert_eq!(
                (&report["outcome"], &report["job_outcome"]),
                (&outcome.into(), &job_outcome.into())
            );
            assert_eq!(report["is_success"], is_success, "{outcome}");
            assert_eq!(describe(&report), expected);
            assert_eq!((&report["failure"], &report["error"]), (&Value::Null, &Value::Null));
        }
        // Without objects, the report is as before.
        let report = report("succeeded", Until::Ended, false, Vec::new());
        let fields = report.as_object().unwrap();
        assert!(!fields.contains_key("objects") && !fields.contains_key("job_outcome"));
    }

    /// Returns the id, the phase and the state of each node.
    fn describe(report: &Value) -> String {
        let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
        let objects = report["objects"].as_array().unwrap().iter().map(|object| {
            assert_eq!(object["cluster"], "c");
            ["node", "phase", "state"].map(|field| text(&object[field])).join(" ")
        });
        objects.collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn the_report_of_a_wait_that_is_not_ready_has_its_objects() {
        let id = ObjectId::Cluster("c".parse().unwrap());
        let machine = Machine::for_object(id, WaitPolicy::new());
        let checkpoint = Checkpoint::new(machine, Duration::from_secs(60));
        let error = Err(WaitError::new(WaitErrorKind::NotReady, checkpoint));
        let report = serde_json::to_value(Report::new(&error, None)).unwrap();
        assert_eq!(
            (&report["outcome"], &report["is_success"]),
            (&"not_ready".into(), &false.into())
        );
        assert_eq!(report["objects"][0]["cluster"], "c");
        assert_eq!(report["objects"][0]["state"], Value::Null);
        let error = report["error"].as_str().unwrap();
        assert!(error.contains("cluster c was not read"), "{error}");
        assert!(serde_json::from_value::<Outcome>(report.clone()).is_err(), "it has no outcome");
        assert_eq!(report.get("job_outcome"), None);
    }
}
