//! Tests how failed steps are counted, grouped and displayed.

use alloc::{format, string::ToString, vec};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{failed_steps::NODE_TYPES, *};
use crate::{
    job::Phase,
    testing::{job, node, trees},
};

/// Creates a step with a name and a reason.
fn step(job_type: &str, name: &str, phase: &str, reason: &str, sub_jobs: &[Value]) -> Value {
    let mut step = node(job_type, phase, sub_jobs);
    step["spec"]["resourceName"] = json!(name);
    step["status"]["reason"] = json!(reason);
    step
}

/// Creates a node pool whose nodes fail with these reasons, or succeed if the reason is empty.
fn pool(reasons: &[&str]) -> Value {
    let nodes = reasons.iter().enumerate().map(|(index, reason)| {
        let phase = if reason.is_empty() { "Success" } else { "Failed" };
        let vm = step("CreateNodeVM", "", phase, reason, &[]);
        step("CreateNode", &format!("pool-{index}"), phase, "", &[vm])
    });
    let nodes: Vec<Value> = nodes.collect();
    step("ScaleupCluster", "", "Failed", "some nodes failed", &nodes)
}

#[test]
fn failures_are_counted_and_grouped_by_reason() {
    let install = step("InstallNode", "", "Failed", "no route", &[]);
    let vm = step("CreateNodeVM", "", "Failed", "quota", &[]);
    let overcome = step("CreateNode", "pool-9", "Success", "", core::slice::from_ref(&vm));
    let unnamed = |uid: &str, reason: &str| {
        json!({"metadata": {"uid": uid}, "spec": {"type": "CreateNode"},
            "status": {"phase": "Failed", "reason": reason}})
    };
    let rows = [
        ("nothing failed", node("A", "Running", &[node("B", "Success", &[])])),
        ("the job alone", step("A", "x", "Failed", "quota", &[node("B", "Success", &[])])),
        ("one node of two", pool(&["sold out", ""])),
        ("two reasons, the frequent one first", pool(&["quota", "", "sold out", "sold out"])),
        ("equally frequent reasons in the service's order", pool(&["b", "a", "a", "b"])),
        ("five names at most", pool(&["x"; 7])),
        (
            "many reasons",
            pool(&["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "11"]),
        ),
        ("one more reason", pool(&["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10"])),
        (
            "the deepest failure of each node",
            step(
                "ScaleupCluster",
                "blue",
                "Failed",
                "",
                &[
                    step("CreateNode", "pool-0", "Failed", "outer", &[vm.clone(), install.clone()]),
                    step("CreateNode", "pool-1", "Failed", "outer", &[]),
                    overcome,
                ],
            ),
        ),
        (
            "a job for one node: its steps are counted",
            node("CreateNode", "Failed", &[vm.clone(), install.clone()]),
        ),
        (
            "nodes and other steps",
            node(
                "CreateCluster",
                "Failed",
                &[
                    step("InstallMaster", "", "Failed", "quota", &[]),
                    step("CreateNode", "n-1", "Failed", "quota", &[vm]),
                    step(
                        "CreateNode",
                        "n-2",
                        "Success",
                        "",
                        &[node("CreateNodeVM", "Success", &[])],
                    ),
                    node("Addons", "Running", &[node("A", "Success", &[]), node("B", "", &[])]),
                ],
            ),
        ),
        (
            "the reason of a job above, and no reason",
            node(
                "A",
                "Failed",
                &[
                    step("B", "", "Failed", "above", &[node("C", "Failed", &[])]),
                    step("D", "", "Failed", "", &[]),
                ],
            ),
        ),
        (
            "short ids",
            node(
                "ScaleupCluster",
                "Failed",
                &[unnamed("2f4b5d6e-229a", "x"), unnamed("3f4b5d6e-229a", "x")],
            ),
        ),
        (
            "no types",
            json!({"spec": {"subJobs": [
                {"metadata": {"uid": "u-1234567890"}, "status": {"phase": "Failed"}},
                {"status": {"phase": "Failed"}}]}}),
        ),
        ("escaped texts", {
            let odd = step("B\u{1b}", "n\u{202e}", "Failed", "no \"quota\"\n", &[]);
            step("A\n", "\u{7}x", "Failed", "", &[odd.clone(), odd])
        }),
    ];
    let show = |tree: &Value| {
        let job = job(tree);
        let failure = job.failure().map_or_else(|| "-".into(), |failure| failure.to_string());
        let summary = job.failure_summary();
        let summary = summary.map_or_else(|| "-".into(), |summary| summary.to_string());
        format!("{failure}\n    {summary}")
    };
    let lines = rows.map(|(name, tree)| format!("{name}\n    {}\n", show(&tree)));
    insta::assert_snapshot!(lines.concat());
}

#[test]
fn a_summary_serializes_as_an_object() {
    let summary = job(&pool(&["sold out", "", "quota", "sold out"])).failure_summary().unwrap();
    let json = serde_json::to_string(&summary).unwrap();
    assert_eq!(
        json,
        r#"{"job_type":"ScaleupCluster","name":null,"kind":"node","failed":3,"total":4,"reasons":[{"reason":"sold out","count":2,"names":["pool-0","pool-3"]},{"reason":"quota","count":1,"names":["pool-2"]}],"more_reasons":0,"more_failed":0}"#
    );
    assert_eq!(serde_json::from_str::<FailureSummary>(&json).unwrap(), summary);
    assert_eq!((summary.has_many(), &*summary.counts()), (true, "3 of 4 nodes"));
    let one = job(&pool(&["sold out"])).failure_summary().unwrap();
    assert!(!one.has_many());
    assert_eq!(format!("{:>60}|", one), format!("{one:>60}|"));
    assert_eq!(format!("{:>22}|", one.reasons[0]), "   \"sold out\" (pool-0)|");
}

#[test]
fn texts_of_a_summary_are_short() {
    let long = "ä".repeat(100_000);
    let tree =
        step(&long, &long, "Failed", "", &vec![step(&long, &long, "Failed", &long, &[]); 20]);
    let summary = job(&tree).failure_summary().unwrap();
    let json = serde_json::to_string(&summary).unwrap();
    assert!(json.len() < 14 * 1024, "{}", json.len());
    assert_eq!(summary.reasons[0].count, 20);
}

/// The work is linear, and the output is bounded.
#[test]
fn a_hundred_thousand_failed_steps_give_a_short_summary() {
    let summary_of = |reason: fn(usize) -> String| {
        let nodes = (0..100_000).map(|index| {
            let node = Job::new().with_job_type("CreateNode").with_phase("Failed");
            node.with_resource_name(format!("pool-{index}")).with_reason(reason(index))
        });
        let job = Job::new().with_job_type("ScaleupCluster").with_phase("Failed");
        job.with_sub_jobs(nodes).failure_summary().unwrap()
    };
    let same = summary_of(|_| "sold out".into());
    assert_eq!(
        same.to_string(),
        "ScaleupCluster: 100000 of 100000 nodes failed: \
         \"sold out\" (pool-0, pool-1, pool-2, pool-3, pool-4 and 99995 more)"
    );
    let distinct = summary_of(|index| format!("reason {index}"));
    assert_eq!((distinct.reasons.len(), distinct.more_reasons), (MAX_REASONS, 99_990));
    assert!(distinct.to_string().ends_with("; and 99990 more reasons (99990 nodes)"));
    assert_eq!(distinct.headline(), "ScaleupCluster: 100000 of 100000 nodes failed");
    assert_eq!(distinct.reason_lines().count(), MAX_REASONS + 1);
    assert!(serde_json::to_string(&distinct).unwrap().len() < 1024);
}

/// Returns the failed jobs that have no failed job below them and are not below a successful step,
/// computed the slow way, and the number of the node that each belongs to.
fn failed_leaves(root: &Job) -> Vec<(Vec<usize>, Option<Vec<usize>>)> {
    let failed = root.walk().filter(|entry| {
        let line = root.lineage(&entry.path);
        let is_overcome = line.iter().skip(1).any(|job| job.phase() == Some(&Phase::Success));
        entry.job.phase() == Some(&Phase::Failed) && !is_overcome
    });
    let failed: Vec<_> = failed.map(|entry| entry.path).collect();
    let is_leaf = |path: &&crate::tree::SubJobPath| {
        let below = |other: &crate::tree::SubJobPath| {
            other.depth() > path.depth() && other.indices().starts_with(path.indices())
        };
        !failed.iter().any(below)
    };
    let node_of = |path: &crate::tree::SubJobPath| {
        let line = root.lineage(path);
        let is_node = |job: &&Job| job.job_type().is_some_and(|of| NODE_TYPES.contains(&of));
        let level = line.iter().skip(1).position(is_node)?;
        Some(path.indices()[..=level].to_vec())
    };
    failed.iter().filter(is_leaf).map(|path| (path.indices().to_vec(), node_of(path))).collect()
}

/// Changes the types of some jobs, so that they stand for nodes, and gives reasons to some.
fn with_nodes(tree: &mut Value, choices: &mut impl Iterator<Item = u8>) {
    let choice = choices.next().unwrap_or_default();
    if choice % 3 == 0 {
        tree["spec"]["type"] = json!(NODE_TYPES[usize::from(choice) % NODE_TYPES.len()]);
    }
    if choice % 5 < 3 {
        tree["status"]["reason"] = json!(format!("reason {}", choice % 5));
    }
    for sub_job in tree["spec"]["subJobs"].as_array_mut().into_iter().flatten() {
        with_nodes(sub_job, choices);
    }
}

proptest! {
    #[test]
    fn each_failed_step_is_counted_once(
        mut tree in trees(),
        choices in prop::collection::vec(any::<u8>(), 40),
    ) {
        with_nodes(&mut tree, &mut choices.into_iter());
        let root = job(&tree);
        let summary = root.failure_summary();
        prop_assert_eq!(summary.is_some(), root.failure().is_some());
        let Some(summary) = summary else { return Ok(()) };

        let leaves = failed_leaves(&root);
        let nodes: alloc::collections::BTreeSet<_> =
            leaves.iter().filter_map(|(_, node)| node.clone()).collect();
        let others = leaves.iter().filter(|(_, node)| node.is_none()).count();
        prop_assert_eq!(summary.failed, nodes.len() + others);
        let expected_kind = if others == 0 { StepKind::Node } else { StepKind::Step };
        prop_assert_eq!(summary.kind, expected_kind);
        prop_assert!(summary.total >= summary.failed);

        let counts: Vec<usize> = summary.reasons.iter().map(|reason| reason.count).collect();
        prop_assert_eq!(counts.iter().sum::<usize>() + summary.more_failed, summary.failed);
        prop_assert!(counts.is_sorted_by(|a, b| a >= b) && counts.len() <= MAX_REASONS);
        for reason in &summary.reasons {
            prop_assert_eq!(reason.names.len(), reason.count.min(MAX_NAMES));
            let same = |other: &&FailureReason| other.reason == reason.reason;
            prop_assert_eq!(summary.reasons.iter().filter(same).count(), 1);
        }
        let failure = root.failure().unwrap();
        if summary.failed == 1 {
            prop_assert_eq!(&summary.reasons[0].reason, &failure.reason);
        }
        let json = serde_json::to_string(&summary).unwrap();
        prop_assert_eq!(&serde_json::from_str::<FailureSummary>(&json).unwrap(), &summary);
        let bytes = postcard::to_allocvec(&summary).unwrap();
        prop_assert_eq!(&postcard::from_bytes::<FailureSummary>(&bytes).unwrap(), &summary);
        prop_assert_eq!(root.failure_summary(), Some(summary));
    }
}
