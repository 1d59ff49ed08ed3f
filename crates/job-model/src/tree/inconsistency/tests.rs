//! Tests which contradictions are reported.

use alloc::{format, string::String};

use serde_json::json;

use super::*;
use crate::testing::{job, node};

#[test]
fn contradicting_phases_are_reported_as_inconsistencies() {
    let leaf = |phase| node("leaf", phase, &[]);
    let phases = ["Initializing", "Running", "Success", "Failed", "Upgrading", ""];
    let mut rows: Vec<_> = phases
        .iter()
        .map(|phase| {
            let sub_jobs = phases.map(|phase| node(phase, phase, &[]));
            (format!("{phase:?} over each phase"), node("A", phase, &sub_jobs))
        })
        .collect();
    let all_success = |phase| node("A", phase, &[leaf("Success"), leaf("Success")]);
    rows.extend(
        phases
            .map(|phase| (format!("{phase:?} over successful sub-jobs only"), all_success(phase))),
    );
    let silent = json!({"spec": {"subJobs": [leaf("Running")]}});
    rows.extend([
        (String::from("no sub-jobs"), leaf("Running")),
        (String::from("a job without a status in between"), node("A", "Success", &[silent])),
        (
            String::from("three levels"),
            node("A", "Running", &[node("B", "Failed", &[leaf("Running"), leaf("Failed")])]),
        ),
    ]);
    let show = |(name, tree): (String, serde_json::Value)| {
        let lines = job(&tree).inconsistencies().into_iter().map(|one| format!("    {one}\n"));
        format!("{name}\n{}", lines.collect::<String>())
    };
    insta::assert_snapshot!(rows.into_iter().map(show).collect::<String>());
}

#[test]
fn an_inconsistency_serializes_as_an_object() {
    let parent = node("A", "Success", &[node("B", "Running", &[])]);
    assert_eq!(
        serde_json::to_string(&job(&parent).inconsistencies()).unwrap(),
        r#"[{"path":"spec.subJobs[0]","kind":"active although its parent succeeded"}]"#
    );
}
