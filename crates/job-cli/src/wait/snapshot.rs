//! The state of a wait at one moment, as the progress display needs it.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use job_model::JobId;
use job_poller::{Until, machine::ObjectStatus};
use job_transport::JobSnapshot;

use super::error_run::ErrorRun;

/// The state of a wait at one moment.
pub(crate) struct WaitSnapshot {
    pub(crate) id: JobId,
    /// The last reading. Only the display decodes it, and only for a row that is visible.
    pub(crate) last: Option<JobSnapshot>,
    /// The clusters and nodes that are read after the job, or without one.
    pub(crate) objects: Arc<Vec<ObjectStatus>>,
    pub(crate) until: Until,
    pub(crate) elapsed: Duration,
    /// The average remaining time of such jobs, if the history has enough of them.
    pub(crate) remaining: Option<Duration>,
    /// The service's time, if it is known.
    pub(crate) service_time: Option<Timestamp>,
    pub(crate) error_run: Option<ErrorRun>,
    /// The time until the next attempt; `None` during an attempt.
    pub(crate) until_next_attempt: Option<Duration>,
}

impl WaitSnapshot {
    /// Returns the age of a job in the service's time.
    pub(crate) fn age(&self, created_at: Option<Timestamp>) -> Option<Duration> {
        self.service_time?.duration_since(created_at?).try_into().ok()
    }
}
