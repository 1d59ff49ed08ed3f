//! Tests the class and the message of each kind of error.

use std::collections::BTreeMap;

use super::*;
use crate::transport::{RequestSent, TimeoutStage, TransportErrorKind};

#[test]
fn every_status_maps_to_an_error_class() {
    let mut classes = BTreeMap::<_, Vec<u16>>::new();
    for code in 100..1000 {
        let class = FetchError::new(FetchErrorKind::Status(code)).class();
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
        ProxyAuthentication,
        Certificate,
        ClientCertificateRequired,
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
        let (name, stage, sent) = (error.kind().as_str(), error.stage(), error.request_sent());
        let error = FetchError::from(error);
        format!("{name} {stage:?} {sent:?}: {:?}: {error}\n", error.class())
    };
    let lines = errors.chain(stages.map(TransportError::timeout)).map(line);
    insta::assert_snapshot!(lines.collect::<String>());
}

/// Returns the gateway's error body for a wrong signature.
fn wrong_signature() -> ServiceError {
    let body = br#"{"error_code": "APIGW.0301", "error_msg": "wrong"}"#;
    ServiceError::from_body(401, None, body).unwrap()
}

#[test]
fn every_auth_error_maps_to_an_error_class() {
    let provider = |class| CredentialsProviderError::new(class, "the vault is sealed").into();
    let rows: [FetchError; 9] = [
        provider(ErrorClass::Transient),
        provider(ErrorClass::Throttled),
        provider(ErrorClass::Unauthorized),
        provider(ErrorClass::NotFound),
        provider(ErrorClass::Permanent),
        FetchError::credentials_timeout(Duration::from_secs(20)),
        FetchError::new(FetchErrorKind::WrongSignature).with_service_error(wrong_signature()),
        FetchError::new(FetchErrorKind::WrongSignature),
        FetchError::new(FetchErrorKind::NoProject),
    ];
    let line = |error: FetchError| {
        let source = error.source().map(ToString::to_string).unwrap_or_default();
        format!("{:?} {:?}: {error}; {source}\n", error.kind(), error.class())
    };
    insta::assert_snapshot!(rows.map(line).concat());
}

#[test]
fn every_kind_has_a_message() {
    let rows = [
        FetchErrorKind::Credentials,
        FetchErrorKind::CredentialsTimeout,
        FetchErrorKind::WrongSignature,
        FetchErrorKind::NoProject,
        FetchErrorKind::Transport(TransportErrorKind::Dns),
        FetchErrorKind::Status(404),
        FetchErrorKind::Status(65_000),
        FetchErrorKind::EmptyBody,
        FetchErrorKind::HtmlPage,
        FetchErrorKind::Undecodable,
        FetchErrorKind::WrongKind,
        FetchErrorKind::NoToken,
        FetchErrorKind::WrongJob,
    ];
    let line = |kind| {
        let error = FetchError::new(kind);
        let json = serde_json::to_string(&kind).unwrap();
        assert_eq!(serde_json::from_str::<FetchErrorKind>(&json).unwrap(), kind);
        assert_eq!((error.kind(), error.class()), (kind, kind.class()));
        format!("{json} {:?} {}: {error}\n", error.class(), kind.is_unreadable())
    };
    insta::assert_snapshot!(rows.map(line).concat());
}

/// Returns the error of an attempt whose login failed with `error`.
fn after_login(error: FetchError) -> FetchError {
    CredentialsProviderError::from(error).into()
}

#[test]
fn a_login_error_decides_kind_and_retry_after() {
    let dns = || FetchError::from(TransportError::timeout(TimeoutStage::Connect));
    let status = |code| FetchError::new(FetchErrorKind::Status(code));
    let seven = Some(Duration::from_secs(7));
    let rows = [
        (dns(), FetchErrorKind::Transport(TransportErrorKind::Timeout), None),
        (FetchError::new(FetchErrorKind::NoToken), FetchErrorKind::NoToken, None),
        (status(429).with_retry_after(seven), FetchErrorKind::Credentials, seven),
        (status(401), FetchErrorKind::Credentials, None),
    ];
    for (login, kind, retry_after) in rows {
        let class = login.class();
        let error = after_login(login);
        assert_eq!((error.kind(), error.class(), error.retry_after()), (kind, class, retry_after));
        let refused = class == ErrorClass::Unauthorized;
        let message =
            if refused { "the credentials were refused" } else { "cannot get credentials" };
        assert_eq!(error.message(), message);
        assert_eq!((error.status(), error.request_id()), (None, None));
        assert!(error.provider_error().is_some());
    }
    let stage = after_login(dns()).transport_error().and_then(TransportError::stage);
    assert_eq!(stage, Some(TimeoutStage::Connect));
    assert_eq!(after_login(status(404)).class(), ErrorClass::Permanent);
}

#[test]
fn a_wrong_signature_keeps_what_the_reply_has() {
    let mut reply = Response::new(Bytes::new());
    *reply.status_mut() = StatusCode::UNAUTHORIZED;
    reply.headers_mut().insert("x-request-id", "r-1".parse().unwrap());
    reply.headers_mut().insert("date", "Sun, 02 Feb 2020 08:12:40 GMT".parse().unwrap());
    let error = FetchError::from_parts(&reply, Some(wrong_signature()))
        .with_refusal_cause(RefusalCause::WrongSignature)
        .with_blocked_until("2020-02-02T08:17:40Z".parse().unwrap());
    assert_eq!(
        (error.kind(), error.class()),
        (FetchErrorKind::WrongSignature, ErrorClass::Unauthorized)
    );
    assert_eq!(error.status(), Some(StatusCode::UNAUTHORIZED));
    assert_eq!(error.date(), Some("2020-02-02T08:12:40Z".parse().unwrap()));
    assert_eq!(error.service_error(), Some(&wrong_signature()));
    assert_eq!(
        error.to_string(),
        "the service answered 401 Unauthorized: APIGW.0301: wrong; the signature is wrong: check the secret key; \
         no request is signed with this key until 2020-02-02T08:17:40Z (request id r-1)"
    );
}
