//! A job that an API call created.

use job_model::JobId;
use serde_json::Value;

/// A job that an API call created, and what it makes or deletes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Submitted {
    pub(crate) id: JobId,
    /// The id of the cluster or node, if the reply contains it.
    pub(crate) resource_id: Option<String>,
}

impl From<JobId> for Submitted {
    fn from(id: JobId) -> Self {
        Self { id, resource_id: None }
    }
}

impl Submitted {
    /// Adds the id of the cluster or node that a reply describes, or that a job in it names.
    pub(super) fn with_resource_of(self, reply: &[u8]) -> Self {
        Self { resource_id: resource_id(reply), ..self }
    }
}

fn resource_id(reply: &[u8]) -> Option<String> {
    let reply: Value = serde_json::from_slice(reply).ok()?;
    let paths = match reply["kind"].as_str() {
        Some("Job") => ["/spec/resourceID", "/spec/clusterUID"],
        _ => ["/metadata/uid", ""],
    };
    let ids = paths.into_iter().filter_map(|path| reply.pointer(path)?.as_str());
    ids.filter(|id| !id.is_empty()).map(String::from).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_names_what_the_job_makes_or_deletes() {
        for (reply, expected) in [
            (
                r#"{"kind": "Cluster", "metadata": {"uid": "c"}, "status": {"jobID": "j"}}"#,
                Some("c"),
            ),
            (r#"{"kind": "Node", "metadata": {"uid": "n"}}"#, Some("n")),
            (
                r#"{"kind": "Job", "metadata": {"uid": "j"}, "spec": {"clusterUID": "c"}}"#,
                Some("c"),
            ),
            (r#"{"kind": "Job", "spec": {"clusterUID": "c", "resourceID": "n"}}"#, Some("n")),
            (r#"{"kind": "Job", "metadata": {"uid": "j"}}"#, None),
            (r#"{"jobid": "j"}"#, None),
            (r#"{"metadata": {"uid": 7}}"#, None),
            ("[]", None),
            ("", None),
        ] {
            assert_eq!(resource_id(reply.as_bytes()).as_deref(), expected, "{reply}");
        }
    }
}
