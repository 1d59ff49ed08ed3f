//! Defines a job of each API version in the simplest way: derived, with a string for each field, and
//! without unknown fields.
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

/// A job with the names of API v2.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct V2Job {
    kind: Option<String>,
    api_version: Option<String>,
    metadata: Option<Metadata>,
    spec: Option<V2Spec>,
    status: Option<V2Status>,
}

#[derive(Deserialize)]
struct V2Spec {
    #[serde(rename = "type")]
    job_type: Option<String>,
    clusteruid: Option<String>,
    resourceid: Option<String>,
    resourcename: Option<String>,
    extendparam: Option<BTreeMap<String, String>>,
    subjobs: Option<Vec<V2Job>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct V2Status {
    status: Option<String>,
    reason: Option<String>,
    completion_time: Option<String>,
}
