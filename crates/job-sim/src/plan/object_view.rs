//! What a reading of an object shows, and its body in JSON.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

/// A cluster or node as one reading shows it.
#[derive(Clone, Debug)]
pub(crate) struct ObjectView {
    pub(crate) id: String,
    /// The cluster of a node; `None` for a cluster.
    pub(crate) cluster: Option<String>,
    pub(crate) name: String,
    /// Always set, unless a fault removes it.
    pub(crate) phase: Option<String>,
    /// The active job.
    pub(crate) job: Option<String>,
    pub(crate) created: Timestamp,
    /// The time since which the object has its phase.
    pub(crate) updated: Timestamp,
    pub(crate) reason: Option<(String, String)>,
    pub(crate) has_stale_probe: bool,
}

impl ObjectView {
    /// Returns the phase of a ready object of this kind.
    pub(crate) const fn ready_phase(is_node: bool) -> &'static str {
        if is_node { "Active" } else { "Available" }
    }

    /// Returns the phase of an object that is not ready yet.
    pub(crate) const fn early_phase(is_node: bool) -> &'static str {
        if is_node { "Build" } else { "Creating" }
    }

    pub(crate) const fn is_node(&self) -> bool {
        self.cluster.is_some()
    }

    fn has_phase(&self, phase: &str) -> bool {
        self.phase.as_deref() == Some(phase)
    }

    /// Returns the body, as it is at this time of the service.
    pub(crate) fn body(&self, now: Timestamp) -> Value {
        let mut body = if self.is_node() { self.node_body(now) } else { self.cluster_body() };
        body["apiVersion"] = "v3".into();
        body["metadata"] = json!({
            "name": self.name,
            "uid": self.id,
            "creationTimestamp": self.created.to_string(),
            "updateTimestamp": self.updated.to_string(),
        });
        let status = &mut body["status"];
        if let Some(phase) = &self.phase {
            status["phase"] = phase.as_str().into();
        }
        if let Some(job) = &self.job {
            status["jobID"] = job.as_str().into();
        }
        if let Some((reason, message)) = &self.reason {
            status["reason"] = reason.as_str().into();
            status["message"] = message.as_str().into();
        }
        body
    }

    fn cluster_body(&self) -> Value {
        let mut status = json!({});
        if self.has_phase(Self::ready_phase(false)) {
            status["endpoints"] = json!([
                {"url": "https://192.168.0.61:5443", "type": "Internal"},
                {"url": "https://203.0.113.61:5443", "type": "External"},
            ]);
        }
        let network = json!({"mode": "vpc-router", "cidr": "172.16.0.0/16"});
        let spec = json!({"type": "VirtualMachine", "flavor": "cce.s2.small", "version": "v1.31",
            "containerNetwork": network});
        json!({"kind": "Cluster", "spec": spec, "status": status})
    }

    fn node_body(&self, now: Timestamp) -> Value {
        let mut status = json!({"serverId": self.id, "privateIP": "192.168.0.62"});
        // The node is probed as soon as its server runs.
        if !self.has_phase(Self::early_phase(true)) {
            let ago = |age| now.saturating_sub(age).unwrap_or(now);
            let probed = match self.has_stale_probe {
                true => ago(STALE_PROBE_AGE),
                false => ago(PROBE_AGE).max(self.created),
            };
            status["lastProbeTime"] = probed.to_string().into();
        }
        let spec = json!({"flavor": "s3.large.2", "az": "eu-de-01", "os": "EulerOS 2.9"});
        json!({"kind": "Node", "spec": spec, "status": status})
    }
}

/// How old the last probe of a node is.
const PROBE_AGE: SignedDuration = SignedDuration::from_secs(20);

/// How old the last probe of a node is if its status has no meaning. The limit is five minutes.
///
/// It does not depend on the age of the node, so the time of the probe can be earlier than the creation.
const STALE_PROBE_AGE: SignedDuration = SignedDuration::from_mins(10);
