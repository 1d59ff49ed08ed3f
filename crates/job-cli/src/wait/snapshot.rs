//! The state of a wait at one moment, as the progress display needs it.

use std::time::Duration;

use jiff::Timestamp;
use job_model::{Job, JobId};

use super::error_run::ErrorRun;

/// The state of a wait at one moment.
pub(crate) struct WaitSnapshot<'a> {
    pub(crate) id: &'a JobId,
    pub(crate) job: Option<Box<Job>>,
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
    /// Returns the age of a job in the service's time.
    pub(crate) fn age(&self, job: &Job) -> Option<Duration> {
        let created = job.metadata.as_ref()?.creation_timestamp.as_ref()?.instant()?;
        self.service_time?.duration_since(created).try_into().ok()
    }

    /// Whether the job cannot be read at the moment, or one of its steps failed.
    pub(crate) fn needs_attention(&self) -> bool {
        self.error_run.is_some() || self.job.as_ref().is_some_and(|job| job.failure().is_some())
    }
}
