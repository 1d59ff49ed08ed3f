//! The result of a wait as an engine stores it.

use job_model::Job;
use serde::{Deserialize, Serialize};

use super::WaitKey;
use crate::{
    machine::{error::WaitError, outcome::FinishedJob, until::Until},
    report::Report,
};

/// The result of a wait that an engine stores and passes on in notifications.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StoredResult {
    /// The outcome in one word, as in [`Report::outcome`].
    pub outcome: String,
    /// Whether the job has ended. If not, the wait stopped early.
    pub has_job_ended: bool,
    /// Whether the wait ended as it was asked to. `None` in a result of an earlier version.
    #[serde(default)]
    pub(crate) is_success: Option<bool>,
    /// A [`Report`] with the project and the job, as JSON. It is the body of a notification.
    pub body: String,
}

/// A report with its project and job.
#[derive(Serialize)]
struct FinishedEvent<'a> {
    v: u32,
    event: &'static str,
    project: &'a str,
    job: &'a str,
    #[serde(flatten)]
    report: Report<'a>,
}

impl StoredResult {
    /// Creates the result of the wait with this key.
    #[must_use]
    pub fn new(key: &WaitKey, result: &Result<FinishedJob, WaitError>) -> Self {
        let last_job: Option<Box<Job>> = result.as_ref().err().and_then(WaitError::job);
        let report = Report::new(result, last_job.as_deref());
        let (project, job) = (key.project.as_str(), key.job.as_str());
        let (outcome, is_success) = (report.outcome.into(), Some(report.is_success));
        let event = FinishedEvent { v: 1, event: "finished", project, job, report };
        // Serialization can only fail for a map whose keys are not strings, and a report has no
        // such map.
        let body = serde_json::to_string(&event).unwrap_or_default();
        Self { outcome, has_job_ended: result.is_ok(), is_success, body }
    }

    /// Creates a result from the columns of a database.
    ///
    /// `is_success` is `None` if an earlier version stored the result.
    #[must_use]
    pub const fn from_parts(
        outcome: String,
        has_job_ended: bool,
        is_success: Option<bool>,
        body: String,
    ) -> Self {
        Self { outcome, has_job_ended, is_success, body }
    }

    /// Returns whether the wait ended as it was asked to, as [`Report::is_success`].
    ///
    /// For a result of an earlier version, the outcome `gone` counts as a success.
    #[must_use]
    pub fn is_success(&self) -> bool {
        let by_outcome = || matches!(&*self.outcome, "succeeded" | "ready" | "gone");
        self.is_success.unwrap_or_else(by_outcome)
    }

    /// Returns whether this result answers a request for a wait until `until`.
    ///
    /// After the end of a job, its objects may still have to be read. A broken object may be repaired.
    #[must_use]
    pub fn answers(&self, until: Until) -> bool {
        let is_reached = match until {
            Until::Ended => true,
            // A job that deletes is done when its objects are gone.
            Until::Ready => matches!(&*self.outcome, "ready" | "gone"),
            Until::Gone => self.outcome == "gone",
        };
        self.has_job_ended && (is_reached || self.outcome == "failed")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_answers_requests_that_ask_for_no_more() {
        use Until::{Ended, Gone, Ready};
        let rows: [(&str, bool, &[Until]); 7] = [
            ("succeeded", true, &[Ended]),
            ("failed", true, &[Ended, Ready, Gone]),
            ("ready", true, &[Ended, Ready]),
            ("gone", true, &[Ended, Ready, Gone]),
            ("broken", true, &[Ended]),
            ("not_ready", false, &[]),
            ("vanished", false, &[]),
        ];
        for (outcome, has_job_ended, expected) in rows {
            let result =
                StoredResult::from_parts(outcome.into(), has_job_ended, None, String::new());
            let answered = [Ended, Ready, Gone].into_iter().filter(|until| result.answers(*until));
            assert_eq!(answered.collect::<Vec<_>>(), expected, "{outcome}");
        }
    }

    #[test]
    fn the_success_of_an_earlier_version_follows_from_the_outcome() {
        let rows = [
            ("succeeded", None, true),
            ("ready", None, true),
            ("gone", None, true),
            ("gone", Some(false), false),
            ("gone", Some(true), true),
            ("failed", None, false),
            ("broken", None, false),
            ("stopped", None, false),
        ];
        for (outcome, stored, expected) in rows {
            let result = StoredResult::from_parts(outcome.into(), true, stored, String::new());
            assert_eq!(result.is_success(), expected, "{outcome} {stored:?}");
            let text = serde_json::to_string(&result).unwrap();
            assert_eq!(serde_json::from_str::<StoredResult>(&text).unwrap(), result);
        }
        let earlier = r#"{"outcome": "gone", "has_job_ended": true, "body": "{}"}"#;
        assert!(serde_json::from_str::<StoredResult>(earlier).unwrap().is_success());
    }
}
