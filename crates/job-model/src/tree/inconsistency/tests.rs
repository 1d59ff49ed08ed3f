//! Tests which contradictions are reported.

use alloc::{
    format,
    string::{String, ToString},
};

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::testing::{job, node, trees};

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

/// The command prints a list of these objects as `inconsistencies`.
#[test]
fn inconsistencies_have_a_json_form_that_can_be_read_back() {
    use InconsistencyKind as Kind;

    let rows = [
        (Kind::ActiveChildOfSuccess, "active although its parent succeeded"),
        (Kind::FailedChildOfSuccess, "failed although its parent succeeded"),
        (Kind::UnknownChildOfSuccess, "no known phase although its parent succeeded"),
        (Kind::ActiveChildOfFailed, "active although its parent failed"),
        (Kind::FailedChildOfActive, "failed while its parent is active"),
        (Kind::StartedChildOfInitializing, "started before its parent"),
        (Kind::ActiveWithAllChildrenDone, "active although all its sub-jobs succeeded"),
        (Kind::FailedWithAllChildrenDone, "failed although all its sub-jobs succeeded"),
    ];
    for (kind, text) in rows {
        assert_eq!((kind.as_str(), &*kind.to_string()), (text, text));
        let inconsistency = Inconsistency::new([1].into_iter().collect(), kind);
        let json = format!(r#"{{"path":"spec.subJobs[1]","kind":"{text}"}}"#);
        assert_eq!(serde_json::to_string(&inconsistency).unwrap(), json);
        let newer = json.replacen('{', r#"{"since":1.5,"#, 1);
        assert_eq!(serde_json::from_str::<Inconsistency>(&newer).unwrap(), inconsistency);
    }
    let error = serde_json::from_str::<Kind>(r#""new""#).unwrap_err().to_string();
    assert_eq!(error, "unknown kind of inconsistency");
    let inconsistency = Inconsistency::new(SubJobPath::default(), Kind::ActiveChildOfFailed);
    let shown = format!("{inconsistency:>43}|{:<27}|", Kind::StartedChildOfInitializing);
    assert_eq!(shown, " the job: active although its parent failed|started before its parent  |");
}

proptest! {
    #[test]
    fn inconsistencies_are_read_as_they_were_written(tree in trees()) {
        let inconsistencies = job(&tree).inconsistencies();
        let json = serde_json::to_string(&inconsistencies).unwrap();
        prop_assert_eq!(&serde_json::from_str::<Vec<Inconsistency>>(&json).unwrap(), &inconsistencies);
        let bytes = postcard::to_allocvec(&inconsistencies).unwrap();
        prop_assert_eq!(postcard::from_bytes::<Vec<Inconsistency>>(&bytes).unwrap(), inconsistencies);
    }
}
