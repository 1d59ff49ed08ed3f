//! Clusters and nodes: the objects that jobs create, change and delete.
//!
//! A job reports how an operation ended. What users need is the object itself: a [`Cluster`] or a
//! [`Node`]. Its phase is open text, and its [`ObjectState`] is what the phase means: ready, under
//! way, broken or gone. [`Object`] is either of them, and an [`ObjectId`] names one.
//!
//! Only the fields that a wait needs are read. All others, such as `spec`, are kept as JSON text and
//! encoded again.
//!
//! ```
//! use job_model::object::{Cluster, ObjectState};
//!
//! let body = br#"{
//!     "kind": "Cluster",
//!     "metadata": {"name": "prod", "uid": "4a5b"},
//!     "status": {"phase": "Creating", "jobID": "354331b2c"}
//! }"#;
//! let cluster = Cluster::from_slice(body)?;
//! assert_eq!(cluster.state(), ObjectState::UnderWay);
//! assert_eq!(cluster.job_id(), Some("354331b2c"));
//! # Ok::<(), job_model::DecodeError>(())
//! ```

mod id;
mod phase;
mod decoded;
mod common;
mod metadata;
mod cluster;
mod node;
mod any;

pub use any::Object;
pub use cluster::{Cluster, ClusterEndpoint, ClusterStatus};
pub use decoded::DecodedObject;
pub use id::{ClusterId, NodeId, ObjectId, ObjectKind};
pub use metadata::ObjectMetadata;
pub use node::{MAX_PROBE_AGE, Node, NodeStatus};
pub use phase::{ClusterPhase, NodePhase, ObjectState};

pub(crate) use common::is_kind;
