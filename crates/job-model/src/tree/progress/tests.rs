//! Tests the counts of steps, and durations.

use alloc::format;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::testing::{job, node, trees};

/// Returns the counts in the order total, initializing, running, success, failed, unknown.
fn counts(tree: &Value) -> [usize; 6] {
    let progress = job(tree).progress();
    let Progress { total, initializing, running, success, failed, unknown } = progress;
    [total, initializing, running, success, failed, unknown]
}

#[test]
fn leaf_jobs_are_counted_by_phase() {
    let leaf = |phase| node("leaf", phase, &[]);
    let rows = [
        (json!({}), [1, 0, 0, 0, 0, 1]),
        (leaf("success"), [1, 0, 0, 1, 0, 0]),
        (node("A", "Running", &[]), [1, 0, 1, 0, 0, 0]),
        (node("A", "Running", &[leaf("Initializing"), leaf("Failed")]), [2, 1, 0, 0, 1, 0]),
        (
            node("A", "Failed", &[node("B", "Running", &[leaf("Success"), leaf("Success")])]),
            [2, 0, 0, 2, 0, 0],
        ),
        (node("A", "Success", &[leaf("Upgrading"), leaf(""), json!({})]), [3, 0, 0, 0, 0, 3]),
    ];
    for (tree, expected) in rows {
        assert_eq!(counts(&tree), expected, "{tree}");
    }
}

#[test]
fn duration_needs_two_ordered_timestamps() {
    let at = |time: &str| format!("2020-02-02 {time} +0000 UTC");
    let rows = [
        (json!({}), None),
        (json!({"creationTimestamp": at("08:00:00")}), None),
        (json!({"creationTimestamp": at("08:00:00"), "updateTimestamp": "soon"}), None),
        (
            json!({"creationTimestamp": "0001-01-01 00:00:00 +0000 UTC",
                "updateTimestamp": at("08:00:00")}),
            None,
        ),
        (json!({"creationTimestamp": at("08:00:01"), "updateTimestamp": at("08:00:00")}), None),
        (
            json!({"creationTimestamp": at("08:00:00"), "updateTimestamp": at("08:00:00")}),
            Some(Duration::ZERO),
        ),
        (
            json!({"creationTimestamp": at("08:00:00.5"),
                "updateTimestamp": "2020-02-02 10:00:01 +0200 CEST"}),
            Some(Duration::from_millis(500)),
        ),
    ];
    for (metadata, expected) in rows {
        let job = job(&json!({ "metadata": metadata }));
        assert_eq!(job.duration(), expected, "{metadata}");
    }
}

#[test]
fn duration_ends_at_the_completion_time_if_there_is_one() {
    let rows = [
        ("2020-02-02 09:02:24.25 +0000 UTC", Duration::from_millis(3_744_250)),
        ("0001-01-01 00:00:00 +0000 UTC", Duration::from_secs(7200)),
        ("later", Duration::from_secs(7200)),
    ];
    for (completion_time, expected) in rows {
        let job = job(&json!({
            "metadata": {"creationTimestamp": "2020-02-02 08:00:00 +0000 UTC",
                "updateTimestamp": "2020-02-02 10:00:00 +0000 UTC"},
            "status": {"status": "Failed", "completionTime": completion_time},
        }));
        assert_eq!(job.duration(), Some(expected), "{completion_time}");
    }
}

proptest! {
    #[test]
    fn each_leaf_job_is_counted_once(tree in trees()) {
        let [total, phases @ ..] = counts(&tree);
        prop_assert_eq!(total, phases.iter().sum::<usize>());
        prop_assert!(total > 0);
    }
}

/// The command prints these fields in the event `progress`.
#[test]
fn progress_has_a_json_form_that_can_be_read_back() {
    let progress =
        Progress { total: 15, initializing: 1, running: 2, success: 3, failed: 4, unknown: 5 };
    let json = r#"{"total":15,"initializing":1,"running":2,"success":3,"failed":4,"unknown":5}"#;
    assert_eq!(serde_json::to_string(&progress).unwrap(), json);
    let newer = json.replace('}', r#","skipped":[6]}"#);
    assert_eq!(serde_json::from_str::<Progress>(&newer).unwrap(), progress);
    assert!(serde_json::from_str::<Progress>(r#"{"total":15}"#).is_err());
}

proptest! {
    #[test]
    fn progress_is_read_as_it_was_written(tree in trees()) {
        let progress = job(&tree).progress();
        let json = serde_json::to_string(&progress).unwrap();
        prop_assert_eq!(serde_json::from_str::<Progress>(&json).unwrap(), progress);
        let bytes = postcard::to_allocvec(&progress).unwrap();
        prop_assert_eq!(postcard::from_bytes::<Progress>(&bytes).unwrap(), progress);
    }
}
