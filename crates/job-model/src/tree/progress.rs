//! Counts the steps of a job by phase, and computes its duration.

use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::job::{Job, Phase};

/// The steps of a job, counted by phase.
///
/// A step is a job without sub-jobs of its own.
///
/// The serialized form is an object with these fields, in this order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Progress {
    /// The number of all steps.
    pub total: usize,
    /// Steps that have not started.
    pub initializing: usize,
    /// Steps that are running.
    pub running: usize,
    /// Steps that succeeded.
    pub success: usize,
    /// Steps that failed.
    pub failed: usize,
    /// Steps whose phase is absent or unknown.
    pub unknown: usize,
}

impl Job {
    /// Counts the steps of this job. A job without sub-jobs counts as one step.
    ///
    /// The total may grow, because the service lists sub-jobs only when they start.
    ///
    /// ```
    /// let body = br#"{"spec": {"subJobs": [{"status": {"phase": "Success"}}, {}]}}"#;
    /// let progress = job_model::Job::from_slice(body)?.progress();
    /// assert_eq!((progress.total, progress.success, progress.unknown), (2, 1, 1));
    /// # Ok::<(), job_model::DecodeError>(())
    /// ```
    #[must_use]
    pub fn progress(&self) -> Progress {
        let mut progress = Progress::default();
        for entry in self.walk().filter(|entry| entry.job.sub_jobs().is_empty()) {
            progress.total += 1;
            *match entry.job.phase() {
                Some(Phase::Initializing) => &mut progress.initializing,
                Some(Phase::Running) => &mut progress.running,
                Some(Phase::Success) => &mut progress.success,
                Some(Phase::Failed) => &mut progress.failed,
                Some(Phase::Unknown(_)) | None => &mut progress.unknown,
            } += 1;
        }
        progress
    }

    /// Returns `creationTimestamp`, or `None` if it is missing or not a time.
    ///
    /// ```
    /// let body = br#"{"metadata": {"creationTimestamp": "2020-02-02 08:12:40 +0000 UTC"}}"#;
    /// let job = job_model::Job::from_slice(body)?;
    /// let created_at = job.created_at().expect("it is a time");
    /// assert_eq!(created_at.to_string(), "2020-02-02T08:12:40Z");
    /// assert_eq!(job.updated_at(), None);
    /// # Ok::<(), job_model::DecodeError>(())
    /// ```
    #[must_use]
    pub fn created_at(&self) -> Option<jiff::Timestamp> {
        self.metadata.as_ref()?.creation_timestamp.as_ref()?.instant()
    }

    /// Returns `updateTimestamp`, or `None` if it is missing or not a time.
    #[must_use]
    pub fn updated_at(&self) -> Option<jiff::Timestamp> {
        self.metadata.as_ref()?.update_timestamp.as_ref()?.instant()
    }

    /// Returns `completionTime`, or `None` if it is missing or not a time.
    ///
    /// Only jobs of API v2 have it. A running job may have a time that is
    /// [unset](crate::Timestamp::is_unset), for which `None` is returned, too.
    #[must_use]
    pub fn completed_at(&self) -> Option<jiff::Timestamp> {
        self.status.as_ref()?.completion_time.as_ref()?.instant()
    }

    /// Returns the time between the job's creation and its completion or, if the job has no
    /// completion time, its last update.
    ///
    /// For a job that has ended, this is how long it took. Returns `None` if one of the timestamps
    /// is missing, or if the end is earlier than the creation.
    ///
    /// ```
    /// let body = br#"{"metadata": {"creationTimestamp": "2020-02-02 08:12:40 +0000 UTC",
    ///     "updateTimestamp": "2020-02-02 08:21:50.5 +0000 UTC"}}"#;
    /// let job = job_model::Job::from_slice(body)?;
    /// assert_eq!(job.duration().map(|time| time.as_millis()), Some(550_500));
    /// # Ok::<(), job_model::DecodeError>(())
    /// ```
    #[must_use]
    pub fn duration(&self) -> Option<Duration> {
        let end = self.completed_at().or_else(|| self.updated_at())?;
        end.duration_since(self.created_at()?).try_into().ok()
    }
}

#[cfg(test)]
mod tests;
