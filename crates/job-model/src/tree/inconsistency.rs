//! Finds contradictions between the phases of a job and of its sub-jobs.

use alloc::vec::Vec;
use core::fmt;

use serde::ser::{Serialize, SerializeStruct, Serializer};

use super::walk::{Node, SubJobPath};
use crate::job::{Job, Phase};

/// A contradiction between the phases of a job and of a sub-job.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Inconsistency {
    /// The path of the sub-job. If the kind is about all sub-jobs of a job, it is the path of that
    /// job.
    pub path: SubJobPath,
    /// The kind of contradiction.
    pub kind: InconsistencyKind,
}

/// The kind of an [`Inconsistency`].
///
/// A sub-job is compared with its parent: the nearest job above it that has a known phase, because
/// jobs in between may have no status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum InconsistencyKind {
    /// The parent is `Success`, and the sub-job is `Initializing` or `Running`.
    ActiveChildOfSuccess,
    /// The parent is `Success`, and the sub-job is `Failed`.
    FailedChildOfSuccess,
    /// The parent is `Success`, and the sub-job's phase is absent or unknown.
    UnknownChildOfSuccess,
    /// The parent is `Failed`, and the sub-job is `Initializing` or `Running`.
    ActiveChildOfFailed,
    /// The parent is `Initializing` or `Running`, and the sub-job is `Failed`.
    FailedChildOfActive,
    /// The parent is `Initializing`, and the sub-job is `Running` or `Success`.
    StartedChildOfInitializing,
    /// The job is `Initializing` or `Running`, and all its sub-jobs are `Success`.
    ///
    /// This is common, because sub-jobs are listed when they start. The reference page's own
    /// example looks like this.
    ActiveWithAllChildrenDone,
    /// The job is `Failed`, and all its sub-jobs are `Success`.
    FailedWithAllChildrenDone,
}

/// Serializes the displayed text.
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
            Self::ActiveChildOfSuccess => "active although its parent succeeded",
            Self::FailedChildOfSuccess => "failed although its parent succeeded",
            Self::UnknownChildOfSuccess => "no known phase although its parent succeeded",
            Self::ActiveChildOfFailed => "active although its parent failed",
            Self::FailedChildOfActive => "failed while its parent is active",
            Self::StartedChildOfInitializing => "started before its parent",
            Self::ActiveWithAllChildrenDone => "active although all its sub-jobs succeeded",
            Self::FailedWithAllChildrenDone => "failed although all its sub-jobs succeeded",
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
    /// Returns the contradictions between this job and its sub-jobs, in the order of [`Job::walk`].
    ///
    /// Normally there are none.
    ///
    /// ```
    /// let body = br#"{"status": {"phase": "Success"},
    ///     "spec": {"subJobs": [{"status": {"phase": "Running"}}]}}"#;
    /// let inconsistencies = job_model::Job::from_slice(body)?.inconsistencies();
    /// assert_eq!(
    ///     inconsistencies[0].to_string(),
    ///     "spec.subJobs[0]: active although its parent succeeded",
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

    /// Compares a sub-job with its parent.
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

/// Compares a job with all its sub-jobs.
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
