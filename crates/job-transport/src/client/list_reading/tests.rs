//! Tests of replies that are a list of jobs, and of replies that are not.

use super::*;
use crate::request::ErrorClass;

fn read(status: u16, body: &str) -> Result<ListReading, FetchError> {
    let response = Response::builder().status(status).header("X-Request-Id", "r-1");
    let response = response.header("Date", "Sun, 02 Feb 2020 08:12:40 GMT");
    ListReading::from_response(&response.body(Bytes::copy_from_slice(body.as_bytes())).unwrap())
}

#[test]
fn list_readings_keep_size_request_id_and_date() {
    let body = include_str!("../../../fixtures/job-lists/reference-example.json");
    let reading = read(200, body).unwrap();
    assert_eq!((reading.list.len(), reading.body_len), (1, body.len()));
    assert_eq!(reading.request_id.as_deref(), Some("r-1"));
    assert_eq!(reading.date, "2020-02-02T08:12:40Z".parse().ok());
    assert!(!reading.credentials_refreshed);
}

#[test]
fn broken_rows_do_not_affect_the_others() {
    let good = r#"{"metadata": {"uid": "a"}, "status": {"status": "Running"}}"#;
    let rows = [
        // The body, the number of readable rows, and the number of broken ones.
        ("[]".to_owned(), 0, 0),
        ("null".into(), 0, 0),
        (format!("[{good}]"), 1, 0),
        (format!("[{good}, {good},]"), 2, 0),
        (format!("\u{feff}[{good}]"), 1, 0),
        (format!("[1, {good}, null, [], \"x\"]"), 1, 4),
        (format!("[{{\"metadata\": {{\"uid\": \"b\", \"uid\": \"c\"}}}}, {good}]"), 1, 1),
    ];
    for (body, readable, broken) in rows {
        let list = read(200, &body).unwrap().list;
        assert_eq!((list.len(), list.broken_rows()), (readable, broken), "{body}");
    }
}

#[test]
fn replies_that_are_not_a_list_are_classified_errors() {
    let too_long = format!("[{}1]", "1,".repeat(JobList::MAX_ROWS));
    let rows = [
        (200, ""),
        (200, " \n<html><title>Log in</title>"),
        (200, "{}"),
        (200, "[{}"),
        (200, "[}"),
        (200, "1"),
        (200, "busy"),
        (200, &too_long),
        (200, r#"{"kind": "Job", "status": {"phase": "Success"}}"#),
        (200, r#"{"kind": "Job", "status": {"status": "Success"}}"#),
        (200, r#"{"jobs": []}"#),
        (200, r#"{"error_code": "APIGW.0106", "error_msg": "busy", "request_id": "r-3"}"#),
        (200, r#"{"kind": "Status", "message": "no such API", "reason": "NotFound", "code": 404}"#),
        (200, r#"{"kind": "ClusterList", "items": []}"#),
        (204, ""),
        (206, "[]"),
        (301, ""),
        (401, r#"{"error_code": "APIGW.0307", "error_msg": "The token must be updated."}"#),
        (403, r#"{"errorCode": "CCE.01403001", "errorMessage": "Forbidden."}"#),
        (404, r#"{"error_code": "APIGW.0101", "error_msg": "no such API", "request_id": "r-2"}"#),
        (404, r#"{"errorCode": "CCE.01404001", "errorMessage": "Resource not found."}"#),
        (405, ""),
        (
            429,
            r#"{"error_code": "APIGW.0308", "error_msg": "policy user over ratelimit,limit:200,time:5 minute"}"#,
        ),
        (500, "[]"),
        (502, "<title>502 Bad Gateway</title>"),
    ];
    let line = |(status, body): (u16, &str)| {
        let error = read(status, body).unwrap_err();
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        let (kind, class) = (error.kind(), error.class());
        assert_eq!(error.decode_error().is_some(), kind == FetchErrorKind::Undecodable);
        assert_eq!(error.request_id(), Some("r-1"));
        let body = body.chars().take(80).collect::<String>();
        format!("{status} {body}\n    {kind:?} {class:?}: {error}; {}\n", cause.unwrap_or_default())
    };
    insta::assert_snapshot!(rows.map(line).concat());
}

#[test]
fn an_error_in_place_of_the_list_keeps_its_code_and_retry_after() {
    let body = r#"{"error_code": "APIGW.0308", "error_msg": "policy user over ratelimit,limit:200,time:5 minute"}"#;
    let response = Response::builder().status(429).header("Retry-After", "7");
    let response = response.body(Bytes::from_static(body.as_bytes())).unwrap();
    let error = ListReading::from_response(&response).unwrap_err();
    assert_eq!(error.class(), ErrorClass::Throttled);
    assert_eq!(error.retry_after(), Some(std::time::Duration::from_secs(7)));
    assert!(error.service_error().is_some_and(|error| error.rate_limit().is_some()));
    // An error with status 200 keeps its code, too.
    let error = read(200, body).unwrap_err();
    assert_eq!(error.service_error().and_then(|error| error.code()), Some("APIGW.0308"));
}
