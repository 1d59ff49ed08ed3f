//! Tests which body is described as what, and that no job is.

use alloc::{format, string::ToString, vec};

use proptest::{collection::vec, prelude::*};
use serde_json::{Value, json};

use super::*;
use crate::{object as objects, printable::is_unprintable};

fn describe(body: &str) -> String {
    let described = ForeignBody::from_body(body.as_bytes(), &["hunter2"]);
    let is_foreign = Job::from_slice(body.as_bytes()).map(|job| job.is_foreign());
    if let Ok(is_foreign) = is_foreign {
        assert_eq!(is_foreign, described.is_some(), "{body}");
    }
    match described {
        Some(described) => described.to_string(),
        None if is_foreign.is_ok() => "a job".into(),
        None => "undecodable".into(),
    }
}

#[test]
fn foreign_bodies_are_described() {
    let rows = [
        "",
        " \n",
        "OK",
        "none of it",
        "<html><head><title>502 Bad Gateway</title></head></html>",
        "<p></p>",
        "null",
        "\"Success\"",
        "-1",
        "[]",
        "[1]",
        r#"[{"kind": "Job"}]"#,
        r#"[{"kind": "Job"}, {"kind": "Job"},]"#,
        r#"[{"metadata": {}, "status": {"status": "Success"}}, 1]"#,
        "{}",
        "\u{feff}{}",
        r#"{"kind": null}"#,
        r#"{"kind": "Job", "apiVersion": "v3"}"#,
        r#"{"kind": "Job", "status": null}"#,
        r#"{"kind": "Job", "status": "Success"}"#,
        r#"{"status": "Success"}"#,
        r#"{"status": {}}"#,
        r#"{"metadata": {}}"#,
        r#"{"spec": {}}"#,
        r#"{"kind": "UpgradeTask", "status": {"phase": "Success"}}"#,
        r#"{"kind": "a\u202e\u001b[2J hunter2"}"#,
        r#"{"kind": "job", "status": {"phase": "Success"}}"#,
        r#"{"kind": 7, "status": {"phase": "Success"}}"#,
        r#"{"kind": "Status", "status": "Failure", "message": "no such job", "code": 404}"#,
        r#"{"status": {"status": "Success"}}"#,
        r#"{"kind": "Job", "apiVersion": "v2", "status": {"status": "Success"}}"#,
        r#"{"status": {"status": "Success", "phase": "Success"}}"#,
        r#"{"status": {"status": "Success", "phase": null}}"#,
        r#"{"status": {"status": "Success", "phase": ""}}"#,
        r#"{"status": {"status": 7}}"#,
        r#"{"status": {"status": 7, "status": "Success"}}"#,
        r#"{"job": {"kind": "Job", "status": {"phase": "Success"}}}"#,
        r#"{"hunter2": {"metadata": {}, "status": {}}}"#,
        r#"{"job_id": "j1", "status": "SUCCESS", "job_type": "createServer"}"#,
        r#"{"jobId": "j1", "status": "SUCCESS"}"#,
        r#"{"jobid": "j1"}"#,
        r#"{"error_code": "APIGW.0106", "error_msg": "busy", "request_id": "r"}"#,
        r#"{"error": {"code": 401, "message": "token hunter2"}}"#,
        r#"{"status": 500, "error": "Internal Server Error", "path": "/x"}"#,
        r#"{"message": "OK", "code": 200}"#,
        r#"{"request_id": "r"}"#,
        r#"{"unknown": 1}"#,
        r#"{"status": {"phase": "Succ"#,
        r#"{"metadata": {"uid": "a", "uid": "a"}}"#,
    ];
    let table = rows.map(|body| format!("{}\n    {}", body.escape_debug(), describe(body)));
    insta::assert_snapshot!(table.join("\n"));
}

/// Describes a body that should be an object of this kind.
fn describe_object(body: &str, kind: ObjectKind) -> String {
    let described = ForeignBody::from_object_body(body.as_bytes(), kind, &["hunter2"]);
    let is_foreign = objects::Object::from_slice(kind, body.as_bytes());
    let is_foreign = is_foreign.map(|object| object.is_foreign());
    if let Ok(is_foreign) = is_foreign {
        assert_eq!(is_foreign, described.is_some(), "{body}");
    }
    match described {
        Some(described) => described.to_string(),
        None if is_foreign.is_ok() => format!("a {kind}"),
        None => "undecodable".into(),
    }
}

#[test]
fn bodies_that_are_not_a_cluster_or_a_node_are_described() {
    let rows = [
        "",
        "<title>Log in</title>",
        "OK",
        "7",
        "[]",
        r#"[{"kind": "Cluster"}]"#,
        r#"[{"kind": "Job"}, {"kind": "Job"}]"#,
        "{}",
        r#"{"kind": "Cluster", "status": {"phase": "Available"}}"#,
        r#"{"kind": "cluster", "metadata": {}}"#,
        r#"{"kind": "Node", "spec": {}}"#,
        r#"{"kind": "NODE", "status": "Active"}"#,
        r#"{"kind": "Job", "status": {"phase": "Success"}}"#,
        r#"{"kind": "NodePool", "status": {"phase": ""}}"#,
        r#"{"kind": 7, "status": {"phase": "Active"}}"#,
        r#"{"kind": null, "status": {"phase": "Active"}}"#,
        r#"{"status": {"phase": "Active"}}"#,
        r#"{"metadata": {"uid": "a"}}"#,
        r#"{"spec": {}}"#,
        r#"{"spec": null}"#,
        r#"{"spec": [], "status": "ACTIVE"}"#,
        r#"{"kind": "Cluster", "spec": null, "status": null}"#,
        r#"{"kind": "Cluster", "spec": 7}"#,
        r#"{"kind": "Cluster", "apiVersion": "v3", "items": [{}, {}]}"#,
        r#"{"kind": "List", "apiVersion": "v3", "items": [{}]}"#,
        r#"{"metadata": {}, "items": []}"#,
        r#"{"metadata": {}, "items": null}"#,
        r#"{"status": {}, "items": []}"#,
        r#"{"kind": "Cluster", "status": 7, "items": []}"#,
        // Unknown fields may be repeated. Each one that is not null counts.
        r#"{"spec": null, "spec": {}}"#,
        r#"{"spec": {}, "spec": null}"#,
        r#"{"spec": 7, "spec": {}}"#,
        r#"{"spec": {}, "spec": 7}"#,
        r#"{"kind": "Cluster", "metadata": {}, "items": 1, "items": []}"#,
        r#"{"kind": "Cluster", "metadata": {}, "items": [1, 2], "items": 1}"#,
        r#"{"kind": "Cluster", "metadata": {}, "items": [1, 2], "items": null}"#,
        r#"{"cluster": {"kind": "Cluster", "status": {}}}"#,
        r#"{"node": {"kind": "node"}}"#,
        r#"{"hunter2": {"metadata": {}, "status": {}}}"#,
        r#"{"job_id": "j1", "status": "SUCCESS", "job_type": "createServer"}"#,
        r#"{"error_code": "APIGW.0106", "error_msg": "busy", "request_id": "r"}"#,
        r#"{"kind": "Status", "status": "Failure", "message": "no hunter2", "code": 404}"#,
        r#"{"status": {"phase": "Act"#,
        r#"{"metadata": {"uid": "a", "uid": "a"}}"#,
    ];
    let line = |body: &str| {
        let [cluster, node] =
            [ObjectKind::Cluster, ObjectKind::Node].map(|kind| describe_object(body, kind));
        format!("{body}\n    {cluster}; {node}\n")
    };
    insta::assert_snapshot!(rows.map(line).concat());
}

/// Generates objects that resemble jobs, errors and the replies of other services. Some have a field
/// twice.
fn bodies() -> impl Strategy<Value = String> {
    let text = |members: &[(&str, Value)]| {
        let member = |(name, value): &(&str, Value)| format!("\"{name}\": {value}");
        format!("{{{}}}", members.iter().map(member).collect::<vec::Vec<_>>().join(", "))
    };
    vec((prop::sample::select(NAMES.to_vec()), values()), 0..5).prop_map(move |body| text(&body))
}

const NAMES: [&str; 10] =
    ["kind", "metadata", "spec", "status", "phase", "items", "job_id", "code", "message", "x"];

/// Generates values, most of which are objects.
fn values() -> impl Strategy<Value = Value> {
    let leaf = prop::sample::select(vec![
        json!(null),
        json!("Job"),
        json!("Cluster"),
        json!("node"),
        json!("SUCCESS"),
        json!(""),
        json!(200),
        json!([]),
    ]);
    leaf.prop_recursive(1, 6, 4, move |inner| {
        let member = (prop::sample::select(NAMES.to_vec()), inner);
        vec(member, 0..5).prop_map(|members| {
            Value::Object(members.into_iter().map(|(name, value)| (name.into(), value)).collect())
        })
    })
}

proptest! {
    #[test]
    fn exactly_the_foreign_bodies_are_described(body in bodies()) {
        describe(&body);
    }

    #[test]
    fn exactly_the_bodies_that_are_not_an_object_are_described(body in bodies()) {
        describe_object(&body, ObjectKind::Cluster);
        describe_object(&body, ObjectKind::Node);
    }

    #[test]
    fn descriptions_are_short_and_printable(body in "\\PC{0,40}|<[a-z\u{0}-\u{1f}\u{2800}]{0,9000}") {
        let field = json!({"job": {"kind": "Job"}, "kind": null, "message": body});
        for body in [body.clone(), json!({"kind": body}).to_string(), field.to_string()] {
            let shown = describe(&body);
            prop_assert!(shown.len() <= 2048 && !shown.contains(is_unprintable), "{}", shown);
        }
    }
}
