//! Shortens a job and its failure to a few kilobytes.

use alloc::string::String;

use super::failure::Failure;
use crate::{
    decode::beginning,
    job::{Job, Metadata, Phase, Spec, Status, Timestamp},
};

/// The maximum length of each text of a summary, in bytes.
const MAX_TEXT_BYTES: usize = 1024;

impl Job {
    /// Returns a copy without sub-jobs and unknown fields, with texts of at most 1 KiB.
    ///
    /// It has the uid, the times, the type, the resource, the phase and the reason. A uid of another
    /// type and a timestamp that is not recognized are left out.
    ///
    /// ```
    /// use job_model::Job;
    ///
    /// let job = Job::from_slice(
    ///     br#"{"metadata": {"uid": "a"}, "spec": {"subJobs": [{}]}, "status": {"phase": "Running"}}"#,
    /// )?;
    /// let summary = job.summary();
    /// assert_eq!((summary.uid(), summary.phase()), (job.uid(), job.phase()));
    /// assert!(summary.sub_jobs().is_empty());
    /// # Ok::<(), job_model::DecodeError>(())
    /// ```
    #[must_use]
    pub fn summary(&self) -> Self {
        let text = |text: &Option<String>| text.as_deref().map(|text| shortened(text).into());
        let time = |time: &Option<Timestamp>| {
            time.clone().filter(|time| time.instant().is_some() && time.as_str().len() <= 64)
        };
        Self {
            metadata: self.metadata.as_ref().map(|metadata| Metadata {
                uid: text(&metadata.uid),
                creation_timestamp: time(&metadata.creation_timestamp),
                update_timestamp: time(&metadata.update_timestamp),
                ..Metadata::default()
            }),
            spec: self.spec.as_ref().map(|spec| Spec {
                job_type: text(&spec.job_type),
                cluster_uid: text(&spec.cluster_uid),
                resource_id: text(&spec.resource_id),
                resource_name: text(&spec.resource_name),
                owner_job: text(&spec.owner_job),
                ..Spec::default()
            }),
            status: self.status.as_ref().map(|status| Status {
                phase: status.phase.as_ref().map(Phase::shortened),
                reason: text(&status.reason),
                message: text(&status.message),
                completion_time: time(&status.completion_time),
                ..Status::default()
            }),
            ..Self::default()
        }
    }
}

impl Phase {
    /// Returns the phase, with at most 1 KiB of an unknown one.
    #[must_use]
    pub fn shortened(&self) -> Self {
        match self {
            Self::Unknown(text) => Self::Unknown(shortened(text).into()),
            known => known.clone(),
        }
    }
}

impl Failure {
    /// Returns the failure with texts of at most 1 KiB.
    #[must_use]
    pub fn shortened(self) -> Self {
        let text = |text: Option<String>| text.map(|text| shortened(&text).into());
        Self {
            job_types: self.job_types.iter().map(|text| shortened(text).into()).collect(),
            path: self.path,
            job_type: text(self.job_type),
            uid: text(self.uid),
            reason: text(self.reason),
            name: text(self.name),
        }
    }
}

/// Returns the beginning of a text.
pub(super) fn shortened(text: &str) -> &str {
    beginning(text, MAX_TEXT_BYTES)
}

#[cfg(test)]
mod tests {
    use alloc::{format, string::ToString, vec};

    use super::*;

    #[test]
    fn a_summary_keeps_what_a_wait_needs_and_is_short() {
        let long = "ä".repeat(1_000_000);
        let body = format!(
            r#"{{"kind": "Job", "{long}": 1,
                "metadata": {{"uid": "a", "creationTimestamp": "2020-02-02 08:12:40 +0000 UTC",
                    "updateTimestamp": "{long}", "x": [1]}},
                "spec": {{"type": "CreateCluster", "resourceName": "prod",
                    "subJobs": [{{"status": {{"phase": "Failed", "reason": "{long}"}}}}]}},
                "status": {{"phase": "Failed", "reason": "{long}", "message": "short"}}}}"#
        );
        let job = Job::from_slice(body.as_bytes()).unwrap();
        let summary = serde_json::to_string(&job.summary()).unwrap();
        let reason = "ä".repeat(512);
        let expected = r#"{"metadata":{"uid":"a","creationTimestamp":"2020-02-02 08:12:40 +0000 UTC"},
            "spec":{"type":"CreateCluster","resourceName":"prod"},
            "status":{"phase":"Failed","reason":"LONG","message":"short"}}"#;
        let expected = expected.split("\n            ").collect::<vec::Vec<_>>().concat();
        assert_eq!(summary, expected.replace("LONG", &reason));
        let failure = job.failure().unwrap().shortened();
        assert_eq!(failure.path.to_string(), "spec.subJobs[0]");
        assert_eq!(failure.reason, Some(reason));
        assert_eq!(failure.job_types, vec!["CreateCluster", "job"]);
    }

    #[test]
    fn an_unknown_phase_is_shortened() {
        let long = Phase::Unknown("x".repeat(5000));
        assert_eq!(long.shortened().as_str().len(), MAX_TEXT_BYTES);
        assert_eq!(Phase::Running.shortened(), Phase::Running);
    }
}
