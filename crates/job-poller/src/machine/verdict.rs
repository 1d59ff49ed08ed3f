//! What a job's phases mean for a wait. Knows no history: one job in, one verdict out.

use job_model::{Job, Node, Phase};
use job_transport::JobDigest;

use super::policy::WaitPolicy;

/// What a job's phases mean for a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The job goes on.
    Active,
    /// The job is `Success`, and sub-jobs of it have not ended.
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

    /// Judges a job that is `Success`, whatever of it is still under way: its own phase is the
    /// authority, its sub-jobs are evidence. A `Success` was seen with a sub-job that has no status
    /// and never will.
    pub(crate) fn for_success(digest: &JobDigest, policy: &WaitPolicy) -> Self {
        let failed = policy.strict && digest.has_failure();
        if failed { Self::Failed } else { Self::Succeeded }
    }
}

/// Returns the sub-jobs that have not ended.
pub(crate) fn active_sub_jobs(job: &Job) -> impl Iterator<Item = Node<'_>> {
    let is_active = |job: &Job| matches!(job.phase(), Some(Phase::Initializing | Phase::Running));
    job.walk().skip(1).filter(move |node| is_active(node.job))
}
