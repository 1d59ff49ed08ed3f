//! What decisions about a wait need of a job, so that the job need not be kept decoded.

use std::{ptr, time::Duration};

use jiff::Timestamp;
use job_model::{Job, Phase};

/// What decisions about a wait need of a job: phase, type, times, and the state of its sub-jobs.
///
/// A [`JobSnapshot`](super::JobSnapshot) computes it once, when it is decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobDigest {
    phase: Option<Phase>,
    job_type: Option<Box<str>>,
    created_at: Option<Timestamp>,
    updated_at: Option<Timestamp>,
    step_ends: Option<Box<[Duration]>>,
    has_active_sub_jobs: bool,
    has_failure: bool,
    all_sub_jobs_succeeded: bool,
}

impl JobDigest {
    /// Computes the digest of a job.
    #[must_use]
    pub fn new(job: &Job) -> Self {
        let created_at = created_at(job);
        let (mut has_active_sub_jobs, mut has_failed_job) = (false, false);
        let (mut step_ends, mut are_all_steps_dated) = (Vec::new(), true);
        let mut pending = vec![job];
        while let Some(next) = pending.pop() {
            pending.extend(next.sub_jobs());
            let is_sub_job = !ptr::eq(next, job);
            match next.phase() {
                Some(Phase::Initializing | Phase::Running) => has_active_sub_jobs |= is_sub_job,
                Some(Phase::Failed) => has_failed_job = true,
                Some(Phase::Success) if is_sub_job && next.sub_jobs().is_empty() => {
                    match age(updated_at(next), created_at) {
                        Some(end) => step_ends.push(end),
                        None => are_all_steps_dated = false,
                    }
                }
                Some(Phase::Success | Phase::Unknown(_)) | None => {}
            }
        }
        step_ends.sort_unstable();
        let direct = job.sub_jobs();
        Self {
            phase: job.phase().cloned(),
            job_type: job.job_type().map(Box::from),
            created_at,
            updated_at: updated_at(job),
            step_ends: (are_all_steps_dated && !step_ends.is_empty()).then(|| step_ends.into()),
            has_active_sub_jobs,
            // Most jobs have no failed sub-job; only then is the search for the deepest one needed.
            has_failure: has_failed_job && job.failure().is_some(),
            all_sub_jobs_succeeded: !direct.is_empty()
                && direct.iter().all(|sub_job| sub_job.phase() == Some(&Phase::Success)),
        }
    }

    /// Returns the phase, or `None` if the job has none.
    #[must_use]
    pub const fn phase(&self) -> Option<&Phase> {
        self.phase.as_ref()
    }

    /// Returns the job's type, such as `CreateCluster`.
    #[must_use]
    pub fn job_type(&self) -> Option<&str> {
        self.job_type.as_deref()
    }

    /// Returns `creationTimestamp`, if it is a time.
    #[must_use]
    pub const fn created_at(&self) -> Option<Timestamp> {
        self.created_at
    }

    /// Returns `updateTimestamp`, if it is a time.
    #[must_use]
    pub const fn updated_at(&self) -> Option<Timestamp> {
        self.updated_at
    }

    /// Returns the job's ages when its successful steps ended, in ascending order.
    ///
    /// A step is a sub-job without sub-jobs. Returns an empty slice if the time of one of them is missing or is
    /// before the job's creation, because the other times cannot be trusted then.
    #[must_use]
    pub fn step_ends(&self) -> &[Duration] {
        self.step_ends.as_deref().unwrap_or_default()
    }

    /// Returns whether a sub-job, at any depth, is `Initializing` or `Running`.
    #[must_use]
    pub const fn has_active_sub_jobs(&self) -> bool {
        self.has_active_sub_jobs
    }

    /// Returns whether the job or a sub-job has failed, as [`Job::failure`] defines it.
    #[must_use]
    pub const fn has_failure(&self) -> bool {
        self.has_failure
    }

    /// Returns whether the job lists sub-jobs, and all of the first level are `Success`.
    #[must_use]
    pub const fn all_sub_jobs_succeeded(&self) -> bool {
        self.all_sub_jobs_succeeded
    }
}

fn created_at(job: &Job) -> Option<Timestamp> {
    job.metadata.as_ref()?.creation_timestamp.as_ref()?.instant()
}

fn updated_at(job: &Job) -> Option<Timestamp> {
    job.metadata.as_ref()?.update_timestamp.as_ref()?.instant()
}

/// Returns how long after the creation a time is; `None` if one of them is missing, or it is before the creation.
fn age(time: Option<Timestamp>, created_at: Option<Timestamp>) -> Option<Duration> {
    time?.duration_since(created_at?).try_into().ok()
}

#[cfg(test)]
mod tests;
