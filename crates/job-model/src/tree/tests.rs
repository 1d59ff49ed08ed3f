//! Trees of jobs, how they are walked, and where they failed.

use alloc::{boxed::Box, format, string::ToString};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn job(value: &Value) -> Job {
    Job::from_slice(value.to_string().as_bytes()).unwrap()
}

/// A job of a type and phase, with its sub-jobs.
fn node(job_type: &str, phase: &str, sub_jobs: &[Value]) -> Value {
    json!({"spec": {"type": job_type, "subJobs": sub_jobs}, "status": {"phase": phase}})
}

#[test]
fn walk_goes_depth_first_with_paths() {
    let tree = node(
        "A",
        "",
        &[
            node("B", "", &[node("C", "", &[]), node("D", "", &[])]),
            node("E", "", &[node("F", "", &[node("G", "", &[])])]),
            json!({}),
        ],
    );
    let lines = |node: Node<'_>| format!("{} {}\n", node.job.label(), node.path);
    insta::assert_snapshot!(job(&tree).walk().map(lines).collect::<String>());
}

#[test]
fn failures() {
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
        ("a message for want of a reason", node("A", "Failed", &[message.clone()])),
        ("the parent's reason for want of its own", parent),
        ("the deepest", node("A", "Failed", &[because.clone(), node("D", "", &[message.clone()])])),
        ("the first of equals", node("A", "Failed", &[because, message])),
        (
            "not what a step got past",
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
        ("nothing but a phase", json!({"status": {"phase": "Failed"}})),
    ];
    let show = |failure: Option<Failure>| {
        failure.map_or_else(|| "-".into(), |failure| failure.to_string())
    };
    let lines = rows.map(|(name, tree)| format!("{name}\n    {}\n", show(job(&tree).failure())));
    insta::assert_snapshot!(lines.concat());
}

/// Trees of jobs in every phase.
fn trees() -> impl Strategy<Value = Value> {
    let phase = prop::sample::select(&["Running", "Success", "Failed", ""][..]);
    let leaf = phase.clone().prop_map(|phase| node("leaf", phase, &[]));
    leaf.prop_recursive(5, 40, 4, move |inner| {
        (phase.clone(), prop::collection::vec(inner, 0..4))
            .prop_map(|(phase, sub_jobs)| node("inner", phase, &sub_jobs))
    })
}

/// What a walk must visit, found the obvious way.
fn recursive(job: &Job) -> Box<dyn Iterator<Item = &Job> + '_> {
    Box::new(core::iter::once(job).chain(job.sub_jobs().iter().flat_map(recursive)))
}

proptest! {
    #[test]
    fn walk_visits_each_job_once_and_its_path_leads_there(tree in trees()) {
        let root = job(&tree);
        let walked: Vec<_> = root.walk().collect();
        prop_assert!(walked.iter().map(|node| core::ptr::from_ref(node.job))
            .eq(recursive(&root).map(core::ptr::from_ref)));
        for node in walked {
            let led = node.path.indices().iter().fold(&root, |job, index| &job.sub_jobs()[*index]);
            prop_assert!(core::ptr::eq(led, node.job));
        }
    }

    #[test]
    fn a_failed_job_has_a_failure_and_it_is_a_failed_one(tree in trees()) {
        let root = job(&tree);
        let failure = root.failure();
        prop_assert!(root.phase() != Some(&Phase::Failed) || failure.is_some());
        if let Some(failure) = failure {
            let line = root.line(&failure.path);
            prop_assert_eq!(line.last().and_then(|job| job.phase()), Some(&Phase::Failed));
            prop_assert_eq!(line.len(), failure.steps.len());
            prop_assert!(line[1..].iter().all(|job| job.phase() != Some(&Phase::Success)));
        }
    }
}
