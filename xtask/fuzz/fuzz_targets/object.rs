//! Decodes bytes as a cluster and as a node. If they are accepted, encoding and decoding the object
//! again gives the same text. Only a documented phase is ready. Bytes that are not such an object are
//! described.
#![no_main]

use cce_job_fuzz::run_within_time;
use job_model::{
    jiff::Timestamp,
    object::{Object, ObjectKind, ObjectState},
    reply::ForeignBody,
};
use libfuzzer_sys::fuzz_target;

/// Checks the bytes as an object of a kind, which is ready only in this phase.
fn check(kind: ObjectKind, ready_phase: &str, body: &[u8]) {
    let Ok(decoded) = Object::decode(kind, body) else {
        return;
    };
    let object = decoded.object;
    let encoded = serde_json::to_string(&object).expect("an object can be encoded");
    let again = Object::from_slice(kind, encoded.as_bytes()).expect("it can be decoded again");
    assert_eq!(serde_json::to_string(&again).expect("an object can be encoded"), encoded);
    assert_eq!(again.phase(), object.phase());
    assert_eq!(ForeignBody::from_object_body(body, kind, &[]).is_some(), object.is_foreign());
    assert_eq!(object.state_at(None) == ObjectState::Ready, object.phase() == Some(ready_phase));
    assert!(object.state_at(None) != ObjectState::Gone);
    if object.state_at(Some(Timestamp::UNIX_EPOCH)) == ObjectState::Ready {
        assert_eq!(object.state_at(None), ObjectState::Ready);
    }
    if let Object::Cluster(cluster) = &object {
        assert!(cluster.endpoints().len() <= 100);
    }
}

fuzz_target!(|body: &[u8]| run_within_time(body.len(), || {
    check(ObjectKind::Cluster, "Available", body);
    check(ObjectKind::Node, "Active", body);
}));
