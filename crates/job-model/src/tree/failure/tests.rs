//! Tests which failure is reported for a failed job.

use alloc::{format, string::ToString};

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::testing::{job, node, trees};

#[test]
fn failure_is_the_deepest_failed_job_with_its_reason() {
    let mut because = node("B", "Failed", &[]);
    because["status"]["reason"] = json!("no such \"flavor\"\u{1b}[2J");
    let mut message = node("C", "Failed", &[]);
    message["status"]["message"] = json!("quota");
    let mut parent = node("A", "Failed", &[node("B", "Failed", &[node("C", "Failed", &[])])]);
    parent["status"]["reason"] = json!("a step failed");
    let rows = [
        ("nothing failed", node("A", "Running", &[node("B", "Success", &[])])),
        ("the job alone", node("A", "Failed", &[node("B", "Success", &[])])),
        ("a sub-job's reason, escaped", node("A", "Failed", &[because.clone()])),
        ("a message if there is no reason", node("A", "Failed", &[message.clone()])),
        ("the parent's reason if it has none", parent),
        (
            "the deepest failure",
            node("A", "Failed", &[because.clone(), node("D", "", &[message.clone()])]),
        ),
        ("the first of two equally deep", node("A", "Failed", &[because.clone(), message])),
        (
            "the one with a reason of two equally deep",
            node("A", "Failed", &[node("B", "Failed", &[]), because]),
        ),
        ("not the reason of a running parent", {
            let mut parent = node("A", "Running", &[node("B", "Failed", &[])]);
            parent["status"]["reason"] = json!("waiting for quota");
            parent
        }),
        (
            "not a failure below a successful step",
            node(
                "A",
                "Failed",
                &[
                    node("B", "Failed", &[]),
                    node("C", "Success", &[node("D", "", &[node("E", "Failed", &[])])]),
                ],
            ),
        ),
        ("a sub-job while the job runs", node("A", "Running", &[node("B", "Failed", &[])])),
        ("no type", json!({"metadata": {"uid": "u"}, "status": {"phase": "Failed"}})),
        ("only a phase", json!({"status": {"phase": "Failed"}})),
    ];
    let show = |failure: Option<Failure>| {
        failure.map_or_else(|| "-".into(), |failure| failure.to_string())
    };
    let lines = rows.map(|(name, tree)| format!("{name}\n    {}\n", show(job(&tree).failure())));
    insta::assert_snapshot!(lines.concat());
}

proptest! {
    #[test]
    fn failed_jobs_report_a_failure_that_names_a_failed_job(tree in trees()) {
        let root = job(&tree);
        let failure = root.failure();
        prop_assert!(root.phase() != Some(&Phase::Failed) || failure.is_some());
        if let Some(failure) = failure {
            let line = root.lineage(&failure.path);
            prop_assert_eq!(line.last().and_then(|job| job.phase()), Some(&Phase::Failed));
            prop_assert_eq!(line.len(), failure.job_types.len());
            prop_assert!(line[1..].iter().all(|job| job.phase() != Some(&Phase::Success)));
        }
    }
}

#[test]
fn a_failure_serializes_as_an_object() {
    let mut step = node("InstallMaster", "Failed", &[]);
    step["status"]["reason"] = json!("no such flavor");
    step["metadata"]["uid"] = json!("b");
    let failure = job(&node("CreateCluster", "Failed", &[step])).failure().unwrap();
    assert_eq!(
        serde_json::to_string(&failure).unwrap(),
        r#"{"path":"spec.subJobs[0]","job_types":["CreateCluster","InstallMaster"],"uid":"b","reason":"no such flavor","name":"b"}"#
    );
}

/// The command prints this object as `failure`.
#[test]
fn failures_have_a_json_form_that_can_be_read_back() {
    let uid =
        json!({"metadata": {"uid": "u"}, "status": {"phase": "Failed", "reason": "no quota"}});
    let rows = [
        (
            node("A", "Failed", &[]),
            r#"{"path":"","job_types":["A"],"uid":null,"reason":null,"name":null}"#,
        ),
        (
            node("A", "Failed", &[node("B", "", &[uid])]),
            r#"{"path":"spec.subJobs[0].spec.subJobs[0]","job_types":["A","B","u"],"uid":"u","reason":"no quota","name":"u"}"#,
        ),
        (
            json!({"status": {"phase": "Failed"}}),
            r#"{"path":"","job_types":["job"],"uid":null,"reason":null,"name":null}"#,
        ),
    ];
    for (tree, json) in rows {
        let failure = job(&tree).failure().unwrap();
        assert_eq!(serde_json::to_string(&failure).unwrap(), json);
        let newer = json.replacen('{', r#"{"severity":{"level":3},"#, 1);
        assert_eq!(serde_json::from_str::<Failure>(&newer).unwrap(), failure);
    }
    let failure = job(&node("A", "Failed", &[])).failure().unwrap();
    assert_eq!(format!("{failure:>20}|{failure:.1}"), "  A: no reason given|A");
}

proptest! {
    #[test]
    fn failures_are_read_as_they_were_written(tree in trees()) {
        for node in job(&tree).walk() {
            let Some(failure) = node.job.failure() else { continue };
            let json = serde_json::to_string(&failure).unwrap();
            prop_assert_eq!(&serde_json::from_str::<Failure>(&json).unwrap(), &failure);
            let bytes = postcard::to_allocvec(&failure).unwrap();
            prop_assert_eq!(&postcard::from_bytes::<Failure>(&bytes).unwrap(), &failure);
        }
    }
}
