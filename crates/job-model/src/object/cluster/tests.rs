//! Tests how clusters are decoded, built, encoded and printed.

use alloc::{format, string::ToString, vec};

use proptest::prelude::*;

use super::*;

fn cluster(body: &str) -> Cluster {
    Cluster::from_slice(body.as_bytes()).unwrap()
}

fn status(members: &str) -> Cluster {
    cluster(&format!("{{\"status\": {{{members}}}}}"))
}

#[test]
fn a_cluster_without_a_known_phase_is_under_way() {
    let rows = [
        ("", None, ObjectState::UnderWay),
        (r#""phase": null"#, None, ObjectState::UnderWay),
        (r#""phase": """#, None, ObjectState::UnderWay),
        (r#""phase": 7"#, None, ObjectState::UnderWay),
        (r#""phase": ["Available"]"#, None, ObjectState::UnderWay),
        (r#""phase": "Moving""#, Some("Moving"), ObjectState::UnderWay),
        (r#""phase": "available""#, Some("Available"), ObjectState::Ready),
        (r#""phase": "Available","#, Some("Available"), ObjectState::Ready),
        (r#""phase": "Error""#, Some("Error"), ObjectState::Broken),
    ];
    for (members, phase, state) in rows {
        let cluster = status(members);
        assert_eq!(cluster.phase().map(ClusterPhase::as_str), phase, "{members}");
        assert_eq!(cluster.state(), state, "{members}");
    }
    for body in
        ["{}", r#"{"status": null}"#, r#"{"status": "Available"}"#, r#"{"phase": "Available"}"#]
    {
        assert_eq!(cluster(body).state(), ObjectState::UnderWay, "{body}");
    }
}

#[test]
fn accessors_leave_out_empty_texts() {
    let empty = status(r#""jobID": "", "reason": "", "message": """#);
    assert_eq!((empty.job_id(), empty.reason(), empty.message()), (None, None, None));
    let full = cluster(
        r#"{"metadata": {"uid": "4a", "name": "prod", "creationTimestamp": " 2025-09-02T10:12:40Z",
            "updateTimestamp": "2025-09-02 10:12:41.5 +0000 UTC"},
            "status": {"jobID": "j", "reason": "r", "message": "m"}}"#,
    );
    assert_eq!((full.uid(), full.name()), (Some("4a"), Some("prod")));
    assert_eq!((full.job_id(), full.reason(), full.message()), (Some("j"), Some("r"), Some("m")));
    assert_eq!(full.created_at(), "2025-09-02T10:12:40Z".parse().ok());
    assert_eq!(full.updated_at(), "2025-09-02T10:12:41.5Z".parse().ok());
}

#[test]
fn endpoints_are_read_as_far_as_they_are_understood() {
    let rows = [
        ("null", ""),
        ("{}", ""),
        ("7", ""),
        ("[]", ""),
        ("[[{\"url\": \"a\"}], 1, null, \"x\"]", ""),
        (r#"[{"type": "Internal"}, {"url": null}, {"url": 7}]"#, ""),
        (r#"[{"url": "a"}, {"type": 7, "url": "b", "x": {"url": "c"}}]"#, "a None, b None"),
        (r#"[{"url": "\u0061", "type": "External"},]"#, "a Some(\"External\")"),
        (r#"[{"url": "a", "url": "b"}]"#, "b None"),
    ];
    for (json, expected) in rows {
        let endpoints = status(&format!("\"endpoints\": {json}")).endpoints();
        let show =
            |endpoint: &ClusterEndpoint| format!("{} {:?}", endpoint.url, endpoint.endpoint_type);
        let shown: Vec<String> = endpoints.iter().map(show).collect();
        assert_eq!(shown.join(", "), expected, "{json}");
    }
    assert!(Cluster::new().endpoints().is_empty());
    let many = vec![r#"{"url": "a"}"#; 1_000].join(",");
    assert_eq!(status(&format!("\"endpoints\": [{many}]")).endpoints().len(), MAX_ENDPOINTS);
    // An entry without an address counts too.
    for other in ["{}", "7", r#"{"type": "Internal"}"#] {
        let before = |count| vec![other; count].join(",");
        let count = |before| status(&format!("\"endpoints\": [{before},{many}]")).endpoints().len();
        assert_eq!([count(before(1)), count(before(99)), count(before(100))], [99, 1, 0]);
    }
}

#[test]
fn a_cluster_that_was_built_decodes_to_an_equal_cluster() {
    let mut cluster = Cluster::new()
        .with_uid("4a5b")
        .with_name("prod")
        .with_creation_timestamp("2025-09-02T10:12:40Z")
        .with_phase("creating")
        .with_reason("r")
        .with_message("m")
        .with_job_id("j");
    cluster.raw_fields.insert("spec", r#"{"size":1.10}"#).unwrap();
    let json = serde_json::to_string(&cluster).unwrap();
    assert_eq!(
        json,
        r#"{"metadata":{"name":"prod","uid":"4a5b","creationTimestamp":"2025-09-02T10:12:40Z"},"status":{"phase":"Creating","jobID":"j","reason":"r","message":"m"},"spec":{"size":1.10}}"#,
    );
    assert_eq!(self::cluster(&json), cluster);
    assert_eq!(cluster.with_phase("").phase(), None);
    // A phase that is set replaces one that was kept as JSON text.
    let odd = status(r#""phase": 7"#).with_phase(ClusterPhase::Available);
    assert_eq!(serde_json::to_string(&odd).unwrap(), r#"{"status":{"phase":"Available"}}"#);
    assert!(odd.status.unwrap().raw_fields.is_empty());
}

#[test]
fn debug_output_is_one_line_unless_alternate() {
    let mut cluster = Cluster::new().with_uid("4a5b").with_phase("Moving");
    assert_eq!(
        format!("{cluster:?}"),
        "Cluster { uid: Some(\"4a5b\"), name: None, phase: Some(Unknown(\"Moving\")), .. }",
    );
    cluster.kind = Some("Cluster".into());
    // Raw fields can contain user data and keys.
    cluster.raw_fields.insert("spec", r#"{"key": "hunter2"}"#).unwrap();
    cluster.raw_fields.insert("x", "\"hunter2\"").unwrap();
    cluster.metadata.get_or_insert_default().raw_fields.insert("labels", "[\"hunter2\"]").unwrap();
    cluster.status.get_or_insert_default().raw_fields.insert("phase", "\"hunter2\"").unwrap();
    let shown = format!("{cluster:#?}");
    assert!(!shown.contains("hunter2"), "{shown}");
    insta::assert_snapshot!(shown);
    assert!(!format!("{:?}", (cluster.metadata, cluster.status)).contains("hunter2"));
}

#[test]
fn deviations_are_listed_with_their_paths() {
    let body = include_bytes!("../../../fixtures/objects/cluster-odd-types.json");
    let decoded = Cluster::decode(body).unwrap();
    let lines: Vec<String> = decoded.deviations.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn bodies_that_cannot_be_decoded_are_errors() {
    let rows = [
        "",
        "[]",
        r#"{"status": {"phase": 1, "phase": 2}}"#,
        r#"{"metadata": {}, "metadata": {}}"#,
        r#"{"spec": {"secret": }}"#,
        r#"{"metadata": {"uid": "a"#,
    ];
    let line = |body: &str| {
        let error = Cluster::from_slice(body.as_bytes()).unwrap_err();
        let value = serde_json::from_str::<Cluster>(body).unwrap_err();
        format!("{body}\n    {error}\n    {value}\n")
    };
    insta::assert_snapshot!(rows.map(line).concat());
}

proptest! {
    #[test]
    fn no_text_of_a_phase_is_lost(text in "\\PC{0,12}|[A-Za-z]{0,12}") {
        let body = serde_json::json!({"status": {"phase": text}}).to_string();
        let cluster = Cluster::from_slice(body.as_bytes()).unwrap();
        prop_assert_eq!(serde_json::to_string(&cluster).unwrap(), body);
        let is_known = |known: &str| known.eq_ignore_ascii_case(&text);
        prop_assert_eq!(cluster.state() == ObjectState::Ready, is_known("Available"));
    }
}
