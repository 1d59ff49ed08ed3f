//! Defines an object of any kind.

use serde::{Serialize, Serializer};

use super::{Cluster, ClusterPhase, DecodedObject, Node, NodePhase, ObjectKind, ObjectState};
use crate::decode::DecodeError;

/// A cluster or a node.
///
/// It is encoded like the cluster or node itself. Use [`Object::from_slice`] to decode it, because
/// its kind must be known.
///
/// ```
/// use job_model::object::{Object, ObjectKind, ObjectState};
///
/// let body = br#"{"kind": "Node", "status": {"phase": "Active"}}"#;
/// let object = Object::from_slice(ObjectKind::Node, body)?;
/// assert_eq!(object.phase(), Some("Active"));
/// assert_eq!(object.state_at(None), ObjectState::Ready);
/// # Ok::<(), job_model::DecodeError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "these are the objects that can be read")]
pub enum Object {
    /// A cluster.
    Cluster(Cluster),
    /// A node.
    Node(Node),
}

/// Calls a method of the cluster or of the node.
macro_rules! either {
    ($object:expr, $inner:ident => $call:expr) => {
        match $object {
            Object::Cluster($inner) => $call,
            Object::Node($inner) => $call,
        }
    };
}

impl Object {
    /// Decodes an object of a kind and drops the deviations.
    ///
    /// # Errors
    ///
    /// Returns an error in the same cases as [`Cluster::from_slice`].
    pub fn from_slice(kind: ObjectKind, body: &[u8]) -> Result<Self, DecodeError> {
        Self::decode(kind, body).map(|decoded| decoded.object)
    }

    /// Decodes an object of a kind, and lists the deviations of its body.
    ///
    /// # Errors
    ///
    /// Returns an error in the same cases as [`Cluster::from_slice`].
    pub fn decode(kind: ObjectKind, body: &[u8]) -> Result<DecodedObject<Self>, DecodeError> {
        match kind {
            ObjectKind::Cluster => Cluster::decode(body).map(|decoded| decoded.map(Self::Cluster)),
            ObjectKind::Node => Node::decode(body).map(|decoded| decoded.map(Self::Node)),
        }
    }

    /// Returns the kind of the object.
    #[must_use]
    pub const fn kind(&self) -> ObjectKind {
        match self {
            Self::Cluster(_) => ObjectKind::Cluster,
            Self::Node(_) => ObjectKind::Node,
        }
    }

    /// Returns `true` if the decoded body is not an object of this kind ([`Cluster::is_foreign`]).
    #[must_use]
    pub fn is_foreign(&self) -> bool {
        either!(self, object => object.is_foreign())
    }

    /// Returns the phase in the service's spelling, or `None` if the service omitted it or sent an
    /// empty string.
    #[must_use]
    pub fn phase(&self) -> Option<&str> {
        match self {
            Self::Cluster(cluster) => cluster.phase().map(ClusterPhase::as_str),
            Self::Node(node) => node.phase().map(NodePhase::as_str),
        }
    }

    /// Returns what the phase means at the time of the reply ([`Node::state_at`]).
    #[must_use]
    pub fn state_at(&self, date: Option<jiff::Timestamp>) -> ObjectState {
        match self {
            Self::Cluster(cluster) => cluster.state(),
            Self::Node(node) => node.state_at(date),
        }
    }

    /// Returns the object's id.
    #[must_use]
    pub fn uid(&self) -> Option<&str> {
        either!(self, object => object.uid())
    }

    /// Returns the object's name.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        either!(self, object => object.name())
    }

    /// Returns `creationTimestamp`, or `None` if it is missing or not a time.
    #[must_use]
    pub fn created_at(&self) -> Option<jiff::Timestamp> {
        either!(self, object => object.created_at())
    }

    /// Returns `updateTimestamp`, or `None` if it is missing or not a time.
    #[must_use]
    pub fn updated_at(&self) -> Option<jiff::Timestamp> {
        either!(self, object => object.updated_at())
    }

    /// Returns `status.reason`, a short reason for the phase, if it is not empty.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        either!(self, object => object.reason())
    }

    /// Returns `status.message`, the details of the reason, if it is not empty.
    #[must_use]
    pub fn message(&self) -> Option<&str> {
        either!(self, object => object.message())
    }

    /// Returns `status.jobID`, the job that changes the object, if it is not empty.
    #[must_use]
    pub fn job_id(&self) -> Option<&str> {
        either!(self, object => object.job_id())
    }
}

impl From<Cluster> for Object {
    fn from(cluster: Cluster) -> Self {
        Self::Cluster(cluster)
    }
}

impl From<Node> for Object {
    fn from(node: Node) -> Self {
        Self::Node(node)
    }
}

impl Serialize for Object {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        either!(self, object => object.serialize(serializer))
    }
}
