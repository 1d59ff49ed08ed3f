//! A row of the list of jobs, with the names of API v2.

use job_model::{Job, Phase};
use serde::Serialize;

/// A row of the list of jobs. It has the fields of the documented example, and no sub-jobs.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ListRow {
    kind: &'static str,
    api_version: &'static str,
    metadata: RowMetadata,
    spec: RowSpec,
    status: RowStatus,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct RowMetadata {
    uid: String,
    creation_timestamp: String,
    update_timestamp: String,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
struct RowSpec {
    r#type: String,
    clusteruid: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    resourceid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resourcename: Option<String>,
    extendparam: ExtendParam,
}

/// The parameter of the documented example that every job has.
#[derive(Clone, Debug, Serialize)]
struct ExtendParam {
    claimrollback: &'static str,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct RowStatus {
    status: String,
    reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    completion_time: Option<String>,
}

impl ListRow {
    /// Creates the row of a job without its sub-jobs.
    pub(crate) fn new(job: Job) -> Self {
        let metadata = job.metadata.unwrap_or_default();
        let spec = job.spec.unwrap_or_default();
        let status = job.status.unwrap_or_default();
        let time = |time: Option<job_model::Timestamp>| {
            time.map(|time| time.as_str().to_owned()).unwrap_or_default()
        };
        let update_timestamp = time(metadata.update_timestamp);
        let has_ended = status.phase.as_ref().is_some_and(Phase::is_terminal);
        Self {
            kind: "Job",
            api_version: "v2",
            status: RowStatus {
                status: status.phase.map(|phase| phase.as_str().to_owned()).unwrap_or_default(),
                reason: status.reason.unwrap_or_default(),
                completion_time: has_ended.then(|| update_timestamp.clone()),
            },
            metadata: RowMetadata {
                uid: metadata.uid.unwrap_or_default(),
                creation_timestamp: time(metadata.creation_timestamp),
                update_timestamp,
            },
            spec: RowSpec {
                r#type: spec.job_type.unwrap_or_default(),
                clusteruid: spec.cluster_uid.unwrap_or_default(),
                resourceid: spec.resource_id,
                resourcename: spec.resource_name,
                extendparam: ExtendParam { claimrollback: "true" },
            },
        }
    }

    pub(crate) fn id(&self) -> &str {
        &self.metadata.uid
    }

    /// Changes the row to that of a job that has not ended.
    pub(crate) fn running(mut self) -> Self {
        self.status = RowStatus {
            status: Phase::Running.as_str().to_owned(),
            reason: String::new(),
            completion_time: None,
        };
        self
    }
}
