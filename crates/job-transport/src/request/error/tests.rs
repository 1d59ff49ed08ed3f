//! The class of every status and of every way to get no reply.

use std::collections::BTreeMap;

use super::*;
use crate::transport::{RequestSent, TimeoutStage};

#[test]
fn every_status_maps_to_an_error_class() {
    let mut classes = BTreeMap::<_, Vec<u16>>::new();
    for code in 100..1000 {
        let status = StatusCode::from_u16(code).unwrap();
        let class = FetchError::status(status, None).class();
        classes.entry(format!("{class:?}")).or_default().push(code);
    }
    let permanent = classes.remove("Permanent").unwrap();
    assert_eq!(permanent.len() + classes.values().map(Vec::len).sum::<usize>(), 900);
    assert!(
        [200, 204, 301, 400, 403, 405, 410, 501, 505, 600].iter().all(|c| permanent.contains(c))
    );
    let transient: Vec<u16> =
        [408, 409, 425].into_iter().chain((500..600).filter(|c| ![501, 505].contains(c))).collect();
    let expected = [
        ("NotFound", vec![404]),
        ("Throttled", vec![429]),
        ("Transient", transient),
        ("Unauthorized", vec![401]),
    ];
    assert_eq!(classes, expected.map(|(class, codes)| (class.to_owned(), codes)).into());
}

#[test]
fn every_transport_error_maps_to_an_error_class() {
    use TransportErrorKind::*;
    let kinds = [
        InvalidRequest,
        LocalResource,
        Dns,
        Connect,
        Proxy,
        Certificate,
        Tls,
        Timeout,
        StreamRefused,
        Closed,
        Protocol,
        BodyTooLarge,
        EncodedBody,
        Other,
    ];
    let stages = [
        TimeoutStage::Queue,
        TimeoutStage::Connect,
        TimeoutStage::Tls,
        TimeoutStage::Reply,
        TimeoutStage::Body,
    ];
    let errors = kinds.map(|kind| TransportError::new(kind, RequestSent::Maybe)).into_iter();
    let line = |error: TransportError| {
        let (name, stage, sent) = (error.kind().name(), error.stage(), error.request_sent());
        let error = FetchError::from(error);
        format!("{name} {stage:?} {sent:?}: {:?}: {error}\n", error.class())
    };
    let lines = errors.chain(stages.map(TransportError::timeout)).map(line);
    insta::assert_snapshot!(lines.collect::<String>());
}

#[test]
fn every_auth_error_maps_to_an_error_class() {
    let provided =
        |class| AuthError::Provider(CredentialsProviderError::new(class, "the vault is sealed"));
    let rows = [
        provided(ErrorClass::Transient),
        provided(ErrorClass::Throttled),
        provided(ErrorClass::Unauthorized),
        provided(ErrorClass::NotFound),
        provided(ErrorClass::Permanent),
        AuthError::TimedOut(Duration::from_secs(20)),
        AuthError::WrongSignature("APIGW.0301: wrong".into()),
        AuthError::WrongSignature("".into()),
        AuthError::NoProject,
    ];
    let line = |fault| {
        let error = FetchError::from(fault);
        let source = error.source().map(ToString::to_string).unwrap_or_default();
        let wrong = if error.is_wrong_signature() { " (wrong signature)" } else { "" };
        format!("{:?}{wrong}: {error}; {source}\n", error.class())
    };
    insta::assert_snapshot!(rows.map(line).concat());
}
