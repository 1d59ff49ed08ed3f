//! The job and its three parts, field for field as the reference page has them. No reading rules.

mod phase;
mod timestamp;
mod extend_param;
mod sub_jobs;
mod id;
mod decoded;

pub use decoded::Decoded;
pub use extend_param::ExtendParam;
pub use id::{IdError, JobId, ProjectId};
pub use phase::Phase;
pub use sub_jobs::SubJobs;
pub use timestamp::Timestamp;

use alloc::{borrow::Cow, string::String};

use serde_json::value::RawValue;

use crate::decode::{KnownNames, Object, RawFields, json_object};

/// A job, or a sub-job: they have one shape (reference page, table 3).
///
/// Every field is optional because the service omits any of them; an absent field and a null one
/// both read as `None`, and neither is written when the job is encoded. Whatever else came is kept
/// in `raw_fields` and written again.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Job {
    /// `kind`: `Job`, where the service says it, and borrowed then.
    pub kind: Option<Cow<'static, str>>,
    /// `apiVersion`: `v3`, where the service says it.
    pub api_version: Option<Cow<'static, str>>,
    /// `metadata`: the job's id and times.
    pub metadata: Option<Metadata>,
    /// `spec`: what the job does, and its sub-jobs.
    pub spec: Option<Spec>,
    /// `status`: how far the job is.
    pub status: Option<Status>,
    /// What is kept as JSON text: unknown fields, and odd ones.
    pub raw_fields: RawFields,
}

/// A job's id and times (reference page, table 4).
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Metadata {
    /// `uid`: the job's id, opaque text (not always a UUID).
    pub uid: Option<String>,
    /// `creationTimestamp`: when the job was created.
    pub creation_timestamp: Option<Timestamp>,
    /// `updateTimestamp`: when the job last changed.
    pub update_timestamp: Option<Timestamp>,
    /// What is kept as JSON text: unknown fields, and odd ones.
    pub raw_fields: RawFields,
}

/// What a job does (reference page, table 5).
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Spec {
    /// `type`: the job's type, such as `CreateCluster`.
    pub job_type: Option<String>,
    /// `clusterUID`: the cluster where the job runs. A sub-job's may differ from its parent's.
    pub cluster_uid: Option<String>,
    /// `resourceID`: the resource the job works on, such as a node.
    pub resource_id: Option<String>,
    /// `resourceName`: the name of that resource.
    pub resource_name: Option<String>,
    /// `extendParam`: extended parameters, "not supported" by the page and yet in its example.
    pub extend_param: Option<ExtendParam>,
    /// `subJobs`: the steps the job consists of, each a job of its own.
    pub sub_jobs: Option<SubJobs>,
    /// `ownerJob`: not on the reference page; other clients read it as the parent job's id.
    pub owner_job: Option<String>,
    /// What is kept as JSON text: unknown fields, and odd ones.
    pub raw_fields: RawFields,
}

/// How far a job is (reference page, table 6).
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Status {
    /// `phase`: how far; an empty text reads as an absent phase.
    pub phase: Option<Phase>,
    /// `reason`: why the job is in its phase; often empty.
    pub reason: Option<String>,
    /// `message`: not on the reference page; other clients read it beside the reason.
    pub message: Option<String>,
    /// What is kept as JSON text: unknown fields, and odd ones.
    pub raw_fields: RawFields,
}

/// The names of all known fields.
pub(crate) const FIELD_NAMES: &KnownNames =
    &[Job::NAMES, Metadata::NAMES, Spec::NAMES, Status::NAMES];

impl Job {
    /// Creates the job that stands for a value that is none.
    pub(crate) fn from_raw(json: &RawValue) -> Self {
        Self { raw_fields: RawFields::from_whole_value(json.into()), ..Self::default() }
    }

    /// Returns the phase, or `None` where the service left it out or sent an empty text.
    ///
    /// The parent's phase is the authority on the whole job; its sub-jobs are evidence.
    ///
    /// ```
    /// let job = job_model::Job::from_slice(br#"{"status": {"phase": ""}}"#)?;
    /// assert_eq!(job.phase(), None);
    /// # Ok::<(), job_model::DecodeError>(())
    /// ```
    #[must_use]
    pub fn phase(&self) -> Option<&Phase> {
        self.status.as_ref()?.phase.as_ref()
    }

    /// Returns the job's id.
    #[must_use]
    pub fn uid(&self) -> Option<&str> {
        self.metadata.as_ref()?.uid.as_deref()
    }

    /// Returns the job's type, such as `CreateCluster`.
    #[must_use]
    pub fn job_type(&self) -> Option<&str> {
        self.spec.as_ref()?.job_type.as_deref()
    }

    /// Returns the sub-jobs of the first level, in the service's order; empty where there are none.
    #[must_use]
    pub fn sub_jobs(&self) -> &[Self] {
        self.spec.as_ref().and_then(|spec| spec.sub_jobs.as_deref()).unwrap_or_default()
    }

    /// Returns why the job is in its phase: the reason or, where that is empty, the message.
    ///
    /// ```
    /// let body = br#"{"status": {"phase": "Failed", "reason": "", "message": "quota"}}"#;
    /// assert_eq!(job_model::Job::from_slice(body)?.reason(), Some("quota"));
    /// # Ok::<(), job_model::DecodeError>(())
    /// ```
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        let status = self.status.as_ref()?;
        [&status.reason, &status.message]
            .into_iter()
            .filter_map(Option::as_deref)
            .find(|text| !text.is_empty())
    }
}

json_object! {
    Job {
        kind: "kind",
        api_version: "apiVersion",
        metadata: "metadata",
        spec: "spec",
        status: "status",
    }
}

json_object! {
    Metadata {
        uid: "uid",
        creation_timestamp: "creationTimestamp",
        update_timestamp: "updateTimestamp",
    }
}

json_object! {
    Spec {
        job_type: "type",
        cluster_uid: "clusterUID",
        resource_id: "resourceID",
        resource_name: "resourceName",
        extend_param: "extendParam",
        sub_jobs: "subJobs",
        owner_job: "ownerJob",
    }
}

json_object! {
    Status {
        phase: "phase",
        reason: "reason",
        message: "message",
    }
}
