//! Trees as they are shown, hostile texts among them.

use alloc::{format, string::ToString};

use insta::assert_snapshot;
use serde_json::json;

use crate::{Decoded, testing::job};

#[test]
fn the_reference_example() {
    let body = include_bytes!("../../../../fixtures/jobs/reference-example.json");
    assert_snapshot!(Decoded::from_slice(body).unwrap().job.tree());
}

#[test]
fn whatever_a_job_lacks() {
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

/// Control characters, and marks that hide, join or turn round what stands beside them.
#[test]
fn no_character_moves_a_cursor_or_turns_a_line_round() {
    let controls = (0..0x20).chain(0x7f..0xa0);
    let marks = (0x200b..=0x200f).chain(0x2028..=0x202e).chain(0x2060..=0x2069);
    let others = [0x00ad, 0x061c, 0x180e, 0xfeff, 0xfff9, 0xfffb, 0xe0001, 0xe0041];
    for c in controls.chain(marks).chain(others).filter_map(char::from_u32) {
        let tree = json!({
            "spec": {"type": format!("A{c}"), "resourceName": format!("n{c}")},
            "status": {"phase": format!("P{c}"), "reason": format!("r{c}")},
        });
        let shown = job(&tree).tree().to_string();
        assert_eq!(shown.matches(c).count(), usize::from(c == '\n'), "{c:?} in {shown:?}");
    }
}
