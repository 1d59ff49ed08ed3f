//! Handles the calls that submit a job: creating and deleting clusters and nodes.

use bytes::Bytes;
use http::{Request, StatusCode};
use serde_json::{Value, json};

use super::route::Call;
use crate::{
    plan::{Jobs, Plan, node_id},
    reply::{ErrorReply, service_error},
};

/// A job to submit, and the reply. The job's id is added to `status.jobID`, and to an annotation
/// when a cluster is created.
pub(crate) struct Submission {
    pub(crate) plan: Plan,
    status: StatusCode,
    body: Value,
    has_job_annotation: bool,
}

impl Submission {
    /// Returns the reply with the job's id.
    pub(crate) fn reply(mut self, job: &str) -> (StatusCode, Value) {
        self.body["status"]["jobID"] = job.into();
        if self.has_job_annotation {
            self.body["metadata"]["annotations"]["jobid"] = job.into();
        }
        (self.status, self.body)
    }
}

/// Parses a submission. The cluster or nodes exist, or no longer exist, as soon as this returns.
pub(crate) fn parse_submission(
    call: Call<'_>,
    request: &Request<Bytes>,
    jobs: &mut Jobs,
) -> Result<Submission, ErrorReply> {
    let missing = || service_error(StatusCode::NOT_FOUND);
    match call {
        Call::Job(_) | Call::Jobs | Call::Object { .. } => Err(missing()),
        Call::CreateCluster => {
            let (name, spec) = parse_name_and_spec(request, "Cluster")?;
            let taken = || service_error(StatusCode::CONFLICT);
            let id = jobs.add_cluster(&name).ok_or_else(taken)?;
            let plan = Plan::create_cluster().with_cluster(&id, &name).number(jobs.next_number());
            Ok(creation("Cluster", &name, &id, &spec, "Creating", plan))
        }
        Call::CreateNodes(cluster) => {
            let (name, spec) = parse_name_and_spec(request, "Node")?;
            let cluster_name = jobs.cluster(cluster).ok_or_else(missing)?.to_owned();
            let nodes = spec["count"].as_u64().unwrap_or(1).clamp(1, MAX_NODES);
            let nodes = jobs.add_nodes(cluster, u32::try_from(nodes).unwrap_or(1));
            let (first, id) = (nodes.start, node_id(nodes.start));
            let plan = Plan::add_nodes(nodes).with_cluster(cluster, &cluster_name);
            let plan = plan.number(jobs.next_number());
            // The service chooses a name if none is given.
            let name = if name.is_empty() { format!("{cluster_name}-node-{first}") } else { name };
            Ok(creation("Node", &name, &id, &spec, "Build", plan))
        }
        Call::DeleteCluster(cluster) => {
            let name = jobs.remove_cluster(cluster).ok_or_else(missing)?;
            let plan =
                Plan::delete_cluster().with_cluster(cluster, &name).number(jobs.next_number());
            Ok(deletion("Cluster", &name, cluster, plan))
        }
        Call::DeleteNode(cluster, node) => {
            let name = jobs.cluster(cluster).ok_or_else(missing)?.to_owned();
            if !jobs.remove_node(cluster, node) {
                return Err(missing());
            }
            let plan = Plan::delete_node().with_cluster(cluster, &name).with_node(node);
            let plan = plan.number(jobs.next_number());
            Ok(deletion("Node", "", node, plan))
        }
    }
}

/// Parses the name and the spec of the object to create.
fn parse_name_and_spec(
    request: &Request<Bytes>,
    kind: &str,
) -> Result<(String, Value), ErrorReply> {
    let mut body: Value = serde_json::from_slice(request.body()).unwrap_or_default();
    let name = body["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    // The service chooses a node's name if it is missing.
    let is_named = kind == "Node" || !name.is_empty();
    if body["kind"] == kind && body["spec"].is_object() && is_named {
        Ok((name, body["spec"].take()))
    } else {
        Err(service_error(StatusCode::BAD_REQUEST))
    }
}

fn creation(kind: &str, name: &str, id: &str, spec: &Value, phase: &str, plan: Plan) -> Submission {
    let body = json!({"kind": kind, "apiVersion": "v3", "metadata": {"name": name, "uid": id},
        "spec": spec, "status": {"phase": phase}});
    Submission { plan, status: StatusCode::CREATED, body, has_job_annotation: kind == "Cluster" }
}

fn deletion(kind: &str, name: &str, id: &str, plan: Plan) -> Submission {
    let body = json!({"kind": kind, "apiVersion": "v3", "metadata": {"name": name, "uid": id},
        "status": {"phase": "Deleting"}});
    Submission { plan, status: StatusCode::OK, body, has_job_annotation: false }
}

/// Maximum number of nodes in one call.
const MAX_NODES: u64 = 200;
