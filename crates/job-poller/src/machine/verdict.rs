//! What a job's phases mean for a wait. Knows no history: one job in, one verdict out.

use job_model::{Job, Node, Phase};

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
    pub(crate) fn from_job(job: &Job, policy: &WaitPolicy) -> Self {
        match job.phase() {
            Some(Phase::Success) if active_sub_jobs(job).next().is_some() => Self::Settling,
            Some(Phase::Success) => Self::for_success(job, policy),
            Some(Phase::Failed) => Self::Failed,
            Some(Phase::Initializing | Phase::Running | Phase::Unknown(_)) | None => {
                let failed = policy.fail_fast && job.failure().is_some();
                if failed { Self::Failed } else { Self::Active }
            }
        }
    }

    /// Judges a job that is `Success`, whatever of it is still under way: its own phase is the
    /// authority, its sub-jobs are evidence. A `Success` was seen with a sub-job that has no status
    /// and never will.
    pub(crate) fn for_success(job: &Job, policy: &WaitPolicy) -> Self {
        let failed = policy.strict && job.failure().is_some();
        if failed { Self::Failed } else { Self::Succeeded }
    }
}

/// Returns the sub-jobs that have not ended.
pub(crate) fn active_sub_jobs(job: &Job) -> impl Iterator<Item = Node<'_>> {
    let is_active = |job: &Job| matches!(job.phase(), Some(Phase::Initializing | Phase::Running));
    job.walk().skip(1).filter(move |node| is_active(node.job))
}

/// Returns whether the job lists sub-jobs, and all of them are `Success`.
pub(crate) fn all_sub_jobs_succeeded(job: &Job) -> bool {
    let mut steps = job.sub_jobs().iter();
    !job.sub_jobs().is_empty() && steps.all(|step| step.phase() == Some(&Phase::Success))
}
