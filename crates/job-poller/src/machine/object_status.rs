//! A cluster or a node as a wait has last read it, as plain data.

use std::fmt;

use jiff::Timestamp;
use job_model::object::{ClusterId, NodeId, NodePhase, Object, ObjectId, ObjectKind, ObjectState};
use job_transport::ObjectReading;
use serde::{Deserialize, Serialize};

use super::until::Until;

/// A cluster or a node, and what a wait knows about it.
///
/// Serialized as one object with the fields of the [`ObjectId`] (`cluster`, and `node`, which is null
/// for a cluster) and the other fields below.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Fields", into = "Fields")]
#[non_exhaustive]
pub struct ObjectStatus {
    /// The cluster or the node.
    pub id: ObjectId,
    /// Its name.
    pub name: Option<String>,
    /// Its phase as last read. `None` if it has none, if it was not read, or if it is gone.
    pub phase: Option<String>,
    /// What the phase means. `None` if the object was not read.
    pub state: Option<ObjectState>,
    /// The service's reason for the phase, at most 2 KiB.
    pub reason: Option<String>,
    /// The service's explanation of the reason, at most 2 KiB.
    pub message: Option<String>,
    /// The addresses of a cluster's API, at most 16.
    pub endpoints: Vec<ObjectEndpoint>,
}

/// The serialized form of a status. It has the ids beside the other fields, also in formats that
/// cannot flatten.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename = "ObjectStatus")]
struct Fields {
    cluster: ClusterId,
    #[serde(default)]
    node: Option<NodeId>,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    phase: Option<String>,
    #[serde(default)]
    state: Option<ObjectState>,
    #[serde(default)]
    reason: Option<String>,
    #[serde(default)]
    message: Option<String>,
    #[serde(default)]
    endpoints: Vec<ObjectEndpoint>,
}

impl From<ObjectStatus> for Fields {
    fn from(status: ObjectStatus) -> Self {
        let ObjectStatus { id, name, phase, state, reason, message, endpoints } = status;
        let (cluster, node) = (id.cluster().clone(), id.node().cloned());
        Self { cluster, node, name, phase, state, reason, message, endpoints }
    }
}

impl From<Fields> for ObjectStatus {
    fn from(fields: Fields) -> Self {
        let Fields { cluster, node, name, phase, state, reason, message, endpoints } = fields;
        let id = match node {
            Some(node) => ObjectId::Node { cluster, node },
            None => ObjectId::Cluster(cluster),
        };
        Self { id, name, phase, state, reason, message, endpoints }
    }
}

/// An address of a cluster's API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ObjectEndpoint {
    /// The address, such as `https://192.168.0.4:5443`.
    pub url: String,
    /// From where it can be reached: `Internal` or `External`.
    #[serde(rename = "type")]
    pub kind: Option<String>,
}

/// One reading of a cluster or a node, as the input of a machine.
///
/// Convert an [`ObjectReading`] into this.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ObjectSnapshot {
    /// `metadata.uid`, or `None` if it is absent.
    pub uid: Option<String>,
    /// `metadata.name`.
    pub name: Option<String>,
    /// `metadata.creationTimestamp`.
    pub created_at: Option<Timestamp>,
    /// `status.phase`.
    pub phase: Option<String>,
    /// What the phase means, at the time of the reply.
    pub state: ObjectState,
    /// `status.reason`.
    pub reason: Option<String>,
    /// `status.message`.
    pub message: Option<String>,
    /// `status.endpoints`.
    pub endpoints: Vec<ObjectEndpoint>,
}

impl ObjectEndpoint {
    /// Creates an address of an unknown type.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), kind: None }
    }
}

impl ObjectStatus {
    /// Creates the status of an object that was not read yet.
    #[must_use]
    pub const fn new(id: ObjectId) -> Self {
        Self {
            id,
            name: None,
            phase: None,
            state: None,
            reason: None,
            message: None,
            endpoints: Vec::new(),
        }
    }

    /// Takes over what a reading shows.
    pub(super) fn update(&mut self, object: ObjectSnapshot) {
        let ObjectSnapshot { name, phase, state, reason, message, endpoints, .. } = object;
        // A reply without a name does not mean that the object has none.
        let name = name.or_else(|| self.name.take());
        let id = self.id.clone();
        *self = Self { id, name, phase, state: Some(state), reason, message, endpoints };
    }

    /// Records that the service does not find the object. The name is kept, because people know the
    /// object by it.
    pub(super) fn set_gone(&mut self) {
        let name = self.name.take();
        let state = Some(ObjectState::Gone);
        *self = Self { name, state, ..Self::new(self.id.clone()) };
    }
}

impl ObjectSnapshot {
    /// Creates the reading of an object with this state and phase, for tests of drivers.
    #[must_use]
    pub fn new(state: ObjectState, phase: impl Into<String>) -> Self {
        Self {
            uid: None,
            name: None,
            created_at: None,
            phase: Some(phase.into()),
            state,
            reason: None,
            message: None,
            endpoints: Vec::new(),
        }
    }

    /// Takes what a wait needs from an object. `date` is the reply's `Date`.
    #[must_use]
    pub fn from_object(object: &Object, date: Option<Timestamp>) -> Self {
        let shortened = |text: &str| shortened(text, MAX_TEXT_LEN);
        let endpoints = match object {
            Object::Cluster(cluster) => cluster.endpoints(),
            Object::Node(_) => Vec::new(),
        };
        let endpoints = endpoints.iter().map(|endpoint| {
            let kind = endpoint.endpoint_type.as_deref().map(shortened);
            ObjectEndpoint { url: shortened(&endpoint.url), kind }
        });
        Self {
            uid: object.uid().map(shortened),
            name: object.name().map(shortened),
            created_at: object.created_at(),
            phase: object.phase().map(shortened),
            state: object.state_at(date),
            reason: object.reason().map(shortened),
            message: object.message().map(shortened),
            endpoints: endpoints.take(MAX_ENDPOINTS).collect(),
        }
    }
}

impl From<&ObjectReading<Object>> for ObjectSnapshot {
    fn from(reading: &ObjectReading<Object>) -> Self {
        Self::from_object(&reading.object, reading.date)
    }
}

/// Describes clusters and nodes in one line, such as `2 of 3 nodes are ready; not: n3 (Abnormal)`.
///
/// `until` is the state that they should reach. At most ten others are listed. The line is empty if
/// there are no objects.
#[must_use]
pub fn describe_objects<'a>(
    objects: impl IntoIterator<Item = &'a ObjectStatus>,
    until: Until,
) -> String {
    let objects: Vec<_> = objects.into_iter().collect();
    let goal = until.object_state();
    let is_done = |object: &&ObjectStatus| object.state.is_some() && object.state == goal;
    let (done, open): (Vec<_>, Vec<_>) = objects.iter().copied().partition(is_done);
    let all = match &*objects {
        [] => return String::new(),
        [object] => return object.to_string(),
        [first, ..] => {
            format!("{} of {} {}s are {until}", done.len(), objects.len(), first.id.kind())
        }
    };
    let listed = open.iter().take(MAX_LISTED).map(|object| object.short()).collect::<Vec<_>>();
    match open.len() {
        0 => all,
        count if count > MAX_LISTED => {
            format!("{all}; not: {} and {} more", listed.join(", "), count - MAX_LISTED)
        }
        _ => format!("{all}; not: {}", listed.join(", ")),
    }
}

/// The maximum number of objects that one line lists.
const MAX_LISTED: usize = 10;

impl ObjectStatus {
    /// Returns the phase, or the state if there is no phase.
    #[must_use]
    pub fn phase_or_state(&self) -> &str {
        match (&self.phase, self.state) {
            (Some(phase), _) => phase,
            (None, Some(ObjectState::Gone)) => "gone",
            (None, Some(_)) => "without a phase",
            (None, None) => "unknown",
        }
    }

    /// Returns whether the phase has no meaning, because the service has not probed the node for more
    /// than 5 min.
    fn is_outdated(&self) -> bool {
        let phase = self.phase.as_deref().filter(|_| self.id.kind() == ObjectKind::Node);
        phase.is_some_and(|phase| Some(NodePhase::from(phase).state()) != self.state)
    }

    /// Returns the name or the id, and the phase.
    fn short(&self) -> String {
        let name = self.name.as_deref().unwrap_or_else(|| self.id.as_str());
        format!("{} ({})", name.escape_debug(), self.phase_or_state().escape_debug())
    }
}

/// One line: the kind, the id, the phase, and the reason if there is one.
impl fmt::Display for ObjectStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.state.is_none() {
            return write!(f, "{} was not read", self.id);
        }
        write!(f, "{} is {}", self.id, self.phase_or_state().escape_debug())?;
        if self.is_outdated() {
            f.write_str(", but was last probed more than 5 min ago")?;
        }
        match (&self.reason, &self.message) {
            (Some(reason), Some(message)) if reason != message => {
                write!(f, ": {}: {}", reason.escape_debug(), message.escape_debug())
            }
            (Some(text), _) | (None, Some(text)) => write!(f, ": {}", text.escape_debug()),
            (None, None) => Ok(()),
        }
    }
}

/// Returns the text. If it has more than `max_len` bytes, returns the beginning and `..`.
pub(super) fn shortened(text: &str, max_len: usize) -> String {
    match text.floor_char_boundary(max_len) {
        end if end < text.len() => format!("{}..", &text[..end]),
        _ => text.into(),
    }
}

/// The maximum length of a text that a wait keeps, in bytes.
const MAX_TEXT_LEN: usize = 2048;
const MAX_ENDPOINTS: usize = 16;
