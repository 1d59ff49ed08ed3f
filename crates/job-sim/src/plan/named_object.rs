//! Finds the clusters and nodes that a job creates or deletes.

use std::time::Duration;

use super::{Plan, Subject, ids::node_number, step::Step};

/// What a job does with an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Create,
    Delete,
    /// The object exists, and no job changes it.
    Exist,
}

/// A cluster or node, as a job names it.
#[derive(Clone, Debug)]
pub(crate) struct NamedObject {
    pub(crate) id: String,
    /// The cluster of a node; `None` for a cluster.
    pub(crate) cluster: Option<String>,
    pub(crate) name: String,
    pub(crate) action: Action,
    /// When the installation of a node begins, as the age of the job.
    pub(crate) installs_at: Option<Duration>,
    /// Whether the part of the job that concerns the object fails.
    pub(crate) has_failed: bool,
}

impl NamedObject {
    /// Creates a cluster that no job changes.
    pub(crate) fn existing_cluster(id: &str, name: &str) -> Self {
        Self {
            id: id.into(),
            cluster: None,
            name: name.into(),
            action: Action::Exist,
            installs_at: None,
            has_failed: false,
        }
    }

    /// Creates a node that no job changes.
    pub(crate) fn existing_node(cluster: &str, id: &str) -> Self {
        Self {
            cluster: Some(cluster.into()),
            ..Self::existing_cluster(id, &node_name("cluster", id))
        }
    }
}

impl Plan {
    /// Returns the objects that the job names. For a job of nodes, the first one is their cluster.
    pub(crate) fn objects(&self) -> Vec<NamedObject> {
        let root = &self.root;
        let cluster_name = root.name.as_deref().unwrap_or("cluster");
        let cluster_id = self.cluster_id(root);
        let cluster = NamedObject::existing_cluster(&cluster_id, cluster_name);
        let has_failed = root.has_failure();
        let node = |id: &str, action| NamedObject {
            id: id.into(),
            cluster: Some(cluster_id.clone()),
            name: node_name(cluster_name, id),
            action,
            installs_at: None,
            has_failed,
        };
        match self.subject {
            Subject::NewCluster => {
                vec![NamedObject { action: Action::Create, has_failed, ..cluster }]
            }
            Subject::DeletedCluster => {
                vec![NamedObject { action: Action::Delete, has_failed, ..cluster }]
            }
            Subject::DeletedNode => {
                let id = self.resource_id(root).unwrap_or_default();
                vec![cluster, node(&id, Action::Delete)]
            }
            Subject::NewNodes => {
                let new_node = |(step, start): (&Step, Duration)| {
                    let install = step.steps.iter().find(|step| step.job_type == "InstallNode")?;
                    let mut starts = step.started_steps(start);
                    let installs_at = starts.find(|(step, _)| step.index == install.index);
                    Some(NamedObject {
                        installs_at: installs_at.map(|(_, start)| start),
                        has_failed: step.has_failure(),
                        ..node(&self.resource_id(install)?, Action::Create)
                    })
                };
                let nodes = root.started_steps(Duration::ZERO).filter_map(new_node);
                [cluster.clone()].into_iter().chain(nodes).collect()
            }
        }
    }
}

/// Returns the name that the service chooses for a node.
fn node_name(cluster: &str, id: &str) -> String {
    match node_number(id) {
        Some(number) => format!("{cluster}-node-{number}"),
        None => format!("{cluster}-node"),
    }
}
