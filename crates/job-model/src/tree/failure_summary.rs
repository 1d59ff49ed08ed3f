//! Counts the failed steps of a job, and groups them by reason.

mod failed_steps;

use alloc::{
    collections::BTreeMap,
    format,
    string::{String, ToString},
    vec::Vec,
};
use core::{cmp::Reverse, fmt};

use serde::{Deserialize, Serialize};

use self::failed_steps::{FailedJob, Steps};
use super::summary::shortened;
use crate::{
    job::Job,
    printable::{Escaped, Quoted},
};

/// How many steps of a job failed, and each distinct reason once.
///
/// Returned by [`Job::failure_summary`]. The `Display` form is one line, such as
/// `ScaleupCluster: 3 of 200 nodes failed: "sold out" (pool-7, pool-9); "quota" (pool-12)`. Texts of
/// the service are escaped, and reasons are quoted.
///
/// # What is counted
///
/// A step has failed if it is `Failed` and no failed step is below it. Failures below a step that
/// succeeded are ignored, as in [`Job::failure`].
///
/// Everything that belongs to one node counts as one step: the first job from the top with the type
/// `CreateNode`, `InstallNode`, `DeleteNode` or `RemoveNode`, other than the top-level job, and all
/// jobs below it. If several jobs of a node failed, the reason is that of the deepest one. If several
/// are equally deep, it is that of the first one with a reason. Outside of nodes, each job without
/// sub-jobs is a step, except below a step that has failed.
///
/// If all failed steps belong to nodes, only nodes are counted ([`StepKind::Node`]). The number of
/// failed steps is always the sum of the counts of all reasons.
///
/// # Limits
///
/// At most 10 reasons with 5 names each are kept, and at most 1 KiB of each text. The reasons and
/// steps that are left out are still counted.
///
/// ```
/// use job_model::Job;
///
/// let node = |name, reason| {
///     let node = Job::new().with_job_type("CreateNode").with_resource_name(name);
///     node.with_phase("Failed").with_reason(reason)
/// };
/// let job = Job::new().with_job_type("ScaleupCluster").with_phase("Failed").with_sub_jobs([
///     node("pool-1", "quota"),
///     node("pool-2", "sold out"),
///     Job::new().with_job_type("CreateNode").with_phase("Success"),
///     node("pool-3", "sold out"),
/// ]);
/// let summary = job.failure_summary().expect("it failed");
/// assert_eq!((summary.failed, summary.total), (3, 4));
/// assert_eq!(
///     summary.to_string(),
///     r#"ScaleupCluster: 3 of 4 nodes failed: "sold out" (pool-2, pool-3); "quota" (pool-1)"#,
/// );
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FailureSummary {
    /// The type of the top-level job, or its uid, or `job`.
    pub job_type: String,
    /// The name of the top-level job's resource, or `None` if it has none.
    pub name: Option<String>,
    /// What the steps are.
    pub kind: StepKind,
    /// The number of steps that failed.
    pub failed: usize,
    /// The number of all steps of this kind. It may grow while the job runs, because the service
    /// lists sub-jobs only when they start.
    pub total: usize,
    /// The distinct reasons, the most frequent first. Reasons that are equally frequent are in the
    /// order of their first occurrence.
    pub reasons: Vec<FailureReason>,
    /// The number of distinct reasons that are not in the list.
    pub more_reasons: usize,
    /// The number of failed steps whose reasons are not in the list.
    pub more_failed: usize,
}

/// A reason, and the steps that failed because of it. Part of a
/// [`FailureSummary`](crate::FailureSummary).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FailureReason {
    /// The reason, or `None` if the service gave none.
    pub reason: Option<String>,
    /// The number of steps that failed for this reason.
    pub count: usize,
    /// The names of the first 5 of them, in the service's order: for nodes the name as in
    /// [`Failure::name`](crate::Failure::name), for other steps the type and this name.
    pub names: Vec<String>,
}

/// What the steps of a [`FailureSummary`](crate::FailureSummary) are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum StepKind {
    /// Steps of any kind.
    #[default]
    Step,
    /// Nodes of a cluster.
    Node,
}

/// The maximum number of reasons that are kept.
const MAX_REASONS: usize = 10;

/// The maximum number of names that are kept for each reason.
const MAX_NAMES: usize = 5;

impl StepKind {
    /// Returns the plural as a word: `steps` or `nodes`.
    #[must_use]
    pub const fn plural(self) -> &'static str {
        match self {
            Self::Step => "steps",
            Self::Node => "nodes",
        }
    }
}

impl FailureSummary {
    /// Returns whether more than one step failed, so that a [`Failure`](crate::Failure) does not
    /// show all of them.
    #[must_use]
    pub const fn has_many(&self) -> bool {
        self.failed > 1
    }

    /// Returns the counts and the kind, such as `3 of 200 nodes`.
    #[must_use]
    pub fn counts(&self) -> String {
        format!("{} of {} {}", self.failed, self.total, self.kind.plural())
    }

    /// Returns the type and the name of the job and the counts, without the reasons, such as
    /// `ScaleupCluster: 3 of 200 nodes failed`.
    #[must_use]
    pub fn headline(&self) -> String {
        let name =
            self.name.as_deref().map_or_else(String::new, |name| format!(" {}", Escaped(name)));
        format!("{}{name}: {} failed", Escaped(&self.job_type), self.counts())
    }

    /// Returns a line for each reason with its names, and one with the number of the reasons that are
    /// not in the list. There are at most 11 lines.
    pub fn reason_lines(&self) -> impl Iterator<Item = String> {
        let more = (self.more_reasons > 0).then(|| {
            let plural = if self.more_reasons == 1 { "" } else { "s" };
            let steps = match (self.more_failed, self.kind) {
                (1, StepKind::Step) => "step",
                (1, StepKind::Node) => "node",
                (_, kind) => kind.plural(),
            };
            format!("and {} more reason{plural} ({} {steps})", self.more_reasons, self.more_failed)
        });
        self.reasons.iter().map(FailureReason::to_string).chain(more)
    }
}

/// Displays the headline and the reasons as one line.
impl fmt::Display for FailureSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = self.headline();
        for (index, reason) in self.reason_lines().enumerate() {
            line += if index == 0 { ": " } else { "; " };
            line += &reason;
        }
        f.pad(&line)
    }
}

/// Displays the reason and the names, such as `"sold out" (pool-1, pool-2 and 17 more)`.
impl fmt::Display for FailureReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { reason, count, names } = self;
        let mut line = match reason {
            Some(reason) => Quoted(reason).to_string(),
            None => "no reason given".into(),
        };
        if !names.is_empty() {
            let shown: Vec<String> = names.iter().map(|name| Escaped(name).to_string()).collect();
            let more = match count.saturating_sub(names.len()) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            line += &format!(" ({}{more})", shown.join(", "));
        }
        f.pad(&line)
    }
}

impl Job {
    /// Counts the failed steps of this job and groups them by reason, or returns `None` if nothing
    /// failed.
    ///
    /// A summary is returned if and only if [`failure`](Self::failure) returns a failure. See
    /// [`FailureSummary`] for what counts as a step. The work is linear in the number of jobs, apart
    /// from a search for each failed step among the reasons so far.
    #[must_use]
    pub fn failure_summary(&self) -> Option<FailureSummary> {
        let steps = Steps::new(self);
        let failed: Vec<&FailedJob<'_>> =
            steps.failed.iter().filter(|job| job.is_counted).collect();
        if failed.is_empty() {
            return None;
        }
        let kind = match failed.iter().all(|job| job.node.is_some()) {
            true => StepKind::Node,
            false => StepKind::Step,
        };
        let mut groups = Vec::<(Option<&str>, FailureReason)>::new();
        let mut known = BTreeMap::<Option<&str>, usize>::new();
        for step in &failed {
            let index = *known.entry(step.reason).or_insert_with(|| {
                groups.push((step.reason, FailureReason::default()));
                groups.len() - 1
            });
            let group = &mut groups[index].1;
            group.count += 1;
            if group.names.len() < MAX_NAMES {
                group.names.push(step.title(kind));
            }
        }
        // The sort is stable, so equally frequent reasons stay in the order of their occurrence.
        groups.sort_by_key(|(_, group)| Reverse(group.count));
        let more = groups.split_off(groups.len().min(MAX_REASONS));
        let text = |text: &str| shortened(text).into();
        let reasons = groups.into_iter();
        Some(FailureSummary {
            job_type: text(self.label()),
            name: self.resource_name().map(text),
            kind,
            failed: failed.len(),
            total: match kind {
                StepKind::Node => steps.nodes.len(),
                StepKind::Step => steps.total(),
            },
            reasons: reasons
                .map(|(reason, group)| FailureReason { reason: reason.map(text), ..group })
                .collect(),
            more_reasons: more.len(),
            more_failed: more.iter().map(|(_, group)| group.count).sum(),
        })
    }
}

#[cfg(test)]
mod tests;
