//! Defines a job in the simplest way: derived, with a string for each field, and without unknown
//! fields.
#![expect(dead_code, reason = "the fields are only deserialized")]

use std::collections::BTreeMap;

use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Job {
    kind: Option<String>,
    api_version: Option<String>,
    metadata: Option<Metadata>,
    spec: Option<Spec>,
    status: Option<Status>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    uid: Option<String>,
    creation_timestamp: Option<String>,
    update_timestamp: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    #[serde(rename = "type")]
    job_type: Option<String>,
    #[serde(rename = "clusterUID")]
    cluster_uid: Option<String>,
    #[serde(rename = "resourceID")]
    resource_id: Option<String>,
    resource_name: Option<String>,
    extend_param: Option<BTreeMap<String, String>>,
    sub_jobs: Option<Vec<Job>>,
    owner_job: Option<String>,
}

#[derive(Deserialize)]
struct Status {
    phase: Option<String>,
    reason: Option<String>,
    message: Option<String>,
}
