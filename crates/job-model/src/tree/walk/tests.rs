//! Tests how trees are walked and searched.

use alloc::{
    boxed::Box,
    format,
    string::{String, ToString},
};

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
    let lines = |entry: TreeEntry<'_>| format!("{} {}\n", entry.job.label(), entry.path);
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
        tree.find_all(job_type).map(|entry| format!("{}", entry.path)).collect()
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
        prop_assert!(walked.iter().map(|entry| core::ptr::from_ref(entry.job))
            .eq(recursive(&root).map(core::ptr::from_ref)));
        for entry in walked {
            prop_assert!(core::ptr::eq(root.sub_job_at(&entry.path).unwrap(), entry.job));
        }
    }
}

#[test]
fn paths_are_parsed_and_displayed() {
    let rows: [(&str, Option<&[usize]>); 14] = [
        ("", Some(&[])),
        ("spec.subJobs[0]", Some(&[0])),
        ("spec.subJobs[10].spec.subJobs[0]", Some(&[10, 0])),
        ("spec.subJobs[00]", None),
        ("spec.subJobs[01]", None),
        ("spec.subJobs[+1]", None),
        ("spec.subJobs[]", None),
        ("spec.subJobs[99999999999999999999999]", None),
        ("spec.subJobs[0].", None),
        (".spec.subJobs[0]", None),
        ("spec.subJobs[0]spec.subJobs[0]", None),
        ("spec.subJobs[0]..spec.subJobs[0]", None),
        ("spec.subJobs[0].status", None),
        ("spec", None),
    ];
    for (text, indices) in rows {
        let path = text.parse::<SubJobPath>();
        assert_eq!(path.as_ref().ok().map(SubJobPath::indices), indices, "{text}");
        let json = serde_json::to_string(text).unwrap();
        assert_eq!(serde_json::from_str::<SubJobPath>(&json).ok(), path.clone().ok(), "{text}");
        if let Ok(path) = path {
            assert_eq!(path.to_string(), text);
            assert_eq!(serde_json::to_string(&path).unwrap(), json);
        }
    }
    let path = SubJobPath::from_iter([1]);
    assert_eq!(
        format!("{path:>16}|{path:<16}|{path:.4}"),
        " spec.subJobs[1]|spec.subJobs[1] |spec"
    );
}

proptest! {
    #[test]
    fn displayed_paths_can_be_parsed(indices in proptest::collection::vec(any::<usize>(), 0..5)) {
        let path: SubJobPath = indices.iter().copied().collect();
        prop_assert_eq!(path.to_string().parse(), Ok(path));
    }
}
