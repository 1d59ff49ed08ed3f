//! Tests how lists of jobs are printed.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::testing::{first_hazard, hostile_megabyte, hostile_text};

const NOW: Timestamp = Timestamp::constant(1_756_812_218, 0);

fn list(rows: &Value) -> JobList {
    JobList::from_slice(rows.to_string().as_bytes()).unwrap()
}

/// Returns a row of a job that was created this long before `NOW`.
fn row(id: &str, seconds: i64, job_type: &str, phase: &str, resource: Value) -> Value {
    let created = job_model::Timestamp::from(NOW - Duration::from_secs(seconds.unsigned_abs()));
    json!({
        "metadata": {"uid": id, "creationTimestamp": created.as_str()},
        "spec": {"type": job_type, "resourcename": resource, "resourceid": "3b4410fa"},
        "status": {"status": phase}
    })
}

#[test]
fn rows_are_aligned_and_the_most_recent_comes_first() {
    let long = "x".repeat(60);
    let rows = json!([
        row("old", 90_000, "CreateCluster", "Success", "cluster-name".into()),
        row("new", 4, "ScaleupCluster", "Initializing", Value::Null),
        row("middle", 3_723, "DeleteNode", "Failed", "節点-1".into()),
        row(&long, 83, "DeleteNode", "Paused", "".into()),
        json!({"metadata": {"uid": "bare"}}),
        json!({}),
    ]);
    insta::assert_snapshot!(format_table(&list(&rows), NOW));
}

#[test]
fn the_documented_example_is_printed() {
    let example = include_bytes!("../../../fixtures/job-lists/reference-example.json");
    let list = JobList::from_slice(example).unwrap();
    insta::assert_snapshot!(format_table(&list, NOW));
    let line = format_json(&list).unwrap();
    let (printed, given): (Value, Value) =
        (serde_json::from_str(&line).unwrap(), serde_json::from_slice(example).unwrap());
    assert_eq!(printed, given, "nothing is lost, and the names stay those of API v2");
    assert_eq!(line.matches('\n').count(), 1);
}

#[test]
fn a_job_of_the_future_has_no_age() {
    let created = job_model::Timestamp::from(NOW + Duration::from_secs(60));
    let rows = json!([{"metadata": {"uid": "a", "creationTimestamp": created.as_str()}}]);
    assert!(format_table(&list(&rows), NOW).contains("a   -     -      0s"));
}

#[test]
fn broken_rows_are_counted_in_warnings() {
    let rows = [
        ("[]", &[][..]),
        ("[{},]", &["warning: body: trailing comma"]),
        ("[1, {}]", &["warning: 1 row is not a job and is left out", "warning: [0]: "]),
        (
            "[1, 2, 3, 4, 5, 6]",
            &[
                "warning: 6 rows are not jobs and are left out",
                "",
                "",
                "",
                "",
                "",
                "warning: 1 more",
            ],
        ),
        ("[1, 2, 3, 4, 5, 6, 7]", &["", "", "", "", "", "", "warning: 2 more deviations"]),
    ];
    for (body, expected) in rows {
        let warnings = warnings(&JobList::from_slice(body.as_bytes()).unwrap());
        assert_eq!(warnings.len(), expected.len(), "{body}: {warnings:?}");
        for (warning, expected) in warnings.iter().zip(expected) {
            assert!(warning.starts_with(expected), "{body}: {warnings:?}");
        }
    }
}

#[test]
fn an_empty_list_is_an_empty_array() {
    assert_eq!(format_json(&JobList::default()).unwrap(), "[]\n");
}

fn check_hostile(text: &str) {
    let rows =
        json!([row(text, 1, text, text, text.into()), {"metadata": {"uid": "b"}, text: text}]);
    let list = list(&rows);
    let table = format_table(&list, NOW);
    assert_eq!(first_hazard(&table), None);
    assert_eq!(table.lines().count(), 3);
    assert!(table.lines().all(|line| line.chars().count() < 2_100));
    let line = format_json(&list).unwrap();
    assert_eq!(first_hazard(&line), None);
    assert_eq!(serde_json::from_str::<Value>(&line).unwrap(), rows, "nothing is lost");
}

#[test]
fn megabyte_texts_are_truncated_only_in_the_table() {
    check_hostile(&hostile_megabyte());
}

proptest! {
    #[test]
    fn output_contains_no_unprintable_characters(text in hostile_text()) {
        check_hostile(&text);
    }
}
