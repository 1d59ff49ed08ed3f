//! Tests how trees are displayed, including hostile texts.

use alloc::{format, string::ToString};

use insta::assert_snapshot;
use serde_json::json;

use crate::{
    job::decoded::Decoded,
    testing::{UNPRINTABLE_CHARS, job},
};

#[test]
fn the_reference_example_renders_as_a_tree() {
    let body = include_bytes!("../../../fixtures/jobs/reference-example.json");
    assert_snapshot!(Decoded::from_slice(body).unwrap().job.tree());
}

#[test]
fn jobs_with_missing_fields_render_as_a_tree() {
    let tree = json!({"spec": {"type": "A", "subJobs": [
        {},
        {"metadata": {"uid": "u"}},
        {"spec": {"type": "", "resourceName": ""}, "status": {"phase": "Upgrading"}},
        {"status": {"phase": "Failed", "reason": "", "message": "no \"quota\"\n"}},
        {"metadata": {
            "creationTimestamp": "2020-02-02 08:00:00 +0000 UTC",
            "updateTimestamp": "2020-02-03 10:00:00.999 +0000 UTC"},
         "spec": {"type": "B", "resourceName": "node-1", "subJobs": [
            {"spec": {"type": "C"}, "status": {"phase": "Success"}}]}},
    ]}});
    assert_snapshot!(job(&tree).tree());
}

#[test]
fn the_tree_contains_no_unprintable_characters() {
    for c in UNPRINTABLE_CHARS.iter().copied().filter_map(char::from_u32) {
        let tree = json!({
            "spec": {"type": format!("A{c}"), "resourceName": format!("n{c}")},
            "status": {"phase": format!("P{c}"), "reason": format!("r{c}")},
        });
        let shown = job(&tree).tree().to_string();
        assert_eq!(shown.matches(c).count(), usize::from(c == '\n'), "{c:?} in {shown:?}");
    }
}
