//! Where a job and its sub-jobs contradict each other. Decides nothing about it.

use alloc::vec::Vec;
use core::fmt;

use serde::ser::{Serialize, SerializeStruct, Serializer};

use super::walk::{Node, SubJobPath};
use crate::job::{Job, Phase};

/// A place where a job's phase and a sub-job's do not go together.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Inconsistency {
    /// Where the sub-job stands; where the kind is about all of a job's sub-jobs, the job.
    pub path: SubJobPath,
    /// What is contradictory.
    pub kind: InconsistencyKind,
}

/// What is contradictory.
///
/// A sub-job is held against the nearest job above it that has a known phase: jobs in between may
/// come without any status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum InconsistencyKind {
    /// The job is `Success`, the sub-job `Initializing` or `Running`.
    ActiveChildOfSuccess,
    /// The job is `Success`, the sub-job `Failed`.
    FailedChildOfSuccess,
    /// The job is `Success`, the sub-job's phase is absent or unknown.
    UnknownChildOfSuccess,
    /// The job is `Failed`, the sub-job `Initializing` or `Running`.
    ActiveChildOfFailed,
    /// The job is `Initializing` or `Running`, the sub-job `Failed`.
    FailedChildOfActive,
    /// The job is `Initializing`, the sub-job `Running` or `Success`.
    StartedChildOfInitializing,
    /// The job is `Initializing` or `Running`, all its sub-jobs are `Success`. Common: sub-jobs
    /// are listed as they start, and the reference page's own example is like this.
    ActiveWithAllChildrenDone,
    /// The job is `Failed`, all its sub-jobs are `Success`.
    FailedWithAllChildrenDone,
}

/// Serializes as it is displayed.
impl Serialize for InconsistencyKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Serializes as an object with `path` and `kind`.
impl Serialize for Inconsistency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("Inconsistency", 2)?;
        object.serialize_field("path", &self.path)?;
        object.serialize_field("kind", &self.kind)?;
        object.end()
    }
}

impl fmt::Display for InconsistencyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ActiveChildOfSuccess => "not ended, in a job that succeeded",
            Self::FailedChildOfSuccess => "failed, in a job that succeeded",
            Self::UnknownChildOfSuccess => "without a known phase, in a job that succeeded",
            Self::ActiveChildOfFailed => "not ended, in a job that failed",
            Self::FailedChildOfActive => "failed, in a job that goes on",
            Self::StartedChildOfInitializing => "started, in a job that did not",
            Self::ActiveWithAllChildrenDone => "not ended, though all its sub-jobs succeeded",
            Self::FailedWithAllChildrenDone => "failed, though all its sub-jobs succeeded",
        })
    }
}

impl fmt::Display for Inconsistency {
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
    /// let inconsistencies = job_model::Job::from_slice(body)?.inconsistencies();
    /// assert_eq!(
    ///     inconsistencies[0].to_string(),
    ///     "spec.subJobs[0]: not ended, in a job that succeeded",
    /// );
    /// # Ok::<(), job_model::DecodeError>(())
    /// ```
    #[must_use]
    pub fn inconsistencies(&self) -> Vec<Inconsistency> {
        let inconsistencies_at = |node: Node<'_>| {
            let kinds = [self.check_against_parent(&node), check_against_children(node.job)];
            kinds
                .into_iter()
                .flatten()
                .map(move |kind| Inconsistency { path: node.path.clone(), kind })
        };
        self.walk().flat_map(inconsistencies_at).collect()
    }

    /// Holds a sub-job against the job above it.
    fn check_against_parent(&self, node: &Node<'_>) -> Option<InconsistencyKind> {
        use InconsistencyKind as Kind;
        use Phase::{Failed, Initializing, Running, Success, Unknown};

        let lineage = self.lineage(&node.path);
        let (_, ancestors) = lineage.split_last()?;
        let known = |phase: &&Phase| !matches!(phase, Unknown(_));
        let parent_phase = ancestors.iter().rev().find_map(|job| job.phase().filter(known))?;
        match (parent_phase, node.job.phase()) {
            (Success, Some(Initializing | Running)) => Some(Kind::ActiveChildOfSuccess),
            (Success, Some(Failed)) => Some(Kind::FailedChildOfSuccess),
            (Success, Some(Unknown(_)) | None) => Some(Kind::UnknownChildOfSuccess),
            (Failed, Some(Initializing | Running)) => Some(Kind::ActiveChildOfFailed),
            (Initializing | Running, Some(Failed)) => Some(Kind::FailedChildOfActive),
            (Initializing, Some(Running | Success)) => Some(Kind::StartedChildOfInitializing),
            _ => None,
        }
    }
}

/// Holds a job against all its sub-jobs.
fn check_against_children(job: &Job) -> Option<InconsistencyKind> {
    let sub_jobs = job.sub_jobs();
    let all_success = sub_jobs.iter().all(|sub_job| sub_job.phase() == Some(&Phase::Success));
    match job.phase()? {
        _ if sub_jobs.is_empty() || !all_success => None,
        Phase::Initializing | Phase::Running => Some(InconsistencyKind::ActiveWithAllChildrenDone),
        Phase::Failed => Some(InconsistencyKind::FailedWithAllChildrenDone),
        Phase::Success | Phase::Unknown(_) => None,
    }
}

#[cfg(test)]
mod tests;
