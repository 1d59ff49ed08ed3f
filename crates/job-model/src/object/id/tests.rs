//! Tests the text forms of ids of objects.

use alloc::{format, string::ToString, vec::Vec};

use super::*;

fn cluster() -> ObjectId {
    ObjectId::Cluster("4a5b".parse().unwrap())
}

fn node() -> ObjectId {
    ObjectId::Node { cluster: "4a5b".parse().unwrap(), node: "7c".parse().unwrap() }
}

#[test]
fn object_ids_have_parts_and_a_text() {
    let rows = [
        (cluster(), ObjectKind::Cluster, "4a5b", None, "cluster 4a5b"),
        (node(), ObjectKind::Node, "7c", Some("7c"), "node 7c of cluster 4a5b"),
    ];
    for (id, kind, own, node, text) in rows {
        assert_eq!((id.kind(), id.as_str()), (kind, own));
        assert_eq!(id.cluster().as_str(), "4a5b");
        assert_eq!(id.node().map(NodeId::as_str), node);
        assert_eq!(id.to_string(), text);
    }
    assert_eq!(ObjectId::from(cluster().cluster().clone()), cluster());
}

#[test]
fn object_ids_have_a_json_form() {
    let rows =
        [(cluster(), r#"{"cluster":"4a5b"}"#), (node(), r#"{"cluster":"4a5b","node":"7c"}"#)];
    for (id, json) in rows {
        assert_eq!(serde_json::to_string(&id).unwrap(), json);
        assert_eq!(serde_json::from_str::<ObjectId>(json).unwrap(), id);
        let newer = json.replace('}', r#","pool":"p"}"#);
        assert_eq!(serde_json::from_str::<ObjectId>(&newer).unwrap(), id);
    }
    let null = r#"{"cluster":"4a5b","node":null}"#;
    assert_eq!(serde_json::from_str::<ObjectId>(null).unwrap(), cluster());
    for invalid in
        [r#"{"node":"7c"}"#, r#"{"cluster":""}"#, r#"{"cluster":"a","node":"a/b"}"#, "{}"]
    {
        assert!(serde_json::from_str::<ObjectId>(invalid).is_err(), "{invalid}");
    }
}

/// Such formats have no names of fields, so that both ids are always written.
#[test]
fn object_ids_can_be_read_back_from_formats_that_are_not_human_readable() {
    for id in [cluster(), node()] {
        let bytes = postcard::to_allocvec(&id).unwrap();
        assert_eq!(postcard::from_bytes(&bytes), Ok(id.clone()));
        let mut bytes = Vec::new();
        ciborium::into_writer(&id, &mut bytes).unwrap();
        assert_eq!(ciborium::from_reader::<ObjectId, _>(&*bytes).unwrap(), id);
    }
}

#[test]
fn object_kinds_have_a_text() {
    for (kind, text) in [(ObjectKind::Cluster, "cluster"), (ObjectKind::Node, "node")] {
        assert_eq!((kind.as_str(), format!("{kind:>8}")), (text, format!("{text:>8}")));
        assert_eq!(serde_json::to_string(&kind).unwrap(), format!("\"{text}\""));
        assert_eq!(serde_json::from_str::<ObjectKind>(&format!("\"{text}\"")).unwrap(), kind);
    }
}
