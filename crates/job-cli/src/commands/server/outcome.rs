//! The result of a wait of the server, printed as `wait` prints its own results.

use std::time::Duration;

use job_model::JobId;
use job_poller::{FinishedJob, Outcome, Until, machine::ObjectStatus};
use job_transport::ErrorClass;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::status::StoredResult;
use crate::{
    exit::{Exit, StopCause},
    terminal::Styles,
    wait::result_lines,
};

/// How a wait ended.
pub(crate) enum WaitResult {
    /// The job has ended.
    Ended(Box<FinishedJob>),
    /// The wait stopped before the end of the job.
    Stopped { cause: StopCause, error: String },
    /// An outcome that this version does not know.
    Unknown(String),
}

/// The fields of a report that are used.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Report {
    error: Option<String>,
    error_class: Option<String>,
    error_status: Option<u16>,
    attempts: u32,
    elapsed: Option<f64>,
    detection_delay: Option<f64>,
    truncated: bool,
    objects: Vec<ObjectStatus>,
    is_success: bool,
    job_outcome: Option<String>,
    document: Option<Box<RawValue>>,
}

impl WaitResult {
    /// Reads a result.
    pub(crate) fn read(job: &JobId, result: &StoredResult) -> Self {
        let text = result.report.get();
        // If only the details cannot be read, the outcome still counts.
        let report: Report = serde_json::from_str(text).unwrap_or_default();
        if let Ok(outcome) = serde_json::from_str::<Outcome>(text) {
            return Self::Ended(Box::new(report.into_finished(job, outcome)));
        }
        match serde_json::from_value(result.outcome.clone().into()) {
            Ok(kind) => Self::Stopped {
                cause: StopCause {
                    kind,
                    was_read: report.was_read(),
                    class: report.error_class(),
                    status: report.error_status,
                },
                error: report.error.unwrap_or_else(|| result.outcome.clone()),
            },
            Err(_) => Self::Unknown(result.outcome.clone()),
        }
    }

    /// Returns the exit code of this result, as `wait` has it.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Ended(finished) => Exit::from(&**finished),
            Self::Stopped { cause, .. } => Exit::from(*cause),
            Self::Unknown(_) => Exit::Unreadable,
        }
    }

    /// Returns the lines for stdout, or why the wait stopped. Texts in the lines are sanitized.
    pub(crate) fn lines(&self, job: &JobId, styles: Styles) -> Result<Vec<String>, String> {
        match self {
            Self::Ended(finished) => Ok(result_lines(job, finished, false, styles)),
            Self::Stopped { error, .. } => Err(error.clone()),
            Self::Unknown(outcome) => Err(format!(
                "this version does not know the outcome {outcome}; use a newer version of cce-job"
            )),
        }
    }
}

impl Report {
    fn error_class(&self) -> Option<ErrorClass> {
        use ErrorClass::{NotFound, Permanent, Throttled, Transient, Unauthorized};

        let word = self.error_class.as_deref()?;
        let all = [Transient, Throttled, Unauthorized, NotFound, Permanent];
        all.into_iter().find(|class| class.as_str() == word)
    }

    fn was_read(&self) -> bool {
        self.document.is_some() || self.objects.iter().any(|object| object.state.is_some())
    }

    fn into_finished(self, job: &JobId, outcome: Outcome) -> FinishedJob {
        let document = self.document.and_then(|document| serde_json::from_str(document.get()).ok());
        let mut finished = FinishedJob::new(job.clone(), document.unwrap_or_default());
        let duration = |seconds: f64| Duration::try_from_secs_f64(seconds).ok();
        finished.until = match outcome {
            Outcome::Succeeded | Outcome::Failed(_) => Until::Ended,
            Outcome::Gone if self.is_success => Until::Gone,
            Outcome::Ready | Outcome::Broken | Outcome::Gone => Until::Ready,
        };
        finished.outcome = outcome;
        finished.objects = self.objects;
        finished.is_job_gone = self.job_outcome.as_deref() == Some("gone");
        finished.is_truncated = self.truncated;
        finished.attempts = self.attempts;
        finished.elapsed = self.elapsed.and_then(duration).unwrap_or_default();
        finished.detection_delay = self.detection_delay.and_then(duration);
        finished
    }
}
