//! Defines a node, its status, and the rule of how old its status may be.

use alloc::{borrow::Cow, string::String};
use core::time::Duration;

use super::{
    NodePhase, ObjectKind, ObjectMetadata, ObjectState,
    common::{debug_without_raw_text, object_methods},
};
use crate::{
    decode::{RawFields, json_object},
    job::Timestamp,
};

/// Maximum age of a node's status: 5 min.
///
/// The service checks its nodes regularly, and documents that an older status has no meaning.
pub const MAX_PROBE_AGE: Duration = Duration::from_secs(300);

/// A node, as far as it matters for a wait.
///
/// Every field is optional because the service may omit any of them. A field is `None` if it was
/// absent or null, and a `None` is not written when the node is encoded. All other content, such as
/// `spec`, is kept in `raw_fields` and written back.
///
/// [`Node::new`] and the `with_` methods build a node without a body, for example in a test.
///
/// `{:?}` is one line with the uid, name and phase. `{:#?}` shows all fields, but
/// only the names and sizes of raw fields, because they can contain user data and keys.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Node {
    /// `kind`, normally `Node`. The normal value is stored without an allocation.
    pub kind: Option<Cow<'static, str>>,
    /// `apiVersion`, normally `v3`. The normal value is stored without an allocation.
    pub api_version: Option<Cow<'static, str>>,
    /// `metadata`: the node's name, id and timestamps.
    pub metadata: Option<ObjectMetadata>,
    /// `status`: the node's phase, and when it was checked.
    pub status: Option<NodeStatus>,
    /// Fields kept as JSON text: all others, and known fields with unexpected values.
    pub raw_fields: RawFields,
}

/// A node's phase, and when the service checked it.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct NodeStatus {
    /// `phase`: the phase. An empty string is read as an absent phase.
    pub phase: Option<NodePhase>,
    /// `lastProbeTime`: when the service last checked the node.
    pub last_probe_time: Option<Timestamp>,
    /// `jobID`: the job that creates or deletes the node.
    pub job_id: Option<String>,
    /// `reason`: why the node is in its phase. The service has not been seen to send it.
    pub reason: Option<String>,
    /// `message`: the details of the reason. The service has not been seen to send it.
    pub message: Option<String>,
    /// Fields kept as JSON text: all others, and known fields with unexpected values.
    pub raw_fields: RawFields,
}

impl Node {
    /// The kind of object.
    pub const KIND: ObjectKind = ObjectKind::Node;

    /// Returns `lastProbeTime`, or `None` if it is missing or not a time.
    #[must_use]
    pub fn last_probe_time(&self) -> Option<jiff::Timestamp> {
        self.status.as_ref()?.last_probe_time.as_ref()?.instant()
    }

    /// Returns what the phase means at the time of the reply (`Date`).
    ///
    /// If the service checked the node more than 5 min ([`MAX_PROBE_AGE`]) before `date`, the phase
    /// has no meaning, and the node is under way. Without `date` or `lastProbeTime`, the phase
    /// decides. A node without a phase is under way.
    ///
    /// ```
    /// use job_model::object::{Node, NodePhase, ObjectState};
    ///
    /// let node = Node::new()
    ///     .with_phase(NodePhase::Active)
    ///     .with_last_probe_time("2026-05-04T08:00:00Z");
    /// let at = |date: &str| date.parse().map(|date| node.state_at(Some(date)));
    /// assert_eq!(at("2026-05-04T08:05:00Z")?, ObjectState::Ready);
    /// assert_eq!(at("2026-05-04T08:05:01Z")?, ObjectState::UnderWay);
    /// # Ok::<(), job_model::jiff::Error>(())
    /// ```
    #[must_use]
    pub fn state_at(&self, date: Option<jiff::Timestamp>) -> ObjectState {
        let state = self.phase().map_or(ObjectState::UnderWay, NodePhase::state);
        let age = date.zip(self.last_probe_time()).map(|(date, probe)| date.duration_since(probe));
        let is_stale =
            age.is_some_and(|age| Duration::try_from(age).is_ok_and(|age| age > MAX_PROBE_AGE));
        if is_stale { ObjectState::UnderWay } else { state }
    }

    /// Sets `status.lastProbeTime` to a text in the service's format, or to an instant.
    #[must_use]
    pub fn with_last_probe_time(mut self, time: impl Into<Timestamp>) -> Self {
        self.status.get_or_insert_default().last_probe_time = Some(time.into());
        self
    }
}

debug_without_raw_text!(NodeStatus { phase, last_probe_time, job_id, reason, message });

object_methods!(Node, NodeStatus, NodePhase, "node");

json_object! {
    Node {
        kind: "kind",
        api_version: "apiVersion",
        metadata: "metadata",
        status: "status",
    }
}

json_object! {
    NodeStatus {
        phase: "phase",
        last_probe_time: "lastProbeTime",
        job_id: "jobID",
        reason: "reason",
        message: "message",
    }
}

#[cfg(test)]
mod tests;
