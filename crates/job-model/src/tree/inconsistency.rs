//! Finds contradictions between the phases of a job and of its sub-jobs.

use alloc::{borrow::Cow, vec::Vec};
use core::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

use super::walk::{SubJobPath, TreeEntry};
use crate::{
    job::{Job, Phase},
    printable::pad,
};

/// A contradiction between the phases of a job and of a sub-job.
///
/// The serialized form is an object with `path` and `kind`, each as it is displayed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Inconsistency {
    /// The path of the sub-job. If the kind is about all sub-jobs of a job, it is the path of that
    /// job.
    pub path: SubJobPath,
    /// The kind of contradiction.
    pub kind: InconsistencyKind,
}

impl Inconsistency {
    /// Creates an inconsistency, for example in a test.
    ///
    /// ```
    /// use job_model::{
    ///     Inconsistency,
    ///     tree::{InconsistencyKind, SubJobPath},
    /// };
    ///
    /// let path = SubJobPath::from_iter([1, 0]);
    /// let inconsistency = Inconsistency::new(path, InconsistencyKind::FailedChildOfActive);
    /// assert_eq!(
    ///     inconsistency.to_string(),
    ///     "spec.subJobs[1].spec.subJobs[0]: failed while its parent is active",
    /// );
    /// ```
    #[must_use]
    pub const fn new(path: SubJobPath, kind: InconsistencyKind) -> Self {
        Self { path, kind }
    }
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

impl InconsistencyKind {
    const ALL: [Self; 8] = [
        Self::ActiveChildOfSuccess,
        Self::FailedChildOfSuccess,
        Self::UnknownChildOfSuccess,
        Self::ActiveChildOfFailed,
        Self::FailedChildOfActive,
        Self::StartedChildOfInitializing,
        Self::ActiveWithAllChildrenDone,
        Self::FailedWithAllChildrenDone,
    ];

    /// Returns the text that is displayed and serialized.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ActiveChildOfSuccess => "active although its parent succeeded",
            Self::FailedChildOfSuccess => "failed although its parent succeeded",
            Self::UnknownChildOfSuccess => "no known phase although its parent succeeded",
            Self::ActiveChildOfFailed => "active although its parent failed",
            Self::FailedChildOfActive => "failed while its parent is active",
            Self::StartedChildOfInitializing => "started before its parent",
            Self::ActiveWithAllChildrenDone => "active although all its sub-jobs succeeded",
            Self::FailedWithAllChildrenDone => "failed although all its sub-jobs succeeded",
        }
    }
}

impl Serialize for InconsistencyKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for InconsistencyKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        let known = Self::ALL.into_iter().find(|kind| kind.as_str() == text);
        known.ok_or_else(|| D::Error::custom("unknown kind of inconsistency"))
    }
}

impl fmt::Display for InconsistencyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Display for Inconsistency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, kind } = self;
        if path.depth() == 0 {
            pad(f, format_args!("the job: {kind}"))
        } else {
            pad(f, format_args!("{path}: {kind}"))
        }
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
        let inconsistencies_at = |entry: TreeEntry<'_>| {
            let kinds = [self.check_against_parent(&entry), check_against_children(entry.job)];
            kinds
                .into_iter()
                .flatten()
                .map(move |kind| Inconsistency { path: entry.path.clone(), kind })
        };
        self.walk().flat_map(inconsistencies_at).collect()
    }

    /// Compares a sub-job with its parent.
    fn check_against_parent(&self, entry: &TreeEntry<'_>) -> Option<InconsistencyKind> {
        use InconsistencyKind as Kind;
        use Phase::{Failed, Initializing, Running, Success, Unknown};

        let lineage = self.lineage(&entry.path);
        let (_, ancestors) = lineage.split_last()?;
        let known = |phase: &&Phase| !matches!(phase, Unknown(_));
        let parent_phase = ancestors.iter().rev().find_map(|job| job.phase().filter(known))?;
        match (parent_phase, entry.job.phase()) {
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
