//! How far a job is: its steps counted by phase, and the time it took. Judges nothing.

use core::time::Duration;

use crate::job::{Job, Phase};

/// The steps of a job, counted by phase. A step is a job without sub-jobs of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// All steps.
    pub total: usize,
    /// Those that wait for their turn.
    pub initializing: usize,
    /// Those under way.
    pub running: usize,
    /// Those that are complete.
    pub success: usize,
    /// Those that failed.
    pub failed: usize,
    /// Those whose phase is absent, or not known here.
    pub unknown: usize,
}

impl Job {
    /// Counts the steps of this job; a job without sub-jobs is a step itself.
    ///
    /// The service lists sub-jobs as they start, so the total may grow.
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
        for node in self.walk().filter(|node| node.job.sub_jobs().is_empty()) {
            progress.total += 1;
            *match node.job.phase() {
                Some(Phase::Initializing) => &mut progress.initializing,
                Some(Phase::Running) => &mut progress.running,
                Some(Phase::Success) => &mut progress.success,
                Some(Phase::Failed) => &mut progress.failed,
                Some(Phase::Unknown(_)) | None => &mut progress.unknown,
            } += 1;
        }
        progress
    }

    /// Returns the time between the job's creation and its last update: for a job that has ended,
    /// how long it took. `None` where one of the two is missing, or they are the wrong way round.
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
        let metadata = self.metadata.as_ref()?;
        let created = metadata.creation_timestamp.as_ref()?.instant()?;
        let updated = metadata.update_timestamp.as_ref()?.instant()?;
        updated.duration_since(created).try_into().ok()
    }
}

#[cfg(test)]
mod tests;
