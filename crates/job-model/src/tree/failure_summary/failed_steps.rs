//! Finds the failed steps of a job, and counts its nodes and other steps.

use alloc::{borrow::Cow, string::String, vec::Vec};

use super::StepKind;
use crate::{
    job::{Job, Phase},
    tree::{failure::step_name, summary::shortened},
};

/// The types of jobs that stand for a node.
pub(super) const NODE_TYPES: [&str; 4] = ["CreateNode", "InstallNode", "DeleteNode", "RemoveNode"];

/// The steps of a job.
#[derive(Default)]
pub(super) struct Steps<'a> {
    /// All failed jobs, in the service's order.
    pub(super) failed: Vec<FailedJob<'a>>,
    /// For each node, the failed job that decides.
    pub(super) nodes: Vec<Option<usize>>,
    /// The number of nodes and other steps that are not below a failed job.
    outside: usize,
}

/// A failed job.
pub(super) struct FailedJob<'a> {
    job: &'a Job,
    depth: usize,
    name: Option<Cow<'a, str>>,
    pub(super) reason: Option<&'a str>,
    has_own_reason: bool,
    /// Whether the job counts as a failed step.
    pub(super) is_counted: bool,
    /// The number of nodes and other steps below it, except below other failed jobs.
    below: usize,
    pub(super) node: Option<usize>,
}

/// What is known of a job on the way to the current one.
#[derive(Clone, Copy, Default)]
struct Level {
    /// Whether this job, or one above it other than the top-level job, has succeeded.
    is_overcome: bool,
    /// The nearest failed job, which may be this one.
    failed: Option<usize>,
    node: Option<usize>,
}

impl<'a> Steps<'a> {
    pub(super) fn new(root: &'a Job) -> Self {
        let mut steps = Self::default();
        let (mut line, mut levels) = (Vec::<&Job>::new(), Vec::<Level>::new());
        for entry in root.walk() {
            let (job, depth) = (entry.job, entry.path.depth());
            line.truncate(depth);
            levels.truncate(depth);
            line.push(job);
            let above = levels.last().copied().unwrap_or_default();
            let is_below_root = depth > 0;
            let has_succeeded = job.phase() == Some(&Phase::Success);
            let mut level =
                Level { is_overcome: above.is_overcome || is_below_root && has_succeeded, ..above };
            let is_node = job.job_type().is_some_and(|of| NODE_TYPES.contains(&of));
            let begins_node = is_below_root && is_node && above.node.is_none();
            if begins_node {
                level.node = Some(steps.nodes.len());
                steps.nodes.push(None);
            }
            let has_failed = job.phase() == Some(&Phase::Failed) && !level.is_overcome;
            let is_other_step = level.node.is_none() && job.sub_jobs().is_empty() && !has_failed;
            if begins_node || is_other_step {
                match above.failed {
                    Some(failed) => steps.failed[failed].below += 1,
                    None => steps.outside += 1,
                }
            }
            if has_failed {
                level.failed = Some(steps.add(&line, above.failed, level.node));
            }
            levels.push(level);
        }
        steps
    }

    /// Adds the last job of a line, which has failed, and returns its index.
    fn add(&mut self, line: &[&'a Job], above: Option<usize>, node: Option<usize>) -> usize {
        let index = self.failed.len();
        let job = line[line.len() - 1];
        let reason = job.reason().or_else(|| above.and_then(|above| self.failed[above].reason));
        self.failed.push(FailedJob {
            job,
            depth: line.len(),
            name: step_name(line),
            reason,
            has_own_reason: job.reason().is_some(),
            is_counted: true,
            below: 0,
            node,
        });
        if let Some(above) = above {
            self.failed[above].is_counted = false;
        }
        if let Some(node) = node {
            // Decides as `Job::failure` does.
            let weight = |index: usize| {
                let FailedJob { depth, has_own_reason, .. } = self.failed[index];
                (depth, has_own_reason)
            };
            let best = self.nodes[node].filter(|best| weight(*best) >= weight(index));
            let other = if best.is_none() { self.nodes[node].replace(index) } else { Some(index) };
            if let Some(other) = other {
                self.failed[other].is_counted = false;
            }
        }
        index
    }

    /// Returns the number of nodes and other steps.
    pub(super) fn total(&self) -> usize {
        let count = |job: &FailedJob<'_>| match (job.is_counted, job.node) {
            // A failed step counts as one, with all steps below it.
            (true, None) => 1,
            // The node is counted already.
            (_, Some(_)) => 0,
            (false, None) => job.below,
        };
        self.outside + self.failed.iter().map(count).sum::<usize>()
    }
}

impl FailedJob<'_> {
    /// Returns what distinguishes the step from others: the name of a node, or the type and the name of
    /// another step.
    pub(super) fn title(&self, kind: StepKind) -> String {
        let label = || shortened(self.job.label());
        let name = self.name.as_deref().map(shortened);
        match (kind, name) {
            (_, None) => label().into(),
            (StepKind::Node, Some(name)) => name.into(),
            (StepKind::Step, Some(name)) if self.job.job_type().is_none_or(str::is_empty) => {
                name.into()
            }
            (StepKind::Step, Some(name)) => alloc::format!("{} {name}", label()),
        }
    }
}
