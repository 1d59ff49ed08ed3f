//! Defines the ids of clusters and nodes, and the id of an object of either kind.

use core::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, ser::SerializeStruct};

use crate::id::id;

id! {
    /// A cluster's id. Cheap to clone.
    ///
    /// An id is opaque text of at most 128 bytes, as a [`JobId`](crate::JobId) is.
    ClusterId
}

id! {
    /// A node's id, which is unique within its cluster. Cheap to clone.
    ///
    /// An id is opaque text of at most 128 bytes, as a [`JobId`](crate::JobId) is.
    NodeId
}

/// The id of a cluster, or of a node and its cluster.
///
/// With serde, an id is an object with `cluster` and, for a node, `node`.
///
/// ```
/// use job_model::object::{ObjectId, ObjectKind};
///
/// let id = ObjectId::Node { cluster: "4a5b".parse()?, node: "7c".parse()? };
/// assert_eq!(id.kind(), ObjectKind::Node);
/// assert_eq!(id.to_string(), "node 7c of cluster 4a5b");
/// assert_eq!(serde_json::to_string(&id).unwrap(), r#"{"cluster":"4a5b","node":"7c"}"#);
/// # Ok::<(), job_model::IdError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::exhaustive_enums, reason = "these are the objects that can be read")]
pub enum ObjectId {
    /// A cluster.
    Cluster(ClusterId),
    /// A node.
    Node {
        /// The cluster of the node.
        cluster: ClusterId,
        /// The node.
        node: NodeId,
    },
}

impl ObjectId {
    /// Returns the kind of the object.
    #[must_use]
    pub const fn kind(&self) -> ObjectKind {
        match self {
            Self::Cluster(_) => ObjectKind::Cluster,
            Self::Node { .. } => ObjectKind::Node,
        }
    }

    /// Returns the id of the object itself: that of the node, or else that of the cluster.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Cluster(cluster) => cluster.as_str(),
            Self::Node { node, .. } => node.as_str(),
        }
    }

    /// Returns the cluster, or the cluster of the node.
    #[must_use]
    pub const fn cluster(&self) -> &ClusterId {
        match self {
            Self::Cluster(cluster) | Self::Node { cluster, .. } => cluster,
        }
    }

    /// Returns the node, or `None` for a cluster.
    #[must_use]
    pub const fn node(&self) -> Option<&NodeId> {
        match self {
            Self::Cluster(_) => None,
            Self::Node { node, .. } => Some(node),
        }
    }
}

impl From<ClusterId> for ObjectId {
    fn from(cluster: ClusterId) -> Self {
        Self::Cluster(cluster)
    }
}

/// Writes for example `cluster 4a5b` or `node 7c of cluster 4a5b`.
impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cluster(cluster) => write!(f, "cluster {cluster}"),
            Self::Node { cluster, node } => write!(f, "node {node} of cluster {cluster}"),
        }
    }
}

impl Serialize for ObjectId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // A format that is not self-describing needs the field of a cluster, too.
        let is_omitted = serializer.is_human_readable() && self.node().is_none();
        let fields = if is_omitted { 1 } else { 2 };
        let mut id = serializer.serialize_struct("ObjectId", fields)?;
        id.serialize_field("cluster", self.cluster())?;
        if is_omitted {
            id.skip_field("node")?;
        } else {
            id.serialize_field("node", &self.node())?;
        }
        id.end()
    }
}

impl<'de> Deserialize<'de> for ObjectId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename = "ObjectId")]
        struct Ids {
            cluster: ClusterId,
            #[serde(default)]
            node: Option<NodeId>,
        }

        Ids::deserialize(deserializer).map(|Ids { cluster, node }| match node {
            None => Self::Cluster(cluster),
            Some(node) => Self::Node { cluster, node },
        })
    }
}

/// The kind of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "these are the objects that can be read")]
pub enum ObjectKind {
    /// A cluster.
    Cluster,
    /// A node of a cluster.
    Node,
}

impl ObjectKind {
    /// Returns the kind in lower case: `cluster` or `node`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cluster => "cluster",
            Self::Node => "node",
        }
    }
}

impl fmt::Display for ObjectKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests;
