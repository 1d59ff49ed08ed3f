//! Tests of replies that are a job, and of replies that are not.

use std::time::Duration;

use super::*;
use crate::request::FetchErrorKind;

fn read(status: u16, body: &'static str) -> Result<Reading, FetchError> {
    let response = Response::builder().status(status).header("X-Request-Id", "r-1");
    let response = response.header("Date", "Sun, 02 Feb 2020 08:12:40 GMT");
    Reading::from_response(response.body(Bytes::from_static(body.as_bytes())).unwrap())
}

#[test]
fn readings_keep_body_request_id_and_date() {
    let body = r#"{"kind": "Job", "status": {"phase": "Success",}}"#;
    let reading = read(200, body).unwrap();
    assert_eq!(reading.snapshot.text(), body.as_bytes());
    assert_eq!(reading.request_id.as_deref(), Some("r-1"));
    assert_eq!(reading.snapshot.deviations().len(), 1);
    assert_eq!(reading.date, "2020-02-02T08:12:40Z".parse().ok());
}

#[test]
fn errors_keep_status_code_retry_after_and_request_id() {
    let reply = |headers: &[(&str, &str)]| {
        let response = headers.iter().fold(Response::builder().status(429), |response, header| {
            response.header(header.0, header.1)
        });
        let body = r#"{"error_code": "APIGW.0308", "request_id": "in the body"}"#;
        let error =
            Reading::from_response(response.body(Bytes::from_static(body.as_bytes())).unwrap());
        let error = error.unwrap_err();
        assert_eq!(error.kind(), FetchErrorKind::Status(429));
        let code = error.service_error().and_then(|error| error.code().map(String::from));
        (code, error.retry_after(), error.request_id().map(String::from))
    };
    let code = || Some(String::from("APIGW.0308"));
    let wait = Some(Duration::from_secs(7));
    let headers = [("Retry-After", "7"), ("X-Request-Id", "in a header")];
    assert_eq!(reply(&headers), (code(), wait, Some("in a header".into())));
    assert_eq!(reply(&[]), (code(), None, Some("in the body".into())));
}

#[test]
fn replies_that_are_not_a_job_are_classified_errors() {
    let rows = [
        (200, ""),
        (200, " \n<html>"),
        (200, " "),
        (200, "[]"),
        (200, r#"{"kind": "Status", "status": {"phase": "Success"}}"#),
        (200, r#"{"kind": "job"}"#),
        (200, r#"{"kind": ["Job"]}"#),
        (200, "{}"),
        (200, "null"),
        (200, "busy"),
        (200, r#"{"error_code": "APIGW.0106", "error_msg": "busy", "request_id": "r-3"}"#),
        (200, r#"{"message": "Hello"}"#),
        (200, r#"{"kind": "Status", "message": "no such job", "reason": "NotFound", "code": 404}"#),
        (200, r#"{"job": {"kind": "Job", "status": {"phase": "Success"}}}"#),
        (200, r#"{"status": "SUCCESS", "job_id": "j1", "job_type": "createServer"}"#),
        (200, r#"{"kind": "UpgradeTask", "metadata": {}, "status": {"phase": "Success"}}"#),
        (204, ""),
        (206, r#"{"kind": "Job", "status": {"phase": "Success"}}"#),
        (301, ""),
        (500, r#"{"kind": "Job", "status": {"phase": "Success"}}"#),
        (404, r#"{"errorCode": "CCE.01404001", "errorMessage": "no such job"}"#),
        (404, r#"{"error_code": "APIGW.0101", "error_msg": "no such API", "request_id": "r-2"}"#),
        (502, "<title>502 Bad Gateway</title>"),
    ];
    let line = |(status, body)| {
        let error = read(status, body).unwrap_err();
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        let (kind, class) = (error.kind(), error.class());
        assert_eq!(error.decode_error().is_some(), kind == FetchErrorKind::Undecodable);
        format!("{status} {body}\n    {kind:?} {class:?}: {error}; {}\n", cause.unwrap_or_default())
    };
    insta::assert_snapshot!(rows.map(line).concat());
}

#[test]
fn jobs_without_a_kind_and_jobs_of_api_v2_are_accepted() {
    assert!(read(200, r#"{"status": {"phase": "Running"}}"#).is_ok());
    let reading = read(200, r#"{"kind": "Job", "status": {"status": "Success"}}"#).unwrap();
    assert_eq!(reading.job().phase().map(|phase| phase.as_str()), Some("Success"));
}
