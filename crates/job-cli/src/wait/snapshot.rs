//! The state of a wait at one moment, as the progress display needs it.

use std::time::Duration;

use jiff::Timestamp;
use job_model::{Job, JobId};
use job_transport::JobSnapshot;

use super::error_run::ErrorRun;

/// The state of a wait at one moment.
pub(crate) struct WaitSnapshot<'a> {
    pub(crate) id: &'a JobId,
    /// The last reading. Only the display decodes it, and only for a row that is visible.
    pub(crate) last: Option<JobSnapshot>,
    pub(crate) elapsed: Duration,
    /// The average remaining time of such jobs, if the history has enough of them.
    pub(crate) remaining: Option<Duration>,
    /// The service's time, if it is known.
    pub(crate) service_time: Option<Timestamp>,
    pub(crate) error_run: Option<&'a ErrorRun>,
    /// The time until the next attempt; `None` during an attempt.
    pub(crate) until_next_attempt: Option<Duration>,
}

impl WaitSnapshot<'_> {
    /// Returns the job as last read. Decodes it.
    pub(crate) fn job(&self) -> Option<&Job> {
        self.last.as_ref().map(JobSnapshot::job)
    }

    /// Returns the age of a job in the service's time.
    pub(crate) fn age(&self, created_at: Option<Timestamp>) -> Option<Duration> {
        self.service_time?.duration_since(created_at?).try_into().ok()
    }

    /// Whether the job cannot be read at the moment, or one of its steps failed.
    pub(crate) fn needs_attention(&self) -> bool {
        self.error_run.is_some()
            || self.last.as_ref().is_some_and(|last| last.digest().has_failure())
    }
}
