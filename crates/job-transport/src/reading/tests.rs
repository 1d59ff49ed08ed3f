//! Replies that are a job, and replies that are none.

use super::*;
use crate::Class;

fn read(status: u16, body: &'static str) -> Result<Reading, FetchError> {
    let response = Response::builder().status(status).header("X-Request-Id", "r-1");
    Reading::from_response(response.body(Bytes::from_static(body.as_bytes())).unwrap())
}

#[test]
fn a_reading_keeps_the_replys_facts() {
    let body = r#"{"kind": "Job", "status": {"phase": "Success",}}"#;
    let reading = read(200, body).unwrap();
    assert_eq!(reading.body, body);
    assert_eq!(reading.request_id.as_deref(), Some("r-1"));
    assert_eq!(reading.deviations.len(), 1);
}

#[test]
fn replies_that_are_no_job() {
    let rows = [
        (200, ""),
        (200, "<html>"),
        (200, "[]"),
        (200, r#"{"kind": "Status", "status": {"phase": "Success"}}"#),
        (200, r#"{"kind": "job"}"#),
        (200, r#"{"kind": ["Job"]}"#),
        (204, ""),
        (206, r#"{"kind": "Job", "status": {"phase": "Success"}}"#),
        (301, ""),
        (500, r#"{"kind": "Job", "status": {"phase": "Success"}}"#),
    ];
    let line = |(status, body)| {
        let error = read(status, body).unwrap_err();
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        let class: Class = error.class();
        format!("{status} {body}\n    {class:?}: {error}; {}\n", cause.unwrap_or_default())
    };
    insta::assert_snapshot!(rows.map(line).concat());
}

#[test]
fn a_job_without_a_kind_is_a_job() {
    assert!(read(200, "{}").is_ok());
}
