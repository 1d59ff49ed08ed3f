//! Defines a cluster and its status.

use alloc::{borrow::Cow, string::String, vec::Vec};

use super::{
    ClusterPhase, ObjectKind, ObjectMetadata, ObjectState,
    common::{debug_without_raw_text, object_methods},
};
use crate::decode::{Document, RawFields, Text, json_object};

/// A cluster, as far as it matters for a wait.
///
/// Every field is optional because the service may omit any of them. A field is `None` if it was
/// absent or null, and a `None` is not written when the cluster is encoded. All other content, such
/// as `spec`, is kept in `raw_fields` and written back.
///
/// [`Cluster::new`] and the `with_` methods build a cluster without a body, for example in a test.
///
/// ```
/// use job_model::object::{Cluster, ClusterPhase, ObjectState};
///
/// let cluster = Cluster::new().with_uid("4a5b").with_phase(ClusterPhase::Available);
/// assert_eq!(cluster.state(), ObjectState::Ready);
/// assert_eq!(
///     serde_json::to_string(&cluster).expect("it is a cluster"),
///     r#"{"metadata":{"uid":"4a5b"},"status":{"phase":"Available"}}"#,
/// );
/// ```
///
/// `{:?}` is one line with the uid, name and phase. `{:#?}` shows all fields, but
/// only the names and sizes of raw fields, because they can contain user data and keys.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Cluster {
    /// `kind`, normally `Cluster`. The normal value is stored without an allocation.
    pub kind: Option<Cow<'static, str>>,
    /// `apiVersion`, normally `v3`. The normal value is stored without an allocation.
    pub api_version: Option<Cow<'static, str>>,
    /// `metadata`: the cluster's name, id and timestamps.
    pub metadata: Option<ObjectMetadata>,
    /// `status`: the cluster's phase, and the reason for it.
    pub status: Option<ClusterStatus>,
    /// Fields kept as JSON text: all others, and known fields with unexpected values.
    pub raw_fields: RawFields,
}

/// A cluster's phase, and the reason for it.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct ClusterStatus {
    /// `phase`: the phase. An empty string is read as an absent phase.
    pub phase: Option<ClusterPhase>,
    /// `jobID`: the job that creates or deletes the cluster.
    pub job_id: Option<String>,
    /// `reason`: why the cluster is in its phase, if it is not `Available`.
    pub reason: Option<String>,
    /// `message`: the details of the reason.
    pub message: Option<String>,
    /// Fields kept as JSON text: all others, such as `endpoints`, and known fields with unexpected
    /// values.
    pub raw_fields: RawFields,
}

/// An address of a cluster's API server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct ClusterEndpoint {
    /// `url`: the address.
    pub url: String,
    /// `type`: `Internal` for an address within the user's subnet, `External` for a public one.
    pub endpoint_type: Option<String>,
}

/// Maximum number of entries that are read. A cluster has two or three.
const MAX_ENDPOINTS: usize = 100;

impl Cluster {
    /// The kind of object.
    pub const KIND: ObjectKind = ObjectKind::Cluster;

    /// Returns what the phase means. A cluster without a phase is under way.
    #[must_use]
    pub fn state(&self) -> ObjectState {
        self.phase().map_or(ObjectState::UnderWay, ClusterPhase::state)
    }

    /// Returns the addresses of the API server: `status.endpoints`.
    ///
    /// Entries without a `url` are left out, and only the first 100 entries are read. Each call reads
    /// them from [`ClusterStatus::raw_fields`].
    ///
    /// ```
    /// let body = br#"{"status": {"endpoints": [
    ///     {"url": "https://192.168.0.12:5443", "type": "Internal"}
    /// ]}}"#;
    /// let cluster = job_model::object::Cluster::from_slice(body)?;
    /// assert_eq!(cluster.endpoints()[0].url, "https://192.168.0.12:5443");
    /// assert_eq!(cluster.endpoints()[0].endpoint_type.as_deref(), Some("Internal"));
    /// # Ok::<(), job_model::DecodeError>(())
    /// ```
    #[must_use]
    pub fn endpoints(&self) -> Vec<ClusterEndpoint> {
        let json = self.status.as_ref().and_then(|status| status.raw_fields.get("endpoints"));
        json.map(ClusterEndpoint::list_from_json).unwrap_or_default()
    }
}

impl ClusterEndpoint {
    /// Reads a list of addresses from a valid JSON text.
    fn list_from_json(json: &str) -> Vec<Self> {
        let mut endpoints = Vec::new();
        let Ok((document, _)) = Document::new(json.as_bytes(), &[]) else { return endpoints };
        let mut cursor = document.cursor();
        if !cursor.enter(b'[') {
            return endpoints;
        }
        for _ in 0..MAX_ENDPOINTS {
            if !cursor.next_element() {
                break;
            }
            if !cursor.enter(b'{') {
                cursor.skip();
                continue;
            }
            let (mut url, mut endpoint_type) = (None, None);
            while let Some(Text { text: name, .. }) = cursor.next_name() {
                let slot = match &*name {
                    "url" => &mut url,
                    "type" => &mut endpoint_type,
                    _ => &mut None,
                };
                match cursor.text() {
                    Some(Text { text, .. }) => *slot = Some(text.into_owned()),
                    None => drop(cursor.skip()),
                }
            }
            endpoints.extend(url.map(|url| Self { url, endpoint_type }));
        }
        endpoints
    }
}

debug_without_raw_text!(ClusterStatus { phase, job_id, reason, message });

object_methods!(Cluster, ClusterStatus, ClusterPhase, "cluster");

json_object! {
    Cluster {
        kind: "kind",
        api_version: "apiVersion",
        metadata: "metadata",
        status: "status",
    }
}

json_object! {
    ClusterStatus {
        phase: "phase",
        job_id: "jobID",
        reason: "reason",
        message: "message",
    }
}

#[cfg(test)]
mod tests;
