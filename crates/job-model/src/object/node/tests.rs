//! Tests how old the status of a node may be.

use alloc::format;

use super::*;

fn at(text: &str) -> Option<jiff::Timestamp> {
    Some(text.parse().unwrap())
}

fn node(phase: &str, probe: &str) -> Node {
    Node::new().with_phase(phase).with_last_probe_time(probe)
}

#[test]
fn a_status_that_is_more_than_five_minutes_old_has_no_meaning() {
    use ObjectState::{Broken, Ready, UnderWay};

    let rows = [
        // The time of the check, the date of the reply, and the states of an active and of a broken
        // node.
        ("2026-05-04T08:00:00Z", "2026-05-04T08:00:00Z", Ready, Broken),
        ("2026-05-04T08:00:00Z", "2026-05-04T08:05:00Z", Ready, Broken),
        ("2026-05-04T08:00:00Z", "2026-05-04T08:05:00.000000001Z", UnderWay, UnderWay),
        ("2026-05-04T08:00:00Z", "2026-05-04T08:05:01Z", UnderWay, UnderWay),
        ("2026-05-04T07:59:59.999999999Z", "2026-05-04T08:05:00Z", UnderWay, UnderWay),
        (" 2026-05-04T08:00:00Z", "2026-05-04T08:05:00Z", Ready, Broken),
        (" 2026-05-04T08:00:00Z", "2026-05-04T08:05:01Z", UnderWay, UnderWay),
        ("2026-05-04 10:00:00 +0200 CEST", "2026-05-04T08:05:00Z", Ready, Broken),
        ("2026-05-04 10:00:00 +0200 CEST", "2026-05-04T08:05:01Z", UnderWay, UnderWay),
        // The clock that writes the time of the check may be ahead.
        ("2026-05-04T09:00:00Z", "2026-05-04T08:00:00Z", Ready, Broken),
        ("9999-12-30T22:00:00Z", "2026-05-04T08:00:00Z", Ready, Broken),
        ("0001-01-02T00:00:00Z", "9999-12-30T22:00:00Z", UnderWay, UnderWay),
        // Not a time.
        ("0001-01-01 00:00:00 +0000 UTC", "2026-05-04T08:00:00Z", Ready, Broken),
        ("yesterday", "2026-05-04T08:00:00Z", Ready, Broken),
        ("", "2026-05-04T08:00:00Z", Ready, Broken),
    ];
    for (probe, date, active, broken) in rows {
        assert_eq!(node("Active", probe).state_at(at(date)), active, "{probe} {date}");
        assert_eq!(node("Abnormal", probe).state_at(at(date)), broken, "{probe} {date}");
        assert_eq!(node("Build", probe).state_at(at(date)), UnderWay, "{probe} {date}");
        assert_eq!(node("", probe).state_at(at(date)), UnderWay, "{probe} {date}");
        // Without a date, the age is unknown.
        assert_eq!(node("Active", probe).state_at(None), Ready, "{probe}");
        assert_eq!(node("Error", probe).state_at(None), Broken, "{probe}");
    }
    let unchecked = Node::new().with_phase(NodePhase::Active);
    assert_eq!(unchecked.state_at(at("2026-05-04T08:00:00Z")), Ready);
    assert_eq!(Node::new().state_at(at("2026-05-04T08:00:00Z")), UnderWay);
}

#[test]
fn a_node_that_was_built_decodes_to_an_equal_node() {
    let node = Node::new()
        .with_uid("7c")
        .with_name("prod-node")
        .with_creation_timestamp("2025-09-02 10:14:11.91 +0000 UTC")
        .with_phase(NodePhase::Installing)
        .with_last_probe_time(" 2025-09-02T10:21:32Z")
        .with_job_id("j")
        .with_reason("r")
        .with_message("m");
    let json = serde_json::to_string(&node).unwrap();
    assert_eq!(
        json,
        r#"{"metadata":{"name":"prod-node","uid":"7c","creationTimestamp":"2025-09-02 10:14:11.91 +0000 UTC"},"status":{"phase":"Installing","lastProbeTime":" 2025-09-02T10:21:32Z","jobID":"j","reason":"r","message":"m"}}"#,
    );
    let again = Node::from_slice(json.as_bytes()).unwrap();
    assert_eq!(again, node);
    assert_eq!(again.last_probe_time(), "2025-09-02T10:21:32Z".parse().ok());
    assert_eq!((again.uid(), again.name()), (Some("7c"), Some("prod-node")));
    let texts = (again.job_id(), again.reason(), again.message());
    assert_eq!(texts, (Some("j"), Some("r"), Some("m")));
    assert_eq!(
        format!("{node:?}"),
        "Node { uid: Some(\"7c\"), name: Some(\"prod-node\"), phase: Some(Installing), .. }",
    );
}
