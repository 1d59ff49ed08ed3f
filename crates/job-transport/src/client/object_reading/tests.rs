//! Tests the requests for clusters and nodes, and what is made of the replies.

use std::time::Duration;

use job_model::{object::ObjectId, reply::RateLimit};

use super::*;
use crate::{
    auth::{AccessKey, Credentials, Identity, PasswordLogin},
    client::Client,
    request::{ErrorClass, FetchErrorKind},
    testing::{ManualClock, ScriptedTransport},
};

const DATE: &str = "Mon, 04 May 2026 08:05:00 GMT";

fn cluster_id() -> ObjectId {
    ObjectId::Cluster("4a 5b".parse().unwrap())
}

fn node_id() -> ObjectId {
    ObjectId::Node { cluster: "4a 5b".parse().unwrap(), node: "7c+".parse().unwrap() }
}

fn client(endpoint: &str, credentials: Credentials, transport: &ScriptedTransport) -> Client {
    let endpoint = endpoint.parse().unwrap();
    let client = Client::with_clock(endpoint, credentials, transport.clone(), ManualClock::new());
    client.project("the project".parse().unwrap())
}

fn token_client(transport: &ScriptedTransport) -> Client {
    client("https://cce.example", Credentials::token("canary-token").unwrap(), transport)
}

fn read(kind: ObjectKind, status: u16, body: &str) -> Result<ObjectReading<Object>, FetchError> {
    let response = Response::builder().status(status).header("X-Request-Id", "r-1");
    let response = response.header("Date", DATE);
    let response = response.body(Bytes::copy_from_slice(body.as_bytes())).unwrap();
    ObjectReading::from_response(kind, &response)
}

#[tokio::test]
async fn requests_match_the_documentation() {
    let rows = [
        ("https://cce.example", "/api/v3"),
        ("https://cce.example/prefix/", "/prefix/api/v3"),
        ("https://cce.example/autopilot", "/autopilot/v3"),
        ("https://cce.example/x/autopilot/", "/x/autopilot/v3"),
    ];
    for (endpoint, base) in rows {
        let transport = ScriptedTransport::default();
        let credentials = Credentials::token("canary-token").unwrap();
        let client = client(endpoint, credentials, &transport);
        for (id, path) in
            [(cluster_id(), "clusters/4a%205b"), (node_id(), "clusters/4a%205b/nodes/7c%2B")]
        {
            transport.reply(200, &[], r#"{"status": {"phase": "Active"}}"#);
            assert_eq!(client.object(&id).await.unwrap().object.kind(), id.kind());
            let requests = transport.take_requests();
            let [request] = &requests[..] else { panic!("one attempt, one request: {requests:?}") };
            let expected = format!("{base}/projects/the%20project/{path}");
            assert_eq!((request.method().as_str(), request.uri().path()), ("GET", &*expected));
            assert_eq!((request.uri().query(), request.body().len()), (None, 0));
            let names: Vec<_> = request.headers().keys().map(http::HeaderName::as_str).collect();
            assert_eq!(names, ["content-type", "x-auth-token"]);
        }
    }
}

#[tokio::test]
async fn requests_are_signed_with_an_access_key() {
    let transport = ScriptedTransport::default();
    let key = AccessKey::new("objects-key", "canary-secret").unwrap();
    let client = client("https://cce.example", Credentials::access_key(key), &transport);
    transport.reply(200, &[], r#"{"kind": "Cluster", "status": {}}"#);
    transport.reply(200, &[], r#"{"kind": "Node", "status": {}}"#);
    let (cluster, node) = ("4a".parse().unwrap(), "7c".parse().unwrap());
    client.cluster(&cluster).await.unwrap();
    client.node(&cluster, &node).await.unwrap();
    insta::assert_snapshot!(transport.describe_requests());
}

#[tokio::test]
async fn readings_have_the_object_and_the_details_of_the_reply() {
    let transport = ScriptedTransport::default();
    let client = token_client(&transport);
    let headers = [("Date", DATE), ("X-Request-Id", "r-1")];
    let probe = |time: &str| {
        format!(r#"{{"kind": "Node", "status": {{"phase": "Active", "lastProbeTime": "{time}"}}}}"#)
    };
    let (cluster, node) = ("4a".parse().unwrap(), "7c".parse().unwrap());

    transport.reply(200, &headers, r#"{"kind": "cluster", "status": {"phase": "available",}}"#);
    let reading = client.cluster(&cluster).await.unwrap();
    assert_eq!((reading.state(), reading.object.uid()), (ObjectState::Ready, None));
    assert_eq!(reading.request_id.as_deref(), Some("r-1"));
    assert_eq!(reading.date, "2026-05-04T08:05:00Z".parse().ok());
    assert!(!reading.credentials_refreshed);
    let deviations: Vec<_> = reading.deviations.iter().map(ToString::to_string).collect();
    let expected = ["status: trailing comma", "status.phase: unrecognized phase spelling"];
    assert_eq!(deviations, expected);

    // The age of the status counts from the date of the reply.
    for (time, state) in [
        ("2026-05-04T08:00:00Z", ObjectState::Ready),
        ("2026-05-04T07:59:59Z", ObjectState::UnderWay),
    ] {
        transport.reply(200, &headers, &probe(time));
        let reading = client.node(&cluster, &node).await.unwrap();
        assert_eq!((reading.state(), reading.deviations.len()), (state, 0));
        let either = reading.map(Object::Node);
        assert_eq!((either.state(), either.request_id.as_deref()), (state, Some("r-1")));
        let undated = either.with_date(None);
        assert_eq!((undated.state(), undated.date), (ObjectState::Ready, None));
    }
    let built = ObjectReading::new(Cluster::new()).with_credentials_refreshed(true);
    assert!(built.map(Object::Cluster).credentials_refreshed);
}

#[tokio::test]
async fn an_expired_token_is_refreshed_and_the_object_requested_again_once() {
    let ready = r#"{"status": {"phase": "Available"}}"#;
    for (status, body) in [(200, ready), (200, "<html>"), (404, "")] {
        let transport = ScriptedTransport::default();
        let login = PasswordLogin::new("user", "canary-password", "domain");
        let iam = "https://iam.example".parse().unwrap();
        let identity = Identity::new(iam, login, transport.clone());
        let credentials = Credentials::from_provider(identity);
        let client = client("https://cce.example", credentials, &transport);
        let issue = |token: &str| {
            let body = r#"{"token": {"expires_at": "2026-05-05T00:00:00Z"}}"#;
            transport.reply(201, &[("X-Subject-Token", token)], body);
        };
        issue("canary-1");
        transport.reply(200, &[], r#"{"status": {"phase": "Creating"}}"#);
        assert!(!client.object(&cluster_id()).await.unwrap().credentials_refreshed);
        transport.take_requests();

        // The second attempt is refused, and its token is replaced.
        transport.reply(401, &[], r#"{"error_code": "APIGW.0307", "error_msg": "expired"}"#);
        issue("canary-2");
        transport.reply(status, &[], body);
        match client.object(&cluster_id()).await {
            Ok(reading) => {
                assert!(reading.credentials_refreshed);
                assert_eq!((reading.state(), body), (ObjectState::Ready, ready));
            }
            Err(error) => assert!(error.credentials_refreshed() && body != ready, "{error}"),
        }
        let requests = transport.take_requests();
        let paths: Vec<_> = requests.iter().map(|request| request.uri().path()).collect();
        let path = "/api/v3/projects/the%20project/clusters/4a%205b";
        assert_eq!(paths, [path, "/v3/auth/tokens", path]);
        assert_eq!(requests[2].headers()["x-auth-token"], "canary-2");
    }
}

#[tokio::test]
async fn a_token_that_cannot_be_refreshed_is_refused_once() {
    let transport = ScriptedTransport::default();
    transport.reply(401, &[], r#"{"error_msg": "you sent canary-token"}"#);
    let error = token_client(&transport).object(&cluster_id()).await.unwrap_err();
    assert_eq!((error.class(), error.credentials_refreshed()), (ErrorClass::Unauthorized, false));
    assert_eq!(transport.take_requests().len(), 1);
    assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
    assert!(error.to_string().contains("(hidden)"), "{error}");
}

/// The third request has no reply.
#[tokio::test]
async fn a_missing_object_differs_from_a_wrong_path() {
    let rows = [
        (
            r#"{"errorCode": "CCE.01404001", "errorMessage": "Resource not found."}"#,
            ErrorClass::NotFound,
        ),
        ("", ErrorClass::NotFound),
        (r#"{"error_code": "APIGW.0103", "error_msg": "no such API"}"#, ErrorClass::NotFound),
        (r#"{"error_code": "APIGW.0101", "error_msg": "no such API"}"#, ErrorClass::Permanent),
        (r#"{"error_code": "APIG.0101", "error_msg": "no such API"}"#, ErrorClass::Permanent),
    ];
    let transport = ScriptedTransport::default();
    let client = token_client(&transport);
    for (body, class) in rows {
        for id in [cluster_id(), node_id()] {
            transport.reply(404, &[], body);
            let error = client.object(&id).await.unwrap_err();
            assert_eq!(
                (error.kind(), error.class()),
                (FetchErrorKind::Status(404), class),
                "{body}"
            );
        }
    }
    let error = client.object(&cluster_id()).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Transient);
}

#[tokio::test]
async fn an_object_of_another_kind_is_named() {
    let transport = ScriptedTransport::default();
    let client = token_client(&transport);
    transport.reply(200, &[], r#"{"kind": "Node", "status": {"phase": "Active"}}"#);
    let error = client.object(&cluster_id()).await.unwrap_err();
    assert_eq!(error.kind(), FetchErrorKind::WrongKind);
    let text = "the reply is not a valid cluster: the body is an object of kind `Node`";
    assert_eq!(error.to_string(), text);
}

#[test]
fn replies_that_are_not_an_object_are_classified_errors() {
    let rows = [
        (200, ""),
        (200, " \n<html><title>Log in</title>"),
        (200, "{}"),
        (200, "[]"),
        (200, "{\"status\""),
        (200, "{]"),
        (200, "1"),
        (200, "busy"),
        (200, r#"{"status": {"phase": "Available", "phase": "Error"}}"#),
        (200, r#"{"kind": "Job", "status": {"phase": "Success"}}"#),
        (200, r#"{"kind": "Cluster", "items": [{}, {}]}"#),
        (200, r#"{"cluster": {"kind": "Cluster", "status": {}}}"#),
        (200, r#"{"job_id": "j1", "status": "SUCCESS", "job_type": "createServer"}"#),
        (200, r#"{"error_code": "APIGW.0106", "error_msg": "busy", "request_id": "r-3"}"#),
        (200, r#"{"kind": "Status", "message": "none", "reason": "NotFound", "code": 404}"#),
        (204, ""),
        (206, r#"{"kind": "Cluster", "status": {}}"#),
        (301, ""),
        (401, r#"{"error_code": "APIGW.0307", "error_msg": "The token must be updated."}"#),
        (403, r#"{"errorCode": "CCE.01403001", "errorMessage": "Forbidden."}"#),
        (404, r#"{"error_code": "APIGW.0101", "error_msg": "no such API", "request_id": "r-2"}"#),
        (404, r#"{"errorCode": "CCE.01404001", "errorMessage": "Resource not found."}"#),
        (500, r#"{"kind": "Cluster", "status": {}}"#),
        (502, "<title>502 Bad Gateway</title>"),
    ];
    let line = |(status, body): (u16, &str)| {
        let shown = [ObjectKind::Cluster, ObjectKind::Node].map(|kind| {
            let error = read(kind, status, body).unwrap_err();
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            let (kind, class) = (error.kind(), error.class());
            assert_eq!(
                error.decode_error().is_some(),
                kind == FetchErrorKind::Undecodable && cause.is_some()
            );
            assert_eq!(error.request_id(), Some("r-1"));
            format!("    {kind:?} {class:?}: {error}; {}\n", cause.unwrap_or_default())
        });
        format!("{status} {body}\n{}", shown.concat())
    };
    insta::assert_snapshot!(rows.map(line).concat());
}

#[test]
fn a_refusal_keeps_its_code_and_retry_after() {
    let body = r#"{"error_code": "APIGW.0308", "error_msg": "policy user over ratelimit,limit:200,time:5 minute"}"#;
    let response = Response::builder().status(429).header("Retry-After", "7");
    let response = response.body(Bytes::from_static(body.as_bytes())).unwrap();
    let error = ObjectReading::from_response(ObjectKind::Node, &response).unwrap_err();
    assert_eq!(error.class(), ErrorClass::Throttled);
    assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
    let limit: Option<RateLimit> = error.service_error().and_then(|error| error.rate_limit());
    assert!(limit.is_some());
}

/// A large object is decoded off the async thread, and its size does not change the result.
#[tokio::test]
async fn a_large_object_is_read() {
    let transport = ScriptedTransport::default();
    let client = token_client(&transport);
    let addresses = vec![r#"{"url":"https://a","type":"Internal"}"#; 100_000].join(",");
    let body = format!(
        r#"{{"kind":"Cluster","spec":{{"x":"{}"}},"status":{{"phase":"Available","endpoints":[{addresses}]}}}}"#,
        "a".repeat(4 << 20),
    );
    transport.reply(200, &[], &body);
    let reading = client.cluster(&"4a".parse().unwrap()).await.unwrap();
    assert_eq!((reading.state(), reading.object.endpoints().len()), (ObjectState::Ready, 100));
    assert_eq!(serde_json::to_string(&reading.object).unwrap().len(), body.len());
}

#[tokio::test]
async fn no_object_is_requested_without_a_project_or_with_an_overlong_uri() {
    let transport = ScriptedTransport::default();
    let credentials = || Credentials::token("canary-token").unwrap();
    let endpoint = "https://cce.example".parse().unwrap();
    let client = Client::with_clock(endpoint, credentials(), transport.clone(), ManualClock::new());
    let error = client.object(&cluster_id()).await.unwrap_err();
    assert_eq!((error.kind(), error.class()), (FetchErrorKind::NoProject, ErrorClass::Permanent));
    let endpoint = format!("https://cce.example/{}", "a".repeat(65_500));
    let client = self::client(&endpoint, credentials(), &transport);
    let error = client.object(&node_id()).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Permanent);
    assert!(transport.take_requests().is_empty());
}
