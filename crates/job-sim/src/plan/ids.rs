//! Computes the ids of jobs, clusters and nodes.

use super::{Plan, Subject, step::Step};

impl Plan {
    /// Returns the id of a step's cluster.
    pub(super) fn cluster_id(&self, step: &Step) -> String {
        match self.subject {
            Subject::NewCluster if step.index == 0 => self.unique_id(&step.cluster),
            Subject::DeletedCluster => self.unique_id(&step.cluster),
            _ => step.cluster.clone(),
        }
    }

    /// Returns the id of a step's resource.
    pub(super) fn resource_id(&self, step: &Step) -> Option<String> {
        let id = step.resource.as_deref()?;
        Some(match self.subject {
            Subject::DeletedCluster => self.unique_id(id),
            _ => self.server_id(id),
        })
    }

    /// Returns the id of a node, if the job is one of nodes.
    pub(super) fn server_id(&self, id: &str) -> String {
        match self.subject {
            Subject::NewNodes | Subject::DeletedNode => self.unique_id(id),
            Subject::NewCluster | Subject::DeletedCluster => id.into(),
        }
    }

    /// Makes an id of the template different from those of other jobs.
    fn unique_id(&self, id: &str) -> String {
        match (id.get(..8), id.get(18..)) {
            (Some(start), Some(end)) if self.has_template_ids && self.number > 0 => {
                format!("{start}-{:04x}-{:04x}{end}", self.number >> 16, self.number & 0xffff)
            }
            _ => id.into(),
        }
    }
}

/// Returns the id of the node of this number.
pub(crate) fn node_id(number: u32) -> String {
    format!("{number:08x}-2338-11e8-825b-0255ac100c13")
}

/// Returns the number of the node with this id.
pub(super) fn node_number(id: &str) -> Option<u32> {
    u32::from_str_radix(id.get(..8)?, 16).ok()
}

/// The cluster of jobs that do not create one.
pub(super) const EXISTING_CLUSTER: &str = "fcc72de0-9606-11e8-baa8-0255ac10215d";

/// Returns the id of a job or sub-job. The first job has the id of the reference page's example,
/// including the nine hex digits in its first group.
pub(super) fn job_id(number: u32, index: u32) -> String {
    if index == 0 {
        format!("{:09x}-229a-11e8-9c75-0255ac100ceb", 0x3_5433_1b2c + u64::from(number))
    } else {
        // The first group differs for each sub-job, because programs show it as a short id.
        let first = (u64::from(number) << 16) + u64::from(index);
        format!("{first:08x}-9606-11e8-{index:04x}-0255ac10215d")
    }
}
