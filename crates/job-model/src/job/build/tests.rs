//! Tests that a built job is what decoding its JSON results in.

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};

use proptest::{collection::vec, option, prelude::*, sample::select};
use serde_json::Value;

use super::*;

#[test]
fn every_field_is_set_where_the_service_has_it() {
    let job = Job::new()
        .with_kind("Job")
        .with_api_version("v3")
        .with_uid("u")
        .with_creation_timestamp("2020-02-02 08:12:40 +0000 UTC")
        .with_update_timestamp("2020-02-02 08:13:40 +0000 UTC")
        .with_job_type("CreateCluster")
        .with_cluster_uid("c")
        .with_resource_id("i")
        .with_resource_name("n")
        .with_extend_param([("b", "2"), ("a", "1"), ("b", "3")])
        .with_sub_jobs([Job::new().with_sub_jobs([]), Job::new()])
        .with_owner_job("o")
        .with_phase("success")
        .with_reason("r")
        .with_message("m")
        .with_completion_time("2020-02-02 08:13:40 +0000 UTC")
        .with_raw_field("x", " [1.10, null] ")
        .unwrap();
    let expected = r#"{"kind":"Job","apiVersion":"v3",
        "metadata":{"uid":"u","creationTimestamp":"2020-02-02 08:12:40 +0000 UTC",
        "updateTimestamp":"2020-02-02 08:13:40 +0000 UTC"},
        "spec":{"type":"CreateCluster","clusterUID":"c","resourceID":"i","resourceName":"n",
        "extendParam":{"a":"1","b":"3"},"subJobs":[{"spec":{"subJobs":[]}},{}],"ownerJob":"o"},
        "status":{"phase":"Success","reason":"r","message":"m",
        "completionTime":"2020-02-02 08:13:40 +0000 UTC"},"x":[1.10, null]}"#;
    let expected: Vec<&str> = expected.split("\n        ").collect();
    assert_eq!(serde_json::to_string(&job).unwrap(), expected.concat());
}

#[test]
fn a_phase_is_set_as_if_it_was_decoded() {
    let rows = [
        (Phase::from("running"), r#"{"status":{"phase":"Running"}}"#),
        (Phase::Unknown("running".into()), r#"{"status":{"phase":"Running"}}"#),
        (Phase::from("Upgrading"), r#"{"status":{"phase":"Upgrading"}}"#),
        (Phase::from(""), r#"{"status":{"phase":""}}"#),
    ];
    for (phase, json) in rows {
        let job = Job::new().with_phase("SUCCESS").with_phase(phase.clone());
        assert_eq!(serde_json::to_string(&job).unwrap(), json);
        assert_eq!(job, Job::from_slice(json.as_bytes()).unwrap());
        // The raw field of an empty phase does not outlive it.
        let again = job.with_phase("Failed");
        assert_eq!(again, Job::new().with_phase(Phase::Failed));
    }
}

/// A field that is set in a job of API v2 keeps the name that was read, and others have the name of
/// API v3.
#[test]
fn a_changed_job_keeps_its_names() {
    let body = br#"{"spec":{"clusteruid":"a","resourceid":7},"status":{"status":""}}"#;
    let job = Job::from_slice(body).unwrap();
    let changed = job.clone().with_phase("Running").with_cluster_uid("b").with_resource_id("c");
    assert_eq!(
        serde_json::to_string(&changed.with_resource_name("d")).unwrap(),
        r#"{"spec":{"clusteruid":"b","resourceid":"c","resourceName":"d"},"status":{"status":"Running"}}"#,
    );
    let again = job.with_phase("Failed").with_phase("");
    assert_eq!(serde_json::to_string(&again).unwrap().as_bytes(), body);
}

/// Sets a field if there is a value.
fn set<T>(job: Job, value: Option<T>, with: impl FnOnce(Job, T) -> Job) -> Job {
    match value {
        Some(value) => with(job, value),
        None => job,
    }
}

/// Generates jobs that are built from any texts.
fn jobs() -> impl Strategy<Value = Job> {
    let text = || option::of("\\PC{0,6}|[\\x00-\\x1f\\u{fe0f}\u{feff}]{1,2}");
    let time = option::of(prop_oneof![
        select(&["2020-02-02 08:12:40.5 +0000 UTC", "0001-01-01 00:00:00 +0000 UTC", ""][..])
            .prop_map(Timestamp::from),
        "\\PC{0,6}".prop_map(Timestamp::from),
        (0..4_000_000_000_i64)
            .prop_map(|seconds| jiff::Timestamp::from_second(seconds).unwrap().into()),
    ]);
    let phase = option::of(prop_oneof![
        select(&["Running", "sUCCESS", "Failed", "initializing", ""][..]).prop_map(Phase::from),
        "\\PC{0,6}".prop_map(Phase::Unknown),
    ]);
    let raw = vec(("[a-d\\PC]{0,2}", raw_values()), 0..2);
    let metadata = (text(), time.clone(), time.clone(), text(), text());
    let spec = (text(), text(), text(), text(), text());
    let parameters = option::of(vec(("\\PC{0,3}", "\\PC{0,3}"), 0..3));
    let leaf = (metadata, spec, parameters, (phase, text(), text(), time), raw);
    let leaf = leaf.prop_map(|(metadata, spec, parameters, status, raw)| {
        let mut job = Job::new();
        let (uid, created, updated, kind, version) = metadata;
        job = set(job, uid, Job::with_uid);
        job = set(job, created, Job::with_creation_timestamp);
        job = set(job, updated, Job::with_update_timestamp);
        job = set(job, kind, Job::with_kind);
        job = set(job, version, Job::with_api_version);
        let (job_type, cluster, id, name, owner) = spec;
        job = set(job, job_type, Job::with_job_type);
        job = set(job, cluster, Job::with_cluster_uid);
        job = set(job, id, Job::with_resource_id);
        job = set(job, name, Job::with_resource_name);
        job = set(job, owner, Job::with_owner_job);
        job = set(job, parameters, Job::with_extend_param);
        let (phase, reason, message, completed) = status;
        job = set(job, phase, Job::with_phase);
        job = set(job, reason, Job::with_reason);
        job = set(job, message, Job::with_message);
        job = set(job, completed, Job::with_completion_time);
        for (name, json) in raw {
            job = job.with_raw_field(&name, &json).unwrap();
            job.spec.get_or_insert_default().raw_fields.insert(&name, &json).unwrap();
        }
        job
    });
    leaf.prop_recursive(3, 12, 3, |inner| {
        (inner.clone(), vec(inner, 0..3)).prop_map(|(job, sub_jobs)| job.with_sub_jobs(sub_jobs))
    })
}

/// Generates JSON texts of unknown fields.
fn raw_values() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        select(&["null", " 1.10 ", "[1, \n2]", "{\"a\": 1, \"a\": 2}", "1e999", "\"\\ud800\""][..])
            .prop_map(Into::into),
        "\\PC{0,6}".prop_map(|text| Value::from(text).to_string()),
    ];
    leaf.prop_recursive(2, 4, 2, |inner| {
        vec(inner, 0..3).prop_map(|values| format!("[{}]", values.join(" ,")))
    })
}

proptest! {
    #[test]
    fn built_jobs_encode_and_decode_to_equal_jobs(job in jobs()) {
        let encoded = serde_json::to_string(&job).unwrap();
        prop_assert_eq!(&Job::from_slice(encoded.as_bytes()).unwrap(), &job);
        prop_assert_eq!(&serde_json::from_str::<Job>(&encoded).unwrap(), &job);
    }
}
