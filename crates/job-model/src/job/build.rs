//! Builds jobs without a body.

use alloc::{borrow::Cow, string::String};

use super::{ExtendParam, Job, Metadata, Phase, Spec, Status, Timestamp};
use crate::decode::{Json, JsonObject, RawFieldError};

/// Methods that build a job.
///
/// A job that was built this way encodes to JSON, and decodes to an equal job if it is within the
/// [`Limits`](crate::decode::Limits) and no raw field has a name of a known field.
impl Job {
    /// Creates a job without any field, as [`Job::default`] does.
    ///
    /// ```
    /// use job_model::{Job, Phase};
    ///
    /// let job = Job::new()
    ///     .with_uid("354331b2c-229a-11e8-9c75-0255ac100ceb")
    ///     .with_job_type("CreateCluster")
    ///     .with_creation_timestamp("2020-02-02 08:12:40 +0000 UTC")
    ///     .with_phase(Phase::Failed)
    ///     .with_sub_jobs([
    ///         Job::new().with_job_type("CreatePSMCert").with_phase(Phase::Success),
    ///         Job::new().with_job_type("InstallMaster").with_phase("Failed").with_reason("no quota"),
    ///     ]);
    /// let failure = job.failure().expect("the job failed");
    /// assert_eq!(failure.to_string(), r#"CreateCluster > InstallMaster: "no quota""#);
    /// ```
    ///
    /// Unknown fields of other objects than the job itself are set in the struct:
    ///
    /// ```
    /// use job_model::Job;
    ///
    /// let mut job = Job::new().with_phase("Running");
    /// job.status.get_or_insert_default().raw_fields.insert("progress", "1.10")?;
    /// let encoded = serde_json::to_string(&job).expect("it is a job");
    /// assert_eq!(encoded, r#"{"status":{"phase":"Running","progress":1.10}}"#);
    /// # Ok::<(), job_model::decode::RawFieldError>(())
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets `kind`. The service always sends `Job`.
    #[must_use]
    pub fn with_kind(mut self, kind: impl Into<Cow<'static, str>>) -> Self {
        self.kind = Some(kind.into());
        self
    }

    /// Sets `apiVersion`. The service sends `v3`.
    #[must_use]
    pub fn with_api_version(mut self, api_version: impl Into<Cow<'static, str>>) -> Self {
        self.api_version = Some(api_version.into());
        self
    }

    /// Sets `metadata.uid`, the job's id.
    #[must_use]
    pub fn with_uid(mut self, uid: impl Into<String>) -> Self {
        self.metadata_mut().uid = Some(uid.into());
        self
    }

    /// Sets `metadata.creationTimestamp` to a text in the service's format, or to an instant.
    #[must_use]
    pub fn with_creation_timestamp(mut self, time: impl Into<Timestamp>) -> Self {
        self.metadata_mut().creation_timestamp = Some(time.into());
        self
    }

    /// Sets `metadata.updateTimestamp` to a text in the service's format, or to an instant.
    ///
    /// ```
    /// use job_model::{Job, jiff::Timestamp};
    ///
    /// let updated_at: Timestamp = "2020-02-02T08:21:50.5Z".parse()?;
    /// let job = Job::new().with_update_timestamp(updated_at);
    /// assert_eq!(job.updated_at(), Some(updated_at));
    /// # Ok::<(), job_model::jiff::Error>(())
    /// ```
    #[must_use]
    pub fn with_update_timestamp(mut self, time: impl Into<Timestamp>) -> Self {
        self.metadata_mut().update_timestamp = Some(time.into());
        self
    }

    /// Sets `spec.type`, such as `CreateCluster`.
    #[must_use]
    pub fn with_job_type(mut self, job_type: impl Into<String>) -> Self {
        self.spec_mut().job_type = Some(job_type.into());
        self
    }

    /// Sets `spec.clusterUID`.
    #[must_use]
    pub fn with_cluster_uid(mut self, cluster_uid: impl Into<String>) -> Self {
        self.spec_mut().cluster_uid = Some(cluster_uid.into());
        self
    }

    /// Sets `spec.resourceID`.
    #[must_use]
    pub fn with_resource_id(mut self, resource_id: impl Into<String>) -> Self {
        self.spec_mut().resource_id = Some(resource_id.into());
        self
    }

    /// Sets `spec.resourceName`.
    #[must_use]
    pub fn with_resource_name(mut self, resource_name: impl Into<String>) -> Self {
        self.spec_mut().resource_name = Some(resource_name.into());
        self
    }

    /// Sets `spec.extendParam` to these (name, value) pairs. If a name is given twice, the last
    /// value is used.
    ///
    /// ```
    /// let job = job_model::Job::new().with_extend_param([("serverID", "bc467e3a")]);
    /// assert_eq!(
    ///     serde_json::to_string(&job).expect("it is a job"),
    ///     r#"{"spec":{"extendParam":{"serverID":"bc467e3a"}}}"#,
    /// );
    /// ```
    #[must_use]
    pub fn with_extend_param<N: Into<String>, V: Into<String>>(
        mut self,
        parameters: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        self.spec_mut().extend_param = Some(ExtendParam::from_iter(parameters));
        self
    }

    /// Sets `spec.subJobs`.
    #[must_use]
    pub fn with_sub_jobs(mut self, sub_jobs: impl IntoIterator<Item = Self>) -> Self {
        self.spec_mut().sub_jobs = Some(sub_jobs.into_iter().collect());
        self
    }

    /// Sets `spec.ownerJob`, the id of the parent job.
    #[must_use]
    pub fn with_owner_job(mut self, owner_job: impl Into<String>) -> Self {
        self.spec_mut().owner_job = Some(owner_job.into());
        self
    }

    /// Sets `status.phase`.
    ///
    /// The phase becomes what decoding its text results in. In particular, an empty text is kept as
    /// a raw field, and [`Job::phase`] returns `None`.
    #[must_use]
    pub fn with_phase(mut self, phase: impl Into<Phase>) -> Self {
        let status = self.status_mut();
        let name = Status::known("phase").map_or("phase", |(known, _)| status.name(known));
        status.raw_fields.remove(name);
        status.phase = match phase.into() {
            Phase::Unknown(text) if text.is_empty() => {
                status.raw_fields.push(name, Json::from_valid("\"\""));
                None
            }
            Phase::Unknown(text) => Some(Phase::from(text)),
            known => Some(known),
        };
        self
    }

    /// Sets `status.reason`.
    #[must_use]
    pub fn with_reason(mut self, reason: impl Into<String>) -> Self {
        self.status_mut().reason = Some(reason.into());
        self
    }

    /// Sets `status.message`.
    #[must_use]
    pub fn with_message(mut self, message: impl Into<String>) -> Self {
        self.status_mut().message = Some(message.into());
        self
    }

    /// Sets `status.completionTime`, which only API v2 has, to a text in the service's format or to an
    /// instant.
    ///
    /// ```
    /// let job = job_model::Job::new().with_completion_time("2025-09-02 11:26:03.218087 +0000 UTC");
    /// assert_eq!(job.completed_at(), "2025-09-02T11:26:03.218087Z".parse().ok());
    /// ```
    #[must_use]
    pub fn with_completion_time(mut self, time: impl Into<Timestamp>) -> Self {
        self.status_mut().completion_time = Some(time.into());
        self
    }

    /// Sets an unknown field of the job to a JSON text.
    ///
    /// See [`RawFields::insert`](crate::decode::RawFields::insert) for the details.
    ///
    /// ```
    /// let job = job_model::Job::new().with_raw_field("priority", "1.10")?;
    /// assert_eq!(job.raw_fields.get("priority"), Some("1.10"));
    /// # Ok::<(), job_model::decode::RawFieldError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Returns an error if the text is not valid JSON.
    pub fn with_raw_field(mut self, name: &str, json: &str) -> Result<Self, RawFieldError> {
        self.raw_fields.insert(name, json)?;
        Ok(self)
    }

    fn metadata_mut(&mut self) -> &mut Metadata {
        self.metadata.get_or_insert_default()
    }

    fn spec_mut(&mut self) -> &mut Spec {
        self.spec.get_or_insert_default()
    }

    fn status_mut(&mut self) -> &mut Status {
        self.status.get_or_insert_default()
    }
}

#[cfg(test)]
mod tests;
