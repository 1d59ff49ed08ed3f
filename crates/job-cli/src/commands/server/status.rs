//! What the server reports about a wait. Only what is printed is read, and unknown fields are ignored,
//! so that the server may be newer.

use std::time::Duration;

use jiff::Timestamp;
use job_model::{Failure, FailureSummary};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::terminal::{format_duration, json, text};

/// A wait, and the JSON of its status.
pub(crate) struct Wait {
    pub(crate) status: WaitStatus,
    raw: Box<RawValue>,
}

/// The status of a wait.
#[derive(Deserialize)]
pub(crate) struct WaitStatus {
    /// `PROJECT:JOB`, with the id of the project.
    pub(crate) key: String,
    /// What the wait is doing, in one word.
    pub(crate) state: String,
    created_at: Timestamp,
    active: Option<Active>,
    pub(crate) result: Option<StoredResult>,
}

/// The details of an active wait.
#[derive(Deserialize)]
struct Active {
    job_type: Option<String>,
    phase: Option<String>,
    name: Option<String>,
    progress: Option<Progress>,
    last_error: Option<String>,
    next_attempt_at: Option<Timestamp>,
    #[serde(default)]
    is_in_flight: bool,
}

/// The number of steps that are done, and of all steps.
#[derive(Deserialize)]
struct Progress {
    success: u64,
    total: u64,
}

/// The result of a finished wait.
#[derive(Deserialize)]
pub(crate) struct StoredResult {
    /// The outcome in one word.
    pub(crate) outcome: String,
    pub(crate) report: Box<RawValue>,
}

/// The parts of a report that a table shows.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Summary {
    r#type: Option<String>,
    name: Option<String>,
    failure: Option<Failure>,
    failures: Option<FailureSummary>,
    error: Option<String>,
}

impl Wait {
    /// Reads a wait from its JSON.
    pub(super) fn from_raw(raw: Box<RawValue>) -> serde_json::Result<Self> {
        Ok(Self { status: serde_json::from_str(raw.get())?, raw })
    }

    /// Returns the status as the server sent it, on one line.
    pub(crate) fn json_line(&self) -> String {
        json::to_single_line(self.raw.get())
    }
}

impl WaitStatus {
    /// Returns the ids of the project and of the job.
    pub(crate) fn ids(&self) -> (&str, &str) {
        self.key.split_once(':').unwrap_or(("", &self.key))
    }

    /// Returns the time since the wait began.
    pub(crate) fn age(&self, now: Timestamp) -> Duration {
        now.duration_since(self.created_at).try_into().unwrap_or_default()
    }

    /// Returns the type of the job and the name of its resource, if they are known.
    pub(crate) fn job(&self) -> (Option<String>, Option<String>) {
        match (&self.active, &self.result) {
            (Some(active), _) => (active.job_type.clone(), active.name.clone()),
            (None, Some(result)) => {
                let Summary { r#type, name, .. } = result.summary();
                (r#type, name)
            }
            (None, None) => (None, None),
        }
    }

    /// Returns how many steps are done, such as `3/9`.
    pub(crate) fn progress(&self) -> Option<String> {
        let Progress { success, total } = self.active.as_ref()?.progress.as_ref()?;
        Some(format!("{success}/{total}"))
    }

    /// Returns when the next request is due, or the outcome.
    pub(crate) fn next(&self, now: Timestamp) -> Option<String> {
        match (&self.active, &self.result) {
            (_, Some(result)) => Some(result.outcome.clone()),
            (Some(active), None) if self.state == "waiting" => Some(active.next(now)),
            _ => None,
        }
    }

    /// Returns the last error of an active wait, or why the job failed or the wait stopped.
    pub(crate) fn reason(&self) -> Option<String> {
        match (&self.active, &self.result) {
            (Some(active), _) => active.last_error.clone(),
            (None, Some(result)) => result.summary().reason(),
            (None, None) => None,
        }
    }

    /// Returns the state in a few words, such as `waiting: CreateCluster blue Running, 3 of 9 steps
    /// done`. It is the same until the phase, the progress or the error changes.
    pub(crate) fn describe(&self) -> String {
        let mut shown = text::sanitize_line(&self.state);
        if let Some(result) = &self.result {
            return format!("{shown}: {}", text::sanitize_line(&result.outcome));
        }
        let Some(active) = &self.active else { return shown };
        let label = active.job_type.as_deref().unwrap_or("job");
        let title = text::title(label, active.name.as_deref());
        shown += &match &active.phase {
            Some(phase) => format!(": {title} {}", text::sanitize_line(phase)),
            None => ": the job was not read yet".into(),
        };
        if let Some(Progress { success, total }) = &active.progress {
            shown += &format!(", {success} of {total} steps done");
        }
        if let Some(error) = &active.last_error {
            shown += &format!("; last error: {}", text::sanitize_line(error));
        }
        shown
    }
}

impl Active {
    fn next(&self, now: Timestamp) -> String {
        if self.is_in_flight {
            return "in flight".into();
        }
        let delay = self.next_attempt_at.map(|next| next.duration_since(now));
        match delay.and_then(|delay| Duration::try_from(delay).ok()) {
            Some(delay) if !delay.is_zero() => format!("in {}", format_duration(delay)),
            _ => "now".into(),
        }
    }
}

impl StoredResult {
    fn summary(&self) -> Summary {
        serde_json::from_str(self.report.get()).unwrap_or_default()
    }
}

impl Summary {
    fn reason(self) -> Option<String> {
        let many = self.failures.filter(FailureSummary::has_many).map(|many| many.to_string());
        many.or_else(|| self.failure.map(|one| one.to_string())).or(self.error)
    }
}
