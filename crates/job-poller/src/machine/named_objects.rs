//! Which clusters and nodes a job makes or deletes. Depends only on one reading of the job.

use std::collections::BTreeSet;

use job_model::{
    Job, JobId,
    object::{ClusterId, NodeId, ObjectId},
};

/// The objects that a job names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct NamedObjects {
    pub(super) objects: Vec<ObjectId>,
    /// Whether each step that should name an object does.
    pub(super) is_complete: bool,
    /// Whether the job makes or deletes these objects itself. Another job only belongs to the
    /// cluster, so the state of the cluster does not show how that job ended.
    pub(super) are_made_by_job: bool,
    /// Whether the job creates the objects.
    pub(super) are_created: bool,
    /// Whether the job deletes the objects, so that they are done when they are gone.
    pub(super) are_deleted: bool,
}

impl NamedObjects {
    /// Returns the objects of a job.
    ///
    /// - A job that creates or deletes a cluster names it as its `clusterUID`.
    /// - A job that creates nodes names each of them as the `resourceID` of an `InstallNode` step. The
    ///   `resourceID` of other steps is another resource, such as a server.
    /// - A job that deletes nodes names each of them as the `resourceID` of a `DeleteNode` step, which
    ///   may be the job itself.
    /// - Another job, such as an upgrade, concerns the cluster in its `clusterUID`, unless its type
    ///   contains `Node`: then it concerns the nodes of its `InstallNode` steps.
    pub(super) fn from_job(job: &Job) -> Self {
        let kind = JobKind::from_job(job);
        let (mut objects, mut is_complete) = (Vec::new(), true);
        if let JobKind::Nodes { steps } = kind {
            let mut known = BTreeSet::new();
            for step in job.walk().map(|node| node.job).filter(|job| has_type(job, steps)) {
                match node_of_step(job, step) {
                    Some(node) if known.insert(node.clone()) => objects.push(node),
                    Some(_) => {}
                    // The job itself need not name what its steps name.
                    None => is_complete &= !step.sub_jobs().is_empty(),
                }
            }
        } else {
            objects.extend(cluster_of(job).map(ObjectId::Cluster));
        }
        let has_unlisted_steps =
            sub_jobs_without_steps(job).any(|sub_job| has_type(sub_job, &[CREATE_NODE]));
        Self {
            is_complete: is_complete && !objects.is_empty() && !has_unlisted_steps,
            objects,
            are_made_by_job: kind != JobKind::Other,
            // A job that adds nodes to a cluster need not be named after that.
            are_created: starts_with(job_type(job), "Create")
                || kind == JobKind::Nodes { steps: INSTALLING_STEPS },
            are_deleted: match kind {
                JobKind::Cluster => has_type(job, &["DeleteCluster"]),
                JobKind::Nodes { steps } => steps == DELETING_STEPS,
                JobKind::Other => false,
            },
        }
    }
}

/// Returns the ids of the sub-jobs that may name nodes, but whose steps or details the reply does not
/// show.
pub(super) fn sub_jobs_to_look_up(job: &Job) -> impl Iterator<Item = JobId> {
    sub_jobs_without_steps(job).filter_map(|sub_job| sub_job.uid()?.parse().ok())
}

/// Returns whether the ids of what a job makes or deletes are in its steps, and not in the job itself.
pub(super) fn names_objects_in_steps(job: &Job) -> bool {
    matches!(JobKind::from_job(job), JobKind::Nodes { .. })
}

/// Returns the sub-jobs that may name nodes, but whose steps or details the reply does not show.
fn sub_jobs_without_steps(job: &Job) -> impl Iterator<Item = &Job> {
    let steps = match JobKind::from_job(job) {
        JobKind::Nodes { steps } => Some(steps),
        JobKind::Cluster | JobKind::Other => None,
    };
    let names_none = !steps.is_some_and(|steps| {
        let mut named = job.walk().map(|node| node.job).filter(|job| has_type(job, steps));
        named.any(|step| node_of_step(job, step).is_some())
    });
    let may_name_nodes = move |sub_job: &Job| {
        let Some(steps) = steps.filter(|_| sub_job.sub_jobs().is_empty()) else { return false };
        if has_type(sub_job, steps) {
            return node_of_step(job, sub_job).is_none();
        }
        // A reply may show the steps of one node and not those of another.
        names_none || sub_job.job_type().is_none() || has_type(sub_job, &[CREATE_NODE])
    };
    job.walk().skip(1).map(|node| node.job).filter(move |job| may_name_nodes(job))
}

/// What a job makes or deletes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum JobKind {
    Cluster,
    /// Nodes, which are named by steps of these types.
    Nodes {
        steps: &'static [&'static str],
    },
    /// Something else in a cluster.
    Other,
}

const CREATE_NODE: &str = "CreateNode";
const INSTALLING_STEPS: &[&str] = &["InstallNode"];
const DELETING_STEPS: &[&str] = &["DeleteNode", "RemoveNode"];

impl JobKind {
    fn from_job(job: &Job) -> Self {
        let starts_with_any =
            |names: &[&str]| names.iter().any(|name| starts_with(job_type(job), name));
        // The servers of a new cluster may be installed like nodes, but they are not its nodes.
        if has_type(job, &["CreateCluster", "DeleteCluster"]) {
            Self::Cluster
        } else if starts_with_any(DELETING_STEPS) {
            Self::Nodes { steps: DELETING_STEPS }
        } else if job_type(job).to_ascii_lowercase().contains("node")
            || starts_with_any(&["Scale"])
            || job.walk().any(|node| has_type(node.job, INSTALLING_STEPS))
        {
            Self::Nodes { steps: INSTALLING_STEPS }
        } else {
            Self::Other
        }
    }
}

/// Returns the node that a step names. Its cluster is that of the whole job, if the job has one,
/// because the `clusterUID` of a step may differ.
fn node_of_step(job: &Job, step: &Job) -> Option<ObjectId> {
    let cluster = cluster_of(job).or_else(|| cluster_of(step))?;
    let node: NodeId = step.spec.as_ref()?.resource_id.as_ref()?.parse().ok()?;
    Some(ObjectId::Node { cluster, node })
}

fn cluster_of(job: &Job) -> Option<ClusterId> {
    job.spec.as_ref()?.cluster_uid.as_ref()?.parse().ok()
}

fn job_type(job: &Job) -> &str {
    job.job_type().unwrap_or_default()
}

fn has_type(job: &Job, names: &[&str]) -> bool {
    names.iter().any(|name| name.eq_ignore_ascii_case(job_type(job)))
}

fn starts_with(text: &str, prefix: &str) -> bool {
    text.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}
