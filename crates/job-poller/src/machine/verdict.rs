//! Decides from a job's phases how its wait continues. Depends only on one reading.

use job_model::{Job, Phase, TreeEntry};
use job_transport::JobDigest;

use super::policy::WaitPolicy;

/// How a wait continues, given the phases of its job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The job has not ended.
    Active,
    /// The job is `Success` while sub-jobs are still active.
    Settling,
    Succeeded,
    Failed,
}

impl Verdict {
    pub(crate) fn from_digest(digest: &JobDigest, policy: &WaitPolicy) -> Self {
        match digest.phase() {
            Some(Phase::Success) if digest.has_active_sub_jobs() => Self::Settling,
            Some(Phase::Success) => Self::for_success(digest, policy),
            Some(Phase::Failed) => Self::Failed,
            Some(Phase::Initializing | Phase::Running | Phase::Unknown(_)) | None => {
                let failed = policy.fail_fast && digest.has_failure();
                if failed { Self::Failed } else { Self::Active }
            }
        }
    }

    /// Returns the verdict for a job that is `Success`, even if sub-jobs are still active.
    ///
    /// The job's own phase decides, because a `Success` has been observed with a sub-job that never
    /// gets a status.
    pub(crate) fn for_success(digest: &JobDigest, policy: &WaitPolicy) -> Self {
        let failed = policy.strict && digest.has_failure();
        if failed { Self::Failed } else { Self::Succeeded }
    }
}

/// Returns the sub-jobs that are `Initializing` or `Running`.
pub(crate) fn active_sub_jobs(job: &Job) -> impl Iterator<Item = TreeEntry<'_>> {
    let is_active = |job: &Job| matches!(job.phase(), Some(Phase::Initializing | Phase::Running));
    job.walk().skip(1).filter(move |node| is_active(node.job))
}
