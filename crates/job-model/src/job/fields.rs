//! Defines a job and its parts, with one struct field for each field of the reference page.

use alloc::{borrow::Cow, boxed::Box, string::String};
use core::fmt;

use serde::{Deserialize, Deserializer};

use super::{ExtendParam, Phase, SubJobs, Timestamp};
use crate::decode::{Body, JsonObject, KnownNames, RawFields, V2Names, deserialize, json_object};

/// A job or sub-job; both have the same shape (reference page, table 3).
///
/// Every field is optional because the service may omit any of them. A field is `None` if it was
/// absent or null, and a `None` is not written when the job is encoded. All other content is kept
/// in `raw_fields` and written back.
///
/// [`Job::new`] and the `with_` methods build a job without a body, for example in a test.
///
/// # API v2
///
/// The list of jobs, and a single job of API v2, spell some names differently:
///
/// | field | API v3 | API v2 |
/// |---|---|---|
/// | [`Spec::cluster_uid`] | `clusterUID` | `clusteruid` |
/// | [`Spec::resource_id`] | `resourceID` | `resourceid` |
/// | [`Spec::resource_name`] | `resourceName` | `resourcename` |
/// | [`Spec::extend_param`] | `extendParam` | `extendparam` |
/// | [`Spec::sub_jobs`] | `subJobs` | `subjobs` |
/// | [`Status::phase`] | `phase` | `status` |
/// | [`Status::completion_time`] | | `completionTime` |
///
/// Both spellings decode into the same fields. Each name counts on its own, independent of
/// `apiVersion`, and a field is encoded with the name that was read. Two jobs with different names are
/// not equal. A job that was built, and a field that was set in an object without it, has the name
/// of API v3.
///
/// If an object has a field under both names, and neither is null, the name of API v3 counts. The
/// other value is kept as JSON text
/// ([`DeviationKind::DuplicateSpelling`](crate::decode::DeviationKind::DuplicateSpelling)).
///
/// ```
/// use job_model::{Job, Phase};
///
/// let body = br#"{"apiVersion":"v2","spec":{"resourcename":"node-1"},"status":{"status":"Failed"}}"#;
/// let job = Job::from_slice(body)?;
/// assert_eq!(job.phase(), Some(&Phase::Failed));
/// assert_eq!(serde_json::to_string(&job).expect("it is a job").as_bytes(), body);
/// # Ok::<(), job_model::DecodeError>(())
/// ```
///
/// # Debug output
///
/// `{:?}` is one line with the uid, type, phase and number of sub-jobs. `{:#?}` shows all fields.
///
/// # Formats
///
/// A job is decoded from a body by [`Job::from_slice`] or [`Decoded::from_slice`]. It also
/// implements serde's traits. Tests cover these formats:
///
/// | format | what is written | what is kept |
/// |---|---|---|
/// | JSON text, with `serde_json` | the job | everything but null values of known fields |
/// | YAML and TOML | the job as plain values | see below |
/// | postcard and CBOR | a string with the JSON text | everything but null values of known fields |
///
/// A format that is not human-readable for serde is written like postcard, and any other format like
/// YAML. JSON through another library, or through a wrapper of `serde_json` with an error type of
/// its own, is also written like YAML.
///
/// Plain values have no number texts: `1.10` becomes `1.1`, an integer outside of the range of
/// `i64` and `u64` becomes a float, and a number outside of the range of `f64` a string. If a name
/// is given twice in an unknown field, the last value is kept; a lone surrogate becomes U+FFFD. In
/// TOML, which has no null, a member that is null is omitted, and an array with a null is an error.
///
/// A job can be read from the same formats. It can also be read from a [`serde_json::Value`], below
/// serde's `flatten`, and from an untagged or internally tagged enum, but these pass on plain values
/// even if the document is JSON text. To keep number texts in such a document, give the job a field
/// of its own.
///
/// ```
/// use job_model::Job;
///
/// let job = Job::from_slice(br#"{"status": {"phase": "Running", "progress": 1.10}}"#)?;
/// let json = r#"{"status":{"phase":"Running","progress":1.10}}"#;
/// assert_eq!(serde_json::to_string(&job).unwrap(), json);
///
/// let toml = toml::to_string(&job).unwrap();
/// assert_eq!(toml, "[status]\nphase = \"Running\"\nprogress = 1.1\n");
/// assert_eq!(toml::from_str::<Job>(&toml).unwrap().phase(), job.phase());
///
/// let bytes = postcard::to_allocvec(&job).unwrap();
/// assert_eq!(postcard::from_bytes::<Job>(&bytes), Ok(job));
/// # Ok::<(), job_model::DecodeError>(())
/// ```
///
/// [`Decoded::from_slice`]: crate::Decoded::from_slice
#[derive(Clone, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Job {
    /// `kind`, normally `Job`. The normal value is stored without an allocation.
    pub kind: Option<Cow<'static, str>>,
    /// `apiVersion`, `v3` or `v2`. These values are stored without an allocation.
    pub api_version: Option<Cow<'static, str>>,
    /// `metadata`: the job's id and timestamps.
    pub metadata: Option<Metadata>,
    /// `spec`: what the job does, and its sub-jobs.
    pub spec: Option<Spec>,
    /// `status`: the job's phase, and the reason for it.
    pub status: Option<Status>,
    /// Fields kept as JSON text: unknown fields, and known fields with unexpected values.
    pub raw_fields: RawFields,
}

/// A job's id and timestamps (reference page, table 4).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Metadata {
    /// `uid`: the job's id. It is opaque text, and not always a UUID.
    pub uid: Option<String>,
    /// `creationTimestamp`: when the job was created.
    pub creation_timestamp: Option<Timestamp>,
    /// `updateTimestamp`: when the job last changed.
    pub update_timestamp: Option<Timestamp>,
    /// Fields kept as JSON text: unknown fields, and known fields with unexpected values.
    pub raw_fields: RawFields,
}

/// What a job does, and its sub-jobs (reference page, table 5).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Spec {
    /// `type`: the job's type, such as `CreateCluster`.
    pub job_type: Option<String>,
    /// `clusterUID`: the cluster of the job. A sub-job's value may differ from its parent's.
    pub cluster_uid: Option<String>,
    /// `resourceID`: the resource the job works on, such as a node.
    pub resource_id: Option<String>,
    /// `resourceName`: the name of that resource.
    pub resource_name: Option<String>,
    /// `extendParam`: extended parameters. The reference page calls them "not supported", but they
    /// are in its example.
    pub extend_param: Option<ExtendParam>,
    /// `subJobs`: the steps of the job. Each step is itself a job.
    pub sub_jobs: Option<SubJobs>,
    /// `ownerJob`: the parent job's id. Other clients read this field; the reference page does not
    /// list it.
    pub owner_job: Option<String>,
    /// Fields kept as JSON text: unknown fields, and known fields with unexpected values.
    pub raw_fields: RawFields,
    /// The fields that are encoded with their name of API v2.
    pub(crate) v2_names: V2Names,
}

/// A job's phase, and the reason for it (reference page, table 6).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Status {
    /// `phase`, or `status` in API v2: the state of the job. An empty string is read as an absent phase.
    pub phase: Option<Phase>,
    /// `reason`: why the job is in its phase; often empty.
    pub reason: Option<String>,
    /// `message`: an explanation beside the reason. Other clients read this field; the reference
    /// page does not list it.
    pub message: Option<String>,
    /// `completionTime`: when the job ended. Only API v2 has this field.
    pub completion_time: Option<Timestamp>,
    /// Fields kept as JSON text: unknown fields, and known fields with unexpected values.
    pub raw_fields: RawFields,
    /// The fields that are encoded with their name of API v2.
    pub(crate) v2_names: V2Names,
}

/// The names of all known fields.
pub(crate) const FIELD_NAMES: &KnownNames =
    &[Job::NAMES, Metadata::NAMES, Spec::NAMES, Spec::V2_NAMES, Status::NAMES, Status::V2_NAMES];

impl Body for Job {
    const NOUN: &'static str = "a job";

    const FIELD_NAMES: &'static KnownNames = FIELD_NAMES;
}

/// Decodes a job that is part of a larger document, with the same rules as [`Job::from_slice`].
///
/// The [formats](Job#formats) differ in what they keep of unknown fields. Deviations are not
/// reported.
impl<'de> Deserialize<'de> for Job {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize(deserializer)
    }
}

impl Job {
    /// Creates the job that represents an array element which is not a JSON object.
    pub(crate) fn from_raw(json: Box<str>) -> Self {
        Self { raw_fields: RawFields::from_whole_value(json), ..Self::default() }
    }

    /// Returns the phase, or `None` if the service omitted it or sent an empty string.
    ///
    /// The phase of the top-level job decides the state of the whole job. The phases of its
    /// sub-jobs are only evidence (see [`Job::inconsistencies`]).
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

    /// Returns the direct sub-jobs in the service's order. The slice is empty if there are none.
    #[must_use]
    pub fn sub_jobs(&self) -> &[Self] {
        self.spec.as_ref().and_then(|spec| spec.sub_jobs.as_deref()).unwrap_or_default()
    }

    /// Returns why the job is in its phase: the reason or, if that is empty, the message.
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

/// Shows the most important fields, or all of them with `{:#?}`.
impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if f.alternate() {
            let Self { kind, api_version, metadata, spec, status, raw_fields } = self;
            return f
                .debug_struct("Job")
                .field("kind", kind)
                .field("api_version", api_version)
                .field("metadata", metadata)
                .field("spec", spec)
                .field("status", status)
                .field("raw_fields", raw_fields)
                .finish();
        }
        f.debug_struct("Job")
            .field("uid", &self.uid())
            .field("job_type", &self.job_type())
            .field("phase", &self.phase())
            .field("sub_jobs", &self.sub_jobs().len())
            .finish_non_exhaustive()
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
    Spec (v2_names) {
        job_type: "type",
        cluster_uid: "clusterUID" | "clusteruid",
        resource_id: "resourceID" | "resourceid",
        resource_name: "resourceName" | "resourcename",
        extend_param: "extendParam" | "extendparam",
        sub_jobs: "subJobs" | "subjobs",
        owner_job: "ownerJob",
    }
}

json_object! {
    Status (v2_names) {
        phase: "phase" | "status",
        reason: "reason",
        message: "message",
        completion_time: "completionTime",
    }
}

#[cfg(test)]
mod tests;
