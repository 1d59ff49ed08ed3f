//! Tests how trees are walked and searched.

use alloc::{boxed::Box, format, string::String};

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::testing::{job, node, trees};

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
fn sub_jobs_and_resource_ids_are_found_by_type() {
    let install = |id: &str| json!({"spec": {"type": "InstallNode", "resourceID": id}});
    let tree = job(&node(
        "ScaleupCluster",
        "",
        &[
            node("CreateNode", "", &[node("CreateNodeVM", "", &[]), install("a"), install("")]),
            node("CreateNode", "", &[node("CreateNodeBMS", "", &[install("b")])]),
            install("c"),
        ],
    ));
    let paths = |job_type| -> Vec<_> {
        tree.find_all(job_type).map(|node| format!("{}", node.path)).collect()
    };
    assert_eq!(paths("CreateNode"), ["spec.subJobs[0]", "spec.subJobs[1]"]);
    assert_eq!(tree.find("CreateNodeBMS").unwrap().path.indices(), [1, 0]);
    assert!(tree.find("ScaleupCluster").unwrap().path.indices().is_empty());
    assert!(tree.find("createnode").is_none());

    let rows: [(&[&str], &[&str]); 8] = [
        (&["InstallNode"], &["a", "b", "c"]),
        (&["CreateNode", "InstallNode"], &["a", "b"]),
        (&["ScaleupCluster", "CreateNode", "InstallNode"], &["a", "b"]),
        (&["ScaleupCluster", "InstallNode"], &["a", "b", "c"]),
        (&["CreateNodeBMS", "InstallNode"], &["b"]),
        (&["InstallNode", "CreateNode"], &[]),
        (&["CreateNode"], &[]),
        (&[], &[]),
    ];
    for (types, ids) in rows {
        assert_eq!(tree.resource_ids(types).collect::<Vec<_>>(), ids, "{types:?}");
    }
    let mut outer = install("a");
    outer["spec"]["subJobs"] = json!([install("b")]);
    let nested = job(&node("CreateNode", "", &[outer]));
    let ids: Vec<_> = nested.resource_ids(&["CreateNode", "InstallNode"]).collect();
    assert_eq!(ids, ["a", "b"]);
}

/// Returns all jobs of a tree, found by simple recursion.
fn recursive(job: &Job) -> Box<dyn Iterator<Item = &Job> + '_> {
    Box::new(core::iter::once(job).chain(job.sub_jobs().iter().flat_map(recursive)))
}

proptest! {
    #[test]
    fn walk_visits_each_job_once_with_its_path(tree in trees()) {
        let root = job(&tree);
        let walked: Vec<_> = root.walk().collect();
        prop_assert!(walked.iter().map(|node| core::ptr::from_ref(node.job))
            .eq(recursive(&root).map(core::ptr::from_ref)));
        for node in walked {
            prop_assert!(core::ptr::eq(root.sub_job_at(&node.path).unwrap(), node.job));
        }
    }
}
