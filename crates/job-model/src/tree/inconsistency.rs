//! Where a job and its sub-jobs contradict each other. Decides nothing about it.

use alloc::vec::Vec;
use core::fmt;

use super::walk::{Node, SubJobPath};
use crate::job::{Job, Phase};

/// A place where a job's phase and a sub-job's do not go together.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Discrepancy {
    /// Where the sub-job stands; where the kind is about all of a job's sub-jobs, the job.
    pub path: SubJobPath,
    /// What is contradictory.
    pub kind: DiscrepancyKind,
}

/// What is contradictory.
///
/// A sub-job is held against the nearest job above it that has a known phase: jobs in between may
/// come without any status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DiscrepancyKind {
    /// The job is `Success`, the sub-job `Initializing` or `Running`.
    LiveBelowSuccess,
    /// The job is `Success`, the sub-job `Failed`.
    FailedBelowSuccess,
    /// The job is `Success`, the sub-job's phase is absent or unknown.
    UnknownBelowSuccess,
    /// The job is `Failed`, the sub-job `Initializing` or `Running`.
    LiveBelowFailed,
    /// The job is `Initializing` or `Running`, the sub-job `Failed`.
    FailedBelowLive,
    /// The job is `Initializing`, the sub-job `Running` or `Success`.
    StartedBelowInitializing,
    /// The job is `Initializing` or `Running`, all its sub-jobs are `Success`. Common: sub-jobs
    /// are listed as they start, and the reference page's own example is like this.
    LiveAboveSuccess,
    /// The job is `Failed`, all its sub-jobs are `Success`.
    FailedAboveSuccess,
}

impl fmt::Display for DiscrepancyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LiveBelowSuccess => "not ended, in a job that succeeded",
            Self::FailedBelowSuccess => "failed, in a job that succeeded",
            Self::UnknownBelowSuccess => "without a known phase, in a job that succeeded",
            Self::LiveBelowFailed => "not ended, in a job that failed",
            Self::FailedBelowLive => "failed, in a job that goes on",
            Self::StartedBelowInitializing => "started, in a job that did not",
            Self::LiveAboveSuccess => "not ended, though all its sub-jobs succeeded",
            Self::FailedAboveSuccess => "failed, though all its sub-jobs succeeded",
        })
    }
}

impl fmt::Display for Discrepancy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, kind } = self;
        if path.depth() == 0 { write!(f, "the job: {kind}") } else { write!(f, "{path}: {kind}") }
    }
}

impl Job {
    /// Returns where this job and its sub-jobs contradict each other, in the order of
    /// [`Job::walk`]; empty as a rule.
    ///
    /// ```
    /// let body = br#"{"status": {"phase": "Success"},
    ///     "spec": {"subJobs": [{"status": {"phase": "Running"}}]}}"#;
    /// let discrepancies = job_model::Job::from_slice(body)?.discrepancies();
    /// assert_eq!(
    ///     discrepancies[0].to_string(),
    ///     "spec.subJobs[0]: not ended, in a job that succeeded",
    /// );
    /// # Ok::<(), job_model::DecodeError>(())
    /// ```
    #[must_use]
    pub fn discrepancies(&self) -> Vec<Discrepancy> {
        let of = |node: Node<'_>| {
            let kinds = [self.with_above(&node), with_sub_jobs(node.job)];
            kinds
                .into_iter()
                .flatten()
                .map(move |kind| Discrepancy { path: node.path.clone(), kind })
        };
        self.walk().flat_map(of).collect()
    }

    /// Holds a sub-job against the job above it.
    fn with_above(&self, node: &Node<'_>) -> Option<DiscrepancyKind> {
        use DiscrepancyKind as Kind;
        use Phase::{Failed, Initializing, Running, Success, Unknown};

        let line = self.line(&node.path);
        let (_, above) = line.split_last()?;
        let known = |phase: &&Phase| !matches!(phase, Unknown(_));
        let above = above.iter().rev().find_map(|job| job.phase().filter(known))?;
        match (above, node.job.phase()) {
            (Success, Some(Initializing | Running)) => Some(Kind::LiveBelowSuccess),
            (Success, Some(Failed)) => Some(Kind::FailedBelowSuccess),
            (Success, Some(Unknown(_)) | None) => Some(Kind::UnknownBelowSuccess),
            (Failed, Some(Initializing | Running)) => Some(Kind::LiveBelowFailed),
            (Initializing | Running, Some(Failed)) => Some(Kind::FailedBelowLive),
            (Initializing, Some(Running | Success)) => Some(Kind::StartedBelowInitializing),
            _ => None,
        }
    }
}

/// Holds a job against all its sub-jobs.
fn with_sub_jobs(job: &Job) -> Option<DiscrepancyKind> {
    let sub_jobs = job.sub_jobs();
    let all_success = sub_jobs.iter().all(|sub_job| sub_job.phase() == Some(&Phase::Success));
    match job.phase()? {
        _ if sub_jobs.is_empty() || !all_success => None,
        Phase::Initializing | Phase::Running => Some(DiscrepancyKind::LiveAboveSuccess),
        Phase::Failed => Some(DiscrepancyKind::FailedAboveSuccess),
        Phase::Success | Phase::Unknown(_) => None,
    }
}

#[cfg(test)]
mod tests;
