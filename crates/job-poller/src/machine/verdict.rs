//! What a job's phases mean for a wait. Knows no history: one job in, one verdict out.

use job_model::{Job, Node, Phase};

use super::policy::WaitPolicy;

/// What a job's phases mean for a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The job goes on.
    Live,
    /// The job is `Success`, and sub-jobs of it have not ended.
    Settling,
    Succeeded,
    Failed,
}

impl Verdict {
    pub(crate) fn of(job: &Job, policy: &WaitPolicy) -> Self {
        match job.phase() {
            Some(Phase::Success) if live(job).next().is_some() => Self::Settling,
            Some(Phase::Success) => Self::of_success(job, policy),
            Some(Phase::Failed) => Self::Failed,
            Some(Phase::Initializing | Phase::Running | Phase::Unknown(_)) | None => {
                let failed = policy.fail_fast && job.failure().is_some();
                if failed { Self::Failed } else { Self::Live }
            }
        }
    }

    /// Judges a job that is `Success`, whatever of it is still under way: its own phase is the
    /// authority, its sub-jobs are evidence. A `Success` was seen with a sub-job that has no status
    /// and never will.
    pub(crate) fn of_success(job: &Job, policy: &WaitPolicy) -> Self {
        let failed = policy.strict && job.failure().is_some();
        if failed { Self::Failed } else { Self::Succeeded }
    }
}

/// Returns the sub-jobs that have not ended.
pub(crate) fn live(job: &Job) -> impl Iterator<Item = Node<'_>> {
    let is_live = |job: &Job| matches!(job.phase(), Some(Phase::Initializing | Phase::Running));
    job.walk().skip(1).filter(move |node| is_live(node.job))
}

/// Returns whether the job lists sub-jobs, and all of them are `Success`.
pub(crate) fn steps_are_done(job: &Job) -> bool {
    let mut steps = job.sub_jobs().iter();
    !job.sub_jobs().is_empty() && steps.all(|step| step.phase() == Some(&Phase::Success))
}
