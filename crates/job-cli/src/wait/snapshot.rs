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
    /// How much longer such jobs take on average, if enough of them were seen.
    pub(crate) remaining: Option<Duration>,
    /// The service's time, if it is known.
    pub(crate) service_time: Option<Timestamp>,
    pub(crate) error_run: Option<&'a ErrorRun>,
    /// How long it is until the next attempt; `None` while one is under way.
    pub(crate) until_next_attempt: Option<Duration>,
}

impl WaitSnapshot<'_> {
    /// Returns the age of a job, by the service's own times.
    pub(crate) fn age(&self, job: &Job) -> Option<Duration> {
        let created = job.metadata.as_ref()?.creation_timestamp.as_ref()?.instant()?;
        self.service_time?.duration_since(created).try_into().ok()
    }

    /// Whether the job cannot be read at present, or a step of it failed.
    pub(crate) fn needs_attention(&self) -> bool {
        self.error_run.is_some() || self.job.as_ref().is_some_and(|job| job.failure().is_some())
    }
}
